"""The runs on this machine: where they lie, who may run, and what is done about those that were killed."""

from __future__ import annotations

import contextlib
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ops.gamedays import catalogue, changes, journal
from ops.gamedays.context import RefusedError
from ops.gamedays.journal import Journal, JournalError
from ops.gamedays.stack import Stack
from ops.local.files import BusyError, locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ops.cli.target import Target
    from ops.gamedays.journal import Line
    from ops.gamedays.model import GameDay


def folder(home: Path) -> Path:
    """Where the runs of all stacks lie."""
    return home / "gamedays"


def begin(home: Path, gameday: GameDay, tell: Callable[[Line], None]) -> Journal:
    """A new run."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return Journal(folder(home) / f"{stamp}-{gameday.name}", tell)


def find(home: Path, run: str, tell: Callable[[Line], None] = lambda _: None) -> tuple[GameDay, Journal]:
    """A run that is there, and what it is a run of.

    Raises:
        JournalError: there is none of this name.
    """
    place = folder(home) / run
    if run not in {one.name for one in journal.runs(folder(home))}:
        known = [one.name for one in journal.runs(folder(home))][-5:]
        raise JournalError(f"there is no run {run!r}; the latest are: {', '.join(known) or 'none'}")
    return catalogue.named(journal.read(place)[0]["name"]), Journal(place, tell)


@contextmanager
def alone(home: Path, target: Target) -> Iterator[None]:
    """Nobody else runs GameDays on the stack from here while the block runs.

    Raises:
        RefusedError: somebody does.
    """
    place = folder(home)
    place.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(place / f"{target.stack}.lock", wait=False))
        except BusyError as error:
            raise RefusedError(f"another GameDay runs on stack {target.stack}; one at a time") from error
        yield


def recover(home: Path, target: Target, *, but: str = "") -> list[str]:
    """Roll back every run on the stack that was killed, but the one that is about to go on; returns which."""
    recovered = []
    for place in journal.runs(folder(home)):
        found = Journal(place)
        head = found.of("run")
        if place.name == but or not head or head[0]["stack"] != target.stack or not found.outstanding():
            continue
        gone = head[0]["life"] != target.life  # the laptop's stack has been made anew: nothing of it is left
        stack = Stack(target, catalogue.named(head[0]["name"]).pipeline)
        for line in found.outstanding():
            if not gone:
                changes.revert(stack, place, line["what"], line["data"])
            found.add("undone", id=line["id"], what=line["what"], by="rollback")
        recovered.append(place.name)
    return recovered
