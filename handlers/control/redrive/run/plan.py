"""The decisions of a redrive as functions of data alone: which letters, in what order, at what rate, and why not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from handlers.control.redrive.ledger import MAX_KEY, Entry, EntryState, StateRecord
from handlers.control.redrive.run.record import RedriveRequest
from handlers.control.redrive.sqs.letter import Letter
from handlers.control.redrive.sqs.mover import MoveReport
from handlers.idempotency.claims import Status

WAVE_MESSAGES = 100  # what one BatchGetItem takes
_RAMP = (1, 10, 20, 50, WAVE_MESSAGES)
_MAX_ERROR_TYPE = 128
# The first message needs no second to have passed.
_FIRST = 1


class Action(StrEnum):
    """What is to happen to a letter."""

    MOVE = "move"
    NO_OP = "no-op"  # moved, and acknowledged by the worker without work
    SKIP = "skip"
    PARK = "park"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to happen to a letter, and why it is not simply moved."""

    action: Action
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """By what letters are judged. Times in ms; `started_at` None takes letters however new they are."""

    error_type: str
    min_age_seconds: int
    max_redrives: int
    now: int
    started_at: int | None = None
    blocked_groups: frozenset[str] = frozenset()

    @classmethod
    def of(cls, request: RedriveRequest, *, max_redrives: int, now: int) -> "Terms":
        """The terms of a request, as a preview has them."""
        return cls(
            error_type=request.error_type,
            min_age_seconds=request.min_age_seconds,
            max_redrives=max_redrives,
            now=now,
        )


def decide(letter: Letter, record: StateRecord | None, terms: Terms) -> Decision:
    """What is to happen to one letter."""
    if reason := _not_wanted(letter, record, terms):
        return Decision(Action.SKIP, reason)
    if letter.redrive_count >= terms.max_redrives:
        return Decision(Action.PARK, "MaxRedrives")
    if letter.message.group_id in terms.blocked_groups:
        return Decision(Action.SKIP, "GroupBlocked")
    if record and record.succeeded and record.checksum == letter.message.checksum:
        return Decision(Action.NO_OP, "AlreadySucceeded")
    return Decision(Action.MOVE)


def _not_wanted(letter: Letter, record: StateRecord | None, terms: Terms) -> str:
    """Why the terms leave a letter out.

    One that came after the start is another run's: else one that fails again would go round and round.
    """
    if terms.started_at is not None and letter.sent_at > terms.started_at:
        return "ArrivedAfterStart"
    if terms.error_type and letter.error_type(record) != terms.error_type:
        return "OtherErrorType"
    age = max(0, terms.now - letter.sent_at)  # SQS's clock may be ahead of ours
    return "TooYoung" if age < terms.min_age_seconds * 1000 else ""


def entry(letter: Letter, record: StateRecord | None, decision: Decision, *, dry_run: bool) -> Entry:
    """What the ledger says of a decision before anything is done."""
    going = EntryState.WOULD_MOVE if dry_run else EntryState.MOVING
    state = {Action.SKIP: EntryState.SKIPPED, Action.PARK: EntryState.PARKED}.get(decision.action, going)
    return Entry(
        message_id=letter.id,
        key=letter.message.key[:MAX_KEY],  # a foreign message's may be so long that a wave of them fits no item
        checksum=letter.message.checksum,
        error_type=letter.error_type(record)[:_MAX_ERROR_TYPE],
        state=state,
        reason=decision.reason,
        group=letter.message.group_id if letter.ordered else "",
        before=record.snapshot if record else None,
    )


def order(letters: Iterable[Letter], *, fifo: bool) -> list[Letter]:
    """Oldest first; a FIFO queue's own order is kept as it is."""
    return list(letters) if fifo else sorted(letters, key=lambda letter: letter.sent_at)


@dataclass(frozen=True, slots=True)
class Pace:
    """How many messages next, and after how many seconds."""

    size: int
    wait: float


def pace(wave: int, *, moved: int, elapsed: float, rate: float, remaining: int) -> Pace:
    """The next step of the ramp, held to `rate` messages a second (0: none) since the start of the ramp.

    `wave` counts from 0, `elapsed` in seconds. At no moment more than `rate * elapsed + 1` have gone.
    """
    size = min(_RAMP[min(wave, len(_RAMP) - 1)], remaining)
    if not rate:
        return Pace(size, 0)
    size = min(size, max(1, int(rate)))  # a second's worth at a time, so that a wave's own calls are worth it
    return Pace(size, max(0.0, (moved + size - _FIRST) / rate - elapsed))


def pace_from(now: int, moved_at: int, rate: float) -> tuple[int, int]:
    """From when (ms) and from how many messages an invocation counts its pace.

    An invocation that resumes a run waits from the last message on, `moved_at` (0: there is none); a pause of hours
    does not add up to more than a second's worth.
    """
    if not moved_at or not rate:
        return now, 0
    return max(moved_at, now - round(1000 * max(1, 1 / rate))), _FIRST


def resolve(one: Entry, record: StateRecord | None) -> Entry:
    """What became of a letter whose run died between sending it and noting that it was sent.

    Where its key's record has changed, a worker has had it. Else it is not known, so it is not sent again.
    """
    if record and record.checksum == one.checksum and record.snapshot != one.before:
        return replace(one, state=EntryState.MOVED)
    return replace(one, state=EntryState.UNCERTAIN, reason="MayHaveBeenSent")


def settle(one: Entry, report: MoveReport) -> Entry:
    """What became of a letter that was to be sent."""
    if one.message_id in report.sent:
        return replace(one, state=EntryState.MOVED, new_message_id=report.sent[one.message_id])
    if one.message_id in report.refused:
        return replace(one, state=EntryState.FAILED, reason=report.refused[one.message_id])
    if one.message_id in report.uncertain:
        return replace(one, state=EntryState.UNCERTAIN, reason=report.uncertain[one.message_id])
    return one


@dataclass(frozen=True, slots=True)
class CanaryVerdict:
    """How the canaries stand: those without an outcome yet, and the errors of those that failed again, by key."""

    waiting: list[str]
    failed: dict[str, str]


def judge_canaries(moved: Iterable[Entry], records: Mapping[str, StateRecord]) -> CanaryVerdict:
    """The outcomes of the moved letters."""
    waiting: list[str] = []
    failed: dict[str, str] = {}
    for one in moved:
        record = records.get(one.key)
        if record is None or record.checksum != one.checksum:
            waiting.append(one.key)
        elif record.snapshot.status == Status.FAILED and _is_newer(record, one):
            failed[one.key] = record.error_type
        elif not record.succeeded:
            waiting.append(one.key)
    return CanaryVerdict(waiting, failed)


def _is_newer(record: StateRecord, one: Entry) -> bool:
    """Whether the record is that of the moved message (whose new id may be lost in a crash)."""
    return one.new_message_id == record.snapshot.message_id or (
        not one.new_message_id and record.snapshot != one.before
    )
