"""The plan of a redrive as data: which letters, in what order, at what rate, and why not."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import jsontext
from handlers.aws.sqs import Outgoing, rounds
from handlers.control.redrive.ledger import Entry, EntryState, Snapshot, StateRecord
from handlers.control.redrive.run import plan
from handlers.control.redrive.run.plan import Action, CanaryVerdict, Decision, Pace, Terms
from handlers.control.redrive.sqs.letter import Letter
from tests.handlers.control.redrive.conftest import text

NOW = 1_800_000_000_000
CHECKSUM = jsontext.checksum({"n": "a"})
FAILED = StateRecord(Snapshot("FAILED", 1, "first"), CHECKSUM, "DownstreamError", "not now")
DONE = StateRecord(Snapshot("SUCCEEDED", 1, "first"), CHECKSUM)
TERMS = Terms(error_type="", min_age_seconds=0, max_redrives=3, now=NOW, started_at=NOW)


def letter(*, sent_at: int = NOW - 60_000, group: str = "", message_id: str = "m1", **attributes: str) -> Letter:
    """A letter with String attributes."""
    system = {"SentTimestamp": str(sent_at)} | ({"MessageGroupId": group} if group else {})
    raw: dict[str, Any] = {
        "MessageId": message_id,
        "ReceiptHandle": "r",
        "Body": json.dumps({"n": "a"}),
        "Attributes": system,
        "MessageAttributes": {name: text(value) for name, value in attributes.items()},
    }
    return Letter.from_api(raw)


@pytest.mark.parametrize(
    ("one", "record", "terms", "expected"),
    [
        (letter(), None, {}, Decision(Action.MOVE)),
        (letter(), FAILED, {}, Decision(Action.MOVE)),
        (letter(), DONE, {}, Decision(Action.NO_OP, "AlreadySucceeded")),
        (letter(), replace(DONE, checksum="another payload's"), {}, Decision(Action.MOVE)),
        (letter(sent_at=NOW), None, {}, Decision(Action.MOVE)),
        (letter(sent_at=NOW + 1), None, {}, Decision(Action.SKIP, "ArrivedAfterStart")),
        (letter(sent_at=NOW + 1), None, {"started_at": None}, Decision(Action.MOVE)),
        (letter(errorType="A"), FAILED, {"error_type": "A"}, Decision(Action.MOVE)),
        (letter(errorType="A"), FAILED, {"error_type": "DownstreamError"}, Decision(Action.SKIP, "OtherErrorType")),
        (letter(), FAILED, {"error_type": "DownstreamError"}, Decision(Action.MOVE)),
        (letter(), None, {"error_type": "Unknown"}, Decision(Action.MOVE)),
        (letter(), DONE, {"error_type": "Unknown"}, Decision(Action.NO_OP, "AlreadySucceeded")),
        (letter(), None, {"error_type": "DownstreamError"}, Decision(Action.SKIP, "OtherErrorType")),
        (letter(), None, {"min_age_seconds": 60}, Decision(Action.MOVE)),
        (letter(), None, {"min_age_seconds": 61}, Decision(Action.SKIP, "TooYoung")),
        (letter(redriveCount="2"), None, {}, Decision(Action.MOVE)),
        (letter(redriveCount="3"), DONE, {}, Decision(Action.PARK, "MaxRedrives")),
        (letter(redriveCount="many"), None, {}, Decision(Action.MOVE)),
        (letter(), None, {"max_redrives": 0}, Decision(Action.PARK, "MaxRedrives")),
        (letter(group="g"), None, {"blocked_groups": frozenset({"g"})}, Decision(Action.SKIP, "GroupBlocked")),
        (letter(group="h"), None, {"blocked_groups": frozenset({"g"})}, Decision(Action.MOVE)),
    ],
)
def test_what_happens_to_a_letter(
    one: Letter, record: StateRecord | None, terms: dict[str, Any], expected: Decision
) -> None:
    """Each rule on its own, at its limit and one past it."""
    assert plan.decide(one, record, replace(TERMS, **terms)) == expected


@pytest.mark.parametrize(
    ("decision", "dry_run", "state"),
    [
        (Decision(Action.MOVE), False, EntryState.MOVING),
        (Decision(Action.NO_OP, "AlreadySucceeded"), False, EntryState.MOVING),
        (Decision(Action.MOVE), True, EntryState.WOULD_MOVE),
        (Decision(Action.SKIP, "TooYoung"), True, EntryState.SKIPPED),
        (Decision(Action.PARK, "MaxRedrives"), False, EntryState.PARKED),
    ],
)
def test_what_the_ledger_says_first(decision: Decision, dry_run: bool, state: EntryState) -> None:  # noqa: FBT001
    """The entry has what a successor needs to tell whether the letter was sent."""
    assert plan.entry(letter(idempotencyKey="k"), FAILED, decision, dry_run=dry_run) == Entry(
        message_id="m1",
        key="k",
        checksum=CHECKSUM,
        error_type="DownstreamError",
        state=state,
        reason=decision.reason,
        before=FAILED.snapshot,
    )


def test_a_foreign_letters_names_are_cut() -> None:
    """A key or type of a megabyte would let no wave of them fit into an item."""
    one = plan.entry(
        letter(idempotencyKey="k" * 5000, errorType="e" * 5000), None, Decision(Action.MOVE), dry_run=False
    )

    assert (len(one.key), len(one.error_type)) == (512, 128)


@given(st.lists(st.integers(NOW - 10**9, NOW), max_size=20))
def test_oldest_first(times: list[int]) -> None:
    """By the time of sending; a FIFO queue's order is its own."""
    letters = [letter(sent_at=time, message_id=str(i)) for i, time in enumerate(times)]

    assert [one.sent_at for one in plan.order(letters, fifo=False)] == sorted(times)
    assert plan.order(letters, fifo=True) == letters


@given(st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=30))
def test_rounds_keep_each_group_in_order(groups: list[str]) -> None:
    """Everything goes once, no round has two of a group, and a group's order is kept; without groups there is one."""
    messages = [Outgoing(str(i), "{}", group_id=group) for i, group in enumerate(groups)]
    parts = rounds(messages)
    sent = [message for part in parts for message in part]

    assert sorted(sent, key=lambda m: int(m.id)) == messages
    for group in "abc":
        assert [m for m in sent if m.group_id == group] == [m for m in messages if m.group_id == group]
        assert all(sum(m.group_id == group for m in part) <= 1 for part in parts)
    if set(groups) == {""}:
        assert len(parts) == 1


@pytest.mark.parametrize(
    ("wave", "remaining", "size"),
    [(0, 500, 1), (1, 500, 10), (2, 500, 20), (3, 500, 50), (4, 500, 100), (99, 500, 100), (4, 7, 7), (0, 0, 0)],
)
def test_the_ramp(wave: int, remaining: int, size: int) -> None:
    """From one message to waves of 100, never more than are left."""
    assert plan.pace(wave, moved=0, elapsed=0, rate=0, remaining=remaining) == Pace(size, 0)


def test_the_rate_waits_for_a_seconds_worth() -> None:
    """At 5 a second: the first goes at once, then five go a second later, and so on."""
    paces = [plan.pace(9, moved=moved, elapsed=t, rate=5, remaining=99) for moved, t in [(0, 0), (5, 0.8), (10, 5)]]

    assert [(pace.size, round(pace.wait, 9)) for pace in paces] == [(5, 0.8), (5, 1.0), (5, 0)]
    assert plan.pace(0, moved=0, elapsed=0, rate=0.01, remaining=99) == Pace(1, 0)
    assert plan.pace(1, moved=1, elapsed=0, rate=0.01, remaining=99) == Pace(1, 100)


@given(st.floats(0.01, 1000), st.integers(1, 500), st.floats(0, 0.5))
def test_the_rate_is_never_exceeded(rate: float, total: int, seconds_a_wave: float) -> None:
    """However long the waves take: at no moment have more than ``rate * elapsed + 1`` gone; all go in the end."""
    moved, elapsed, wave = 0, 0.0, 0
    while moved < total:
        pace = plan.pace(wave, moved=moved, elapsed=elapsed, rate=rate, remaining=total - moved)
        assert pace.size >= 1
        elapsed += pace.wait
        moved += pace.size
        assert moved <= rate * elapsed + 1 + 1e-6
        elapsed += seconds_a_wave
        wave += 1
    assert moved == total


@pytest.mark.parametrize(
    ("moved_at", "rate", "expected"),
    [
        (0, 5, (NOW, 0)),
        (NOW - 400, 0, (NOW, 0)),
        (NOW - 400, 5, (NOW - 400, 1)),
        (NOW - 3_600_000, 5, (NOW - 1000, 1)),
        (NOW - 3_600_000, 0.1, (NOW - 10_000, 1)),
    ],
)
def test_where_an_invocation_takes_up_the_pace(moved_at: int, rate: float, expected: tuple[int, int]) -> None:
    """At the last message, but an hour's pause is not made up for."""
    assert plan.pace_from(NOW, moved_at, rate) == expected


SENT = Entry(
    message_id="m1", key="a", checksum=CHECKSUM, error_type="E", state=EntryState.MOVING, before=FAILED.snapshot
)


@pytest.mark.parametrize(
    ("record", "before", "state"),
    [
        (FAILED, FAILED.snapshot, EntryState.UNCERTAIN),
        (None, FAILED.snapshot, EntryState.UNCERTAIN),
        (None, None, EntryState.UNCERTAIN),
        (FAILED, None, EntryState.MOVED),
        (DONE, FAILED.snapshot, EntryState.MOVED),
        (DONE, DONE.snapshot, EntryState.UNCERTAIN),
        (replace(FAILED, snapshot=Snapshot("FAILED", 2, "second")), FAILED.snapshot, EntryState.MOVED),
        (replace(FAILED, snapshot=Snapshot("INFLIGHT", 2, "second")), FAILED.snapshot, EntryState.MOVED),
        (replace(DONE, checksum="another payload's"), FAILED.snapshot, EntryState.UNCERTAIN),
    ],
)
def test_what_a_dead_run_left_on_its_way(
    record: StateRecord | None, before: Snapshot | None, state: EntryState
) -> None:
    """Only a change of the key's own record since proves that it was sent."""
    reason = "MayHaveBeenSent" if state is EntryState.UNCERTAIN else ""

    assert plan.resolve(replace(SENT, before=before), record) == replace(
        SENT, before=before, state=state, reason=reason
    )


@pytest.mark.parametrize(
    ("record", "new_message_id", "expected"),
    [
        (None, "new", CanaryVerdict(["a"], {})),
        (FAILED, "new", CanaryVerdict(["a"], {})),
        (DONE, "new", CanaryVerdict([], {})),
        (replace(DONE, checksum="another payload's"), "new", CanaryVerdict(["a"], {})),
        (replace(FAILED, snapshot=Snapshot("INFLIGHT", 2, "new")), "new", CanaryVerdict(["a"], {})),
        (replace(FAILED, snapshot=Snapshot("FAILED", 2, "new")), "new", CanaryVerdict([], {"a": "DownstreamError"})),
        (replace(FAILED, snapshot=Snapshot("FAILED", 2, "other")), "new", CanaryVerdict(["a"], {})),
        (replace(FAILED, snapshot=Snapshot("FAILED", 2, "new")), "", CanaryVerdict([], {"a": "DownstreamError"})),
        (FAILED, "", CanaryVerdict(["a"], {})),
    ],
)
def test_how_a_canary_fares(record: StateRecord | None, new_message_id: str, expected: CanaryVerdict) -> None:
    """Its own outcome counts, not one from before and not another message's failure."""
    canary = replace(SENT, state=EntryState.MOVED, new_message_id=new_message_id)

    assert plan.judge_canaries([canary], {"a": record} if record else {}) == expected
