"""Log groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.deployer.aws import if_there
from ops.local.deployer.kinds.base import Kind, Resource, sync_tags

if TYPE_CHECKING:
    from ops.local.deployer.aws import Aws
    from ops.local.deployer.translate import Fields


class LogGroup(Kind):
    """aws:cloudwatch/logGroup:LogGroup."""

    fields: ClassVar[Fields] = {
        "name": "logGroupName",
        "namePrefix": "namePrefix",
        "retentionInDays": "retentionInDays",
        "kmsKeyId": "kmsKeyId",
        "logGroupClass": "logGroupClass",
        "tags": "tags",
    }
    fixed = frozenset({"name", "namePrefix", "logGroupClass"})

    def find(self, it: Resource) -> str | None:
        """By name."""
        name = it.physical
        groups = it.aws.logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        return next((name for group in groups if group.get("logGroupName") == name), None)

    def create(self, it: Resource) -> str:
        """With its retention."""
        given = it.pick("kmsKeyId", "logGroupClass", "tags")
        it.aws.logs.create_log_group(logGroupName=it.physical, **given)
        self._retain(it)
        return it.physical

    def update(self, it: Resource) -> None:
        """Retention, key and tags."""
        self._retain(it)
        if "kmsKeyId" in it.inputs:
            it.aws.logs.associate_kms_key(logGroupName=it.id, kmsKeyId=it.inputs["kmsKeyId"])
        elif "kmsKeyId" in it.before:
            it.aws.logs.disassociate_kms_key(logGroupName=it.id)
        arn = _arn(it.aws, it.id)
        sync_tags(
            it,
            lambda tags: it.aws.logs.tag_resource(resourceArn=arn, tags=tags),
            lambda keys: it.aws.logs.untag_resource(resourceArn=arn, tagKeys=keys),
        )

    def delete(self, it: Resource) -> None:
        """With its lines."""
        with if_there():
            it.aws.logs.delete_log_group(logGroupName=it.id)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN (without ":*", as the provider gives it) and name."""
        return super().outputs(it) | {"arn": _arn(it.aws, it.id), "name": it.id}

    def _retain(self, it: Resource) -> None:
        if days := it.inputs.get("retentionInDays"):
            it.aws.logs.put_retention_policy(logGroupName=it.physical, retentionInDays=days)
        elif it.before.get("retentionInDays"):
            it.aws.logs.delete_retention_policy(logGroupName=it.physical)


def _arn(aws: Aws, name: str) -> str:
    return f"arn:aws:logs:{aws.region}:{aws.account}:log-group:{name}"
