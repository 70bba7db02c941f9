"""The circuit breaker: when the worker trips it, what it pauses, how it probes and that a crash leaves nothing shut."""

import io
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, cast

import botocore.session
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from handlers import clock, jsontext
from handlers.aws.control_table import ControlTable
from handlers.control.breaker import Breaker, ConsumerBusyError, Env, LostRaceError, Services, State, States
from handlers.errors import DownstreamError
from handlers.idempotency.store import StateStore
from handlers.worker import trip_wire as wire
from handlers.worker.trip_wire import TripWire
from handlers.worker.worker import Worker
from tests.handlers.conftest import NOW_MS, SOURCE, WORKER_ENV, FakeClock, Step, failures, record
from tests.handlers.control.redrive.conftest import text
from tests.handlers.control.redrive.fake_sqs import FakeSqs
from tests.handlers.fakes import Crash, FakeAws, FakeContext, client_error

QUEUE = "https://queue"
ENV = Env("test", "events", "myapp.ingestion", "control", "state", "bus", "mapping-1", "worker-1", QUEUE, 5)
TRIP = {"detail-type": "CircuitTripped", "detail": {"pipeline": "events", "idempotencyKey": "k1", "trippedAt": NOW_MS}}
TICK: dict[str, Any] = {}


FAILED_EVENT = {"messageId": {"S": "m1"}, "payload": {"S": '{"n":"a"}'}, "status": {"S": "FAILED"}}


ORDER_EVENT: Any = {"source": "myapp.orders", "detail-type": "OrderCreated", "detail": {"eventId": "e-1"}}
SUCCEEDED_EVENT = FAILED_EVENT | {"status": {"S": "SUCCEEDED"}, "processedAt": {"S": clock.iso(NOW_MS - 1)}}


def make_breaker(cloud: "FakeCloud", sqs: FakeSqs | None = None, config: Env = ENV) -> Breaker:
    """The real breaker on a cloud and a queue, an empty one if none is given."""
    client = cast("Any", cloud)
    queue = cast("Any", sqs or FakeSqs(FakeClock(), {QUEUE: []}))
    return Breaker(config, Services(dynamodb=client, functions=client, mappings=client, events=client, sqs=queue))


@dataclass
class FakeCloud:
    """The tables, one consumer, one worker and a bus; dies at the call named in ``crash_after``.

    ``event`` is the record of the key `k1`, ``attempts`` what the worker adds to those of each key: it tries what it is
    given, unless ``tries`` is False.

    The consumer is Lambda's: a change passes through Enabling or Disabling for as many looks as ``passage`` says, and
    is refused while another one (or Creating, Updating) is under way.
    """

    state: dict[str, Any] = field(default_factory=dict)
    copies: dict[str, dict[str, Any]] = field(default_factory=dict)
    event: dict[str, Any] = field(default_factory=dict)
    attempts: Counter[str] = field(default_factory=Counter)
    tries: bool = True
    bad: set[str] = field(default_factory=set)  # keys that fail while others get through
    kills: str = ""  # a key whose event ends the worker's process
    for_good: bool = False  # whatever is tried fails for good
    succeeded: set[str] = field(default_factory=set)
    tries_as: str = ""  # the place of the record, where it is not the message's own key
    asked_for: list[str] = field(default_factory=list)  # places in the state table
    partition: str = "breaker#events"
    mapping: str = "Enabled"
    passage: int = 0
    told_mapping: list[bool] = field(default_factory=list)
    _looks: int = 0
    healthy: bool = False
    invoked: list[dict[str, Any]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    store_down: bool = False
    crash_after: int = 0
    calls: int = 0
    answer_lost: bool = False  # of the next write, which the SDK then repeats
    error: bytes = b""  # what a worker that dies is answered with

    def _done(self) -> None:
        self.calls += 1
        if self.calls == self.crash_after:
            raise Crash

    def get_item(self, *, TableName: str, Key: dict[str, Any], ConsistentRead: bool) -> dict[str, Any]:
        assert ConsistentRead
        if TableName == "state":
            self.asked_for.append(Key["idempotencyKey"]["S"])
            return {"Item": item} if (item := self.record(Key["idempotencyKey"]["S"])) else {}
        assert Key["id"] == {"S": self.partition}
        if self.store_down:
            raise client_error("InternalServerError")
        item = self.state if Key["item"] == {"S": "state"} else self.copies.get(Key["item"]["S"], {})
        return {"Item": item} if item else {}

    def record(self, key: str) -> dict[str, Any]:
        """The state record of a key, {} where there is none."""
        known = self.event if key == "k1" else {}
        numbers = {"attempts": {"N": str(self.attempts[key])}, "expiresAt": {"N": str(NOW_MS // 1000 + 86400)}}
        base = {"status": {"S": "INFLIGHT"}} | numbers | known
        if key in self.succeeded:
            base |= {"status": {"S": "SUCCEEDED"}, "processedAt": {"S": clock.iso(clock.now_ms())}}
        return base if known or self.attempts[key] else {}

    def put_item(
        self,
        *,
        TableName: str,
        Item: dict[str, Any],
        ReturnValuesOnConditionCheckFailure: str,
        ConditionExpression: str = "",
        ExpressionAttributeNames: dict[str, str] | None = None,
        ExpressionAttributeValues: dict[str, Any] | None = None,
    ) -> None:
        if Item["item"]["S"].startswith("probe#"):
            assert len(Item["text"]["S"]) <= 350_000
            self.copies[Item["item"]["S"]] = Item
            self._done()
            return
        assert ExpressionAttributeValues
        assert (TableName, ConditionExpression) == ("control", "attribute_not_exists(#id) OR #version = :if_version")
        assert ExpressionAttributeNames == {"#id": "id", "#version": "version"}
        assert ReturnValuesOnConditionCheckFailure == "ALL_OLD"
        if self.answer_lost:
            self.state, self.answer_lost = Item, False
        if self.state and self.state["version"] != ExpressionAttributeValues[":if_version"]:
            refusal = client_error("ConditionalCheckFailedException")
            refusal.response["Item"] = self.state  # type: ignore[typeddict-unknown-key]
            raise refusal
        self.state = Item
        self._done()

    @property
    def enabled(self) -> bool:
        """Whether the consumer runs, or will."""
        return self.mapping in ("Enabled", "Enabling", "Updating", "Creating")

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self.mapping = "Enabled" if value else "Disabled"

    def get_event_source_mapping(self, *, UUID: str) -> dict[str, Any]:
        assert UUID == "mapping-1"
        state = self.mapping
        self._looks -= 1
        if self._looks < 0:
            self.mapping = {"Disabling": "Disabled"}.get(state, "Enabled" if state.endswith("ing") else state)
        return {"UUID": UUID, "State": state}

    def begin(self, state: str) -> None:
        """A change begins, somebody's."""
        self.mapping, self._looks = state, self.passage

    def update_event_source_mapping(self, *, UUID: str, Enabled: bool) -> None:
        assert UUID == "mapping-1"
        self.told_mapping.append(Enabled)
        if self.mapping not in ("Enabled", "Disabled"):
            raise client_error("ResourceInUseException")
        self.begin("Enabling" if Enabled else "Disabling")
        self._done()

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        assert FunctionName == "worker-1"
        event = json.loads(Payload)
        self.invoked.append(event)
        attributes = event["Records"][0]["messageAttributes"]
        key = self.tries_as or attributes["idempotencyKey"]["stringValue"]
        self.attempts[key] += self.tries
        fails = not self.healthy or key in self.bad
        if key == self.kills:
            return {"Payload": io.BytesIO(b"{}"), "FunctionError": "Unhandled"}
        if self.tries and not fails and not self.for_good:
            self.succeeded.add(key)
        self._done()
        if self.error:
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(self.error)}
        answer = failures("m1") if fails else failures()
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        self.told += [entry["DetailType"] for entry in Entries]
        self._done()
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}

    @property
    def name(self) -> str:
        """The state's name."""
        return str(self.state["state"]["S"]) if self.state else "CLOSED"


@pytest.fixture
def cloud() -> FakeCloud:
    """A closed breaker whose candidate event has failed."""
    return FakeCloud(event=FAILED_EVENT)


@pytest.fixture
def sqs(fake_clock: FakeClock) -> FakeSqs:
    """The queue, empty."""
    return FakeSqs(fake_clock, {QUEUE: []})


@pytest.fixture
def breaker(cloud: FakeCloud, sqs: FakeSqs) -> Breaker:
    """The real breaker on it."""
    return make_breaker(cloud, sqs)


def test_a_trip_opens_and_pauses_the_consumer(breaker: Breaker, cloud: FakeCloud) -> None:
    """Once, with one event, however often the worker trips."""
    for _ in range(3):
        assert breaker.handle(TRIP, FakeContext()) == {"state": "OPEN", "probes": 0}

    assert (cloud.enabled, cloud.told, cloud.invoked) == (False, ["CircuitOpened"], [])


def test_a_tick_while_closed_does_nothing(breaker: Breaker, cloud: FakeCloud) -> None:
    """The first of all notes that it is closed; after that, a consumer that people have paused stays paused."""
    assert breaker.handle(TICK, FakeContext()) == {"state": "CLOSED", "probes": 0}
    cloud.enabled = False

    assert breaker.handle(TICK, FakeContext()) == {"state": "CLOSED", "probes": 0}
    assert (cloud.name, cloud.enabled, cloud.calls, cloud.told) == ("CLOSED", False, 1, [])


def test_one_probe_a_tick_until_the_downstream_answers(breaker: Breaker, cloud: FakeCloud) -> None:
    """The failed event itself is the probe; when it gets through, the consumer goes on."""
    breaker.handle(TRIP, FakeContext())
    assert breaker.handle(TICK, FakeContext()) == {"state": "OPEN", "probes": 1}
    assert breaker.handle(TICK, FakeContext()) == {"state": "OPEN", "probes": 2}
    assert cloud.enabled is False
    cloud.healthy = True

    assert breaker.handle(TICK, FakeContext()) == {"state": "CLOSED", "probes": 0}
    assert (cloud.enabled, cloud.told) == (True, ["CircuitOpened", "CircuitClosed"])
    probe = {
        "messageId": "m1",
        "receiptHandle": "",
        "body": '{"n":"a"}',
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {"idempotencyKey": {"dataType": "String", "stringValue": "k1"}},
    }
    assert cloud.invoked == [{"Records": [probe], "probe": True}] * 3


# without an event in a state record


def large(sqs: FakeSqs, name: str, *, receives: int = 0, size: int = 1000) -> str:
    """A message on the queue, received so often."""
    attributes: dict[str, Any] = {"idempotencyKey": text(name), "bytes": {"DataType": "Binary", "BinaryValue": b"\0"}}
    message_id = sqs.put(QUEUE, json.dumps({"n": name, "note": "x" * size}), attributes)
    sqs.queues[QUEUE][-1].receives = receives
    return message_id


@pytest.mark.parametrize("size", [1000, 200_000, 1_000_000])
def test_an_event_without_a_kept_payload_is_taken_from_the_queue(
    breaker: Breaker, cloud: FakeCloud, sqs: FakeSqs, fake_clock: FakeClock, size: int
) -> None:
    """At 0, 1, 2, 4, 8 failed probes; what probes in between is a copy, equal but for the right to the message."""
    cloud.event = {name: value for name, value in FAILED_EVENT.items() if name != "payload"}
    taken = large(sqs, "big", receives=1, size=size)
    breaker.handle(TRIP, FakeContext())
    for probes in range(1, 16):
        assert breaker.handle(TICK, FakeContext()) == {"state": "OPEN", "probes": probes}
        fake_clock.advance(60_000)
    assert (cloud.enabled, [message.receives for message in sqs.queues[QUEUE]]) == (False, [2])
    cloud.healthy = True

    assert breaker.handle(TICK, FakeContext())["state"] == "CLOSED"
    assert cloud.enabled is True
    first, *others = [event["Records"][0] for event in cloud.invoked]
    assert first == {
        "messageId": taken,
        "receiptHandle": f"{taken}-2",
        "body": json.dumps({"n": "big", "note": "x" * size}),
        "attributes": {"SentTimestamp": str(NOW_MS), "ApproximateReceiveCount": "1"},
        "messageAttributes": {
            "idempotencyKey": {"dataType": "String", "stringValue": "big"},
            "bytes": {"dataType": "Binary", "binaryValue": "AA=="},
        },
    }
    # The third time it is near its end and sent anew, and there is none to be had but the copy.
    receipts = [f"{taken}-3", "", "", "m2-1", "", "", "", "m2-2", *[""] * 7]
    assert [probe["receiptHandle"] for probe in others] == receipts
    assert others[4] == others[5] == others[3] | {"receiptHandle": ""}
    assert {jsontext.checksum(probe["body"]) for probe in others} == {jsontext.checksum(first["body"])}


@pytest.mark.parametrize(
    "event",
    [{}, SUCCEEDED_EVENT, FAILED_EVENT | {"expiresAt": {"N": str(NOW_MS // 1000)}}],
)
def test_with_nothing_to_try_it_stays_open(breaker: Breaker, cloud: FakeCloud, sqs: FakeSqs, event: Any) -> None:
    """An event that had succeeded before, or is forgotten, can't probe; the next message that comes can."""
    breaker.handle(TRIP, FakeContext())
    cloud.event, cloud.healthy = event, True
    for _ in range(3):
        assert breaker.handle(TICK, FakeContext()) == {"state": "OPEN", "probes": 0}
    assert (cloud.enabled, cloud.invoked) == (False, [])
    large(sqs, "next")

    assert breaker.handle(TICK, FakeContext())["state"] == "CLOSED"
    assert (cloud.enabled, sqs.queues[QUEUE]) == (True, [])


def test_a_message_that_the_worker_did_not_try_proves_nothing(
    breaker: Breaker, cloud: FakeCloud, sqs: FakeSqs, fake_clock: FakeClock
) -> None:
    """Done before, or no event at all: it is settled as by its consumer, and the next tick takes another."""
    breaker.handle(TRIP, FakeContext())
    cloud.event, cloud.healthy, cloud.tries = {}, True, False
    large(sqs, "duplicate")
    large(sqs, "good")

    assert breaker.handle(TICK, FakeContext()) == {"state": "OPEN", "probes": 0}
    assert [message.receives for message in sqs.queues[QUEUE]] == [0]
    fake_clock.advance(60_000)
    cloud.tries = True
    assert breaker.handle(TICK, FakeContext())["state"] == "CLOSED"


def test_an_event_that_fails_by_itself_does_not_stop_the_others(
    breaker: Breaker, cloud: FakeCloud, sqs: FakeSqs, fake_clock: FakeClock
) -> None:
    """Once it has failed, others are asked: one that gets through closes, and for 5 minutes no trip opens again."""
    cloud.healthy, cloud.bad = True, {"k1", "big"}
    large(sqs, "big")
    breaker.handle(TRIP, FakeContext())
    for probes in (1, 2):  # the failed one, then the first of the queue
        assert breaker.handle(TICK, FakeContext()) == {"state": "OPEN", "probes": probes}
    large(sqs, "small")

    assert breaker.handle(TICK, FakeContext()) == {"state": "CLOSED", "probes": 0}
    assert (cloud.enabled, cloud.succeeded) == (True, {"small"})
    later = {"idempotencyKey": "k1", "trippedAt": NOW_MS + 300_000}
    for milliseconds, state in ((300_000, "CLOSED"), (1, "OPEN")):
        fake_clock.advance(milliseconds)
        later["trippedAt"] = fake_clock.ms
        assert breaker.handle({"detail-type": "CircuitTripped", "detail": later}, FakeContext())["state"] == state
    assert cloud.enabled is False


def test_what_is_asked_is_another_event(
    breaker: Breaker, cloud: FakeCloud, sqs: FakeSqs, fake_clock: FakeClock
) -> None:
    """A bad event, alone on its queue for hours, is taken for the outage: the first to come after it is asked soon."""
    cloud.healthy, cloud.bad = True, {"k1"}
    large(sqs, "k1")
    breaker.handle(TRIP, FakeContext())
    for _ in range(300):
        assert breaker.handle(TICK, FakeContext())["state"] == "OPEN"
        fake_clock.advance(60_000)
    large(sqs, "good")

    ticks = 1
    while breaker.handle(TICK, FakeContext())["state"] == "OPEN":
        fake_clock.advance(60_000)
        ticks += 1
    assert (ticks, cloud.succeeded) == (5, {"good"})  # the 304th probe


def test_a_killer_neither_closes_nor_keeps_open(breaker: Breaker, cloud: FakeCloud, sqs: FakeSqs) -> None:
    """An event that ends its worker's process is no answer; the next that is asked is."""
    breaker.handle(TRIP, FakeContext())
    cloud.healthy, cloud.kills = True, "k1"
    assert breaker.handle(TICK, FakeContext()) == {"state": "OPEN", "probes": 1}
    large(sqs, "next")

    assert breaker.handle(TICK, FakeContext())["state"] == "CLOSED"
    assert cloud.succeeded == {"next"}


def test_another_is_asked_after_1_2_4_8_failures_and_every_eighth(
    breaker: Breaker, cloud: FakeCloud, sqs: FakeSqs
) -> None:
    """An outage costs few messages a receive; where none is there at the time, the next tick looks again.

    However long it has been open, what comes in is asked within eight probes: one bad event may be all that is wrong.
    """
    breaker.handle(TRIP, FakeContext())
    for tick in range(40):
        if tick == 10:  # so far it has only had the failed event
            for n in range(9):
                large(sqs, f"n{n}")
        breaker.handle(TICK, FakeContext())

    keys = [e["Records"][0]["messageAttributes"]["idempotencyKey"]["stringValue"] for e in cloud.invoked]
    assert keys == ["k1"] * 10 + ["n0"] * 6 + ["n1"] * 8 + ["n2"] * 8 + ["n3"] * 8


def test_a_fifo_queue_is_asked_once_more(cloud: FakeCloud, fake_clock: FakeClock) -> None:
    """What is taken keeps its receive there, so that no head of a group is received until it is dead."""
    url = "https://queue.fifo"
    sqs = FakeSqs(fake_clock, {url: []})
    breaker = make_breaker(cloud, sqs, replace(ENV, queue_url=url))
    sqs.put(url, json.dumps({"n": "head"}), {"idempotencyKey": text("head")})
    breaker.handle(TRIP, FakeContext())
    for _ in range(10):
        breaker.handle(TICK, FakeContext())
        fake_clock.advance(60_000)

    assert [message.receives for message in sqs.queues[url]] == [1]


@pytest.fixture
def fifo(cloud: FakeCloud, fake_clock: FakeClock) -> tuple[Breaker, FakeSqs]:
    """A breaker of a FIFO queue, which is empty."""
    url = "https://queue.fifo"
    sqs = FakeSqs(fake_clock, {url: []})
    return make_breaker(cloud, sqs, replace(ENV, queue_url=url)), sqs


def test_bad_events_alone_do_not_stop_a_fifo_queue_for_ever(
    fifo: tuple[Breaker, FakeSqs], cloud: FakeCloud, fake_clock: FakeClock
) -> None:
    """Both that can be asked fail: after 16 probes the consumer goes on, and for five minutes no trip stops it.

    So the bad ones come to their end by their own receives, and the groups of others follow.
    """
    breaker, sqs = fifo
    for name, group in (("k1", "a"), ("bad", "b")):
        sqs.put("https://queue.fifo", json.dumps({"n": name}), {"idempotencyKey": text(name)}, MessageGroupId=group)
    cloud.healthy, cloud.bad = True, {"k1", "bad"}
    breaker.handle(TRIP, FakeContext())

    answers = []
    for _ in range(17):
        answers.append(breaker.handle(TICK, FakeContext()))
        fake_clock.advance(60_000)

    assert answers == [
        *({"state": "OPEN", "probes": probes} for probes in range(1, 16)),
        *[{"state": "CLOSED", "probes": 0}] * 2,
    ]
    assert (cloud.enabled, cloud.told) == (True, ["CircuitOpened", "CircuitClosed"])
    detail = {"idempotencyKey": "bad", "trippedAt": fake_clock.ms}
    assert breaker.handle({"detail-type": "CircuitTripped", "detail": detail}, FakeContext())["state"] == "CLOSED"


def test_an_outage_opens_a_fifo_queue_again_and_takes_no_more_of_it(
    fifo: tuple[Breaker, FakeSqs], cloud: FakeCloud, fake_clock: FakeClock
) -> None:
    """Each episode would cost the head of a group a receive; once a probe has succeeded, the next outage may ask."""
    breaker, sqs = fifo
    for name in ("x", "y"):
        sqs.put("https://queue.fifo", json.dumps({"n": name}), {"idempotencyKey": text(name)}, MessageGroupId=name)
    receives = []
    for answered in (False, False, True, False):
        fake_clock.advance(301_000)
        detail = {"idempotencyKey": "k1", "trippedAt": fake_clock.ms}
        assert breaker.handle({"detail-type": "CircuitTripped", "detail": detail}, FakeContext())["state"] == "OPEN"
        probes = 0
        cloud.healthy = answered
        while breaker.handle(TICK, FakeContext())["state"] == "OPEN":
            probes += 1
        assert (cloud.state["state"], probes) == ({"S": "CLOSED"}, 0 if answered else 15)
        receives.append(sum(message.receives for message in sqs.queues["https://queue.fifo"]))
        cloud.succeeded.clear()

    assert receives == [1, 1, 1, 2]


def test_an_event_that_fails_for_good_is_no_answer(breaker: Breaker, cloud: FakeCloud, sqs: FakeSqs) -> None:
    """It may never have come to the downstream: the breaker stays open, and the next tick takes another."""
    breaker.handle(TRIP, FakeContext())
    cloud.healthy, cloud.for_good = True, True
    assert breaker.handle(TICK, FakeContext()) == {"state": "OPEN", "probes": 0}
    cloud.for_good = False
    large(sqs, "next")

    assert breaker.handle(TICK, FakeContext())["state"] == "CLOSED"
    assert cloud.succeeded == {"next"}


def test_an_event_that_has_got_through_since_closes(breaker: Breaker, cloud: FakeCloud) -> None:
    """A probe that succeeded, of a breaker that died then: the next tick knows, with an empty queue too."""
    breaker.handle(TRIP, FakeContext())
    cloud.event = SUCCEEDED_EVENT | {"processedAt": {"S": clock.iso(NOW_MS)}}

    assert breaker.handle(TICK, FakeContext())["state"] == "CLOSED"
    assert (cloud.enabled, cloud.invoked) == (True, [])


@pytest.mark.parametrize("receives", [3, 4])
def test_a_message_near_its_last_receive_begins_anew(
    breaker: Breaker, cloud: FakeCloud, sqs: FakeSqs, receives: int
) -> None:
    """The probe would be what kills it: it is sent again before it is tried, so its count is 1 at the next receive."""
    cloud.event = {}
    old = large(sqs, "big", receives=receives)
    breaker.handle(TRIP, FakeContext())
    breaker.handle(TICK, FakeContext())

    (message,) = sqs.queues[QUEUE]
    assert (message.id != old, message.receives) == (True, 0)
    assert message.attributes == {
        "idempotencyKey": text("big"),
        "bytes": {"DataType": "Binary", "BinaryValue": b"\0"},
        "originalMessageId": text(old),
    }
    probe = cloud.invoked[0]["Records"][0]
    assert (probe["messageId"], probe["receiptHandle"]) == (message.id, "")


def test_a_message_that_can_not_begin_anew_is_tried_all_the_same(
    breaker: Breaker, cloud: FakeCloud, sqs: FakeSqs
) -> None:
    """SQS refuses the copy: the message itself stays where it is."""
    cloud.event = {}
    old = large(sqs, "big", receives=4)
    sqs.entry_failures["SendMessageBatch"] = lambda _entry: "SenderFault"
    breaker.handle(TRIP, FakeContext())
    breaker.handle(TICK, FakeContext())

    assert [message.id for message in sqs.queues[QUEUE]] == [old]
    assert cloud.invoked[0]["Records"][0]["receiptHandle"] == f"{old}-5"


@pytest.mark.parametrize("lost", ["probe#0", "probe#3"])
def test_a_copy_of_which_a_part_is_lost_is_none(
    breaker: Breaker, cloud: FakeCloud, sqs: FakeSqs, fake_clock: FakeClock, lost: str
) -> None:
    """Another message is taken; half an event would say nothing of the downstream."""
    cloud.event = {}
    large(sqs, "big", size=1_000_000)
    breaker.handle(TRIP, FakeContext())
    breaker.handle(TICK, FakeContext())
    assert sorted(cloud.copies) == ["probe#0", "probe#1", "probe#2"]
    cloud.copies.pop(lost, None)
    cloud.copies = {
        name: item | ({"kept": {"S": "older"}} if lost == "probe#3" else {}) for name, item in cloud.copies.items()
    }
    fake_clock.advance(120_000)

    assert breaker.handle(TICK, FakeContext())["state"] == "OPEN"
    assert [message.receives for message in sqs.queues[QUEUE]] == [2]


@pytest.mark.parametrize("call", range(1, 16))
def test_a_crash_around_the_taking_costs_no_second_receive(  # noqa: PLR0917 - fixtures
    monkeypatch: pytest.MonkeyPatch, breaker: Breaker, cloud: FakeCloud, sqs: FakeSqs, fake_clock: FakeClock, call: int
) -> None:
    """Dead after each call of a probe whose event is taken: it ends closed; who dies before the copy takes again."""
    monkeypatch.setattr(State, "needs_another", lambda *_, **__: False)
    cloud.event = {}
    large(sqs, "big", size=1_000_000)
    breaker.handle(TRIP, FakeContext())
    before_the_note = cloud.calls + 5  # state, three parts, state
    cloud.crash_after = cloud.calls + call
    for healthy in (False, False, True, True, True):
        cloud.healthy = healthy
        try:
            breaker.handle(TICK, FakeContext())
        except Crash:
            assert cloud.calls == cloud.crash_after
        fake_clock.advance(120_000)

    assert (cloud.name, cloud.enabled) == ("CLOSED", True)
    taken = Counter(event["Records"][0]["receiptHandle"] for event in cloud.invoked)
    assert [message.receives for message in sqs.queues[QUEUE]] in (
        [1],
        [2] if cloud.crash_after < before_the_note else [],
    )
    assert taken[""] >= 1


@pytest.mark.parametrize(
    ("pipeline", "key", "place"),
    [("orders", "e-1", "orders/e-1"), ("events", jsontext.checksum(ORDER_EVENT), jsontext.checksum(ORDER_EVENT))],
)
def test_a_body_is_read_as_its_pipelines_worker_reads_it(
    cloud: FakeCloud, sqs: FakeSqs, pipeline: str, key: str, place: str
) -> None:
    """What looks like an event of EventBridge is one for orders only; its record is in the pipeline's own scope."""
    config = replace(ENV, pipeline=pipeline)
    breaker = make_breaker(cloud, sqs, config)
    sqs.put(QUEUE, jsontext.compact(ORDER_EVENT), {})
    cloud.partition, cloud.event, cloud.tries_as = f"breaker#{pipeline}", {}, place
    breaker.handle(TRIP, FakeContext())
    cloud.healthy = True

    assert breaker.handle(TICK, FakeContext())["state"] == "CLOSED"
    assert cloud.asked_for[-2:] == [place, place]
    assert json.loads(cloud.copies["probe#0"]["text"]["S"])["key"] == key


# the state is lost


@pytest.mark.parametrize("paused", ["Disabled", "Disabling"])
def test_a_state_that_was_lost_while_open_is_that_of_the_consumer(
    breaker: Breaker, cloud: FakeCloud, sqs: FakeSqs, fake_clock: FakeClock, paused: str
) -> None:
    """The pipeline does not stop for good: it is probed, with a message of the queue, and goes on when that passes."""
    breaker.handle(TRIP, FakeContext())
    cloud.state, cloud.mapping = {}, paused
    large(sqs, "big")

    assert breaker.handle(TICK, FakeContext()) == {"state": "OPEN", "probes": 1}
    assert (cloud.name, cloud.enabled) == ("OPEN", False)
    fake_clock.advance(60_000)
    cloud.healthy = True
    assert breaker.handle(TICK, FakeContext()) == {"state": "CLOSED", "probes": 0}
    assert (cloud.enabled, cloud.told) == (True, ["CircuitOpened", "CircuitClosed"])


@pytest.mark.parametrize("state", ["Updating", "Creating"])
def test_a_lost_state_waits_for_a_consumer_between_states(breaker: Breaker, cloud: FakeCloud, state: str) -> None:
    """While it is being changed it does not tell whether it is paused, so nothing is written that a tick believes."""
    cloud.passage = 1
    cloud.begin(state)

    assert breaker.handle(TICK, FakeContext()) == {"state": "CLOSED", "probes": 0}
    assert cloud.state == {}
    cloud.mapping = "Disabled"
    assert breaker.handle(TICK, FakeContext())["state"] == "OPEN"


@pytest.mark.parametrize("error", [b'{"errorMessage": "a", "errorMessage": "b"}', b"[" * 40 + b"]" * 40, b"\xff", b"-"])
def test_whatever_a_dead_worker_says_is_a_failure(breaker: Breaker, cloud: FakeCloud, error: bytes) -> None:
    """The answer of a worker that dies is Lambda's to word, and no input of ours: it only means that it stays open."""
    breaker.handle(TRIP, FakeContext())
    cloud.error = error
    assert breaker.handle(TICK, FakeContext()) == {"state": "OPEN", "probes": 1}


def test_a_trip_from_before_the_closing_is_ignored(breaker: Breaker, cloud: FakeCloud, fake_clock: FakeClock) -> None:
    """Events may arrive late; what they tell of has been mended."""
    breaker.handle(TRIP, FakeContext())
    fake_clock.advance(1000)
    cloud.healthy = True
    breaker.handle(TICK, FakeContext())

    assert breaker.handle(TRIP, FakeContext())["state"] == "CLOSED"
    assert cloud.enabled is True


def test_one_probe_at_a_time(breaker: Breaker, cloud: FakeCloud, fake_clock: FakeClock) -> None:
    """While a probe holds its lease another tick leaves; once it has lapsed, the next one probes."""
    breaker.handle(TRIP, FakeContext())
    cloud.crash_after = cloud.calls + 2  # written, invoked: dead in the middle of the probe
    with pytest.raises(Crash):
        breaker.handle(TICK, FakeContext(remaining_ms=10_000))
    cloud.healthy = True

    assert breaker.handle(TICK, FakeContext())["state"] == "HALF_OPEN"
    assert len(cloud.invoked) == 1
    fake_clock.advance(10_000)
    assert breaker.handle(TICK, FakeContext())["state"] == "CLOSED"
    assert cloud.enabled is True


def test_of_two_invocations_one_acts(breaker: Breaker, cloud: FakeCloud) -> None:
    """Who finds the version changed leaves everything as it is."""
    breaker.handle(TRIP, FakeContext())
    overtaken = dict(cloud.state)
    original = cloud.put_item

    def overtake(**request: Any) -> None:
        cloud.state = overtaken | {"version": {"N": "9"}}
        original(**request)

    cloud.put_item = overtake  # type: ignore[method-assign]
    assert breaker.handle(TICK, FakeContext()) == {"state": "CONTENDED"}
    assert cloud.invoked == []


@pytest.mark.parametrize(("event", "state"), [(TRIP, "OPEN"), (TICK, "CLOSED")])
def test_a_write_that_the_sdk_repeats_is_no_race(
    breaker: Breaker, cloud: FakeCloud, event: dict[str, Any], state: str
) -> None:
    """The answer to a write is lost, the SDK writes again and is refused: what stands there is ours, so it goes on."""
    if event is TICK:
        breaker.handle(TRIP, FakeContext())
    cloud.healthy = True
    cloud.answer_lost = True

    assert breaker.handle(event, FakeContext()) == {"state": state, "probes": 0}
    assert cloud.enabled is (state == "CLOSED")


@pytest.mark.parametrize("call", range(1, 12))
def test_a_crash_after_any_call_is_mended_by_the_next_ticks(
    breaker: Breaker, cloud: FakeCloud, fake_clock: FakeClock, call: int
) -> None:
    """Open, failed probe, good probe: dead after each call, the breaker still ends closed and the consumer running."""
    cloud.crash_after = call

    def invoke(event: dict[str, Any]) -> None:
        try:
            breaker.handle(event, FakeContext())
        except Crash:
            breaker.handle(event, FakeContext())  # Lambda's own retry of an asynchronous invocation
        fake_clock.advance(60_000)

    invoke(TRIP)
    assert (cloud.name, cloud.enabled) == ("OPEN", False)
    invoke(TICK)
    cloud.healthy = True
    for _ in range(3):
        invoke(TICK)

    assert cloud.calls >= call
    assert (cloud.name, cloud.enabled) == ("CLOSED", True)


@pytest.mark.parametrize(("event", "enabled"), [(TICK, False), (TICK, True), (TRIP, True)])
def test_without_its_store_the_consumer_is_left_as_it_is(
    breaker: Breaker, cloud: FakeCloud, event: dict[str, Any], *, enabled: bool
) -> None:
    """Not to know is no reason to resume in an outage, nor to pause without one; the invocation is to come again."""
    breaker.handle(TRIP, FakeContext())
    cloud.store_down, cloud.enabled = True, enabled
    with pytest.raises(ClientError, match="InternalServerError"):
        breaker.handle(event, FakeContext())

    assert cloud.enabled is enabled


# the consumer, which Lambda changes in its own time


@pytest.mark.parametrize("passage", [0, 1, 4])
def test_the_first_tick_after_a_trip_finds_the_consumer_being_paused(
    breaker: Breaker, cloud: FakeCloud, passage: int
) -> None:
    """It closes all the same, in the same invocation, and says each thing once: a second word would be refused."""
    cloud.passage = passage
    cloud.healthy = True
    breaker.handle(TRIP, FakeContext())

    assert cloud.mapping == "Disabling"
    assert breaker.handle(TICK, FakeContext()) == {"state": "CLOSED", "probes": 0}
    assert (cloud.mapping, cloud.told_mapping) == ("Enabling", [False, True])


@pytest.mark.parametrize("state", ["Creating", "Updating", "Enabling"])
def test_a_trip_waits_for_a_change_of_others(breaker: Breaker, cloud: FakeCloud, state: str) -> None:
    """A deployment is at work on the consumer; once it has settled, it is paused."""
    cloud.passage = 3
    cloud.begin(state)

    assert breaker.handle(TRIP, FakeContext()) == {"state": "OPEN", "probes": 0}
    assert (cloud.mapping, cloud.told_mapping) == ("Disabling", [False])


def test_a_change_that_comes_between_is_waited_for(breaker: Breaker, cloud: FakeCloud) -> None:
    """Between the look and the word somebody else begins a change: refused, and told again once it is through."""
    cloud.passage = 2
    original = cloud.update_event_source_mapping

    def overtaken(**request: Any) -> None:
        if not cloud.told_mapping:
            cloud.begin("Updating")
        original(**request)

    cloud.update_event_source_mapping = overtaken  # type: ignore[method-assign]
    assert breaker.handle(TRIP, FakeContext()) == {"state": "OPEN", "probes": 0}
    assert (cloud.mapping, cloud.told_mapping) == ("Disabling", [False, False])


def test_a_change_that_takes_too_long_is_left_to_the_next_attempt(breaker: Breaker, cloud: FakeCloud) -> None:
    """The invocation fails, so that it comes again, and the consumer is not given up."""
    cloud.passage = 10**6
    cloud.begin("Updating")
    with pytest.raises(ConsumerBusyError, match="the consumer was not set to Disabled, it was Updating"):
        breaker.handle(TRIP, FakeContext())
    with pytest.raises(ConsumerBusyError, match="it was not asked"):
        breaker.handle(TRIP, FakeContext(remaining_ms=5_999))
    cloud.mapping = "Enabled"

    assert breaker.handle(TRIP, FakeContext()) == {"state": "OPEN", "probes": 0}
    assert cloud.told_mapping == [False]


def test_another_refusal_of_lambda_is_no_reason_to_wait(breaker: Breaker, cloud: FakeCloud) -> None:
    """It would be the same again."""

    def refuse(**_: Any) -> None:
        raise client_error("ResourceNotFoundException")

    cloud.update_event_source_mapping = refuse  # type: ignore[method-assign]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        breaker.handle(TRIP, FakeContext())


# the worker's half


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The trip wire's clock."""
    now = [1000.0]
    monkeypatch.setattr(wire, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def wired(fake_aws: FakeAws, step: Step) -> Worker:
    """A worker with a trip wire of 60 s; its step fails downstream while `step.on_run` says so."""
    client = cast("Any", fake_aws)
    store = StateStore(client, "t", pipeline="events", ttl_days=7)
    trip_wire = TripWire(hold_seconds=60, max_receive_count=5)
    return Worker(WORKER_ENV, SOURCE, store=store, sqs=client, events=client, process=step, trip_wire=trip_wire)


def out(_name: str) -> None:
    """The downstream is out."""
    raise DownstreamError("out")


def batch(*names: str, receive_count: int = 1, **more: Any) -> dict[str, Any]:
    """A batch of new messages."""
    return {"Records": [record(f"m-{n}", {"n": n}, key=n, receive_count=receive_count) for n in names], **more}


def types(aws: FakeAws) -> list[str]:
    """The types of the events on the bus."""
    return [event["DetailType"] for event in aws.events]


def test_three_downstream_failures_in_a_row_trip(wired: Worker, fake_aws: FakeAws, step: Step) -> None:
    """Across batches; the messages are put off for as long as the wire holds, and the trip names one that failed."""
    step.on_run = out
    wired.handle(batch("a", "b"), FakeContext())
    assert types(fake_aws) == []

    wired.handle(batch("c"), FakeContext())

    assert types(fake_aws) == ["CircuitTripped"]
    assert json.loads(fake_aws.events[0]["Detail"]) == {
        "pipeline": "events",
        "idempotencyKey": "c",
        "trippedAt": NOW_MS,
    }
    assert fake_aws.visibility["receipt-m-c-1"] == 60


def test_a_success_in_between_does_not_trip(wired: Worker, fake_aws: FakeAws, step: Step) -> None:
    """A downstream that answers now and then is not out."""
    for name in ("a", "b"):
        step.on_run = out
        wired.handle(batch(name, f"{name}2"), FakeContext())
        step.on_run = lambda _name: None
        wired.handle(batch(f"{name}3"), FakeContext())

    assert "CircuitTripped" not in types(fake_aws)


def test_a_trickle_trips_before_its_last_receive(wired: Worker, fake_aws: FakeAws, step: Step) -> None:
    """One message that meets a new environment each time: its third of five receives trips."""
    step.on_run = out
    wired.handle(batch("a", receive_count=2), FakeContext())
    assert types(fake_aws) == []

    wired.handle(batch("b", receive_count=3), FakeContext())
    assert types(fake_aws) == ["CircuitTripped"]


def test_a_message_near_its_end_does_not_trip_where_others_get_through(
    wired: Worker, fake_aws: FakeAws, step: Step, seconds: list[float]
) -> None:
    """It is its own trouble, and waits by itself; after a minute without any success it may be everybody's."""
    wired.handle(batch("good"), FakeContext())
    step.on_run = out
    seconds[0] += 59
    wired.handle(batch("a", receive_count=4), FakeContext())
    assert "CircuitTripped" not in types(fake_aws)
    assert fake_aws.visibility["receipt-m-a-4"] == 2730
    seconds[0] += 1

    wired.handle(batch("b", receive_count=4), FakeContext())
    assert types(fake_aws).count("CircuitTripped") == 1


@pytest.mark.parametrize(("receive_count", "wait"), [(2, 109), (3, 546), (4, 2730)])
def test_nobody_is_held_twice(wired: Worker, fake_aws: FakeAws, step: Step, receive_count: int, wait: int) -> None:
    """Who was received before is worked instead: done with if it is good, and else it gets its longer wait."""
    step.on_run = out
    wired.handle(batch("a", "b", "c"), FakeContext())
    both = batch("young")["Records"] + batch("old", receive_count=receive_count)["Records"]

    assert wired.handle({"Records": both}, FakeContext()) == failures("m-young", "m-old")
    assert fake_aws.visibility["receipt-m-young-1"] == 60
    assert fake_aws.visibility[f"receipt-m-old-{receive_count}"] == wait
    step.on_run = lambda _name: None
    assert wired.handle({"Records": both}, FakeContext()) == failures("m-young")
    assert step.runs == ["old"]


def test_on_a_fifo_queue_nobody_overtakes_who_is_held(wired: Worker, step: Step) -> None:
    """A message behind one of its group that is held is held with it, near its end or not."""
    wired._ordered = True  # the same worker on a FIFO queue
    step.on_run = out
    for name in "abc":
        wired.handle(batch(name), FakeContext())
    step.on_run = lambda _name: None
    groups = [("x1", 1, "X"), ("x2", 4, "X"), ("y1", 4, "Y")]
    records = [record(f"m-{n}", {"n": n}, key=n, receive_count=c, group=group) for n, c, group in groups]

    assert wired.handle({"Records": records}, FakeContext()) == failures("m-x1", "m-x2")
    assert step.runs == ["y1"]


def test_a_tripped_environment_holds_still(wired: Worker, fake_aws: FakeAws, step: Step, seconds: list[float]) -> None:
    """Until the consumer is paused, messages go back unworked and far enough away; afterwards work goes on."""
    step.on_run = out
    wired.handle(batch("a", "b", "c"), FakeContext())
    fake_aws.calls.clear()
    step.on_run = lambda _name: None
    seconds[0] += 20

    assert wired.handle(batch("d"), FakeContext()) == failures("m-d")
    assert fake_aws.calls == ["ChangeMessageVisibilityBatch"]
    assert fake_aws.visibility["receipt-m-d-1"] == 40
    assert "d" not in fake_aws.items
    seconds[0] += 40

    assert wired.handle(batch("d"), FakeContext()) == failures()


def test_a_probe_is_worked_while_others_are_held(
    wired: Worker, fake_aws: FakeAws, step: Step, seconds: list[float]
) -> None:
    """It does not trip again when it fails; when it succeeds the wire lets go."""
    assert seconds == [1000.0]
    step.on_run = out
    wired.handle(batch("a", "b", "c"), FakeContext())
    wired.handle(batch("a", probe=True), FakeContext())
    assert types(fake_aws).count("CircuitTripped") == 1

    step.on_run = lambda _name: None
    assert wired.handle(batch("a", probe=True), FakeContext()) == failures()
    assert wired.handle(batch("d"), FakeContext()) == failures()


@pytest.mark.parametrize("fail", ["permanent", ""])
def test_a_copy_that_fails_for_good_leaves_the_letter_to_its_message(
    wired: Worker, fake_aws: FakeAws, step: Step, fail: str
) -> None:
    """One event, one letter: the probe hands its claim back, and the message itself is dead-lettered when it comes."""
    payload: Any = {"n": "a", "fail": fail} if fail else None
    probe = record("m1", payload, key="k1") | {"receiptHandle": ""}
    assert wired.handle({"Records": [probe], "probe": True}, FakeContext()) == failures()
    assert (fake_aws.sent, fake_aws.events) == ([], [])
    assert [(item["status"]["S"], item["leaseUntil"]["N"]) for item in fake_aws.items.values()] == (
        [("INFLIGHT", "0")] if fail else []
    )

    assert wired.handle({"Records": [record("m1", payload, key="k1")]}, FakeContext()) == failures()

    assert [sent["MessageAttributes"]["originalMessageId"]["StringValue"] for sent in fake_aws.sent] == ["m1"]
    assert types(fake_aws) == ["IngestionFailure"]
    assert step.runs == []


def test_a_copy_that_fails_has_no_visibility_to_change(wired: Worker, fake_aws: FakeAws, step: Step) -> None:
    """There is no message behind its empty receipt handle, so nobody can tell when the next attempt is."""
    step.on_run = out
    probe = record("m1", {"n": "a"}, key="k1") | {"receiptHandle": ""}

    assert wired.handle({"Records": [probe], "probe": True}, FakeContext()) == failures("m1")
    assert "ChangeMessageVisibilityBatch" not in fake_aws.calls
    assert "nextAttemptAt" not in fake_aws.items["k1"]


def test_other_failures_never_trip(wired: Worker, fake_aws: FakeAws) -> None:
    """Poison and the adopter's bugs are no outage."""
    records = [
        record(f"m{i}", {"n": f"n{i}", "fail": kind}, key=f"k{i}", receive_count=4)
        for i, kind in enumerate(["bug", "permanent"] * 3)
    ]

    wired.handle({"Records": records}, FakeContext())
    assert "CircuitTripped" not in types(fake_aws)


def test_the_state_on_dynamodb() -> None:
    """DynamoDB takes the condition: a version is written over once, and anew where the record has been lost."""
    with mock_aws():
        client: Any = botocore.session.get_session().create_client(
            "dynamodb", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        client.create_table(
            TableName="control",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "item")],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "item", "KeyType": "RANGE"}],
            BillingMode="PAY_PER_REQUEST",
        )
        states = States(ControlTable(client, "control"), "events")
        opened = states.save(State("OPEN", 1, "k1"))

        assert states.load() == opened == State("OPEN", 1, "k1", version=1)
        with pytest.raises(LostRaceError):
            states.save(State("OPEN", 2, "k2"))
        client.delete_item(TableName="control", Key={"id": {"S": "breaker#events"}, "item": {"S": "state"}})
        assert states.save(opened) == states.load() == State("OPEN", 1, "k1", version=2)
