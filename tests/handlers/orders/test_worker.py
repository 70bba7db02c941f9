"""The orders worker: events of EventBridge, idempotent by `eventId`, through every death of the process."""

import json
from collections import Counter
from typing import Any, cast

import pytest

from handlers import jsontext
from handlers.control.redrive.sqs.letter import Letter
from handlers.faults import Fault
from handlers.orders import message as order_message
from handlers.orders.api import Api
from handlers.orders.fulfilment import Fulfilment
from handlers.orders.store import Orders
from handlers.worker.worker import Worker
from tests.gateway import http_event
from tests.handlers.conftest import FakeClock, failures, record
from tests.handlers.fakes import Crash, FakeContext, FakeQueue, client_error
from tests.handlers.orders.conftest import ITEMS, ORDER, Parameter, detail, told
from tests.handlers.orders.fakes import ORDERS, FakeOrdersAws

_CONTEXT = FakeContext(remaining_ms=5_000)
_FAILING: list[jsontext.Json] = [{"sku": "A-1", "qty": 1}, {"sku": "FAIL-ME", "qty": 1}]
_REDRIVEN = {"redriveCount": {"dataType": "Number", "stringValue": "1"}}


def message(about: jsontext.Json, message_id: str = "m-1", **more: Any) -> dict[str, Any]:
    """An event as SQS delivers it."""
    return record(message_id, None, body=told(about), **more)


def work(worker: Worker, *records: dict[str, Any]) -> Any:
    """Works one batch."""
    return worker.handle({"Records": list(records)}, _CONTEXT)


def _order(aws: FakeOrdersAws, order_id: str = "o-1") -> dict[str, str]:
    return {name: value["S"] for name, value in aws.orders.get(order_id, {}).items()}


def test_an_order_is_worked_by_its_event_id(worker: Worker, aws: FakeOrdersAws) -> None:
    """Claim, order, outcome, event: the key is the event's id, the checksum leaves out when it was told."""
    assert work(worker, message(detail())) == failures()

    assert aws.calls == ["BatchExecuteStatement", "PutItem", "BatchExecuteStatement", "PutEvents"]
    assert aws.items["orders/e-1"]["status"] == {"S": "SUCCEEDED"}
    assert json.loads(aws.items["orders/e-1"]["result"]["S"]) == {
        "orderId": "o-1",
        "superseded": False,
        "result": {"positions": 2},
    }
    assert (_order(aws)["status"], json.loads(_order(aws)["items"])) == ("PROCESSED", ITEMS)
    assert (aws.events[0]["Source"], aws.events[0]["DetailType"]) == ("myapp.orders", "IngestionSuccess")


@pytest.mark.parametrize("key", [None, "k-1"], ids=["made by the API", "the caller's own"])
def test_an_order_of_the_api_is_claimed_in_one_call(
    api: Api, worker: Worker, aws: FakeOrdersAws, key: str | None
) -> None:
    """Also one under the caller's own key, which the API has reserved: nothing is inserted in vain or read before."""
    headers = {"content-type": "application/json"} | ({"idempotency-key": key} if key else {})
    assert api.handle(http_event("POST /orders", json.dumps(ORDER), headers=headers))["statusCode"] == 202
    (event,) = aws.events
    aws.calls.clear()

    assert work(worker, message(json.loads(event["Detail"]))) == failures()

    assert aws.calls == ["BatchExecuteStatement", "PutItem", "BatchExecuteStatement", "PutEvents"]
    (record_,) = aws.items.values()
    assert (record_["status"], record_["attempts"]) == ({"S": "SUCCEEDED"}, {"N": "1"})


def test_a_replayed_event_is_a_duplicate(worker: Worker, aws: FakeOrdersAws) -> None:
    """A replay has another message, time and envelope: nothing is done and nothing is told again."""
    work(worker, message(detail()))
    before = _order(aws)
    aws.calls.clear()
    replayed = {"replay-name": "r-1", "time": "2026-02-02T00:00:00Z"}
    again = record("m-2", None, body=told(detail(createdAt="2026-01-02T09:09:09.999Z"), **replayed))

    assert work(worker, again) == failures()
    assert aws.calls == ["BatchExecuteStatement", "BatchGetItem"]
    assert _order(aws) == before


def test_the_same_id_with_another_order_is_a_conflict(worker: Worker, aws: FakeOrdersAws) -> None:
    """To the dead-letter queue; the order stays as it is."""
    work(worker, message(detail()))
    assert work(worker, message(detail(items=ITEMS[:1]), "m-2")) == failures()

    assert aws.sent[0]["MessageAttributes"]["errorType"]["StringValue"] == "IdempotencyConflictError"
    assert json.loads(_order(aws)["items"]) == ITEMS


def test_the_failing_sku_is_failed_and_dead_lettered(worker: Worker, aws: FakeOrdersAws) -> None:
    """However often it is delivered; its order says so, with the cause; others of the batch succeed."""
    for number in range(2):
        assert work(worker, message(detail(items=_FAILING), f"m-{number}"), message(detail(2), "m-good")) == failures()

    assert [letter["MessageAttributes"]["errorType"]["StringValue"] for letter in aws.sent] == ["FailingSkuError"] * 2
    assert (_order(aws)["status"], _order(aws)["errorType"]) == ("FAILED", "FailingSkuError")
    assert _order(aws, "o-2")["status"] == "PROCESSED"


def test_the_failing_sku_succeeds_when_it_is_redriven(worker: Worker, aws: FakeOrdersAws) -> None:
    """A redrive stands for the repair."""
    work(worker, message(detail(items=_FAILING)))
    assert work(worker, message(detail(items=_FAILING), "m-2", attributes=_REDRIVEN)) == failures()

    assert (_order(aws)["status"], aws.items["orders/e-1"]["status"]) == ("PROCESSED", {"S": "SUCCEEDED"})


def test_the_failing_sku_is_a_sku_where_nothing_may_be_injected(aws: FakeOrdersAws, worker: Worker) -> None:
    """Without the failure lab it is an order like any other."""
    worker._faults = None
    work(worker, message(detail(items=_FAILING)))

    assert _order(aws)["status"] == "PROCESSED"


def test_an_injected_poison_is_seen_on_the_order(worker: Worker, aws: FakeOrdersAws, parameter: Parameter) -> None:
    """The failure modes are those of every pipeline; what they fail for good is FAILED."""
    parameter.fault = Fault("poison_payload", match={"orderId": "o-1"})
    work(worker, message(detail()), message(detail(2), "m-2"))

    assert (_order(aws)["status"], _order(aws)["errorType"]) == ("FAILED", "SchemaValidationError")
    assert _order(aws, "o-2")["status"] == "PROCESSED"


def test_a_failure_that_can_not_be_noted_comes_again(worker: Worker, aws: FakeOrdersAws) -> None:
    """No letter without its order's FAILED: the table's outage makes it a retry."""

    def refuse(name: str) -> None:
        if name == "PutItem":
            raise client_error("ThrottlingException")

    aws.before = refuse
    assert work(worker, message(detail(items=_FAILING))) == failures("m-1")
    assert (aws.sent, aws.items["orders/e-1"]["errorType"]) == ([], {"S": "DownstreamError"})
    aws.before = lambda _name: None
    work(worker, message(detail(items=_FAILING)))
    assert len(aws.sent) == 1


@pytest.mark.parametrize(
    "about",
    [
        detail(schemaVersion="2.0"),
        detail(schemaVersion=None),
        detail(items=[]),
        detail(items=[{"sku": "a", "qty": 0}]),
        detail(createdAt="yesterday"),
        detail(createdAt="2026-01-02T03:04:05Z"),
        detail(createdAt="2026-99-99T99:99:99.999Z"),
        detail(createdAt="2026-02-29T00:00:00.000Z"),
        detail(createdAt="2026-01-02T25:00:00.000Z"),
        detail(createdAt="1969-12-31T23:59:59.999Z"),
        detail(createdAt="2027-01-16T08:00:00.001Z"),
        detail(createdAt="9999-12-31T23:59:59.999Z"),
        detail(orderId="a b"),
        {"eventId": "e-1"},
        {},
    ],
    ids=json.dumps,
)
def test_what_is_no_order_is_dead_lettered(worker: Worker, aws: FakeOrdersAws, about: jsontext.JsonObject) -> None:
    """On its first attempt, with its cause, and never as a processed order."""
    assert work(worker, message(about)) == failures()

    assert [letter["MessageAttributes"]["errorType"]["StringValue"] for letter in aws.sent] == ["SchemaValidationError"]
    assert "PROCESSED" not in {row["status"]["S"] for row in aws.orders.values()}


@pytest.mark.parametrize("body", ["{", "[]", '{"detail": []}', '{"detail-type": "x"}', "null"])
def test_what_is_no_event_is_dead_lettered(worker: Worker, aws: FakeOrdersAws, body: str) -> None:
    """A body that is not an event's has no key, so it has no state record either."""
    assert work(worker, record("m-1", None, body=body)) == failures()

    assert (len(aws.sent), aws.items, aws.orders) == (1, {}, {})


def test_a_probe_of_the_breaker_is_the_same_event(worker: Worker, aws: FakeOrdersAws, parameter: Parameter) -> None:
    """What the state record keeps of the failed event is enough to try it again under its key."""
    parameter.fault = Fault("downstream_outage")
    work(worker, message(detail()))
    parameter.fault = Fault()
    worker._faults._read_at = float("-inf")  # type: ignore[union-attr]
    probe = record("m-1", None, body=aws.items["orders/e-1"]["payload"]["S"], key="e-1")

    assert worker.handle({"Records": [probe], "probe": True}, _CONTEXT) == failures()
    assert _order(aws)["status"] == "PROCESSED"


def test_a_redrive_finds_the_key_in_the_event() -> None:
    """A dead letter of orders has no attribute that says its key; a letter of events has, whatever its body."""
    raw = {
        "MessageId": "m-1",
        "ReceiptHandle": "r",
        "Body": told(detail()),
        "Attributes": {"SentTimestamp": "1", "ApproximateReceiveCount": "1"},
    }
    checksum = jsontext.checksum(order_message.fact(detail()))
    found = Letter.from_api(raw, order_message.FORM).message
    of_events = Letter.from_api(
        raw | {"MessageAttributes": {"idempotencyKey": {"DataType": "String", "StringValue": "k"}}}
    ).message

    assert (found.key, found.checksum) == ("e-1", checksum)
    assert (of_events.key, of_events.checksum) == ("k", jsontext.checksum(json.loads(told(detail()))))


def _batch() -> dict[str, dict[str, Any]]:
    records = [
        message(detail(1), "m-1"),
        message(detail(1), "m-copy"),
        message(detail(2, items=_FAILING), "m-poison"),
        message(detail(3), "m-3"),
        record("m-broken", None, body="{"),
    ]
    return {one["messageId"]: one for one in records}


def _redeliver(worker: Worker, queue: FakeQueue, clock: FakeClock) -> None:
    for _ in range(8):
        clock.advance(40_000)
        if not (batch := queue.receive()):
            return
        queue.settle(work(worker, *batch))


def _check(aws: FakeOrdersAws, queue: FakeQueue) -> None:
    assert (queue.waiting, queue.moved) == ({}, [])
    assert {key: item["status"]["S"] for key, item in aws.items.items()} == {
        "orders/e-1": "SUCCEEDED",
        "orders/e-2": "FAILED",
        "orders/e-3": "SUCCEEDED",
    }
    assert {key: row["status"]["S"] for key, row in aws.orders.items()} == {
        "o-1": "PROCESSED",
        "o-2": "FAILED",
        "o-3": "PROCESSED",
    }
    letters = Counter(letter["MessageAttributes"]["originalMessageId"]["StringValue"] for letter in aws.sent)
    assert letters.keys() == {"m-poison", "m-broken"}
    told_of = [json.loads(one["Detail"]) for one in aws.events if one["DetailType"] == "IngestionSuccess"]
    assert len({one["eventId"] for one in told_of}) == 2


def test_without_a_crash(worker: Worker, aws: FakeOrdersAws, fake_clock: FakeClock) -> None:
    """The batch that is crashed below, and the calls that it makes."""
    queue = FakeQueue(_batch())
    queue.settle(work(worker, *queue.receive()))
    assert aws.calls == [
        "BatchExecuteStatement",
        "PutItem",
        "PutItem",
        "PutItem",
        "BatchExecuteStatement",
        "SendMessageBatch",
        "PutEvents",
    ]
    _redeliver(worker, queue, fake_clock)
    _check(aws, queue)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", range(7))
def test_a_crash_around_each_call(
    worker: Worker, aws: FakeOrdersAws, fake_clock: FakeClock, call: int, moment: str
) -> None:
    """Dead just before the call is made, or just after AWS has done it: redelivery ends right."""

    def crash(_name: str) -> None:
        if len(aws.calls) == call + 1:
            raise Crash

    setattr(aws, moment, crash)
    queue = FakeQueue(_batch())
    with pytest.raises(Crash):
        work(worker, *queue.receive())
    setattr(aws, moment, lambda _name: None)
    _redeliver(worker, queue, fake_clock)
    _check(aws, queue)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("order_id", ["o-1", "o-3"])
def test_a_crash_inside_the_step_at_each_order(
    worker: Worker, aws: FakeOrdersAws, fake_clock: FakeClock, order_id: str, moment: str
) -> None:
    """Dead in the business step, before its effect or after it: redelivery ends right, and no order has none."""
    effects: list[str] = []
    deaths = [order_id]

    def step(order: jsontext.JsonObject) -> jsontext.Json:
        name = str(order["orderId"])
        if moment == "before" and name in deaths:
            raise Crash
        effects.append(name)
        if name in deaths:
            raise Crash
        return {"did": name}

    worker._process = Fulfilment(Orders(cast("Any", aws), ORDERS), step)
    queue = FakeQueue(_batch())
    with pytest.raises(Crash):
        work(worker, *queue.receive())
    deaths.clear()
    _redeliver(worker, queue, fake_clock)
    _check(aws, queue)
    assert Counter(effects)[order_id] == (2 if moment == "after" else 1)
    assert set(effects) == {"o-1", "o-3"}


def test_superseded_orders_succeed(worker: Worker, aws: FakeOrdersAws, orders: Orders) -> None:
    """An older event is acknowledged, and says that it came too late."""
    orders.put(detail(eventId="e-new", createdAt="2026-02-02T00:00:00.000Z"))
    work(worker, message(detail()))

    assert json.loads(aws.items["orders/e-1"]["result"]["S"])["superseded"] is True
    assert _order(aws)["eventId"] == "e-new"
