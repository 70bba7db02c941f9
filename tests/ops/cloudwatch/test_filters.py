"""Filter patterns, metric filters and embedded metrics."""

import json

import pytest

from ops.local.cloudwatch import emf, filters
from ops.local.cloudwatch.errors import UnsupportedError
from ops.local.cloudwatch.logs import LogEvent
from ops.local.cloudwatch.metric_filters import MetricFilter
from ops.local.cloudwatch.metrics import Datum, Metric, Point

_GUIDE = json.dumps(
    {
        "eventType": "UpdateTrail",
        "sourceIPAddress": "111.111.111.111",
        "arrayKey": ["value", "another value"],
        "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
        "SomeObject": None,
        "ThisFlag": True,
        "latency": 500,
        "rate": 0.5,
    }
)
_COMPOUND = json.dumps(
    {
        "user": {"id": 1, "email": "John.Stiles@example.com"},
        "users": [{"id": 2, "email": "John.Doe@example.com"}, {"id": 3, "email": "Jane.Doe@example.com"}],
        "actions": ["GET", "PUT", "DELETE"],
        "coordinates": [[0, 1, 2], [4, 5, 6], [7, 8, 9]],
    }
)


@pytest.mark.parametrize(
    "pattern",
    [
        '{ $.eventType = "UpdateTrail" }',
        "{ $.eventType = UpdateTrail }",
        '{ $.eventType = "*" }',
        "{ $.eventType = *Trail }",
        "{ $.eventType = Update* }",
        "{ $.eventType = *date* }",
        "{ $.sourceIPAddress != 123.123.* }",
        '{ $.arrayKey[0] = "value" }',
        "{ $.objectList[1].id = 2 }",
        "{ $.SomeObject IS NULL }",
        "{ $.SomeOtherObject NOT EXISTS }",
        "{ $.ThisFlag IS TRUE }",
        "{ $.latency >= 500 }",
        "{ $.latency = 5* }",
        "{ $.latency < +1e3 }",
        "{ $.rate > 4e-1 }",
        "{ $.latency != 400 && $.rate < 1 }",
    ],
)
def test_the_guides_examples_match(pattern: str) -> None:
    """Every form that the user guide shows on its JSON event."""
    assert filters.compiled(pattern)(_GUIDE)


@pytest.mark.parametrize(
    "pattern",
    [
        '{ $.eventType != "*" }',
        '{ $.eventType = "updatetrail" }',
        '{ $.SomeObject = "*" }',
        '{ $.SomeOtherObject = "*" }',
        '{ $.SomeOtherObject != "x" }',
        "{ $.SomeOtherObject IS NULL }",
        "{ $.SomeObject NOT EXISTS }",
        "{ $.ThisFlag IS FALSE }",
        "{ $.ThisFlag = 1 }",
        "{ $.arrayKey = 1 }",
        "{ $.arrayKey != 1 }",
        "{ $.latency > 500 }",
        "{ $.eventType > 1 }",
    ],
)
def test_what_does_not_match(pattern: str) -> None:
    """A selector that finds no text and no number makes no condition true, not even !=."""
    assert not filters.compiled(pattern)(_GUIDE)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ('{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }', True),
        ('{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }', False),
        (
            '{ $.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = non && $.actions[2] = nomatch }',
            True,
        ),
        (
            '{ ($.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = non) && $.actions[2] = nomatch }',
            False,
        ),
    ],
)
def test_compound_conditions(pattern: str, matches: bool) -> None:  # noqa: FBT001 - the outcome
    """The guide's four examples: () before && before ||."""
    assert filters.compiled(pattern)(_COMPOUND) is matches


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("ERROR", [1, 2]),
        ("?ERROR ?WARN", [1, 2, 3]),
        ("ERROR WARN", [1]),
        ("ERROR -WARN", [2]),
        ('"ERROR message"', [2]),
        ("", [1, 2, 3, 4]),
    ],
)
def test_terms(pattern: str, matched: list[int]) -> None:
    """The guide's examples of terms; case matters."""
    messages = {1: "ERROR WARN message", 2: "ERROR message", 3: "WARN message", 4: "error"}
    assert [key for key, message in messages.items() if filters.compiled(pattern)(message)] == matched


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("[ip, user, status = 4*]", "not understood on the laptop"),
        ("%ERROR%", "not understood on the laptop"),
        ("{ $.a = %x% }", "not understood on the laptop"),
        ("{ $.a = a*b }", "within 'a\\*b' is not known"),
        ("{ $.a EXISTS }", "expected = or !="),
        ("{ $.a = 1", "closing"),
        ("{ a = 1 }", "'a' is no selector"),
        ("{ $.a > x }", "> needs a number"),
        ("{ $.a = 1 && }", "ends too early"),
    ],
)
def test_refused(pattern: str, message: str) -> None:
    """What the laptop does not know is said."""
    with pytest.raises(UnsupportedError, match=message):
        filters.compiled(pattern)


def test_json_patterns_on_other_lines() -> None:
    """Lines that are no JSON object never match one."""
    matches = filters.compiled("{ $.a NOT EXISTS }")
    assert [matches(line) for line in ("{}", "START RequestId: 1", "{broken", "[1]")] == [True, False, False, False]


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


def test_metric_filter_of_values() -> None:
    """A value from the event; its default while other events come; nothing while none do."""
    values = MetricFilter("g", "{ $.latency >= 0 }", "Latency", "N", value="$.latency", default=0, unit="Milliseconds")
    metric = Metric.of("N", "Latency", {})
    assert list(values.data([_event(1000, latency=7.5)])) == [Datum(metric, Point(1, 7.5), "Milliseconds")]
    assert list(values.data([_event(2000)])) == [Datum(metric, Point(2, 0), "Milliseconds")]
    assert list(values.data([])) == []
    with pytest.raises(UnsupportedError, match="a default value other than 0"):
        MetricFilter("g", "x", "m", "N", default=1)


def test_embedded_metrics() -> None:
    """A point for each value and each set of dimensions; what the line does not hold is left out."""
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
        "Latency": [3, 4.5],
    }
    found = [
        datum
        for dimensions in ({"pipeline": "events"}, {})
        for datum in (
            Datum(Metric.of("N", "Done", dimensions), Point(1.5, 2), "Count"),
            Datum(Metric.of("N", "Latency", dimensions), Point(1.5, 3)),
            Datum(Metric.of("N", "Latency", dimensions), Point(1.5, 4.5)),
        )
    ]
    assert list(emf.embedded(json.dumps(line))) == found
    assert [list(emf.embedded(other)) for other in ('{"_aws": 1}', '{"a": 1}', "START", "{")] == [[]] * 4
