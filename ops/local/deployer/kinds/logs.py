"""Log groups, metric filters on them, saved queries over them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.cloudwatch import definitions, insights
from ops.local.deployer.aws import if_there
from ops.local.deployer.kinds.base import Attached, Kind, Resource, sync_tags
from ops.local.deployer.translate import Fields, Sub

if TYPE_CHECKING:
    from ops.local.deployer.aws import Aws


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
        if it.inputs.get("kmsKeyId") == it.before.get("kmsKeyId"):
            pass  # the emulator has no AssociateKmsKey, so nobody has changed it by hand either
        elif "kmsKeyId" in it.inputs:
            it.aws.logs.associate_kms_key(logGroupName=it.id, kmsKeyId=it.inputs["kmsKeyId"])
        else:
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


class LogMetricFilter(Attached):
    """aws:cloudwatch/logMetricFilter:LogMetricFilter. The emulator keeps it, the daemon does what it says."""

    fields: ClassVar[Fields] = {
        "name": "filterName",
        "logGroupName": "logGroupName",
        "pattern": "filterPattern",
        "metricTransformation": Sub(
            "metricTransformations",
            {
                "name": "metricName",
                "namespace": "metricNamespace",
                "value": "metricValue",
                "defaultValue": "defaultValue",
                "dimensions": "dimensions",
                "unit": "unit",
            },
        ),
    }
    fixed = frozenset({"name", "logGroupName"})

    def find(self, it: Resource) -> str | None:
        """By group and name."""
        with if_there():
            found = it.aws.logs.describe_metric_filters(
                logGroupName=it.inputs["logGroupName"], filterNamePrefix=it.physical
            )["metricFilters"]
            return next((it.physical for one in found if one.get("filterName") == it.physical), None)
        return None

    def put(self, it: Resource) -> str:
        """All of it, once the laptop's filters have found that they know its pattern."""
        definitions.metric_filter(it.inputs)
        transformation: dict[str, Any] = dict(it.params["metricTransformations"])
        if "defaultValue" in transformation:
            transformation["defaultValue"] = float(transformation["defaultValue"])
        it.aws.client("logs").put_metric_filter(
            logGroupName=it.inputs["logGroupName"],
            filterName=it.physical,
            filterPattern=it.inputs["pattern"],
            metricTransformations=[transformation],
        )
        return it.physical

    def delete(self, it: Resource) -> None:
        """By group and name."""
        with if_there():
            it.aws.logs.delete_metric_filter(logGroupName=it.inputs["logGroupName"], filterName=it.id)


class QueryDefinition(Attached):
    """aws:cloudwatch/queryDefinition:QueryDefinition, in the state file only: the emulator has no such call."""

    fields: ClassVar[Fields] = {"name": "name", "queryString": "queryString", "logGroupNames": "logGroupNames"}

    def find(self, it: Resource) -> str | None:
        """There when it is recorded."""
        return it.id or None

    def put(self, it: Resource) -> str:
        """Nothing to call; the laptop's Logs Insights finds whether it can run it."""
        insights.run(it.inputs["queryString"], [])
        return it.id or hashlib.sha256(it.physical.encode()).hexdigest()[:32]

    def delete(self, it: Resource) -> None:
        """Nothing to call."""

    def outputs(self, it: Resource) -> dict[str, Any]:
        """Its id."""
        return {"queryDefinitionId": it.id}


def _arn(aws: Aws, name: str) -> str:
    return f"arn:aws:logs:{aws.region}:{aws.account}:log-group:{name}"
