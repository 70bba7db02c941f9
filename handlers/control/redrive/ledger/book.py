"""A run's ledger in hand: what is known of each letter, written before and after anything is done with it."""

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace

from handlers.control.redrive.ledger.states import States
from handlers.control.redrive.ledger.waves import Entry, EntryState, Wave
from handlers.control.redrive.run import plan
from handlers.control.redrive.run.canaries import Canaries
from handlers.control.redrive.run.record import Run
from handlers.control.redrive.run.store import Runs
from handlers.control.redrive.sqs.mover import MoveReport


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

    def is_moved(self, message_id: str) -> bool:
        """Whether a letter has been sent, so that it is to be deleted."""
        return self._known.get(message_id) is EntryState.MOVED

    @property
    def blocked_groups(self) -> frozenset[str]:
        """The message groups in which one was not sent, so that none behind it may go."""
        return frozenset(self._blocked)

    def read(self, *, blindly: bool = False) -> dict[str, str]:
        """Reads the ledger, settles what a predecessor left on its way, and returns what that one had yet to delete.

        That is receipt handles by message id, of moved letters. ``blindly`` does not ask the state table: what was on
        its way is then uncertain.
        """
        self._run.tally.clear()
        for wave in self._runs.waves(self._run.redrive_id):
            self._note(self._settle(wave, blindly=blindly).entries)
            self._run.waves = wave.number
        receipts = self._runs.receipts(self._run) if self._known else {}
        return {one: receipt for one, receipt in receipts.items() if self.is_moved(one)}

    def open(self, entries: list[Entry], receipts: dict[str, str]) -> Wave | None:
        """Writes a wave before anything of it is done; a heartbeat alone where it has nothing new.

        ``receipts`` are of all letters that may have been moved and not yet deleted once this one has been sent.
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
