"""What a stack costs each month before the first event, counted from what the program registers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ops.cost import prices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from decimal import Decimal

    from ops.cost.prices import Price

HOURS = 730  # of a month, as AWS's calculator has it
_MINUTES = HOURS * 60
_OWN = "IngestionLab/"
_IDLE_RECEIVES = 5 * 3  # a minute: Lambda waits at an empty queue with five long polls of 20 seconds
_PER_MINUTE = {"minute": 1, "minutes": 1, "hour": 60, "hours": 60, "day": 1440, "days": 1440}


class Resource(Protocol):
    """One registration of the program: type token, logical name and inputs."""

    @property
    def type(self) -> str:
        """Such as `aws:sqs/queue:Queue`."""

    @property
    def name(self) -> str:
        """Its logical name."""

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What was passed in."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something that is paid for each month, the price of one, and how many of it a stack has.

    `is_optional` is what goes with `observabilityEnabled`: not the metrics, most of which the functions print all the
    same.
    """

    name: str
    price: Price
    count: Callable[[Sequence[Resource]], int]
    is_optional: bool = False

    def dollars(self, resources: Sequence[Resource]) -> Decimal:
        """For a month."""
        return self.price.dollars * self.count(resources)


def of(resources: Sequence[Resource], kind: str) -> list[Resource]:
    """All registrations of this type; its class name is enough."""
    return [one for one in resources if one.type.endswith(f":{kind}")]


def metrics(resources: Sequence[Resource]) -> Iterator[tuple[str, str, str]]:
    """Namespace, name and dimensions of what alarms read, the dashboard draws or filters make; some more than once."""
    for alarm in of(resources, "MetricAlarm"):
        parts = [query["metric"] for query in alarm.inputs.get("metricQueries", []) if "metric" in query]
        for part in parts or [alarm.inputs]:
            dimensions = json.dumps(part.get("dimensions", {}), sort_keys=True)
            yield part["namespace"], part["metricName"], dimensions
    for dashboard in of(resources, "Dashboard"):
        for widget in json.loads(dashboard.inputs["dashboardBody"])["widgets"]:
            for line in widget["properties"].get("metrics", []):
                namespace, name, *rest = [part for part in line if not isinstance(part, dict)] or ("", "")
                yield namespace, name, json.dumps(dict(zip(rest[::2], rest[1::2], strict=False)), sort_keys=True)
    for filter_ in of(resources, "LogMetricFilter"):
        made = filter_.inputs["metricTransformation"]
        yield made["namespace"], made["name"], json.dumps(made.get("dimensions", {}), sort_keys=True)


def _alarm_metrics(resources: Sequence[Resource]) -> int:
    """An alarm is priced by the metrics that it reads."""
    return sum(
        max(1, sum("metric" in query for query in alarm.inputs.get("metricQueries", [])))
        for alarm in of(resources, "MetricAlarm")
    )


def _own_metrics(resources: Sequence[Resource]) -> int:
    """Metrics of the project's namespace that alarms read, the dashboard draws or filters make, each once."""
    return len({metric for metric in metrics(resources) if metric[0].startswith(_OWN)})


def _ticks(resources: Sequence[Resource]) -> int:
    """Invocations by schedules that are on from the start."""
    return sum(map(_monthly, of(resources, "EventRule")))


def _monthly(rule: Resource) -> int:
    expression = rule.inputs.get("scheduleExpression")
    if expression is None or rule.inputs.get("state") == "DISABLED":
        return 0
    if not (found := re.fullmatch(r"rate\((\d+) (\w+)\)", expression)):
        raise ValueError(expression)
    return _MINUTES // (int(found[1]) * _PER_MINUTE[found[2]])


def _receives(resources: Sequence[Resource], *, fifo: bool) -> int:
    queues = {f"arn:{queue.name}" for queue in of(resources, "Queue") if queue.inputs.get("fifoQueue")}
    mappings = of(resources, "EventSourceMapping")
    return sum((one.inputs["eventSourceArn"] in queues) is fifo for one in mappings) * _IDLE_RECEIVES * _MINUTES


def _poller_hours(resources: Sequence[Resource]) -> int:
    """Of those that are always there."""
    mappings = of(resources, "EventSourceMapping")
    pollers = [one.inputs.get("provisionedPollerConfig") or {} for one in mappings]
    return sum(int(one.get("minimumPollers", 0)) for one in pollers) * HOURS


ITEMS = (
    Item("alarm metric, standard resolution", prices.ALARM_METRIC, _alarm_metrics, is_optional=True),
    Item("composite alarm", prices.COMPOSITE_ALARM, lambda r: len(of(r, "CompositeAlarm")), is_optional=True),
    Item("dashboard", prices.DASHBOARD, lambda r: len(of(r, "Dashboard")), is_optional=True),
    Item("custom metric, of the first 10,000", prices.CUSTOM_METRIC, _own_metrics),
    Item("customer key", prices.CUSTOMER_KEY, lambda r: len(of(r, "Key"))),
    Item("hour of a provisioned poller", prices.POLLER_HOUR, _poller_hours),
    Item("invocation by a schedule", prices.LAMBDA_REQUEST, _ticks),
    Item("receive from an empty queue", prices.SQS_REQUEST[False], partial(_receives, fifo=False)),
    Item("receive from an empty FIFO queue", prices.SQS_REQUEST[True], partial(_receives, fifo=True)),
)
