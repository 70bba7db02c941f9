"""The emulator's own virtual environment.

Functions run on the interpreter and the site-packages of the emulator, so these hold just what the Lambda runtime has:
in the project's environment a dependency that is missing from the zip would go unnoticed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import uv

from ops.local.errors import LabError
from ops.local.files import locked, write_atomically

_FOLDER = ".venv-emulator"
_MAIN = Path(__file__).with_name("ministack_main.py")
_WHAT = ("--only-group", "emulator", "--no-install-project")
_STAMP = "complete"  # written last: without it the environment counts as half-built


class VenvError(LabError):
    """The environment could not be built."""


def is_built(root: Path) -> bool:
    """Whether the environment under `root` is complete and made from the present uv.lock."""
    stamp = root / _FOLDER / _STAMP
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == _stamp_text(root) and python(root).exists()


def python(root: Path) -> Path:
    """The environment's interpreter, on which functions run."""
    return root / _FOLDER / "bin" / "python"


def ensure(root: Path) -> tuple[Path | str, ...]:
    """The command that starts the emulator, building or repairing its environment when needed.

    Raises:
        VenvError: uv failed twice, the second time from nothing; the message holds uv's own words.
    """
    with locked(root / ".build" / "emulator-venv.lock"):
        if not is_built(root):
            _build(root)
    return python(root), "-P", _MAIN  # -P: the folder of the file is no place to import from


def _build(root: Path) -> None:
    folder = root / _FOLDER
    (folder / _STAMP).unlink(missing_ok=True)
    if _sync(root).returncode != 0:  # what an interrupted build left may be beyond repair: once more, from nothing
        shutil.rmtree(folder, ignore_errors=True)
        again = _sync(root)
        if again.returncode != 0:
            why = "because the disk is full" if os.strerror(errno.ENOSPC) in again.stderr else "as uv says"
            raise VenvError(f"could not build {folder}, {why}:\n{again.stderr.strip()}")
    write_atomically(folder / _STAMP, _stamp_text(root))


def _sync(root: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    return subprocess.run(
        [uv.find_uv_bin(), "sync", "--frozen", *_WHAT, "--python", sys.executable],
        cwd=root,
        env=environment | {"UV_PROJECT_ENVIRONMENT": str(root / _FOLDER)},
        capture_output=True,
        text=True,
        check=False,
    )


def _stamp_text(root: Path) -> str:
    lock = hashlib.sha256((root / "uv.lock").read_bytes()).hexdigest()
    # The folder too: scripts hold absolute paths, so a checkout that was moved must build anew.
    return f"{lock} {sys.version_info.major}.{sys.version_info.minor} {root / _FOLDER}"
