"""Records that end their worker's process, among good ones: they alone are dead letters, with their cause.

The failure modes `crash` and `hang` do it, in the real worker of each pipeline; where they would end the process, the
fake dies. What a time-out of Lambda does to a process that hangs is the same death.
"""

import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, cast

import pytest

from handlers import jsontext
from handlers.faults import Fault, FaultSwitch
from handlers.idempotency.store import StateStore
from handlers.orders import message
from handlers.orders.fulfilment import Fulfilment, OrderFaults
from handlers.orders.step import process
from handlers.orders.store import Orders
from handlers.worker.worker import Worker, WorkerEnv
from tests.handlers.conftest import SOURCE, WORKER_ENV, FakeClock, Step, failures, record
from tests.handlers.fakes import Crash, FakeAws, FakeContext, FakeQueue, client_error
from tests.handlers.lake.conftest import START, chunk, lines, shipment
from tests.handlers.lake.fakes import BRONZE, SILVER, FakeLake
from tests.handlers.orders.conftest import Parameter, detail, told
from tests.handlers.orders.fakes import ORDERS, FakeOrdersAws

_CONTEXT = FakeContext(remaining_ms=5_000)


@dataclass
class World:
    """A pipeline's worker, its queue and whom it has killed."""

    aws: FakeAws
    make: "Callable[[World], Worker]"
    message: "Callable[[World, int, bool], dict[str, Any]]"  # by number, and whether it kills
    parameter: Parameter = field(default_factory=Parameter)
    started: list[str] = field(default_factory=list)  # keys of the business steps that began
    deaths: int = 0

    def switch(self) -> FaultSwitch:
        """The failure switch as the worker sees it."""
        return FaultSwitch(cast("Any", self.parameter), "/mode")

    def play(self, queue: FakeQueue, clock: FakeClock, order: random.Random) -> None:
        """Deliveries until the queue is empty; each death is a new process, and its batch comes again in any order."""
        worker = self.make(self)
        for _ in range(12):
            clock.advance(200_000)  # past the visibility and every lease
            if not (batch := queue.receive()):
                return
            order.shuffle(batch)
            try:
                queue.settle(worker.handle({"Records": batch}, _CONTEXT))
            except Crash:
                self.deaths += 1
                worker = self.make(self)
            queue.forget(self.aws.deleted)
        raise AssertionError(f"still there: {sorted(queue.waiting)}")

    def records(self) -> dict[str, dict[str, Any]]:
        """Item by the pipeline's own key."""
        return {place.removeprefix(f"{item['pipeline']['S']}/"): item for place, item in self.aws.items.items()}

    def statuses(self) -> dict[str, str]:
        """Status by key."""
        return {key: item["status"]["S"] for key, item in self.records().items()}

    def succeeded(self) -> dict[str, int]:
        """How many different success events each key has."""
        ids: dict[str, set[str]] = {}
        for event in self.aws.events:
            about = json.loads(event["Detail"])
            if event["DetailType"] == "IngestionSuccess":
                ids.setdefault(about["idempotencyKey"], set()).add(about["eventId"])
        return {key: len(found) for key, found in ids.items()}

    def letters(self) -> list[tuple[str, str]]:
        """Original message id and cause of each dead letter."""
        texts = [letter["MessageAttributes"] for letter in self.aws.sent]
        return sorted((t["originalMessageId"]["StringValue"], t["errorType"]["StringValue"]) for t in texts)


def _worker(world: World, env: WorkerEnv, step: Any, faults: FaultSwitch, **more: Any) -> Worker:
    client = cast("Any", world.aws)
    store = StateStore(client, "ingestion_state", pipeline=env.pipeline, ttl_days=7)
    return Worker(env, SOURCE, store=store, sqs=client, events=client, process=step, faults=faults, **more)


def _noted(world: World, name: str, step: Callable[[jsontext.JsonObject], jsontext.Json]) -> Any:
    """A business step whose runs are noted by a field of its payload."""

    def run(payload: jsontext.JsonObject) -> jsontext.Json:
        world.started.append(str(payload[name]))
        return step(payload)

    return run


def _events() -> World:
    def message_of(_world: World, number: int, kills: bool) -> dict[str, Any]:  # noqa: FBT001 - see World
        return record(f"m{number}", {"n": f"k{number}", "kills": kills}, key=f"k{number}")

    return World(FakeAws(), lambda w: _worker(w, WORKER_ENV, _noted(w, "n", Step()), w.switch()), message_of)


def _orders() -> World:
    def make(world: World) -> Worker:
        orders = Orders(cast("Any", world.aws), ORDERS)
        faults = OrderFaults(cast("Any", world.parameter), "/mode", orders)
        step = _noted(world, "eventId", Fulfilment(orders, process))
        return _worker(world, replace(WORKER_ENV, pipeline="orders"), step, faults, form=message.FORM)

    def message_of(_world: World, number: int, kills: bool) -> dict[str, Any]:  # noqa: FBT001 - see World
        about = detail(number, **({"kills": True} if kills else {}))
        return record(f"m{number}", None, body=told(about))

    return World(FakeOrdersAws(), make, message_of)


def _lake() -> World:
    def make(world: World) -> Worker:
        from handlers.lake.step import Transformer  # noqa: PLC0415 - arrow is loaded for the lake alone

        aws = cast("Any", world.aws)
        transformer = Transformer(
            aws,
            aws,
            pipeline="lake",
            bronze_bucket=BRONZE,
            silver_bucket=SILVER,
            queue_url=WORKER_ENV.queue_url,
            start=START,
        )
        step = _noted(world, "key", transformer.process)
        env = replace(WORKER_ENV, pipeline="lake")
        return _worker(world, env, step, world.switch(), announce=transformer.announce)

    def message_of(world: World, number: int, kills: bool) -> dict[str, Any]:  # noqa: FBT001 - see World
        content, key = lines(shipment(number)), f"bronze/shipments/{number}.jsonl"
        version = cast("FakeLake", world.aws).upload(key, content)
        one = chunk(content, key, etag=version.etag, replay="kills" if kills else "")
        return record(f"m{number}", one.payload(), key=one.key)

    return World(FakeLake(), make, message_of)


_PIPELINES = {
    "events": (_events, {"kills": True}),
    "orders": (_orders, {"kills": True}),
    "lake": (_lake, {"replay": "kills"}),
}


@pytest.fixture(autouse=True)
def _deaths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a process would end, or be ended by Lambda while it hangs, the fake dies."""

    def die(_: float) -> NoReturn:
        raise Crash

    monkeypatch.setattr(os, "_exit", die)
    monkeypatch.setattr(time, "sleep", die)


def world_of(pipeline: str, mode: str) -> World:
    """A pipeline with a failure mode on for its killers."""
    make, match = _PIPELINES[pipeline]
    world = make()
    world.parameter.fault = Fault(mode, match=cast("Any", match))
    return world


@pytest.mark.parametrize("mode", ["crash", "hang"])
@pytest.mark.parametrize("place", ["first", "middle", "last", "two"])
@pytest.mark.parametrize("size", [10, 25, 100])
@pytest.mark.parametrize("pipeline", _PIPELINES)
def test_a_killer_dies_alone(fake_clock: FakeClock, pipeline: str, size: int, place: str, mode: str) -> None:
    """Exactly the killers are dead letters, with their cause; every other record SUCCEEDED, was run and told once.

    Only those at work when a killer was first met may have run again: nobody could know that they were done.
    """
    world = world_of(pipeline, mode)
    killers = {"first": [0], "middle": [size // 2], "last": [size - 1], "two": [size // 3, size - 2]}[place]
    batch = [world.message(world, number, number in killers) for number in range(size)]
    queue = FakeQueue({one["messageId"]: one for one in batch})

    world.play(queue, fake_clock, random.Random(size))  # noqa: S311 - an order, no secret

    assert queue.moved == []
    assert world.letters() == sorted((f"m{number}", "WorkerDiedError") for number in killers)
    statuses = world.statuses()
    dead = {key for key, status in statuses.items() if status == "FAILED"}
    assert len(dead) == len(killers)
    assert {status for key, status in statuses.items() if key not in dead} == {"SUCCEEDED"}
    assert world.succeeded() == {key: 1 for key in statuses if key not in dead}
    assert all(world.records()[key]["errorMessage"]["S"].startswith("the worker's process ended") for key in dead)
    assert len(world.started) < 2 * (size - len(killers)) + 1
    assert world.deaths <= 2 * len(killers) + 1


@pytest.mark.parametrize("killers", [(0, 1, 2), (1, 5, 9), (3, 4, 8), (7, 8, 9)])
def test_as_many_killers_as_the_receives_allow(fake_clock: FakeClock, killers: tuple[int, ...]) -> None:
    """Three of ten with five receives: the first death is common to all, then each receive finds one, the last none."""
    world = world_of("events", "crash")
    batch = [world.message(world, number, number in killers) for number in range(10)]
    queue = FakeQueue({one["messageId"]: one for one in batch})

    world.play(queue, fake_clock, random.Random(1))  # noqa: S311 - an order, no secret

    assert (queue.moved, world.deaths) == ([], 4)
    assert world.letters() == [(f"m{number}", "WorkerDiedError") for number in killers]
    assert sorted(world.statuses().values()) == ["FAILED"] * 3 + ["SUCCEEDED"] * 7


# The rules, one by one: suspects are made by a worker that died with its batch.


def _batch(size: int, *killers: int, receive_count: int = 1, first: int = 0) -> list[dict[str, Any]]:
    numbers = range(first, first + size)
    kills: dict[bool, jsontext.JsonObject] = {True: {"kills": True}, False: {}}
    return [
        record(f"m{n}", {"n": f"k{n}", **kills[n in killers]}, key=f"k{n}", receive_count=receive_count)
        for n in numbers
    ]


def _die(world: World, batch: list[dict[str, Any]], clock: FakeClock) -> None:
    """One delivery that ends the worker; its leases lapse."""
    with pytest.raises(Crash):
        world.make(world).handle({"Records": batch}, _CONTEXT)
    clock.advance(200_000)
    world.aws.calls.clear()


@pytest.fixture
def events() -> World:
    """The events pipeline, with killers."""
    return world_of("events", "crash")


def test_without_suspects_nothing_is_added(events: World) -> None:
    """Ten records: the three calls that they always cost."""
    assert events.make(events).handle({"Records": _batch(10)}, _CONTEXT) == failures()

    assert events.aws.calls == ["BatchExecuteStatement", "BatchExecuteStatement", "PutEvents"]


def test_a_suspect_costs_one_call_more(events: World, fake_clock: FakeClock) -> None:
    """After a death: claims, the others settled together; each suspect is taken over, then settled as if alone."""
    _die(events, _batch(3, 2), fake_clock)
    events.parameter.fault = Fault()
    fresh = _batch(2, first=10)

    answer = events.make(events).handle({"Records": [*_batch(3, 2, receive_count=2), *fresh]}, _CONTEXT)

    assert answer == failures()
    claims, alone = ["BatchExecuteStatement", "BatchGetItem"], ["BatchExecuteStatement"] * 2 + ["PutEvents"]
    assert events.aws.calls == [*claims, "BatchExecuteStatement", "PutEvents", *alone * 3]
    assert events.started[2:4] == ["k10", "k11"]  # before any suspect


def test_what_is_settled_is_written_and_told_before_a_suspect_starts(events: World, fake_clock: FakeClock) -> None:
    """The second death leaves nothing undone of those who came before it."""
    _die(events, _batch(3, 0), fake_clock)

    _die(events, [*_batch(1, 0, receive_count=2), *_batch(2, first=10)], fake_clock)

    assert events.succeeded() == {"k10": 1, "k11": 1}
    assert events.statuses() == {"k0": "INFLIGHT", "k1": "INFLIGHT", "k2": "INFLIGHT"} | dict.fromkeys(
        ["k10", "k11"], "SUCCEEDED"
    )
    alone = events.aws.items["k0"]
    assert (alone["deaths"], alone["errorType"]) == ({"N": "1"}, {"S": "WorkerDiedError"})
    assert "deaths" not in events.aws.items["k1"]


def test_a_killer_is_given_up_without_being_started(events: World, fake_clock: FakeClock) -> None:
    """The third death is the last: the letter and the record say why, and the redelivery does not touch it."""
    for receive_count in (1, 2, 3):
        _die(events, _batch(1, 0, receive_count=receive_count), fake_clock)

    assert events.make(events).handle({"Records": _batch(1, 0, receive_count=4)}, _CONTEXT) == failures()

    assert events.started == []
    assert events.letters() == [("m0", "WorkerDiedError")]
    killer = events.aws.items["k0"]
    assert killer["status"] == {"S": "FAILED"}
    assert killer["errorMessage"] == {"S": "the worker's process ended 3 times before the record was settled"}
    assert "deaths" not in killer


@pytest.mark.parametrize("max_receive_count", [3, 5])
def test_the_last_receive_is_not_risked_by_who_has_died_alone(
    events: World, fake_clock: FakeClock, max_receive_count: int
) -> None:
    """SQS would move it without its cause; so it is given up, however few its deaths."""
    env = replace(WORKER_ENV, max_receive_count=max_receive_count)
    events.make = lambda w: _worker(w, env, Step(), w.switch())
    for receive_count in (max_receive_count - 2, max_receive_count - 1):
        _die(events, _batch(1, 0, receive_count=receive_count), fake_clock)

    batch = {"Records": _batch(1, 0, receive_count=max_receive_count)}
    assert events.make(events).handle(batch, _CONTEXT) == failures()

    assert events.letters() == [("m0", "WorkerDiedError")]


def test_who_is_done_at_the_last_receive_is_deleted_before_a_suspect_starts(
    events: World, fake_clock: FakeClock
) -> None:
    """Otherwise SQS would move it to the dead-letter queue although it has SUCCEEDED."""
    _die(events, _batch(1, 0), fake_clock)
    last, earlier = _batch(1, first=10, receive_count=5), _batch(1, first=11, receive_count=4)

    _die(events, [*_batch(1, 0, receive_count=2), *last, *earlier], fake_clock)

    assert events.aws.deleted == ["receipt-m10-5"]


def test_a_deletion_that_fails_keeps_nobody_waiting(events: World, fake_clock: FakeClock) -> None:
    """The suspect has its turn all the same; should it die, a letter too many is better than no turn."""
    _die(events, _batch(1, 0), fake_clock)
    events.parameter.fault = Fault()

    def refuse(name: str) -> None:
        if name == "DeleteMessageBatch":
            raise client_error("ServiceUnavailable")

    events.aws.before = refuse
    batch = [*_batch(1, 0, receive_count=2), *_batch(1, first=10, receive_count=5)]

    assert events.make(events).handle({"Records": batch}, _CONTEXT) == failures()
    assert events.started == ["k10", "k0"]


def test_suspects_take_turns_in_another_order_each_time(events: World, fake_clock: FakeClock) -> None:
    """And those that have died alone come after those that have not."""
    events.parameter.fault = Fault("crash", match={"n": "nobody"})
    orders = []
    for receive_count in (2, 3):
        for number in range(8):
            key = f"k{number}"
            texts = {"idempotencyKey": key, "status": "INFLIGHT", "messageId": f"m{number}"}
            texts["checksum"] = jsontext.checksum({"n": key})
            numbers = {"attempts": 1, "leaseUntil": 1, "expiresAt": fake_clock.ms, "deaths": int(number == 3)}
            events.aws.items[key] = {name: {"S": text} for name, text in texts.items()}
            events.aws.items[key] |= {name: {"N": str(value)} for name, value in numbers.items()}
        events.make(events).handle({"Records": _batch(8, receive_count=receive_count)}, _CONTEXT)
        orders.append(events.started.copy())
        events.started.clear()

    assert orders[0] != orders[1]
    assert [sorted(order) for order in orders] == [[f"k{n}" for n in range(8)]] * 2
    assert [order[-1] for order in orders] == ["k3", "k3"]


def test_a_suspect_that_comes_to_an_end_is_one_no_more(events: World, fake_clock: FakeClock) -> None:
    """It failed, but it did not kill: its deaths are forgotten, and its next attempt is like any other."""
    transient = [record("m0", {"n": "k0", "fail": "transient", "times": 2, "kills": True}, key="k0")]
    _die(events, transient, fake_clock)
    events.parameter.fault = Fault()
    worker = events.make(events)

    assert worker.handle({"Records": transient}, _CONTEXT) == failures("m0")
    assert "deaths" not in events.aws.items["k0"]
    events.aws.calls.clear()
    assert worker.handle({"Records": transient}, _CONTEXT) == failures("m0")
    assert worker.handle({"Records": transient}, _CONTEXT) == failures()


def test_what_was_handed_back_is_no_suspect(events: World) -> None:
    """Nobody died: there was no time left. The next delivery works it with the others."""
    worker = events.make(events)
    assert worker.handle({"Records": _batch(2)}, FakeContext(remaining_ms=0)) == failures("m0", "m1")
    events.aws.calls.clear()

    assert worker.handle({"Records": _batch(2, receive_count=2)}, _CONTEXT) == failures()
    assert events.aws.calls.count("PutEvents") == 1


def test_suspects_for_whom_there_is_no_time_are_handed_back_untouched(events: World, fake_clock: FakeClock) -> None:
    """They are as suspect as before, and no more."""
    _die(events, _batch(2, 1), fake_clock)
    before = json.dumps(events.aws.items)

    answer = events.make(events).handle({"Records": _batch(2, 1, receive_count=2)}, FakeContext(remaining_ms=0))

    assert {failure["itemIdentifier"] for failure in answer["batchItemFailures"]} == {"m0", "m1"}
    assert json.dumps(events.aws.items) == before


def test_nobody_is_handed_back_while_others_with_more_receives_left_have_their_turn(
    events: World, fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time for two records of four: those who were received most come first, of suspects, too, and of equals."""
    seconds = [0.0]
    monkeypatch.setattr("handlers.worker.worker.time.monotonic", lambda: seconds[0])
    step = Step()

    def run(payload: jsontext.JsonObject) -> jsontext.Json:
        events.started.append(str(payload["n"]))
        seconds[0] += 2.0  # of the four that are for business steps
        return step(payload)

    events.make = lambda w: _worker(w, WORKER_ENV, run, w.switch())
    mixed = [*_batch(2, receive_count=1), *_batch(1, first=2, receive_count=3), *_batch(1, first=3, receive_count=2)]

    assert events.make(events).handle({"Records": mixed}, _CONTEXT) == failures("m0", "m1")
    assert events.started == ["k2", "k3"]
    _die(events, _batch(4, 10, first=10), fake_clock)
    events.started.clear()
    events.parameter.fault = Fault()
    mixed = [*_batch(3, 10, first=10, receive_count=2), *_batch(1, first=13, receive_count=3)]

    answer = events.make(events).handle({"Records": mixed}, _CONTEXT)

    assert (events.started[0], len(events.started), len(answer["batchItemFailures"])) == ("k13", 2, 2)


@pytest.mark.parametrize("dies", [False, True])
def test_who_has_no_time_at_the_last_receive_fails_for_that(
    events: World, fake_clock: FakeClock, *, dies: bool
) -> None:
    """SQS will move it, so its record and an event say why; suspect or not."""
    if dies:
        _die(events, _batch(1, 0, receive_count=4), fake_clock)

    answer = events.make(events).handle({"Records": _batch(1, 0, receive_count=5)}, FakeContext(remaining_ms=0))

    assert answer == failures("m0")
    item = events.aws.items["k0"]
    assert (item["status"], item["errorType"], item["final"]) == (
        {"S": "FAILED"},
        {"S": "DeadlineExceededError"},
        {"BOOL": True},
    )
    assert [event["DetailType"] for event in events.aws.events] == ["IngestionFailure"]
    assert events.started == []


def test_what_is_redriven_counts_as_repaired_but_is_worked_alone(events: World, fake_clock: FakeClock) -> None:
    """A redrive of a killer is neither given up at once nor started among others."""
    for receive_count in (1, 2, 3):
        _die(events, _batch(1, 0, receive_count=receive_count), fake_clock)
    events.make(events).handle({"Records": _batch(1, 0, receive_count=4)}, _CONTEXT)
    events.parameter.fault = Fault()
    count = {"redriveCount": {"dataType": "Number", "stringValue": "1"}}
    redriven = record("m9", {"n": "k0", "kills": True}, key="k0", attributes=count)

    assert events.make(events).handle({"Records": [redriven, *_batch(2, first=10)]}, _CONTEXT) == failures()

    assert events.started == ["k10", "k11", "k0"]
    assert events.statuses() == dict.fromkeys(["k0", "k10", "k11"], "SUCCEEDED")


def test_what_sqs_moved_and_is_redriven_has_another_turn(events: World, fake_clock: FakeClock) -> None:
    """Its deaths were those of the message that was moved; an operator says that it is repaired."""
    for receive_count in (1, 2, 3):
        _die(events, _batch(1, 0, receive_count=receive_count), fake_clock)
    events.parameter.fault = Fault()
    count = {"redriveCount": {"dataType": "Number", "stringValue": "1"}}
    redriven = record("m9", {"n": "k0", "kills": True}, key="k0", attributes=count)

    assert events.make(events).handle({"Records": [redriven]}, _CONTEXT) == failures()

    assert events.started == ["k0"]


def test_a_record_that_took_all_the_time_is_worked_last(
    worker: Worker, fake_aws: FakeAws, step: Step, fake_clock: FakeClock
) -> None:
    """A hanger that the timer can interrupt holds its mates up once, not at every receive."""
    worker.handle({"Records": _batch(1)}, _CONTEXT)
    fake_aws.items["k0"] |= {"status": {"S": "FAILED"}, "errorType": {"S": "DeadlineExceededError"}}
    fake_clock.advance(1)
    step.runs.clear()

    worker.handle({"Records": [*_batch(1), *_batch(2, first=1)]}, _CONTEXT)

    assert step.runs == ["k1", "k2", "k0"]


def test_on_a_fifo_queue_the_group_of_a_suspect_keeps_its_order(
    fifo_worker: Worker, fake_aws: FakeAws, step: Step, fake_clock: FakeClock
) -> None:
    """What follows a suspect in its group waits for it; other groups are settled before."""

    def die(_name: str) -> None:
        raise Crash

    step.on_run = die
    names = {"a1": "A", "a2": "A", "a3": "A", "b1": "B"}
    batch = {name: record(f"m-{name}", {"n": name}, key=name, group=group) for name, group in names.items()}
    with pytest.raises(Crash):
        fifo_worker.handle({"Records": [batch["a1"]]}, _CONTEXT)
    fake_clock.advance(200_000)
    step.on_run = lambda _name: None

    assert fifo_worker.handle({"Records": list(batch.values())}, _CONTEXT) == failures()
    assert step.runs == ["b1", "a1", "a2", "a3"]
    assert {item["status"]["S"] for item in fake_aws.items.values()} == {"SUCCEEDED"}
