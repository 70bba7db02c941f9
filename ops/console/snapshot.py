"""How a stack stands at a moment, read once for all pages that ask at nearly the same one."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops.cli import alarms, status, watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops.cli.alarms import AlarmState
    from ops.console.link import Link


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A stack at a moment. `functions` has the counts of the last five minutes."""

    at: datetime
    queues: Mapping[str, Mapping[str, Mapping[str, int]]]  # pipeline -> role -> visible, inFlight, delayed
    functions: Mapping[str, Mapping[str, int]]  # name -> invocations, errors, throttles
    consumers: Mapping[str, str]  # pipeline -> state of what feeds its worker
    breakers: Mapping[str, str]  # pipeline -> CLOSED, OPEN, HALF_OPEN
    alarms: Sequence[AlarmState]
    failure: Mapping[str, Any] | None  # the failure mode; None where the stack has no failure lab

    @property
    def mode(self) -> str:
        """The failure mode that is on; "" where none is."""
        effective = str(self.failure["effective"]) if self.failure else "none"
        return "" if effective == "none" else effective


class Reader:
    """Reads a stack at most once in a while, whoever asks."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._of: object = None
        self._until = 0.0

    def read(self) -> Snapshot:
        """The stack as it stands, or stood a moment ago.

        Raises:
            TargetError: it is not there.
        """
        with self._lock:
            found = self._link.target
            if self._snapshot is None or self._of != found.api or time.monotonic() > self._until:
                self._snapshot = self._look()
                self._of = found.api
                self._until = time.monotonic() + found.look_seconds
            return self._snapshot

    def forget(self) -> None:
        """Look again with the next call: something was changed from here."""
        with self._lock:
            self._until = 0.0

    def _look(self) -> Snapshot:
        found, client = self._link.target, self._link.client
        now = datetime.now(UTC)
        consumers = status.consumers(client("lambda"), found.pipelines)
        has_failures = "FailureResetFunctionName" in found.outputs
        return Snapshot(
            at=now,
            queues=status.queues(client("sqs"), found.pipelines),
            functions=watch.counts(client("cloudwatch"), status.function_names(found), now),
            consumers=consumers,
            breakers=status.breakers(client("dynamodb"), found.outputs["ControlTableName"], consumers),
            alarms=alarms.read(client("cloudwatch"), found.stack),
            failure=found.ask("GET", "/failure-mode") if has_failures else None,
        )
