"""Metric filters and embedded metrics."""

import json
from typing import Any

import pytest

from ops.local.cloudwatch.errors import UnsupportedError
from ops.local.cloudwatch.log_metrics import MetricFilter, embedded, ingested
from ops.local.cloudwatch.logs import LogEvent
from ops.local.cloudwatch.metrics import Datum, Metric, Point


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ('{ $.a = "*" }', ['{"a": "x"}', '{"a": ""}', '{"a": 0.5}']),
        ("{ $.a IS TRUE }", ['{"a": true}']),
    ],
)
def test_patterns(pattern: str, matched: list[str]) -> None:
    """The user guide: a * is any text or number; IS TRUE is the boolean alone; other lines match nothing."""
    values = ['"x"', '""', "0.5", "null", "true", "false", "[1]", "{}"]
    lines = [*(f'{{"a": {value}}}' for value in values), '{"b": "x"}', "START RequestId: 1", "{broken", '[{"a": 1}]']
    count = MetricFilter("g", pattern, "m", "N")
    assert [line for line in lines if count.matches(line)] == matched


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(
            ({"pattern": pattern}, "metric filter of m: the laptop does not know ")
            for pattern in (
                "ERROR",
                "[ip, user]",
                "{ $.a = b }",
                '{ $.a.b = "*" }',
                "{ $.a > 1 }",
                "{ $.a IS FALSE }",
                "{ $.a NOT EXISTS }",
                '{ $.a = "*" && $.b = "*" }',
            )
        ),
        ({"default": 1.0}, "does not know the default value 1.0"),
        ({"dimensions": {"d": "$.a.b"}}, r"does not know \$\.a\.b"),
    ],
)
def test_refused(changes: dict[str, Any], message: str) -> None:
    """What the laptop does not know is said."""
    with pytest.raises(UnsupportedError, match=message):
        MetricFilter(**{"group": "g", "pattern": "{ $.a IS TRUE }", "metric": "m", "namespace": "N"} | changes)


def _event(at: int, group: str = "g", **fields: object) -> LogEvent:
    return LogEvent(group, "s", at, json.dumps(fields))


def test_metric_filter() -> None:
    """A point for each event of its group that matches, with dimensions from the event."""
    counts = MetricFilter("g", '{ $.errorType = "*" }', "Errors", "N", dimensions={"errorType": "$.errorType"})
    events = [_event(1000, errorType="A"), _event(2000), _event(3000, errorType="B"), _event(4000, "h", errorType="A")]
    assert list(counts.data(events)) == [
        Datum(Metric.of("N", "Errors", {"errorType": "A"}), Point(1, 1)),
        Datum(Metric.of("N", "Errors", {"errorType": "B"}), Point(3, 1)),
    ]


def test_metric_filter_with_a_default() -> None:
    """Its default while other events come; nothing while none do."""
    done = MetricFilter("g", "{ $.processed IS TRUE }", "Done", "N", default=0, unit="Count")
    metric = Metric.of("N", "Done", {})
    assert list(done.data([_event(1000, processed=True)])) == [Datum(metric, Point(1, 1), "Count")]
    assert list(done.data([_event(2000)])) == [Datum(metric, Point(2, 0), "Count")]
    assert list(done.data([])) == []


def test_embedded_metrics() -> None:
    """A point for each value, with how often it is there, and each set of dimensions; what there is not is left out."""
    line = {
        "_aws": {
            "Timestamp": 1500,
            "CloudWatchMetrics": [
                {
                    "Namespace": "N",
                    "Dimensions": [["pipeline"], ["pipeline", "absent"], []],
                    "Metrics": [{"Name": "Done", "Unit": "Count"}, {"Name": "Latency"}, {"Name": "Absent"}],
                }
            ],
        },
        "pipeline": "events",
        "Done": 2,
        "Latency": [3, 4.5, 3],
    }
    found = [
        datum
        for dimensions in ({"pipeline": "events"}, {})
        for datum in (
            Datum(Metric.of("N", "Done", dimensions), Point(1.5, 2), "Count"),
            Datum(Metric.of("N", "Latency", dimensions), Point(1.5, 3, 2)),
            Datum(Metric.of("N", "Latency", dimensions), Point(1.5, 4.5)),
        )
    ]
    assert list(embedded(json.dumps(line))) == found
    assert [list(embedded(other)) for other in ('{"_aws": 1}', '{"a": 1}', "START", "{")] == [[]] * 4


def test_bytes_that_came_in() -> None:
    """A point for each group, of its lines in JSON: Lambda's own lines are off on AWS."""
    events = [_event(1000, a="é"), LogEvent("g", "s", 1500, "START RequestId: 1"), _event(2000, a=1), _event(3000, "h")]

    assert list(ingested(events)) == [
        Datum(Metric.of("AWS/Logs", "IncomingBytes", {"LogGroupName": "g"}), Point(2, 15 + 8), "Bytes"),
        Datum(Metric.of("AWS/Logs", "IncomingBytes", {"LogGroupName": "h"}), Point(3, 2), "Bytes"),
    ]
