"""Who may send to a queue: its policies, made once all senders are known."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import sqs

from components.messaging.queue import ReliableQueue
from components.messaging.queue_rule import QueueRule, deliver_to_queue
from components.security import policies


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueSenders:
    """Who may send: ARNs of roles or users to the main queue and to its DLQ, a rule or a bucket to the main queue only.

    `bucket` is a bucket's ARN, `account_id` that of its account.
    """

    queue: Sequence[pulumi.Input[str]]
    dlq: Sequence[pulumi.Input[str]]
    rule: QueueRule | None = None
    bucket: pulumi.Input[str] | None = None
    account_id: pulumi.Input[str] | None = None

    def __post_init__(self) -> None:
        if (not self.queue and self.rule is None and self.bucket is None) or not self.dlq:
            raise ValueError(
                f"each queue needs a sender, got {len(self.queue)} for the main queue and {len(self.dlq)} for the DLQ"
            )


def limit_senders(queue: ReliableQueue, senders: QueueSenders) -> sqs.QueuePolicy | None:
    """Close both queues to plain HTTP and to every other sender, and then let the rule deliver.

    Returns the main queue's policy. Queues that someone else owns keep the policies that they have.

    Raises:
        ValueError: the queues were not made with `senders_follow`, and have their policies.
    """
    rules = [senders.rule.rule.arn] if senders.rule else []
    bucket = senders.bucket
    notices = [] if bucket is None else [policies.bucket_notifies(queue.queue_arn, bucket, senders.account_id)]
    document = policies.queue_policy(queue.queue_arn, senders.queue, rules, notices)
    main = queue.close("queue", document)
    queue.close("dlq", policies.queue_policy(queue.dlq_arn, senders.dlq))
    if senders.rule:
        deliver_to_queue(senders.rule, queue, main)
    return main
