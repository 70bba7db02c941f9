"""The file by which a running emulator is found again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ops.local import processes
from ops.local.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    import psutil

_FILE = "emulator.json"


@dataclass(frozen=True, slots=True)
class Record:
    """Who the emulator of a home folder is."""

    pid: int
    started: float  # seconds since the epoch; tells this process from a later one with the same pid
    port: int
    root: str  # the checkout that started it

    @classmethod
    def read(cls, home: Path) -> Record | None:
        """The record in `home`; None where there is none, or what is there is not one."""
        try:
            return cls(**json.loads((home / _FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, home: Path) -> None:
        """Put it into `home`."""
        write_atomically(home / _FILE, json.dumps(asdict(self)))

    def process(self, home: Path) -> psutil.Process | None:
        """The recorded process, if it lives and is the emulator of `home`."""
        process = processes.same(self.pid, self.started)
        return process if process and processes.environment(process).get(processes.MARK) == str(home) else None


def remove(home: Path) -> None:
    """Take the record of `home` away."""
    (home / _FILE).unlink(missing_ok=True)
