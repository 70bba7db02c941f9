"""What the tests of orders share: the API and the worker on an AWS in memory."""

import json
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from handlers import jsontext
from handlers.faults import Fault
from handlers.idempotency.store import StateStore
from handlers.orders import message
from handlers.orders.api import Api, Env
from handlers.orders.fulfilment import Fulfilment, OrderFaults
from handlers.orders.step import process
from handlers.orders.store import Orders
from handlers.worker.worker import Worker
from tests.handlers.conftest import WORKER_ENV
from tests.handlers.orders.fakes import ORDERS, FakeOrdersAws

ITEMS: list[jsontext.Json] = [{"sku": "A-1", "qty": 2}, {"sku": "B-2", "qty": 1}]
ORDER: jsontext.JsonObject = {"items": ITEMS}


@pytest.fixture
def aws() -> FakeOrdersAws:
    """An empty AWS."""
    return FakeOrdersAws()


@pytest.fixture
def orders(aws: FakeOrdersAws) -> Orders:
    """The real table access on it."""
    return Orders(cast("Any", aws), ORDERS)


@pytest.fixture
def api(aws: FakeOrdersAws, orders: Orders) -> Api:
    """The real API on it."""
    client = cast("Any", aws)
    env = Env("test", "orders", "bus", ORDERS, "ingestion_state", 7, "ingestion-lab")
    store = StateStore(client, "ingestion_state", pipeline="orders", ttl_days=7)
    return Api(env, events=client, store=store, orders=orders)


@dataclass
class Parameter:
    """The failure mode's parameter."""

    fault: Fault = field(default_factory=Fault)

    def get_parameter(self, *, Name: str) -> dict[str, Any]:
        """Its value."""
        assert Name == "/mode"
        return {"Parameter": {"Value": json.dumps(self.fault.as_json())}}


@pytest.fixture
def parameter() -> Parameter:
    """No fault is on."""
    return Parameter()


@pytest.fixture
def worker(aws: FakeOrdersAws, orders: Orders, parameter: Parameter) -> Worker:
    """The real worker, where failures may be injected."""
    client = cast("Any", aws)
    return Worker(
        replace(WORKER_ENV, pipeline="orders"),
        "myapp.orders",
        store=StateStore(client, "ingestion_state", pipeline="orders", ttl_days=7),
        sqs=client,
        events=client,
        process=Fulfilment(orders, process),
        faults=OrderFaults(cast("Any", parameter), "/mode", orders),
        form=message.FORM,
    )


def detail(number: int = 1, **more: jsontext.Json) -> jsontext.JsonObject:
    """The detail of an order's event."""
    told: jsontext.JsonObject = {
        "schemaVersion": "1.0",
        "eventId": f"e-{number}",
        "orderId": f"o-{number}",
        "createdAt": "2026-01-02T03:04:05.678Z",
        "items": ITEMS,
    }
    return told | more


def told(about: jsontext.Json, **more: jsontext.Json) -> str:
    """The body of the message that EventBridge makes of an event; `more` are fields of a replayed one."""
    event: jsontext.JsonObject = {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "OrderCreated",
        "source": "myapp.orders",
        "account": "123456789012",
        "time": "2026-01-02T03:04:06Z",
        "region": "eu-central-1",
        "resources": [],
        "detail": about,
    }
    return json.dumps(event | more)
