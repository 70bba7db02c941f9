"""Capped retries with full jitter, for the entries of a batch call that failed one by one.

Whole calls that fail are retried by botocore; a 200 whose body lists failed entries is not.
Source: "Exponential Backoff and Jitter", AWS Architecture Blog.
"""

import random
from collections.abc import Iterator
from time import sleep as pause

ATTEMPTS = 3
_BASE_SECONDS = 0.05
_CAP_SECONDS = 0.5


def backoff_seconds(attempt: int, *, base: float, cap: float) -> float:
    """Full jitter: anywhere from 0 to ``min(cap, base * 2**attempt)`` seconds; ``attempt`` counts from 0."""
    # 2**63 is past every cap; without it a large receive count would overflow a float.
    return random.uniform(0, min(cap, base * 2 ** min(attempt, 63)))  # noqa: S311 - spreads load, guards nothing


def attempts() -> Iterator[int]:
    """Yields 0, 1, 2 with a jittered pause before each but the first."""
    for attempt in range(ATTEMPTS):
        if attempt:
            pause(backoff_seconds(attempt - 1, base=_BASE_SECONDS, cap=_CAP_SECONDS))
        yield attempt
