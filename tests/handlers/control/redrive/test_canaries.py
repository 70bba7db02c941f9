"""Canaries: the first letters of a run go alone, and what becomes of them decides about the others."""

import pytest

from handlers.control.redrive.run.book import DEADLINE_SECONDS
from tests.handlers.control.redrive.conftest import DLQ, MAIN, MINUTE_MS, Lab
from tests.handlers.fakes import Crash


def prepare(lab: Lab, number: int = 12) -> None:
    """Letters whose keys have failed before, the first the oldest."""
    for i in range(number):
        lab.letter(f"k{i}", age_ms=60_000 - i)
        lab.record(f"k{i}")


def test_the_rest_follows_good_canaries(lab: Lab) -> None:
    """Exactly three go, nothing else until each has succeeded; jitter is for the others only."""
    prepare(lab)
    alone: list[int] = []

    def work() -> None:
        alone.append(len(lab.sqs.sends))
        lab.work()

    lab.on_pause = work
    run = lab.go(canary=3, perMessageDelayJitter=900)

    assert alone == [3]
    assert (run.state, run.tally.states) == ("SUCCEEDED", {"MOVED": 12})
    assert ["DelaySeconds" in entry for entry in lab.sqs.sends[:3]] == [False] * 3


def test_a_canary_that_fails_again_stops_the_run(lab: Lab) -> None:
    """The others stay where they are, in sight; the reason names the one."""
    prepare(lab)
    lab.on_pause = lambda: lab.work(fail="k1")

    run = lab.go(canary=2)

    assert (run.state, run.reason) == ("STOPPED", "1 canary failed again: k1 (DownstreamError)")
    assert len(lab.sqs.sends) == 2
    assert len(lab.seen(DLQ)) == 11
    assert lab.ask("POST /redrive/start", {})[0] == 202


def test_a_canary_without_an_outcome_stops_the_run_at_the_deadline(lab: Lab) -> None:
    """Not before, and with the lease kept while it waits."""
    prepare(lab)
    started = lab.clock.ms

    run = lab.go(canary=1)

    assert (run.state, run.reason) == (
        "STOPPED",
        f"1 canary failed again: k0 (no outcome within {DEADLINE_SECONDS} s)",
    )
    assert DEADLINE_SECONDS <= (lab.clock.ms - started) / 1000 <= DEADLINE_SECONDS + 5


def test_a_canary_that_was_done_already_is_good(lab: Lab) -> None:
    """The worker acknowledges it without work, so its record will never change."""
    prepare(lab, 3)
    lab.record("k0", "SUCCEEDED")

    assert lab.go(canary=1).tally.states == {"MOVED": 3}
    assert lab.pauses == []


@pytest.mark.parametrize("number", [0, 1, 4])
def test_fewer_letters_than_canaries(lab: Lab, number: int) -> None:
    """All are canaries, and all are waited for."""
    prepare(lab, number)
    lab.on_pause = lab.work

    run = lab.go(canary=5)

    assert (run.state, len(lab.sqs.sends), len(lab.pauses)) == ("SUCCEEDED", number, min(number, 1))


def test_max_messages_within_the_canaries(lab: Lab) -> None:
    """They count, and are waited for before the run ends."""
    prepare(lab)
    lab.on_pause = lambda: lab.work(fail="k1")

    run = lab.go(canary=5, maxMessages=2)

    assert (run.state, len(lab.sqs.sends)) == ("STOPPED", 2)


def test_a_crash_while_waiting(lab: Lab) -> None:
    """The next invocation waits for the same canaries, and sends no others in their place."""
    prepare(lab)

    def die() -> None:
        raise Crash

    lab.on_pause = die
    redrive_id = lab.start(canary=2)
    with pytest.raises(Crash):
        lab.tick(redrive_id)
    lab.on_pause = lambda: lab.work(fail="k0")
    lab.clock.advance(2 * MINUTE_MS)
    run = lab.tick_until_ended(redrive_id)

    assert (run.state, len(lab.sqs.sends)) == ("STOPPED", 2)


def test_the_time_is_up_while_waiting(lab: Lab) -> None:
    """The run is laid down, and the next invocation waits on."""
    prepare(lab)
    redrive_id = lab.start(canary=1)
    lab.seconds_left = lambda: 900 - sum(lab.pauses) * 20
    lab.tick(redrive_id)
    assert (lab.run(redrive_id).state, lab.run(redrive_id).lease_owner) == ("RUNNING", "")

    lab.seconds_left = lambda: 900.0
    lab.on_pause = lab.work
    lab.tick()
    assert (lab.run(redrive_id).state, len(lab.sqs.sends)) == ("SUCCEEDED", 12)


def test_a_cancel_while_waiting(lab: Lab) -> None:
    """Is seen at the next look."""
    prepare(lab)
    redrive_id = lab.start(canary=2)
    lab.on_pause = lambda: lab.ask("POST /redrive/cancel", {"redriveId": redrive_id})
    lab.tick(redrive_id)

    assert lab.run(redrive_id).state == "CANCELLED"
    assert (len(lab.on(MAIN)), len(lab.seen(DLQ))) == (2, 10)
