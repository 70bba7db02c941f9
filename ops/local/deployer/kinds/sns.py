"""Topics, the policies on them, the subscriptions to them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.deployer.aws import if_there
from ops.local.deployer.emulator_iam import resource_policy
from ops.local.deployer.kinds.base import Attached, Kind, Resource, sync_tags, tag_list

if TYPE_CHECKING:
    from ops.local.deployer.translate import Fields

_DEFAULTS = {
    "DisplayName": "",
    "KmsMasterKeyId": "",
    "DeliveryPolicy": "",
    "SignatureVersion": "1",
    "TracingConfig": "PassThrough",
    "ContentBasedDeduplication": False,
}
_SUBSCRIPTION_DEFAULTS = {
    "RawMessageDelivery": False,
    "FilterPolicy": "{}",
    "FilterPolicyScope": "MessageAttributes",
    "RedrivePolicy": "",
    "DeliveryPolicy": "",
}


class Topic(Kind):
    """aws:sns/topic:Topic."""

    fields: ClassVar[Fields] = {
        "name": "Name",
        "namePrefix": "namePrefix",
        "fifoTopic": "FifoTopic",
        "displayName": "DisplayName",
        "kmsMasterKeyId": "KmsMasterKeyId",
        "deliveryPolicy": "DeliveryPolicy",
        "signatureVersion": "SignatureVersion",
        "tracingConfig": "TracingConfig",
        "contentBasedDeduplication": "ContentBasedDeduplication",
        "tags": "Tags",
    }
    fixed = frozenset({"name", "namePrefix", "fifoTopic"})

    def find(self, it: Resource) -> str | None:
        """By its ARN, which follows from the name."""
        arn = _arn(it)
        with if_there():
            it.aws.sns.get_topic_attributes(TopicArn=arn)
            return arn
        return None

    def create(self, it: Resource) -> str:
        """With all its attributes."""
        attributes = _attributes(it) | ({"FifoTopic": "true"} if it.inputs.get("fifoTopic") else {})
        tags = tag_list(it.inputs.get("tags", {}))
        return it.aws.sns.create_topic(Name=_name(it), Attributes=attributes, Tags=tags)["TopicArn"]

    def update(self, it: Resource) -> None:
        """Attributes and tags."""
        for name, value in _attributes(it).items():
            it.aws.sns.set_topic_attributes(TopicArn=it.id, AttributeName=name, AttributeValue=value)
        sync_tags(
            it,
            lambda tags: it.aws.sns.tag_resource(ResourceArn=it.id, Tags=tag_list(tags)),
            lambda keys: it.aws.sns.untag_resource(ResourceArn=it.id, TagKeys=keys),
        )

    def delete(self, it: Resource) -> None:
        """With its subscriptions."""
        with if_there():
            it.aws.sns.delete_topic(TopicArn=it.id)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN, name, owner."""
        return super().outputs(it) | {"arn": it.id, "name": _name(it), "owner": it.aws.account}


class TopicPolicy(Attached):
    """aws:sns/topicPolicy:TopicPolicy; a topic always has a policy, so its removal restores the default one."""

    fields: ClassVar[Fields] = {"arn": "TopicArn", "policy": "Policy"}
    fixed = frozenset({"arn"})

    def find(self, it: Resource) -> str | None:
        """There when the topic holds this very policy."""
        arn: str = it.inputs["arn"]
        with if_there():
            policy = it.aws.sns.get_topic_attributes(TopicArn=arn)["Attributes"].get("Policy", "{}")
            return arn if json.loads(policy) == json.loads(resource_policy(it.inputs["policy"])) else None
        return None

    def put(self, it: Resource) -> str:
        """Set the attribute."""
        arn: str = it.inputs["arn"]
        policy = resource_policy(it.inputs["policy"])
        it.aws.sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
        return arn

    def delete(self, it: Resource) -> None:
        """Back to the owner's rights, which is what AWS gives a new topic."""
        statement = {
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": ["SNS:Publish", "SNS:Subscribe", "SNS:GetTopicAttributes", "SNS:SetTopicAttributes"],
            "Resource": it.id,
            "Condition": {"StringEquals": {"AWS:SourceOwner": it.aws.account}},
        }
        policy = json.dumps({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]})
        with if_there():
            it.aws.sns.set_topic_attributes(TopicArn=it.id, AttributeName="Policy", AttributeValue=policy)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """Owner."""
        return {"owner": it.aws.account}


class TopicSubscription(Kind):
    """aws:sns/topicSubscription:TopicSubscription. Nobody has to confirm one of e-mail on the laptop."""

    fields: ClassVar[Fields] = {
        "topic": "TopicArn",
        "protocol": "Protocol",
        "endpoint": "Endpoint",
        "rawMessageDelivery": "RawMessageDelivery",
        "filterPolicy": "FilterPolicy",
        "filterPolicyScope": "FilterPolicyScope",
        "redrivePolicy": "RedrivePolicy",
        "deliveryPolicy": "DeliveryPolicy",
        "endpointAutoConfirms": "endpointAutoConfirms",  # how long the provider waits is no business of the laptop
        "confirmationTimeoutInMinutes": "confirmationTimeoutInMinutes",
    }
    fixed = frozenset({"topic", "protocol", "endpoint"})

    def find(self, it: Resource) -> str | None:
        """By its recorded ARN, else by topic, protocol and endpoint, of which AWS allows one subscription."""
        with if_there():
            if it.id:
                it.aws.sns.get_subscription_attributes(SubscriptionArn=it.id)
                return it.id
            pages = it.aws.sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=it.inputs["topic"])
            key = (it.inputs["protocol"], it.inputs["endpoint"])
            found = (one for page in pages for one in page["Subscriptions"])
            return next((one["SubscriptionArn"] for one in found if (one["Protocol"], one["Endpoint"]) == key), None)
        return None

    def create(self, it: Resource) -> str:
        """With its attributes."""
        return it.aws.sns.subscribe(
            TopicArn=it.inputs["topic"],
            Protocol=it.inputs["protocol"],
            Endpoint=it.inputs["endpoint"],
            Attributes=_texts(it.pick(*_SUBSCRIPTION_DEFAULTS)),
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]

    def update(self, it: Resource) -> None:
        """Attributes."""
        for name, value in _texts(it.with_defaults(_SUBSCRIPTION_DEFAULTS)).items():
            it.aws.sns.set_subscription_attributes(SubscriptionArn=it.id, AttributeName=name, AttributeValue=value)

    def delete(self, it: Resource) -> None:
        """By its ARN."""
        with if_there():
            it.aws.sns.unsubscribe(SubscriptionArn=it.id)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN, owner."""
        return {"arn": it.id, "ownerId": it.aws.account, "pendingConfirmation": False}


def _name(it: Resource) -> str:
    name = it.physical
    return name + ".fifo" if it.inputs.get("fifoTopic") and not name.endswith(".fifo") else name


def _arn(it: Resource) -> str:
    return f"arn:aws:sns:{it.aws.region}:{it.aws.account}:{_name(it)}"


def _attributes(it: Resource) -> dict[str, str]:
    return _texts(it.with_defaults(_DEFAULTS))


def _texts(given: dict[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
