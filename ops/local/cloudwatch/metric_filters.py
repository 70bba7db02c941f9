"""Metric filters: datapoints from log events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ops.local.cloudwatch import filters
from ops.local.cloudwatch.errors import UnsupportedError
from ops.local.cloudwatch.metrics import Datum, Metric, Point

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ops.local.cloudwatch.logs import LogEvent


@dataclass(frozen=True, slots=True)
class MetricFilter:
    """A metric filter, as it was deployed. `value` is a number or a selector (`$.latency`)."""

    group: str
    pattern: str
    metric: str
    namespace: str
    value: str = "1"
    default: float | None = None
    dimensions: Mapping[str, str] = field(default_factory=dict)  # name -> selector
    unit: str = "None"

    def __post_init__(self) -> None:
        if self.default:
            raise UnsupportedError(f"metric filter of {self.metric}: a default value other than 0")
        filters.compiled(self.pattern)

    def data(self, events: Sequence[LogEvent]) -> Iterator[Datum]:
        """What it makes of events: a point for each that matches, or its default where some came and none matches."""
        matches = filters.compiled(self.pattern)
        mine = [event for event in events if event.group == self.group]
        found = [datum for event in mine if matches(event.message) for datum in self._datum(event)]
        yield from found
        if mine and not found and self.default is not None:
            metric = Metric.of(self.namespace, self.metric, {})
            yield Datum(metric, Point(mine[-1].timestamp / 1000, self.default), self.unit)

    def _datum(self, event: LogEvent) -> Iterator[Datum]:
        fields = filters.parse(event.message) or {}
        dimensions = {name: filters.select(selector, fields) for name, selector in self.dimensions.items()}
        value = filters.select(self.value, fields) if self.value.startswith("$") else self.value
        if value is None or None in dimensions.values():
            return
        try:
            number = float(value)
        except (TypeError, ValueError):
            return
        metric = Metric.of(self.namespace, self.metric, {name: str(value) for name, value in dimensions.items()})
        yield Datum(metric, Point(event.timestamp / 1000, number), self.unit)
