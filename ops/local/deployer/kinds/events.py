"""EventBridge: buses, rules, targets, archives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from ops.local.deployer.aws import if_there
from ops.local.deployer.kinds.base import Attached, Keeper, Kind, Resource, sync_tags, tag_list
from ops.local.deployer.translate import Fields, Sub

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import TargetTypeDef

    from ops.local.deployer.aws import Aws


class EventBus(Kind):
    """aws:cloudwatch/eventBus:EventBus."""

    fields: ClassVar[Fields] = {
        "name": "Name",
        "description": "Description",
        "kmsKeyIdentifier": "KmsKeyIdentifier",
        "deadLetterConfig": Sub("DeadLetterConfig", {"arn": "Arn"}),
        "tags": "Tags",
    }
    fixed = frozenset({"name"})

    def find(self, it: Resource) -> str | None:
        """By name."""
        with if_there():
            return it.aws.events.describe_event_bus(Name=it.physical)["Name"]
        return None

    def create(self, it: Resource) -> str:
        """In one call."""
        tags = tag_list(it.inputs.get("tags", {}))
        given = it.pick("Description", "KmsKeyIdentifier", "DeadLetterConfig")
        it.aws.events.create_event_bus(Name=it.physical, Tags=tags, **given)
        return it.physical

    def update(self, it: Resource) -> None:
        """Description, key, dead letters, tags."""
        if settings := it.with_defaults({"Description": "", "KmsKeyIdentifier": "", "DeadLetterConfig": {}}):
            it.aws.events.update_event_bus(Name=it.id, **settings)
        _sync_tags(it, _bus_arn(it.aws, it.id))

    def delete(self, it: Resource) -> None:
        """After its rules."""
        with if_there():
            it.aws.events.delete_event_bus(Name=it.id)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN and name."""
        return super().outputs(it) | {"arn": _bus_arn(it.aws, it.id), "name": it.id}


class EventRule(Attached):
    """aws:cloudwatch/eventRule:EventRule; the id is `bus/rule`, as in the provider."""

    fields: ClassVar[Fields] = {
        "name": "Name",
        "namePrefix": "namePrefix",
        "eventBusName": "EventBusName",
        "eventPattern": "EventPattern",
        "scheduleExpression": "ScheduleExpression",
        "description": "Description",
        "roleArn": "RoleArn",
        "state": "State",
        "tags": "Tags",
    }
    fixed = frozenset({"name", "namePrefix", "eventBusName"})

    def find(self, it: Resource) -> str | None:
        """By bus and name."""
        with if_there():
            it.aws.events.describe_rule(Name=it.physical, EventBusName=_bus(it))
            return _rule_id(it)
        return None

    def put(self, it: Resource) -> str:
        """PutRule replaces the whole rule; its targets stay."""
        given = it.pick("EventPattern", "ScheduleExpression", "Description", "RoleArn", "State")
        given.setdefault("State", "ENABLED")  # as the provider does: the emulator leaves a disabled rule disabled
        it.aws.events.put_rule(Name=it.physical, EventBusName=_bus(it), **given)
        _sync_tags(it, _rule_arn(it))
        return _rule_id(it)

    def delete(self, it: Resource) -> None:
        """After its targets."""
        with if_there():
            it.aws.events.delete_rule(Name=it.physical, EventBusName=_bus(it))

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN and name."""
        return super().outputs(it) | {"arn": _rule_arn(it), "name": it.physical}


class EventTarget(Attached):
    """aws:cloudwatch/eventTarget:EventTarget; the id is `bus-rule-target`, as in the provider."""

    fields: ClassVar[Fields] = {
        "rule": "Rule",
        "eventBusName": "EventBusName",
        "targetId": "Id",
        "arn": "Arn",
        "roleArn": "RoleArn",
        "input": "Input",
        "inputPath": "InputPath",
        "inputTransformer": Sub("InputTransformer", {"inputPaths": "InputPathsMap", "inputTemplate": "InputTemplate"}),
        "deadLetterConfig": Sub("DeadLetterConfig", {"arn": "Arn"}),
        "retryPolicy": Sub(
            "RetryPolicy",
            {"maximumEventAgeInSeconds": "MaximumEventAgeInSeconds", "maximumRetryAttempts": "MaximumRetryAttempts"},
        ),
        "sqsTarget": Sub("SqsParameters", {"messageGroupId": "MessageGroupId"}),
    }
    fixed = frozenset({"rule", "eventBusName", "targetId"})

    def find(self, it: Resource) -> str | None:
        """By rule and target id."""
        with if_there():
            targets = it.aws.events.list_targets_by_rule(Rule=it.inputs["rule"], EventBusName=_bus(it))["Targets"]
            return _target_id(it) if any(t["Id"] == _target(it) for t in targets) else None
        return None

    def put(self, it: Resource) -> str:
        """PutTargets replaces the whole target."""
        settings = {k: v for k, v in it.params.items() if k not in {"Rule", "EventBusName"}}
        target = cast("TargetTypeDef", settings | {"Id": _target(it)})
        it.aws.events.put_targets(Rule=it.inputs["rule"], EventBusName=_bus(it), Targets=[target])
        return _target_id(it)

    def delete(self, it: Resource) -> None:
        """From its rule."""
        with if_there():
            it.aws.events.remove_targets(Rule=it.inputs["rule"], EventBusName=_bus(it), Ids=[_target(it)])

    def outputs(self, it: Resource) -> dict[str, Any]:
        """Target id."""
        return {"targetId": _target(it)}


class EventArchive(Keeper):
    """aws:cloudwatch/eventArchive:EventArchive; the id is its name."""

    fields: ClassVar[Fields] = {
        "name": "ArchiveName",
        "description": "Description",
        "eventSourceArn": "EventSourceArn",
        "eventPattern": "EventPattern",
        "retentionDays": "RetentionDays",
        "kmsKeyIdentifier": "KmsKeyIdentifier",
    }
    fixed = frozenset({"name", "eventSourceArn"})

    def find(self, it: Resource) -> str | None:
        """By name."""
        with if_there():
            it.aws.events.describe_archive(ArchiveName=it.physical)
            return it.physical
        return None

    def create(self, it: Resource) -> str:
        """In one call."""
        given = it.pick("EventSourceArn", "Description", "EventPattern", "RetentionDays", "KmsKeyIdentifier")
        it.aws.events.create_archive(ArchiveName=it.physical, **given)
        return it.physical

    def update(self, it: Resource) -> None:
        """All but its name and bus; the events in it stay."""
        given = it.pick("Description", "EventPattern", "RetentionDays", "KmsKeyIdentifier")
        it.aws.events.update_archive(ArchiveName=it.id, **given)

    def delete(self, it: Resource) -> None:
        """With its events."""
        with if_there():
            it.aws.events.delete_archive(ArchiveName=it.id)

    def holds(self, it: Resource) -> str:
        """Its events."""
        with if_there():
            count = it.aws.events.describe_archive(ArchiveName=it.id)["EventCount"]
            return f"{count} events" if count else ""
        return ""

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN and name."""
        return {"arn": f"arn:aws:events:{it.aws.region}:{it.aws.account}:archive/{it.id}", "name": it.id}


def _bus(it: Resource) -> str:
    return str(it.inputs.get("eventBusName", "default"))


def _target(it: Resource) -> str:
    return str(it.inputs.get("targetId", it.name))


def _target_id(it: Resource) -> str:
    return f"{_bus(it)}-{it.inputs['rule']}-{_target(it)}"


def _rule_id(it: Resource) -> str:
    return f"{_bus(it)}/{it.physical}"


def _bus_arn(aws: Aws, name: str) -> str:
    return f"arn:aws:events:{aws.region}:{aws.account}:event-bus/{name}"


def _rule_arn(it: Resource) -> str:
    bus = "" if _bus(it) == "default" else f"{_bus(it)}/"
    return f"arn:aws:events:{it.aws.region}:{it.aws.account}:rule/{bus}{it.physical}"


def _sync_tags(it: Resource, arn: str) -> None:
    sync_tags(
        it,
        lambda tags: it.aws.events.tag_resource(ResourceARN=arn, Tags=tag_list(tags)),
        lambda keys: it.aws.events.untag_resource(ResourceARN=arn, TagKeys=keys),
    )
