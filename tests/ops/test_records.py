"""What `lab` says of state records: RETRYING is no end, on a table that is made up."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from handlers.idempotency.claims import is_final
from ops.cli import records
from ops.cli.target import Target

_RECORDS: dict[str, dict[str, Any]] = {
    "new": {"status": {"S": "INFLIGHT"}},
    "done": {"status": {"S": "SUCCEEDED"}},
    "dead": {"status": {"S": "FAILED"}, "final": {"BOOL": True}},
    "old": {"status": {"S": "FAILED"}},  # from before there was the attribute
    "again": {"status": {"S": "FAILED"}, "final": {"BOOL": False}},
    "redriven": {"status": {"S": "INFLIGHT"}, "final": {"BOOL": True}},
}
_SHOWN = {
    "new": "INFLIGHT",
    "done": "SUCCEEDED",
    "dead": "FAILED",
    "old": "FAILED",
    "again": "RETRYING",
    "redriven": "INFLIGHT",
}


class _Table:
    """DynamoDB with one table, which answers what it is asked for; `later` is what it holds from the second look on."""

    def __init__(self, later: dict[str, Any]) -> None:
        self.items: dict[str, Any] = dict(_RECORDS)
        self._later = later

    def batch_get_item(self, RequestItems: Any) -> Any:
        ((name, request),) = RequestItems.items()
        keys = [key["idempotencyKey"]["S"] for key in request["Keys"]]
        found = [{"idempotencyKey": {"S": key}} | _asked(self.items[key], request) for key in keys if key in self.items]
        self.items |= self._later
        return {"Responses": {name: found}}

    def get_paginator(self, _name: str) -> "_Table":
        return self

    def paginate(self, **request: Any) -> Iterator[Any]:
        yield {"Items": [_asked(item, request) for item in self.items.values()]}


def _asked(item: dict[str, Any], request: Any) -> dict[str, Any]:
    names = request["ExpressionAttributeNames"]
    wanted = {names.get(name, name) for name in request["ProjectionExpression"].split(", ")}
    return {name: value for name, value in item.items() if name in wanted}


class _Target:
    outputs = {"DynamoTableName": "t"}  # noqa: RUF012 - as a target has it

    def __init__(self, later: dict[str, Any]) -> None:
        self._table = _Table(later)

    def client(self, _service: str) -> _Table:
        return self._table


def _target(**later: Any) -> Target:
    return cast("Target", _Target(later))


def test_a_failure_that_is_tried_again_is_not_final() -> None:
    """When the time is over, each is shown as it stands."""
    assert records.settle(_target(), [*_RECORDS, "unknown"], 0) == _SHOWN | {"unknown": "UNKNOWN"}


def test_what_is_tried_again_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it has succeeded or failed for good; progress counts the ends only."""
    monkeypatch.setattr(records, "_POLL_SECONDS", 0)
    steps: list[int] = []

    found = records.settle(
        _target(again=_RECORDS["done"], redriven=_RECORDS["dead"]), ["again", "redriven", "dead"], 60, steps.append
    )

    assert found == {"again": "SUCCEEDED", "redriven": "FAILED", "dead": "FAILED"}
    assert steps == [1, 2]


def test_it_is_the_rule_of_the_api() -> None:
    """What `lab` waits for is what `GET /events/{idempotencyKey}` calls final."""
    finals = {
        name: is_final(record["status"]["S"], given_up=record.get("final", {}).get("BOOL", True))
        for name, record in _RECORDS.items()
    }

    assert {name: shown in records.FINAL for name, shown in _SHOWN.items()} == finals


def test_census(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records between two attempts have a line of their own, and the first of them to be due is told."""
    target = _target()
    assert records.census(target) == records.Census({"INFLIGHT": 2, "SUCCEEDED": 1, "FAILED": 2, "RETRYING": 1}, "")
    at = {name: f"2027-01-15T08:0{n}:00.000Z" for n, name in enumerate(_RECORDS)}
    for name, time in at.items():
        monkeypatch.setitem(_RECORDS, name, _RECORDS[name] | {"nextAttemptAt": {"S": time}})
    monkeypatch.setitem(_RECORDS, "later", _RECORDS["again"] | {"nextAttemptAt": {"S": "2027-01-15T09:00:00.000Z"}})

    assert records.census(_target()).next_attempt_at == at["again"]
