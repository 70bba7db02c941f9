"""What has been deployed, remembered in a file that is right at every moment."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops.local.deployer.errors import DeployError
from ops.local.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Deployed:
    """One resource as it was last deployed."""

    type: str
    name: str  # logical
    id: str
    inputs: dict[str, Any]  # as registered; digests stand for secrets and archives
    outputs: dict[str, Any]  # what AWS added to the inputs

    @property
    def key(self) -> str:
        """Identity within a deployment."""
        return f"{self.type}::{self.name}"


def _entry(document: dict[str, Any]) -> Deployed:
    entry = Deployed(**document)
    texts, objects = (entry.type, entry.name, entry.id), (entry.inputs, entry.outputs)
    if not all(isinstance(one, str) for one in texts) or not all(isinstance(one, dict) for one in objects):
        raise TypeError(f"{document} is no resource")
    return entry


@dataclass(slots=True)
class State:
    """The deployed resources of one stack at one endpoint, in the order in which they were made; safe for threads."""

    path: Path
    endpoint: str
    resources: dict[str, Deployed] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)  # the stack's
    _lines: dict[str, str] = field(default_factory=dict)  # resources as written: each is put into words once
    _lock: threading.Lock = field(default_factory=threading.Lock)  # of all that is in memory
    _file: threading.Lock = field(default_factory=threading.Lock)
    _changes: int = 0
    _written: int = 0  # of the changes

    @classmethod
    def load(cls, path: Path, endpoint: str) -> State:
        """Read `path`; state of another endpoint is of no use, since ids and URLs belong to it.

        Raises:
            DeployError: the file is not a state file.
        """
        if not path.exists():
            return cls(path, endpoint)
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            entries = [_entry(entry) for entry in document["resources"]]
            recorded, outputs = document["endpoint"], dict(document["outputs"])
        except (ValueError, KeyError, TypeError) as error:
            raise DeployError(
                f"{path} is not a state file of the deployer; to begin anew, without what is deployed: lab down, lab up"
            ) from error
        if recorded != endpoint:
            return cls(path, endpoint)
        return cls(path, endpoint, {entry.key: entry for entry in entries}, outputs)

    def put(self, deployed: Deployed) -> None:
        """Remember a resource at once: a kill right after loses nothing."""
        with self._lock:
            self.resources[deployed.key] = deployed
            self._lines.pop(deployed.key, None)
            change = self._changed()
        self._write(change)

    def drop(self, key: str) -> None:
        """Forget a resource that was deleted."""
        with self._lock:
            self.resources.pop(key, None)
            self._lines.pop(key, None)
            change = self._changed()
        self._write(change)

    def finish(self, outputs: dict[str, Any]) -> None:
        """Remember the outputs of the stack."""
        with self._lock:
            self.outputs = outputs
            change = self._changed()
        self._write(change)

    def _changed(self) -> int:
        self._changes += 1
        return self._changes

    def _write(self, change: int) -> None:
        """Return once the file has this change; who waits here for another's writing finds its own done with it."""
        with self._file:
            if self._written >= change:
                return
            with self._lock:
                text, changes = self._text(), self._changes
            write_atomically(self.path, text)
            self._written = changes

    def _text(self) -> str:
        lines = [self._line(entry) for entry in self.resources.values()]
        head = json.dumps({"endpoint": self.endpoint, "outputs": self.outputs})
        return f'{head[:-1]}, "resources": [\n' + ",\n".join(lines) + "\n]}\n"

    def _line(self, entry: Deployed) -> str:
        key = entry.key
        if key not in self._lines:
            self._lines[key] = json.dumps({name: getattr(entry, name) for name in Deployed.__slots__})
        return self._lines[key]
