"""The end of an invocation: what is kept free before it, and a time limit for code that does not watch the clock."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from handlers.errors import DeadlineExceededError

# Kept free of work before the deadline, in seconds.
HAND_BACK_SECONDS = 30  # redrive: letters are handed back, which takes its time where many were skipped
REPORT_SECONDS = 1.0  # alarm webhook: the failure is reported
_SETTLE_MS = 2000  # workers and ingest: outcomes are written; at most this share of the invocation
_SETTLE_SHARE = 5


def seconds_to_work(remaining_ms: int) -> float:
    """Seconds for business steps out of the milliseconds that an invocation has left: all but a fifth, at most 2 s."""
    return (remaining_ms - min(_SETTLE_MS, remaining_ms // _SETTLE_SHARE)) / 1000


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupts the block after `seconds` > 0, wherever it sleeps or waits, instead of letting Lambda kill all.

    A signal does it, so only in the main thread, where Lambda runs handlers; elsewhere there is no limit.

    Raises:
        DeadlineExceededError: the block was still running.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def expire(_signal: int, _frame: FrameType | None) -> None:
        raise DeadlineExceededError("the business step did not end before the invocation's deadline")

    previous = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
