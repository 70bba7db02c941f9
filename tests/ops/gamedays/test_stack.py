"""What a GameDay reads of the state table, of one that leaves keys unprocessed."""

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from handlers.aws import retry
from ops.gamedays.ledger import Record
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
