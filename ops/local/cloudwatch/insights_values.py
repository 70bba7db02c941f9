"""Values and functions of Logs Insights queries."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from ops.local.cloudwatch.errors import UnsupportedError
from ops.local.cloudwatch.metrics import Point, percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ops.local.cloudwatch.logs import LogEvent

Value: TypeAlias = "str | float | None"  # None: the field is not there
Row: TypeAlias = "dict[str, Value]"

_SPANS = {"ms": 1, "msec": 1, "s": 1000, "sec": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "hr": 3_600_000}
_SPANS |= {"d": 86_400_000, "w": 604_800_000}
_SPAN = re.compile(r"(\d+)([a-z]+?)s?")


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
    try:
        found = json.loads(event.message) if event.message.startswith("{") else None
    except ValueError:
        found = None
    if isinstance(found, dict):
        _flatten(found, "", fields)
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
    """Milliseconds of `5m`.

    Raises:
        UnsupportedError: it is no period.
    """
    found = _SPAN.fullmatch(word)
    if found is None or found.group(2) not in _SPANS or not int(found.group(1)):
        raise UnsupportedError(f"Logs Insights: {word!r} is no period that the laptop knows")
    return int(found.group(1)) * _SPANS[found.group(2)]


def _flatten(value: Any, prefix: str, into: Row) -> None:  # noqa: ANN401 - JSON
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list):
            _flatten(item, f"{prefix}{key}.", into)
        elif item is not None:
            into[f"{prefix}{key}"] = float(item) if isinstance(item, bool | int | float) else item  # true counts as 1


def _numeric(function: Callable[..., float]) -> Callable[..., Value]:
    def call(*values: Value) -> Value:
        numbers = [number(value) for value in values]
        if any(item is None for item in numbers):
            return None
        try:
            return function(*numbers)
        except (ValueError, ZeroDivisionError, OverflowError):
            return None

    return call


def _textual(function: Callable[..., str | float]) -> Callable[..., Value]:
    return lambda *values: None if values[0] is None else function(*map(shown, values))


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "ispresent": lambda value: float(value is not None),
    "isempty": lambda value: float(value is None or value == ""),
    "isblank": lambda value: float(value is None or not shown(value).strip()),
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "concat": lambda *values: "".join(map(shown, values)),
    "strlen": _textual(lambda value: float(len(value))),
    "toupper": _textual(str.upper),
    "tolower": _textual(str.lower),
    "trim": _textual(str.strip),
    "replace": _textual(lambda value, old, new: value.replace(old, new)),
    "strcontains": _textual(lambda value, part: float(part in value)),
    "abs": _numeric(abs),
    "ceil": _numeric(math.ceil),
    "floor": _numeric(math.floor),
    "sqrt": _numeric(math.sqrt),
    "greatest": _numeric(max),
    "least": _numeric(min),
}

ARITHMETIC: Mapping[str, Callable[..., Value]] = {
    "+": _numeric(lambda a, b: a + b),
    "-": _numeric(lambda a, b: a - b),
    "*": _numeric(lambda a, b: a * b),
    "/": _numeric(lambda a, b: a / b),
    "%": _numeric(lambda a, b: a % b),
    "^": _numeric(lambda a, b: a**b),
}


def aggregate(name: str, values: Sequence[Value], percent: float = 0) -> Value:
    """An aggregation over the values of a field, of which those that are not there don't count.

    Raises:
        UnsupportedError: it is not known on the laptop.
    """
    there = [value for value in values if value is not None]
    if name == "count":
        return float(len(there))
    if name == "count_distinct":
        return float(len({shown(value) for value in there}))
    numbers = [found for found in map(number, there) if found is not None]
    if name in {"min", "max"} and len(numbers) < len(there):
        return (min if name == "min" else max)(map(shown, there))
    if name == "pct":
        return percentile([Point(0, value) for value in numbers], percent) if numbers else None
    if name not in _AGGREGATES:
        raise UnsupportedError(f"Logs Insights: {name}() is not known on the laptop")
    return _AGGREGATES[name](numbers) if numbers else None


_AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "avg": lambda numbers: sum(numbers) / len(numbers),
    "min": min,
    "max": max,
}
AGGREGATES = frozenset({"count", "count_distinct", "pct", *_AGGREGATES})
