"""Roles and their inline policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.deployer.aws import if_there
from ops.local.deployer.emulator_iam import role_policy
from ops.local.deployer.kinds.base import Attached, Kind, Resource, Seen, sync_tags, tag_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.local.deployer.translate import Fields


class Role(Kind):
    """aws:iam/role:Role."""

    fields: ClassVar[Fields] = {
        "name": "RoleName",
        "namePrefix": "namePrefix",
        "assumeRolePolicy": "AssumeRolePolicyDocument",
        "description": "Description",
        "path": "Path",
        "maxSessionDuration": "MaxSessionDuration",
        "permissionsBoundary": "PermissionsBoundary",
        "tags": "Tags",
    }
    fixed = frozenset({"name", "namePrefix", "path"})

    def find(self, it: Resource) -> str | None:
        """By name."""
        with if_there():
            return it.aws.iam.get_role(RoleName=it.physical)["Role"]["RoleName"]
        return None

    def create(self, it: Resource) -> str:
        """In one call."""
        tags = tag_list(it.inputs.get("tags", {}))
        given = it.pick("Description", "Path", "MaxSessionDuration", "PermissionsBoundary")
        document = it.inputs["assumeRolePolicy"]
        it.aws.iam.create_role(RoleName=it.physical, AssumeRolePolicyDocument=document, Tags=tags, **given)
        return it.physical

    def update(self, it: Resource) -> None:
        """Who may assume it, its boundary, its tags."""
        it.aws.iam.update_assume_role_policy(RoleName=it.id, PolicyDocument=it.inputs["assumeRolePolicy"])
        if settings := it.with_defaults({"Description": "", "MaxSessionDuration": 3600}):
            it.aws.iam.update_role(RoleName=it.id, **settings)
        if boundary := it.inputs.get("permissionsBoundary"):
            it.aws.iam.put_role_permissions_boundary(RoleName=it.id, PermissionsBoundary=boundary)
        elif "permissionsBoundary" in it.before:
            it.aws.iam.delete_role_permissions_boundary(RoleName=it.id)
        sync_tags(
            it,
            lambda tags: it.aws.iam.tag_role(RoleName=it.id, Tags=tag_list(tags)),
            lambda keys: it.aws.iam.untag_role(RoleName=it.id, TagKeys=keys),
        )

    def delete(self, it: Resource) -> None:
        """After its policies."""
        with if_there():
            it.aws.iam.delete_role(RoleName=it.id)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN and name."""
        arn = f"arn:aws:iam::{it.aws.account}:role{it.inputs.get('path', '/')}{it.id}"
        return super().outputs(it) | {"arn": arn, "name": it.id}


class RolePolicy(Attached, Seen):
    """aws:iam/rolePolicy:RolePolicy; the id is `role:name`, as in the provider."""

    fields: ClassVar[Fields] = {
        "name": "PolicyName",
        "namePrefix": "namePrefix",
        "policy": "PolicyDocument",
        "role": "RoleName",
    }
    fixed = frozenset({"name", "namePrefix", "role"})

    def find(self, it: Resource) -> str | None:
        """By role and name."""
        role = it.inputs["role"]
        with if_there():
            it.aws.iam.get_role_policy(RoleName=role, PolicyName=it.physical)
            return f"{role}:{it.physical}"
        return None

    def put(self, it: Resource) -> str:
        """Write the document, adapted to what the emulator checks."""
        role, document = it.inputs["role"], role_policy(it.inputs["policy"])
        it.aws.iam.put_role_policy(RoleName=role, PolicyName=it.physical, PolicyDocument=document)
        return f"{role}:{it.physical}"

    def seen(self, it: Resource) -> Mapping[str, object]:
        """Its document."""
        found = it.aws.iam.get_role_policy(RoleName=it.inputs["role"], PolicyName=it.physical)
        return {"PolicyDocument": found["PolicyDocument"]}

    def delete(self, it: Resource) -> None:
        """By role and name."""
        role, _, name = it.id.partition(":")
        with if_there():
            it.aws.iam.delete_role_policy(RoleName=role, PolicyName=name or it.physical)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """Name."""
        return {"name": it.physical}
