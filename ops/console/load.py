"""The load sender at work for the console: one run at a time, in threads of the console's own."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from ops.cli.events.sender import Clock, Plan, Sender, Tally
from ops.load import figures
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops.cli.target import Target
    from ops.load.scenario import Scenario

_SHOWN_REASONS = 5

State: TypeAlias = Literal["SENDING", "STOPPING", "SENT", "STOPPED", "FAILED"]


class BusyError(LabError):
    """A load is being sent already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a load has come. `latencies` are percentiles in ms; `histogram` has upper bounds in ms, and calls."""

    state: State
    error: str  # why it has ended before everything was sent, where nobody has asked for that
    scenario: Scenario
    plan: Plan
    total: int
    seconds: float
    taken: int
    accepted: int
    repeated: int  # of the accepted, those that are an earlier one once more
    refused: int
    reasons: Sequence[tuple[str, int]]
    answers: Mapping[int, int]
    late: float  # seconds by which a call began after it was due
    latencies: Mapping[str, float]
    histogram: Sequence[tuple[float, int]]

    @property
    def is_live(self) -> bool:
        """Whether it goes on."""
        return self.state in ("SENDING", "STOPPING")


@dataclass(slots=True)
class _Work:
    """A load that was started."""

    scenario: Scenario
    plan: Plan
    total: int
    sender: Sender
    clock: Clock
    began: float = field(default_factory=time.monotonic)
    end: Progress | None = None

    def run(self) -> None:
        error = ""
        try:
            self.sender.send(self.scenario.item(number) for number in range(self.total))
        except Exception as failure:  # noqa: BLE001 - told on the page: nobody waits for this thread
            error = str(failure) or type(failure).__name__
        state: State = "FAILED" if error else "STOPPED" if self.clock.stopped.is_set() else "SENT"
        if state == "SENT" and (left := self.total - self.sender.tally.taken):
            state, error = "STOPPED", f"its time was over: {left:,} were not sent"
        self.end = self._progress(state, error)
        self.sender.tally = Tally()  # each key and each latency of a long run is much to keep

    def progress(self) -> Progress:
        now = self._progress("STOPPING" if self.clock.stopped.is_set() else "SENDING")
        return self.end or now

    def _progress(self, state: State, error: str = "") -> Progress:
        tally = self.sender.tally.copy()
        reasons = Counter(f"{one.reason} ({one.status or 'no answer'})" for one in tally.refused)
        return Progress(
            state=state,
            error=error,
            scenario=self.scenario,
            plan=self.plan,
            total=self.total,
            seconds=time.monotonic() - self.began,
            taken=tally.taken,
            accepted=len(tally.keys),
            repeated=len(tally.keys) - len(set(tally.keys.values())),
            refused=len(tally.refused),
            reasons=reasons.most_common(_SHOWN_REASONS),
            answers=dict(sorted(tally.statuses.items())),
            late=tally.latest,
            latencies=figures.summary(tally.latencies),
            histogram=figures.histogram(tally.latencies),
        )


class Load:
    """Sends, stops, and says how far it is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._work: _Work | None = None

    @property
    def is_live(self) -> bool:
        """Whether it sends."""
        return self._work is not None and self._work.end is None

    def start(self, found: Target, scenario: Scenario, plan: Plan, total: int) -> None:
        """Begin to send; it goes on whatever page is open.

        Raises:
            BusyError: it sends already.
        """
        with self._lock:
            if self.is_live:
                raise BusyError("a load is being sent already: stop it first")
            clock = Clock()
            sender = Sender(found.api, plan, identity=found.identity, clock=clock)
            self._work = _Work(scenario, plan, total, sender, clock)
            threading.Thread(target=self._work.run).start()

    def stop(self) -> None:
        """End it after the calls in flight."""
        with self._lock:
            if self._work:
                self._work.clock.stopped.set()

    def progress(self) -> Progress | None:
        """The load that is being sent, or was sent last; None where there was none."""
        return self._work.progress() if self._work else None
