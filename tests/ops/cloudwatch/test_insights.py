"""Logs Insights on a known set of log events."""

import json

import pytest

from ops.local.cloudwatch.errors import UnsupportedError
from ops.local.cloudwatch.insights import run
from ops.local.cloudwatch.logs import LogEvent

_DAY = 1_795_219_200_000  # 2026-11-21 00:00 UTC


def _event(seconds: int, message: object, group: str = "worker") -> LogEvent:
    text = message if isinstance(message, str) else json.dumps(message)
    return LogEvent(group, "stream", _DAY + seconds * 1000, text, _DAY + seconds * 1000 + 5, f"id{seconds}")


EVENTS = [
    _event(0, {"outcome": "succeeded", "latencyMs": 10, "processed": True, "key": "a"}),
    _event(1, {"outcome": "succeeded", "latencyMs": 30, "processed": True, "key": "b"}),
    _event(2, {"outcome": "failed", "errorType": "Timeout", "latencyMs": 200.5, "processed": False, "key": "c"}),
    _event(
        3, {"outcome": "failed", "errorType": "Schema", "processed": False, "key": "d", "counts": {"moved": [1, 2]}}
    ),
    _event(400, {"outcome": "failed", "errorType": "Schema", "processed": False, "key": "a"}),
    _event(401, "START RequestId: 1", "ingest"),
]


def test_defaults() -> None:
    """Without fields: time and message, the newest first."""
    rows = run("limit 2", EVENTS)
    assert rows == [
        {"@timestamp": "2026-11-21 00:06:41.000", "@message": "START RequestId: 1"},
        {"@timestamp": "2026-11-21 00:06:40.000", "@message": EVENTS[4].message},
    ]


def test_stats_by_fields() -> None:
    """Groups by several fields, sorted by an alias."""
    query = """
    # failures
    filter ispresent(outcome) and ispresent(errorType)
    | stats count(*) as failures, max(latencyMs) as worst by errorType, outcome
    | sort failures desc
    """
    assert run(query, EVENTS) == [
        {"errorType": "Schema", "outcome": "failed", "failures": "2"},
        {"errorType": "Timeout", "outcome": "failed", "failures": "1", "worst": "200.5"},
    ]


def test_stats_by_time() -> None:
    """bin() makes groups of time; columns without an alias are called by their text."""
    query = 'filter outcome like /^f/ or outcome = "succeeded" | stats count(key), avg(latencyMs) by bin(5m)'
    assert run(query, EVENTS) == [
        {"bin(5m)": "2026-11-21 00:05:00.000", "count(key)": "1"},
        {"bin(5m)": "2026-11-21 00:00:00.000", "count(key)": "4", "avg(latencyMs)": "80.1667"},
    ]


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("count(*)", "6"),
        ("count(errorType)", "3"),
        ("count_distinct(key)", "4"),
        ("sum(latencyMs)", "240.5"),
        ("min(latencyMs)", "10"),
        ("max(key)", "d"),
        ("latest(outcome)", "failed"),
        ("pct(latencyMs, 50)", "30"),
        ("max(@timestamp)", "2026-11-21 00:06:41.000"),
    ],
)
def test_aggregations(aggregation: str, expected: str) -> None:
    """Over all events: what an event has not does not count."""
    assert run(f"stats {aggregation} as it", EVENTS) == [{"it": expected}]


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        ('key = "a"', "aa"),
        ('key != "a"', "dcb"),
        ("latencyMs > 10", "cb"),
        ("latencyMs >= 10 and latencyMs < 200", "ba"),
        ("processed = 1", "ba"),
        ("processed = 0 and not errorType = 'Schema'", "c"),
        ('errorType in ["Schema", "Other"]', "ad"),
        ('errorType not in ["Schema"] and ispresent(errorType)', "c"),
        ('errorType like "ime"', "c"),
        ("errorType like /(?i)TIME/", "c"),
        ("key not like /[abc]/ and ispresent(key)", "d"),
        ("(key = 'a' or key = 'b') and outcome = 'succeeded'", "ba"),
        ("counts.moved.1 = 2", "d"),
        ("not ispresent(errorType) and ispresent(key)", "ba"),
        ("latencyMs > -1 and latencyMs in [10, 30]", "ba"),
    ],
)
def test_conditions(condition: str, keys: str) -> None:
    """Comparisons of numbers and text; one with what is not there does not hold, not even !=."""
    assert "".join(row.get("key", "?") for row in run(f"fields key | filter {condition}", EVENTS)) == keys


def test_fields() -> None:
    """CloudWatch's own fields and those of the line, under other names where the query gives some."""
    query = "fields @log, key as who, latencyMs | filter key = 'a' | sort @timestamp asc"
    assert run(query, EVENTS) == [
        {"@log": "worker", "who": "a", "latencyMs": "10"},
        {"@log": "worker", "who": "a"},
    ]


def test_sorting() -> None:
    """By several keys; what is not there comes first in ascending order."""
    rows = run("fields key, latencyMs | filter ispresent(key) | sort latencyMs asc, key desc", EVENTS)
    assert [row["key"] for row in rows] == ["d", "a", "a", "b", "c"]


def test_sorting_by_a_column_without_alias() -> None:
    """In backticks, as AWS has it for what is not alphanumeric; a pipe in quotes ends no command."""
    query = "filter key != '|' | stats count(*) by key | sort `count(*)` desc, key asc | limit 2"
    assert run(query, EVENTS) == [{"key": "a", "count(*)": "2"}, {"key": "b", "count(*)": "1"}]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("fields a | pattern @message", "the command 'pattern'; it knows fields, filter, stats, sort, limit"),
        ("parse @message 'a*' as b", "the command 'parse'"),
        ("display a", "the command 'display'"),
        ("dedup a", "the command 'dedup'"),
        (
            "stats stddev(latencyMs)",
            "'stddev'; it knows avg, count, count_distinct, latest, max, min, pct, sum",
        ),
        ("stats sum(*)", "'\\*' is no field"),
        ("stats sum(a) by datefloor(@timestamp, 5m)", "datefloor\\(\\) here"),
        ("filter processed = true", "true is 1"),
        ("filter @duration > 3", "does not find the field @duration"),
        ("filter a = b", "a text in quotes or a number, not 'b'"),
        ("filter a = 5m", "a text in quotes or a number, not '5m'"),
        ("filter a = 1 c", "'c' is not understood here"),
        ("filter a * 2 = 4", "expected = or !="),
        ("filter a not = 4", "expected like or in"),
        ("filter tolower(a) = 'b'", "tolower\\(\\) here"),
        ("fields jsonParse(a)", "jsonParse\\(\\) here"),
        ("limit 0", "a limit is 1-10000"),
        ("fields a | | limit 1", "a command is empty"),
        ("stats count(*) by bin(5y)", "a number and s, m, h or d, got '5y'"),
        ("filter a like b", "like needs a text"),
        ("filter a like /(/", "no regular expression"),
        ("sort @timestamp", "expected asc or desc"),
        ("fields a + 1", "not understood on the laptop"),
    ],
)
def test_refused(query: str, message: str) -> None:
    """What the laptop does not know is refused before a single event is read, never ignored."""
    with pytest.raises(UnsupportedError, match=message):
        run(query, [])
