"""Metrics out of log lines: metric filters, CloudWatch's embedded metric format, and how much came in."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops.local.cloudwatch import logs
from ops.local.cloudwatch.errors import UnsupportedError
from ops.local.cloudwatch.metrics import Datum, Metric, Point

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ops.local.cloudwatch.logs import LogEvent

_PATTERN = re.compile(r'\{ \$\.(\w+) (?:(= "\*")|IS TRUE) \}')
_SELECTOR = re.compile(r"\$\.(\w+)")


@dataclass(frozen=True, slots=True)
class MetricFilter:
    """A metric filter, as it was deployed: it counts 1 for each matching event.

    Patterns are `{ $.field = "*" }` (any text or number) and `{ $.field IS TRUE }`; `dimensions` are selectors
    (`$.field`) by name, `default` is what a batch of events without a match counts as.
    """

    group: str
    pattern: str
    metric: str
    namespace: str
    default: float | None = None
    dimensions: Mapping[str, str] = field(default_factory=dict)
    unit: str = "None"

    def __post_init__(self) -> None:
        unknown = [selector for selector in self.dimensions.values() if not _SELECTOR.fullmatch(selector)]
        unknown += [] if _PATTERN.fullmatch(self.pattern) else [self.pattern]
        unknown += [f"the default value {self.default}"] if self.default else []
        if unknown:
            raise UnsupportedError(f"metric filter of {self.metric}: the laptop does not know {', '.join(unknown)}")

    def matches(self, message: str) -> bool:
        """Whether a log line is one that the filter counts; a line that is no JSON object never is."""
        found = _PATTERN.fullmatch(self.pattern)
        value = logs.fields(message).get(found[1]) if found else None
        if found and found[2]:
            return isinstance(value, str | int | float) and not isinstance(value, bool)
        return value is True

    def data(self, events: Sequence[LogEvent]) -> Iterator[Datum]:
        """Yield a point for each event that matches, or the default where events came and none matches."""
        mine = [event for event in events if event.group == self.group]
        found = [datum for event in mine if self.matches(event.message) for datum in self._datum(event)]
        yield from found
        if mine and not found and self.default is not None:
            metric = Metric.of(self.namespace, self.metric, {})
            yield Datum(metric, Point(mine[-1].timestamp / 1000, self.default), self.unit)

    def _datum(self, event: LogEvent) -> Iterator[Datum]:
        fields = logs.fields(event.message)
        dimensions = {name: fields.get(selector.removeprefix("$.")) for name, selector in self.dimensions.items()}
        if None not in dimensions.values():
            metric = Metric.of(self.namespace, self.metric, {name: str(value) for name, value in dimensions.items()})
            yield Datum(metric, Point(event.timestamp / 1000, 1.0), self.unit)


def embedded(message: str) -> Iterator[Datum]:
    """Yield the metrics of a line in the embedded metric format; none where the line is not one.

    Values are numbers or arrays of them; one point for each set of dimensions. A metric or a dimension that the line
    names and does not hold is left out, as CloudWatch does.
    """
    fields = logs.fields(message)
    head = fields.get("_aws")
    if not isinstance(head, dict) or "Timestamp" not in head:
        return
    for directive in head.get("CloudWatchMetrics", []):
        for names in directive.get("Dimensions", [[]]):
            if all(name in fields for name in names):
                dimensions = {name: str(fields[name]) for name in names}
                yield from _directive(directive, dimensions, fields, head["Timestamp"] / 1000)


def _directive(
    directive: Mapping[str, Any], dimensions: Mapping[str, str], fields: Mapping[str, Any], at: float
) -> Iterator[Datum]:
    for definition in directive.get("Metrics", []):
        metric = Metric.of(directive["Namespace"], definition["Name"], dimensions)
        found = fields.get(definition["Name"], [])
        values = Counter(float(value) for value in _listed(found) if isinstance(value, int | float))
        for value, count in values.items():
            yield Datum(metric, Point(at, value, count), definition.get("Unit", "None"))


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else [value]


def ingested(events: Sequence[LogEvent]) -> Iterator[Datum]:
    """Yield AWS/Logs IncomingBytes of each group that events came to.

    Lines of Lambda's own, which are no JSON, are left out: on AWS the functions have them off (systemLogLevel).
    """
    mine = [event for event in events if event.message.startswith("{")]
    for group in dict.fromkeys(event.group for event in mine):
        lines = [event for event in mine if event.group == group]
        metric = Metric.of("AWS/Logs", "IncomingBytes", {"LogGroupName": group})
        size = sum(len(event.message.encode()) for event in lines)
        yield Datum(metric, Point(lines[-1].timestamp / 1000, float(size)), "Bytes")
