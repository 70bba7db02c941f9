"""What was deployed, as far as this CloudWatch has to know it: read from the deployer's state file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops.local.cloudwatch import metric_math
from ops.local.cloudwatch.alarms import COMPARISONS, Alarm, Missing, State, Statistic
from ops.local.cloudwatch.errors import UnsupportedError
from ops.local.cloudwatch.log_metrics import MetricFilter
from ops.local.cloudwatch.metrics import Metric, percentage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
_COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
_FILTER = "aws:cloudwatch/logMetricFilter:LogMetricFilter"
_QUERY = "aws:cloudwatch/queryDefinition:QueryDefinition"
_MEMBER = re.compile(r'ALARM\("?([^"()]+)"?\)')
_PLAIN = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")


@dataclass(frozen=True, slots=True)
class SavedQuery:
    """A saved Logs Insights query."""

    name: str
    text: str
    groups: Sequence[str]


@dataclass(frozen=True, slots=True)
class Composite:
    """What a composite alarm is made of, by name: any of them sets it off, or all have to ring."""

    members: Sequence[str]
    needs_all: bool = False

    def rings(self, states: Mapping[str, str]) -> bool:
        """Whether it is in ALARM, given the states of alarms."""
        ringing = [states.get(member) == State.ALARM for member in self.members]
        return all(ringing) if self.needs_all else any(ringing)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a bus, with the ARNs of its targets."""

    bus: str
    name: str
    targets: Sequence[str]


@dataclass(frozen=True, slots=True)
class Definitions:
    """Everything that was deployed and concerns metrics, logs or alarms."""

    alarms: Sequence[Alarm] = ()
    composites: Mapping[str, Composite] = field(default_factory=dict)
    filters: Sequence[MetricFilter] = ()
    queries: Sequence[SavedQuery] = ()
    queues: Mapping[str, str] = field(default_factory=dict)  # name -> URL
    functions: Mapping[str, str] = field(default_factory=dict)  # log group -> name
    api_functions: Mapping[str, str] = field(default_factory=dict)  # function -> id of the API that it answers for
    rules: Sequence[Rule] = ()
    topics: Sequence[str] = ()  # ARNs


def definitions(state_file: Path) -> Definitions:
    """What the state file of a deployment holds; nothing where there is no such file.

    Raises:
        UnsupportedError: something deployed is of a form that the laptop does not know.
    """
    try:
        document = json.loads(state_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Definitions()
    by_type: dict[str, list[dict[str, Any]]] = {}
    try:
        for entry in document["resources"]:
            by_type.setdefault(entry["type"], []).append(entry)
    except (KeyError, TypeError) as error:
        raise UnsupportedError(f"{state_file} is not a state file of the deployer") from error
    functions = {_log_group(entry): entry["id"] for entry in by_type.get("aws:lambda/function:Function", [])}
    return Definitions(
        alarms=[alarm(entry["id"], entry["inputs"]) for entry in by_type.get(_ALARM, [])],
        composites={entry["id"]: composite(entry["inputs"]["alarmRule"]) for entry in by_type.get(_COMPOSITE, [])},
        filters=[metric_filter(entry["inputs"]) for entry in by_type.get(_FILTER, [])],
        queries=[_query(entry) for entry in by_type.get(_QUERY, [])],
        queues={entry["outputs"]["name"]: entry["id"] for entry in by_type.get("aws:sqs/queue:Queue", [])},
        functions=functions,
        api_functions=_api_functions(by_type, functions.values()),
        rules=_rules(by_type),
        topics=[entry["id"] for entry in by_type.get("aws:sns/topic:Topic", [])],
    )


def alarm(name: str, inputs: Mapping[str, Any]) -> Alarm:
    """A metric alarm from the inputs of aws:cloudwatch/metricAlarm:MetricAlarm.

    Raises:
        UnsupportedError: the laptop does not know its comparison, a statistic, its period or its expression.
    """
    queries = [_statistic(query) for query in inputs.get("metricQueries", [])] or [_single(inputs)]
    periods = inputs["evaluationPeriods"]
    found = Alarm(
        name=name,
        queries=queries,
        period=_period(name, inputs),
        comparison=inputs["comparisonOperator"],
        threshold=float(inputs["threshold"]),
        periods=periods,
        datapoints=inputs.get("datapointsToAlarm", periods),
        missing=Missing(inputs.get("treatMissingData", "missing")),
    )
    unknown = [
        q.statistic for q in queries if q.metric and q.statistic not in _PLAIN and percentage(q.statistic) is None
    ]
    if found.comparison not in COMPARISONS or unknown:
        raise UnsupportedError(f"alarm {name}: the laptop does not know {', '.join(unknown) or found.comparison}")
    if sum(query.is_result for query in queries) != 1:
        raise UnsupportedError(f"alarm {name}: exactly one of its metrics must return data")
    if inputs.get("evaluateLowSampleCountPercentiles") == "ignore":
        raise UnsupportedError(f"alarm {name}: the laptop does not ignore few samples of a percentile")
    for query in queries:
        if query.expression:
            metric_math.evaluate(query.expression, {one.id: [None] for one in queries if one.metric})
    return found


def composite(rule: str) -> Composite:
    """What a composite alarm's rule says: `ALARM("a") OR ALARM("b") OR …`, or the same with AND.

    Raises:
        UnsupportedError: the rule is another one.
    """
    needs_all = " AND " in rule
    found = [_MEMBER.fullmatch(part) for part in rule.split(" AND " if needs_all else " OR ")]
    names = [one[1] for one in found if one]
    if len(names) < len(found):
        raise UnsupportedError(
            f'alarm rule {rule!r}: the laptop knows only ALARM("a") OR ALARM("b") ..., or all by AND'
        )
    return Composite(names, needs_all)


def metric_filter(inputs: Mapping[str, Any]) -> MetricFilter:
    """A metric filter from the inputs of aws:cloudwatch/logMetricFilter:LogMetricFilter.

    Raises:
        UnsupportedError: the laptop does not know its pattern, its dimensions or its value.
    """
    target = inputs["metricTransformation"]
    if str(target["value"]) != "1":
        raise UnsupportedError(
            f"metric filter of {target['name']}: the laptop only counts 1 for a match, not {target['value']}"
        )
    default = target.get("defaultValue")
    return MetricFilter(
        group=inputs["logGroupName"],
        pattern=inputs["pattern"],
        metric=target["name"],
        namespace=target["namespace"],
        default=None if default is None else float(default),
        dimensions=target.get("dimensions", {}),
        unit=target.get("unit", "None"),
    )


def _single(inputs: Mapping[str, Any]) -> Statistic:
    metric = Metric.of(inputs["namespace"], inputs["metricName"], inputs.get("dimensions", {}))
    return Statistic("m", metric, inputs.get("extendedStatistic") or inputs["statistic"])


def _statistic(query: Mapping[str, Any]) -> Statistic:
    is_result = bool(query.get("returnData", False))
    found = query.get("metric")
    if found is None:
        return Statistic(query["id"], expression=query["expression"], is_result=is_result)
    metric = Metric.of(found["namespace"], found["metricName"], found.get("dimensions", {}))
    return Statistic(query["id"], metric, found["stat"], is_result=is_result)


def _period(name: str, inputs: Mapping[str, Any]) -> int:
    periods = {query["metric"]["period"] for query in inputs.get("metricQueries", []) if query.get("metric")}
    periods |= {inputs["period"]} if "period" in inputs else set()
    if len(periods) != 1:
        raise UnsupportedError(f"alarm {name}: all its metrics must have the same period")
    return int(periods.pop())


def _query(entry: Mapping[str, Any]) -> SavedQuery:
    inputs = entry["inputs"]
    return SavedQuery(inputs.get("name", entry["name"]), inputs["queryString"], inputs.get("logGroupNames", []))


def _log_group(entry: Mapping[str, Any]) -> str:
    return str(entry["inputs"].get("loggingConfig", {}).get("logGroup") or f"/aws/lambda/{entry['id']}")


def _api_functions(by_type: Mapping[str, list[dict[str, Any]]], names: Iterable[str]) -> dict[str, str]:
    integrations = [entry["inputs"] for entry in by_type.get("aws:apigatewayv2/integration:Integration", [])]
    return {
        name: inputs["apiId"]
        for inputs in integrations
        for name in names
        if f":function:{name}/" in inputs.get("integrationUri", "")
    }


def _rules(by_type: Mapping[str, list[dict[str, Any]]]) -> list[Rule]:
    targets: dict[tuple[str, str], list[str]] = {}
    for entry in by_type.get("aws:cloudwatch/eventTarget:EventTarget", []):
        inputs = entry["inputs"]
        targets.setdefault((inputs.get("eventBusName", "default"), inputs["rule"]), []).append(inputs["arn"])
    return [Rule(bus, name, arns) for (bus, name), arns in targets.items()]
