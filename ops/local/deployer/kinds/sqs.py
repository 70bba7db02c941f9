"""Queues and the policies on them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, cast

from ops.local.deployer.aws import if_there
from ops.local.deployer.emulator_iam import resource_policy
from ops.local.deployer.kinds.base import Attached, Keeper, Resource, Seen, sync_tags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_sqs.literals import QueueAttributeNameType

    from ops.local.deployer.translate import Fields

_DEFAULTS = {
    "RedrivePolicy": "",
    "RedriveAllowPolicy": "",
    "KmsMasterKeyId": "",
    "KmsDataKeyReusePeriodSeconds": 300,
    "SqsManagedSseEnabled": True,
    "ContentBasedDeduplication": False,
    "DeduplicationScope": "queue",
    "FifoThroughputLimit": "perQueue",
}


class Queue(Keeper, Seen):
    """aws:sqs/queue:Queue."""

    fields: ClassVar[Fields] = {
        "name": "QueueName",
        "fifoQueue": "FifoQueue",
        "delaySeconds": "DelaySeconds",
        "maxMessageSize": "MaximumMessageSize",
        "messageRetentionSeconds": "MessageRetentionPeriod",
        "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
        "visibilityTimeoutSeconds": "VisibilityTimeout",
        "redrivePolicy": "RedrivePolicy",
        "redriveAllowPolicy": "RedriveAllowPolicy",
        "kmsMasterKeyId": "KmsMasterKeyId",
        "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
        "sqsManagedSseEnabled": "SqsManagedSseEnabled",
        "contentBasedDeduplication": "ContentBasedDeduplication",
        "deduplicationScope": "DeduplicationScope",
        "fifoThroughputLimit": "FifoThroughputLimit",
        "tags": "tags",
    }
    fixed = frozenset({"name", "fifoQueue"})
    provider_defaults: ClassVar[Mapping[str, object]] = {
        "delaySeconds": 0,
        "maxMessageSize": 262_144,  # SQS's own is 1 MiB by now
        "messageRetentionSeconds": 345_600,
        "receiveWaitTimeSeconds": 0,
        "visibilityTimeoutSeconds": 30,
    }

    def find(self, it: Resource) -> str | None:
        """By name."""
        with if_there():
            return it.aws.sqs.get_queue_url(QueueName=_name(it))["QueueUrl"]
        return None

    def create(self, it: Resource) -> str:
        """With all its attributes."""
        attributes = _attributes(it)
        if it.inputs.get("fifoQueue"):
            attributes["FifoQueue"] = "true"
        tags = it.inputs.get("tags", {})
        made = it.aws.sqs.create_queue(
            QueueName=_name(it), Attributes=cast("dict[QueueAttributeNameType, str]", attributes), tags=tags
        )
        return made["QueueUrl"]

    def update(self, it: Resource) -> None:
        """Attributes and tags in place: the messages stay."""
        if attributes := _attributes(it):
            it.aws.sqs.set_queue_attributes(
                QueueUrl=it.id, Attributes=cast("dict[QueueAttributeNameType, str]", attributes)
            )
        sync_tags(
            it,
            lambda tags: it.aws.sqs.tag_queue(QueueUrl=it.id, Tags=tags),
            lambda keys: it.aws.sqs.untag_queue(QueueUrl=it.id, TagKeys=keys),
        )

    def seen(self, it: Resource) -> Mapping[str, object]:
        """Its attributes, without its counts and times."""
        found = it.aws.sqs.get_queue_attributes(QueueUrl=it.id, AttributeNames=["All"]).get("Attributes", {})
        return {name: value for name, value in found.items() if "Approximate" not in name and "Timestamp" not in name}

    def delete(self, it: Resource) -> None:
        """With its messages."""
        with if_there():
            it.aws.sqs.delete_queue(QueueUrl=it.id)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """URL, ARN, name."""
        name = _name(it)
        arn = f"arn:aws:sqs:{it.aws.region}:{it.aws.account}:{name}"
        return super().outputs(it) | {"url": it.id, "arn": arn, "name": name, "region": it.aws.region}

    def holds(self, it: Resource) -> str:
        """Its messages: visible, delayed and in flight."""
        with if_there():
            counts = it.aws.sqs.get_queue_attributes(
                QueueUrl=it.id,
                AttributeNames=[
                    "ApproximateNumberOfMessages",
                    "ApproximateNumberOfMessagesDelayed",
                    "ApproximateNumberOfMessagesNotVisible",
                ],
            )["Attributes"]
            total = sum(int(count) for count in counts.values())
            return f"{total} messages" if total else ""
        return ""


class _QueueAttribute(Attached, Seen):
    """One attribute of a queue that pulumi-aws has as a resource of its own."""

    attribute: ClassVar[QueueAttributeNameType]
    fixed = frozenset({"queueUrl"})

    def find(self, it: Resource) -> str | None:
        """There when the attribute is not empty."""
        url: str = it.inputs["queueUrl"]
        with if_there():
            found = it.aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]).get("Attributes", {})
            return url if found.get(self.attribute) else None
        return None

    def document(self, it: Resource) -> str:
        """Value of the attribute."""
        return str(it.params[self.attribute])

    def seen(self, it: Resource) -> Mapping[str, object]:
        """This attribute."""
        url: str = it.inputs["queueUrl"]
        found = it.aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[self.attribute]).get("Attributes", {})
        return {str(name): value for name, value in found.items()}

    def put(self, it: Resource) -> str:
        """Set the attribute."""
        url: str = it.inputs["queueUrl"]
        it.aws.sqs.set_queue_attributes(QueueUrl=url, Attributes={self.attribute: self.document(it)})
        return url

    def delete(self, it: Resource) -> None:
        """Empty the attribute."""
        with if_there():
            it.aws.sqs.set_queue_attributes(QueueUrl=it.id, Attributes={self.attribute: ""})


class QueuePolicy(_QueueAttribute):
    """aws:sqs/queuePolicy:QueuePolicy."""

    attribute = "Policy"
    fields: ClassVar[Fields] = {"queueUrl": "QueueUrl", "policy": "Policy"}

    def document(self, it: Resource) -> str:
        """The policy, adapted to what the emulator checks."""
        return resource_policy(it.inputs["policy"])


class RedriveAllowPolicy(_QueueAttribute):
    """aws:sqs/redriveAllowPolicy:RedriveAllowPolicy."""

    attribute = "RedriveAllowPolicy"
    fields: ClassVar[Fields] = {"queueUrl": "QueueUrl", "redriveAllowPolicy": "RedriveAllowPolicy"}


def _name(it: Resource) -> str:
    name = it.physical
    return name + ".fifo" if it.inputs.get("fifoQueue") and not name.endswith(".fifo") else name


def _attributes(it: Resource) -> dict[str, str]:
    given = it.with_defaults(_DEFAULTS) | it.pick(*(str(Queue.fields[key]) for key in Queue.provider_defaults))
    return {name: _text(value) for name, value in given.items()}


def _text(value: Any) -> str:  # noqa: ANN401 - str, int or bool
    return value if isinstance(value, str) else json.dumps(value)
