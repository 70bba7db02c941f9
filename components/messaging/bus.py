"""The event bus of a stack, and the topics to which it publishes the outcomes of events."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, get_caller_identity_output, sns, sqs

from components.messaging.encrypted_queue import failure_queue
from components.security import policies


@dataclass(frozen=True, kw_only=True, slots=True)
class EventBusArgs:
    """What the caller decides."""

    kms_key_arn: pulumi.Input[str] | None = None


class EventBus(pulumi.ComponentResource):
    """The stack's own bus, so that its rules see its events only.

    Under a customer key, EventBridge drops what it can't encrypt or decrypt (the key is disabled, say) unless the bus
    has a queue for it. There it puts the event as the key has encrypted it.
    """

    bus: cloudwatch.EventBus
    unreadable: sqs.Queue | None

    def __init__(self, name: str, args: EventBusArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:messaging:EventBus", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self.unreadable = self._unreadable(f"{name}-unreadable") if args.kms_key_arn is not None else None
        self.bus = cloudwatch.EventBus(
            name,
            kms_key_identifier=args.kms_key_arn,
            dead_letter_config={"arn": self.unreadable.arn} if self.unreadable else None,
            opts=self._child,
        )
        if self.unreadable:
            self._admit_bus(f"{name}-unreadable-policy", self.unreadable)
        self.register_outputs({"bus_name": self.bus.name})

    def _unreadable(self, name: str) -> sqs.Queue:
        # encrypted by SQS: it is needed exactly when the customer key can't be used
        return failure_queue(name, kms_key_arn=None, parent=self)

    def _admit_bus(self, name: str, queue: sqs.Queue) -> None:
        policy = policies.queue_policy(queue.arn, [], [self.bus.arn])
        sqs.QueuePolicy(name, queue_url=queue.url, policy=pulumi.Output.json_dumps(policy), opts=self._child)


@dataclass(frozen=True, kw_only=True, slots=True)
class OutcomeTopicArgs:
    """What the caller decides: which events of which pipeline, and whether there is a topic for them at all."""

    bus_name: pulumi.Input[str]
    source: str
    detail_type: str
    pipeline: str
    publishes: bool = True
    kms_key_arn: pulumi.Input[str] | None = None


class OutcomeTopic(pulumi.ComponentResource):
    """A topic, and the rule that publishes one outcome of one pipeline to it; without one the rule only counts.

    Without a customer key the topic rests on SNS's own disk encryption: EventBridge can't use the key `alias/aws/sns`.
    """

    topic: sns.Topic | None
    rule: cloudwatch.EventRule

    def __init__(self, name: str, args: OutcomeTopicArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:messaging:OutcomeTopic", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.rule = cloudwatch.EventRule(
            name,
            description=f"{args.detail_type} of the pipeline {args.pipeline}",
            event_bus_name=args.bus_name,
            event_pattern=json.dumps(_pattern(args)),
            opts=child,
        )
        self.topic = self._topic(name, args) if args.publishes else None
        self.register_outputs({"topic_arn": self.topic.arn if self.topic else None})

    def _topic(self, name: str, args: OutcomeTopicArgs) -> sns.Topic:
        child = pulumi.ResourceOptions(parent=self)
        topic = sns.Topic(name, kms_master_key_id=args.kms_key_arn, opts=child)
        account = get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        policy = sns.TopicPolicy(
            f"{name}-policy",
            arn=topic.arn,
            policy=pulumi.Output.json_dumps(policies.topic_policy(topic.arn, self.rule.arn, account)),
            opts=child,
        )
        cloudwatch.EventTarget(
            f"{name}-target",
            event_bus_name=args.bus_name,
            rule=self.rule.name,
            target_id="topic",
            arn=topic.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        return topic


def _pattern(args: OutcomeTopicArgs) -> Mapping[str, object]:
    return {
        "source": [args.source],
        "detail-type": [args.detail_type],
        "detail": {"pipeline": [args.pipeline]},
    }
