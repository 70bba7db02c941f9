"""The evaluator against the tables and the sentences of CloudWatch's user guide."""

from typing import Any

import pytest

from ops.local.cloudwatch.alarms import Alarm, Missing, State, Statistic, evaluate, judge, window_end
from ops.local.cloudwatch.metrics import Datum, Metric, MetricStore, Point, Series

METRIC = Metric.of("AWS/SQS", "Age", {"QueueName": "q"})
POLICIES = (Missing.MISSING, Missing.IGNORE, Missing.BREACHING, Missing.NOT_BREACHING)
OK, ALARM, UNKNOWN, RETAIN = State.OK, State.ALARM, State.INSUFFICIENT_DATA, None


def alarm(**changes: Any) -> Alarm:
    """Three of three periods of a minute above 1."""
    given: dict[str, Any] = {
        "name": "a",
        "queries": [Statistic("m", METRIC, "Maximum")],
        "period": 60,
        "threshold": 1.0,
        "periods": 3,
    }
    given |= {"comparison": "GreaterThanThreshold", "datapoints": 3}
    return Alarm(**given | changes)


def points(pattern: str) -> Series:
    """AWS's notation: 0 is within the threshold, X breaches it, - is missing."""
    return [{"0": 0.0, "X": 2.0, "-": None}[sign] for sign in pattern.split()]


def states(pattern: str, datapoints: int) -> list[State | None]:
    """What each policy makes of it, in the order of AWS's columns."""
    return [judge(alarm(datapoints=datapoints, missing=policy), points(pattern), 300).state for policy in POLICIES]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("0 - X - X", [OK, OK, OK, OK]),
        ("0 - - - -", [OK, OK, OK, OK]),
        ("- - - - -", [UNKNOWN, RETAIN, ALARM, OK]),
        ("0 X X - X", [ALARM, ALARM, ALARM, ALARM]),
        ("- - X - -", [ALARM, RETAIN, ALARM, OK]),
    ],
)
def test_three_of_three(pattern: str, expected: list[State | None]) -> None:
    """The first table of "How alarm state is evaluated when data is missing": 3 of 3 in a range of 5."""
    assert states(pattern, 3) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("0 - X - X", [ALARM, ALARM, ALARM, ALARM]),
        ("0 0 X 0 X", [ALARM, ALARM, ALARM, ALARM]),
        ("0 - X - -", [OK, OK, ALARM, OK]),
        ("- - - - 0", [OK, OK, ALARM, OK]),
        ("- - - X -", [ALARM, RETAIN, ALARM, OK]),
    ],
)
def test_two_of_three(pattern: str, expected: list[State | None]) -> None:
    """The second table: 2 of 3 in a range of 5."""
    assert states(pattern, 2) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("- - - - X", [UNKNOWN, RETAIN, ALARM, OK]), ("X - - - -", [ALARM, RETAIN, ALARM, OK])],
)
def test_premature(pattern: str, expected: list[State | None]) -> None:
    """Rows that earlier editions of the first table had: one bad point is no alarm before it is three periods old."""
    assert states(pattern, 3) == expected


def test_the_premature_rule_counts_from_the_oldest_point_of_the_range() -> None:
    """The guide's own example: "- - - X -" waits where three datapoints make an alarm, and not where two do."""
    assert (states("- - - X -", 3)[0], states("- - - X -", 2)[0]) == (UNKNOWN, ALARM)


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ("GreaterThanThreshold", [OK, OK, ALARM]),
        ("GreaterThanOrEqualToThreshold", [OK, ALARM, ALARM]),
        ("LessThanThreshold", [ALARM, OK, OK]),
        ("LessThanOrEqualToThreshold", [ALARM, ALARM, OK]),
    ],
)
def test_comparisons(comparison: str, expected: list[State]) -> None:
    """Each on its own side of the threshold."""
    one = alarm(comparison=comparison, periods=1, datapoints=1)
    assert [judge(one, [value], 60).state for value in (0.9, 1.0, 1.1)] == expected


def test_sparse_data_keeps_an_alarm_for_the_range() -> None:
    """One bad minute, then silence: ALARM until it has left the range of three periods, though gaps are good."""
    store, one = MetricStore(), alarm(periods=1, datapoints=1, missing=Missing.NOT_BREACHING)
    store.put([Datum(METRIC, Point(30, 5))])
    assert [evaluate(one, store, end).state for end in (60, 120, 180, 240)] == [ALARM, ALARM, ALARM, OK]


def test_late_data_count() -> None:
    """A point that comes after its period was evaluated changes the next evaluation."""
    store, one = MetricStore(), alarm(periods=1, datapoints=1, missing=Missing.NOT_BREACHING)
    store.put([Datum(METRIC, Point(30, 0))])
    before = evaluate(one, store, 60).state
    store.put([Datum(METRIC, Point(31, 5))])
    assert (before, evaluate(one, store, 60).state) == (OK, ALARM)


def test_other_dimensions_are_another_metric() -> None:
    """A bad value of another queue is not looked at, nor one of a namespace or name that differs."""
    store, one = MetricStore(), alarm(periods=1, datapoints=1, missing=Missing.NOT_BREACHING)
    others = [
        Metric.of("AWS/SQS", "Age", {"QueueName": "other"}),
        Metric.of("AWS/SQS", "Age", {}),
        Metric.of("AWS/SNS", "Age", {"QueueName": "q"}),
        Metric.of("AWS/SQS", "Depth", {"QueueName": "q"}),
    ]
    store.put(Datum(metric, Point(30, 5)) for metric in others)
    assert evaluate(one, store, 60).state == OK
    store.put([Datum(METRIC, Point(30, 5))])
    assert evaluate(one, store, 60).state == ALARM


def test_math() -> None:
    """An alarm on an expression sees its one result, with gaps where the expression has none."""
    sent = Metric.of("AWS/SQS", "Sent", {})
    queries = [
        Statistic("e", expression="IF(age > 10 AND FILL(sent, 0) < 1, 1, 0)"),
        Statistic("age", METRIC, "Maximum", is_result=False),
        Statistic("sent", sent, "Sum", is_result=False),
    ]
    one = alarm(queries=queries, periods=1, datapoints=1, threshold=0.0, missing=Missing.NOT_BREACHING)
    store = MetricStore()
    store.put([Datum(METRIC, Point(30, 11)), Datum(METRIC, Point(90, 11)), Datum(sent, Point(90, 1))])
    assert [evaluate(one, store, end).state for end in (60, 120)] == [ALARM, OK]


def test_dynamodb_always_ignores_missing_data() -> None:
    """PutMetricAlarm: alarms on AWS/DynamoDB keep their state while data is missing, whatever they ask for."""
    metric = Metric.of("AWS/DynamoDB", "ReadThrottleEvents", {"TableName": "t"})
    one = alarm(queries=[Statistic("m", metric, "Sum")], missing=Missing.BREACHING)
    assert evaluate(one, MetricStore(), 300).state is RETAIN


@pytest.mark.parametrize(
    ("now", "period", "end"),
    [(119, 60, 60), (120, 60, 120), (119, 300, 60), (119, 10, 110), (119, 30, 110), (119, 5, 115)],
)
def test_windows(now: float, period: int, end: float) -> None:
    """Evaluated every minute, below a minute every 10 seconds; what AWS has not, as often as its period ends."""
    assert window_end(now, period) == end


def test_reasons() -> None:
    """The reason names the values that decided and what was missing, as CloudWatch's does."""
    one = alarm(periods=2, datapoints=1, missing=Missing.NOT_BREACHING)
    assert judge(one, [None, 5.0, 0.5], 180).reason == (
        "Threshold Crossed: 1 out of the last 2 datapoints [5.0 (01/01/70 00:01:00)] was greater than the threshold "
        "(1.0) (minimum 1 for ALARM)."
    )
    assert judge(one, [None, None, 0.5], 180).reason == (
        "Threshold Crossed: 1 out of the last 2 datapoints [0.5 (01/01/70 00:02:00)] was not greater than the "
        "threshold (1.0) (minimum 2 for OK; 1 datapoint was unknown)."
    )
    assert judge(one, [None, None], 180).reason == (
        "Threshold Crossed: 2 datapoints were unknown and treated as [NonBreaching]."
    )
    assert judge(alarm(), [None], 180).reason == "Insufficient Data: 3 datapoints were unknown."
    both = alarm(periods=2, datapoints=2)
    assert judge(both, [3.0, 0.5], 180).reason == (
        "Threshold Crossed: 1 out of the last 2 datapoints [0.5 (01/01/70 00:02:00)] was not greater than the "
        "threshold (1.0) (minimum 1 for OK)."
    )
