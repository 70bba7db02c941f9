"""Values of Logs Insights queries: the fields of an event, how they are shown, and aggregations over them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from ops.local.cloudwatch import logs
from ops.local.cloudwatch.errors import UnsupportedError
from ops.local.cloudwatch.metrics import Point, percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ops.local.cloudwatch.logs import LogEvent

Value: TypeAlias = "str | float | None"  # None: the field is not there
Row: TypeAlias = "dict[str, Value]"

_SPANS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SPAN = re.compile(r"(\d+)([smhd])")


class Moment(float):
    """A time in milliseconds since the epoch, shown as one."""


def row(event: LogEvent) -> Row:
    """The fields of an event: CloudWatch's own (@…), and those of a JSON message, nested ones as `a.b` and `a.0`."""
    fields: Row = {
        "@timestamp": Moment(event.timestamp),
        "@message": event.message,
        "@log": event.group,
        "@logStream": event.stream,
        "@ingestionTime": Moment(event.ingested),
        "@ptr": event.id,
    }
    _flatten(logs.fields(event.message), "", fields)
    return fields


def shown(value: Value) -> str:
    """A value as GetQueryResults gives it: text, numbers with at most 4 decimals, times in UTC."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Moment):
        moment = datetime.fromtimestamp(value / 1000, UTC)
        return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{int(value) % 1000:03d}"
    return str(int(value)) if float(value).is_integer() else f"{value:.4f}".rstrip("0")


def number(value: Value) -> float | None:
    """A value as a number; None where it is none."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return value


def span(word: str) -> int:
    """Return the milliseconds of a period such as `5m`.

    Raises:
        UnsupportedError: it is no period of seconds, minutes, hours or days.
    """
    found = _SPAN.fullmatch(word)
    if found is None or not int(found.group(1)):
        raise UnsupportedError(f"Logs Insights: a period is a number and s, m, h or d, got {word!r}")
    return int(found.group(1)) * _SPANS[found.group(2)]


def _flatten(value: Any, prefix: str, into: Row) -> None:  # noqa: ANN401 - JSON
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list):
            _flatten(item, f"{prefix}{key}.", into)
        elif item is not None:
            into[f"{prefix}{key}"] = float(item) if isinstance(item, bool | int | float) else item  # true counts as 1


def aggregate(name: str, values: Sequence[Value], percent: float = 0) -> Value:
    """Aggregate the values of a field; events that have no such field don't count.

    `percent` is for `pct`; for `latest` the values are in the order of time.
    """
    there = [value for value in values if value is not None]
    if name == "count":
        return float(len(there))
    if name == "latest":
        return there[-1] if there else None
    if name == "count_distinct":
        return float(len({shown(value) for value in there}))
    numbers = [found for found in map(number, there) if found is not None]
    if name in {"min", "max"} and len(numbers) < len(there):
        return (min if name == "min" else max)(map(shown, there))
    if name == "pct":
        return percentile([Point(0, value) for value in numbers], percent) if numbers else None
    return _AGGREGATES[name](numbers) if numbers else None


_AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "avg": lambda numbers: sum(numbers) / len(numbers),
    "min": min,
    "max": max,
}
AGGREGATES = frozenset({"count", "count_distinct", "latest", "pct", *_AGGREGATES})
