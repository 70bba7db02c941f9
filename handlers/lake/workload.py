"""What to do where the time of an invocation is over: too much to work is another thing than too long a wait."""

import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from handlers.errors import DeadlineExceededError
from handlers.lake.errors import TooMuchWorkError

# A function of less than 1,769 MB has only a share of a processor, so that the busiest one looks half idle.
_BUSY = 1 / 3
P = ParamSpec("P")
R = TypeVar("R")


def refuse_too_much(step: Callable[P, R]) -> Callable[P, R]:
    """Makes the end of an invocation's time permanent where the step was busy: it would be too short for all attempts.

    A step that spent its time waiting for S3 is repeated.
    """

    @wraps(step)
    def watched(*args: P.args, **kwargs: P.kwargs) -> R:
        started, busy = time.monotonic(), time.process_time()
        try:
            return step(*args, **kwargs)
        except DeadlineExceededError as exc:
            took, worked = time.monotonic() - started, time.process_time() - busy
            if worked < _BUSY * took:
                raise
            raise TooMuchWorkError(
                f"working it took more than the {took:.0f} s that there were, {worked:.0f} of them busy: "
                "upload it as smaller objects or as plain JSON Lines, or give the function more memory"
            ) from exc

    return watched
