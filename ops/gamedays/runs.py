"""The runs on this machine: where they lie, who may run, and what is done about those that were killed."""

from __future__ import annotations

import contextlib
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ops.cli.target import LOCAL
from ops.gamedays import catalogue, changes, journal
from ops.gamedays.context import RefusedError
from ops.gamedays.journal import Journal, JournalError
from ops.gamedays.stack import Stack
from ops.local.files import BusyError, locked_within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ops.cli.target import Target
    from ops.gamedays.journal import Line
    from ops.gamedays.model import GameDay

_ASKED_SECONDS = 0.05


def folder(home: Path) -> Path:
    """Where the runs of all stacks lie."""
    return home / "gamedays"


def permit(target: Target) -> None:
    """Let pass what may be broken: the laptop's stack, and those with the failure lab, which production never has.

    Raises:
        RefusedError: it may not.
    """
    if target.stack != LOCAL and "FailureResetFunctionName" not in target.outputs:
        raise RefusedError(
            f"stack {target.stack!r} has failureInjection off, as every production stack: no GameDay may break it"
        )


def begin(home: Path, gameday: GameDay, tell: Callable[[Line], None] = lambda _: None) -> Journal:
    """A new run."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return Journal(folder(home) / f"{stamp}-{gameday.name}", tell)


def find(home: Path, run: str, tell: Callable[[Line], None] = lambda _: None) -> tuple[GameDay, Journal]:
    """A run that is there, and what it is a run of.

    Raises:
        JournalError: there is none of this name, or it has not begun.
    """
    place = folder(home) / run
    if run not in {one.name for one in journal.runs(folder(home))}:
        known = [one.name for one in journal.runs(folder(home))][-5:]
        raise JournalError(f"there is no run {run!r}; the latest are: {', '.join(known) or 'none'}")
    found = Journal(place, tell)
    if not found.lines:
        raise JournalError(f"the run {run!r} has not begun")
    return catalogue.named(found.lines[0]["name"]), found


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
            # Twice: who asks whether somebody runs any has it for a moment.
            held.enter_context(locked_within(place / f"{target.stack}.lock", _ASKED_SECONDS, lambda: None))
        except BusyError as error:
            raise RefusedError(f"another GameDay runs on stack {target.stack}; one at a time") from error
        yield


def is_busy(home: Path, stack: str) -> bool:
    """Whether somebody runs GameDays on a stack from here. Where nobody ever has, nothing is made by the question."""
    if not folder(home).exists():
        return False
    try:
        with locked_within(folder(home) / f"{stack}.lock", _ASKED_SECONDS, lambda: None):  # others ask, too
            return False
    except BusyError:
        return True


def spare(home: Path, stack: str) -> None:
    """Let pass a fault that is switched by hand, where it falsifies no GameDay.

    Raises:
        RefusedError: one runs on the stack, and counts on its own.
    """
    if is_busy(home, stack):
        raise RefusedError(
            f"a GameDay runs on stack {stack} and counts on its own fault: wait for its end, or stop it first"
            " (on its page in the console, or with Ctrl-C where it was started)"
        )


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
