"""The truth about orders: what was told of them, their records and rows, their letters, runs of the business step."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from handlers import clock, jsontext
from handlers.orders import worker
from handlers.orders.step import process
from tests.live.book import Book, text
from tests.live.stage import Stage

ONCE = "FAIL-ONCE"


@dataclass
class OrderStep:
    """The business step, counted. An order with the SKU `FAIL-ONCE` fails at its first attempt."""

    stage: Stage
    runs: list[tuple[str, int]] = field(default_factory=list)  # event id, and how many calls had been made by then

    @classmethod
    def taken(cls, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> "OrderStep":
        """One that the worker takes from its next cold start on."""
        step = cls(stage)
        monkeypatch.setattr(worker, "process", step)
        return step

    def __call__(self, order: jsontext.JsonObject) -> jsontext.Json:
        event_id = str(order["eventId"])
        failed_before = any(name == event_id for name, _ in self.runs)
        self.runs.append((event_id, len(self.stage.wire.calls)))
        if ONCE in json.dumps(order["items"]) and not failed_before:
            raise ConnectionError("the first attempt fails")
        return process(order)


@dataclass(frozen=True)
class Told:
    """One event of an order, and what is to become of it: a success, or a letter with this error."""

    detail: jsontext.JsonObject
    error: str = ""

    @classmethod
    def new(cls, stage: Stage, sku: str = "A", error: str = "", **more: jsontext.Json) -> "Told":
        """The event of an order that nobody has told before."""
        detail: jsontext.JsonObject = {
            "schemaVersion": "1.0",
            "eventId": str(uuid4()),
            "orderId": str(uuid4()),
            "createdAt": clock.iso(stage.clock.now_ms()),
            "items": [{"sku": sku, "qty": 1}],
        }
        return cls(detail | more, error)

    @property
    def event_id(self) -> str:
        """The idempotency key."""
        return str(self.detail["eventId"])


class OrderBook(Book):
    """Tells the bus of orders and says what became of them."""

    def __init__(self, stage: Stage, step: OrderStep) -> None:
        super().__init__(stage, "orders")
        self.step = step

    def tell(self, *events: Told) -> None:
        """Puts events on the bus, whose rule puts them into the queue."""
        bus = self.stage.lab.outputs["EventBusName"]
        entries = [
            {
                "EventBusName": bus,
                "Source": "myapp.orders",
                "DetailType": "OrderCreated",
                "Detail": json.dumps(e.detail),
            }
            for e in events
        ]
        assert self.stage.root("events").put_events(Entries=entries)["FailedEntryCount"] == 0

    def rows(self, orders: Iterable[str]) -> dict[str, tuple[str, str, str]]:
        """Status, event and cause of each order that is in the table of orders."""
        found = self.items(self.outputs["tableName"], "orderId", set(orders))
        return {name: (of(row, "status"), of(row, "eventId"), of(row, "errorType")) for name, row in found.items()}

    def check(self, events: list[Told], rows: dict[str, tuple[str, str, str]], *, letters_repeat: bool = False) -> None:
        """Each event is SUCCEEDED or on the DLQ with its cause, the orders are these, nothing was done twice."""
        good = {event.event_id for event in events if not event.error}
        records = {key: of(record, "status") for key, record in self.records(good).items()}
        assert records == dict.fromkeys(good, "SUCCEEDED")
        told = self.told("IngestionSuccess")
        assert {key: len(set(told.get(key, ()))) for key in good} == dict.fromkeys(good, 1)
        assert self._late_runs(good) == []
        assert self.rows(str(event.detail["orderId"]) for event in events if "orderId" in event.detail) == rows
        self._check_letters([event for event in events if event.error], repeat=letters_repeat)
        assert self.stage.lab.depth(self.queue_url) == 0

    def _check_letters(self, events: list[Told], *, repeat: bool) -> None:
        """The DLQ holds these; the state record of a key that has not been taken says the same."""
        letters = Counter(
            (json.loads(letter["Body"])["detail"]["eventId"], text(letter, "errorType"))
            for letter in self.take(self.dlq_url)
        )
        assert set(letters) == {(event.event_id, event.error) for event in events}
        assert repeat or not letters or max(letters.values()) == 1
        causes = {event.event_id: event.error for event in events if event.error != "IdempotencyConflictError"}
        records = self.records(causes)
        assert {key: (of(record, "status"), of(record, "errorType")) for key, record in records.items()} == {
            key: ("FAILED", error) for key, error in causes.items()
        }

    def _late_runs(self, good: set[str]) -> list[str]:
        """The events whose business step ran after the state table had been told that they succeeded."""
        succeeded = self.succeeded(good)
        assert good <= {event_id for event_id, _ in self.step.runs}
        return [event_id for event_id, at in self.step.runs if event_id in good and at > succeeded[event_id]]


def of(item: dict[str, Any], name: str) -> str:
    """An item's text, "" where it has none."""
    return str(item.get(name, {}).get("S", ""))
