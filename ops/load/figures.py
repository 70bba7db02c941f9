"""The figures of a run: exact percentiles of its latencies, and how they are distributed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PERCENTILES = (50, 90, 95, 99, 99.9)
_STEPS = (1, 2, 5)  # of each power of ten
_BAR = 40


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Return percentiles and the largest, in milliseconds; nothing of nothing.

    Each is one that was measured (nearest rank): none is interpolated, and none comes from a bucket.
    """
    ordered = sorted(seconds)
    if not ordered:
        return {}
    found = {f"p{percent}": _ms(ordered[_rank(percent, len(ordered))]) for percent in PERCENTILES}
    return {**found, "max": _ms(ordered[-1])}


def histogram(seconds: Sequence[float]) -> list[tuple[float, int]]:
    """Return each bucket's upper bound (in milliseconds: 1, 2, 5, 10, ...) and count, empty ones between too."""
    counts: dict[float, int] = {}
    for one in seconds:
        bound = _bound(one * 1000)
        counts[bound] = counts.get(bound, 0) + 1
    if not counts:
        return []
    bounds, bound = list[float](), min(counts)
    while bound <= max(counts):
        bounds.append(bound)
        bound = _bound(bound * 1.01)
    return [(bound, counts.get(bound, 0)) for bound in bounds]


def lines(seconds: Sequence[float], what: str) -> list[str]:
    """Return the figures as people read them."""
    if not seconds:
        return []
    shown = ", ".join(f"{name} {value:g}" for name, value in summary(seconds).items())
    rows = histogram(seconds)
    most, width = max(count for _, count in rows), max(len(f"{bound:g}") for bound, _ in rows)
    bars = [f"  <= {bound:>{width}g} ms {'█' * -(-count * _BAR // most):<{_BAR}} {count}" for bound, count in rows]
    return [f"{what}, in ms: {shown}", *bars]


def _rank(percent: float, count: int) -> int:
    return max(-(-count * round(percent * 10) // 1000) - 1, 0)


def _bound(ms: float) -> float:
    power = 1.0
    while True:
        for step in _STEPS:
            if ms <= step * power:
                return step * power
        power *= 10


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
