"""How a deployment stands: of which files it was made, and whether anything has been changed since.

Running the program to find that it would change nothing takes seconds, most of them for loading Pulumi. What a
deployment was made of, and the state of the account after it, is noted in a file beside its state; where all of that is
as it was, the deployment is as well. Whatever could not be looked at counts as changed.
"""

from __future__ import annotations

import hashlib
import json
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.local.files import write_atomically

if TYPE_CHECKING:
    from ops.local.emulator import Emulator

CODE = "handlers"
# Parts of the code that the program itself reads, to make resources of them.
_DECLARES = ("handlers/lake/schemas/",)
_FOLDERS = ("components", CODE, "ops")  # the deployer, too: another one makes other resources
_FILES = ("__main__.py", "Pulumi*.yaml", "pyproject.toml", "uv.lock")


@dataclass(frozen=True, slots=True)
class Standing:
    """All that a deployment depends on, at one moment.

    `files` are digests by path, `tools` is what runs the program, `account` tells the emulator's life and how many
    changes there were in it, `state` is a digest of what the deployer remembers.
    """

    files: dict[str, str]
    tools: str
    account: str
    state: str

    def edited(self, before: Standing) -> frozenset[str] | None:
        """The files that differ from those of `before`; None where anything else does."""
        if (self.tools, self.account, self.state) != (before.tools, before.account, before.state):
            return None
        return frozenset(path for path, _ in self.files.items() ^ before.files.items())


def look(root: Path, emulator: Emulator, state_file: Path) -> Standing | None:
    """How the program in `root` and the account stand now; None where that can't be told."""
    account = emulator.changes()
    try:
        state = _digest(state_file) if state_file.exists() else ""  # nothing is deployed yet
        return Standing(_digests(root), _tools(), account, state) if account else None
    except OSError:  # an editor replaces files
        return None


def is_code(path: str) -> bool:
    """Whether a change of this file is one of functions' code and of nothing else."""
    return path.startswith(f"{CODE}/") and path.endswith(".py") and not path.startswith(_DECLARES)


def read(state_file: Path) -> Standing | None:
    """What was noted of the deployment; None where nothing was, or it can't be read."""
    try:
        document: dict[str, Any] = json.loads(_note(state_file).read_text(encoding="utf-8"))
        return Standing(dict(document["files"]), document["tools"], document["account"], document["state"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def note(root: Path, emulator: Emulator, state_file: Path, before: Standing | None) -> None:
    """Note how a deployment stands that is finished; `before` is how all stood when it began.

    Nothing is noted where a file or the account was changed meanwhile: the deployment may be of before or after that.
    """
    forget(state_file)
    after = look(root, emulator, state_file)
    if before is None or after is None:
        return
    if (after.files, after.tools, after.account) == (before.files, before.tools, before.account):
        write_atomically(
            _note(state_file), json.dumps({name: getattr(after, name) for name in Standing.__slots__}, indent=0)
        )


def forget(state_file: Path) -> None:
    """Take away what was noted."""
    _note(state_file).unlink(missing_ok=True)


def _note(state_file: Path) -> Path:
    return state_file.with_suffix(".standing.json")


def _digests(root: Path) -> dict[str, str]:
    paths = [path for pattern in _FILES for path in root.glob(pattern)]
    for folder in _FOLDERS:
        paths += (path for path in (root / folder).rglob("*") if path.suffix != ".pyc" and path.is_file())
    return {path.relative_to(root).as_posix(): _digest(path) for path in sorted(paths)}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tools() -> str:
    """The interpreter, and when anything was installed for it or taken away."""
    packages = Path(sysconfig.get_path("purelib"))
    return f"{sys.version} {packages} {packages.stat().st_mtime_ns}"
