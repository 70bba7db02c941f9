"""Orders in the control room: followed by their events, shown with all of them, replayed."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from handlers.orders import event
from tests.ops.console.fakes import WholeStack, group
from tests.ops.console.served import Served, answering, found, serving


@pytest.fixture
def stack() -> Iterator[WholeStack]:
    """One with an API and nothing in it."""
    with answering(WholeStack(orders=group("orders"))) as running:
        assert isinstance(running, WholeStack)
        yield running


@pytest.fixture
def console(stack: WholeStack) -> Iterator[Served]:
    """A console of it."""
    with serving(found(stack), "dev") as served:
        yield served


@pytest.mark.parametrize(
    ("record", "outcome", "is_settled"),
    [
        ({}, "ON ITS WAY", False),
        ({"status": "INFLIGHT"}, "INFLIGHT", False),
        ({"status": "FAILED", "final": False, "errorType": "E", "errorMessage": "<b>"}, "RETRYING", False),
        ({"status": "FAILED", "final": True, "errorType": "E", "errorMessage": "<b>"}, "FAILED", True),
        ({"status": "SUCCEEDED", "result": '{"superseded": false}'}, "SUCCEEDED", True),
        ({"status": "SUCCEEDED", "result": '{"superseded": true}'}, "SUPERSEDED", True),
    ],
)
def test_an_order_is_followed_by_its_own_event(
    console: Served, stack: WholeStack, record: dict[str, Any], outcome: str, *, is_settled: bool
) -> None:
    """Not by the order, which may be there from an earlier event; asked until it is settled, and then no more."""
    if record:
        stack.aws.table.put("orders/e-1", record)
    text = console.get("/orders/status?id=o-1&event=e-1").text

    assert re.findall(r'class="pill[^>]*>([^<]+)<', text) == [outcome]
    assert ('hx-trigger="every' not in text) is is_settled
    assert ("E: &lt;b&gt;" in text) is ("errorType" in record)


def test_an_order_has_all_its_events(console: Served, stack: WholeStack) -> None:
    """The newest first, each with its outcome; those of other orders are not its own. On AWS only who asks pays."""
    stack.answers["GET", "/orders/o-1"] = 200, {"orderId": "o-1", "status": "PROCESSED"}
    ids: list[str] = []
    done = {"pipeline": "orders", "status": "SUCCEEDED", "attempts": 1}
    for number, (order_id, superseded) in enumerate((("o-1", False), ("o-1", True), ("o-10", False))):
        order: dict[str, Any] = {"orderId": order_id, "items": [{"sku": "o-1", "qty": number + 1}]}
        placed = event.read(order, key=f"k-{number}", created_at=f"2026-01-0{number + 1}")
        ids.append(placed.event_id)
        result = json.dumps({"superseded": superseded})
        of = {"payload": placed.reservation().payload, "result": result}
        stack.aws.table.put(f"orders/{placed.event_id}", {**done, **of})
    text = console.get("/orders/one?id=o-1").text
    assert "Look for them" in text
    assert stack.aws.table.scans == 0

    text = console.get("/orders/one?id=o-1&records=1").text
    assert re.findall(r'class="pill[^>]*>([^<]+)<', text) == ["SUPERSEDED", "SUCCEEDED"]
    assert re.findall(r'key=([^"]+)">', text) == [ids[1], ids[0]]
    assert stack.aws.table.scans == 1
    assert "no such order" in console.get("/orders/one?id=o-2").text


def test_a_form_that_is_sent_twice_is_one_order(console: Served, stack: WholeStack) -> None:
    """By the key that it was made with, unless one was typed; what another order has got is given up."""
    stack.answers["POST", "/orders"] = 202, {"orderId": "o-1", "eventId": "e-1"}
    stack.answers["GET", "/orders"] = 200, {"orders": []}
    assert "maxlength" not in console.get("/orders").text
    made = [re.findall(r'name="once" value="(\w+)"', console.get("/orders").text) for _ in range(2)]
    (once,), (other,) = made
    stack.keys.clear()
    for key in ("", "", " typed "):
        fresh = console.post("/orders", sku0="A", qty0="1", once=once, key=key)
    assert stack.keys == [once, once, "typed"]
    assert len({once, other, *re.findall(r'name="once" value="(\w+)"', fresh.text)}) == 3

    for status, is_kept in ((503, True), (409, False)):
        stack.answers["POST", "/orders"] = status, {"error": "no"}
        again = console.post("/orders", sku0="A", qty0="1", once=once)
        assert (f'value="{once}"' in again.text) is is_kept


def test_dead_orders_are_replayed(console: Served, stack: WholeStack) -> None:
    """A few of them first; what the API says against it stands there, above the one that is running.

    On production, who types its name.
    """
    stack.answers["POST", "/redrive/start"] = 202, {"redriveId": "rd-1"}
    assert 'hx-get="/redrives/rd-1/live"' in console.post("/orders/redrive").text
    body = {"pipeline": "orders", "maxMessages": 1000, "canary": 5}
    assert stack.asked == [("POST", "/redrive/start", body)]

    stack.answers["POST", "/redrive/start"] = 409, {"error": "another redrive runs"}
    assert "another redrive runs (409)" in console.post("/orders/redrive").text
    runs = [("rd-2", "RUNNING", "events"), ("rd-1", "RUNNING", "orders"), ("rd-0", "SUCCEEDED", "orders")]
    listed = [{"redriveId": name, "state": state, "request": {"pipeline": of}} for name, state, of in runs]
    stack.answers["GET", "/redrive"] = 200, {"runs": listed}
    assert re.findall(r'hx-get="/redrives/([^/]+)/live"', console.post("/orders/redrive").text) == ["rd-1"]
    stack.asked.clear()
    stack.outputs["Production"] = True
    assert "Type the name of the stack: dev" in console.post("/orders/redrive").text
    assert stack.asked == []


def test_the_history_of_orders(console: Served, stack: WholeStack) -> None:
    """Asked for again it is not sent again, as long as nothing has changed."""
    order = {"orderId": "o-1", "status": "PROCESSED", "createdAt": "2026-01-02", "items": [{"sku": "A", "qty": 2}]}
    stack.answers["GET", "/orders"] = 200, {"orders": [order]}
    whole = console.get("/orders")
    assert (whole.status, "2 \u00d7 A" in whole.text) == (200, True)
    assert "<b>0</b> dead orders" in whole.text
    first = console.get("/orders/live")
    assert console.get(f"/orders/live?seen={first.headers['x-seen']}").status == 204
    order["status"] = "FAILED"
    stack.aws.depths["https://sqs/orders-dlq"] = 1
    again = console.get(f"/orders/live?seen={first.headers['x-seen']}")
    assert (again.status, "<b>1</b> dead orders" in again.text) == (200, True)
