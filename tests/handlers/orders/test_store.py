"""The orders table: newer wins, failures don't undo successes, and pages are a partition of all orders."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.errors import PermanentError, SchemaValidationError
from handlers.orders import store
from handlers.orders.store import Orders
from tests.handlers.orders.conftest import detail
from tests.handlers.orders.fakes import ORDERS, FakeOrdersAws

_ERROR = SchemaValidationError()
_OLD, _NEW = "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"


def _status(orders: Orders) -> Any:
    found = orders.get("o-1")
    return found and (found["eventId"], found["status"])


def test_the_newer_event_wins_in_either_order(orders: Orders) -> None:
    """Whichever comes last, the order is that of the newer event."""
    assert orders.put(detail(eventId="new", createdAt=_NEW)) is True
    assert orders.put(detail(eventId="old", createdAt=_OLD)) is False
    assert orders.fail(detail(eventId="old", createdAt=_OLD), _ERROR) is False
    assert _status(orders) == ("new", "PROCESSED")


def test_an_event_replaces_an_older_one(orders: Orders) -> None:
    """A later event of the same order is the order's."""
    orders.put(detail(eventId="old", createdAt=_OLD))
    assert orders.fail(detail(eventId="new", createdAt=_NEW), _ERROR) is True
    assert _status(orders) == ("new", "FAILED")


def test_a_failure_does_not_undo_a_success(orders: Orders) -> None:
    """Of one event: FAILED, then PROCESSED by a redrive; a straggler's failure changes nothing any more."""
    assert orders.fail(detail(), _ERROR) is True
    assert orders.fail(detail(), _ERROR) is True
    assert orders.put(detail()) is True
    assert orders.put(detail()) is True
    assert orders.fail(detail(), _ERROR) is False
    assert _status(orders) == ("e-1", "PROCESSED")


def test_a_cause_is_kept_as_utf8_holds_it(orders: Orders) -> None:
    """At most 1,024 characters, and half an emoji, which a step may quote, does not fail the write."""
    orders.fail(detail(), PermanentError("\ud83d" + "x" * 2000))

    assert (orders.get("o-1") or {})["errorMessage"] == "?" + "x" * 1023


def test_a_success_forgets_the_failure(orders: Orders) -> None:
    """No cause is left on an order that has been mended."""
    orders.fail(detail(), _ERROR)
    assert (orders.get("o-1") or {})["errorType"] == "SchemaValidationError"
    orders.put(detail())
    assert (orders.get("o-1") or {}).keys() & {"errorType", "errorMessage"} == set()


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    times=st.lists(st.integers(0, 9), max_size=40),
    limit=st.integers(1, 12),
    page_items=st.integers(1, 6),
)
def test_pages_are_a_partition(times: list[int], limit: int, page_items: int) -> None:
    """Whatever the page size, and however early DynamoDB ends a shard's page: every order once, newest first."""
    aws: Any = FakeOrdersAws(page_items=page_items)
    orders = Orders(aws, ORDERS)
    for number, second in enumerate(times):
        orders.put(detail(number, createdAt=f"2026-01-02T03:04:0{second}.000Z"))
    expected = sorted(((f"2026-01-02T03:04:0{s}.000Z", f"o-{n}") for n, s in enumerate(times)), reverse=True)

    seen, token = [], ""
    for _ in range(len(times) + 1):
        page = orders.page(limit, token)
        assert len(page.orders) <= limit
        seen += [(one["createdAt"], one["orderId"]) for one in page.orders]
        if not (token := page.token):
            break
        assert page.orders

    assert seen == expected
    assert token == ""


def test_large_orders_make_small_pages(orders: Orders) -> None:
    """A page holds 2 MiB of orders, which a function can answer; the others follow."""
    items: Any = [{"sku": "s" * 128, "qty": 1} for _ in range(1600)]
    for number in range(15):
        orders.put(detail(number, items=items, createdAt=f"2026-01-02T03:04:{number:02}.000Z"))
    page = orders.page(100, "")
    rest = orders.page(100, page.token)

    assert [one["orderId"] for one in (*page.orders, *rest.orders)] == [f"o-{number}" for number in range(14, -1, -1)]
    assert len(page.orders) == 8
    assert rest.token == ""


@settings(max_examples=200, derandomize=True, deadline=None)
@given(text=st.text(max_size=80))
def test_only_our_tokens_are_read(text: str) -> None:
    """Whatever somebody makes up is none of ours."""
    with pytest.raises(store.TokenError):
        store.read_token(text)


@pytest.mark.parametrize("change", ["cut", "longer", "flipped", "padded"])
def test_altered_tokens_are_refused(change: str) -> None:
    """A token is taken as it was given, or not at all."""
    token = store.make_token("2026-01-02T03:04:05.678Z#o-1")
    assert store.read_token(token) == "2026-01-02T03:04:05.678Z#o-1"
    altered = {
        "cut": token[:-1],
        "longer": token + "A",
        "flipped": token[:14] + ("A" if token[14] != "A" else "B") + token[15:],
        "padded": token + "=",
    }

    with pytest.raises(store.TokenError):
        store.read_token(altered[change])


def test_orders_are_spread_over_the_shards(aws: FakeOrdersAws, orders: Orders) -> None:
    """No partition of the index takes all that is written."""
    for number in range(400):
        orders.put(detail(number))
    counts = [sum(row["historyShard"]["S"] == shard for row in aws.orders.values()) for shard in store.SHARDS]

    assert min(counts) > 60
