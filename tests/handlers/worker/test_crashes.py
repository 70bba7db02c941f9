"""A worker that dies around each AWS call, or in the business step before or after its effect, then redelivery.

After every such death, redelivery must end right: no message lost, nothing processed again after SUCCEEDED, every
success told at least once under one id. SQS is played by `FakeQueue`: at least once, a receive count, a DLQ.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from handlers import jsontext
from handlers.idempotency.claims import KeyRequest
from handlers.worker.worker import Worker
from tests.handlers.conftest import BY_INGEST, NOW_MS, FakeClock, Step, record
from tests.handlers.fakes import Crash, FakeAws, FakeContext, FakeQueue

_CONTEXT = FakeContext(remaining_ms=5_000)
_CALLS_OF_A_BATCH = 10  # when nothing crashes; the first test shows it
_CALLS = ("BatchExecuteStatement", "BatchGetItem", "PutEvents", "SendMessageBatch", "ChangeMessageVisibilityBatch")


def mixed_batch() -> dict[str, dict[str, Any]]:
    """Every kind of record: new, a duplicate of it, poison, transient, malformed, done, failed, lapsed, reserved."""
    messages = [
        record("m-new", {"n": "new"}, key="new"),
        record("m-copy", {"n": "new"}, key="new"),
        record("m-poison", {"n": "poison", "fail": "permanent"}, key="poison"),
        record("m-late", {"n": "late", "fail": "transient"}, key="late"),
        record("m-broken", None, key="broken", body="{"),
        record("m-done", {"n": "done"}, key="done"),
        record("m-failed", {"n": "failed"}, key="failed"),
        record("m-lapsed", {"n": "lapsed"}, key="lapsed"),
        record("m-reserved", {"n": "reserved"}, key="reserved", attributes=BY_INGEST),
        record("m-last", {"n": "last"}, key="last"),
    ]
    return {message["messageId"]: message for message in messages}


_GOOD = {"new", "late", "done", "failed", "lapsed", "reserved", "last"}


@dataclass
class Run:
    """One history: a prepared state, a crash, then redelivery until the queue is empty."""

    worker: Worker
    aws: FakeAws
    step: Step
    clock: FakeClock
    late_successes: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        """A key that is done, one that failed, one whose worker died under a lease that has lapsed, one reserved."""
        self.worker.handle({"Records": [record("m-before", {"n": "done"}, key="done")]}, _CONTEXT)
        lapsed = [KeyRequest(n, jsontext.checksum({"n": n}), f"m-{n}", "{}") for n in ("failed", "lapsed")]
        self.worker._store.claim(lapsed, lease_until=NOW_MS - 1)
        self.aws.items["failed"]["status"] = {"S": "FAILED"}
        self.worker._store.reserve([KeyRequest("reserved", jsontext.checksum({"n": "reserved"}), "", "{}")])
        self.step.on_run = self._watch
        self.aws.calls.clear()

    def _watch(self, name: str) -> None:
        if self.aws.items.get(name, {}).get("status") == {"S": "SUCCEEDED"}:
            self.late_successes.append(name)

    def crash_then_redeliver(self, arm: Callable[[], None], disarm: Callable[[], None]) -> bool:
        """Whether the armed crash happened; afterwards the queue is worked until it is empty."""
        queue = FakeQueue(mixed_batch())
        arm()
        try:
            queue.settle(self.worker.handle({"Records": queue.receive()}, _CONTEXT))
            crashed = False
        except Crash:
            crashed = True
        disarm()
        for _ in range(8):
            self.clock.advance(40_000)  # past the visibility, and past every lease
            if not (batch := queue.receive()):
                break
            queue.settle(self.worker.handle({"Records": batch}, _CONTEXT))
        assert queue.waiting == {}
        assert queue.moved == []
        return crashed

    def check(self) -> None:
        """What must hold after every history."""
        statuses = {key: item["status"]["S"] for key, item in self.aws.items.items()}
        assert statuses == dict.fromkeys(_GOOD, "SUCCEEDED") | {"poison": "FAILED"}
        assert self.late_successes == []
        assert set(self.step.runs) == _GOOD
        letters = {letter["MessageAttributes"]["originalMessageId"]["StringValue"] for letter in self.aws.sent}
        assert letters == {"m-poison", "m-broken"}
        told = [json.loads(e["Detail"]) for e in self.aws.events if e["DetailType"] == "IngestionSuccess"]
        assert {detail["idempotencyKey"] for detail in told} == _GOOD
        assert len({detail["eventId"] for detail in told}) == len(_GOOD)


@pytest.fixture
def run(worker: Worker, fake_aws: FakeAws, step: Step, fake_clock: FakeClock) -> Run:
    """A prepared history."""
    history = Run(worker, fake_aws, step, fake_clock)
    history.prepare()
    return history


def test_without_a_crash_everything_settles(run: Run) -> None:
    """The mixed batch itself: every kind of record ends as it should, and each call of the worker occurs."""
    sizes = []
    assert run.crash_then_redeliver(lambda: None, lambda: sizes.append(len(run.aws.calls))) is False

    run.check()
    assert sizes == [_CALLS_OF_A_BATCH]
    assert set(run.aws.calls[: sizes[0]]) == set(_CALLS)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", range(_CALLS_OF_A_BATCH))
def test_a_crash_around_each_call(run: Run, call: int, moment: str) -> None:
    """Dead just before the call is made, or just after AWS has done it."""

    def crash(_name: str) -> None:
        if len(run.aws.calls) == call + 1:
            raise Crash

    def disarm() -> None:
        setattr(run.aws, moment, lambda _name: None)

    assert run.crash_then_redeliver(lambda: setattr(run.aws, moment, crash), disarm) is True
    run.check()


@pytest.mark.parametrize("name", ["new", "poison", "late", "failed", "lapsed", "reserved", "last"])
def test_a_crash_inside_the_step_at_each_position(run: Run, name: str) -> None:
    """Dead in each record's business step, before its effect."""

    def crash(running: str) -> None:
        run._watch(running)
        if running == name:
            raise Crash

    def disarm() -> None:
        run.step.on_run = run._watch

    assert run.crash_then_redeliver(lambda: setattr(run.step, "on_run", crash), disarm) is True
    run.check()


@pytest.mark.parametrize("name", ["new", "failed", "lapsed", "reserved", "last"])
def test_a_crash_after_the_effect_of_the_step(run: Run, name: str) -> None:
    """Dead with a record's effect done and nothing written of it: it is done again, and told under one id."""

    def crash(done: str) -> None:
        if done == name:
            raise Crash

    def disarm() -> None:
        run.step.on_done = lambda _name: None

    assert run.crash_then_redeliver(lambda: setattr(run.step, "on_done", crash), disarm) is True
    run.check()
    assert run.step.runs.count(name) == 2


@pytest.mark.parametrize("first", range(_CALLS_OF_A_BATCH))
def test_two_crashes_in_a_row(run: Run, first: int) -> None:
    """Dead after a call of the first delivery, and again after the same call of the second."""
    crashes = iter([True, True])
    made: list[str] = []

    def crash(name: str) -> None:
        made.append(name)
        if len(made) == first + 1 and next(crashes, False):
            made.clear()
            raise Crash

    run.aws.after = crash
    queue = FakeQueue(mixed_batch())
    for _ in range(8):
        made.clear()
        run.clock.advance(40_000)
        if not (batch := queue.receive()):
            break
        try:
            queue.settle(run.worker.handle({"Records": batch}, _CONTEXT))
        except Crash:
            continue
    assert queue.waiting == {}
    assert queue.moved == []
    run.check()
