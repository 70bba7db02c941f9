"""Every saved query gives the rows that a known set of the handlers' real lines implies."""

from pathlib import Path

import pytest

from ops.cli.logs import filled
from ops.local.cloudwatch import insights, insights_values
from ops.local.cloudwatch.definitions import SavedQuery
from ops.local.cloudwatch.logs import LogEvent
from tests.components.recording import ROOT
from tests.contract.log_set import OPERATOR

_QUERIES = ROOT / "ops" / "queries"
_A = "2b859e85f31c7a89a6a3dd4067d9a197c90a768eb8cb1882997e87f4843dfb5f"  # SHA-256 of the order "a"
_B = "2f608ab20d8e3ed018d57cb5ae3dddd79650112f438bc7d289162d35185f686c"
_WORKER, _INGEST = "/aws/lambda/ingestion-lab-dev-events-worker", "/aws/lambda/ingestion-lab-dev-events-ingest"


def run(name: str, log_set: list[LogEvent], *, key: str | None = None) -> list[dict[str, str]]:
    """The rows of a saved query."""
    text = (_QUERIES / f"{name}.txt").read_text()
    return insights.run(filled(SavedQuery(name, text, []), key).text, log_set)


def columns(rows: list[dict[str, str]], *names: str) -> list[list[str | None]]:
    """Those columns of the rows."""
    return [[row.get(name) for name in names] for row in rows]


def test_failures_by_type(log_set: list[LogEvent]) -> None:
    """The worker's failures by type and outcome; what the API refused is no failure of an event."""
    rows = run("failures-by-type", log_set)

    assert rows[0] == {
        "errorType": "DownstreamError",
        "outcome": "retried",
        "failures": "4",
        "lastMessage": "not now",
    }
    assert sorted(columns(rows, "errorType", "outcome", "failures")) == [
        ["DownstreamError", "retried", "4"],
        ["InternalServerError", "not_dead_lettered", "1"],
        ["InternalServerError", "unclaimed", "1"],
        ["InternalServerError", "unrecorded", "1"],
        ["InternalServerError", "untold", "1"],
        ["KeyError", "exhausted", "1"],
        ["SchemaValidationError", "dead_lettered", "1"],
    ]


def test_duplicates(log_set: list[LogEvent]) -> None:
    """Which keys came more than once: delivered again, or sent again."""
    rows = run("duplicates", log_set)

    assert sorted(columns(rows, "idempotencyKey", "outcome", "repeats")) == [
        [_A, "duplicate", "1"],
        [_A, "redelivered", "1"],
    ]


def test_latency(log_set: list[LogEvent]) -> None:
    """How long the step took for events that succeeded, by five minutes; percentiles lie between the two values."""
    (row,) = run("latency", log_set)

    assert row == {
        "bin(5m)": "2027-01-15 08:00:00.000",
        "events": "2",
        "mean": "56",
        "p50": "56",
        "p95": "95.6",
        "p99": "99.12",
        "slowest": "100",
    }


def test_slowest(log_set: list[LogEvent]) -> None:
    """Whatever ran and took its time, the slowest first, failures too."""
    rows = run("slowest", log_set)

    assert columns(rows, "idempotencyKey", "outcome", "errorType", "latencyMs") == [
        [_B, "succeeded", None, "100"],
        ["late", "retried", "DownstreamError", "40"],
        [_A, "succeeded", None, "12"],
    ]


def test_one_event_by_its_key(log_set: list[LogEvent]) -> None:
    """From the request that brought it through every delivery, across functions."""
    rows = run("one-event", log_set, key=_A)

    assert columns(rows, "@log", "message", "route", "status", "outcome", "correlationId") == [
        [_INGEST, "request", "POST /events", "202", None, "c-1"],
        [_WORKER, "record done", None, None, "succeeded", "c-1"],
        [_WORKER, "record done", None, None, "redelivered", "c-1"],
        [_WORKER, "record done", None, None, "duplicate", "c-2"],
    ]


def test_one_event_by_its_correlation_id(log_set: list[LogEvent]) -> None:
    """All that came of one request."""
    rows = run("one-event", log_set, key="c-2")

    assert columns(rows, "@log", "route", "status", "outcome", "latencyMs") == [
        [_INGEST, "POST /events/batch", "207", None, "0"],
        [_WORKER, None, None, "duplicate", "0"],
        [_WORKER, None, None, "succeeded", "100"],
    ]


def test_redrive_audit(log_set: list[LogEvent]) -> None:
    """Who asked for it, what it did and how it ended, in order."""
    rows = run("redrive-audit", log_set)

    first, second = rows[0]["redriveId"], rows[2]["redriveId"]
    assert first != second
    names = ("route", "status", "requestedBy", "redriveId", "state", "reason", "counts.moved")
    assert [row["message"] for row in rows] == ["request", "redrive finished"] * 2
    assert columns(rows, *names) == [
        ["POST /redrive/start", "202", OPERATOR, first, None, None, None],
        [None, None, None, first, "SUCCEEDED", "nothing new on the dead-letter queue", "2"],
        ["POST /redrive/start", "202", OPERATOR, second, None, None, None],
        [None, None, None, second, "FAILED", "pipeline events has another queue now", "0"],
    ]


@pytest.mark.parametrize("path", sorted(_QUERIES.iterdir()), ids=lambda path: path.stem)
def test_every_query_is_shown(path: Path) -> None:
    """A query without a test of its rows is none that anybody could trust."""
    tests = {name.removeprefix("test_").replace("_", "-") for name in globals() if name.startswith("test_")}

    assert any(name == path.stem or name.startswith(f"{path.stem}-by-") for name in tests)


def test_no_column_is_always_empty(log_set: list[LogEvent]) -> None:
    """Every field that a query shows is one that some line has: a misspelt one would only be empty."""
    known = {name for event in log_set for name in insights_values.row(event)}
    shown = {path.stem: path.read_text().partition("\n")[0] for path in _QUERIES.iterdir()}
    names = {
        query: set(line.removeprefix("fields ").replace(",", "").split())
        for query, line in shown.items()
        if line.startswith("fields ")
    }

    assert {query: wanted - known for query, wanted in names.items()} == {query: set() for query in names}
