"""Capped retries with full jitter, for what botocore does not repeat: entries of a batch call, calls of others.

Whole calls of AWS that fail are retried by botocore; a 200 whose body lists failed entries is not.
Source: "Exponential Backoff and Jitter", AWS Architecture Blog.
"""

import random
from collections.abc import Iterator
from time import sleep as pause

ATTEMPTS = 3
_BASE_SECONDS = 0.05
_CAP_SECONDS = 0.5


def backoff_seconds(attempt: int, *, base: float, cap: float) -> float:
    """Full jitter: anywhere from 0 to `min(cap, base * 2**attempt)` seconds; `attempt` counts from 0."""
    # 2**63 is past every cap; without it a large receive count would overflow a float.
    return random.uniform(0, min(cap, base * 2 ** min(attempt, 63)))  # noqa: S311 - spreads load, guards nothing


def attempts(most: int = ATTEMPTS, *, base: float = _BASE_SECONDS, cap: float = _CAP_SECONDS) -> Iterator[int]:
    """Yields 0, 1, 2 … with a jittered pause (seconds, see `backoff_seconds`) before each but the first."""
    for attempt in range(most):
        if attempt:
            pause(backoff_seconds(attempt - 1, base=base, cap=cap))
        yield attempt
