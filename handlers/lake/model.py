"""What a type of row is: its fields with their limits, as plain data. `event_time` belongs to every type.

A file in `handlers/lake/schemas` names the fields of one type; nothing else has to be touched for a new one.
"""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from handlers import jsontext

EVENT_TIME = "event_time"
RECORD_TYPE = "record_type"
FIRST_YEAR, LAST_YEAR = 1970, 2099  # times outside are placeholders and slips, not events
DAYS_AHEAD = 7  # of today: clocks that are fast and time zones make a day or two
_MAX_TEXT = 256
_MAX_INTEGER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Text:
    """A string of `minimum` to `maximum` characters."""

    name: str
    minimum: int = 1
    maximum: int = _MAX_TEXT

    def fault(self, value: jsontext.Json) -> str:
        """What is wrong with a value, "" where nothing is."""
        if not isinstance(value, str):
            return f"must be a string, got {jsontext.describe(value)}"
        if not self.minimum <= len(value) <= self.maximum:
            return f"must have {self.minimum} to {self.maximum} characters, got {len(value)}"
        return ""


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number, stored as a double. The limits are included."""

    name: str
    minimum: float | None = None
    maximum: float | None = None

    def fault(self, value: jsontext.Json) -> str:
        """What is wrong with a value, "" where nothing is."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"must be a number, got {jsontext.describe(value)}"
        if not math.isfinite(value):
            return "must be a finite number"
        return _limits(value, self.minimum, self.maximum)


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer of 64 bits, written without fraction or exponent. The limits are included."""

    name: str
    minimum: int | None = None
    maximum: int | None = None

    def fault(self, value: jsontext.Json) -> str:
        """What is wrong with a value, "" where nothing is."""
        if isinstance(value, bool) or not isinstance(value, int):
            return f"must be an integer, got {'a fraction' if isinstance(value, float) else jsontext.describe(value)}"
        if not -_MAX_INTEGER - 1 <= value <= _MAX_INTEGER:
            return "must fit 64 bits"
        return _limits(value, self.minimum, self.maximum)


Field = Text | Number | Integer


@dataclass(frozen=True, slots=True)
class RecordType:
    """A type of row. Every field is required; fields that are not named here are dropped.

    `rows_at` is a JSON pointer to the array of rows in each document, "" where the document itself is rows; None leaves
    that to what the document looks like.
    """

    name: str
    fields: tuple[Field, ...]
    rows_at: str | None = None


def parse_time(text: str) -> datetime | None:
    """An ISO 8601 time in UTC, to the microsecond; without an offset it is taken for UTC. None where it is no time."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return moment if FIRST_YEAR <= moment.year <= LAST_YEAR else None


@dataclass(frozen=True, slots=True)
class Times:
    """The times that rows may have: from `first` until before `after`. The tables look for no other days."""

    first: datetime
    after: datetime

    @classmethod
    def of_days(cls, start: date, now: datetime) -> "Times":
        """From the start of a day to the end of the last day ahead of `now`."""
        today = now.astimezone(UTC).date()
        return cls(_midnight(start), _midnight(today + timedelta(days=DAYS_AHEAD + 1)))

    def has(self, moment: datetime) -> bool:
        """Whether it is one of them."""
        return self.first <= moment < self.after


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


EVER = Times(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC))


def time_fault(value: jsontext.Json, times: Times = EVER) -> str:
    """What is wrong with an `event_time`, "" where nothing is."""
    if not isinstance(value, str):
        return f"must be a string, got {jsontext.describe(value)}"
    moment = parse_time(value)
    if moment is None:
        return f"must be an ISO 8601 time from {FIRST_YEAR} to {LAST_YEAR}, such as 2026-01-31T12:00:00Z"
    if not times.has(moment):
        last = times.after - timedelta(days=1)
        return f"must lie on a day from {times.first.date()} to {last.date()}, which is {DAYS_AHEAD} days ahead"
    return ""


def _limits(value: float, minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and value < minimum:
        return f"must be {minimum} or more"
    if maximum is not None and value > maximum:
        return f"must be {maximum} or less"
    return ""
