"""Runs in the control table: one per dead-letter queue at a time, worked on under a lease, with a ledger in waves.

    lock#<dlqUrl>        lock            who runs on this dead-letter queue
    runs#active          <redriveId>     what the tick looks through
    runs#all             <redriveId>     what a list of runs looks through
    redrive#<redriveId>  run             the run
                         receipts        receipt handles of the last two waves, to delete what they have moved
                         wave#000001 …   the ledger
    redrives#<dlqUrl>    <identity>      how often a letter was redriven whose attributes have no room for the count

Every write of a runner holds only while its lease does, so of two that think they have a run only one can change it.
The ledger's entries are JSON text in one attribute: a wave is always written and read whole.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import cast

from handlers import clock
from handlers.aws.control_table import ABSENT, Condition, ConditionFailedError, ControlTable, Item, Key
from handlers.control.redrive.errors import AlreadyRunningError, CancelRequestedError, LeaseLostError
from handlers.control.redrive.ledger import Entry, Wave
from handlers.control.redrive.run.record import Run, RunState
from handlers.control.redrive.sqs.letter import Letter

# A lease outlives the visibility of what was received under it (inbox.VISIBILITY_SECONDS) by the time between the
# heartbeat and the receive: who takes a run over sees every letter again that its predecessor had in hand.
LEASE_SECONDS = 90
_KEPT_SECONDS = 30 * 24 * 3600
_ACTIVE, _ALL = "runs#active", "runs#all"
_FIRST_ID, _LAST_ID = " ", "~"


class Runs:
    """All runs."""

    def __init__(self, table: ControlTable) -> None:
        self._table = table

    def create(self, run: Run) -> None:
        """Makes a run without an owner.

        Raises:
            AlreadyRunningError: its dead-letter queue has one.
        """
        table = self._table
        try:
            table.write(
                table.put(_lock(run), {"redriveId": run.redrive_id}, ABSENT),
                table.put(_run(run.redrive_id), run.as_item() | _expiry(run), ABSENT),
                table.put(Key(_ACTIVE, run.redrive_id), {"dlqUrl": run.dlq_url}, ABSENT),
                table.put(Key(_ALL, run.redrive_id), _expiry(run), ABSENT),
            )
        except ConditionFailedError as exc:
            raise AlreadyRunningError(str(exc.items[0].get("redriveId", ""))) from exc

    def get(self, redrive_id: str) -> Run | None:
        """A run as it is now, or None."""
        item = self._table.get(_run(redrive_id))
        return Run.from_item(redrive_id, item) if item else None

    def active(self) -> list[str]:
        """The ids of the runs that have not ended, oldest first."""
        return [str(item["item"]) for item in self._table.query(_ACTIVE, _FIRST_ID, _LAST_ID)]

    def latest(self, limit: int) -> list[Run]:
        """The newest runs, the newest first; those that have not ended are among them, however old."""
        kept = [str(item["item"]) for item in self._table.query(_ALL, _FIRST_ID, _LAST_ID)]
        ids = sorted({*kept[-limit:], *self.active()}, reverse=True)  # an id begins with the time of its start
        return [run for one in ids if (run := self.get(one))]

    def take(self, redrive_id: str, owner: str) -> Run | None:
        """Leases a run to `owner`; None where there is nothing to take."""
        run = self.get(redrive_id)
        if run is None or not run.is_free():
            return None
        until, starts = _lease_end(), run.starts + 1
        values: Item = {"leaseOwner": owner, "leaseUntil": until, "starts": starts}
        read: Condition = {"state": RunState.RUNNING, "leaseOwner": run.lease_owner, "leaseUntil": run.lease_until}
        try:
            self._table.write(self._table.update(_run(redrive_id), values, read), mark="leaseOwner")
        except ConditionFailedError:
            return None
        return replace(run, lease_owner=owner, lease_until=until, starts=starts)

    def beat(self, run: Run) -> None:
        """Renews the lease and notes the progress.

        Raises:
            CancelRequestedError, LeaseLostError: the run is not to go on.
        """
        self._as_owner(run, self._heartbeat(run))

    def open_wave(self, run: Run, wave: Wave, receipts: dict[str, str]) -> None:
        """Writes a wave before anything of it is done, receipt handles of what is to be deleted, and a heartbeat.

        Raises:
            CancelRequestedError, LeaseLostError: the run is not to go on; nothing is written.
        """
        table = self._table
        self._as_owner(
            run,
            self._heartbeat(run),
            table.put(_wave(run, wave.number), _entries(wave, run.lease_owner) | _expiry(run), ABSENT),
            # One item for all waves, because only the last two can have left anything undeleted.
            table.put(Key(_partition(run.redrive_id), "receipts"), _receipts(receipts) | _expiry(run), {}),
        )

    def close_wave(self, run: Run, wave: Wave) -> None:
        """Writes what became of a wave, over exactly what was read or written of it before.

        Raises:
            LeaseLostError: another invocation has closed it.
        """
        values = _entries(wave, f"{run.lease_owner} (closed)") | _expiry(run)
        action = self._table.put(_wave(run, wave.number), values, {"writer": wave.writer or run.lease_owner})
        try:
            self._table.write(action, mark="writer")
        except ConditionFailedError as exc:
            raise LeaseLostError from exc

    def release(self, run: Run, *, after_seconds: int) -> None:
        """Releases a run; it may be taken again after some seconds."""
        until = clock.now_ms() + after_seconds * 1000
        self._as_owner(run, self._update(run, {"leaseOwner": "", "leaseUntil": until}), cancellable=False)

    def finish(self, run: Run, state: RunState, reason: str) -> None:
        """Ends a run and frees its dead-letter queue."""
        now = clock.now_ms()
        ending: Item = {"state": state, "reason": reason, "finishedAt": now, "leaseOwner": "", "leaseUntil": 0}
        self._as_owner(
            run,
            self._update(run, ending),
            self._table.delete(_lock(run), {"redriveId": run.redrive_id}),
            self._table.delete(Key(_ACTIVE, run.redrive_id), {"dlqUrl": run.dlq_url}),
            cancellable=False,
        )
        run.state, run.reason, run.finished_at = state, reason, now

    def request_cancel(self, run: Run) -> bool:
        """Asks a run to stop; False where it has ended in the meantime."""
        try:
            self._table.write(
                self._table.update(_run(run.redrive_id), {"cancelRequested": True}, {"state": RunState.RUNNING})
            )
        except ConditionFailedError:
            return False
        return True

    def waves(self, redrive_id: str, *, first: int = 1, page: int = 0) -> Iterator[Wave]:
        """The ledger from a wave on."""
        for item in self._table.query(_partition(redrive_id), _wave_item(first), "wave#~", page=page):
            entries = [Entry.from_kept(entry) for entry in json.loads(str(item["entries"]))]
            yield Wave(int(str(item["item"]).removeprefix("wave#")), entries, str(item["writer"]))

    def counted(self, letters: Sequence[Letter], *, dlq_url: str, redrive_id: str = "") -> list[Letter]:
        """The same letters, with the counts that they can't carry; what this redrive has counted is left out."""
        return [
            letter
            if letter.carries_count
            else replace(letter, counted=self._count(_redrives(dlq_url, letter), redrive_id))
            for letter in letters
        ]

    def count(self, letters: Iterable[Letter], run: Run) -> None:
        """Counts the redrive of letters that can't carry their count, before they are sent; once for each run."""
        for letter in letters:
            if not letter.carries_count:
                values: Item = {"count": letter.redrive_count + 1, "redriveId": run.redrive_id}
                self._table.write(self._table.put(_redrives(run.dlq_url, letter), values | _expiry(run), {}))

    def _count(self, key: Key, redrive_id: str) -> int:
        item = self._table.get(key)
        return int(item["count"]) - (item["redriveId"] == redrive_id) if item else 0

    def receipts(self, run: Run) -> dict[str, str]:
        """The receipt handles of what may have been moved and not deleted, by message id."""
        item = self._table.get(Key(_partition(run.redrive_id), "receipts"))
        return cast("dict[str, str]", json.loads(str(item["receipts"]))) if item else {}

    def _update(self, run: Run, values: Item, when: Condition | None = None) -> dict[str, object]:
        owned: Condition = {"leaseOwner": run.lease_owner, "state": RunState.RUNNING}
        return self._table.update(_run(run.redrive_id), run.progress() | values, {**owned, **(when or {})})

    def _heartbeat(self, run: Run) -> dict[str, object]:
        run.lease_until = _lease_end()
        return self._update(run, {"leaseUntil": run.lease_until}, {"cancelRequested": False})

    def _as_owner(self, run: Run, *actions: dict[str, object], cancellable: bool = True) -> None:
        try:
            self._table.write(*actions)
        except ConditionFailedError as exc:
            mine = any(item.get("leaseOwner") == run.lease_owner for item in exc.items)
            asked = any(item.get("cancelRequested") is True for item in exc.items)
            if cancellable and mine and asked:
                raise CancelRequestedError from exc
            raise LeaseLostError from exc


def _lease_end() -> int:
    return clock.now_ms() + LEASE_SECONDS * 1000


def _partition(redrive_id: str) -> str:
    return f"redrive#{redrive_id}"


def _redrives(dlq_url: str, letter: Letter) -> Key:
    return Key(f"redrives#{dlq_url}", letter.identity)


def _run(redrive_id: str) -> Key:
    return Key(_partition(redrive_id), "run")


def _lock(run: Run) -> Key:
    return Key(f"lock#{run.dlq_url}", "lock")


def _wave(run: Run, number: int) -> Key:
    return Key(_partition(run.redrive_id), _wave_item(number))


def _wave_item(number: int) -> str:
    return f"wave#{number:06d}"


def _expiry(run: Run) -> Item:
    return {"expiresAt": run.created_at // 1000 + _KEPT_SECONDS}


def _entries(wave: Wave, writer: str) -> Item:
    # Not as ASCII, which could make a wave of foreign keys too large for an item.
    entries = [one.as_kept() for one in wave.entries]
    return {"entries": json.dumps(entries, separators=(",", ":"), ensure_ascii=False), "writer": writer}


def _receipts(receipts: dict[str, str]) -> Item:
    return {"receipts": json.dumps(receipts, separators=(",", ":"))}
