"""An EventBridge rule that fills a queue, and the queue of what it could not deliver."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, sqs

from components.config import aws_limits
from components.messaging.queue import DeadLetters, ReliableQueue
from components.security import policies

_RETRY_SECONDS = 3600  # then somebody is told, by the queue of the undelivered; EventBridge itself would try for a day
_RETRIES = 185  # EventBridge's most: the time decides


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueRuleArgs:
    """What the caller decides: which events, of which bus."""

    bus_name: pulumi.Input[str]
    source: str
    detail_type: str
    kms_key_arn: pulumi.Input[str] | None = None
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Undelivered(DeadLetters):
    """The queue of what the rule could not deliver, and the one to which it should have gone."""

    queue_url: pulumi.Output[str]
    queue_arn: pulumi.Output[str]
    dlq_url: pulumi.Output[str]
    dlq_arn: pulumi.Output[str]


class QueueRule(pulumi.ComponentResource):
    """A rule, its target queue, and EventBridge's dead-letter queue for that target.

    Call `deliver_to` once the target queue lets the rule in: what EventBridge may not deliver it does not try again.
    """

    rule: cloudwatch.EventRule
    undelivered: sqs.Queue

    def __init__(self, name: str, args: QueueRuleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:messaging:QueueRule", name, None, opts)
        self._name = name
        self._args = args
        child = pulumi.ResourceOptions(parent=self)
        self.rule = cloudwatch.EventRule(
            name,
            description=f"{args.detail_type} of {args.source} to its queue",
            event_bus_name=args.bus_name,
            event_pattern=json.dumps({"source": [args.source], "detail-type": [args.detail_type]}),
            tags=args.tags,
            opts=child,
        )
        self.undelivered = sqs.Queue(
            f"{name}-undelivered",
            message_retention_seconds=aws_limits.MAX_RETENTION,
            sqs_managed_sse_enabled=True if args.kms_key_arn is None else None,
            kms_master_key_id=args.kms_key_arn,
            tags=args.tags,
            opts=child,
        )
        self._policy = sqs.QueuePolicy(
            f"{name}-undelivered-policy",
            queue_url=self.undelivered.url,
            policy=pulumi.Output.json_dumps(policies.queue_policy(self.undelivered.arn, [], [self.rule.arn])),
            opts=child,
        )
        self.register_outputs({"rule_arn": self.rule.arn, "undelivered_url": self.undelivered.url})

    def deliver_to(self, queue: ReliableQueue) -> None:
        """Makes the queue the rule's target. Its messages are whole events, of which `detail` is the payload."""
        admitted = [policy for policy in (queue.policy, self._policy) if policy is not None]
        cloudwatch.EventTarget(
            f"{self._name}-target",
            event_bus_name=self._args.bus_name,
            rule=self.rule.name,
            target_id="queue",
            arn=queue.queue_arn,
            retry_policy={"maximum_event_age_in_seconds": _RETRY_SECONDS, "maximum_retry_attempts": _RETRIES},
            dead_letter_config={"arn": self.undelivered.arn},
            opts=pulumi.ResourceOptions(parent=self, depends_on=admitted),
        )

    def letters(self, queue: ReliableQueue) -> Undelivered:
        """What a redrive needs to bring the undelivered to the target queue."""
        return Undelivered(
            queue_url=queue.queue_url,
            queue_arn=queue.queue_arn,
            dlq_url=self.undelivered.url,
            dlq_arn=self.undelivered.arn,
        )
