"""`lab status`: what it takes for wrong, and what it says to do."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from ops.cli import status
from ops.cli.status import Problem

if TYPE_CHECKING:
    from ops.cli.target import Target

_EMPTY = {"visible": 0, "inFlight": 0, "delayed": 0}
_WELL: dict[str, Any] = {
    "stack": "dev",
    "emulator": None,
    "failureMode": "none",
    "queues": {
        "events": {"main": _EMPTY, "dlq": _EMPTY},
        "orders": {"main": _EMPTY, "dlq": _EMPTY, "undelivered": _EMPTY},
        "lake": {"main": _EMPTY, "dlq": _EMPTY, "notices": _EMPTY, "dead notices": _EMPTY},
    },
    "controlQueues": {"control-failures": _EMPTY},
    "functions": {"events-worker": "Active"},
    "functionErrors": {"events-worker": 0},
    "recovered": [],
    "drain": {},
    "consumers": {"events": "Enabled", "orders": "Enabled", "lake": "Enabled"},
    "noticeConsumers": {"lake": "Enabled"},
    "breakers": {"events": "CLOSED", "orders": "CLOSED", "lake": "CLOSED"},
    "alarms": {"all": 55, "loud": []},
    "subscribers": [],
    "outputs": {},
    "states": None,
    "nextAttemptAt": None,
}


def _with(value: object, *path: str) -> dict[str, Any]:
    document = deepcopy(_WELL)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("document", "what", "command"),
    [
        (_with("", "failureMode"), "the API does not say whether a failure mode is on", "doctor"),
        (_with("poison_payload", "failureMode"), "failure mode poison_payload is on", "failure reset"),
        (
            _with("OPEN", "breakers", "orders"),
            "the circuit breaker of orders is OPEN",
            "runbook orders-downstream-outage",
        ),
        (
            _with("Disabled", "consumers", "orders"),
            "the consumer of orders is Disabled, and no breaker has paused it",
            "runbook orders-queue-stalled",
        ),
        (_with("", "consumers", "events"), "the consumer of events is not there", "runbook events-queue-stalled"),
        (
            _with("Disabled", "noticeConsumers", "lake"),
            "the consumer of lake's notices is Disabled, and no breaker has paused it",
            "runbook lake-notices-stalled",
        ),
        (
            _with("Failed", "functions", "events-worker"),
            "events-worker is Failed",
            "logs tail --function events-worker",
        ),
        (
            _with(3, "functionErrors", "events-worker"),
            "events-worker has failed 3 times in 10 min",
            "logs tail --function events-worker",
        ),
        (
            _with({"visible": 1, "inFlight": 2, "delayed": 0}, "queues", "events", "dlq"),
            "3 dead letters of events",
            "redrive preview --pipeline events",
        ),
        (
            _with({"visible": 1}, "queues", "orders", "undelivered"),
            "1 dead letters of orders (undelivered)",
            "redrive preview --pipeline orders-undelivered",
        ),
        (
            _with({"visible": 1}, "queues", "lake", "dead notices"),
            "1 dead letters of lake (dead notices)",
            "redrive preview --pipeline lake-notices",
        ),
        (
            _with({"visible": 2}, "controlQueues", "control-failures"),
            "2 messages on control-failures",
            "runbook control-failures",
        ),
        (
            _with([{"endpoint": "a@b.example", "state": "pending"}], "subscribers"),
            "a@b.example has not confirmed, and hears of no alarm",
            "doctor",
        ),
    ],
)
def test_what_is_not_well(document: dict[str, Any], what: str, command: str) -> None:
    """Each by itself, with one command for this stack."""
    assert list(status.problems(document)) == [Problem(what, f"lab {command} --stack dev")]


@pytest.mark.parametrize(
    "document",
    [
        _WELL,
        _with("Enabling", "consumers", "events"),
        _with("Inactive", "functions", "events-worker"),  # AWS's word for one that was not called for weeks
        _with({"visible": 500, "inFlight": 10}, "queues", "events", "main"),
        _with([{"endpoint": "a@b.example", "state": "confirmed"}], "subscribers"),
        _with(3, "functionErrors", "events-worker") | {"recovered": ["events-worker"]},
    ],
)
def test_what_is_well(document: dict[str, Any]) -> None:
    """Work that waits is none: alarms know how much is too much."""
    assert list(status.problems(document)) == []


@pytest.mark.parametrize(
    ("errors", "invocations", "count", "recovered"),
    [
        ({}, {5: 9}, 0, False),
        ({2: 3, 4: 1}, {2: 3, 4: 2, 5: 1}, 4, True),
        ({4: 1}, {3: 8, 4: 9}, 1, False),  # it worked before, and in the same minute: that says nothing of now
        ({4: 1}, {4: 1, 5: 0}, 1, False),
        ({4: 2}, {}, 2, False),
    ],
)
def test_recovered(errors: dict[int, int], invocations: dict[int, int], count: int, recovered: bool) -> None:  # noqa: FBT001
    """A function that was invoked in a later minute than its last failure, and has not failed there, is well again."""
    now = datetime(2026, 1, 1, 0, 10, tzinfo=UTC)

    def answer(**asked: Any) -> dict[str, Any]:
        given = {"Errors": errors, "Invocations": invocations}
        results = [
            {
                "Id": query["Id"],
                "Timestamps": [now.replace(minute=minute) for minute in values],
                "Values": [float(value) for value in values.values()],
            }
            for query in asked["MetricDataQueries"]
            for values in [given[query["MetricStat"]["Metric"]["MetricName"]]]
        ]
        return {"MetricDataResults": results}

    stack = cast(
        "Target",
        SimpleNamespace(
            outputs={"events": {"workerFunctionName": "events-worker"}},
            client=lambda _: SimpleNamespace(get_metric_data=answer),
        ),
    )

    assert status._errors(stack, now) == {
        "functionErrors": {"events-worker": count},
        "recovered": ["events-worker"] if recovered else [],
    }


def test_alarms_and_the_laptop() -> None:
    """An alarm says its own next command; what watches alarms may have died."""
    loud = {"name": "events-queue-age", "since": "12:00", "next": "lab runbook events-queue-age --stack local"}
    document = _with({"all": 55, "loud": [loud]}, "alarms") | {"stack": "local", "emulator": {"cloudWatch": False}}

    assert list(status.problems(document)) == [
        Problem("the laptop's CloudWatch does not run: alarms and metrics are old", "lab up"),
        Problem("alarm events-queue-age since 12:00", loud["next"]),
    ]


def test_a_screen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict comes first, then at most eight of what is wrong: it all fits a screen of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    functions = {f"function-{number}": "Active" for number in range(10)}
    document = _with("downstream_outage", "failureMode") | {
        "functions": functions,
        "functionErrors": dict.fromkeys(functions, 1),
        "recovered": ["function-9"],
        "states": {"RETRYING": 1},
        "nextAttemptAt": "2026-01-02T03:04:05.678Z",
    }

    status._show(document, list(status.problems(document)), outputs=False)

    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "not well: stack dev, 0 of 55 alarms ring",
        "- failure mode downstream_outage is on",
        "    next: lab failure reset --stack dev",
    ]
    assert "- and 2 more: lab alarms --stack dev" in lines
    assert "function function-8: Active, 1 error" in lines
    assert "function function-9: Active, 1 error; invoked since, without one" in lines
    assert lines[-2] == "an attempt of a RETRYING record was due at 2026-01-02T03:04:05.678Z:"
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("stack", "alarms", "shown"),
    [
        (
            "dev",
            55,
            [
                "who hears of alarms: nobody",
                "    next: pulumi config set alarmEmail ADDRESS --stack dev && lab up --stack dev",
            ],
        ),
        ("dev", 0, ["who hears of alarms: nobody, as observabilityEnabled is false"]),
        ("local", 55, ["who hears of alarms: nobody; lab alarms shows them"]),
    ],
)
def test_nobody_hears_of_alarms(
    stack: str, alarms: int, shown: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to do about it stands below; where there are no alarms, or no post goes out, that is the reason."""
    monkeypatch.setenv("COLUMNS", "80")
    document = _with({"all": alarms, "loud": []}, "alarms") | {"stack": stack}

    status._show(document, [], outputs=False)

    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line in shown] == shown


class _Flows:
    """SQS and CloudWatch of queues: what waits in each, and what was sent to and deleted from it in three minutes."""

    def __init__(self, **queues: tuple[int, int, int]) -> None:
        self._queues = queues

    def get_queue_attributes(self, QueueUrl: str, AttributeNames: list[str]) -> Any:
        waiting = self._queues[QueueUrl.rpartition("/")[2]][0]
        return {"Attributes": dict.fromkeys(AttributeNames, "0") | {"ApproximateNumberOfMessages": str(waiting)}}

    def get_metric_data(self, MetricDataQueries: list[Any], StartTime: datetime, EndTime: datetime) -> Any:
        assert EndTime - StartTime == timedelta(minutes=3)
        results = []
        for query in MetricDataQueries:
            metric = query["MetricStat"]["Metric"]
            _, sent, deleted = self._queues[metric["Dimensions"][0]["Value"]]
            count = {"NumberOfMessagesSent": sent, "NumberOfMessagesDeleted": deleted}[metric["MetricName"]]
            results.append({"Id": query["Id"], "Values": [count / 2, count / 2] if count else []})
        return {"MetricDataResults": results}


def test_when_the_queues_are_worked_off() -> None:
    """What waits, over what it got less by in a second; not while it grows, and nothing where nothing waits."""
    stack = _Flows(events=(1200, 900, 1500), orders=(7, 20, 20), lake=(0, 5, 5), other=(90, 0, 180))
    pipelines = {name: {"queueUrl": f"https://sqs/1/{name}"} for name in ("events", "orders", "lake", "other")}

    found = status.drain(stack, stack, pipelines, datetime.now(UTC))

    assert found == {
        "events": {"waiting": 1200, "seconds": 360},
        "orders": {"waiting": 7, "seconds": None},
        "other": {"waiting": 90, "seconds": 90},
    }
    assert status._drain_lines({"drain": found}) == [
        "events: 1,200 wait, worked off in 6 min at the rates of the last 3 min",
        "orders: 7 wait, they get no fewer at the rates of the last 3 min",
        "other: 90 wait, worked off in 90 s at the rates of the last 3 min",
    ]
    assert (
        status.drain(
            _Flows(events=(0, 0, 0)), _Flows(events=(0, 0, 0)), {"events": pipelines["events"]}, datetime.now(UTC)
        )
        == {}
    )
