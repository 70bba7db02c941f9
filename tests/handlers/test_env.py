"""The environment of a function: typed, and every fault told at once."""

from dataclasses import dataclass

import pytest

from handlers import env


@dataclass(frozen=True)
class Sample:
    """One field of each type that an environment may have."""

    queue_url: str
    ttl_days: int
    backoff_seconds: float


def test_fields_come_from_their_names_in_capitals() -> None:
    """Each in its type; other variables are left alone."""
    environ = {"QUEUE_URL": "u", "TTL_DAYS": "7", "BACKOFF_SECONDS": "0.5", "PATH": "/bin"}

    assert env.load(Sample, environ) == Sample("u", 7, 0.5)
    assert env.variable_names(Sample) == {"QUEUE_URL", "TTL_DAYS", "BACKOFF_SECONDS"}


def test_every_fault_is_told_at_once() -> None:
    """Missing, empty and malformed variables in one error."""
    with pytest.raises(env.EnvError) as error:
        env.load(Sample, {"QUEUE_URL": "", "TTL_DAYS": "seven"})

    assert str(error.value) == (
        "QUEUE_URL is not set; TTL_DAYS must be an integer, got 'seven'; BACKOFF_SECONDS is not set"
    )
