"""How a test waits for what other processes do: often at first, then ever less.

Each look costs CPU, often in the very process that is waited for: a test that looks without pause slows down what it
waits for, and all tests beside it. The pause is a twentieth of the time waited so far, so little is lost by it.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_LEAST_SECONDS = 0.02
_MOST_SECONDS = 0.5


def until(probe: Callable[[], T], seconds: float) -> T:
    """The first truthy answer of `probe`, else its last one within that time."""
    began = time.monotonic()
    while not (answer := probe()):
        waited = time.monotonic() - began
        if waited > seconds:
            break
        time.sleep(min(max(_LEAST_SECONDS, waited / 20), _MOST_SECONDS))
    return answer
