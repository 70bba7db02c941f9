"""Every GameDay there is. Those that stand first begin first: they take longest, or have most in their way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.gamedays import (
    bad_deploy,
    broken_file,
    duplicates,
    outage,
    random_failures,
    redrive_gone_wrong,
    schema_break,
    slow_downstream,
    throttling,
    undelivered,
)
from ops.local.errors import LabError

if TYPE_CHECKING:
    from ops.gamedays.model import GameDay

ALL: tuple[GameDay, ...] = (
    schema_break.GAMEDAY,
    slow_downstream.GAMEDAY,
    random_failures.GAMEDAY,
    duplicates.GAMEDAY,
    outage.GAMEDAY,
    throttling.GAMEDAY,
    redrive_gone_wrong.GAMEDAY,
    bad_deploy.GAMEDAY,
    undelivered.GAMEDAY,
    broken_file.GAMEDAY,
)


class UnknownGameDayError(LabError):
    """There is none of this name."""


def named(name: str) -> GameDay:
    """The GameDay of a name.

    Raises:
        UnknownGameDayError: there is none; the message names those that there are.
    """
    for one in ALL:
        if one.name == name:
            return one
    raise UnknownGameDayError(f"there is no GameDay {name!r}; there are: {', '.join(one.name for one in ALL)}")
