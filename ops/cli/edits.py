"""`lab up --watch`: changed handlers go to the functions that import them, and what goes wrong comes to the screen."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ops.cli import loglines, output, records, samples
from ops.local.emulator import ROOT, Emulator
from ops.local.errors import LabError

if TYPE_CHECKING:
    from pathlib import Path

    from ops.cli.target import Target
    from ops.local.deployer import Code

_LOOK_SECONDS = 0.2
_SAMPLE_SECONDS = 60.0  # then nobody looks for an event any more
_LOOKS_PER_LOG = 5  # reading the logs is dearer than looking at the files


class Edits:
    """One session at the keyboard; `step` is a look, `run` looks until Ctrl-C."""

    def __init__(self, found: Target, code: Code) -> None:
        self._found = found
        self._code = code
        self._versions = code.sources.versions()
        self._moving = self._versions  # as they were at the last look: an editor may still be writing
        self._due: set[Path] = set()  # changed, and not with the functions yet
        self._sample: tuple[str, float] | None = None  # key of the event that is under way, and when it was sent
        self._tail = loglines.Tail(found, loglines.groups(found), int(time.time() * 1000))

    def run(self) -> None:
        """Look until Ctrl-C, or until the local cloud is gone.

        Raises:
            LabError: it is gone.
        """
        output.say("watching handlers/; Ctrl-C ends that, and the local cloud stays up")
        try:
            for look in itertools.count():
                self.step(logs=look % _LOOKS_PER_LOG == 0)
                time.sleep(_LOOK_SECONDS)
        except KeyboardInterrupt:
            output.say("no longer watching; the local cloud stays up, lab down stops it")

    def step(self, *, logs: bool = True) -> None:
        """Look once: at the files, at the event that was sent, and at the logs.

        Raises:
            LabError: the local cloud is gone.
        """
        versions = self._code.sources.versions()
        settled, self._moving = versions == self._moving, versions
        if settled and versions != self._versions:
            edited = {path for path, _ in versions.items() ^ self._versions.items()}
            self._due |= edited
            self._versions = versions
            self._update(edited)
        if self._sample:
            self._follow(*self._sample)
        if logs:
            self._tell()

    def _update(self, edited: set[Path]) -> None:
        output.say(f"{_now()} changed: {', '.join(sorted(str(path.relative_to(ROOT)) for path in edited))}")
        started = time.monotonic()
        try:
            updated = self._code.update(self._due)
        except LabError as error:
            output.say(f"{_now()} not updated: {error}")
            return
        self._due.clear()
        seconds = time.monotonic() - started
        output.say(f"{_now()} updated in {seconds:.1f} s: {', '.join(updated) or 'nothing, no function imports it'}")
        if not samples.FUNCTIONS.isdisjoint(updated):
            self._try_out()

    def _try_out(self) -> None:
        """Send an event through, so that an exception of the step shows at once."""
        if reason := samples.unwanted(self._found):
            output.say(f"{_now()} no sample event: {reason}")
            return
        try:
            self._sample = samples.send(self._found, 1)[0], time.monotonic()
        except LabError as error:
            output.say(f"{_now()} {error}")

    def _follow(self, key: str, sent: float) -> None:
        try:
            standing = samples.standing(self._found, key)
        except OSError as error:
            standing = str(error)
        seconds = time.monotonic() - sent
        if standing in records.FINAL or seconds > _SAMPLE_SECONDS:
            output.say(f"{_now()} sample event {standing} after {seconds:.1f} s")
            self._sample = None

    def _tell(self) -> None:
        emulator = self._found.emulator
        if emulator is None or Emulator.attach(emulator.home) != emulator:
            raise LabError("the local cloud is gone; start it again with: lab up --watch")
        for name, event in self._tail.new():
            for line in loglines.mishap(name, event, ROOT):
                output.say(line)


def _now() -> str:
    return datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]
