"""An EventBridge rule that sends events to a queue, and the queue of events that it could not deliver."""

import json
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, sqs

from components.messaging.encrypted_queue import failure_queue
from components.messaging.queue import DeadLetters, ReliableQueue
from components.security import policies

_RETRY_SECONDS = 3600  # then the event is kept in the queue `undelivered`; EventBridge's own default is a day
_RETRIES = 185  # EventBridge's maximum, so that the time decides


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueRuleArgs:
    """What the caller decides: which events, of which bus."""

    bus_name: pulumi.Input[str]
    source: str
    detail_type: str
    kms_key_arn: pulumi.Input[str] | None = None


class QueueRule(pulumi.ComponentResource):
    """A rule, and EventBridge's dead-letter queue for its target.

    The target is a resource of its own, `deliver_to_queue`, and comes after the policy of the target queue, which names
    this rule: EventBridge does not retry what a queue's policy refuses.
    """

    rule: cloudwatch.EventRule
    undelivered: sqs.Queue
    undelivered_policy: sqs.QueuePolicy
    bus_name: pulumi.Input[str]

    def __init__(self, name: str, args: QueueRuleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:messaging:QueueRule", name, None, opts)
        self.name = name
        self.bus_name = args.bus_name
        child = pulumi.ResourceOptions(parent=self)
        self.rule = cloudwatch.EventRule(
            name,
            description=f"{args.detail_type} of {args.source} to its queue",
            event_bus_name=args.bus_name,
            event_pattern=json.dumps({"source": [args.source], "detail-type": [args.detail_type]}),
            opts=child,
        )
        self.undelivered = failure_queue(f"{name}-undelivered", kms_key_arn=args.kms_key_arn, parent=self)
        self.undelivered_policy = sqs.QueuePolicy(
            f"{name}-undelivered-policy",
            queue_url=self.undelivered.url,
            policy=pulumi.Output.json_dumps(policies.queue_policy(self.undelivered.arn, [], [self.rule.arn])),
            opts=child,
        )
        self.register_outputs({"rule_arn": self.rule.arn, "undelivered_url": self.undelivered.url})

    def undelivered_of(self, queue: ReliableQueue) -> DeadLetters:
        """Return the undelivered events as dead letters of the rule's target queue, which a redrive takes them to."""
        return DeadLetters(
            queue_url=queue.queue_url,
            queue_arn=queue.queue_arn,
            dlq_url=self.undelivered.url,
            dlq_arn=self.undelivered.arn,
        )


def deliver_to_queue(rule: QueueRule, queue: ReliableQueue, queue_policy: sqs.QueuePolicy | None) -> None:
    """Make the queue the rule's target, after the policies that let EventBridge in.

    Its messages are whole events, of which `detail` is the payload.
    """
    admitted = [policy for policy in (queue_policy, rule.undelivered_policy) if policy is not None]
    cloudwatch.EventTarget(
        f"{rule.name}-target",
        event_bus_name=rule.bus_name,
        rule=rule.rule.name,
        target_id="queue",
        arn=queue.queue_arn,
        retry_policy={"maximum_event_age_in_seconds": _RETRY_SECONDS, "maximum_retry_attempts": _RETRIES},
        dead_letter_config={"arn": rule.undelivered.arn},
        opts=pulumi.ResourceOptions(parent=rule, depends_on=admitted),
    )
