"""The conservation ledger: what was accepted, as its sender knows it, against what is found. By data alone.

Every accepted id is in exactly one column, so accepted = succeeded + dead-lettered + in flight + lost, whatever is
found. What makes the ledger uneven is told in words by `faults`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SUCCEEDED = "SUCCEEDED"
FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Record:
    """A state record. `processed_at` in seconds since the epoch, 0 where there is none."""

    status: str
    attempts: int
    processed_at: float = 0.0
    error_type: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: whose it is, and its cause ("" where SQS itself has moved it)."""

    id: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A success event that the bus has delivered: whose it is, and its own id, which a repetition shares."""

    id: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is found at one moment, in the primary sources. `waiting` is what SQS says is in the main queue."""

    records: Mapping[str, Record] = field(default_factory=dict)
    letters: Sequence[Letter] = ()
    told: Sequence[Told] = ()
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Ledger:
    """The accepted ids, and the facts."""

    accepted: frozenset[str]
    facts: Facts

    @property
    def succeeded(self) -> frozenset[str]:
        """What has a record that says so. A letter of it that is left over makes the ledger uneven (`faults`)."""
        records = self.facts.records
        return frozenset(one for one in self.accepted if one in records and records[one].status == SUCCEEDED)

    @property
    def dead(self) -> frozenset[str]:
        """What is on a dead-letter queue and has not succeeded."""
        return frozenset(letter.id for letter in self.facts.letters if letter.id in self.accepted) - self.succeeded

    @property
    def open(self) -> frozenset[str]:
        """What is neither: in flight as far as the queue has messages, else lost."""
        return self.accepted - self.succeeded - self.dead

    @property
    def in_flight(self) -> int:
        """How much of what is open may be in the queue still."""
        return min(len(self.open), max(0, self.facts.waiting))

    @property
    def lost(self) -> int:
        """How much of what is open the queue can't have."""
        return len(self.open) - self.in_flight

    def columns(self) -> dict[str, int]:
        """The figures; the first is the sum of the others."""
        return {
            "accepted": len(self.accepted),
            "succeeded": len(self.succeeded),
            "deadLettered": len(self.dead),
            "inFlight": self.in_flight,
            "lost": self.lost,
        }

    def faults(self) -> list[str]:
        """Every entry that does not come out even, in words."""
        return [*self._lost(), *self._doubly_ended(), *self._effects(), *self._strangers()]

    def _lost(self) -> Iterator[str]:
        if self.lost:
            yield (
                f"{self.lost} of {len(self.open)} open events are lost: neither SUCCEEDED nor dead-lettered, and the"
                f" queue holds {self.facts.waiting} messages: {_some(self.open)}"
            )

    def _doubly_ended(self) -> Iterator[str]:
        left = {letter.id for letter in self.facts.letters} & self.succeeded
        if left:
            yield f"{len(left)} events have SUCCEEDED and are dead-lettered, too: {_some(left)}"

    def _effects(self) -> Iterator[str]:
        """Success is told under one id, of what has succeeded and of nothing else."""
        ids: dict[str, set[str]] = {}
        for told in self.facts.told:
            if told.id in self.accepted:
                ids.setdefault(told.id, set()).add(told.event_id)
        untold = self.succeeded - ids.keys()
        if untold:
            yield f"{len(untold)} successes were never told: {_some(untold)}"
        early = ids.keys() - self.succeeded
        if early:
            yield f"{len(early)} events were told as successes and have not SUCCEEDED: {_some(early)}"
        twice = {one for one, told in ids.items() if len(told) > 1}
        if twice:
            yield f"{len(twice)} events were processed twice: their success has several event ids: {_some(twice)}"

    def _strangers(self) -> Iterator[str]:
        found = {*self.facts.records, *(one.id for one in self.facts.letters), *(one.id for one in self.facts.told)}
        if strangers := found - self.accepted:
            yield f"{len(strangers)} events were found and never accepted: {_some(strangers)}"

    def repeated(self) -> int:
        """How many success events came again under their own id: allowed, the bus delivers at least once."""
        seen = Counter((one.id, one.event_id) for one in self.facts.told)
        return sum(seen.values()) - len(seen)


def _some(ids: frozenset[str] | set[str]) -> str:
    shown = sorted(ids)[:3]
    return ", ".join(shown) + (" …" if len(ids) > len(shown) else "")
