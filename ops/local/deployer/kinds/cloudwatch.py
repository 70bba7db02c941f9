"""Alarms and dashboards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.cloudwatch import definitions
from ops.local.deployer.aws import if_there
from ops.local.deployer.errors import DeployError
from ops.local.deployer.kinds.base import Attached, Kind, Resource, Seen, sync_tags, tag_list
from ops.local.deployer.translate import Fields, Sub

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACTIONS = {
    "actionsEnabled": "ActionsEnabled",
    "alarmActions": "AlarmActions",
    "okActions": "OKActions",
    "insufficientDataActions": "InsufficientDataActions",
    "alarmDescription": "AlarmDescription",
    "tags": "Tags",
}
_METRIC = {
    "metricName": "MetricName",
    "namespace": "Namespace",
    "dimensions": "Dimensions",
    "period": "Period",
    "stat": "Stat",
    "unit": "Unit",
}
_QUERY: Fields = {
    "id": "Id",
    "expression": "Expression",
    "label": "Label",
    "period": "Period",
    "returnData": "ReturnData",
    "metric": Sub("metric", _METRIC),
}


class _Alarm(Kind, Seen):
    """What both kinds of alarms have in common."""

    alarm_type: ClassVar[str]

    def find(self, it: Resource) -> str | None:
        """By name."""
        client = it.aws.client("cloudwatch")
        found = client.describe_alarms(AlarmNames=[self.called(it)], AlarmTypes=[self.alarm_type])
        return self.called(it) if found[f"{self.alarm_type}s"] else None

    def seen(self, it: Resource) -> Mapping[str, object]:
        """All but its state."""
        client = it.aws.client("cloudwatch")
        (found,) = client.describe_alarms(AlarmNames=[self.called(it)], AlarmTypes=[self.alarm_type])[
            f"{self.alarm_type}s"
        ]
        return {name: value for name, value in found.items() if "State" not in name and "Timestamp" not in name}

    def called(self, it: Resource) -> str:
        """Name of the alarm."""
        return it.physical

    def create(self, it: Resource) -> str:
        """In one call, tags too."""
        self.put(it, Tags=tag_list(it.inputs.get("tags", {})))
        return self.called(it)

    def update(self, it: Resource) -> None:
        """Everything at once, as AWS does; the state stays. Tags have calls of their own."""
        self.put(it)
        client, arn = it.aws.client("cloudwatch"), _alarm_arn(it, it.id)
        sync_tags(
            it,
            lambda tags: client.tag_resource(ResourceARN=arn, Tags=tag_list(tags)),
            lambda keys: client.untag_resource(ResourceARN=arn, TagKeys=keys),
        )

    def put(self, it: Resource, **more: Any) -> None:  # noqa: ANN401 - tags
        """Set all of it."""
        raise NotImplementedError

    def delete(self, it: Resource) -> None:
        """By name."""
        with if_there():
            it.aws.client("cloudwatch").delete_alarms(AlarmNames=[it.id])

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN."""
        return super().outputs(it) | {"arn": _alarm_arn(it, it.id)}


class MetricAlarm(_Alarm):
    """aws:cloudwatch/metricAlarm:MetricAlarm.

    The emulator would evaluate it by rules of its own whenever it knows namespace and metric, so it gets no namespace;
    the daemon evaluates the alarm from the state file and sets its state.
    """

    alarm_type = "MetricAlarm"
    fields: ClassVar[Fields] = _ACTIONS | {
        "name": "AlarmName",
        "comparisonOperator": "ComparisonOperator",
        "evaluationPeriods": "EvaluationPeriods",
        "datapointsToAlarm": "DatapointsToAlarm",
        "threshold": "Threshold",
        "treatMissingData": "TreatMissingData",
        "namespace": "namespace",
        "metricName": "MetricName",
        "dimensions": "Dimensions",
        "period": "Period",
        "statistic": "Statistic",
        "extendedStatistic": "ExtendedStatistic",
        "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
        "metricQueries": Sub("Metrics", _QUERY),
    }
    fixed = frozenset({"name"})

    def put(self, it: Resource, **more: Any) -> None:  # noqa: ANN401 - tags
        """All of it, once the laptop's evaluator has found that it can evaluate it."""
        definitions.alarm(it.physical, it.inputs)
        given = {name: value for name, value in it.params.items() if name not in {"namespace", "Tags"}}
        if "Dimensions" in given:
            given["Dimensions"] = _dimensions(given["Dimensions"])
        if "Metrics" in given:
            given["Metrics"] = [_metric_query(query) for query in given["Metrics"]]
        it.aws.client("cloudwatch").put_metric_alarm(**given | {"AlarmName": it.physical} | more)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN and name."""
        return super().outputs(it) | {"name": it.id}


class CompositeAlarm(_Alarm):
    """aws:cloudwatch/compositeAlarm:CompositeAlarm; the emulator evaluates it when one of its alarms changes."""

    alarm_type = "CompositeAlarm"
    fields: ClassVar[Fields] = _ACTIONS | {"alarmName": "AlarmName", "alarmRule": "AlarmRule"}
    fixed = frozenset({"alarmName"})

    def called(self, it: Resource) -> str:
        """Its name is no `name`."""
        return str(it.inputs["alarmName"])

    def put(self, it: Resource, **more: Any) -> None:  # noqa: ANN401 - tags
        """All of it, once the laptop's evaluator has found that it knows the rule."""
        definitions.composite(it.inputs["alarmRule"])
        given = {name: value for name, value in it.params.items() if name != "Tags"}
        it.aws.client("cloudwatch").put_composite_alarm(**given | more)


class Dashboard(Attached):
    """aws:cloudwatch/dashboard:Dashboard."""

    fields: ClassVar[Fields] = {"dashboardName": "DashboardName", "dashboardBody": "DashboardBody"}
    fixed = frozenset({"dashboardName"})

    def find(self, it: Resource) -> str | None:
        """By name."""
        name: str = it.inputs["dashboardName"]
        with if_there():
            it.aws.client("cloudwatch").get_dashboard(DashboardName=name)
            return name
        return None

    def put(self, it: Resource) -> str:
        """The whole body.

        Raises:
            DeployError: CloudWatch finds fault with it.
        """
        faults = it.aws.client("cloudwatch").put_dashboard(**it.params).get("DashboardValidationMessages")
        if faults:
            raise DeployError(f"dashboard {it.name!r}: {faults}")
        return str(it.inputs["dashboardName"])

    def delete(self, it: Resource) -> None:
        """By name."""
        with if_there():
            it.aws.client("cloudwatch").delete_dashboards(DashboardNames=[it.id])

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN, which has no region."""
        return {"dashboardArn": f"arn:aws:cloudwatch::{it.aws.account}:dashboard/{it.id}"}


def _alarm_arn(it: Resource, name: str) -> str:
    return f"arn:aws:cloudwatch:{it.aws.region}:{it.aws.account}:alarm:{name}"


def _dimensions(dimensions: Mapping[str, str]) -> Any:  # noqa: ANN401 - a list of TypedDicts
    return tag_list(dimensions, "Name", "Value")


def _metric_query(query: dict[str, Any]) -> dict[str, Any]:
    """A query as the API nests it."""
    found = dict(query)
    metric = found.pop("metric", None)
    if metric:
        named = {key: metric[key] for key in ("Namespace", "MetricName")}
        statistic = {key: metric[key] for key in ("Period", "Stat", "Unit") if key in metric}
        found["MetricStat"] = statistic | {"Metric": named | {"Dimensions": _dimensions(metric.get("Dimensions", {}))}}
    return found
