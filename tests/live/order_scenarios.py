"""What the orders pipeline's two functions do: taking and showing orders, and working batches of their events."""

from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import uuid4

from handlers import jsontext
from tests.live.failing import Fault, Kind
from tests.live.matrix import Scenario
from tests.live.order_book import ONCE, OrderBook, OrderStep, Told

_LOST_ANSWERS = (Kind.TIMEOUT_AFTER, Kind.RESET_AFTER)


@dataclass
class OrderScenario(Scenario):
    """One whose orders are followed to their end."""

    step: OrderStep
    book: OrderBook = field(init=False)

    def __post_init__(self) -> None:
        self.book = OrderBook(self.stage, self.step)


@dataclass
class OneOrder(OrderScenario):
    """A caller posts an order, and posts it again after a 503; without a key that is another order."""

    function: ClassVar[str] = "orders-api"
    name: ClassVar[str] = "an order"
    key: str = ""
    order: jsontext.JsonObject = field(default_factory=lambda: {"items": [{"sku": "A", "qty": 1}]})
    accepted: dict[str, Any] = field(default_factory=dict)

    def act(self) -> None:
        """The caller's first try."""
        self.post()

    def recover(self) -> None:
        """The caller comes again, and the worker works."""
        if not self.accepted:
            self.post()
        self.book.consumer.drain()

    def check(self, fault: Fault | None) -> None:  # noqa: ARG002 - the same after every fault
        """What was answered 202, and what EventBridge took without an answer, is worked, each event once."""
        told = set(self.book.told("OrderCreated", "eventId"))
        assert self.accepted["eventId"] in told
        assert len(told) == 1 or not self.key
        by_order = self.book.told("OrderCreated", "orderId")
        orders = {event_id: order_id for order_id, ids in by_order.items() for event_id in ids}
        events = [Told({"eventId": event_id, "orderId": orders[event_id]}) for event_id in told]
        self.book.check(events, {orders[event_id]: ("PROCESSED", event_id, "") for event_id in told})
        assert orders[self.accepted["eventId"]] == self.accepted["orderId"]
        assert sorted(event_id for event_id, _ in self.step.runs) == sorted(told)

    def post(self) -> None:
        """One request, under the caller's key if he has one."""
        headers = {"idempotency-key": self.key} if self.key else {}
        status, answer = self.stage.call(self.function, "POST /orders", self.order, headers=headers)
        assert status in (202, 503), answer
        self.accepted = answer if status == 202 else {}


class OwnKey(OneOrder):
    """Under the caller's own key."""

    name = "an order, own key"

    def prepare(self) -> None:
        """A new key."""
        self.key = f"own-{uuid4()}"


class KnownKey(OwnKey):
    """Under the caller's own key, a second time."""

    name = "an order again, own key"

    def prepare(self) -> None:
        """The first time."""
        super().prepare()
        self.act()
        assert self.accepted


@dataclass
class OtherOrder(OwnKey):
    """Another order under a key that is taken: nobody is told of it."""

    name: ClassVar[str] = "another order, own key"
    statuses: list[int] = field(default_factory=list)

    def prepare(self) -> None:
        """The key's own order."""
        super().prepare()
        self.post()

    def act(self) -> None:
        """The other's first try."""
        self.statuses.append(self.post_other())

    def recover(self) -> None:
        """The other's second."""
        if self.statuses == [503]:
            self.act()
        super().recover()

    def check(self, fault: Fault | None) -> None:
        """It was refused."""
        assert self.statuses in ([409], [503, 409])
        super().check(fault)

    def post_other(self) -> int:
        """The request's status."""
        other = {"items": [{"sku": "B", "qty": 2}]}
        return self.stage.call(self.function, "POST /orders", other, headers={"idempotency-key": self.key})[0]


@dataclass
class Reading(OrderScenario):
    """A caller reads, and reads again after a 503."""

    function: ClassVar[str] = "orders-api"
    route: ClassVar[str]
    event: Told = field(init=False)
    answer: tuple[int, dict[str, Any]] = field(init=False)

    def prepare(self) -> None:
        """An order that is done, the newest."""
        self.event = Told.new(self.stage)
        self.book.tell(self.event)
        self.book.consumer.drain()

    def act(self) -> None:
        """The first try."""
        self.answer = self.read()
        assert self.answer[0] in (200, 503), self.answer

    def recover(self) -> None:
        """The second."""
        if self.answer[0] == 503:
            self.answer = self.read()
        assert self.answer[0] == 200

    def check(self, fault: Fault | None) -> None:  # noqa: ARG002 - the same after every fault
        """The order is told."""
        assert (self.told()["eventId"], self.told()["status"]) == (self.event.event_id, "PROCESSED")

    def read(self) -> tuple[int, dict[str, Any]]:
        """The request."""
        return self.stage.call(self.function, "GET /orders", query={"limit": "1"})

    def told(self) -> dict[str, Any]:
        """The order in the answer."""
        raise NotImplementedError


class ShowOrder(Reading):
    """One order."""

    name = "one order shown"

    def read(self) -> tuple[int, dict[str, Any]]:
        """The request."""
        return self.stage.call(self.function, "GET /orders/{orderId}", path={"orderId": self.event.detail["orderId"]})

    def told(self) -> dict[str, Any]:
        """The order in the answer."""
        return self.answer[1]


class ListOrders(Reading):
    """The newest order, merged from all shards."""

    name = "the newest orders"

    def told(self) -> dict[str, Any]:
        """The order in the answer."""
        (order,) = self.answer[1]["orders"]
        found: dict[str, Any] = order
        return found


class Health(Reading):
    """Whether an order could be told; only where the stack has no pipeline that answers for it."""

    name = "health"

    def prepare(self) -> None:
        """Nothing."""

    def read(self) -> tuple[int, dict[str, Any]]:
        """The request."""
        return self.stage.call(self.function, "GET /health")

    def check(self, fault: Fault | None) -> None:  # noqa: ARG002 - the same after every fault
        """It is well."""
        assert self.answer[1]["status"] == "healthy"


@dataclass
class MixedBatch(OrderScenario):
    """A batch of all kinds: new, told twice, failing for good and for now, late, no order, another order's event."""

    function: ClassVar[str] = "orders-worker"
    name: ClassVar[str] = "a mixed batch"
    events: list[Told] = field(default_factory=list)

    def prepare(self) -> None:
        """One is done and one has failed once; the batch is in the queue."""
        self.good = done, failed, new, failing = [Told.new(self.stage, sku) for sku in ("A", ONCE, "A", ONCE)]
        self.book.tell(done, failed)
        self.book.consumer.deliver()
        late = Told.new(self.stage, orderId=done.detail["orderId"], createdAt="2026-01-01T00:00:00.000Z")
        again = Told(new.detail | {"createdAt": "2026-01-02T00:00:00.000Z"})
        self.bad = Told.new(self.stage, "FAIL-ME", error="FailingSkuError")
        none = Told({"eventId": str(uuid4()), "items": []}, "SchemaValidationError")
        other = Told(done.detail | {"items": [{"sku": "B", "qty": 2}]}, "IdempotencyConflictError")
        self.book.tell(self.bad, late, new, again, failing, none, other, done)
        self.book.consumer.lapse()
        self.events = [*self.good, self.bad, late, none, other]

    def act(self) -> None:
        """One delivery of all nine."""
        assert len(self.book.consumer.deliver()) == 9

    def recover(self) -> None:
        """Redelivery until the queue is empty."""
        self.book.consumer.drain()

    def check(self, fault: Fault | None) -> None:
        """Every order is where its record says that it is."""
        rows = {str(event.detail["orderId"]): ("PROCESSED", event.event_id, "") for event in self.good}
        rows[str(self.bad.detail["orderId"])] = ("FAILED", self.bad.event_id, self.bad.error)
        self.book.check(self.events, rows, letters_repeat=fault is not None and fault.kind in _LOST_ANSWERS)


ORDER_SCENARIOS: list[type[OrderScenario]] = [
    OneOrder,
    OwnKey,
    KnownKey,
    OtherOrder,
    ShowOrder,
    ListOrders,
    MixedBatch,
]
