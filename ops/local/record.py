"""The file by which a running emulator is found again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ops.local import processes
from ops.local.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    import psutil

_FILE = "emulator.json"
_MOST = {"pid": 2**31 - 1, "port": 2**16 - 1}


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
            document = json.loads((home / _FILE).read_text(encoding="utf-8"))
            return cls(**document) if _is_sound(document) else None
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def write(self, home: Path) -> None:
        """Put it into `home`."""
        write_atomically(home / _FILE, json.dumps(asdict(self)))

    def process(self, home: Path) -> psutil.Process | None:
        """The recorded process, if it lives and is the emulator of `home`."""
        process = processes.same(self.pid, self.started)
        return process if process and processes.environment(process).get(processes.MARK) == str(home) else None


def is_broken(home: Path) -> bool:
    """Whether something is in the place of a record that is none."""
    return (home / _FILE).exists() and Record.read(home) is None


def _is_sound(document: dict[str, Any]) -> bool:
    """Whether the values can be what they are named for: anybody may have edited the file."""
    whole = all(type(document.get(name)) is int and 0 < document[name] <= most for name, most in _MOST.items())
    return whole and type(document.get("started")) in (int, float) and isinstance(document.get("root"), str)


def remove(home: Path) -> None:
    """Take the record of `home` away."""
    (home / _FILE).unlink(missing_ok=True)
