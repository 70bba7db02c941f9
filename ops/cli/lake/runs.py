"""A replay under way: what is done of it, in a file that outlives an interruption."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ops.local.errors import LabError
from ops.local.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one object: `skipped` says why it was not replayed."""

    messages: int = 0
    skipped: str = ""


@dataclass(slots=True)
class Run:
    """How far a replay has come; `last_key` is the last object that is done. `resumed`: it began earlier."""

    id: str
    end: str  # of the window: fixed when the replay begins, so that what it writes itself does not join
    last_key: str = ""
    objects: int = 0
    bytes: int = 0
    messages: int = 0
    skipped: dict[str, int] = field(default_factory=dict)  # reason -> objects
    resumed: bool = field(default=False, compare=False)

    def enter(self, key: str, size: int, outcome: Outcome) -> None:
        """One more object is done."""
        self.last_key = key
        self.messages += outcome.messages
        if outcome.skipped:
            self.skipped[outcome.skipped] = self.skipped.get(outcome.skipped, 0) + 1
        else:
            self.objects += 1
            self.bytes += size


class RunFile:
    """The file of a replay. A replay is known by what was asked for, so the same command finds it again."""

    def __init__(self, folder: Path, asked: Mapping[str, object]) -> None:
        name = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:16]
        self._path = folder / f"{asked['command']}-{name}.json"
        self._asked = asked

    @property
    def lock(self) -> Path:
        """What keeps a second process from the same replay."""
        return self._path.with_suffix(".lock")

    def load(self, end: datetime, *, anew: bool) -> Run:
        """The replay that was interrupted, or a new one, whose window ends at `end`.

        Raises:
            LabError: the file is not one of ours.
        """
        if not anew and self._path.exists():
            try:
                saved = json.loads(self._path.read_text(encoding="utf-8"))["run"]
                return Run(**saved | {"resumed": True})
            except (ValueError, TypeError, KeyError) as error:
                raise LabError(f"can't read {self._path}: {error}; --restart starts over") from error
        moment = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
        return Run(id=f"rp-{moment}-{uuid.uuid4().hex[:8]}", end=end.isoformat())

    def save(self, run: Run) -> None:
        """Remember how far it has come."""
        saved = {name: value for name, value in asdict(run).items() if name != "resumed"}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, json.dumps({"asked": self._asked, "run": saved}, default=str))

    def forget(self) -> None:
        """The replay is over."""
        self._path.unlink(missing_ok=True)
