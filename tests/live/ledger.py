"""The truth about events, from outside: their records, dead letters, runs of the business step, what was told."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from handlers import jsontext
from handlers.errors import Detail, DownstreamError, SchemaValidationError
from handlers.events import worker
from handlers.events.step import process
from tests.live.book import Book, text
from tests.live.function import DiedError
from tests.live.stage import Stage


@dataclass
class Step:
    """The business step, counted. The event's field `drill` says how it fails; ``down`` is what `down` depends on."""

    stage: Stage
    runs: list[tuple[str, int]] = field(default_factory=list)  # order id, and how many calls had been made by then
    down: bool = True

    @classmethod
    def taken(cls, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> "Step":
        """One that the worker takes from its next cold start on."""
        step = cls(stage)
        monkeypatch.setattr(worker, "process", step)
        return step

    def __call__(self, event: jsontext.JsonObject) -> jsontext.Json:
        order = str(event["orderId"])
        failed_before = any(name == order for name, _ in self.runs)
        self.runs.append((order, len(self.stage.wire.calls)))
        match event.get("drill"):
            case "poison":
                raise SchemaValidationError(Detail("/drill", "is poison"))
            case "once" if not failed_before:
                raise ConnectionError("the first attempt fails")
            case "kill":
                raise DiedError
            case "down" if self.down:
                raise DownstreamError("the downstream is out")
        return process(event)


@dataclass(frozen=True)
class Sent:
    """An event under a key of its own, and the error that is to put it on the DLQ ("": it is to succeed)."""

    body: jsontext.JsonObject
    key: str
    error: str = ""

    @classmethod
    def new(cls, *, drill: str = "", error: str = "") -> "Sent":
        """An order that nobody has posted before."""
        body: jsontext.JsonObject = {"orderId": str(uuid4()), "amount": 1}
        body |= {"drill": drill} if drill else {}
        return cls(body, f"key-{body['orderId']}", error)


class Ledger(Book):
    """Sends to the main queue and tells what became of it."""

    def __init__(self, stage: Stage, step: Step) -> None:
        super().__init__(stage, "events")
        self.step = step

    def send(self, *events: Sent) -> None:
        """Puts messages into the main queue, in the role of the function that may."""
        self._put("events-ingest", self.queue_url, [self._entry(event, {}) for event in events])

    def bury(self, *events: Sent, error_type: str = "DownstreamError") -> None:
        """Puts letters on the DLQ as the worker does."""
        cause = {"errorType": error_type, "errorMessage": "the downstream was out", "pipeline": "events"}
        self._put("events-worker", self.dlq_url, [self._entry(event, cause) for event in events])

    def check(self, events: list[Sent], *, letters_repeat: bool = False) -> None:
        """Each event is SUCCEEDED or on the DLQ with its cause; nothing was done twice, nothing else is there."""
        good = {event.key: event for event in events if not event.error}
        records = self.records([*good])
        assert {key: item["status"]["S"] for key, item in records.items()} == dict.fromkeys(good, "SUCCEEDED")
        assert self._late_runs(good) == []
        told = self.told("IngestionSuccess")
        assert {key: len(set(told.get(key, ()))) for key in good} == dict.fromkeys(good, 1)
        letters = Counter((text(one, "idempotencyKey"), text(one, "errorType")) for one in self.take(self.dlq_url))
        assert set(letters) == {(event.key, event.error) for event in events if event.error}
        assert letters_repeat or not letters or max(letters.values()) == 1
        assert self.stage.lab.depth(self.queue_url) == 0

    def tripped(self) -> bool:
        """Whether the worker has asked the breaker to open."""
        return bool(self.told("CircuitTripped"))

    def _late_runs(self, good: Mapping[str, Sent]) -> list[str]:
        """The orders whose business step ran after the state table had been told that they succeeded."""
        succeeded = self.succeeded(good)
        orders = {str(event.body["orderId"]): key for key, event in good.items()}
        assert orders.keys() <= {order for order, _ in self.step.runs}
        return [order for order, at in self.step.runs if order in orders and at > succeeded[orders[order]]]

    def _put(self, function: str, url: str, entries: list[dict[str, Any]]) -> None:
        named = [{"Id": str(i), **entry} for i, entry in enumerate(entries)]
        answer = self.stage.function(function).client("sqs").send_message_batch(QueueUrl=url, Entries=named)
        assert len(answer["Successful"]) == len(entries)

    @staticmethod
    def _entry(event: Sent, attributes: Mapping[str, str]) -> dict[str, Any]:
        given = {"idempotencyKey": event.key, **attributes}
        typed = {name: {"DataType": "String", "StringValue": value} for name, value in given.items()}
        return {"MessageBody": json.dumps(event.body), "MessageAttributes": typed}
