"""Keys and their aliases."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.deployer.aws import if_there
from ops.local.deployer.kinds.base import Kind, Resource, sync_tags, tag_list

if TYPE_CHECKING:
    from ops.local.deployer.translate import Fields

_DELETION_DAYS = 30  # AWS's default


class Key(Kind):
    """aws:kms/key:Key; found by its recorded id alone, since keys have no names."""

    fields: ClassVar[Fields] = {
        "description": "Description",
        "policy": "Policy",
        "keyUsage": "KeyUsage",
        "customerMasterKeySpec": "KeySpec",
        "multiRegion": "MultiRegion",
        "enableKeyRotation": "enableKeyRotation",
        "rotationPeriodInDays": "RotationPeriodInDays",
        "deletionWindowInDays": "PendingWindowInDays",
        "tags": "Tags",
    }
    fixed = frozenset({"keyUsage", "customerMasterKeySpec", "multiRegion"})

    def find(self, it: Resource) -> str | None:
        """By id; one that waits for its deletion does not count."""
        if not it.id:
            return None
        with if_there():
            state = it.aws.kms.describe_key(KeyId=it.id)["KeyMetadata"].get("KeyState")
            return None if state == "PendingDeletion" else it.id
        return None

    def create(self, it: Resource) -> str:
        """With its rotation."""
        tags = tag_list(it.inputs.get("tags", {}), "TagKey", "TagValue")
        given = it.pick("Description", "Policy", "KeyUsage", "KeySpec", "MultiRegion")
        id_ = it.aws.kms.create_key(Tags=tags, **given)["KeyMetadata"]["KeyId"]
        self._rotate(replace(it, id=id_))
        return id_

    def update(self, it: Resource) -> None:
        """Description, policy, rotation, tags."""
        if it.touches("description"):
            it.aws.kms.update_key_description(KeyId=it.id, Description=it.inputs.get("description", ""))
        if it.touches("policy") and "policy" in it.inputs:
            it.aws.kms.put_key_policy(KeyId=it.id, PolicyName="default", Policy=it.inputs["policy"])
        self._rotate(it)
        sync_tags(
            it,
            lambda tags: it.aws.kms.tag_resource(KeyId=it.id, Tags=tag_list(tags, "TagKey", "TagValue")),
            lambda keys: it.aws.kms.untag_resource(KeyId=it.id, TagKeys=keys),
        )

    def delete(self, it: Resource) -> None:
        """KMS deletes after a waiting time only."""
        days = it.inputs.get("deletionWindowInDays", _DELETION_DAYS)
        with if_there():
            it.aws.kms.schedule_key_deletion(KeyId=it.id, PendingWindowInDays=days)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN and id."""
        arn = f"arn:aws:kms:{it.aws.region}:{it.aws.account}:key/{it.id}"
        return super().outputs(it) | {"arn": arn, "keyId": it.id}

    def _rotate(self, it: Resource) -> None:
        if it.inputs.get("enableKeyRotation"):
            it.aws.kms.enable_key_rotation(KeyId=it.id, **it.pick("RotationPeriodInDays"))
        elif it.before.get("enableKeyRotation"):
            it.aws.kms.disable_key_rotation(KeyId=it.id)


class Alias(Kind):
    """aws:kms/alias:Alias."""

    fields: ClassVar[Fields] = {"name": "AliasName", "targetKeyId": "TargetKeyId"}
    fixed = frozenset({"name"})

    def find(self, it: Resource) -> str | None:
        """By name."""
        name = _alias(it)
        pages = it.aws.kms.get_paginator("list_aliases").paginate()
        return next((name for page in pages for a in page["Aliases"] if a.get("AliasName") == name), None)

    def create(self, it: Resource) -> str:
        """On its key."""
        it.aws.kms.create_alias(AliasName=_alias(it), TargetKeyId=it.inputs["targetKeyId"])
        return _alias(it)

    def update(self, it: Resource) -> None:
        """On another key."""
        it.aws.kms.update_alias(AliasName=it.id, TargetKeyId=it.inputs["targetKeyId"])

    def delete(self, it: Resource) -> None:
        """The key stays."""
        with if_there():
            it.aws.kms.delete_alias(AliasName=it.id)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARNs of the alias and of the key, name."""
        prefix = f"arn:aws:kms:{it.aws.region}:{it.aws.account}:"
        key: str = it.inputs["targetKeyId"]
        target = key if key.startswith("arn:") else f"{prefix}key/{key}"
        return {"arn": prefix + it.id, "targetKeyArn": target, "name": it.id}


def _alias(it: Resource) -> str:
    return str(it.inputs.get("name", f"alias/{it.name}"))
