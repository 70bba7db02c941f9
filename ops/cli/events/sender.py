"""Sends events through the API until each is taken or refused."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops.cli.api import ATTEMPTS, Answer, ApiClient, is_transient
from ops.cli.timing import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ops.cli.api import Identity

Event = dict[str, Any]

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

    keys: dict[int, str] = field(default_factory=dict)  # index -> idempotency key, of those that were taken
    refused: list[Refusal] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accept(self, index: int, key: str) -> None:
        """An event was taken."""
        with self._lock:
            self.keys[index] = key

    def refuse(self, refusal: Refusal) -> None:
        """An event was refused for good."""
        with self._lock:
            self.refused.append(refusal)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to send."""

    batch: bool  # through POST /events/batch, else POST /events
    rate: float  # events per second; 0 for as fast as it goes
    connections: int = 8


class Sender:
    """Sends a list of events on several connections; `stop` ends it after the calls in flight."""

    def __init__(
        self,
        api: str,
        plan: Plan,
        advance: Callable[[int], None] = lambda _: None,
        *,
        identity: Identity | None = None,
    ) -> None:
        self.tally = Tally()
        self._api = api
        self._identity = identity
        self._plan = plan
        self._advance = advance
        self._stopped = threading.Event()
        self._pace = Pace(plan.rate, self._stopped.wait)

    def send(self, events: Sequence[Event]) -> Tally:
        """Send them all; what Ctrl-C interrupts is in the tally as far as it came."""
        size = BATCH_LIMIT if self._plan.batch else 1
        entries = list(enumerate(events))
        chunks = deque(entries[start : start + size] for start in range(0, len(entries), size))
        connections = min(self._plan.connections, len(chunks))
        with ThreadPoolExecutor(connections) as pool:
            workers = [pool.submit(self._work, chunks) for _ in range(connections)]
            try:
                for worker in workers:
                    worker.result()
            except BaseException:
                self._stopped.set()
                raise
        return self.tally

    def _work(self, chunks: deque[list[tuple[int, Event]]]) -> None:
        client = ApiClient(self._api, self._identity)
        try:
            while not self._stopped.is_set():
                try:
                    chunk = chunks.popleft()
                except IndexError:
                    return
                self._pace.turn(len(chunk))  # all connections together keep the rate
                self._deliver(client, chunk)
                self._advance(len(chunk))
        finally:
            client.close()

    def _deliver(self, client: ApiClient, chunk: list[tuple[int, Event]]) -> None:
        """Send a chunk, and what of it deserves another try again, with full jitter."""
        for attempt in range(1, ATTEMPTS + 1):
            answer = self._post(client, [event for _, event in chunk])
            chunk = self._settle(chunk, answer, last=attempt == ATTEMPTS)
            if not chunk or self._stopped.wait(answer.pause(attempt)):
                return

    def _post(self, client: ApiClient, events: list[Event]) -> Answer:
        if self._plan.batch:
            return client.try_post("/events/batch", events)
        return client.try_post("/events", events[0])

    def _settle(self, chunk: list[tuple[int, Event]], answer: Answer, *, last: bool) -> list[tuple[int, Event]]:
        """Enter what is decided into the tally; returns what is to be sent again."""
        again: list[tuple[int, Event]] = []
        for entry, (status, body) in zip(chunk, _each(answer, len(chunk)), strict=True):
            if status == 202:
                self.tally.accept(entry[0], body["idempotencyKey"])
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
