"""A run's ledger in hand: what is known of each letter, written before and after anything is done with it.

The first letters of a run may be canaries: what becomes of them decides whether the others follow.
"""

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace

from handlers import clock
from handlers.control.redrive.ledger import Entry, EntryState, States, Wave
from handlers.control.redrive.run import plan
from handlers.control.redrive.run.record import Run
from handlers.control.redrive.run.store import Runs
from handlers.control.redrive.sqs.mover import MoveReport

DEADLINE_SECONDS = 120
NO_OUTCOME = f"no outcome within {DEADLINE_SECONDS} s"


class Canaries:
    """Those that have gone out, until each has an outcome or the deadline passes."""

    def __init__(self, run: Run, states: States) -> None:
        self._run = run
        self._states = states
        self._out: list[Entry] = []
        self._since = 0
        self._complete = False
        self.failed: dict[str, str] = {}

    @property
    def wanted(self) -> int:
        """How many are still to go out."""
        if self._run.canaries_passed or self._run.request.dry_run:
            return 0
        return max(0, self._run.request.canary - len(self._out))

    @property
    def are_out(self) -> bool:
        """Whether all have gone out and their outcomes are awaited."""
        return bool(self._out) and not self._run.canaries_passed and (self._complete or not self.wanted)

    def add(self, entries: Sequence[Entry]) -> None:
        """Takes note of entries; those that were moved before the canaries have passed are canaries."""
        if self._run.request.canary and not self._run.canaries_passed:
            self._out += [one for one in entries if one.state is EntryState.MOVED]
            self._since = clock.now_ms()

    def end(self) -> bool:
        """There are no more letters, so those that have gone out are all; whether their outcomes are awaited."""
        self._complete = True
        return self.are_out

    def look(self) -> None:
        """Looks at their outcomes; sets `failed`, or the run's `canaries_passed` once all have done well."""
        verdict = plan.judge_canaries(self._out, self._states.lookup(one.key for one in self._out))
        self.failed = verdict.failed
        if clock.now_ms() - self._since > DEADLINE_SECONDS * 1000:
            self.failed |= dict.fromkeys(verdict.waiting, NO_OUTCOME)
        self._run.canaries_passed = not verdict.waiting and not verdict.failed


class Book:
    """The ledger of a run that has been taken."""

    def __init__(self, run: Run, runs: Runs, states: States, pool: Executor) -> None:
        self.canaries = Canaries(run, states)
        self._run = run
        self._runs = runs
        self._states = states
        self._pool = pool
        self._closing: list[Future[None]] = []
        self._known: dict[str, EntryState] = {}
        self._blocked: set[str] = set()

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._known

    @property
    def left(self) -> int:
        """How many of the known letters are still on the dead-letter queue."""
        return sum(state is not EntryState.MOVED for state in self._known.values())

    def is_moved(self, message_id: str) -> bool:
        """Whether a letter has been sent, so that it is to be deleted."""
        return self._known.get(message_id) is EntryState.MOVED

    @property
    def blocked_groups(self) -> frozenset[str]:
        """The message groups in which one was not sent, so that none behind it may go."""
        return frozenset(self._blocked)

    def read(self, *, blindly: bool = False) -> dict[str, str]:
        """Reads the ledger, resolves what a predecessor left in flight, and returns what it had yet to delete.

        That is receipt handles by message id, of moved letters. `blindly` does not ask the state table: what was in
        flight is then uncertain.
        """
        self._run.tally.clear()
        for wave in self._runs.waves(self._run.redrive_id):
            self._note(self._settle(wave, blindly=blindly).entries)
            self._run.waves = wave.number
        receipts = self._runs.receipts(self._run) if self._known else {}
        return {one: receipt for one, receipt in receipts.items() if self.is_moved(one)}

    def open(self, entries: list[Entry], receipts: dict[str, str]) -> Wave | None:
        """Writes a wave before anything of it is done; a heartbeat alone where it has nothing new.

        `receipts` are of all letters that may have been moved and not yet deleted once this one has been sent.
        """
        if not entries:
            self._runs.beat(self._run)
            return None
        self._run.waves += 1
        wave = Wave(self._run.waves, entries)
        self._runs.open_wave(self._run, wave, receipts)
        return wave

    def close(self, wave: Wave, report: MoveReport) -> None:
        """Begins to write what became of a wave; letters that were not sent at all leave it, as if never seen."""
        moving = any(one.state is EntryState.MOVING for one in wave.entries)
        wave.entries = [plan.settle(one, report) for one in wave.entries if one.message_id not in report.unsent]
        if moving:
            self._closing.append(self._pool.submit(self._runs.close_wave, self._run, wave))
        self._note(wave.entries)
        if wave.entries:
            self._run.starts, self._run.reason = 0, ""

    def wait(self) -> None:
        """Waits until all is written that was begun.

        Raises:
            LeaseLostError, ClientError, BotoCoreError: it is not.
        """
        closing, self._closing = self._closing, []
        for future in closing:
            future.result()

    def _settle(self, wave: Wave, *, blindly: bool) -> Wave:
        left = [one for one in wave.entries if one.state is EntryState.MOVING]
        if not left:
            return wave
        records = {} if blindly else self._states.lookup(one.key for one in left)
        settled = [
            plan.resolve(one, records.get(one.key)) if one.state is EntryState.MOVING else one for one in wave.entries
        ]
        wave = replace(wave, entries=settled)
        self._runs.close_wave(self._run, wave)
        return wave

    def _note(self, entries: Sequence[Entry]) -> None:
        self._run.tally.add(entries)
        for one in entries:
            self._known[one.message_id] = one.state
            if one.group and one.state in (EntryState.FAILED, EntryState.UNCERTAIN):
                self._blocked.add(one.group)
        self.canaries.add(entries)
