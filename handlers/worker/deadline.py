"""A time limit for code that does not watch the clock itself."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from handlers.errors import DeadlineExceededError


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupts the block after ``seconds`` > 0, wherever it sleeps or waits, instead of letting Lambda kill all.

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
