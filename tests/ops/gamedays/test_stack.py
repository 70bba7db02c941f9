"""What a GameDay reads of a table that leaves keys unprocessed, and of a queue whose letters somebody else holds."""

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from handlers.aws import retry
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
    monkeypatch.setattr("ops.gamedays.stack._PAUSE_SECONDS", 0)
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
    with pytest.raises(StackError, match="handed out 1 of 2 letters"):
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
