"""Looks at the stack once a second while a run goes on, and tells when it has to stop."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Self

    from ops.gamedays.journal import Journal
    from ops.gamedays.model import GameDay
    from ops.gamedays.stack import Stack

INTERRUPTED = "interrupted"


class Sampler:
    """A thread that writes a `sample` line each time: queues, alarms that are in ALARM, the consumer's state.

    `seen` are the alarms that have fired since
    `forget`, `quiet` is for how many looks none of those that count has been in ALARM.
    """

    def __init__(
        self,
        gameday: GameDay,
        stack: Stack,
        journal: Journal,
        counted: Collection[str],
        is_interrupted: Callable[[], bool],
    ) -> None:
        self._abort = ""
        self.is_interrupted = is_interrupted
        self.seen: set[str] = set()
        self.quiet = 0
        self._gameday = gameday
        self._stack = stack
        self._journal = journal
        self._counted = set(counted)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._limit = gameday.limit_seconds * stack.patience
        self._deadline = time.monotonic() + self._limit

    @property
    def abort(self) -> str:
        """Why the run has to stop, "" as long as it has not to."""
        return INTERRUPTED if self.is_interrupted() else self._abort

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def forget(self) -> None:
        """Begin anew to note which alarms fire: what fired before is none of the fault's doing."""
        self.seen = set()
        self._abort = ""

    def look(self) -> dict[str, Any]:
        """One sample."""
        alarms = sorted(name for name, state in self._stack.alarms().items() if state == "ALARM")
        return {
            "queues": self._stack.depths(),
            "alarms": alarms,
            "consumer": self._stack.consumer().get("State", ""),
        }

    def _run(self) -> None:
        pause = self._stack.target.look_seconds
        is_over = False
        while not is_over:
            is_over = self._stop.is_set()  # the last look comes when everything is done, however soon that is
            try:
                found = self.look()
            except (BotoCoreError, ClientError, OSError) as error:
                self._journal.add("unseen", why=f"{type(error).__name__}: {error}")
            else:
                self._journal.add("sample", **found)
                self._judge(set(found["alarms"]) & self._counted)
            if time.monotonic() > self._deadline:
                self._abort = self._abort or f"it has taken longer than the {self._limit:.0f} s that it may"
            self._stop.wait(pause)

    def _judge(self, firing: set[str]) -> None:
        self.seen |= firing
        self.quiet = 0 if firing else self.quiet + 1
        if unexpected := firing - self._gameday.expected:
            self._abort = self._abort or f"alarm {', '.join(sorted(unexpected))} fired, which nobody expects"
