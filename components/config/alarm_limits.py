"""The configuration key `alarms`: when alarms fire."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, with_config
from pydantic.alias_generators import to_camel

from components.config import aws_limits
from components.config.values import Limit, number, whole

_SHORT_PERIODS = (1, 5, 10, 20, 30)  # for metrics that are sent more often than once a minute
_LONGEST_PERIOD = 3600
_SHORT_WINDOW = 30  # for the same; those that go with it are periods of theirs
_TWELVE_MINUTES = 720
_LONGEST_WINDOW = aws_limits.DAY // 6  # the slow burn's is six times as long, and a period a day at most


def _multiple(seconds: int) -> int:
    if seconds % 60 and seconds not in _SHORT_PERIODS:
        raise ValueError(seconds)
    return seconds


def _divisible(seconds: int) -> int:
    """So that each window of the burn alarms is a period that CloudWatch takes."""
    if seconds % _TWELVE_MINUTES and seconds != _SHORT_WINDOW:
        raise ValueError(seconds)
    return seconds


_WINDOW = Limit(
    f"{_SHORT_WINDOW}, or a multiple of {_TWELVE_MINUTES} up to {_LONGEST_WINDOW}",
    (*whole(1, _LONGEST_WINDOW).constraints, AfterValidator(_divisible)),
)
_PERIOD = Limit(
    f"{', '.join(map(str, _SHORT_PERIODS))}, or a multiple of 60 up to {_LONGEST_PERIOD}",
    (*whole(1, _LONGEST_PERIOD).constraints, AfterValidator(_multiple)),
)
_Count = Annotated[int, whole(0, 1_000_000)]
# What lasts so long is seen by an alarm that looks back as far, a batch and the evaluation (a day at most) further.
_Age = Annotated[int, whole(1, aws_limits.LONGEST_EVALUATION - 2 * aws_limits.DAY)]


@with_config(ConfigDict(alias_generator=to_camel, extra="forbid"))
@dataclass(frozen=True, kw_only=True, slots=True)
class AlarmLimits:
    """From where on something is an alarm. Ages and periods in seconds."""

    period_seconds: Annotated[int, _PERIOD] = 60
    evaluation_periods: Annotated[int, whole(1, 24)] = 5
    dlq_depth: _Count = 0
    dlq_age_seconds: _Age = 300
    queue_age_seconds: _Age = 300
    backlog: _Count = 1000
    error_rate_percent: Annotated[float, number(0, 100)] = 1
    duration_percent: Annotated[int, whole(1, 100)] = 80
    attempts_per_event: Annotated[float, number(1, 100)] = 2
    objective_percent: Annotated[float, number(94, 100)] = 99.9
    objective_window_seconds: Annotated[int, _WINDOW] = 3600


PARTS = tuple(to_camel(part.name) for part in dataclasses.fields(AlarmLimits))
