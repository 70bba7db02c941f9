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


def _multiple(seconds: int) -> int:
    if seconds % 60 and seconds not in _SHORT_PERIODS:
        raise ValueError(seconds)
    return seconds


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


PARTS = tuple(to_camel(part.name) for part in dataclasses.fields(AlarmLimits))
