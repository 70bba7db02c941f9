"""What log events and the lines of the emulator's log tell of invocations, requests and deliveries."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from ops.local.cloudwatch.definitions import Rule
from ops.local.cloudwatch.logs import LogEvent
from ops.local.cloudwatch.metrics import Datum
from ops.local.cloudwatch.sources import invocations, notices
from ops.local.cloudwatch.sources.queues import Settled


def _log(stream: str, *lines: str, at: int = 10_000, group: str = "g") -> list[LogEvent]:
    report = "REPORT RequestId: 1\tDuration: 2000 ms\tBilled Duration: 2000 ms"
    return [LogEvent(group, stream, at, line) for line in ("START RequestId: 1", *lines, "END RequestId: 1", report)]


def _read(events: list[LogEvent], cold: int = 0, apis: Mapping[str, str] | None = None) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for datum in invocations.data(invocations.invocations(events, {"g": "f"}), apis or {}, Counter(f=cold)):
        if dict(datum.metric.dimensions) in ({"FunctionName": "f"}, {"ApiId": "a"}):
            assert datum.point.at == 10
            found.setdefault(datum.metric.name, []).append(datum.point.value)
    return found


@pytest.mark.parametrize(
    ("lines", "errors", "duration"),
    [
        (['{"message": "fine"}'], 0, 2000),
        (["Traceback (most recent call last):", "ValueError: boom"], 1, 2000),
        (["Worker process died"], 1, 2000),
        (["Task timed out after 1.50 seconds"], 1, 1500),
        (['{"message": "Traceback (most recent call last):"}'], 0, 2000),
    ],
)
def test_invocations(lines: list[str], errors: int, duration: float) -> None:
    """How an invocation ended stands among its lines; a time-out lasted as long as the function may."""
    expected = {"Invocations": [1], "Errors": [errors], "Throttles": [0], "Duration": [duration]}
    assert _read(_log("s", *lines)) == expected


def test_cold_starts() -> None:
    """The emulator counts the start into the duration, so that of the first invocation is left out."""
    events = [*_log("s"), LogEvent("g", "t", 10_000, "REPORT RequestId: 2\tDuration: 5 ms\t")]
    assert (_read(events, cold=1)["Duration"], _read(events)["Duration"]) == ([5], [2000, 5])


def test_other_groups_and_half_invocations() -> None:
    """Only functions' groups are looked at, and what has no report is none (yet)."""
    assert (_read(_log("s", group="other")), _read([LogEvent("g", "s", 1, "START RequestId: 1")])) == ({}, {})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"route": "GET /x", "status": 200}', (1, 0, 0)),
        ('{"route": "GET /x", "status": 404}', (1, 1, 0)),
        ('{"route": "GET /x", "status": 503}', (1, 0, 1)),
        ("Worker process died", (1, 0, 1)),
        ('{"message": "invoked by something else"}', None),
    ],
)
def test_requests(line: str, expected: tuple[int, int, int] | None) -> None:
    """Requests are told by the line that each leaves, or by a failure; other invocations are none."""
    found = _read(_log("s", line), apis={"f": "a"})
    counts = None if "Count" not in found else tuple(found[name][0] for name in ("Count", "4xx", "5xx"))
    assert (counts, found.get("Latency")) == (expected, expected and [2000])


_TOPIC = "arn:aws:sns:us-east-1:000000000000:alarms"
_LINES = f"""\
2026-11-21 02:25:57 INFO [lambda_runtime] Lambda worker spawned for worker (python3.13, cold start)
2026-11-21 02:25:57 INFO [lambda] ESM: Lambda worker processed 3 SQS messages from work
2026-11-21 02:25:58 INFO [lambda] ESM: Lambda worker processed 1 SQS messages from work (2 partial failures)
2026-11-21 02:25:58 INFO [lambda] ESM: Lambda worker output:
{{"message": "SNS publish to {_TOPIC}: not said by the emulator"}}
EventBridge → SNS {_TOPIC}
2026-11-21 02:25:59 INFO [sns] SNS publish to {_TOPIC}: {{"version": "0"}}
2026-11-21 02:25:59 INFO [events] EventBridge → SNS {_TOPIC}
2026-11-21 02:25:59 INFO [events] EventBridge → Lambda breaker: dispatched
2026-11-21 02:25:59 WARNING [events] EventBridge → Lambda: function breaker not found
2026-11-21 02:25:59 WARNING [events] EventBridge → SNS {_TOPIC} refused: too large
2026-11-21 02:25:59 ERROR [events] EventBridge target dispatch error for {_TOPIC}: boom
2026-11-21 02:25:59 INFO [sns] SNS fanout → SQS ear
2026-11-21 02:25:59 INFO [sns] SNS fanout → Lambda hook
2026-11-21 02:25:59 INFO [sns] SNS fanout → email who@example.org (stub)
2026-11-21 02:25:59 INFO [sns] SNS HTTP delivery to http://127.0.0.1:1/hook: 200
2026-11-21 02:25:59 WARNING [sns] SNS HTTP delivery to http://127.0.0.1:1/hook failed: refused
2026-11-21 02:25:59 WARNING [sns] SNS fanout: SQS queue ear not found
2026-11-21 02:25:59 WARNING [sns] SNS fanout: queue policy denies delivery from {_TOPIC} to ear
2026-11-21 02:25:59 ERROR [sns] SNS fanout → Lambda hook failed: boom
"""


def test_notices() -> None:
    """Every line that the emulator prints about deliveries, and no line of a function's output."""
    said = notices.read(_LINES.splitlines())
    assert said == notices.Notices(
        settled={"work": Settled(received=6, deleted=4)},
        cold=Counter(worker=1),
        delivered=Counter(alarms=1, breaker=1),
        undelivered=Counter(alarms=2, breaker=1),
        published=Counter({_TOPIC: 1}),
        notified=Counter({"ear": 1, "hook": 1, "who@example.org": 1, "http://127.0.0.1:1/hook": 1}),
        unnotified=Counter({"ear": 2, "hook": 1, "http://127.0.0.1:1/hook": 1}),
    )


def test_data_of_notices() -> None:
    """Rules by their targets, topics by their endpoints; what did not happen is not sent."""
    rules = [Rule("bus", "told", [_TOPIC]), Rule("default", "tick", ["arn:aws:lambda:r:0:function:breaker"])]
    rules.append(Rule("bus", "silent", ["arn:aws:sqs:r:0:nobody"]))
    topics = {_TOPIC: ["arn:aws:sqs:r:0:ear", "http://127.0.0.1:1/hook"], "arn:aws:sns:r:0:silent": []}
    found = {
        _key(datum): datum.point.count for datum in notices.data(notices.read(_LINES.splitlines()), rules, topics, 5)
    }
    assert found == {
        ("MatchedEvents", "bus", "told"): 3,
        ("Invocations", "bus", "told"): 3,
        ("FailedInvocations", "bus", "told"): 2,
        ("MatchedEvents", "tick"): 2,
        ("Invocations", "tick"): 2,
        ("FailedInvocations", "tick"): 1,
        ("NumberOfMessagesPublished", "alarms"): 1,
        ("NumberOfNotificationsDelivered", "alarms"): 2,
        ("NumberOfNotificationsFailed", "alarms"): 3,
    }


def _key(datum: Datum) -> tuple[str, ...]:
    return (datum.metric.name, *(value for _, value in datum.metric.dimensions))


def test_tail(tmp_path: Path) -> None:
    """Whole lines since the last look; from the start where the file was cut; nothing where there is none."""
    path = tmp_path / "log"
    tail = notices.Tail(path)
    assert tail.lines() == []
    path.write_text("one\ntw")
    assert tail.lines() == ["one"]
    path.write_text("one\ntwo\nthree\n")
    assert tail.lines() == ["two", "three"]
    path.write_text("new\n")
    assert tail.lines() == ["new"]
    path.write_text("old\nnew\n")
    assert notices.Tail(path).lines() == []
    assert notices.Tail(path, 4).lines() == ["new"]
