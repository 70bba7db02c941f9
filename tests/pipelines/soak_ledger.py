"""The soak's ledger: what was accepted, as its sender knows it, against what is found, by data alone."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

CAUSES = {"broken": "BrokenError", "repairable": "RepairableError"}  # of what is to be dead-lettered, by drill
DIED = "died"  # how a receive ended that no worker lived to tell of
_MESSAGE = re.compile(r'"messageId":"([^"]+)"')
_GIVEN_UP = "WorkerDiedError"
_DEATHS_TO_BE_GIVEN_UP = 2  # at least: one with others and one alone
_NO_TIME = "exhausted DeadlineExceededError"
_WASTED = {"held", "handed_back", "leased", _NO_TIME}  # receives that were no attempt, though their worker lived


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
class Letter:
    """A dead letter: its event, its cause ("": SQS has moved it), and how each receive of its message ended."""

    name: str
    cause: str
    receives: tuple[str, ...] = ()

    def is_by_deaths(self, *, may_waste: int) -> bool:
        """Whether workers that died are what made it, and no more receives than may be that a living one has wasted.

        One that is given up has died often enough. SQS moves one after its last receive: that was no failure of its own
        then, unless the death before it cost it the wait for the end of an outage.
        """
        deaths = self.receives.count(DIED)
        if self.cause:
            return self.cause == _GIVEN_UP and deaths >= _DEATHS_TO_BE_GIVEN_UP
        if not deaths or sum(end in _WASTED for end in self.receives) > may_waste:
            return False
        last = self.receives[-1]
        failed = last.startswith(("retried", "exhausted")) and last != _NO_TIME
        return not failed or self.receives[-2] == DIED


@dataclass(frozen=True, slots=True)
class Facts:
    """What is found. Records by key; effects (name, ms), letters, and told (key, event id) in order."""

    records: Mapping[str, Record]
    effects: Sequence[tuple[str, int]]
    letters: Sequence[Letter]
    told: Sequence[tuple[str, str]]
    waiting: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """Accepted events by name, and the facts; once ``repaired``, what was repairable is to have succeeded.

    ``may_waste`` is how many receives of a good event that is dead may have been spent by a living worker, unworked.
    """

    accepted: Mapping[str, Accepted]
    facts: Facts
    repaired: bool = False
    may_waste: int = 1

    def faults(self) -> list[str]:
        """Every entry that does not come out even, in words; none is what the pipeline promises."""
        return [*self._ends(), *self._work(), *self._telling(), *self._strangers()]

    def lines(self) -> list[str]:
        """The figures."""
        succeeded, dead = self._succeeded(), {one.name for one in self.facts.letters}
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
        """Good events that are dead because their workers died, with the cause on the letter or of the record."""
        good = self.good_letters()
        others = {letter.name for letter in good if not letter.is_by_deaths(may_waste=self.may_waste)}
        causes = self.causes()
        return {letter.name: causes[letter.name] for letter in good if letter.name not in others}

    def good_letters(self) -> list[Letter]:
        """The letters of accepted events that were to succeed."""
        return [one for one in self.facts.letters if one.name in self.accepted and not self._expected(one.name)]

    def obituaries(self) -> Iterator[str]:
        """Of each good event's letter how its receives ended, and what its record says."""
        for letter in sorted(self.good_letters(), key=lambda one: one.name):
            record = self._record(letter.name)
            said = f"{record.status} {record.error_type}, attempts {record.attempts}" if record else "none"
            final = ", final" if record and record.is_final else ""
            is_explained = letter.is_by_deaths(may_waste=self.may_waste)
            drill, why = self.accepted[letter.name].drill, "by deaths" if is_explained else "UNEXPLAINED"
            by, ends = letter.cause or "by SQS", ", ".join(letter.receives)
            yield f"{letter.name} ({drill}) {why}: letter {by}; receives: {ends}; record {said}{final}"

    def causes(self) -> dict[str, str]:
        """The cause of each letter; where SQS has moved it, that of its record."""
        known = {one.name: self._record(one.name) for one in self.facts.letters if one.name in self.accepted}
        return {
            one.name: one.cause or (record.error_type if (record := known.get(one.name)) else "")
            for one in self.facts.letters
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
        succeeded, letters = self._succeeded(), {one.name: set[str]() for one in self.facts.letters}
        by_record = self.causes()
        for one in self.facts.letters:
            letters[one.name].add(one.cause or by_record[one.name])
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
        names = {name for name, _ in self.facts.effects} | {one.name for one in self.facts.letters}
        yield from (f"{name} was found and never accepted" for name in names - self.accepted.keys())


def receives(log: Iterable[str], of: Container[str]) -> dict[str, dict[int, str]]:
    """How each receive of these messages ended, by message id and receive count, as a worker's log tells it.

    It is told once all is done that follows from it. What is missing is a receive whose worker died before.
    """
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for line in log:
        if '"receiveCount"' not in line or not (named := _MESSAGE.search(line)) or named[1] not in of:
            continue
        with suppress(ValueError):  # a process that was killed while it printed
            told = json.loads(line[line.index("{") :])
            end = f"{told['outcome']} {told.get('errorType', '')}".strip()
            found[told["messageId"]][told["receiveCount"]] = end
    return dict(found)
