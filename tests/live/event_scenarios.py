"""What the events pipeline's two functions do: taking events, and working batches of them."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from handlers import jsontext
from tests.live.failing import Fault, Kind
from tests.live.ledger import Ledger, Sent, Step
from tests.live.matrix import Scenario

_LOST_ANSWERS = (Kind.TIMEOUT_AFTER, Kind.RESET_AFTER)
Post = tuple[str, Any, dict[str, str]]  # route, body, headers


@dataclass
class EventScenario(Scenario):
    """One whose events are followed to their end."""

    step: Step
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.stage, self.step)


@dataclass
class Submitting(EventScenario):
    """A caller posts events, and posts again what was answered 503."""

    function: ClassVar[str] = "events-ingest"
    orders: list[jsontext.JsonObject] = field(default_factory=list)
    accepted: dict[str, str] = field(default_factory=dict)  # key by order id

    def request(self) -> Post:
        """What is posted."""
        raise NotImplementedError

    def act(self) -> None:
        """The caller's first try."""
        self._post()

    def recover(self) -> None:
        """The caller comes again, and the worker works."""
        if len(self.accepted) < len(self.orders):
            self._post()
        assert len(self.accepted) == len(self.orders)
        self.ledger.consumer.drain()

    def check(self, fault: Fault | None) -> None:
        """Every event succeeded, once."""
        events = [Sent(order, self.accepted[str(order["orderId"])]) for order in self.orders]
        self.ledger.check(events, letters_repeat=fault is not None and fault.kind in _LOST_ANSWERS)

    def _post(self) -> None:
        route, body, headers = self.request()
        status, answer = self.stage.call(self.function, route, body, headers=headers)
        if "results" in answer:
            assert status in (202, 207, 503)
            for order, result in zip(self.orders, answer["results"], strict=True):
                self._note(order, result["status"], result)
        else:
            self._note(self.orders[0], status, answer)

    def _note(self, order: jsontext.JsonObject, status: int, answer: dict[str, Any]) -> None:
        assert status in (202, 503), answer
        if status == 202:
            self.accepted[str(order["orderId"])] = answer["idempotencyKey"]


class OneEvent(Submitting):
    """Under the key that follows from it."""

    name = "one event"

    def prepare(self) -> None:
        """An order."""
        self.orders = [Sent.new().body]

    def request(self) -> Post:
        """The order itself."""
        return "POST /events", self.orders[0], {}


class OwnKey(OneEvent):
    """Under the caller's own key."""

    name = "one event, own key"

    def request(self) -> Post:
        """The order, its key in the header."""
        return "POST /events", self.orders[0], {"idempotency-key": f"own-{self.orders[0]['orderId']}"}


class KnownKey(OwnKey):
    """Under the caller's own key, a second time."""

    name = "one event again, own key"

    def prepare(self) -> None:
        """The first time."""
        super().prepare()
        self.act()
        assert self.accepted


class ManyEvents(Submitting):
    """A batch, of which some bring their keys."""

    name = "a batch"

    def prepare(self) -> None:
        """Twelve orders: two sends, for SQS takes ten."""
        self.orders = [Sent.new().body for _ in range(12)]

    def request(self) -> Post:
        """The orders, every fourth with a key."""
        keyed = [
            order | {"idempotencyKey": f"own-{order['orderId']}"} if i % 4 == 0 else order
            for i, order in enumerate(self.orders)
        ]
        return "POST /events/batch", keyed, {}


@dataclass
class Reading(EventScenario):
    """A caller reads, and reads again after a 503."""

    function: ClassVar[str] = "events-ingest"
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def read(self) -> tuple[int, dict[str, Any]]:
        """The request."""
        return self.stage.call(self.function, "GET /health")

    def act(self) -> None:
        """The first try."""
        self.answers.append(self.read())
        assert self.answers[0][0] in (200, 503)

    def recover(self) -> None:
        """The second."""
        self.answers.append(self.read())

    def check(self, fault: Fault | None) -> None:  # noqa: ARG002 - the same after every fault
        """The second try is told."""
        assert self.answers[1][0] == 200


class Health(Reading):
    """Whether an event could be queued."""

    name = "health"


class StatusOf(Reading):
    """The record of an event."""

    name = "status of an event"

    def prepare(self) -> None:
        """An event that is done."""
        self.event = Sent.new()
        self.ledger.send(self.event)
        self.ledger.consumer.drain()

    def read(self) -> tuple[int, dict[str, Any]]:
        """The request."""
        path = {"idempotencyKey": self.event.key}
        return self.stage.call(self.function, "GET /events/{idempotencyKey}", path=path)

    def check(self, fault: Fault | None) -> None:
        """The second try is told."""
        super().check(fault)
        assert self.answers[1][1]["status"] == "SUCCEEDED"


@dataclass
class MixedBatch(EventScenario):
    """A batch of all kinds: new, twice the same, done before, failed before, poison, failing, another payload."""

    function: ClassVar[str] = "events-worker"
    name: ClassVar[str] = "a mixed batch"
    events: list[Sent] = field(default_factory=list)

    def prepare(self) -> None:
        """One is done and one has failed once; the batch is in the queue."""
        done, failed = Sent.new(), Sent.new(drill="once")
        self.ledger.send(done, failed)
        self.ledger.consumer.deliver()
        new, twice, poison = Sent.new(), Sent.new(), Sent.new(drill="poison", error="SchemaValidationError")
        failing, other = Sent.new(drill="once"), Sent(Sent.new().body, done.key, "IdempotencyConflictError")
        self.ledger.send(done, new, twice, twice, poison, failing, other)
        self.ledger.consumer.lapse()
        self.events = [done, failed, new, twice, poison, failing, other]

    def act(self) -> None:
        """One delivery of all eight."""
        assert len(self.ledger.consumer.deliver()) == 8

    def recover(self) -> None:
        """Redelivery until the queue is empty."""
        self.ledger.consumer.drain()

    def check(self, fault: Fault | None) -> None:
        """Every event came to its own end."""
        self.ledger.check(self.events, letters_repeat=fault is not None and fault.kind in _LOST_ANSWERS)


class Outage(MixedBatch):
    """A batch that finds its downstream out."""

    name = "a downstream outage"

    def prepare(self) -> None:
        """Three that depend on it, one that does not come near it."""
        self.events = [Sent.new(drill="down") for _ in range(3)]
        self.ledger.send(*self.events)

    def act(self) -> None:
        """The delivery at which the breaker is asked to open."""
        assert len(self.ledger.consumer.deliver()) == 3

    def recover(self) -> None:
        """It is asked by the next delivery at the latest; then the downstream is back."""
        self.ledger.consumer.lapse()
        if not self.ledger.tripped():
            self.ledger.consumer.deliver()
        assert self.ledger.tripped()
        self.step.down = False
        super().recover()


class Suspects(MixedBatch):
    """A batch whose worker has died, of one of them: each is worked by itself, and the killer kills again."""

    name = "a batch whose worker died"

    def prepare(self) -> None:
        """The death of three, of which one has killed by itself, so that it comes last; and one that is new."""
        killer = Sent.new(drill="kill", error="WorkerDiedError")
        self.events = [Sent.new(), Sent.new(), killer]
        self.ledger.send(*self.events)
        self.ledger.consumer.deliver()
        self.stage.root("dynamodb").update_item(
            TableName=self.ledger.table,
            Key={"idempotencyKey": {"S": killer.key}},
            UpdateExpression="SET deaths = :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        self.events.append(Sent.new())
        self.ledger.send(self.events[-1])
        self.ledger.consumer.lapse()

    def act(self) -> None:
        """One delivery of all four; it ends with the second death."""
        assert len(self.ledger.consumer.deliver()) == 4


EVENT_SCENARIOS: list[type[EventScenario]] = [
    OneEvent,
    OwnKey,
    KnownKey,
    ManyEvents,
    Health,
    StatusOf,
    MixedBatch,
    Outage,
    Suspects,
]
