"""The orders pipeline and the key authorizer against odd and hostile input."""

from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.control.authorizer import Authorizer, Keys, KeysError
from handlers.idempotency.store import StateStore
from handlers.orders.api import Api, Env
from handlers.orders.fulfilment import Fulfilment
from handlers.orders.message import FORM
from handlers.orders.step import process
from handlers.orders.store import Orders
from handlers.worker import messages
from handlers.worker.worker import Worker
from tests.handlers.conftest import WORKER_ENV
from tests.handlers.control.test_authorizer import NEW, OLD, WRONG, FakeStore
from tests.handlers.fakes import FakeContext
from tests.handlers.fuzz.hostile import FUZZ, JSON, ODD, SECRET, TEXT, logged, objects, records, requests
from tests.handlers.fuzz.test_requests import sound
from tests.handlers.orders.fakes import ORDERS, FakeOrdersAws

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")  # inputs may be large
_ITEM = objects({"sku": st.sampled_from(["A-1", SECRET]), "qty": st.integers(0, 3) | st.just(2.0)})
_GOOD = st.fixed_dictionaries(
    {"items": st.just([{"sku": "A-1", "qty": 1}])}, optional={"orderId": st.just("o-1"), "customerId": st.just("c")}
)
_ORDER = objects({"orderId": st.just("o-1"), "customerId": st.just("c"), "items": st.lists(_ITEM, max_size=3)})
_TOLD = objects(
    {
        "id": st.just("e"),
        "source": st.just("myapp.orders"),
        "detail-type": st.just("OrderCreated"),
        "detail": objects(
            {
                "eventId": st.sampled_from(["e-1", "e-2"]),
                "orderId": st.just("o-1"),
                "createdAt": st.just("2027-01-15T08:00:00.000Z"),
                "items": st.just([{"sku": "A-1", "qty": 1}]),
            }
        ),
    }
)


@FUZZ
@given(
    requests(
        ["POST /orders", "GET /orders", "GET /orders/{orderId}", "GET /health", "ANY /orders", "$default"],
        _GOOD | _ORDER,
        query={"limit": st.just("5"), "nextToken": TEXT},
        parameters={"orderId": st.just("o-1")},
    )
)
def test_requests(event: dict[str, Any]) -> None:
    """An event on the bus exactly where 202 says so; AWS works, so no 5xx."""
    aws = FakeOrdersAws()
    client = cast("Any", aws)
    store = StateStore(client, "ingestion_state", pipeline="orders", ttl_days=7)
    api = Api(
        Env("t", "orders", "bus", ORDERS, "ingestion_state", 7, "s"),
        events=client,
        store=store,
        orders=Orders(client, ORDERS),
    )
    with logged():
        answer = api.handle(event)
    sound(answer, 200, 202, 400, 404, 405, 409, 413, 415)
    assert len(aws.events) == (answer["statusCode"] == 202)


@FUZZ
@given(records(_TOLD))
def test_batches(batch: list[dict[str, Any]]) -> None:
    """Every message is handed back, SUCCEEDED or a dead letter with its cause."""
    aws = FakeOrdersAws()
    client = cast("Any", aws)
    worker = Worker(
        replace(WORKER_ENV, pipeline="orders"),
        "myapp.orders",
        store=StateStore(client, "ingestion_state", pipeline="orders", ttl_days=7),
        sqs=client,
        events=client,
        process=Fulfilment(Orders(client, ORDERS), process),
        form=FORM,
    )
    with logged():
        answer = worker.handle({"Records": batch}, FakeContext())
    assert answer.keys() == {"batchItemFailures"}
    kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
    assert kept <= {one["messageId"] for one in batch}
    letters = [m["MessageAttributes"].get("originalMessageId", {}).get("StringValue") for m in aws.sent]
    done = {(key, item["checksum"]["S"]) for key, item in aws.items.items() if item["status"]["S"] == "SUCCEEDED"}
    for message in messages.unique(batch, FORM):
        assert message.id in kept or message.id in letters or (message.key, message.checksum) in done


@FUZZ
@given(
    objects({"identitySource": st.lists(TEXT | st.sampled_from([OLD, WRONG]), max_size=2), "routeKey": TEXT}),
    st.sampled_from([(OLD,), (OLD, NEW), ("",), ("x",)]) | st.lists(TEXT, max_size=2),
)
def test_keys(event: dict[str, Any], kept: list[str]) -> None:
    """Only who shows a key that is kept is let through, whatever else is sent or kept; a key is in no log."""
    judge = Authorizer(Keys(FakeStore(*kept)))
    with logged() as lines:
        try:
            answer = judge.handle(event)
        except KeysError:
            answer = {"isAuthorized": False}
        told = str(lines())
    assert answer["isAuthorized"] is (OLD in kept and event.get("identitySource") == [OLD])
    assert OLD not in told
    assert WRONG not in told


@FUZZ
@given(ODD | JSON)
def test_an_authorizer_called_by_hand(event: Any) -> None:
    """Lets nobody through."""
    if isinstance(event, dict):
        assert Authorizer(Keys(FakeStore(OLD))).handle(event) == {"isAuthorized": False}
