"""Datapoints of metrics and the statistics over them."""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias

from ops.local.cloudwatch.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Series: TypeAlias = "list[float | None]"  # one value per period, oldest first; None where there is no data

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,2})?|100)")
_AT = attrgetter("at")


@dataclass(frozen=True, slots=True)
class Metric:
    """Which metric: each set of dimensions is one of its own."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()  # sorted

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str]) -> Metric:
        """With its dimensions as AWS's APIs give them."""
        return cls(namespace, name, tuple(sorted(dimensions.items())))


@dataclass(frozen=True, slots=True)
class Point:
    """A value that was seen `count` times at one moment (seconds since the epoch)."""

    at: float
    value: float
    count: int = 1


@dataclass(frozen=True, slots=True)
class Datum:
    """A point of a metric, as it is sent to CloudWatch."""

    metric: Metric
    point: Point
    unit: str = "None"


@dataclass(slots=True)
class MetricStore:
    """Points by metric, in the order of their time, in whatever order they come."""

    _points: dict[Metric, list[Point]] = field(default_factory=dict)

    def put(self, data: Iterable[Datum]) -> None:
        """Keep these too."""
        for datum in data:
            insort(self._points.setdefault(datum.metric, []), datum.point, key=_AT)

    def points(self, metric: Metric, start: float, end: float) -> list[Point]:
        """Those from `start` on and before `end`."""
        found = self._points.get(metric, [])
        return found[bisect_left(found, start, key=_AT) : bisect_left(found, end, key=_AT)]

    def periods(self, metric: Metric, period: int, end: float, count: int) -> list[list[Point]]:
        """The points of each of the `count` periods before `end`, oldest first; a period holds its start only."""
        starts = [end - period * back for back in range(count, 0, -1)]
        return [self.points(metric, start, start + period) for start in starts]

    def series(self, metric: Metric, statistic: str, period: int, end: float, count: int) -> Series:
        """One statistic of each of those periods."""
        return [statistics(points, statistic) for points in self.periods(metric, period, end, count)]

    def forget(self, before: float) -> None:
        """Drop what is older."""
        for metric, points in list(self._points.items()):
            kept = points[bisect_left(points, before, key=_AT) :]
            if kept:
                self._points[metric] = kept
            else:
                del self._points[metric]


def statistics(points: Sequence[Point], statistic: str) -> float | None:
    """Value of a statistic (SampleCount, Sum, Average, Minimum, Maximum, p0-p100); None without points.

    Raises:
        UnsupportedError: the statistic is another one.
    """
    percent = percentage(statistic)
    if statistic not in _STATISTICS and percent is None:
        raise UnsupportedError(f"statistic {statistic!r} is not known on the laptop")
    if not points:
        return None
    return _STATISTICS[statistic](points) if percent is None else percentile(points, percent)


def percentage(statistic: str) -> float | None:
    """99.9 of "p99.9"; None of what is no percentile."""
    found = _PERCENTILE.fullmatch(statistic)
    return float(found.group(1)) if found else None


def percentile(points: Iterable[Point], percent: float) -> float:
    """Interpolated between the two nearest ranks, as the emulator's own GetMetricStatistics does it."""
    ranked = [(value, sum(p.count for p in same)) for value, same in _by_value(points)]
    rank = percent / 100 * (sum(count for _, count in ranked) - 1)
    low = _at_rank(ranked, int(rank))
    return low + (rank - int(rank)) * (_at_rank(ranked, int(rank) + 1) - low)


def _by_value(points: Iterable[Point]) -> Iterable[tuple[float, Iterable[Point]]]:
    return groupby(sorted(points, key=attrgetter("value")), key=attrgetter("value"))


def _at_rank(ranked: Sequence[tuple[float, int]], rank: int) -> float:
    for value, count in ranked:
        if rank < count:
            return value
        rank -= count
    return ranked[-1][0]


def _count(points: Sequence[Point]) -> float:
    return sum(point.count for point in points)


def _sum(points: Sequence[Point]) -> float:
    return sum(point.value * point.count for point in points)


_STATISTICS: Mapping[str, Callable[[Sequence[Point]], float]] = {
    "SampleCount": _count,
    "Sum": _sum,
    "Average": lambda points: _sum(points) / _count(points),
    "Minimum": lambda points: min(point.value for point in points),
    "Maximum": lambda points: max(point.value for point in points),
}
