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
    from ops.cli.target import Target
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
        return effective(self.failure)


def effective(failure: Mapping[str, Any] | None) -> str:
    """The mode of a failure lab that is on; "" where none is, or where there is no failure lab."""
    mode = str(failure["effective"]) if failure else "none"
    return "" if mode == "none" else mode


class Reader:
    """Reads a stack at most once in a while, whoever asks."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._of: object = None
        self._until = 0.0
        self._failure: Mapping[str, Any] | None = None
        self._failure_until = 0.0
        self._functions: Mapping[str, Mapping[str, int]] = {}
        self._functions_until = 0.0

    def read(self) -> Snapshot:
        """The stack as it stands, or stood a moment ago.

        Raises:
            TargetError: it is not there.
        """
        with self._lock:
            found = self._link.target
            if self._snapshot is None or self._of != found.api or time.monotonic() > self._until:
                if self._of != found.api:
                    self._functions_until = 0.0
                self._snapshot = self._look()
                self._of = found.api
                self._until = time.monotonic() + found.look_seconds
                self._failure, self._failure_until = self._snapshot.failure, self._until
            return self._snapshot

    def failure(self) -> Mapping[str, Any] | None:
        """The failure mode alone, which each page shows: one call, not all those of `read`.

        Raises:
            TargetError: the stack is not there.
        """
        with self._lock:
            found = self._link.target
            if time.monotonic() > self._failure_until:
                self._failure = _failure(found)
                self._failure_until = time.monotonic() + found.look_seconds
            return self._failure

    def forget(self) -> None:
        """Look again with the next call: something was changed from here."""
        with self._lock:
            self._until = self._failure_until = 0.0

    def _look(self) -> Snapshot:
        found, client = self._link.target, self._link.client
        now = datetime.now(UTC)
        consumers = status.consumers(client("lambda"), found.pipelines)
        return Snapshot(
            at=now,
            queues=status.queues(client("sqs"), found.pipelines),
            functions=self._counts(now),
            consumers=consumers,
            breakers=status.breakers(client("dynamodb"), found.outputs["ControlTableName"], consumers),
            alarms=alarms.read(client("cloudwatch"), found.stack),
            failure=_failure(found),
        )

    def _counts(self, now: datetime) -> Mapping[str, Mapping[str, int]]:
        """The functions' counts, read less often than the rest where each metric costs money."""
        if time.monotonic() > self._functions_until:
            found = self._link.target
            self._functions = watch.counts(self._link.client("cloudwatch"), status.function_names(found), now)
            self._functions_until = time.monotonic() + found.metric_seconds
        return self._functions


def _failure(found: Target) -> Mapping[str, Any] | None:
    return found.ask("GET", "/failure-mode") if "FailureResetFunctionName" in found.outputs else None
