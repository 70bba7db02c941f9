"""An outage that only some events meet: who waits how long, and that what is good outlasts it."""

from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import jsontext
from handlers.errors import DownstreamError
from handlers.idempotency.store import StateStore
from handlers.worker.trip_wire import TripWire, seconds_to_outlast
from handlers.worker.worker import Process, Worker
from tests.handlers.conftest import SOURCE, WORKER_ENV, FakeClock, failures, record
from tests.handlers.fakes import Crash, FakeAws, FakeContext

VISIBILITY = 182


@pytest.mark.parametrize(
    ("most", "waits"),
    [(1, [0]), (2, [1092, 0]), (3, [0, 1638, 0]), (5, [0, 109, 546, 2730, 0])],
)
def test_the_waits_between_receives(most: int, waits: list[int]) -> None:
    """A blip costs the usual backoff; the last wait is as long as the outage to outlast, each before it a fifth."""
    found = [
        seconds_to_outlast(n, max_receive_count=most, outage_seconds=3 * most * VISIBILITY) for n in range(1, most + 1)
    ]
    assert found == waits


def test_no_wait_is_longer_than_sqs_allows() -> None:
    """Twelve hours from the receive, of which the invocation has used some."""
    assert seconds_to_outlast(9, max_receive_count=10, outage_seconds=10**6) == 42_000


class World:
    """One queue with time: messages are delivered when they show, alone or with others, and moved after their last."""

    def __init__(self, clock: FakeClock, most: int, *, fifo: bool) -> None:
        self.clock = clock
        self.aws = FakeAws()
        client = cast("Any", self.aws)
        outage = 3 * most * VISIBILITY
        config = replace(WORKER_ENV, max_receive_count=most, outage_seconds=outage, breaker_hold_seconds=60)
        config = replace(config, queue_url="https://queue.fifo", dlq_url="https://dlq.fifo") if fifo else config
        self.most = most
        self.began = clock.ms
        self.out_until = self.began + outage * 1000
        self.worker = Worker(
            config,
            SOURCE,
            store=StateStore(client, "t", pipeline="events", ttl_days=7),
            sqs=client,
            events=client,
            process=self.step,
            trip_wire=TripWire(hold_seconds=60, max_receive_count=most),
        )
        self.waiting: dict[str, tuple[int, int]] = {}  # by name: when it shows (ms), receives so far
        self.moved: list[str] = []

    def step(self, event: jsontext.JsonObject) -> jsontext.Json:
        """Large events meet an outage, bad ones fail by themselves, for ever."""
        if event["kind"] == "bad" or (event["kind"] == "large" and self.clock.ms < self.out_until):
            raise DownstreamError("out")
        return {}

    def deliver(self, names: list[str]) -> None:
        """One batch; what has had its last receive is moved to the dead-letter queue instead."""
        receives = {name: self.waiting[name][1] + 1 for name in names}
        self.moved += [name for name in names if receives[name] > self.most]
        names = [name for name in names if receives[name] <= self.most]
        records = [
            record(name, {"n": name, "kind": name.split("-")[0]}, key=name, receive_count=receives[name], group=name)
            for name in names
        ]
        answer = self.worker.handle({"Records": records}, FakeContext()) if records else failures()
        kept = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        self.waiting = {name: kept_ for name, kept_ in self.waiting.items() if name not in receives}
        for name in kept:
            seconds = self.aws.visibility.get(f"receipt-{name}-{receives[name]}", VISIBILITY)
            self.waiting[name] = (self.clock.ms + seconds * 1000, receives[name])

    def run(self, names: list[str]) -> None:
        """Until nothing is left: what shows at one time comes in one batch, with a good event that is new."""
        self.waiting = dict.fromkeys(names, (self.clock.ms, 0))
        for n in range(1000):
            if not self.waiting:
                return
            self.clock.ms = max(self.clock.ms, min(shows for shows, _ in self.waiting.values()))
            due = sorted(name for name, (shows, _) in self.waiting.items() if shows <= self.clock.ms)[:9]
            if n % 2:
                self.waiting[f"small-{n}"] = (self.clock.ms, 0)
                due.append(f"small-{n}")
            self.deliver(due)
        raise AssertionError(f"still there: {self.waiting}")


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch, fake_clock: FakeClock) -> FakeClock:
    """One clock for the worker and its trip wire."""
    monkeypatch.setattr("handlers.worker.trip_wire.monotonic", lambda: fake_clock.ms / 1000)
    return fake_clock


@pytest.mark.parametrize("fifo", [False, True])
@pytest.mark.parametrize("most", [2, 3, 5, 10])
def test_only_what_is_bad_dies(still: FakeClock, most: int, *, fifo: bool) -> None:
    """An outage of 3 x maxReceiveCount x visibility that large events meet: all of them succeed, and the bad one ends.

    No breaker helps: the trips are heard by nobody.
    """
    world = World(still, most, fifo=fifo)
    names = [f"{kind}-{n}" for kind in ("large", "small") for n in range(12)]
    world.run([*names, "bad-1"])

    dead = [*world.moved, *(letter["MessageAttributes"]["idempotencyKey"]["StringValue"] for letter in world.aws.sent)]
    assert dead == ["bad-1"]
    assert world.aws.items["bad-1"]["errorType"] == {"S": "DownstreamError"}
    assert world.aws.items["bad-1"]["final"] == {"BOOL": True}
    assert {world.aws.items[name]["status"]["S"] for name in names} == {"SUCCEEDED"}
    assert still.ms - world.began < 2 * 3 * most * VISIBILITY * 1000  # the bad one's end: bounded


class BankDownError(DownstreamError):
    """An adopter's own kind."""


@pytest.mark.parametrize("error", [DownstreamError, BankDownError])
def test_a_death_in_an_outage_costs_the_long_wait(still: FakeClock, error: type[DownstreamError]) -> None:
    """A worker that dies with the last attempt but one in hand: the last one comes when the outage is over."""
    world = World(still, 3, fifo=False)
    world.worker._process = _out(error)
    world.waiting = {"large-1": (still.ms, 0)}
    world.deliver(["large-1"])
    assert world.aws.calls.count("ChangeMessageVisibilityBatch") == 1

    world.worker._process = _die  # the process ends here
    with pytest.raises(Crash):
        world.deliver(["large-1"])
    assert world.aws.visibility["receipt-large-1-2"] == 3 * 3 * VISIBILITY


@pytest.mark.parametrize("receives", [(4, 4), (1, 4), (4, 1)])
def test_a_copy_in_the_batch_waits_as_long_as_whoever_met_the_outage(
    still: FakeClock, receives: tuple[int, int]
) -> None:
    """Handed back at once, it would have its last receive while the outage is still there."""
    world = World(still, 5, fifo=False)
    world.worker._process = _out(DownstreamError)
    copies = [record(f"m{i}", {"n": 1}, key="k", receive_count=n) for i, n in enumerate(receives)]
    world.worker.handle({"Records": copies}, FakeContext())
    assert world.aws.visibility[f"receipt-m1-{receives[1]}"] == 3 * 5 * VISIBILITY


@pytest.mark.parametrize(("error", "wait"), [("DownstreamError", 3 * 5 * VISIBILITY), ("UnhandledError", 21)])
def test_a_copy_of_whoever_is_at_work_in_an_outage_outlasts_it(still: FakeClock, error: str, wait: int) -> None:
    """Back when that one's lease is over, it would have its last receive in the outage; else that is soon enough."""
    world = World(still, 5, fifo=False)
    world.worker._process = _out(DownstreamError)
    world.worker.handle({"Records": [record("m1", {"n": 1}, key="k")]}, FakeContext())
    leased = {"status": {"S": "INFLIGHT"}, "leaseUntil": {"N": str(still.ms + 20_000)}, "errorType": {"S": error}}
    world.aws.items["k"] |= leased

    copy = record("m2", {"n": 1}, key="k", receive_count=4)
    assert world.worker.handle({"Records": [copy]}, FakeContext()) == failures("m2")
    assert world.aws.visibility["receipt-m2-4"] == wait


def test_no_time_left_in_an_outage_costs_the_long_wait(still: FakeClock) -> None:
    """Whoever is handed back unworked at the last receive but one has met the outage before."""
    world = World(still, 3, fifo=False)
    world.waiting = {"large-1": (still.ms, 0)}
    world.deliver(["large-1"])

    last_but_one = record("large-1", {"n": "large-1", "kind": "large"}, key="large-1", receive_count=2, group="large-1")
    late = FakeContext(remaining_ms=0)
    assert world.worker.handle({"Records": [last_but_one]}, late) == failures("large-1")
    assert world.aws.visibility["receipt-large-1-2"] == 3 * 3 * VISIBILITY


def test_who_has_met_no_outage_is_not_put_off(still: FakeClock) -> None:
    """It costs no call more, and a death no more than the visibility timeout."""
    world = World(still, 3, fifo=False)
    world.waiting = {"small-1": (still.ms, 1)}
    world.deliver(["small-1"])
    assert "ChangeMessageVisibilityBatch" not in world.aws.calls


def _out(error: type[DownstreamError]) -> Process:
    def fail(_event: jsontext.JsonObject) -> jsontext.Json:
        raise error("out")

    return fail


def _die(_event: jsontext.JsonObject) -> jsontext.Json:
    raise Crash


@given(most=st.integers(2, 50), receives=st.integers(1, 49), outage=st.integers(1, 30_000))
def test_whoever_has_a_receive_left_outlasts_the_outage(most: int, receives: int, outage: int) -> None:
    """However many receives were lost to something else before the outage is met."""
    waits = [seconds_to_outlast(n, max_receive_count=most, outage_seconds=outage) for n in range(1, most + 1)]
    assert waits[-1] == 0
    assert sum(waits[min(receives, most - 1) - 1 :]) >= outage
    assert sum(waits) <= outage * 5 / 4
