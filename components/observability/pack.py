"""Everything of CloudWatch that watches a stack: dashboard, alarms, metric filters, saved queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
from pulumi_aws import cloudwatch, get_region_output, sns

from components import naming
from components.compute.packaging import ROOT
from components.config.alarm_limits import AlarmLimits
from components.observability import dashboard
from components.observability.alarms.catalogue import pipeline_alarms, stack_alarms
from components.observability.alarms.model import (
    SEVERITIES,
    Alarm,
    Burn,
    Expression,
    Metric,
    PipelineTargets,
    Severity,
    StackTargets,
)

QUERIES = ROOT / "ops" / "queries"

_Made = cloudwatch.MetricAlarm | cloudwatch.CompositeAlarm


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservabilityPackArgs:
    """What the caller decides. `worker_log_groups` are by pipeline; `log_groups` are those of all functions."""

    limits: AlarmLimits
    runbook_base_url: str
    pipelines: Sequence[PipelineTargets]
    stack: StackTargets
    worker_log_groups: Mapping[str, pulumi.Input[str]]
    log_groups: Sequence[pulumi.Input[str]]
    topics: Mapping[Severity, sns.Topic]
    queries: Path = QUERIES


class ObservabilityPack(pulumi.ComponentResource):
    """The dashboard, alarms, metric filters and saved queries of a stack."""

    dashboard_url: pulumi.Output[str]

    def __init__(self, name: str, args: ObservabilityPackArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:observability:ObservabilityPack", name, None, opts)
        self._args = args
        self._stack = pulumi.get_stack()
        self._namespace = naming.metric_namespace(self._stack)
        self._child = pulumi.ResourceOptions(parent=self)
        alarms = self._alarms()
        overall = [self._composite(severity, alarms) for severity in SEVERITIES]
        for pipeline, group in args.worker_log_groups.items():
            self._filters(pipeline, group)
        for text in sorted(args.queries.glob("*.txt")):
            self._query(text)
        region = get_region_output(opts=pulumi.InvokeOutputOptions(parent=self)).region
        self.dashboard_url = self._dashboard(region, [*overall, *(made for _, made in alarms)])
        self.register_outputs({"dashboard_url": self.dashboard_url})

    def _alarms(self) -> list[tuple[Alarm, _Made]]:
        limits = self._args.limits
        found = [(alarm, "") for alarm in stack_alarms(self._args.stack, limits)]
        for pipeline in self._args.pipelines:
            found += [(alarm, pipeline.pipeline) for alarm in pipeline_alarms(pipeline, limits)]
        return [(alarm, self._alarm(alarm, pipeline)) for alarm, pipeline in found]

    def _alarm(self, alarm: Alarm, pipeline: str) -> _Made:
        topic = self._args.topics[alarm.severity].arn
        text = f"{alarm.description} Runbook: {self._args.runbook_base_url}{alarm.runbook}"
        if not alarm.windows:
            return self._metric_alarm(alarm, pipeline, text, [topic])
        name = naming.alarm(self._stack, alarm.name, pipeline)
        window = f"A window of {alarm.name}, which notifies."
        windows = [self._metric_alarm(one, pipeline, window, []) for one in alarm.windows]
        return cloudwatch.CompositeAlarm(
            f"{pipeline}-{alarm.name}",
            alarm_name=name,
            alarm_description=text,
            alarm_rule=pulumi.Output.all(*(one.name for one in windows)).apply(partial(_joined, "AND")),
            alarm_actions=[topic],
            ok_actions=[topic],
            opts=self._child,
        )

    def _metric_alarm(
        self, alarm: Alarm, pipeline: str, text: str, topics: list[pulumi.Output[str]]
    ) -> cloudwatch.MetricAlarm:
        return cloudwatch.MetricAlarm(
            f"{pipeline}-{alarm.name}" if pipeline else alarm.name,
            name=naming.alarm(self._stack, alarm.name, pipeline),
            alarm_description=text,
            comparison_operator=alarm.comparison,
            threshold=alarm.threshold,
            datapoints_to_alarm=alarm.span.datapoints,
            evaluation_periods=alarm.span.periods,
            treat_missing_data=alarm.missing.treatment,
            alarm_actions=topics,
            ok_actions=topics,
            opts=self._child,
            **_measured(alarm),
        )

    def _composite(self, severity: Severity, alarms: Sequence[tuple[Alarm, _Made]]) -> cloudwatch.CompositeAlarm:
        """Sum up all alarms of a severity. It has no actions: each of the alarms notifies by itself."""
        names = [_name(made) for alarm, made in alarms if alarm.severity == severity]
        return cloudwatch.CompositeAlarm(
            severity,
            alarm_name=naming.alarm(self._stack, severity),
            alarm_description=f"Any {severity} alarm of the stack {self._stack}.",
            alarm_rule=pulumi.Output.all(*names).apply(partial(_joined, "OR")),
            opts=self._child,
        )

    def _filters(self, pipeline: str, log_group: pulumi.Input[str]) -> None:
        errors = {"dimensions": {"errorType": "$.errorType"}}
        processed = {"default_value": "0"}  # AWS has no default for metrics with dimensions
        for name, metric, pattern, more in (
            ("record-errors", "RecordErrors", '{ $.errorType = "*" }', errors),
            ("records-processed", "RecordsProcessed", "{ $.processed IS TRUE }", processed),
        ):
            cloudwatch.LogMetricFilter(
                f"{pipeline}-{name}",
                log_group_name=log_group,
                pattern=pattern,
                metric_transformation=cloudwatch.LogMetricFilterMetricTransformationArgs(
                    name=metric, namespace=self._namespace, value="1", unit="Count", **more
                ),
                opts=self._child,
            )

    def _query(self, text: Path) -> None:
        cloudwatch.QueryDefinition(
            f"query-{text.stem}",
            name=naming.saved_query(pulumi.get_project(), self._stack, text.stem),
            query_string=text.read_text(encoding="utf-8").strip(),
            log_group_names=self._args.log_groups,
            opts=self._child,
        )

    def _dashboard(self, region: pulumi.Output[str], alarms: Sequence[_Made]) -> pulumi.Output[str]:
        view = dashboard.DashboardView(
            region=region,
            namespace=self._namespace,
            period_seconds=self._args.limits.period_seconds,
            alarm_arns=[alarm.arn for alarm in alarms],
            pipelines=self._args.pipelines,
            stack=self._args.stack,
            recent_errors=pulumi.Output.all(*self._args.log_groups).apply(dashboard.recent_errors),
        )
        made = cloudwatch.Dashboard(
            "dashboard",
            dashboard_name=naming.dashboard(self._stack),
            dashboard_body=pulumi.Output.json_dumps(dashboard.body(view)),
            opts=self._child,
        )
        console = "https://{0}.console.aws.amazon.com/cloudwatch/home?region={0}#dashboards/dashboard/{1}"
        return pulumi.Output.format(console, region, made.dashboard_name)


def _name(made: _Made) -> pulumi.Output[str]:
    return made.alarm_name if isinstance(made, cloudwatch.CompositeAlarm) else made.name


def _joined(by: str, names: Sequence[str]) -> str:
    return f" {by} ".join(f'ALARM("{name}")' for name in names)


def _measured(alarm: Alarm) -> dict[str, Any]:
    """The inputs of a metric alarm that say what it measures."""
    assert not isinstance(alarm.source, Burn)  # noqa: S101 - each of its windows is an alarm
    if isinstance(alarm.source, Expression):
        return {"metric_queries": _queries(alarm.source, alarm.period_seconds)}
    statistic = "extended_statistic" if alarm.source.is_percentile else "statistic"
    # a slow batch is a slow batch: few samples are no reason to look away
    few = {"evaluate_low_sample_count_percentiles": "evaluate"} if alarm.source.is_percentile else {}
    return {**_metric(alarm.source, alarm.period_seconds), statistic: alarm.source.statistic, **few}


def _queries(source: Expression, period_seconds: int) -> list[dict[str, Any]]:
    operands = [
        {
            "id": variable,
            "metric": {**_metric(metric, period_seconds), "stat": metric.statistic},
            "return_data": False,
        }
        for variable, metric in source.metrics.items()
    ]
    return [{"id": "result", "expression": source.formula, "label": source.label, "return_data": True}, *operands]


def _metric(metric: Metric, period_seconds: int) -> dict[str, Any]:
    return {
        "namespace": metric.namespace,
        "metric_name": metric.name,
        "dimensions": dict(metric.dimensions),
        "period": period_seconds,
    }
