"""The soak's ledger: what was accepted, as its sender knows it, against what is found, by data alone."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

CAUSES = {"broken": "BrokenError", "repairable": "RepairableError"}  # of what is to be dead-lettered, by drill
_DIED = "WorkerDiedError"


@dataclass(frozen=True, slots=True)
class Accepted:
    """An event that got a 202: what its sender made it do, and the key that the API answered."""

    drill: str
    key: str


@dataclass(frozen=True, slots=True)
class Record:
    """A state record. Times in ms."""

    status: str
    attempts: int
    processed_at: int
    error_type: str = ""
    is_final: bool = False  # whether the last attempt lived to write how it ended


@dataclass(frozen=True, slots=True)
class Facts:
    """What is found. Records by key; effects (name, ms), letters (name, cause) and told (key, event id) in order."""

    records: Mapping[str, Record]
    effects: Sequence[tuple[str, int]]
    letters: Sequence[tuple[str, str]]
    told: Sequence[tuple[str, str]]
    waiting: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """Accepted events by name, and the facts; once ``repaired``, what was repairable is to have succeeded."""

    accepted: Mapping[str, Accepted]
    facts: Facts
    repaired: bool = False

    def faults(self) -> list[str]:
        """Every entry that does not come out even, in words; none is what the pipeline promises."""
        return [*self._ends(), *self._work(), *self._telling(), *self._strangers()]

    def lines(self) -> list[str]:
        """The figures."""
        succeeded, dead = self._succeeded(), {name for name, _ in self.facts.letters}
        effects = Counter(name for name, _ in self.facts.effects)
        ids = {event_id for _, event_id in self.facts.told}
        lost = self.accepted.keys() - succeeded - dead
        causes = ", ".join(f"{count} {cause or 'no cause'}" for cause, count in sorted(self._causes().items()))
        late = len([*self._late()])
        again = sum(effects.values()) - len(effects)
        keys = {key for key, _ in self.facts.told}
        return [
            f"accepted {len(self.accepted)}: succeeded {len(succeeded - dead)}, dead {len(dead)}, lost {len(lost)}",
            f"in flight: {self.facts.waiting} messages",
            f"dead-lettered: {causes or 'none'}; good, by deaths of workers: {sorted(self._felled_drills().items())}",
            f"side effects of {len(effects)} events; again after a death {again}, after a success {late}",
            f"success events {len(self.facts.told)} under {len(ids)} ids for {len(keys)} keys",
        ]

    def felled(self) -> dict[str, str]:
        """Good events whose workers died until they were given up, with the cause on the letter or of the record.

        Either we have counted the deaths, or SQS has moved the message after a receive of which nobody wrote the end.
        """
        moved = {name for name, cause in self.facts.letters if not cause}
        return {
            name: cause
            for name, cause in self.causes().items()
            if name in self.accepted
            and not self._expected(name)
            and (record := self._record(name))
            and (cause == _DIED or (name in moved and not record.is_final))
        }

    def causes(self) -> dict[str, str]:
        """The cause of each letter; where SQS has moved it, that of its record."""
        known = {name: self._record(name) for name, _ in self.facts.letters if name in self.accepted}
        return {
            name: cause or (record.error_type if (record := known.get(name)) else "")
            for name, cause in self.facts.letters
        }

    def _felled_drills(self) -> Counter[str]:
        return Counter(self.accepted[name].drill for name in self.felled())

    def _expected(self, name: str) -> str:
        """The cause with which an event is to be dead; "" is to succeed."""
        drill = self.accepted[name].drill
        return "" if self.repaired and drill == "repairable" else CAUSES.get(drill, "")

    def _record(self, name: str) -> Record | None:
        return self.facts.records.get(self.accepted[name].key)

    def _tries(self, name: str) -> int:
        record = self._record(name)
        return record.attempts if record else 0

    def _succeeded(self) -> set[str]:
        return {name for name in self.accepted if (record := self._record(name)) and record.status == "SUCCEEDED"}

    def _causes(self) -> Counter[str]:
        return Counter(self.causes().values())

    def _ends(self) -> Iterator[str]:
        if self.facts.waiting:
            yield f"{self.facts.waiting} messages are still waiting"
        succeeded, letters = self._succeeded(), {name: set[str]() for name, _ in self.facts.letters}
        by_record = self.causes()
        for name, cause in self.facts.letters:
            letters[name].add(cause or by_record[name])
        felled = self.felled()
        for name in self.accepted:
            expected, causes = self._expected(name), letters.get(name, set())
            if name not in succeeded and not causes:
                yield f"{name} is lost: neither SUCCEEDED nor dead-lettered"
            elif expected and (name in succeeded or causes != {expected}):
                yield f"{name} ended otherwise than dead with {expected}: {sorted(causes)}"
            elif causes and not expected and name not in felled:
                yield f"{name} is good and dead with {sorted(causes)}"

    def _late(self) -> Iterator[str]:
        for name, at in self.facts.effects:
            record = self._record(name) if name in self.accepted else None
            if record and record.status == "SUCCEEDED" and at > record.processed_at:
                yield f"{name} was worked after it had SUCCEEDED"

    def _work(self) -> Iterator[str]:
        effects = Counter(name for name, _ in self.facts.effects)
        for name in self._succeeded():
            if not 1 <= effects[name] <= self._tries(name):
                yield f"{name} had {effects[name]} side effects in {self._tries(name)} attempts"
        yield from self._late()

    def _telling(self) -> Iterator[str]:
        ids: dict[str, set[str]] = {}
        for key, event_id in self.facts.told:
            ids.setdefault(key, set()).add(event_id)
        succeeded = {self.accepted[name].key for name in self._succeeded()}
        for key in succeeded | ids.keys():
            if len(ids.get(key, ())) != (key in succeeded):
                yield f"the success of {key} was told under {len(ids.get(key, ()))} ids"

    def _strangers(self) -> Iterator[str]:
        keys = {one.key for one in self.accepted.values()}
        if len(keys) != len(self.accepted):
            yield f"{len(self.accepted)} events have {len(keys)} keys"
        yield from (f"{key} has a record and was never accepted" for key in self.facts.records.keys() - keys)
        names = {name for name, _ in [*self.facts.effects, *self.facts.letters]}
        yield from (f"{name} was found and never accepted" for name in names - self.accepted.keys())
