"""Time as the records write it: epoch milliseconds inside, RFC 3339 UTC outside."""

import re
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime.fromtimestamp(0, UTC)
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z")


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def iso(milliseconds: int) -> str:
    """RFC 3339 in UTC with milliseconds: `2026-01-02T03:04:05.678Z`."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03}Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    """Most times of a batch are of the same second."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[: -len("+00:00")]


def from_iso(text: str) -> int | None:
    """The milliseconds since the epoch of a time in exactly the form of `iso`, None where it is no such time.

    The form alone is not enough: `2026-99-99T99:99:99.999Z` has it.
    """
    try:
        moment = datetime.fromisoformat(text) if _ISO.fullmatch(text) else None
    except ValueError:
        return None
    return (moment - _EPOCH) // timedelta(milliseconds=1) if moment else None
