"""What calls a Lambda function, who may, and where its failures go."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.deployer.aws import if_there
from ops.local.deployer.kinds.base import Attached, Kind, Resource, Seen
from ops.local.deployer.kinds.functions import sync_lambda_tags
from ops.local.deployer.translate import Fields, Sub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.local.deployer.aws import Aws

_MAPPING: dict[str, Any] = {  # AWS's defaults, for settings that the program no longer gives
    "FunctionName": None,
    "BatchSize": 10,
    "MaximumBatchingWindowInSeconds": 0,
    "Enabled": True,
    "FunctionResponseTypes": [],
    "ScalingConfig": {},
    "ProvisionedPollerConfig": {},
    "FilterCriteria": {},
}


class EventSourceMapping(Kind, Seen):
    """aws:lambda/eventSourceMapping:EventSourceMapping, from a queue."""

    fields: ClassVar[Fields] = {
        "eventSourceArn": "EventSourceArn",
        "functionName": "FunctionName",
        "batchSize": "BatchSize",
        "maximumBatchingWindowInSeconds": "MaximumBatchingWindowInSeconds",
        "enabled": "Enabled",
        "functionResponseTypes": "FunctionResponseTypes",
        "scalingConfig": Sub("ScalingConfig", {"maximumConcurrency": "MaximumConcurrency"}),
        "provisionedPollerConfig": Sub(
            "ProvisionedPollerConfig", {"minimumPollers": "MinimumPollers", "maximumPollers": "MaximumPollers"}
        ),
        "filterCriteria": Sub("FilterCriteria", {"filters": Sub("Filters", {"pattern": "Pattern"})}),
        "tags": "Tags",
    }
    fixed = frozenset({"eventSourceArn"})

    def find(self, it: Resource) -> str | None:
        """By its recorded id, else by source and function."""
        if it.id:
            with if_there():
                return it.aws.lambda_.get_event_source_mapping(UUID=it.id)["UUID"]
        function: str = it.inputs["functionName"]
        found = it.aws.lambda_.list_event_source_mappings(EventSourceArn=it.inputs["eventSourceArn"])
        wanted = function.rpartition(":")[2]
        mappings = found["EventSourceMappings"]
        return next((m["UUID"] for m in mappings if m["FunctionArn"].rpartition(":")[2] == wanted), None)

    def create(self, it: Resource) -> str:
        """In one call."""
        given = it.pick("EventSourceArn", "Tags", *_MAPPING)
        return it.aws.lambda_.create_event_source_mapping(**given)["UUID"]

    def update(self, it: Resource) -> None:
        """All settings in place; messages wait in the queue meanwhile."""
        it.aws.lambda_.update_event_source_mapping(UUID=it.id, **it.with_defaults(_MAPPING))
        sync_lambda_tags(it, _arn(it.aws, it.id))

    def seen(self, it: Resource) -> Mapping[str, object]:
        """Its settings; whether it is on, by its state."""
        found = it.aws.lambda_.get_event_source_mapping(UUID=it.id)
        state = "Enabled" if found["State"] in {"Creating", "Enabled", "Enabling", "Updating"} else "Disabled"
        return {name: value for name, value in found.items() if name in _MAPPING} | {"State": state}

    def delete(self, it: Resource) -> None:
        """The messages stay in the queue."""
        with if_there():
            it.aws.lambda_.delete_event_source_mapping(UUID=it.id)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """Ids, and the function it calls."""
        name = it.inputs["functionName"].rpartition(":")[2]
        function = f"arn:aws:lambda:{it.aws.region}:{it.aws.account}:function:{name}"
        return super().outputs(it) | {"uuid": it.id, "arn": _arn(it.aws, it.id), "functionArn": function}


class Permission(Attached):
    """aws:lambda/permission:Permission; a statement can't be changed, only replaced."""

    fields: ClassVar[Fields] = {
        "action": "Action",
        "function": "FunctionName",
        "principal": "Principal",
        "qualifier": "Qualifier",
        "sourceAccount": "SourceAccount",
        "sourceArn": "SourceArn",
        "statementId": "StatementId",
    }
    fixed = frozenset(fields)

    def find(self, it: Resource) -> str | None:
        """By statement id in the function's policy."""
        with if_there():
            policy = it.aws.lambda_.get_policy(FunctionName=it.inputs["function"], **it.pick("Qualifier"))["Policy"]
            sids = [statement.get("Sid") for statement in json.loads(policy)["Statement"]]
            return _sid(it) if _sid(it) in sids else None
        return None

    def put(self, it: Resource) -> str:
        """Add the statement, in the place of a former one of the same id."""
        if self.find(it) is not None:
            self.delete(replace(it, id=_sid(it)))
        it.aws.lambda_.add_permission(**(it.params | {"StatementId": _sid(it)}))
        return _sid(it)

    def delete(self, it: Resource) -> None:
        """Take the statement out."""
        with if_there():
            it.aws.lambda_.remove_permission(
                FunctionName=it.inputs["function"], StatementId=it.id, **it.pick("Qualifier")
            )

    def outputs(self, it: Resource) -> dict[str, Any]:
        """Statement id."""
        return {"statementId": it.id}


class FunctionEventInvokeConfig(Attached):
    """aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig."""

    fields: ClassVar[Fields] = {
        "functionName": "FunctionName",
        "qualifier": "Qualifier",
        "maximumEventAgeInSeconds": "MaximumEventAgeInSeconds",
        "maximumRetryAttempts": "MaximumRetryAttempts",
        "destinationConfig": Sub(
            "DestinationConfig",
            {
                "onFailure": Sub("OnFailure", {"destination": "Destination"}),
                "onSuccess": Sub("OnSuccess", {"destination": "Destination"}),
            },
        ),
    }
    fixed = frozenset({"functionName", "qualifier"})

    def find(self, it: Resource) -> str | None:
        """By function and qualifier."""
        with if_there():
            it.aws.lambda_.get_function_event_invoke_config(**it.pick("FunctionName", "Qualifier"))
            return _config_id(it)
        return None

    def put(self, it: Resource) -> str:
        """The call replaces the whole configuration."""
        it.aws.lambda_.put_function_event_invoke_config(**it.params)
        return _config_id(it)

    def delete(self, it: Resource) -> None:
        """Back to Lambda's defaults."""
        with if_there():
            it.aws.lambda_.delete_function_event_invoke_config(**it.pick("FunctionName", "Qualifier"))


def _config_id(it: Resource) -> str:
    qualifier = it.inputs.get("qualifier")
    return f"{it.inputs['functionName']}:{qualifier}" if qualifier else str(it.inputs["functionName"])


def _sid(it: Resource) -> str:
    return str(it.inputs.get("statementId", it.name))


def _arn(aws: Aws, uuid: str) -> str:
    return f"arn:aws:lambda:{aws.region}:{aws.account}:event-source-mapping:{uuid}"
