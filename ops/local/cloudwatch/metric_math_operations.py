"""Operations of metric math on numbers, series and arrays of series."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias, cast

from ops.local.cloudwatch.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ops.local.cloudwatch.metrics import Series

Operand: TypeAlias = "float | Series | list[Series]"


def is_series(value: Operand) -> bool:
    """Whether it is one time series."""
    return isinstance(value, list) and not is_array(value)


def is_array(value: Operand) -> bool:
    """Whether it is an array of time series."""
    return isinstance(value, list) and any(isinstance(item, list) for item in value)


def combined(combine: Callable[[float, float], float | None], left: Operand, right: Operand) -> Operand:
    """Two operands made one, point by point; a missing one is 0 beside a series that has a value."""
    if isinstance(left, list) and isinstance(right, list):
        pairs = zip(cast("Series", left), cast("Series", right), strict=True)
        return [None if a is None and b is None else combine(a or 0.0, b or 0.0) for a, b in pairs]
    if isinstance(left, list):
        return [None if item is None else combine(item, cast("float", right)) for item in cast("Series", left)]
    if isinstance(right, list):
        return [None if item is None else combine(left, item) for item in cast("Series", right)]
    result = combine(left, right)
    if result is None:
        raise UnsupportedError("metric math: a number is divided by zero")
    return result


def _spread(value: Operand, length: int) -> Series:
    return cast("Series", value) if isinstance(value, list) else [value] * length


def divided(a: float, b: float) -> float | None:
    """Nothing where the divisor is zero."""
    return a / b if b else None


def power(a: float, b: float) -> float | None:
    """Nothing where zero is raised to less than zero."""
    return a**b if a or b >= 0 else None


def each(function: Callable[[float | None], float | None], value: Operand) -> Operand:
    """The function of every point."""
    if is_array(value):
        return [cast("Series", each(function, series)) for series in cast("list[Series]", value)]
    if isinstance(value, list):
        return [function(item) for item in cast("Series", value)]
    return cast("float", function(value))


def if_(condition: Operand, then: Operand, otherwise: Operand | None = None) -> Operand:
    """IF(condition, then, otherwise) by the guide's tables."""
    length = next((len(x) for x in (condition, then, otherwise) if isinstance(x, list)), 0)
    if not length:
        raise UnsupportedError("metric math: IF of numbers only makes no time series")
    fallback = (
        None if isinstance(otherwise, list) else otherwise
    )  # as documented, it stands for a missing condition too
    thens = [0.0 if item is None else item for item in _spread(then, length)]
    others: Series = [None] * length if otherwise is None else _spread(otherwise, length)
    return [
        fallback if test is None else (yes if test else no)
        for test, yes, no in zip(_spread(condition, length), thens, others, strict=True)
    ]


def filled(series: Series, filler: Operand | None) -> Series:
    """FILL(series, filler); no filler repeats the last value."""
    if filler is not None:
        fillers = _spread(filler, len(series))
        return [other if item is None else item for item, other in zip(series, fillers, strict=True)]
    repeated: Series = []
    for item in series:
        repeated.append(repeated[-1] if item is None and repeated else item)
    return repeated


def aggregate(function: Callable[[Sequence[float]], float], value: Operand, *, zeros: bool) -> Operand:
    """One number of a series, one series of an array."""
    if is_array(value):
        columns = zip(*cast("list[Series]", value), strict=True)
        return [_reduced(function, column, zeros=zeros) for column in columns]
    if not isinstance(value, list):
        return value
    return _reduced(function, cast("Series", value), zeros=zeros) or 0.0


def _reduced(
    function: Callable[[Sequence[float]], float], values: Sequence[float | None], *, zeros: bool
) -> float | None:
    there = [value for value in values if value is not None]
    if not there:
        return None
    return function(there + [0.0] * (len(values) - len(there)) if zeros else there)


AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "SUM": sum,
    "MIN": min,
    "MAX": max,
    "AVG": lambda values: sum(values) / len(values),
}
EACH: Mapping[str, Callable[[float | None], float | None]] = {
    "ABS": lambda value: None if value is None else abs(value),
    "CEIL": lambda value: None if value is None else float(math.ceil(value)),
    "FLOOR": lambda value: None if value is None else float(math.floor(value)),
}
