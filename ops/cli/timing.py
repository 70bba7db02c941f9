"""Times as people type them, and keeping a rate."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

from ops.cli import output


class Pace:
    """Keeps a rate (per second, 0 for none), also across threads."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._turns = threading.Lock()
        self._next = 0.0

    def turn(self, count: int = 1) -> None:
        """Wait until `count` more may be done."""
        if not self._rate or not count:
            return
        with self._turns:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + count / self._rate
        time.sleep(turn - now)


def moment(option: str, text: str) -> datetime:
    """Return the time that an option names, in UTC where it names no zone; leaves with an error when it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        output.misuse(f"{option} must be a date or a time, as in 2026-01-31 or 2026-01-31T12:00:00Z, got {text!r}")
    return found if found.tzinfo else found.replace(tzinfo=UTC)
