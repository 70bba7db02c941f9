"""Sends events through the API until each is taken or refused."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from ops.cli.api import ATTEMPTS, Answer, ApiClient, is_transient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ops.cli.api import Identity
    from ops.load.scenario import Item

BATCH_LIMIT = 100  # events that POST /events/batch takes at once


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that was not taken."""

    index: int  # position among the events to send
    status: int  # 0: no answer
    reason: str


@dataclass(slots=True)
class Tally:
    """What has become of the events so far; complete when the sender returns."""

    keys: dict[int, str] = field(default_factory=dict)  # index -> idempotency key, of those that were accepted
    refused: list[Refusal] = field(default_factory=list)
    taken: int = 0  # events whose turn came
    latencies: list[float] = field(default_factory=list)  # seconds of each call, with its further attempts
    statuses: Counter[int] = field(default_factory=Counter)  # of all answers; 0: there was none
    latest: float = 0.0  # by how many seconds a call began after it was due
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accept(self, index: int, key: str) -> None:
        """An event was taken."""
        with self._lock:
            self.keys[index] = key

    def answered(self, status: int) -> None:
        """A call was answered."""
        with self._lock:
            self.statuses[status] += 1

    def late(self, seconds: float) -> None:
        """A call began so long after it was due."""
        with self._lock:
            self.latest = max(self.latest, seconds)

    def took(self, seconds: float) -> None:
        """A call has got its last answer so long after it was due."""
        with self._lock:
            self.latencies.append(seconds)

    def refuse(self, refusal: Refusal) -> None:
        """An event was refused for good."""
        with self._lock:
            self.refused.append(refusal)

    def copy(self) -> Tally:
        """As it is at this moment, while the sender goes on."""
        with self._lock:
            statuses = Counter(self.statuses)
            return Tally(dict(self.keys), [*self.refused], self.taken, [*self.latencies], statuses, self.latest)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to send."""

    batch: bool  # through POST /events/batch, else one by one
    rate: float  # events per second; 0 for as fast as answers come
    connections: int = 8  # calls in flight at most
    seconds: float | None = None  # nothing is sent later than this; None for no end
    path: str = "/events"  # of what goes one by one


class Clock:
    """Time, as the sender has it; its wait ends early, and returns True, when the sender is stopped."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Wait; returns whether the sender was stopped."""
        return self.stopped.wait(seconds)


class Sender:
    """Sends events on several connections; what Ctrl-C interrupts ends after the calls in flight.

    At a rate, each call is due at a moment of its own, whatever became of those before it, and its latency counts from
    that moment to its last answer: who waits for a slow API is not left out of the figures. Without a rate it
    counts from the call's beginning.
    """

    def __init__(
        self,
        api: str,
        plan: Plan,
        advance: Callable[[int], None] = lambda _: None,
        *,
        identity: Identity | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.tally = Tally()
        self._api = api
        self._identity = identity
        self._plan = plan
        self._advance = advance
        self._clock = clock or Clock()
        self._turns = threading.Lock()
        self._size = BATCH_LIMIT if plan.batch else 1
        if plan.rate:  # at least one call a second: else a short run is one burst
            self._size = min(self._size, max(1, int(plan.rate)))

    def send(self, items: Iterable[Item]) -> Tally:
        """Send them all, or those whose turn comes in time; the tally has what an interruption left undone, too."""
        entries = enumerate(items)
        began = self._clock.now()
        with ThreadPoolExecutor(self._plan.connections) as pool:
            workers = [pool.submit(self._work, entries, began) for _ in range(self._plan.connections)]
            try:
                for worker in workers:
                    worker.result()
            except BaseException:
                self._clock.stopped.set()
                raise
        return self.tally

    def _work(self, entries: Iterator[tuple[int, Item]], began: float) -> None:
        client: ApiClient | None = None
        try:
            while turn := self._turn(entries, began):
                chunk, due = turn
                if self._clock.wait(max(due - self._clock.now(), 0)):
                    return
                client = client or ApiClient(self._api, self._identity)
                self.tally.late(self._clock.now() - due)
                self._deliver(client, chunk)
                self.tally.took(self._clock.now() - due)
                self._advance(len(chunk))
        finally:
            if client:
                client.close()

    def _turn(self, entries: Iterator[tuple[int, Item]], began: float) -> tuple[list[tuple[int, Item]], float] | None:
        """The next call, and when it is due; None where nothing more is to be sent."""
        with self._turns:
            now = self._clock.now()
            due = began + self.tally.taken / self._plan.rate if self._plan.rate else now
            end = None if self._plan.seconds is None else began + self._plan.seconds
            if self._clock.stopped.is_set() or (end is not None and max(due, now) >= end):
                return None
            chunk = list(islice(entries, self._size))
            self.tally.taken += len(chunk)
            return (chunk, due) if chunk else None

    def _deliver(self, client: ApiClient, chunk: list[tuple[int, Item]]) -> None:
        """Send a chunk, and what of it deserves another try again, with full jitter."""
        for attempt in range(1, ATTEMPTS + 1):
            answer = self._post(client, [item for _, item in chunk])
            self.tally.answered(answer.status)
            chunk = self._settle(chunk, answer, last=attempt == ATTEMPTS)
            if not chunk or self._clock.wait(answer.pause(attempt)):
                return

    def _post(self, client: ApiClient, items: list[Item]) -> Answer:
        if self._plan.batch:
            return client.try_post("/events/batch", [item.body for item in items])
        return client.try_post(self._plan.path, items[0].body, items[0].headers)

    def _settle(self, chunk: list[tuple[int, Item]], answer: Answer, *, last: bool) -> list[tuple[int, Item]]:
        """Enter what is decided into the tally; returns what is to be sent again."""
        again: list[tuple[int, Item]] = []
        for entry, (status, body) in zip(chunk, _each(answer, len(chunk)), strict=True):
            if status == 202:
                self.tally.accept(entry[0], body["eventId" if self._plan.path == "/orders" else "idempotencyKey"])
            elif not last and is_transient(status):
                again.append(entry)
            else:
                self.tally.refuse(Refusal(entry[0], status, _reason(body)))
        return again


def _each(answer: Answer, count: int) -> list[tuple[int, Any]]:
    """Status and body for each event of a call: its own in an answered batch, else that of the call."""
    results = answer.body.get("results") if isinstance(answer.body, dict) else None
    if results is None:
        return [(answer.status, answer.body)] * count
    return [(result["status"], result) for result in sorted(results, key=lambda result: result["index"])]


def _reason(body: Any) -> str:  # noqa: ANN401 - as free as JSON
    if not isinstance(body, dict):
        return "no JSON in the answer"
    parts = [body.get("errorType"), body.get("error"), *(str(detail) for detail in body.get("details") or [])]
    return ": ".join(str(part) for part in parts if part)
