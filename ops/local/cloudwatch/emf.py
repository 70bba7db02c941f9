"""Metrics that are lines of a log, in CloudWatch's embedded metric format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops.local.cloudwatch import filters
from ops.local.cloudwatch.metrics import Datum, Metric, Point

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def embedded(message: str) -> Iterator[Datum]:
    """The metrics that a line in the embedded metric format holds; none where the line is not one.

    Values are numbers or arrays of them; one point for each set of dimensions. A metric or a dimension that the line
    names and does not hold is left out, as CloudWatch does.
    """
    fields = filters.parse(message) or {}
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
        for value in found if isinstance(found, list) else [found]:
            if isinstance(value, int | float):
                yield Datum(metric, Point(at, float(value)), definition.get("Unit", "None"))
