"""The circuit breaker: when the worker trips it, what it pauses, how it probes and that a crash leaves nothing shut."""

import io
import json
from dataclasses import dataclass, field
from typing import Any, cast

import botocore.session
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from handlers.aws.control_table import ControlTable
from handlers.control.breaker import Breaker, ConsumerBusyError, Env, LostRaceError, Services, State, States
from handlers.errors import DownstreamError
from handlers.idempotency.store import StateStore
from handlers.worker import trip_wire as wire
from handlers.worker.trip_wire import TripWire
from handlers.worker.worker import Worker
from tests.handlers.conftest import NOW_MS, SOURCE, WORKER_ENV, FakeClock, Step, failures, record
from tests.handlers.fakes import Crash, FakeAws, FakeContext, client_error

ENV = Env("test", "events", "myapp.ingestion", "control", "state", "bus", "mapping-1", "worker-1")
TRIP = {"detail-type": "CircuitTripped", "detail": {"pipeline": "events", "idempotencyKey": "k1", "trippedAt": NOW_MS}}
TICK: dict[str, Any] = {}


@dataclass
class FakeCloud:
    """A table of two items, one consumer, one worker and a bus; dies at the call named in ``crash_after``.

    The consumer is Lambda's: a change passes through Enabling or Disabling for as many looks as ``passage`` says, and
    is refused while another one (or Creating, Updating) is under way.
    """

    state: dict[str, Any] = field(default_factory=dict)
    event: dict[str, Any] = field(default_factory=dict)
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

    def _done(self) -> None:
        self.calls += 1
        if self.calls == self.crash_after:
            raise Crash

    def get_item(self, *, TableName: str, Key: dict[str, Any], ConsistentRead: bool) -> dict[str, Any]:
        assert ConsistentRead
        if TableName == "state":
            assert Key == {"idempotencyKey": {"S": "k1"}}
            return {"Item": self.event} if self.event else {}
        assert Key == {"id": {"S": "breaker#events"}, "item": {"S": "state"}}
        if self.store_down:
            raise client_error("InternalServerError")
        return {"Item": self.state} if self.state else {}

    def put_item(
        self,
        *,
        TableName: str,
        Item: dict[str, Any],
        ConditionExpression: str,
        ExpressionAttributeNames: dict[str, str],
        ExpressionAttributeValues: dict[str, Any],
        ReturnValuesOnConditionCheckFailure: str,
    ) -> None:
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
        self.invoked.append(json.loads(Payload))
        self._done()
        answer = failures() if self.healthy else failures("m1")
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
    event = {"messageId": {"S": "m1"}, "payload": {"S": '{"n":"a"}'}, "status": {"S": "FAILED"}}
    return FakeCloud(event=event)


@pytest.fixture
def breaker(cloud: FakeCloud) -> Breaker:
    """The real breaker on it."""
    client = cast("Any", cloud)
    return Breaker(ENV, Services(dynamodb=client, functions=client, mappings=client, events=client))


def test_a_trip_opens_and_pauses_the_consumer(breaker: Breaker, cloud: FakeCloud) -> None:
    """Once, with one event, however often the worker trips."""
    for _ in range(3):
        assert breaker.handle(TRIP, FakeContext()) == {"state": "OPEN", "probes": 0}

    assert (cloud.enabled, cloud.told, cloud.invoked) == (False, ["CircuitOpened"], [])


def test_a_tick_while_closed_does_nothing(breaker: Breaker, cloud: FakeCloud) -> None:
    """A consumer that people have paused stays paused."""
    cloud.enabled = False

    assert breaker.handle(TICK, FakeContext()) == {"state": "CLOSED", "probes": 0}
    assert (cloud.enabled, cloud.calls) == (False, 0)


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


def test_without_an_event_to_try_the_consumer_is_tried(breaker: Breaker, cloud: FakeCloud) -> None:
    """An event that has succeeded since, or whose payload is not kept, cannot probe."""
    breaker.handle(TRIP, FakeContext())
    cloud.event = {}

    assert breaker.handle(TICK, FakeContext())["state"] == "CLOSED"
    assert (cloud.enabled, cloud.invoked) == (True, [])


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


def test_it_fails_open_without_its_store(breaker: Breaker, cloud: FakeCloud) -> None:
    """A breaker that cannot remember lets traffic through rather than hold it for ever; a trip is to come again."""
    breaker.handle(TRIP, FakeContext())
    cloud.store_down = True

    assert breaker.handle(TICK, FakeContext()) == {"state": "UNKNOWN"}
    assert cloud.enabled is True
    cloud.enabled = False
    with pytest.raises(ClientError, match="InternalServerError"):
        breaker.handle(TRIP, FakeContext())
    assert cloud.enabled is True


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
