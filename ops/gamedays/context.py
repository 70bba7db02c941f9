"""What the steps of a GameDay have at hand: changes are written down first, waits have a deadline and an abort."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from ops.cli.api import ApiError
from ops.cli.letters import LetterError
from ops.gamedays import changes
from ops.gamedays.ledger import SUCCEEDED, Letter, Told
from ops.gamedays.recording import FINAL, Recording, facts_to
from ops.gamedays.stack import StackError, with_file
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from ops.gamedays.journal import Journal, Line
    from ops.gamedays.ledger import Facts
    from ops.gamedays.model import GameDay
    from ops.gamedays.sampler import Sampler
    from ops.gamedays.stack import Stack, Taken

T = TypeVar("T")

FAILURES = (ApiError, LetterError, StackError, BotoCoreError, ClientError, OSError)  # of a call of the stack

MARK = "gameday"  # the field of an event by which a fault finds its own
_POLL_SECONDS = 0.25
_WAIT_SECONDS = 60.0
_LISTEN_SECONDS = 60.0


class GameDayError(LabError):
    """A GameDay could not go on."""


class MissedError(GameDayError):
    """What had to happen did not, within its time."""


class AbortedError(GameDayError):
    """The abort rule has stopped it."""


class RefusedError(GameDayError):
    """A safety rule forbids it to begin."""


class Context:
    """One run on one stack, for its steps."""

    def __init__(self, gameday: GameDay, stack: Stack, journal: Journal, sampler: Sampler) -> None:
        self.gameday = gameday
        self.stack = stack
        self.journal = journal
        self._sampler = sampler
        self._step = 0

    @property
    def run(self) -> str:
        """The run's id: what it sends begins with it."""
        return self.journal.run

    def at_step(self, number: int) -> None:
        """Name the step that changes belong to."""
        self._step = number

    def note(self, text: str) -> None:
        """Say what is seen."""
        self.journal.add("note", text=text)

    # waiting

    def until(self, what: str, probe: Callable[[], T], *, seconds: float = _WAIT_SECONDS) -> T:
        """The first truthy answer of `probe`.

        Raises:
            MissedError: there was none within `seconds` (of the laptop; on AWS more).
            AbortedError: an alarm fired that nobody expects, or the run has taken too long.
        """
        began = time.monotonic()
        limit = seconds * self.stack.patience
        deadline = began + limit
        while True:
            if why := self._sampler.abort:
                raise AbortedError(why)
            failure = ""
            try:
                if answer := probe():
                    self.journal.add("seen", what=what, seconds=round(time.monotonic() - began, 1))
                    return answer
            except FAILURES as error:  # a look may fail; the next one tells
                failure = f" ({type(error).__name__}: {error})"
            if time.monotonic() > deadline:
                raise MissedError(f"not seen within {limit:.0f} s: {what}{failure}")
            time.sleep(_POLL_SECONDS * (1 if self.stack.is_laptop else 8))

    def alarms(self, *names: str) -> None:
        """Wait until each of these has been seen in ALARM since the injection."""
        for name in names:
            self.until(f"alarm {name} fires", lambda name=name: name in self._sampler.seen, seconds=90)  # type: ignore[misc]

    def quiet(self) -> None:
        """Wait until no alarm that this GameDay makes is in ALARM, in two looks."""
        self.until("the alarms are over", lambda: self._sampler.quiet >= 2, seconds=120)

    # a caller's part

    def send(self, keys: Sequence[str], group: str, **fields: object) -> list[str]:
        """Send an event for each key; returns the accepted ids. Sending them again is safe: it is the same events."""
        events = [{"idempotencyKey": key, "orderId": key, "amount": 1, MARK: self.run, **fields} for key in keys]
        batches = [events[start : start + 10] for start in range(0, len(events), 10)]
        return self._accept(group, self.stack.post("/events/batch", batches))

    def order(self, count: int, group: str, sku: str = "ABC-1") -> list[str]:
        """Place orders; returns the ids of their events."""
        keys = self.keys(count, group)
        return self._accept(group, self.stack.post("/orders", [self.order_body(key, sku) for key in keys], keys))

    def order_body(self, key: str, sku: str = "ABC-1") -> dict[str, object]:
        """An order as it is placed."""
        return {"orderId": key, "customerId": self.run, "items": [{"sku": sku, "qty": 1}]}

    def upload(self, group: str, files: Mapping[str, bytes]) -> list[str]:
        """Upload objects of bronze, by what follows the run's folder; returns the ids of their chunks."""
        puts = (self.stack.put_object(f"bronze/shipments/{self.run}/{name}", body) for name, body in files.items())
        return self._accept(group, puts)

    def keys(self, count: int, group: str) -> list[str]:
        """The keys of a group."""
        return [f"{self.run}-{group}-{number:03}" for number in range(count)]

    def try_orders(self, keys: Sequence[str]) -> None:
        """Place an order for each key, once, and note what it is answered: whoever is refused has nothing accepted."""
        statuses = [self.stack.try_once("/orders", self.order_body(key), key) for key in keys]
        self.journal.add("refused", statuses=[one for one in statuses if one != 202])

    def ids(self, group: str) -> frozenset[str]:
        """The accepted ids of a group."""
        return Recording(self.journal.lines).group(group)

    def _accept(self, group: str, taken: Iterable[Taken]) -> list[str]:
        ids: list[str] = []
        for one in taken:
            self.journal.add("accepted", group=group, at=one.at, ms=one.milliseconds, count=one.count, ids=one.ids)
            ids += one.ids
        return ids

    # an operator's part

    def change(self, what: str, apply: Callable[[], object], **data: Any) -> None:  # noqa: ANN401 - JSON
        """Change the stack, once it is written down what takes it back (`changes.revert`)."""
        number = len(self.journal.of("undo"))
        self.journal.add("undo", id=number, what=what, data=data, step=self._step)
        apply()

    def revert(self, *kinds: str) -> None:
        """Take back the changes of these kinds, the latest first."""
        for line in self.journal.outstanding():
            if line["what"] in kinds:
                self._revert(line, "repair")

    def roll_back(self) -> None:
        """Take back all that is still changed, the latest first. What can't be is told, and keeps nothing else."""
        for line in self.journal.outstanding():
            try:
                self._revert(line, "rollback")
            except FAILURES as error:
                self.journal.add("left", what=line["what"], why=f"{type(error).__name__}: {error}")

    def _revert(self, line: Line, by: str) -> None:
        if line["what"] == "capture":
            self._listen_to_the_end()  # what it has not heard by then, a resumed run could never know
        changes.revert(self.stack, self.journal.folder, line["what"], line["data"])
        self.journal.add("undone", id=line["id"], what=line["what"], by=by)

    def fault(self, mode: str, **match: object) -> None:
        """Switch a failure mode on for the run's own events; it ends by itself should nobody come back."""
        seconds = round(self.gameday.limit_seconds * self.stack.patience)
        body = {"mode": mode, "ttlSeconds": seconds, "match": {MARK: self.run, **match}}
        self.change("failure mode", lambda: self.stack.target.ask("POST", "/failure-mode", body))
        time.sleep(changes.CACHE_SECONDS)  # until then a function may act on what it has read

    def deploy(self, function: str, path: str, text: str) -> None:
        """Deploy a function with one file of its code replaced."""
        original = self.original(function)
        self.change(
            "code",
            lambda: self.stack.put_code(function, with_file(original, path, text)),
            function=function,
            file=f"{function}.zip",
        )

    def original(self, function: str) -> bytes:
        """The zip that a function had when the run began; it is kept, to be put back."""
        file = self.journal.folder / f"{function}.zip"
        if not file.exists():
            file.write_bytes(self.stack.code(function))
        return file.read_bytes()

    def redrive(self, *, pipeline: str = "", **asked: object) -> dict[str, Any]:
        """Start a redrive and wait for its end; what it says of itself is written down, to be compared."""
        name = pipeline or self.stack.pipeline
        started = self.stack.target.ask("POST", "/redrive/start", {"pipeline": name, "maxMessages": 1000, **asked})

        def ended() -> dict[str, Any]:
            found = self.stack.target.ask("GET", f"/redrive/{started['redriveId']}?limit=1")
            return {} if found["state"] == "RUNNING" else found

        run = self.until(f"redrive {started['redriveId']} ends", ended, seconds=90)
        self.journal.add(
            "redrive",
            pipeline=name,
            asked=asked,
            state=run["state"],
            counts=run["counts"],
            reason=run.get("reason", ""),
        )
        return run

    def settled(self, ids: Collection[str], status: str = SUCCEEDED, *, seconds: float = _WAIT_SECONDS) -> None:
        """Wait until the state table has each of them with this status."""

        def all_there() -> bool:
            found = self.stack.records(ids)
            return len(found) == len(set(ids)) and all(one.status == status for one in found.values())

        self.until(f"{len(set(ids))} events are {status}", all_there, seconds=seconds)

    def buried(self, count: int, role: str = "dlq") -> None:
        """Wait until so many letters are on a dead-letter queue."""
        self.until(f"{count} letters on {role}", lambda: sum(self.stack.depth(role).values()) >= count)

    def look(self, moment: str = FINAL) -> Facts:
        """Note what the primary sources say now. The last look waits for the success events, which come a bit later."""
        accepted = Recording(self.journal.lines).accepted
        if moment == FINAL:
            self.until("the queue is empty, and each success was told", self._all_told)
        told = [one for one in self._told() if one.id in accepted]  # the bus is everybody's
        facts = self.stack.facts(list(accepted), told, self._disposed())
        if not self.stack.is_laptop:  # others use the stack, too
            facts = replace(facts, letters=tuple(one for one in facts.letters if one.id in accepted))
        self.journal.add("facts", moment=moment, **facts_to(facts))
        return facts

    def dispose(self, ids: Collection[str], why: str) -> None:
        """Delete letters that nothing can repair, once they are in the book."""
        found = [letter for letter in self.stack.letters() if letter.id in ids]
        self.journal.add("disposed", why=why, letters=[asdict(letter) for letter in found])
        self.stack.delete_letters(ids)

    def _listen_to_the_end(self) -> None:
        deadline = time.monotonic() + _LISTEN_SECONDS * self.stack.patience
        while not self._all_told() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _all_told(self) -> bool:
        """Whether nothing waits any more, and each success was told."""
        told = {one.id for one in self._told()}
        records = self.stack.records(list(Recording(self.journal.lines).accepted))
        done = {one for one, record in records.items() if record.status == SUCCEEDED}
        return done <= told and not sum(self.stack.depth().values())

    def captures(self) -> list[str]:
        """URLs of the queues that capture success events now; those of before an interruption are gone."""
        held = {line["data"]["name"] for line in self.journal.outstanding() if line["what"] == "capture"}
        return [line["url"] for line in self.journal.of("capturing") if line["name"] in held]

    def _disposed(self) -> Sequence[Letter]:
        return [Letter(**one) for line in self.journal.of("disposed") for one in line["letters"]]

    def _told(self) -> list[Told]:
        """The success events that were captured so far.

        All of them: one may be told whose 202 was lost with an interruption, and is accepted when it is sent again.
        """
        for url in self.captures():
            if heard := self.stack.heard(url):
                self.journal.add("told", told=[asdict(one) for one in heard])
        return [Told(**one) for line in self.journal.of("told") for one in line["told"]]
