"""The orders API: what is accepted, what is refused and how, and that 202 means EventBridge has it."""

import json
import uuid
from typing import Any

import pytest

from handlers import jsontext
from handlers.errors import DownstreamError
from handlers.orders.api import Api
from handlers.orders.store import Orders
from tests.gateway import http_event
from tests.handlers.conftest import DAY_MS, FakeClock
from tests.handlers.fakes import client_error
from tests.handlers.orders.conftest import ITEMS, ORDER, detail
from tests.handlers.orders.fakes import FakeOrdersAws

_NOW = "2027-01-15T08:00:00.000Z"


def call(
    api: Api, route: str, body: Any = None, *, query: Any = None, order_id: str = "", **headers: Any
) -> tuple[int, Any, dict[str, str]]:
    """Sends one request as API Gateway delivers it; header names have _ for -."""
    given = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    sent = None if route.startswith("GET ") else json.dumps(body)
    path = {"orderId": order_id} if "{" in route else None
    answer = api.handle(http_event(route, sent, path=path, query=query, headers=given))
    return answer["statusCode"], json.loads(answer["body"]), answer["headers"]


def post(api: Api, body: Any, **headers: str) -> tuple[int, Any]:
    """Places one order."""
    return call(api, "POST /orders", body, **headers)[:2]


def test_an_order_is_told_to_the_bus(api: Api, aws: FakeOrdersAws) -> None:
    """One AWS call; the event is exactly what its consumers are promised, with fresh ids."""
    status, body = post(api, {"customerId": "c-1", **ORDER})

    assert (status, aws.calls) == (202, ["PutEvents"])
    assert {uuid.UUID(body[name]).version for name in ("orderId", "eventId")} == {4}
    (event,) = aws.events
    assert json.loads(event.pop("Detail")) == {
        "schemaVersion": "1.0",
        "eventId": body["eventId"],
        "orderId": body["orderId"],
        "createdAt": _NOW,
        "customerId": "c-1",
        "items": ITEMS,
    }
    assert event == {"EventBusName": "bus", "Source": "myapp.orders", "DetailType": "OrderCreated"}


def test_ids_are_fresh_without_a_key(api: Api, aws: FakeOrdersAws) -> None:
    """The same order twice is two events, and two orders unless the caller names it."""
    first, second = post(api, ORDER)[1], post(api, ORDER)[1]
    named = [post(api, {"orderId": "o-7", **ORDER})[1] for _ in range(2)]

    assert len({one["eventId"] for one in (first, second, *named)}) == 4
    assert first["orderId"] != second["orderId"]
    assert [one["orderId"] for one in named] == ["o-7", "o-7"]
    assert len(aws.events) == 4


def test_a_key_makes_a_retry_the_same_event(api: Api, aws: FakeOrdersAws, fake_clock: FakeClock) -> None:
    """The same ids whenever it is sent; another key has others; the caller's own orderId stays."""
    first = post(api, ORDER, idempotency_key="k-1")
    fake_clock.advance(60_000)
    again = post(api, ORDER, idempotency_key="k-1")
    other = post(api, ORDER, idempotency_key="k-2")
    named = post(api, {"orderId": "o-7", **ORDER}, idempotency_key="k-3")

    assert first[0] == 202
    assert again == first
    assert not set(first[1].values()) & set(other[1].values())
    assert named[1]["orderId"] == "o-7"
    assert first[1]["orderId"] != first[1]["eventId"]
    assert aws.calls[:2] == ["BatchExecuteStatement", "PutEvents"]


def test_a_key_is_bound_to_its_order(api: Api, aws: FakeOrdersAws) -> None:
    """The same key with another order is 409, and nothing is told."""
    post(api, ORDER, idempotency_key="k-1")
    aws.events.clear()
    status, body = post(api, {"items": ITEMS[:1]}, idempotency_key="k-1")

    assert (status, body["errorType"], aws.events) == (409, "IdempotencyConflictError", [])


def test_an_expired_key_is_bound_anew(api: Api, fake_clock: FakeClock) -> None:
    """To whichever order is first, even before TTL has deleted the record."""
    post(api, ORDER, idempotency_key="k-1")
    fake_clock.advance(7 * DAY_MS)

    answers = [post(api, {"items": items}, idempotency_key="k-1")[0] for items in (ITEMS[:1], ITEMS, ITEMS[:1])]

    assert answers == [202, 409, 202]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ([], [""]),
        ({}, ["/items"]),
        ({"items": []}, ["/items"]),
        ({"items": {}}, ["/items"]),
        ({"items": [1]}, ["/items/0"]),
        ({"items": [{}]}, ["/items/0/sku", "/items/0/qty"]),
        ({"items": [{"sku": "", "qty": 0}]}, ["/items/0/sku", "/items/0/qty"]),
        ({"items": [{"sku": 1, "qty": "1"}]}, ["/items/0/sku", "/items/0/qty"]),
        ({"items": [{"sku": "a", "qty": 1.5}]}, ["/items/0/qty"]),
        ({"items": [{"sku": "a", "qty": True}]}, ["/items/0/qty"]),
        ({"items": [{"sku": "a", "qty": 1_000_001}]}, ["/items/0/qty"]),
        ({"items": [{"sku": "a", "qty": 1, "x/y": 1}]}, ["/items/0/x~1y"]),
        ({"items": [{"sku": "a", "qty": 1}] * 10_001}, ["/items"]),
        ({**ORDER, "orderId": "", "customerId": 7, "amount": 1}, ["/amount", "/customerId", "/orderId"]),
        ({**ORDER, "orderId": "x" * 129}, ["/orderId"]),
    ],
)
def test_what_is_no_order_is_refused(api: Api, aws: FakeOrdersAws, body: Any, pointers: list[str]) -> None:
    """400 with a pointer for each fault; nothing is told."""
    status, answer = post(api, body)

    assert (status, answer["errorType"]) == (400, "SchemaValidationError")
    assert [fault["pointer"] for fault in answer["details"]] == pointers
    assert aws.calls == []


def test_an_answer_to_many_faults_is_short(api: Api) -> None:
    """Ten thousand bad items are no reason for an answer of megabytes."""
    status, answer = post(api, {"items": [{}] * 10_000})

    assert (status, len(answer["details"])) == (400, 20)


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 257, "ü"])
def test_malformed_keys_are_refused(api: Api, aws: FakeOrdersAws, key: str) -> None:
    """400; a key that is ignored would not protect."""
    status, answer = post(api, ORDER, idempotency_key=key)

    assert (status, answer["errorType"], aws.calls) == (400, "SchemaValidationError", [])


def test_whole_quantities_may_be_written_as_decimals(api: Api, aws: FakeOrdersAws) -> None:
    """2.0 is an integer in JSON, and is told as 2."""
    assert post(api, {"items": [{"sku": "a", "qty": 2.0}]})[0] == 202
    assert '"qty":2}' in aws.events[0]["Detail"]


def test_what_the_bus_can_not_hold_is_refused(api: Api, aws: FakeOrdersAws) -> None:
    """An event of 256 KiB at most, source and type included; one byte more is 413."""
    room = 256 * 1024 - len("myapp.orders") - len("OrderCreated")
    item: dict[str, Any] = {"sku": "s" * 100, "qty": 7}
    head = {"customerId": "c", "items": []}
    post(api, head | {"items": [item]})
    spare = room - len(aws.events[0]["Detail"])
    many, rest = divmod(spare, len(jsontext.compact(item)) + 1)
    fits = {"customerId": "c" * (1 + rest), "items": [item] * (1 + many)}

    assert post(api, fits)[0] == 202
    assert len(aws.events[1]["Detail"]) == room
    status, answer = post(api, fits | {"customerId": "c" * (2 + rest)})
    assert (status, answer["errorType"]) == (413, "PayloadTooLarge")
    assert len(aws.events) == 2


def test_a_bus_that_refuses_is_503(api: Api, aws: FakeOrdersAws) -> None:
    """FailedEntryCount is heeded, after three tries; the caller is told to come again, and nothing is half accepted."""
    aws.entry_failures["PutEvents"] = lambda _entry: "ThrottlingException"
    status, body, headers = call(api, "POST /orders", ORDER)

    assert (status, body["errorType"], headers["Retry-After"]) == (503, "ServiceUnavailable", "5")
    assert (aws.calls, aws.events) == (["PutEvents"] * 3, [])


def test_a_bus_that_recovers_is_not_noticed(api: Api, aws: FakeOrdersAws) -> None:
    """One refused entry is tried again within the request."""
    codes = iter(["InternalFailure", ""])
    aws.entry_failures["PutEvents"] = lambda _entry: next(codes)

    assert post(api, ORDER)[0] == 202
    assert len(aws.events) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", ["BatchExecuteStatement", "PutEvents"])
def test_a_call_that_dies_is_mended_by_the_callers_retry(api: Api, aws: FakeOrdersAws, name: str, moment: str) -> None:
    """Whatever AWS had done before its answer was lost, the retry under the same key tells the same event."""

    def lose(called: str) -> None:
        if called == name:
            raise client_error("InternalServerError")

    setattr(aws, moment, lose)
    refused = post(api, ORDER, idempotency_key="k-1")
    setattr(aws, moment, lambda _called: None)
    placed = post(api, ORDER, idempotency_key="k-1")

    assert (refused[0], placed[0]) == (503, 202)
    assert {json.loads(event["Detail"])["eventId"] for event in aws.events} == {placed[1]["eventId"]}


def test_an_order_is_shown(api: Api, orders: Orders) -> None:
    """All that the table says, less the index's keys; 404 for one that nobody has worked on, or that can't be."""
    orders.put(detail(customerId="c-1"))
    status, body, _ = call(api, "GET /orders/{orderId}", order_id="o-1")

    assert (status, body) == (
        200,
        {
            "orderId": "o-1",
            "eventId": "e-1",
            "status": "PROCESSED",
            "createdAt": "2026-01-02T03:04:05.678Z",
            "processedAt": _NOW,
            "customerId": "c-1",
            "items": ITEMS,
        },
    )
    assert call(api, "GET /orders/{orderId}", order_id="o-2")[0] == 404
    assert call(api, "GET /orders/{orderId}", order_id="../x")[0] == 404


@pytest.mark.parametrize(
    ("route", "order_id"), [("GET /orders/{orderId}", "o-1"), ("GET /orders", ""), ("GET /health", "")]
)
def test_what_can_not_be_read_is_503(api: Api, aws: FakeOrdersAws, route: str, order_id: str) -> None:
    """A slow AWS is an answer of ours, with Retry-After."""

    def refuse(_name: str) -> None:
        raise client_error("ThrottlingException")

    aws.before = refuse
    status, body, headers = call(api, route, order_id=order_id)

    assert (status, body["errorType"], headers["Retry-After"]) == (503, "ServiceUnavailable", "5")


def test_health_is_that_of_the_bus(api: Api, aws: FakeOrdersAws) -> None:
    """200 once the bus has been reached."""
    status, body, _ = call(api, "GET /health")

    assert (status, body) == (
        200,
        {"status": "healthy", "service": "ingestion-lab", "environment": "test", "timestamp": _NOW},
    )
    assert aws.calls == ["DescribeEventBus"]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "-1"},
        {"limit": "1e1"},
        {"limit": ""},
        {"limit": "٣"},
        {"nextToken": "x"},
        {"nextToken": "é"},
        {"page": "2"},
    ],
)
def test_bad_pages_are_refused(api: Api, aws: FakeOrdersAws, query: dict[str, str]) -> None:
    """400 with the parameter's pointer, before anything is read."""
    status, body, _ = call(api, "GET /orders", query=query)

    assert (status, body["details"][0]["pointer"]) == (400, f"/{next(iter(query))}")
    assert aws.calls == []


def test_pages_lead_to_the_next(api: Api, orders: Orders) -> None:
    """The newest first, 20 unless asked otherwise; nextToken is null on the last."""
    for number in range(25):
        orders.put(detail(number, createdAt=f"2026-01-02T03:04:{number:02}.000Z"))
    _, first, _ = call(api, "GET /orders")
    _, second, _ = call(api, "GET /orders", query={"nextToken": first["nextToken"], "limit": "100"})

    assert [one["orderId"] for one in first["orders"]] == [f"o-{number}" for number in range(24, 4, -1)]
    assert [one["orderId"] for one in second["orders"]] == [f"o-{number}" for number in range(4, -1, -1)]
    assert second["nextToken"] is None


def test_no_orders_are_an_empty_page(api: Api) -> None:
    """Not an error."""
    assert call(api, "GET /orders")[:2] == (200, {"orders": [], "nextToken": None})


def test_unknown_routes_and_methods(api: Api) -> None:
    """404 and 405, as the events API answers them."""
    assert call(api, "GET /nowhere")[0] == 404
    status, _, headers = call(api, "DELETE /orders")

    assert (status, headers["Allow"]) == (405, "GET, POST")


def test_a_table_that_refuses_is_a_downstream(aws: FakeOrdersAws, orders: Orders) -> None:
    """Which the breaker knows what to do about."""
    aws.before = lambda _name: (_ for _ in ()).throw(client_error("ThrottlingException"))

    with pytest.raises(DownstreamError, match=r"^the orders table did not take an order: ThrottlingException$"):
        orders.put(detail())


def test_schema_of_the_detail_is_compact_ascii(api: Api, aws: FakeOrdersAws) -> None:
    """Its size is counted on what is sent."""
    post(api, ORDER)
    text = aws.events[0]["Detail"]

    assert text == jsontext.compact(json.loads(text))
    assert text.isascii()
