"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["ok", "problem", "could-not-check"]


@dataclass(frozen=True, slots=True)
class Check:
    """What was found, and what mends it where it is not as it has to be."""

    name: str
    state: State
    found: str
    mend: str = ""


def ok(name: str, found: str) -> Check:
    """As it has to be."""
    return Check(name, "ok", found)


def problem(name: str, found: str, mend: str) -> Check:
    """Not as it has to be."""
    return Check(name, "problem", found, mend)


def unknown(name: str, why: str, mend: str) -> Check:
    """Nobody knows: that is never taken for `ok`."""
    return Check(name, "could-not-check", why, mend)
