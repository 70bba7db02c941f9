"""Datapoints and statistics."""

import pytest

from ops.local.cloudwatch.errors import UnsupportedError
from ops.local.cloudwatch.metrics import Datum, Metric, MetricStore, Point, statistics

METRIC = Metric.of("n", "m", {"b": "2", "a": "1"})


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        ("SampleCount", 5),
        ("Sum", 50),
        ("Average", 10),
        ("Minimum", 0),
        ("Maximum", 30),
        ("p50", 10),
        ("p90", 22),
        ("p100", 30),
    ],
)
def test_statistics(statistic: str, expected: float) -> None:
    """Over 0, 0, 10, 10, 30, of which two stand for two each; percentiles between ranks."""
    points = [Point(1, 10, 2), Point(2, 0, 2), Point(3, 30)]
    assert statistics(points, statistic) == pytest.approx(expected)
    assert statistics([], statistic) is None


@pytest.mark.parametrize("statistic", ["TM(10%:90%)", "IQM", "p101", "sum"])
def test_unknown_statistics(statistic: str) -> None:
    """Refused, even where there is no data."""
    with pytest.raises(UnsupportedError, match="is not known on the laptop"):
        statistics([], statistic)


def test_series() -> None:
    """Periods hold their start and not their end; the order in which points come does not matter."""
    store = MetricStore()
    store.put(Datum(METRIC, Point(at, at)) for at in (130, 59.9, 0, 60))
    assert store.series(METRIC, "Sum", 60, 240, 4) == [59.9, 60, 130, None]
    assert store.series(Metric.of("n", "m", {"a": "1", "b": "2"}), "SampleCount", 60, 120, 1) == [1]


def test_forgetting() -> None:
    """What is older is gone, what is not stays."""
    store = MetricStore()
    store.put(Datum(METRIC, Point(at, 1)) for at in (1, 2, 3))
    store.forget(2)
    assert store.points(METRIC, 0, 9) == [Point(2, 1), Point(3, 1)]
    store.forget(9)
    assert store.points(METRIC, 0, 9) == []
