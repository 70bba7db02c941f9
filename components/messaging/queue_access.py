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
    """Who may send: ARNs of roles or users to the main queue and to its DLQ, and a rule to the main queue only."""

    queue: Sequence[pulumi.Input[str]]
    dlq: Sequence[pulumi.Input[str]]
    rule: QueueRule | None = None

    def __post_init__(self) -> None:
        # IAM has no policy that says "nobody"
        if not self.queue or not self.dlq:
            raise ValueError(
                f"each queue needs a sender, got {len(self.queue)} for the main queue and {len(self.dlq)} for the DLQ"
            )


def limit_senders(queue: ReliableQueue, senders: QueueSenders) -> None:
    """Close both queues to plain HTTP and to every other sender, and then let the rule deliver.

    Queues that someone else owns keep the policies that they have.
    """
    rules = [senders.rule.rule.arn] if senders.rule else []
    main = _policy(queue, "queue", queue.queue_url, policies.queue_policy(queue.queue_arn, senders.queue, rules))
    _policy(queue, "dlq", queue.dlq_url, policies.queue_policy(queue.dlq_arn, senders.dlq))
    if senders.rule:
        deliver_to_queue(senders.rule, queue, main)


def _policy(
    queue: ReliableQueue, role: str, url: pulumi.Output[str], policy: policies.Document
) -> sqs.QueuePolicy | None:
    if role in queue.adopted:
        return None
    return sqs.QueuePolicy(
        f"{queue.name}-{role}-policy",
        queue_url=url,
        policy=pulumi.Output.json_dumps(policy),
        opts=pulumi.ResourceOptions(parent=queue),
    )
