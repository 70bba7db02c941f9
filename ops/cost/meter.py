"""What the runs of a deployed stack were like, as CloudWatch and the state table tell it, on the laptop and on AWS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ops.cost.fixed import of
from ops.cost.paths import PRODUCERS, Figure, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from ops.cost.fixed import Resource

_SAMPLE = 100  # records that are looked at at a time: 25 read units or so
_PAGES = 5  # of them at most, where a pipeline has none among the first
_PERIOD = 3600
_WHOLE = "Complete"
# Each message that a worker was given counts once in one of these.
_HANDLED = ("Succeeded", "Duplicates", "DeadLettered", "Retried", "HandedBack", "Unsettled")
_FLAG_BYTES = 1


@dataclass(frozen=True, slots=True)
class Place:
    """A deployed stack: clients by service, its outputs, its groups of outputs by pipeline, and what was registered."""

    stack: str
    client: Callable[[str], Any]
    outputs: Mapping[str, Any]
    pipelines: Mapping[str, Mapping[str, str]]
    resources: Sequence[Resource]


@dataclass(frozen=True, slots=True)
class Measured:
    """Usage by pipeline, and the metrics that CloudWatch has not told whole, each with its word for it."""

    usages: dict[str, Usage]
    unread: list[str]


def measured(place: Place, assumed: Mapping[str, Usage], start: datetime, end: datetime) -> Measured:
    """What was seen between the two, and what is assumed where nothing was, or where it could not be looked up."""
    numbers, unread = _numbers(place, start, end)
    items = _items(place)
    usages = {
        name: replace(usage, **_figures(name, numbers, items.get(name, [])))
        for name, usage in assumed.items()
        if name in place.pipelines
    }
    return Measured(
        usages | {name: usage for name, usage in assumed.items() if name not in place.pipelines},
        [f"{name}: {status}" for name, status in unread.items()],
    )


def _figures(name: str, numbers: Mapping[str, float], items: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """What is known of a pipeline, by the name of its figure."""
    handled = sum(numbers.get(f"{name} {metric}", 0) for metric in _HANDLED)
    payloads = [len(one["payload"]["S"].encode()) for one in items if "payload" in one]  # a large one is not kept
    runs, calls = (numbers.get(f"{name} {who} Invocations", 0) for who in ("worker", "producer"))
    found = {
        "batch": (handled, runs),
        "producer_ms": (numbers.get(f"{name} producer Duration", 0), calls),
        "worker_ms": (numbers.get(f"{name} worker Duration", 0), runs),
        "producer_log_bytes": (numbers.get(f"{name} producer IncomingBytes", 0), calls),
        "worker_log_bytes": (numbers.get(f"{name} worker IncomingBytes", 0), handled),
        "access_log_bytes": (
            numbers.get("access IncomingBytes", 0) if name != "lake" else 0,
            numbers.get("requests", 0),
        ),
        "item_bytes": (sum(map(item_bytes, items)), len(items)),
        "message_bytes": (sum(payloads), len(payloads)),
    }
    figures = {key: Figure(total / by, "measured") for key, (total, by) in found.items() if total > 0 and by > 0}
    if "batch" in figures and figures["batch"].value < 1:  # of runs without a message, such as a warm-up
        figures["batch"] = Figure(1, "measured")
    return figures


def item_bytes(item: Mapping[str, Any]) -> int:
    """Size of an item as DynamoDB counts it: names and values."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return (len(content) + 1) // 2 + 1
    return _FLAG_BYTES


def _items(place: Place) -> dict[str, list[Mapping[str, Any]]]:
    """Some records of the state table by pipeline."""
    client = place.client("dynamodb")
    found: dict[str, list[Mapping[str, Any]]] = {}
    start: dict[str, Any] = {}
    for _ in range(_PAGES):
        answer = client.scan(TableName=place.outputs["DynamoTableName"], Limit=_SAMPLE, **start)
        for item in answer["Items"]:
            found.setdefault(item.get("pipeline", {}).get("S", ""), []).append(item)
        if place.pipelines.keys() <= found.keys() or "LastEvaluatedKey" not in answer:
            break
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
    return found


def _numbers(place: Place, start: datetime, end: datetime) -> tuple[dict[str, float], dict[str, str]]:
    """What CloudWatch has, by a name of ours, and what it has not told whole; nothing where it has no data."""
    wanted = _wanted(place)
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": namespace,
                    "MetricName": metric,
                    "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
                },
                "Period": _PERIOD,
                "Stat": "Sum",  # of durations too: an hour of one run is not worth as much as one of a thousand
            },
        }
        for number, (namespace, metric, dimensions) in enumerate(wanted.values())
    ]
    names = {f"m{number}": name for number, name in enumerate(wanted)}
    sums: dict[str, float] = {}
    statuses = dict.fromkeys(wanted, "no answer")
    client = place.client("cloudwatch")
    token: dict[str, str] = {}
    while True:  # a page has a part of the values; how whole a metric is, its last one says
        answer = client.get_metric_data(MetricDataQueries=queries, StartTime=start, EndTime=end, **token)
        for one in answer["MetricDataResults"]:
            name = names[one["Id"]]
            statuses[name] = one.get("StatusCode", _WHOLE)
            if one["Values"]:
                sums[name] = sums.get(name, 0) + sum(one["Values"])
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    unread = {name: status for name, status in statuses.items() if status != _WHOLE}
    return {name: total for name, total in sums.items() if name not in unread}, unread


def _wanted(place: Place) -> dict[str, tuple[str, str, dict[str, str]]]:
    groups = {
        one.name: one.inputs.get("loggingConfig", {}).get("logGroup", "") for one in of(place.resources, "Function")
    }
    access = [one.inputs["name"] for one in of(place.resources, "LogGroup") if one.name.endswith("-access-logs")]
    api = str(place.outputs["ApiEndpoint"]).rstrip("/").partition("://")[2]
    wanted = {
        "access IncomingBytes": ("AWS/Logs", "IncomingBytes", {"LogGroupName": access[0] if access else "-"}),
        "requests": ("AWS/ApiGateway", "Count", {"ApiId": api.partition(".")[0].rpartition("/")[2]}),
    }
    for name, group in place.pipelines.items():
        if name not in PRODUCERS:  # somebody's own, of which no price is known
            continue
        functions = {
            "worker": (f"{name}-worker", group["workerFunctionName"]),
            "producer": (PRODUCERS[name], group.get("ingestFunctionName") or group.get("apiFunctionName", "")),
        }
        for who, (logical, physical) in functions.items():
            for metric in ("Invocations", "Duration"):
                wanted[f"{name} {who} {metric}"] = ("AWS/Lambda", metric, {"FunctionName": physical})
            wanted[f"{name} {who} IncomingBytes"] = (
                "AWS/Logs",
                "IncomingBytes",
                {"LogGroupName": groups.get(logical, "-")},
            )
        for metric in _HANDLED:
            wanted[f"{name} {metric}"] = (f"IngestionLab/{place.stack}", metric, {"pipeline": name})
    return wanted
