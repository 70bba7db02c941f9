"""Runs in the control table: one at a time, under a lease, with a ledger; on our DynamoDB and on moto's."""

from dataclasses import replace
from typing import Any, cast

import pytest

from handlers.control.redrive.errors import AlreadyRunningError, CancelRequestedError, LeaseLostError
from handlers.control.redrive.ledger import Entry, EntryState, Snapshot, Wave
from handlers.control.redrive.run.record import RedriveRequest, Run, RunState
from handlers.control.redrive.run.store import LEASE_SECONDS
from tests.handlers.conftest import NOW_MS
from tests.handlers.control.redrive.conftest import DLQ, Lab
from tests.handlers.control.redrive.fakes import refusal

REQUEST = RedriveRequest("events", 100, "KeyError", 5, 7, 0.5, 3, dry_run=True)
ENTRY = Entry(
    message_id="m1",
    key="k\u00e9",
    checksum="c",
    error_type="KeyError",
    state=EntryState.MOVING,
    group="g",
    before=Snapshot("FAILED", 2, "m0"),
)


@pytest.fixture(params=["lab", "moto_lab"])
def both(request: pytest.FixtureRequest) -> Lab:
    """A world on each of the two."""
    lab: Lab = request.getfixturevalue(request.param)
    return lab


def new(redrive_id: str = "rd-1", dlq_url: str = DLQ) -> Run:
    """A run that is to be made."""
    return Run(redrive_id=redrive_id, dlq_url=dlq_url, request=REQUEST, created_at=NOW_MS, requested_by="arn")


def taken(lab: Lab) -> Run:
    """A run that `me` works on."""
    lab.runs.create(new())
    run = lab.runs.take("rd-1", "me")
    assert run
    return run


def test_a_run_is_kept_whole(both: Lab) -> None:
    """What is read is what was written."""
    run = new()
    run.tally.states["MOVED"] = 3
    run.tally.reasons["TooYoung"] = 2
    both.runs.create(run)

    assert both.runs.get("rd-1") == replace(run, updated_at=NOW_MS)
    assert both.runs.get("rd-2") is None
    assert both.runs.active() == ["rd-1"]


def test_one_run_for_a_dead_letter_queue(both: Lab) -> None:
    """The second is refused and leaves no trace; another queue is free; the end of the first frees its queue."""
    run = taken(both)
    before = both.control_items()

    with pytest.raises(AlreadyRunningError) as error:
        both.runs.create(new("rd-2"))
    assert error.value.redrive_id == "rd-1"
    assert both.control_items() == before

    both.runs.create(new("rd-3", "https://other"))
    both.runs.finish(run, RunState.SUCCEEDED, "done")
    both.runs.create(new("rd-2"))
    assert both.runs.active() == ["rd-2", "rd-3"]


def test_a_lease_is_one_owners(both: Lab) -> None:
    """Nobody else gets it until it lapses, or is released and the time that was asked for has passed."""
    run = taken(both)
    assert (run.lease_owner, run.lease_until, run.starts) == ("me", NOW_MS + LEASE_SECONDS * 1000, 1)
    assert both.runs.take("rd-1", "you") is None

    both.runs.release(run, after_seconds=60)
    assert both.runs.take("rd-1", "you") is None
    both.clock.advance(60_000)
    assert both.runs.take("rd-1", "you")
    both.clock.advance(LEASE_SECONDS * 1000)
    assert both.runs.take("rd-1", "they")
    assert both.runs.take("rd-9", "they") is None


def test_two_that_take_at_once(both: Lab) -> None:
    """Both have read that it is free; one gets it."""
    both.runs.create(new())
    won: list[Any] = []

    def take_first(name: str) -> None:
        if name == "update_item":
            both.hub.before = lambda _name: None
            won.append(both.runs.take("rd-1", "first"))

    both.hub.before = take_first

    assert both.runs.take("rd-1", "second") is None
    assert won[0].lease_owner == "first"


def test_a_take_of_what_has_changed_since_it_was_read(both: Lab) -> None:
    """Another had it and laid it down in between: what was read of it is no longer true."""
    both.runs.create(new())

    def work_meanwhile(name: str) -> None:
        if name == "update_item":
            both.hub.before = lambda _name: None
            run = both.runs.take("rd-1", "first")
            assert run
            both.runs.release(run, after_seconds=60)

    both.hub.before = work_meanwhile

    assert both.runs.take("rd-1", "second") is None


def test_who_has_lost_the_lease_changes_nothing(both: Lab) -> None:
    """Whatever it tries."""
    old = taken(both)
    wave = Wave(1, [ENTRY])
    both.runs.open_wave(old, wave, {"m1": "r1"})
    both.clock.advance(2 * LEASE_SECONDS * 1000)
    mine = both.runs.take("rd-1", "new")
    assert mine
    (read,) = both.runs.waves("rd-1")
    both.runs.close_wave(mine, replace(read, entries=[replace(ENTRY, state=EntryState.UNCERTAIN)]))
    before = (both.runs.get("rd-1"), list(both.runs.waves("rd-1")), both.control_items())

    attempts = [
        lambda: both.runs.beat(old),
        lambda: both.runs.open_wave(old, Wave(2, [ENTRY]), {}),
        lambda: both.runs.close_wave(old, wave),
        lambda: both.runs.release(old, after_seconds=0),
        lambda: both.runs.finish(old, RunState.FAILED, "lost"),
    ]
    for attempt in attempts:
        with pytest.raises(LeaseLostError):
            attempt()  # type: ignore[no-untyped-call]
    assert (both.runs.get("rd-1"), list(both.runs.waves("rd-1")), both.control_items()) == before


def test_the_ledger_is_kept_whole(both: Lab) -> None:
    """Waves in their order, from any on, whatever the pages; entries as they were written."""
    run = taken(both)
    for number in range(1, 6):
        both.runs.open_wave(run, Wave(number, [replace(ENTRY, message_id=f"m{number}")]), {f"m{number}": "r"})
    closed = Wave(2, [replace(ENTRY, state=EntryState.MOVED, before=None, new_message_id="n")])
    both.runs.close_wave(run, closed)

    waves = list(both.runs.waves("rd-1", first=2, page=2))
    assert [wave.number for wave in waves] == [2, 3, 4, 5]
    assert waves[0] == replace(closed, writer="me (closed)")
    assert waves[1] == Wave(3, [replace(ENTRY, message_id="m3")], "me")
    assert both.runs.receipts(run) == {"m5": "r"}


def test_a_cancel_is_seen_at_the_next_write(both: Lab) -> None:
    """By a heartbeat and by a wave, neither of which is written; release and finish still work."""
    run = taken(both)
    assert both.runs.request_cancel(run) is True
    before = both.control_items()

    with pytest.raises(CancelRequestedError):
        both.runs.beat(run)
    with pytest.raises(CancelRequestedError):
        both.runs.open_wave(run, Wave(1, [ENTRY]), {})
    assert both.control_items() == before

    both.runs.release(run, after_seconds=60)
    run = both.runs.take("rd-1", "you") or run
    assert (run.lease_owner, run.cancel_requested) == ("you", True)  # at once: it is only to be ended
    both.runs.finish(run, RunState.CANCELLED, "asked")
    assert both.control_items() == {("redrive#rd-1", "run")}
    assert both.runs.request_cancel(run) is False


def test_a_write_that_the_sdk_repeats_is_done(both: Lab) -> None:
    """The answer to a take or to the end of a wave was lost, and the SDK makes the same call again: it is ours."""
    both.runs.create(new())
    client, again = both.runs._table._client, both.runs

    class Repeating:
        """Makes every lone write twice, as the SDK does when the first answer is lost."""

        def __getattr__(self, name: str) -> Any:
            call = getattr(client, name)

            def twice(**arguments: Any) -> Any:
                call(**arguments)
                return call(**arguments)

            return twice if name in ("put_item", "update_item") else call

    again._table._client = cast("Any", Repeating())
    run = again.take("rd-1", "me")
    assert run
    wave = Wave(1, [ENTRY])
    again.open_wave(run, wave, {})
    again.close_wave(run, wave)

    assert [one.writer for one in both.runs.waves("rd-1")] == ["me (closed)"]
    assert both.runs.take("rd-1", "you") is None
    with pytest.raises(LeaseLostError):
        both.runs.close_wave(replace(run, lease_owner="you"), wave)


@pytest.mark.parametrize("code", ["TransactionConflictException", "InternalServerError"])
def test_transactions_that_meet_are_repeated(lab: Lab, code: str) -> None:
    """Up to three times; any other failure is the caller's to judge, as botocore has repeated it."""
    failures = iter([code, code])

    def meet(_name: str) -> None:
        if found := next(failures, ""):
            raise refusal(found)

    lab.hub.before = meet
    if code == "InternalServerError":
        with pytest.raises(Exception, match=code):
            lab.runs.create(new())
        return
    lab.runs.create(new())
    assert lab.hub.calls == ["transact_write_items"] * 3

    failures = iter([code] * 3)
    with pytest.raises(Exception, match=code):
        lab.runs.create(new("rd-2"))


def test_a_whole_run_on_either(both: Lab) -> None:
    """Start, two waves, a cancel, another run: the same on both."""
    for i in range(15):
        both.letter(f"k{i}", error="")
        both.record(f"k{i}", errorType={"S": "KeyError" if i % 2 else "DownstreamError"})
    redrive_id = both.start(errorType="KeyError", ratePerSecond=1)
    both.on_pause = lambda: both.ask("POST /redrive/cancel", {"redriveId": redrive_id})
    both.tick(redrive_id)

    assert both.run(redrive_id).state == "CANCELLED"
    assert both.ask("POST /redrive/start", {"errorType": "DownstreamError"})[0] == 202
    both.tick()
    assert len(both.seen(DLQ)) == 15 - len(both.sqs.sends)
    assert both.run(redrive_id).tally.states.total() == len(both.ledger(redrive_id))
