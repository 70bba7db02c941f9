"""The preview: each letter once, what would happen to each, an end to it, and all given back."""

import io
import json
from typing import Any

import pytest

from handlers.control.redrive.api.preview import fingerprint
from tests.handlers.control.redrive.conftest import DLQ, Lab, text
from tests.handlers.control.redrive.fakes import refusal


def preview(lab: Lab, **query: str) -> tuple[int, Any]:
    """Asks for one."""
    return lab.ask("GET /redrive/preview", query=query or None)


def test_two_letters_are_two(lab: Lab) -> None:
    """The whole answer: statistics, groups, messages with all that is known of them, filters; then all can be seen."""
    lab.letter(
        "a", error="SchemaValidationError", age_ms=61_500, attributes={"errorMessage": text("/amount must be 0")}
    )
    lab.letter("b", error="", age_ms=1000, attributes={"bin": {"DataType": "Binary", "BinaryValue": b"\x00"}})
    lab.record("b", errorType={"S": "DownstreamError"}, errorMessage={"S": "order 17 of 'x'"})
    queue = lab.sqs.queues[DLQ]

    status, body = preview(lab)

    assert status == 200
    assert body == {
        "dlqStats": {
            "totalMessages": 2,
            "notVisible": 0,
            "delayed": 0,
            "examined": 2,
            "unseen": 0,
            "matching": 2,
            "oldestAgeSeconds": 61,
        },
        "groups": [
            {
                "errorType": "SchemaValidationError",
                "fingerprint": "SchemaValidationError: /amount must be <n>",
                "count": 1,
                "wouldMove": 1,
                "wouldSkip": 0,
                "reasons": {},
            },
            {
                "errorType": "DownstreamError",
                "fingerprint": "DownstreamError: order <n> of <text>",
                "count": 1,
                "wouldMove": 1,
                "wouldSkip": 0,
                "reasons": {},
            },
        ],
        "messages": [
            {
                "messageId": queue[0].id,
                "idempotencyKey": "a",
                "errorType": "SchemaValidationError",
                "errorMessage": "/amount must be 0",
                "ageSeconds": 61,
                "redriveCount": 0,
                "action": "move",
                "reason": "",
                "attributes": {
                    "idempotencyKey": {"type": "String", "value": "a"},
                    "errorType": {"type": "String", "value": "SchemaValidationError"},
                    "originalMessageId": {"type": "String", "value": "first-a"},
                    "errorMessage": {"type": "String", "value": "/amount must be 0"},
                },
                "body": '{"n": "a"}',
            },
            {
                "messageId": queue[1].id,
                "idempotencyKey": "b",
                "errorType": "DownstreamError",
                "errorMessage": "order 17 of 'x'",
                "ageSeconds": 1,
                "redriveCount": 0,
                "action": "move",
                "reason": "",
                "attributes": {
                    "idempotencyKey": {"type": "String", "value": "b"},
                    "bin": {"type": "Binary", "value": "AA=="},
                },
                "body": '{"n": "b"}',
            },
        ],
        "filters": {"pipeline": "events", "errorType": None, "minAgeSeconds": 0, "maxMessages": 20},
    }
    assert len(lab.seen(DLQ)) == 2


def test_what_would_happen_to_each(lab: Lab) -> None:
    """Those that the filters leave out are counted in their group and not listed; done and parked ones are listed."""
    names = ("plain", "done", "parked", "young", "other")
    for name in names:
        count = {"redriveCount": {"DataType": "Number", "StringValue": "3"}} if name == "parked" else {}
        error = "KeyError" if name == "other" else "DownstreamError"
        lab.letter(name, error=error, age_ms=0 if name == "young" else 60_000, attributes=count)
    lab.record("done", "SUCCEEDED")

    body = preview(lab, errorType="DownstreamError", minAgeSeconds="60", maxMessages="1000")[1]

    assert [[m[f] for f in ("idempotencyKey", "action", "reason")] for m in body["messages"]] == [
        ["plain", "move", ""],
        ["done", "no-op", "AlreadySucceeded"],
        ["parked", "park", "MaxRedrives"],
    ]
    assert [list(group.values())[1:] for group in body["groups"]] == [
        ["DownstreamError", 4, 2, 2, {"AlreadySucceeded": 1, "MaxRedrives": 1, "TooYoung": 1}],
        ["KeyError", 1, 0, 1, {"OtherErrorType": 1}],
    ]


@pytest.mark.parametrize(("letters", "most", "shown"), [(0, 20, 0), (19, 20, 19), (95, 20, 20), (95, 1000, 95)])
def test_it_ends_and_gives_all_back(lab: Lab, letters: int, most: int, shown: int) -> None:
    """Never more than asked for, each once, each received once."""
    for i in range(letters):
        lab.letter(f"k{i}")

    status, body = preview(lab, maxMessages=str(most))

    ids = [message["messageId"] for message in body["messages"]]
    assert (status, len(ids), len(set(ids))) == (200, shown, shown)
    assert len(lab.seen(DLQ)) == letters
    assert max((message.receives for message in lab.sqs.queues[DLQ]), default=1) == 1


def test_a_filter_that_matches_nothing_ends(lab: Lab) -> None:
    """It looks at every letter once."""
    for i in range(95):
        lab.letter(f"k{i}")

    body = preview(lab, errorType="KeyError")[1]

    assert (body["messages"], body["dlqStats"]["examined"], len(lab.seen(DLQ))) == ([], 95, 95)
    assert body["dlqStats"]["totalMessages"] == 95


def test_a_busy_queue_ends_when_the_time_is_up(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters that keep coming do not keep it going."""
    seconds = iter(range(1000))
    monkeypatch.setattr("time.monotonic", lambda: float(next(seconds)))

    def arrive(name: str) -> None:
        if name == "receive_message":
            lab.letter(f"k{len(lab.on(DLQ))}")

    lab.hub.before = arrive
    status, body = preview(lab, errorType="KeyError")

    assert (status, body["messages"]) == (200, [])
    assert 10 < len(lab.seen(DLQ)) == len(lab.on(DLQ)) < 200


def test_long_bodies_and_values_are_cut(lab: Lab) -> None:
    """A look needs no megabytes."""
    lab.letter("k", body="x" * 5000, attributes={"long": text("y" * 5000)})

    (message,) = preview(lab)[1]["messages"]

    assert (message["body"], message["attributes"]["long"]["value"]) == ("x" * 1024, "y" * 1024)


def test_an_answer_fits_lambda(lab: Lab) -> None:
    """Of letters whose JSON is six times as long as their text as many are listed as fit; the rest are counted."""
    wide = {f"a{i}": text("\u2028" * 1024) for i in range(8)}
    for i in range(120):
        lab.letter(f"k{i}", body="\u2028" * 1024, error=f"Error{i}", attributes=wide)

    status, body = preview(lab, maxMessages="1000")

    assert (status, body["dlqStats"]["matching"], len(body["groups"])) == (200, 120, 100)
    assert 70 < len(body["messages"]) < 120
    assert len(json.dumps(body)) < 5_000_000
    assert len(lab.seen(DLQ)) == 120


def test_a_look_ends_before_the_memory_does(lab: Lab) -> None:
    """100 letters of 512 KiB are looked at, the other 20 are not: that is said, and all can be seen again."""
    for i in range(120):
        lab.letter(f"k{i}", body="x" * 512 * 1024)

    stats = preview(lab, maxMessages="1000")[1]["dlqStats"]

    assert (stats["totalMessages"], stats["examined"]) == (120, 100)
    assert len(lab.seen(DLQ)) == 120


@pytest.mark.parametrize("call", ["receive_message", "batch_get_item", "get_queue_attributes"])
def test_a_failure_is_a_503_and_all_is_given_back(lab: Lab, log_stream: io.StringIO, call: str) -> None:
    """Also where some receives brought letters and one failed."""
    for i in range(15):
        lab.letter(f"k{i}")
    good_calls = iter(range(1 if call == "receive_message" else 0))

    def fail(name: str) -> None:
        if name == call and next(good_calls, None) is None:
            raise refusal("ServiceUnavailable", 503)

    lab.hub.before = fail
    status, body = preview(lab)

    assert (status, body["errorType"]) == (503, "ServiceUnavailable")
    assert len(lab.seen(DLQ)) == 15
    assert "Traceback" not in log_stream.getvalue()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("", "E"),
        ("order 17 costs 1.50", "E: order <n> costs <n>"),
        ("KeyError: 'abc'", "E: KeyError: <text>"),
        ("key 68a08d559c924729 is bound", "E: key <id> is bound"),
        ("id 123e4567-e89b-12d3-a456-426614174000.", "E: id <id>."),
        ("the deed is dead", "E: the deed is dead"),
        ("/items/3/qty must be 1 or more", "E: /items/<n>/qty must be <n> or more"),
    ],
)
def test_fingerprints(message: str, expected: str) -> None:
    """What differs from one event to the next is left out, what tells the error stays."""
    assert fingerprint("E", message) == expected


def test_what_somebody_has_in_hand_is_said(lab: Lab) -> None:
    """And no error type is denied while there are letters that nobody could look at."""
    lab.letter("a")
    lab.letter("b", error="OddError")
    lab.sqs.queues[DLQ][1].receives, lab.sqs.queues[DLQ][1].visible_at = 1, lab.clock.ms + 60_000

    status, body = preview(lab)
    assert (status, body["dlqStats"]["examined"], body["dlqStats"]["unseen"]) == (200, 1, 1)
    assert preview(lab, errorType="OddError")[0] == 200
    assert lab.ask("POST /redrive/start", {"errorType": "OddError"})[0] == 202
