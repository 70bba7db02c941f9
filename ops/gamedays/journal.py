"""A run on disk: one JSON line for each thing that happened, written before the next one does.

Every line has `t` (seconds since the epoch) and `kind`. What changes the stack is written down before it is done, as an
`undo`, so that whoever comes after a run that was killed can take it back.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Line = dict[str, Any]
FILE = "run.jsonl"


class JournalError(LabError):
    """There is no such run, or its file can't be read."""


class Journal:
    """The lines of one run, in its folder; `tell` hears each one that is added."""

    def __init__(self, folder: Path, tell: Callable[[Line], None] = lambda _: None) -> None:
        self.folder = folder
        self._tell = tell
        self._lock = threading.RLock()  # who is told may look at the journal
        self.lines: list[Line] = read(folder) if (folder / FILE).exists() else []

    @property
    def run(self) -> str:
        """The run's id, which is its folder's name."""
        return self.folder.name

    def add(self, kind: str, **fields: Any) -> Line:  # noqa: ANN401 - anything that JSON holds
        """Append a line; it is on the disk when this returns."""
        with self._lock:  # lines are told in the order in which they stand
            line: Line = {"t": round(time.time(), 3), "kind": kind, **fields}
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, separators=(",", ":")) + "\n")
                file.flush()
                os.fsync(file.fileno())
            self.lines.append(line)
            self._tell(line)
        return line

    def of(self, kind: str) -> list[Line]:
        """The lines of a kind, oldest first."""
        with self._lock:
            return [line for line in self.lines if line["kind"] == kind]

    def outstanding(self) -> list[Line]:
        """Changes that have not been taken back, the latest first."""
        done = {line["id"] for line in self.of("undone")}
        return [line for line in reversed(self.of("undo")) if line["id"] not in done]

    @property
    def is_over(self) -> bool:
        """Whether it has come to a verdict."""
        return bool(self.of("verdict"))


def read(folder: Path) -> list[Line]:
    """The lines of a run; a last one that a kill has cut short is left out.

    Raises:
        JournalError: there is no such run, or a line before the last is not JSON.
    """
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
    except OSError as error:
        raise JournalError(f"there is no run {folder.name} in {folder.parent}") from error
    lines = text.splitlines()
    found: list[Line] = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(json.loads(line))
        except ValueError as error:
            if number == len(lines):
                break
            raise JournalError(f"{folder / FILE}, line {number}: {error}") from error
    return found


def told(line: Line) -> str:  # noqa: PLR0911 - one for each kind of line
    """What a line says to people who watch; "" where it says nothing to them."""
    match line["kind"]:
        case "step" if line["state"] == "begun":
            return f"{line['step']}: {line['title']}"
        case "seen" if line["seconds"] >= 1:
            return f"  {line['what']} (after {line['seconds']:.0f} s)"
        case "note":
            return f"  {line['text']}"
        case "stopped":
            return f"stopped: {line['why']}"
        case "left":
            return f"  can't be rolled back: {line['what']}: {line['why']}"
        case "undone" if line["by"] == "rollback":
            return f"  rolled back: {line['what']}"
    return ""


def runs(folder: Path) -> Iterator[Path]:
    """Folders of all runs, the oldest first."""
    yield from sorted(one.parent for one in folder.glob(f"*/{FILE}"))
