"""One invocation's share of a run: waves of receive → look up → plan → ledger → send → ledger → delete.

The order is what a crash between any two calls is harmless for. The ledger says MOVING before anything is sent and
MOVED before anything is deleted; a successor resolves what is left MOVING (`plan.resolve`) and deletes what is MOVED.
Where waves follow each other without a pause they overlap: the next is received while one is sent, looked up while that
one's outcome is written, and sent while that one is deleted.
"""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, replace

from handlers import clock, deadline
from handlers.aws.clients import AWS_ERRORS
from handlers.control.redrive.errors import CancelRequestedError, InterruptedRedriveError, LeaseLostError
from handlers.control.redrive.ledger import Entry, EntryState, States
from handlers.control.redrive.run import plan
from handlers.control.redrive.run.book import Book
from handlers.control.redrive.run.plan import Terms
from handlers.control.redrive.run.record import Run, RunState
from handlers.control.redrive.run.store import Runs
from handlers.control.redrive.sqs.inbox import VISIBILITY_SECONDS, Inbox
from handlers.control.redrive.sqs.letter import Letter
from handlers.control.redrive.sqs.mover import Mover, MoveReport

_BEAT_SECONDS = 5
_PATIENCE_SECONDS = 90  # with letters that others have: longer than a preview keeps them
_RECEIVE_SECONDS = 12  # more than a receive takes, its client's read time-out included
MAX_EXAMINED = 100_000  # SQS lets at most 120,000 messages of a queue be in hand
_SPENDING = (EntryState.MOVING, EntryState.WOULD_MOVE)
# A receipt handle that is no longer good: the letter is gone, or shows again and is deleted then.
_STALE = frozenset({"ReceiptHandleIsInvalid", "InvalidParameterValue"})


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run has ended."""

    state: RunState
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a segment works with. `seconds_left` is how long the invocation may still take."""

    runs: Runs
    states: States
    inbox: Inbox
    mover: Mover
    pool: Executor
    seconds_left: Callable[[], float]
    pause: Callable[[float], None]
    max_redrives: int
    fifo: bool


class Segment:
    """Works on a run that has been taken."""

    def __init__(self, run: Run, tools: Tools) -> None:
        self._run = run
        self._tools = tools
        self._book = Book(run, tools.runs, tools.states, tools.pool)
        self._canaries = self._book.canaries
        self._started, self._moved = plan.pace_from(clock.now_ms(), run.moved_at, run.request.rate)
        self._waves = 0
        self._drained_at = 0
        self._uncleared: list[str] = []

    def work(self) -> Ending | None:
        """Works until the run has ended, or until the time is up (None).

        Raises:
            LeaseLostError, InterruptedRedriveError, ClientError, BotoCoreError: it can't go on.
        """
        try:
            ending = self._go_through()
        except CancelRequestedError:
            ending = Ending(RunState.CANCELLED, "cancelled by an operator")
        self._finish_waves()
        return ending

    def give_up(self) -> None:
        """Closes the ledger without looking up what became of letters in flight."""
        self._book.read(blindly=True)

    def close(self) -> bool:
        """Hands every letter back; whether SQS accepted it for each."""
        with suppress(LeaseLostError, *AWS_ERRORS):  # what could not be written is left to a successor
            self._book.wait()
        self._tools.inbox.settle()
        return self._tools.inbox.hand_back()

    # when

    def _go_through(self) -> Ending | None:
        self._tools.inbox.delete(self._book.read())
        self._settle()
        if self._run.cancel_requested:
            raise CancelRequestedError
        while not self._is_time_up():
            if ending := self._ending():
                return ending
            self._step()
        return None

    def _ending(self) -> Ending | None:
        if failed := self._canaries.failed:
            shown = ", ".join(f"{key} ({error})" for key, error in list(failed.items())[:10])
            many = f"{len(failed)} canar{'y' if len(failed) == 1 else 'ies'}"
            return Ending(RunState.STOPPED, f"{many} failed again: {shown}")
        if self._canaries.are_out:
            return None
        reason = self._exhausted()
        return Ending(RunState.SUCCEEDED, reason) if reason and not self._canaries.end() else None

    def _exhausted(self) -> str:
        """Why no more letters are to go out, "" where some are."""
        if self._remaining() <= 0:
            return "maxMessages reached"
        if len(self._book) >= MAX_EXAMINED:
            return f"{MAX_EXAMINED} letters examined, start another run for the rest"
        return self._drained() if self._tools.inbox.is_drained else ""

    def _drained(self) -> str:
        """Why no more letters are to come, "" where some may: receives bring none, which is not yet an empty queue.

        What another reader has in hand, a preview say, shows again; it is waited for, and in the end named.
        """
        self._finish_waves()
        counts = self._tools.inbox.counts()
        self._run.unseen = max(0, counts.total - self._book.left)
        if not self._run.unseen:
            skipped = self._run.tally.states[EntryState.SKIPPED]
            stay = f"; {skipped} stay there, skipped" if skipped else ""
            return f"nothing new on the dead-letter queue{stay}"
        self._drained_at = self._drained_at or clock.now_ms()
        patient = clock.now_ms() - self._drained_at < _PATIENCE_SECONDS * 1000
        # What a FIFO queue shows none of although nobody has it stands behind letters that stay.
        if patient and (counts.hidden or not self._tools.fifo):
            return ""
        return f"{self._run.unseen} letters could not be seen: in other hands, or behind others of their group"

    def _step(self) -> None:
        if self._canaries.are_out:
            self._canaries.look()
            self._tools.runs.beat(self._run)
            if self._canaries.are_out:
                self._pause(random.uniform(0.5, 2))  # noqa: S311 - spreads load
            return
        if self._drained_at:
            self._pause(_BEAT_SECONDS)
        pace = self._pace()
        self._pause(pace.wait)
        if not self._is_time_up():
            self._wave(pace.size)

    def _remaining(self) -> int:
        return self._run.request.max_messages - self._run.tally.spent()

    def _is_time_up(self) -> bool:
        return self._tools.seconds_left() < deadline.HAND_BACK_SECONDS

    def _pace(self) -> plan.Pace:
        elapsed = (clock.now_ms() - self._started) / 1000
        remaining = min(self._remaining(), self._canaries.wanted or self._remaining())
        rate = self._run.request.rate
        return plan.pace(self._waves, moved=self._moved, elapsed=elapsed, rate=rate, remaining=remaining)

    def _pause(self, seconds: float) -> None:
        """Waits, with heartbeats, no longer than the invocation's time."""
        end = clock.now_ms() + round(seconds * 1000)
        while (left := (end - clock.now_ms()) / 1000) > 0 and not self._is_time_up():
            self._tools.pause(min(left, _BEAT_SECONDS))
            self._tools.runs.beat(self._run)

    # a wave

    def _wave(self, size: int) -> None:
        inbox, book = self._tools.inbox, self._book
        self._keep_lease()
        letters = inbox.receive(size)
        if not inbox.is_drained:
            self._drained_at = 0
        planned = self._plan(
            self._tools.runs.counted(
                [letter for letter in letters if letter.id not in book],
                dlq_url=self._run.dlq_url,
                redrive_id=self._run.redrive_id,
            )
        )
        entries = [one for _, one in planned]
        moving = [letter for letter, one in planned if one.state is EntryState.MOVING]
        self._clear_last()
        self._tools.runs.count(moving, self._run)
        wave = book.open(entries, inbox.deleting | inbox.receipts(letter.id for letter in moving))
        goes_on = bool(letters) and self._prefetch(sum(one.state in _SPENDING for one in entries))
        report = self._send(moving)
        if wave:
            book.close(wave, report)
        self._uncleared = [letter.id for letter in letters]
        self._waves += 1
        if report.sent:
            self._moved += len(report.sent)
            self._run.moved_at = clock.now_ms()
        if not goes_on:
            self._finish_waves()
        if code := report.interruption():
            raise InterruptedRedriveError("SendMessageBatch", code)

    def _keep_lease(self) -> None:
        """What is received now must show again before a successor could take the run over."""
        if self._run.lease_until < clock.now_ms() + (VISIBILITY_SECONDS + _RECEIVE_SECONDS) * 1000:
            self._tools.runs.beat(self._run)

    def _plan(self, letters: Sequence[Letter]) -> list[tuple[Letter, Entry]]:
        run = self._run
        records = self._tools.states.lookup(letter.message.key for letter in letters)
        terms = replace(
            Terms.of(run.request, max_redrives=self._tools.max_redrives, now=clock.now_ms()),
            started_at=run.created_at,
            blocked_groups=self._book.blocked_groups,
        )
        planned = []
        for letter in plan.order(letters, fifo=self._tools.fifo):
            record = records.get(letter.message.key)
            decision = plan.decide(letter, record, terms)
            planned.append((letter, plan.entry(letter, record, decision, dry_run=run.request.dry_run)))
        return planned

    def _settle(self) -> None:
        """Waits for deletions; one that fails interrupts the run."""
        codes = set(self._tools.inbox.settle().values()) - _STALE
        if codes:
            raise InterruptedRedriveError("DeleteMessageBatch", min(codes))

    def _finish_waves(self) -> None:
        """Waits until the last wave is written and what it has moved is gone."""
        self._clear_last()
        self._settle()

    def _prefetch(self, spending: int) -> bool:
        """Begins to receive the next wave; False where something is to pass before it."""
        request = self._run.request
        if self._tools.fifo or request.rate or (request.canary and not self._run.canaries_passed):
            return False
        remaining = self._remaining() - spending
        self._tools.inbox.start(plan.pace(self._waves + 1, moved=0, elapsed=0, rate=0, remaining=remaining).size)
        return True

    def _send(self, letters: Sequence[Letter]) -> MoveReport:
        run = self._run
        # Jitter spreads load, and canaries are none.
        longest = run.request.jitter if run.canaries_passed or not run.request.canary else 0
        return self._tools.mover.move(
            [
                letter.outgoing(redrive_id=run.redrive_id, delay_seconds=random.randint(0, longest))  # noqa: S311 - load
                for letter in letters
            ]
        )

    def _clear_last(self) -> None:
        """Once the last wave is written: begins to delete what it has moved, and to keep the rest out of sight.

        Before that, what the one before has moved must be gone: a successor has the receipt handles of two waves.
        A FIFO queue shows nothing of a group behind what is in hand, so there the rest is given back at once.
        """
        inbox, book = self._tools.inbox, self._book
        book.wait()
        self._settle()
        ids, self._uncleared = self._uncleared, []
        inbox.delete(inbox.receipts(one for one in ids if book.is_moved(one)))
        kept = [one for one in ids if not book.is_moved(one)]
        inbox.hold(kept, 0 if self._tools.fifo else int(self._tools.seconds_left()))
