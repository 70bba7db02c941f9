"""Runs GameDays for the console, one at a time, each in a process of its own.

So the console stays as small as it is, and a run outlives the page that has started it. The process reads the console's
end of a pipe: when that is closed, on purpose or because the console is gone, it rolls back and ends.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.cli import target
from ops.gamedays import runs
from ops.gamedays.context import RefusedError
from ops.local.emulator import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ops.gamedays.model import GameDay

_COMMAND = (sys.executable, "-m", "ops.gamedays")
_END_SECONDS = 120.0  # many times what a rollback takes on the laptop; the process goes on alone if it takes longer


@dataclass(slots=True)
class _Work:
    """A run that was started here."""

    run: str
    process: subprocess.Popen[bytes]
    told: Path  # what the process says, which is something where it could not run
    is_stopped: bool = False

    def stop(self) -> None:
        if self.process.stdin and not self.is_stopped:
            self.is_stopped = True
            self.process.stdin.close()


class Runner:
    """Starts and stops them. `command` is what takes a stack, a GameDay and a run's id."""

    def __init__(self, command: Sequence[str] = _COMMAND) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._work: _Work | None = None

    @property
    def running(self) -> str:
        """The run that was started here and has not ended; "" where there is none."""
        work = self._work
        return work.run if work and work.process.poll() is None else ""

    @property
    def is_stopping(self) -> bool:
        """Whether that one was told to end."""
        return self._work is not None and self._work.is_stopped

    def start(self, stack: str, gameday: GameDay) -> str:
        """Start one; returns its run's id.

        Raises:
            RefusedError: one runs on the stack, wherever it was started.
        """
        home = target.home()
        with self._lock:
            if self.running:
                raise RefusedError(f"{self.running} runs; one at a time")
            if runs.is_busy(home, stack):
                raise RefusedError(f"a GameDay that was started elsewhere runs on stack {stack}; one at a time")
            if self._work:
                self._work.stop()  # it has ended; its pipe has not
            run = runs.begin(home, gameday).run
            place = runs.folder(home)
            place.mkdir(parents=True, exist_ok=True)
            told = place / f"{stack}.log"
            with told.open("wb") as out:
                process = subprocess.Popen(
                    [*self._command, stack, gameday.name, run],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C in a terminal reaches the console alone, which closes the pipe
                )
            self._work = _Work(run, process, told)
        return run

    def stop(self, run: str) -> None:
        """Tell a run to roll back and end, where it was started here and has not ended."""
        with self._lock:
            if self._work and self._work.run == run:
                self._work.stop()

    def failure(self, run: str) -> str:
        """Why a run that was started here could not run; "" where it could, or has not ended."""
        work = self._work
        if work is None or work.run != run or not work.process.poll():
            return ""
        lines = work.told.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), f"exit status {work.process.poll()}")

    def close(self) -> None:
        """End what runs, and wait until it is rolled back."""
        with self._lock:
            if self._work:
                self._work.stop()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._work.process.wait(_END_SECONDS)
