"""Step Functions: state machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.deployer.aws import if_there
from ops.local.deployer.kinds.base import Kind, Resource, sync_tags, tag_list
from ops.local.deployer.translate import Fields, Sub

if TYPE_CHECKING:
    from collections.abc import Mapping


class StateMachine(Kind):
    """aws:sfn/stateMachine:StateMachine; the id is its ARN, as in the provider."""

    fields: ClassVar[Fields] = {
        "name": "name",
        "definition": "definition",
        "roleArn": "roleArn",
        "type": "type",
        "tracingConfiguration": Sub("tracingConfiguration", {"enabled": "enabled"}),
        "tags": "tags",
    }
    fixed = frozenset({"name", "type"})

    def find(self, it: Resource) -> str | None:
        """By ARN."""
        arn = f"arn:aws:states:{it.aws.region}:{it.aws.account}:stateMachine:{it.physical}"
        with if_there():
            return str(it.aws.client("stepfunctions").describe_state_machine(stateMachineArn=arn)["stateMachineArn"])
        return None

    def create(self, it: Resource) -> str:
        """In one call."""
        made = it.aws.client("stepfunctions").create_state_machine(
            name=it.physical,
            definition=_definition(it),
            tags=tag_list(it.inputs.get("tags", {}), "key", "value"),
            **it.pick("roleArn", "type", "tracingConfiguration"),
        )
        return str(made["stateMachineArn"])

    def update(self, it: Resource) -> None:
        """What it does, as whom, its tags; executions that run go on as they began."""
        states = it.aws.client("stepfunctions")
        given = it.pick("roleArn", "tracingConfiguration")
        states.update_state_machine(stateMachineArn=it.id, definition=_definition(it), **given)
        sync_tags(
            it,
            lambda tags: states.tag_resource(resourceArn=it.id, tags=tag_list(tags, "key", "value")),
            lambda keys: states.untag_resource(resourceArn=it.id, tagKeys=keys),
        )

    def delete(self, it: Resource) -> None:
        """With its executions."""
        with if_there():
            it.aws.client("stepfunctions").delete_state_machine(stateMachineArn=it.id)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN and name."""
        return super().outputs(it) | {"arn": it.id, "name": it.physical}


def _definition(it: Resource) -> str:
    """As the emulator wants it: it knows no batches of a map, so each item becomes one of its own."""
    machine = json.loads(it.inputs["definition"])
    return json.dumps(machine | {"States": {name: _single(state) for name, state in machine["States"].items()}})


def _single(state: Mapping[str, Any]) -> Mapping[str, Any]:
    if "ItemBatcher" not in state:
        return state
    kept = {key: value for key, value in state.items() if key != "ItemBatcher"}
    batch = {"Items": [state["ItemSelector"]], "BatchInput": state["ItemBatcher"].get("BatchInput", {})}
    return kept | {"ItemSelector": batch}
