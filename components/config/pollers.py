"""The configuration key `provisionedPollers`: how many event pollers are kept ready for the events queue."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, with_config

from components.config import aws_limits
from components.config.values import whole


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, kw_only=True, slots=True)
class Pollers:
    """The least and the most event pollers of a mapping; both 0 for none, which is Lambda's default mode."""

    minimum: Annotated[int, whole(0, aws_limits.MAX_MINIMUM_POLLERS)] = 0
    maximum: Annotated[int, whole(0, aws_limits.MAX_POLLERS)] = 0

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self.minimum > 0 or self.maximum > 0

    @property
    def is_whole(self) -> bool:
        """Whether Lambda takes them: both, and in order."""
        return aws_limits.MIN_POLLERS <= self.minimum <= self.maximum

    @property
    def concurrency(self) -> int:
        """The invocations that they may make at once."""
        return self.maximum * aws_limits.POLLER_CONCURRENCY


NO_POLLERS = Pollers()
PARTS = tuple(part.name for part in dataclasses.fields(Pollers))
