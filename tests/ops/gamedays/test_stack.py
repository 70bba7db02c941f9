"""What a GameDay reads of a table that leaves keys unprocessed, and of a queue whose letters somebody else holds."""

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from handlers.aws import retry
from ops.cli import letters
from ops.cli.letters import LetterError
from ops.gamedays.ledger import Letter, Record
from ops.gamedays.stack import Stack, StackError

if TYPE_CHECKING:
    from ops.cli.target import Target


class _Table:
    """DynamoDB, which gives `most` items a call."""

    def __init__(self, most: int) -> None:
        self.most = most

    def batch_get_item(self, RequestItems: Any) -> Any:
        ((name, request),) = RequestItems.items()
        given, left = request["Keys"][: self.most], request["Keys"][self.most :]
        state = {"status": {"S": "INFLIGHT"}, "final": {"BOOL": False}, "attempts": {"N": "2"}}
        return {
            "Responses": {name: [key | state for key in given]},
            "UnprocessedKeys": {name: {"Keys": left}} if left else {},
        }


def _stack(most: int, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setattr(retry, "pause", lambda _seconds: None)
    table = _Table(most)
    target = SimpleNamespace(
        stack="local", pipelines={"events": {}}, outputs={"DynamoTableName": "t"}, client=lambda _service: table
    )
    return Stack(cast("Target", target), "events")


def test_what_is_left_unprocessed_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also past a hundred keys; a record in flight is that, whatever became of the attempt before."""
    ids = [f"k{number}" for number in range(130)]

    assert _stack(20, monkeypatch).records(ids) == dict.fromkeys(ids, Record("INFLIGHT", 2))


def test_what_is_never_given_is_no_missing_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that were not read must not look like events that are lost."""
    with pytest.raises(StackError, match="left 3 state records unread in 8 attempts"):
        _stack(0, monkeypatch).records(["a", "b", "c"])


class _Queue:
    """A dead-letter queue with two letters, one of them in somebody's hand until it is asked for often enough."""

    def __init__(self, held_for: int) -> None:
        self.left = held_for

    def receive_message(self, **_: Any) -> dict[str, Any]:
        self.left -= 1
        return {"Messages": [_letter(number) for number in range(1 + (self.left < 0))]}

    def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        return {"Attributes": {"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "2"}}

    def change_message_visibility_batch(self, **_: Any) -> None:
        """Take them back."""


def _letter(number: int) -> dict[str, Any]:
    key = {"idempotencyKey": {"DataType": "String", "StringValue": f"k{number}"}}
    return {"MessageId": f"m{number}", "ReceiptHandle": "r", "Body": "{}", "MessageAttributes": key}


def _stack_with(queue: _Queue, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setattr(letters, "_PAUSE_SECONDS", 0)
    target = SimpleNamespace(
        stack="local", emulator=object(), pipelines={"events": {"dlqUrl": "u"}}, client=lambda _service: queue
    )
    return Stack(cast("Target", target), "events")


def test_letters_in_the_hand_of_somebody_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receives that bring nothing new are no proof that there is nothing."""
    assert _stack_with(_Queue(9), monkeypatch).letters() == [Letter("k0"), Letter("k1")]


def test_letters_that_nobody_shows_are_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else "none is dead" would be said of a queue that could not be looked through."""
    monkeypatch.setattr("ops.gamedays.stack._SEARCH_SECONDS", 0)
    with pytest.raises(LetterError, match="handed out 1 of 2 letters"):
        _stack_with(_Queue(10**9), monkeypatch).letters()


@pytest.mark.parametrize(
    ("item", "state", "deaf_until"),
    [
        ({}, "", 0),
        ({"state": {"S": "OPEN"}}, "OPEN", 0),  # from before there was the attribute
        ({"state": {"S": "CLOSED"}, "deafUntil": {"N": "1800000000500"}}, "CLOSED", 1_800_000_000.5),
    ],
)
def test_what_the_breaker_says_of_itself(item: dict[str, Any], state: str, deaf_until: float) -> None:
    """Its state, and until when it believes no trip."""
    table = SimpleNamespace(get_item=lambda **_: {"Item": item} if item else {})
    outputs = {"ControlTableName": "c"}
    target = SimpleNamespace(stack="local", pipelines={"events": {}}, outputs=outputs, client=lambda _service: table)
    stack = Stack(cast("Target", target), "events")

    assert (stack.breaker(), stack.breaker_deaf_until()) == (state, deaf_until)


@pytest.mark.parametrize(
    ("emulator", "load", "patience"),
    [(object(), 0.5, 1.0), (object(), 8.0, 4.0), (object(), 99.0, 12.0), (None, 0.5, 12.0)],
)
def test_a_busy_laptop_is_given_more_time(
    emulator: object, load: float, patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many times more as processes wait for a core, and never more than AWS."""
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    target = SimpleNamespace(stack="local", emulator=emulator, pipelines={"events": {}})

    assert Stack(cast("Target", target), "events").patience == patience


class _Letters:
    """A dead-letter queue that hands out ten at a time and knows which are in somebody's hand."""

    def __init__(self, count: int) -> None:
        self.there = {f"m{number}": _letter(number) | {"ReceiptHandle": f"r{number}"} for number in range(count)}
        self.held: set[str] = set()

    def receive_message(self, **_: Any) -> dict[str, Any]:
        shown = [one for name, one in self.there.items() if name not in self.held][:10]
        self.held |= {one["MessageId"] for one in shown}
        return {"Messages": shown} if shown else {}

    def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        held = len(self.held & self.there.keys())
        counts = {"": len(self.there) - held, "NotVisible": held}
        return {"Attributes": {f"ApproximateNumberOfMessages{name}": str(count) for name, count in counts.items()}}

    def change_message_visibility_batch(self, Entries: Any, **_: Any) -> None:
        assert len(Entries) <= 10
        self.held -= {f"m{entry['ReceiptHandle'][1:]}" for entry in Entries}

    def delete_message(self, ReceiptHandle: str, **_: Any) -> None:
        del self.there[f"m{ReceiptHandle[1:]}"]


def test_letters_are_deleted_wherever_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the ten that one receive hands out, too; the others are in nobody's hand afterwards."""
    queue = _Letters(23)

    _stack_with(cast("Any", queue), monkeypatch).delete_letters({"k0", "k22"})

    assert queue.there.keys() == {f"m{number}" for number in range(1, 22)}
    assert queue.held & queue.there.keys() == set()
