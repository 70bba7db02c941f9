"""Parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.deployer.aws import if_there
from ops.local.deployer.kinds.base import Kind, Resource, sync_tags, tag_list

if TYPE_CHECKING:
    from ops.local.deployer.translate import Fields


class Parameter(Kind):
    """aws:ssm/parameter:Parameter. Its value is an operator's once it exists, so only a changed input sets it again."""

    fields: ClassVar[Fields] = {
        "name": "Name",
        "type": "Type",
        "value": "Value",
        "keyId": "KeyId",
        "description": "Description",
        "tags": "Tags",
    }
    fixed = frozenset({"name", "type"})

    def find(self, it: Resource) -> str | None:
        """By name."""
        with if_there():
            return it.aws.ssm.get_parameter(Name=it.physical)["Parameter"]["Name"]
        return None

    def create(self, it: Resource) -> str:
        """In one call."""
        given = it.pick("Type", "Value", "KeyId", "Description")
        it.aws.ssm.put_parameter(Name=it.physical, Tags=tag_list(it.inputs.get("tags", {})), **given)
        return it.physical

    def update(self, it: Resource) -> None:
        """Value, key and description where they changed, tags."""
        if it.changed and it.touches("value", "keyId", "description"):
            it.aws.ssm.put_parameter(Name=it.id, Overwrite=True, **it.pick("Type", "Value", "KeyId", "Description"))
        sync_tags(
            it,
            lambda tags: it.aws.ssm.add_tags_to_resource(
                ResourceType="Parameter", ResourceId=it.id, Tags=tag_list(tags)
            ),
            lambda keys: it.aws.ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId=it.id, TagKeys=keys),
        )

    def delete(self, it: Resource) -> None:
        """With its value."""
        with if_there():
            it.aws.ssm.delete_parameter(Name=it.id)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN and name."""
        arn = f"arn:aws:ssm:{it.aws.region}:{it.aws.account}:parameter/{it.id.removeprefix('/')}"
        return super().outputs(it) | {"arn": arn, "name": it.id}
