"""Files that survive being interrupted, and locks that die with their holder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_POLL_SECONDS = 0.1


class BusyError(LabError):
    """Somebody else holds the lock."""


class NotAFileError(LabError):
    """Where a file is to be written stands something else."""


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` by `text`: a reader, or a kill at any moment, sees the old content or the new, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


@contextmanager
def written_atomically(path: Path) -> Iterator[BinaryIO]:
    """A file to write that becomes `path` when the block ends well; else nothing of it stays.

    A link leads to the file that is replaced.

    Raises:
        NotAFileError: at `path` is something else than a file: a folder, a device, a pipe.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise NotAFileError(f"{path} is there and is no file: choose another name")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked_within(path: Path, seconds: float, wait: Callable[[], None]) -> Iterator[None]:
    """Hold an exclusive lock on `path`; `wait` is called once where somebody else has it.

    Raises:
        BusyError: somebody else still holds it after so many seconds.
    """
    deadline = time.monotonic() + seconds
    waiting = False
    while True:
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(locked(path, wait=False))
            except BusyError:
                if time.monotonic() > deadline:
                    raise
            else:
                yield
                return
        if not waiting:
            wait()
        waiting = True
        time.sleep(_POLL_SECONDS)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the system drops it when the process dies.

    Raises:
        BusyError: somebody else holds it and `wait` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            raise BusyError(f"{path} is locked by another process") from busy
        yield
