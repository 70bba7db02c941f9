"""`lab logs`, `lab alarms` and `lab watch` on stand-ins for AWS's answers; the laptop's own are in tests/pipelines."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ops.cli import logs, target
from ops.cli.main import app
from tests.ops.laptop import Laptop

_NOW_S = 1_800_000_000  # 2027-01-15T08:00:00Z
_GROUPS = {
    "/aws/lambda/ingestion-lab-dev-events-ingest": ["request"],
    "/aws/lambda/ingestion-lab-dev-events-worker": ["record done"],
}
_QUERY = 'filter idempotencyKey = "KEY" or correlationId = "KEY"'


class NotFoundError(Exception):
    """AWS's ResourceNotFoundException."""


@dataclass
class FakeAws:
    """What the commands ask of logs, lambda, sqs and cloudwatch."""

    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    queries: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    started: list[dict[str, Any]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    composites: list[dict[str, Any]] = field(default_factory=list)
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(ResourceNotFoundException=NotFoundError))

    def get_paginator(self, operation: str) -> "FakeAws":
        self.operation = operation
        return self

    def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
        if self.operation == "describe_log_groups":
            assert given == {"logGroupNamePrefix": "/aws/lambda/ingestion-lab-dev-"}
            yield {
                "logGroups": [{"logGroupName": "/aws/lambda/ingestion-lab-dev-eu-events-worker"}]
            }  # of a stack dev-eu
            yield from ({"logGroups": [{"logGroupName": name}]} for name in reversed(_GROUPS))
        elif self.operation == "filter_log_events":
            found = [e for e in self.events[given["logGroupName"]] if e["timestamp"] >= given["startTime"]]
            yield from ({"events": found[i : i + 1]} for i in range(len(found)))
        elif self.operation == "get_metric_data":
            for half in (slice(1), slice(1, None)):  # of the values, each on a page of its own
                results = [one | {"Values": one["Values"][half]} for one in self._metrics(**given)]
                yield {"MetricDataResults": results}
        else:
            assert given == {"AlarmNamePrefix": "IngestionLab-dev-", "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
            yield {"MetricAlarms": self.alarms}
            yield {"CompositeAlarms": self.composites}

    def get_function_configuration(self, *, FunctionName: str) -> dict[str, Any]:
        if FunctionName != "events-worker-1a2b3c4":
            raise NotFoundError
        return {"LoggingConfig": {"LogGroup": "/aws/lambda/ingestion-lab-dev-events-worker"}}

    def describe_query_definitions(self, *, queryDefinitionNamePrefix: str, nextToken: str = "0") -> dict[str, Any]:
        assert queryDefinitionNamePrefix == "ingestion-lab/dev/"
        page = int(nextToken)
        more = {"nextToken": str(page + 1)} if page + 1 < len(self.queries) else {}
        return {"queryDefinitions": self.queries[page : page + 1], **more}

    def start_query(self, **given: Any) -> dict[str, Any]:
        self.started.append(given)
        return {"queryId": "q-1"}

    def get_query_results(self, *, queryId: str) -> dict[str, Any]:
        assert queryId == "q-1"
        return self.answers.pop(0)

    def stop_query(self, *, queryId: str) -> None:
        self.stopped.append(queryId)

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:
        return {"Attributes": dict.fromkeys(AttributeNames, "7" if QueueUrl == "https://dlq" else "0")}

    def _metrics(
        self, *, MetricDataQueries: list[dict[str, Any]], StartTime: datetime, EndTime: datetime
    ) -> list[dict[str, Any]]:
        assert (EndTime - StartTime).total_seconds() == 300
        values = {"Invocations": [3.0, 2.0], "Errors": [1.0], "Throttles": []}
        results = []
        for query in MetricDataQueries:
            metric = query["MetricStat"]["Metric"]
            assert metric["Dimensions"][0]["Name"] == "FunctionName"
            is_worker = metric["Dimensions"][0]["Value"] == "events-worker-1a2b3c4"
            results.append({"Id": query["Id"], "Values": values[metric["MetricName"]] if is_worker else []})
        return results


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    """A stack dev on AWS; time stands still, and nobody waits."""
    fake = FakeAws(events={name: [] for name in _GROUPS})
    outputs = {
        "ApiEndpoint": "https://api",
        "events": {
            "queueUrl": "https://queue",
            "dlqUrl": "https://dlq",
            "ingestFunctionName": "events-ingest-5d6e7f8",
            "workerFunctionName": "events-worker-1a2b3c4",
        },
    }

    @dataclass(frozen=True)
    class Found(target.Target):
        def client(self, service: str) -> Any:
            assert service in ("logs", "lambda", "sqs", "cloudwatch")
            return fake

    monkeypatch.setattr(target, "find", lambda stack: Found(stack, outputs, None))
    monkeypatch.setattr(time, "time", lambda: _NOW_S + 0.5)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    return fake


def lab(*arguments: str) -> Result:
    """Runs `lab` on that stack."""
    return CliRunner().invoke(app, [*arguments, "--stack", "dev"])


def line(group: str, at_ms: int, message: str | dict[str, Any], event_id: str = "") -> dict[str, Any]:
    """A log event as FilterLogEvents gives it."""
    text = message if isinstance(message, str) else json.dumps(message)
    return {"timestamp": at_ms, "message": text, "logStreamName": group[-6:], "eventId": event_id or f"{at_ms}{text}"}


def say(aws: FakeAws, function: str, at_ms: int, message: str | dict[str, Any]) -> None:
    """A function says something."""
    group = f"/aws/lambda/ingestion-lab-dev-{function}"
    aws.events[group].append(line(group, at_ms, message))


def test_tail_shows_what_the_functions_say(aws: FakeAws) -> None:
    """All functions' lines by time, with their fields; Lambda's chatter and metrics are left out, its failures not."""
    start = _NOW_S * 1000
    say(aws, "events-worker", start - 1000, {"level": "ERROR", "message": "record failed", "errorType": "X", "n": 1})
    say(aws, "events-ingest", start - 2000, {"level": "INFO", "message": "request", "route": "POST /events"})
    say(aws, "events-ingest", start - 900, {"_aws": {}, "pipeline": "events", "Accepted": 1})
    say(aws, "events-ingest", start - 800, "REPORT RequestId: r-1\tDuration: 2 ms\n")
    say(aws, "events-worker", start - 700, "2027-01-15T07:59:59Z r-2 Task timed out after 5.00 seconds\n")
    say(aws, "events-worker", start - 700_000, {"level": "INFO", "message": "long ago"})

    shown = lab("logs", "tail")

    assert (shown.exit_code, shown.stdout.splitlines()) == (
        0,
        [
            '07:59:58.000 events-ingest INFO request route="POST /events"',
            "07:59:59.000 events-worker ERROR record failed errorType=X n=1",
            "07:59:59.300 events-worker 2027-01-15T07:59:59Z r-2 Task timed out after 5.00 seconds",
        ],
    )


@pytest.mark.parametrize("name", ["events-worker", "events-worker-1a2b3c4"])
def test_tail_of_one_function(aws: FakeAws, name: str) -> None:
    """By its name in the program, or by the one that AWS has for it; as documents with nothing left out."""
    say(aws, "events-ingest", _NOW_S * 1000, "not this")
    say(aws, "events-worker", _NOW_S * 1000, "REPORT it is")

    shown = lab("logs", "tail", "--function", name, "--json")

    assert [json.loads(text) for text in shown.stdout.splitlines()] == [
        {"timestamp": _NOW_S * 1000, "function": "events-worker", "message": "REPORT it is"}
    ]


def test_tail_of_a_function_that_there_is_not(aws: FakeAws) -> None:
    """Told with those that there are."""
    refused = lab("logs", "tail", "--function", "nobody")

    assert (refused.exit_code, refused.stderr, aws.started) == (
        1,
        "error: there is no function nobody; there are: events-ingest, events-worker\n",
        [],
    )


def test_following_shows_each_line_once(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Late ones and equal ones too; Ctrl-C is the way out, not a failure."""
    moment = _NOW_S * 1000
    arrivals: Iterator[list[tuple[int, dict[str, Any]]]] = iter(
        [
            [(moment, {"message": "a"}), (moment, {"message": "a", "n": 2})],
            [(moment - 9000, {"message": "late"})],
            [(moment + 1, {"message": "b"})],
        ]
    )

    def pause(_seconds: float) -> None:
        for at, message in next(arrivals, []) or _interrupt():
            say(aws, "events-worker", at, message)

    monkeypatch.setattr(time, "sleep", pause)
    shown = lab("logs", "tail", "--function", "events-worker", "--follow")

    assert shown.exit_code == 0
    assert [text.partition("- ")[2] for text in shown.stdout.splitlines()] == ["a", "a n=2", "late", "b"]


def _interrupt() -> list[Any]:
    raise KeyboardInterrupt


@pytest.mark.parametrize("since", ["", "5", "m", "0m", "-1h", "1w", "1.5h"])
def test_since_is_a_span(aws: FakeAws, since: str) -> None:
    """Anything else is refused in one line, before AWS is asked."""
    refused = lab("logs", "tail", "--since", since)

    assert (refused.exit_code, refused.stderr) == (
        2,
        f"error: --since must be a number and s, m, h or d, as in 90s or 2h, got {since!r}\n",
    )
    assert aws.started == []


@pytest.fixture
def saved(aws: FakeAws) -> FakeAws:
    """Two saved queries, and one of another stack whose name begins alike."""
    groups = sorted(_GROUPS)
    aws.queries = [
        {"name": "ingestion-lab/dev/latency", "queryString": "stats count(*)", "logGroupNames": groups},
        {"name": "ingestion-lab/dev/one-event", "queryString": _QUERY, "logGroupNames": groups},
    ]
    return aws


def _row(**cells: str) -> list[dict[str, str]]:
    return [{"field": name, "value": value} for name, value in cells.items()]


def test_query_on_aws(saved: FakeAws) -> None:
    """The stack's own definition is run over the time asked for; the result is waited for."""
    saved.answers = [
        {"status": "Scheduled", "results": []},
        {"status": "Running", "results": [_row(a="0")]},
        {"status": "Complete", "results": [[*_row(a="1"), {"field": "@ptr", "value": "x"}], _row(b="2")]},
    ]

    shown = lab("logs", "query", "latency", "--since", "2h", "--json")

    assert json.loads(shown.stdout) == {"query": "latency", "stack": "dev", "rows": [{"a": "1"}, {"b": "2"}]}
    assert saved.started == [
        {
            "logGroupNames": sorted(_GROUPS),
            "startTime": _NOW_S - 7200,
            "endTime": _NOW_S + 1,
            "queryString": "stats count(*)",
        }
    ]
    assert saved.stopped == []


def test_query_as_a_table(saved: FakeAws) -> None:
    """Every column that a row has; how many rows there are is a message."""
    saved.answers = [{"status": "Complete", "results": [_row(errorType="X", failures="2"), _row(other="3")]}]

    shown = lab("logs", "query", "latency")

    assert shown.stderr == "asking for latency ...\n2 rows\n"
    cells = [[cell.strip() for cell in text.split("│")[1:-1]] for text in shown.stdout.splitlines() if "│" in text]
    assert cells == [["X", "2", ""], ["", "", "3"]]


@pytest.mark.parametrize("status", ["Failed", "Cancelled", "Timeout", "Unknown"])
def test_query_that_fails(saved: FakeAws, status: str) -> None:
    """Logs Insights' own word for it; there is nothing to stop."""
    saved.answers = [{"status": status, "results": []}]

    refused = lab("logs", "query", "latency")

    assert (refused.exit_code, refused.stderr.splitlines()[-1]) == (
        1,
        f"error: Logs Insights ended the query with {status}",
    )
    assert saved.stopped == []


def test_query_that_is_interrupted(saved: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stopped, for it costs what it reads."""
    saved.answers = [{"status": "Running", "results": []}]
    monkeypatch.setattr(time, "sleep", lambda _seconds: _interrupt())

    assert lab("logs", "query", "latency").exit_code == 130
    assert saved.stopped == ["q-1"]


def test_query_about_a_key(saved: FakeAws) -> None:
    """It stands wherever the query wants it, and cannot end the text that it stands in."""
    saved.answers = [{"status": "Complete", "results": []}]

    assert lab("logs", "query", "one-event", "--key", 'a"=b\\').exit_code == 0
    assert saved.started[0]["queryString"] == r'filter idempotencyKey = "a\"=b\\" or correlationId = "a\"=b\\"'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "there is no query nothing; there are: latency, one-event"),
        (["one-event"], "one-event needs a --key"),
        (["latency", "--key", "order-7"], "latency takes no --key"),
    ],
)
def test_query_that_is_not_asked_right(saved: FakeAws, arguments: list[str], message: str) -> None:
    """Told what would be right; nothing is run."""
    refused = lab("logs", "query", *arguments)

    code = 2 if message.startswith("there is no query") else 1
    assert (refused.exit_code, refused.stderr.splitlines()[-1], saved.started) == (code, f"error: {message}", [])


def test_query_without_observability(aws: FakeAws) -> None:
    """A stack without it has none."""
    refused = lab("logs", "query", "latency")

    assert refused.stderr == "error: there is no query latency; there are: none (observabilityEnabled)\n"
    assert aws.started == []


def _alarm(name: str, state: str, *, severity: str = "critical", **more: Any) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "StateValue": state,
        "StateReason": f"because of {name}",
        "StateUpdatedTimestamp": datetime(2027, 1, 15, 9, tzinfo=UTC),
        "StateTransitionedTimestamp": datetime(2027, 1, 15, 8, tzinfo=UTC),
        "AlarmDescription": f"Something. Runbook: ops/runbooks/{name.removeprefix('IngestionLab-dev-')}.md",
        "AlarmActions": [f"arn:aws:sns:eu-west-1:123456789012:alarms-{severity}-1a2b3c4"],
        **more,
    }


@pytest.fixture
def ringing(aws: FakeAws) -> FakeAws:
    """One alarm of each state and what sums them up."""
    aws.alarms = [
        _alarm("IngestionLab-dev-api-5xx", "OK"),
        _alarm("IngestionLab-dev-throttles", "INSUFFICIENT_DATA", severity="warning"),
        _alarm("IngestionLab-dev-queue-age", "ALARM"),
    ]
    composite = _alarm("IngestionLab-dev-critical", "ALARM", AlarmActions=[], AlarmDescription="Any critical alarm.")
    del composite["StateTransitionedTimestamp"]
    composite["AlarmRule"] = " OR ".join(f'ALARM("{alarm["AlarmName"]}")' for alarm in aws.alarms)
    aws.composites = [composite]
    return aws


def test_alarms_of_a_stack_whose_name_begins_the_same_are_left_out(ringing: FakeAws) -> None:
    """All begin with IngestionLab-dev-; the stack's own are those that its two sums name."""
    before = lab("alarms", "--json").stdout
    ringing.alarms.append(_alarm("IngestionLab-dev-eu-queue-age", "ALARM"))
    ringing.composites.append(_alarm("IngestionLab-dev-eu-critical", "ALARM") | {"AlarmRule": 'ALARM("x")'})

    assert lab("alarms", "--json").stdout == before


def test_alarms(ringing: FakeAws) -> None:
    """What rings: what it means, what was measured, and what to do; what is quiet is counted, or listed."""
    ringing.alarms[1]["MetricName"] = "Throttles"
    ringing.alarms[2]["Metrics"] = [
        {"Id": "age", "Label": "a part", "ReturnData": False},
        {"Id": "result", "Label": "age of the oldest message", "ReturnData": True},
    ]
    loud = [
        "ALARM             critical IngestionLab-dev-critical since 2027-01-15T09:00:00Z",
        "                  means: Any critical alarm.",
        "                  reason: because of IngestionLab-dev-critical",
        "ALARM             critical IngestionLab-dev-queue-age since 2027-01-15T08:00:00Z",
        "                  means: Something.",
        "                  measured: age of the oldest message",
        "                  reason: because of IngestionLab-dev-queue-age",
        "                  next: lab runbook queue-age --stack dev",
        "INSUFFICIENT_DATA warning  IngestionLab-dev-throttles since 2027-01-15T08:00:00Z",
        "                  means: Something.",
        "                  measured: Throttles",
        "                  reason: because of IngestionLab-dev-throttles",
        "                  next: lab runbook throttles --stack dev",
    ]
    shown = lab("alarms")
    assert (shown.stdout.splitlines(), shown.stderr) == (loud, "1 of 4 alarms are OK (--all lists them)\n")
    quiet = "OK                critical IngestionLab-dev-api-5xx since 2027-01-15T08:00:00Z"
    assert lab("alarms", "--all").stdout.splitlines() == [*loud, quiet]


def test_alarms_as_json(ringing: FakeAws) -> None:
    """Every field of each."""
    document = json.loads(lab("alarms", "--json").stdout)

    assert len(document["alarms"]) == len(ringing.alarms) + 1
    assert document["alarms"][-1] == {
        "name": "IngestionLab-dev-api-5xx",
        "state": "OK",
        "severity": "critical",
        "since": "2027-01-15T08:00:00Z",
        "reason": "because of IngestionLab-dev-api-5xx",
        "runbook": "ops/runbooks/api-5xx.md",
        "next": "lab runbook api-5xx --stack dev",
        "means": "Something.",
        "measured": "",
    }


def test_no_alarms(aws: FakeAws) -> None:
    """A stack without observability has none, which is said."""
    shown = lab("alarms")

    assert (shown.exit_code, shown.stdout, shown.stderr, aws.alarms) == (
        0,
        "",
        "no alarms: the stack has observabilityEnabled: false\n",
        [],
    )


def test_watch_as_json(ringing: FakeAws) -> None:
    """One document for each look, in a line."""
    shown = lab("watch", "--times", "2", "--json")

    first, second = (json.loads(text) for text in shown.stdout.splitlines())
    depth = {"visible": 0, "inFlight": 0, "delayed": 0}
    assert first | {"at": ""} == second | {"at": ""}
    assert {name: value for name, value in first.items() if name != "at"} == {
        "stack": "dev",
        "queues": {"events": {"main": depth, "dlq": dict.fromkeys(depth, 7)}},
        "functions": {
            "events-ingest-5d6e7f8": {"invocations": 0, "errors": 0, "throttles": 0},
            "events-worker-1a2b3c4": {"invocations": 5, "errors": 1, "throttles": 0},
        },
        "alarms": json.loads(lab("alarms", "--json").stdout)["alarms"],
    }
    assert len(first["alarms"]) == len(ringing.alarms) + 1


def test_watch_for_people(ringing: FakeAws) -> None:
    """Queues, functions, alarms, and why those ring that do."""
    shown = lab("watch", "--times", "1").stdout

    titles = [text.strip() for text in shown.splitlines() if text[:1].isalpha()]
    assert [title.partition(" at ")[0] for title in titles] == [
        "dev",
        "Functions, last 5 minutes",
        "Alarms, 2 of 4 in ALARM",
        "Reasons",
    ]
    cells = [[cell.strip() for cell in text.split("│")[1:-1]] for text in shown.splitlines() if "│" in text]
    assert ["events", "dlq", "7", "7", "7"] in cells
    assert ["events-worker-1a2b3c4", "5", "1", "0"] in cells
    assert ["queue-age", "ALARM", "2027-01-15T08:00:00Z"] in cells
    assert ["queue-age", "because of IngestionLab-dev-queue-age"] in cells
    ringing.alarms = ringing.composites = []
    assert "Reasons" not in lab("watch", "--times", "1").stdout


def test_watch_ends_with_ctrl_c(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is how one leaves it, so it is no failure."""
    monkeypatch.setattr(time, "sleep", lambda _seconds: _interrupt())

    shown = lab("watch", "--json")

    assert (shown.exit_code, len(shown.stdout.splitlines()), aws.alarms) == (0, 1, [])


@pytest.mark.parametrize("words", ["alarms", "watch", "logs tail", "logs query latency"])
def test_nothing_runs(laptop: Laptop, words: str) -> None:
    """Without a stack there is nothing to look at; the message says how to start one."""
    refused = laptop.lab(*words.split())

    assert (refused.exit_code, refused.stdout, refused.stderr) == (
        1,
        "",
        "error: the laptop's stack is down; start it with: lab up\n",
    )


def test_queries_of_the_laptop_come_from_what_was_deployed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the deployer's state, since the emulator keeps none; no other stack's."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    names = ("ingestion-lab/local/latency", "another/local/latency")
    entries = [
        {
            "type": "aws:cloudwatch/queryDefinition:QueryDefinition",
            "name": f"query-{number}",
            "id": str(number),
            "inputs": {"name": name, "queryString": name, "logGroupNames": ["g"]},
            "outputs": {},
        }
        for number, name in enumerate(names)
    ]
    (tmp_path / "local.json").write_text(json.dumps({"resources": entries}))
    laptop: Any = SimpleNamespace(stack="local", has_logs_insights=False)

    found = logs.saved(laptop)

    assert [(name, query.text, query.groups) for name, query in found.items()] == [("latency", names[0], ["g"])]
