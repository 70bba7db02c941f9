"""A runner that dies before or after each AWS call, and ticks until the run has ended.

After every such death no letter is lost and none is moved twice under one redrive; both sides of the ledger agree.
What a redrive cannot know it says: a letter that may have been sent stays, and is UNCERTAIN.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import pytest

from tests.handlers.control.redrive.conftest import DLQ, MAIN, MINUTE_MS, Lab
from tests.handlers.control.redrive.fakes import Inline, Late
from tests.handlers.fakes import Crash

_LETTERS = [f"k{i:02}" for i in range(16)]
_GOING = set(_LETTERS) - {"k03", "k07"}
_ATTRIBUTES = {
    "n": {"DataType": "Number.int", "StringValue": "7"},
    "b": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
}
_CALLS = 42  # of a run in which nothing crashes; the first test shows it
_KINDS = {
    "get_item",
    "update_item",
    "query",
    "receive_message",
    "get_queue_attributes",
    "batch_get_item",
    "transact_write_items",
    "send_message_batch",
    "put_item",
    "delete_message_batch",
    "change_message_visibility_batch",
}


@dataclass
class Story:
    """One history: letters of every kind, a run, a death, ticks."""

    lab: Lab
    redrive_id: str = ""

    def prepare(self) -> None:
        """Sixteen letters; one is too young, one has been redriven too often, one is done, half have records."""
        for i, name in enumerate(_LETTERS):
            young = 0 if name == "k03" else 60_000
            count = {"redriveCount": {"DataType": "Number", "StringValue": "3"}} if name == "k07" else {}
            self.lab.letter(name, error="" if i % 3 else "E", age_ms=young - i, attributes=_ATTRIBUTES | count)
            if i % 2:
                self.lab.record(name)
        self.lab.record("k10", "SUCCEEDED")
        self.redrive_id = self.lab.start(minAgeSeconds=30)
        self.lab.hub.calls.clear()

    def run(self, *, then: Callable[[], None]) -> bool:
        """The first invocation, what ``then`` does, and the schedule; whether it crashed."""
        try:
            self.lab.tick(self.redrive_id)
            crashed = False
        except Crash:
            crashed = True
        self.lab.hub.revive()
        then()
        self.lab.clock.advance(2 * MINUTE_MS)
        self.lab.tick_until_ended(self.redrive_id)
        return crashed

    def moves(self) -> Counter[str]:
        """How often each event was sent under the run."""
        return Counter(e["MessageAttributes"]["idempotencyKey"]["StringValue"] for e in self.lab.sqs.sends)

    def check(self) -> None:
        """What must hold after every history."""
        lab, moves = self.lab, self.moves()
        assert set(moves.values()) <= {1}
        assert set(moves) | set(lab.on(DLQ)) == set(_LETTERS)
        states = {key: state for key, (state, _) in lab.outcomes(self.redrive_id).items()}
        moved = {key for key, state in states.items() if state == "MOVED"}
        uncertain = {key for key, state in states.items() if state == "UNCERTAIN"}
        assert moved | uncertain == _GOING
        assert moved <= set(moves)
        assert set(lab.on(DLQ)) == set(_LETTERS) - moved
        assert (states["k03"], states["k07"]) == ("SKIPPED", "PARKED")
        run = lab.run(self.redrive_id)
        assert (run.state, run.tally.states) == ("SUCCEEDED", Counter(states.values()))
        assert {item[0].partition("#")[0] for item in lab.control_items()} == {"redrive"}
        for entry in lab.sqs.sends:
            assert {name: entry["MessageAttributes"][name] for name in _ATTRIBUTES} == _ATTRIBUTES
        lab.clock.advance(15 * MINUTE_MS)
        assert sorted(lab.seen(DLQ)) == sorted(lab.on(DLQ))


@pytest.fixture
def story(lab: Lab) -> Story:
    """A prepared history."""
    one = Story(lab)
    one.prepare()
    return one


def _nothing() -> None:
    """No worker is there."""


@pytest.mark.parametrize("pool", [Inline(), Late()], ids=["early", "late"])
def test_without_a_crash_nothing_is_uncertain(story: Story, pool: Executor) -> None:
    """Every kind of call of the runner occurs, as many as the other tests crash at."""
    story.lab.pool = pool
    calls: list[str] = []

    assert story.run(then=lambda: calls.extend(story.lab.hub.calls)) is False

    story.check()
    assert set(story.moves()) == _GOING
    assert (len(calls), set(calls)) == (_CALLS, _KINDS)


@pytest.mark.parametrize("worker", [True, False], ids=["worked", "unworked"])
@pytest.mark.parametrize("pool", [Inline(), Late()], ids=["early", "late"])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", range(_CALLS))
def test_a_crash_around_each_call(story: Story, call: int, moment: str, pool: Executor, worker: bool) -> None:  # noqa: FBT001
    """Dead just before a call, or just after AWS has done it; the worker has had what was sent by then, or not yet.

    Calls in the background are made at once, or as late as can be.
    """
    story.lab.pool = pool

    def crash(_name: str) -> None:
        if len(story.lab.hub.calls) == call + 1:
            raise Crash

    setattr(story.lab.hub, moment, crash)
    assert story.run(then=story.lab.work if worker else _nothing) is True

    story.check()
    if worker:  # what had been sent is known to have been: only what had not can be uncertain
        uncertain = {k for k, (state, _) in story.lab.outcomes(story.redrive_id).items() if state == "UNCERTAIN"}
        assert uncertain.isdisjoint(set(story.moves()) - {"k10"})


@pytest.mark.parametrize("gap", range(5, _CALLS, 3))
def test_a_crash_in_every_invocation(story: Story, gap: int) -> None:
    """Each invocation dies some calls after it has begun: the run ends all the same, or fails and frees its queue."""

    def crash(_name: str) -> None:
        if len(story.lab.hub.calls) >= gap:
            raise Crash

    for _ in range(25):
        story.lab.hub.revive()
        story.lab.hub.calls.clear()
        story.lab.hub.after = crash
        story.lab.clock.advance(2 * MINUTE_MS)
        try:
            story.lab.tick()
        except Crash:
            continue
        break
    story.lab.hub.revive()
    run = story.lab.tick_until_ended(story.redrive_id)

    moves = story.moves()
    assert set(moves.values()) <= {1}
    assert set(moves) | set(story.lab.on(DLQ)) == set(_LETTERS)
    assert run.state in ("SUCCEEDED", "FAILED")
    assert {item[0].partition("#")[0] for item in story.lab.control_items()} == {"redrive"}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", range(0, _CALLS, 2))
def test_a_crash_then_cancel_then_another_run(story: Story, call: int, moment: str) -> None:
    """What the dead run had sent is gone from the dead-letter queue before the next run begins."""

    def crash(_name: str) -> None:
        if len(story.lab.hub.calls) == call + 1:
            raise Crash

    lab = story.lab
    setattr(lab.hub, moment, crash)
    with pytest.raises(Crash):
        lab.tick(story.redrive_id)
    lab.hub.revive()
    lab.work()
    status, _ = lab.ask("POST /redrive/cancel", {"redriveId": story.redrive_id})
    ended = status == 409
    lab.clock.advance(2 * MINUTE_MS)
    lab.tick()
    assert ended or lab.run(story.redrive_id).state == "CANCELLED"
    lab.clock.advance(15 * MINUTE_MS)
    second = lab.go()
    lab.work()

    moves = story.moves()
    assert set(moves) == set(_LETTERS) - {"k07"}
    assert second.state == "SUCCEEDED"
    assert lab.on(DLQ) == ["k07"]
    assert {key for key, times in moves.items() if times > 1} <= {"k10"}
    assert lab.on(MAIN) == []
