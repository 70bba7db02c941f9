"""What a type of row is: its fields with their limits, as plain data. `event_time` belongs to every type.

A file in `handlers/lake/schemas` names the fields of one type; nothing else has to be touched for a new one.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as Exact
from decimal import InvalidOperation
from typing import Literal, Self, get_args

from handlers import jsontext

EVENT_TIME = "event_time"
RECORD_TYPE = "record_type"
DT = "dt"
FIRST_YEAR, LAST_YEAR = 1970, 2099  # times outside are placeholders and slips, not events
FIRST_DATE = date(1583, 1, 1)  # readers take earlier days by different calendars
DAYS_AHEAD = 7  # of today: clocks that are fast and time zones make a day or two
_MAX_TEXT = 256
_MAX_JSON = 65_536
_MAX_ITEMS = 1000
_MAX_INTEGER = 2**63 - 1
_MAX_PRECISION = 38
_MAX_DEPTH = 4
# What Glue, Athena, DuckDB and Spark all take for a column without quotes; Glue keeps tables and columns in lower case.
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,127}")
_TYPE_NAME = re.compile("[a-z][a-z0-9_]{0,63}")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
Form = Literal["iso", "s", "ms"]  # of a time


class Written(float):
    """A number with a fraction or an exponent, which knows how it was written."""

    text: str

    def __new__(cls, text: str) -> Self:
        """The nearest double of a JSON number."""
        number = super().__new__(cls, text)
        number.text = text
        return number


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a row: its column in silver.

    `source` is its name in the row where that is another one. One that is `optional` may be missing or null, and is
    null in silver.
    """

    name: str
    optional: bool = field(default=False, kw_only=True)
    source: str = field(default="", kw_only=True)

    @property
    def key(self) -> str:
        """Its name in the row."""
        return self.source or self.name

    @property
    def is_lifted(self) -> bool:
        """Whether rows have to be read by Python first, for what Arrow's reader takes in no form."""
        return False

    def lift(self, raw: str) -> str:
        """A value's JSON text as Arrow is to read it, where the field is lifted."""
        return raw

    def faults(self, value: jsontext.Json, pointer: str) -> Sequence[str]:
        """What is wrong with a value, each with its pointer."""
        fault = self.fault(value) if value is not None else "" if self.optional else "is required"
        return [f"{pointer} {fault}"] if fault else ()

    def fault(self, value: jsontext.Json) -> str:
        """What is wrong with a value that is there, "" where nothing is."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Text(Field):
    """A string of `minimum` to `maximum` characters."""

    minimum: int = 1
    maximum: int = _MAX_TEXT

    def fault(self, value: jsontext.Json) -> str:
        """What is wrong with a value, "" where nothing is."""
        if not isinstance(value, str):
            return f"must be a string, got {describe(value)}"
        if not self.minimum <= len(value) <= self.maximum:
            return f"must have {self.minimum} to {self.maximum} characters, got {len(value)}"
        return ""


@dataclass(frozen=True, slots=True)
class Number(Field):
    """A finite number, stored as a double. The limits are included. With `from_text` also `"1.5"`."""

    minimum: float | None = None
    maximum: float | None = None
    from_text: bool = False

    @property
    def is_lifted(self) -> bool:
        """Whether texts are numbers, too."""
        return self.from_text

    def lift(self, raw: str) -> str:
        """A text that is a JSON number becomes one."""
        return _unquoted(raw)

    def fault(self, value: jsontext.Json) -> str:
        """What is wrong with a value, "" where nothing is."""
        if self.from_text and isinstance(value, str) and _NUMBER.fullmatch(value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"must be a number, got {describe(value)}"
        try:
            if not math.isfinite(value):
                return "must be a finite number"
        except OverflowError:
            return "must be a finite number"
        return _limits(value, self.minimum, self.maximum)


@dataclass(frozen=True, slots=True)
class Integer(Field):
    """An integer of 64 bits, written without fraction or exponent; with `from_text` also `"7"`. Limits are included."""

    minimum: int | None = None
    maximum: int | None = None
    from_text: bool = False

    @property
    def is_lifted(self) -> bool:
        """Whether texts are numbers, too."""
        return self.from_text

    def lift(self, raw: str) -> str:
        """A text that is a JSON number becomes one."""
        return _unquoted(raw)

    def fault(self, value: jsontext.Json) -> str:
        """What is wrong with a value, "" where nothing is."""
        if self.from_text and isinstance(value, str) and (number := _NUMBER.fullmatch(value)):
            value = float(value) if number[2] or number[3] else int(value[:400])
        if isinstance(value, bool) or not isinstance(value, int):
            return f"must be an integer, got {'a fraction' if isinstance(value, float) else describe(value)}"
        if not -_MAX_INTEGER - 1 <= value <= _MAX_INTEGER:
            return "must fit 64 bits"
        return _limits(value, self.minimum, self.maximum)


@dataclass(frozen=True, slots=True)
class Decimal(Field):
    """An exact number of `precision` digits, `scale` of them behind the point: money. The limits are included.

    It is written as a number or as a text (`12.5`, `"12.50"`). One that would have to be rounded is bad: what reads the
    row by a double or cuts it would find another amount.
    """

    precision: int
    scale: int
    minimum: int | None = None
    maximum: int | None = None

    def __post_init__(self) -> None:
        """Refuses what Parquet's readers do not take."""
        if not (0 <= self.scale <= self.precision and 1 <= self.precision <= _MAX_PRECISION):
            raise ValueError(
                f"{self.name} must have a precision of 1 to {_MAX_PRECISION} and a scale of 0 to that, "
                f"got {self.precision} and {self.scale}"
            )

    def fault(self, value: jsontext.Json) -> str:
        """What is wrong with a value, "" where nothing is."""
        number = exactly(value)
        if number is None:
            found = "another text" if isinstance(value, str) else describe(value)
            return f"must be a number, or a text of one, got {found}"
        if abs(number) >= Exact(10) ** (self.precision - self.scale):
            return f"must have at most {self.precision - self.scale} digits before the point"
        if number.as_tuple().exponent < -self.scale and number != round(number, self.scale):  # type: ignore[operator]
            return f"must have at most {self.scale} digits behind the point, or it would be rounded"
        return _limits(number, self.minimum, self.maximum)


@dataclass(frozen=True, slots=True)
class Boolean(Field):
    """`true` or `false`."""

    def fault(self, value: jsontext.Json) -> str:
        """What is wrong with a value, "" where nothing is."""
        return "" if isinstance(value, bool) else f"must be true or false, got {describe(value)}"


@dataclass(frozen=True, slots=True)
class Date(Field):
    """A day, written as 2026-01-31, from 1583 on."""

    def fault(self, value: jsontext.Json) -> str:
        """What is wrong with a value, "" where nothing is."""
        if not isinstance(value, str):
            return f"must be a string, got {describe(value)}"
        return "" if parse_date(value) else f"must be a date from {FIRST_DATE.year} on, such as 2026-01-31"


@dataclass(frozen=True, slots=True)
class Time(Field):
    """A moment, stored as a UTC timestamp to the microsecond.

    `form` is `iso`: ISO 8601, UTC where it has no offset; or `s` or `ms`: so many of them since 1970, with up to nine
    or six digits behind the point. Digits finer than microseconds are cut off.
    """

    form: Form = "iso"

    @property
    def scale(self) -> int:
        """How many digits may stand behind the point."""
        return {"s": 9, "ms": 6, "iso": 0}[self.form]

    def fault(self, value: jsontext.Json) -> str:
        """What is wrong with a value, "" where nothing is."""
        return self.fault_within(value, EVER)

    def fault_within(self, value: jsontext.Json, times: "Times") -> str:
        """The same, where only these times are good."""
        if self.form == "iso":
            if not isinstance(value, str):
                return f"must be a string, got {describe(value)}"
            moment = parse_time(value)
            if moment is None:
                return f"must be an ISO 8601 time from {FIRST_YEAR} to {LAST_YEAR}, such as 2026-01-31T12:00:00Z"
        else:
            number = exactly(value)
            if number is None or number.as_tuple().exponent < -self.scale:  # type: ignore[operator]
                return f"must be a number of {'milli' * (self.form == 'ms')}seconds since 1970"
            moment = parse_epoch(number, self.form)
            if moment is None:
                return f"must be a time from {FIRST_YEAR} to {LAST_YEAR}, in {'milli' * (self.form == 'ms')}seconds"
        if not times.has(moment):
            last = times.after - timedelta(days=1)
            return f"must lie on a day from {times.first.date()} to {last.date()}, which is {DAYS_AHEAD} days ahead"
        return ""


@dataclass(frozen=True, slots=True)
class Json(Field):
    """Any JSON value, kept as its text as it stands in the row, of at most `maximum` characters."""

    maximum: int = _MAX_JSON

    @property
    def is_lifted(self) -> bool:
        """Arrow's reader has no type for it."""
        return True

    def lift(self, raw: str) -> str:
        """The text as a JSON string; null stays null."""
        return raw if raw == "null" else jsontext.compact(raw)

    def fault(self, value: jsontext.Json) -> str:
        """What is wrong with its text, "" where nothing is."""
        if isinstance(value, str) and len(value) > self.maximum:
            return f"must have at most {self.maximum} characters as JSON, got {len(value)}"
        return ""


@dataclass(frozen=True, slots=True)
class List(Field):
    """An array of at most `maximum` items, stored as a list. The name of `of` has no meaning."""

    of: Field
    maximum: int = _MAX_ITEMS

    def faults(self, value: jsontext.Json, pointer: str) -> Sequence[str]:
        """What is wrong with it, or with its first bad item."""
        found = Field.faults(self, value, pointer)
        if not found and isinstance(value, list):
            bad = (faults for i, one in enumerate(value) if (faults := self.of.faults(one, f"{pointer}/{i}")))
            found = next(bad, ())
        return found

    def fault(self, value: jsontext.Json) -> str:
        """What is wrong with it as a whole."""
        if not isinstance(value, list):
            return f"must be an array, got {describe(value)}"
        return "" if len(value) <= self.maximum else f"must have at most {self.maximum} items, got {len(value)}"


@dataclass(frozen=True, slots=True)
class Object(Field):
    """An object, stored as a struct of `fields`; others in it are dropped."""

    fields: tuple[Field, ...]

    def faults(self, value: jsontext.Json, pointer: str) -> Sequence[str]:
        """What is wrong with it or with fields of it."""
        if not isinstance(value, dict):
            return Field.faults(self, value, pointer)
        return [fault for one in self.fields for fault in one.faults(value.get(one.key), f"{pointer}/{one.key}")]

    def fault(self, value: jsontext.Json) -> str:
        """What is wrong with it as a whole."""
        return "" if isinstance(value, dict) else f"must be an object, got {describe(value)}"


@dataclass(frozen=True, slots=True)
class RecordType:
    """A type of row. Fields that are not named here are dropped. `time` is where a row has its `event_time`.

    `rows_at` is a JSON pointer to the array of rows in each document, "" where the document itself is rows; None leaves
    that to what the document looks like.
    """

    name: str
    fields: tuple[Field, ...]
    time: Time = Time(EVENT_TIME)
    rows_at: str | None = None
    lifted: tuple[Field, ...] = field(init=False, repr=False, compare=False)  # those that Python has to read first
    keys: tuple[tuple[str, Field], ...] = field(init=False, repr=False, compare=False)  # each with its name in the row
    is_exact: bool = field(init=False, repr=False, compare=False)  # whether it matters how a number was written

    def __post_init__(self) -> None:
        """Refuses what breaks reading or every chunk."""
        if not hasattr(self.fields, "__iter__"):
            raise ValueError(f"{self.name}: FIELDS must be a tuple, which takes a comma behind a field that is alone")
        check_field(self.name, self.time)
        if self.rows_at and not self.rows_at.startswith("/"):
            raise ValueError(f"{self.name}: ROWS_AT must be empty or begin with a slash, got {self.rows_at!r}")
        if not _TYPE_NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} can't be the name of a type: a-z, 0-9 and _, a letter first, at most 64")
        if self.time.name != EVENT_TIME or self.time.optional:
            raise ValueError(f"{self.name}: TIME must be named {EVENT_TIME} and not be optional, say its `source`")
        check_names(self.name, [EVENT_TIME, RECORD_TYPE, DT], self.fields)
        object.__setattr__(self, "lifted", tuple(one for one in self.fields if one.is_lifted))
        object.__setattr__(self, "keys", tuple((one.key, one) for one in self.fields))
        plain = {Text, Number, Integer, Boolean, Date, Json}
        exact = self.time.form != "iso" or any(type(one) not in plain for one in self.fields)
        object.__setattr__(self, "is_exact", exact)
        keys = [self.time.key, RECORD_TYPE, *(key for key, _ in self.keys)]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise ValueError(f"{self.name} reads {twice!r} twice")


def check_names(where: str, taken: Sequence[str], fields: Sequence[Field], depth: int = 1) -> None:
    """Refuses names of columns that readers do not take or can't tell apart.

    Raises:
        ValueError: says which, and why.
    """
    if not fields or depth > _MAX_DEPTH:
        raise ValueError(f"{where} must have fields, and at most {_MAX_DEPTH} levels of them")
    known = {name.lower(): name for name in taken}
    for one in fields:
        check_field(where, one)
        if not _NAME.fullmatch(one.name):
            raise ValueError(
                f"{where}: {one.name!r} can't be a column: letters, digits and _, no digit first, at most 128"
            )
        if other := known.get(one.name.lower()):
            why = "is the lake's own" if other in taken else f"is there already as {other!r}, and readers ignore case"
            raise ValueError(f"{where}: {one.name!r} {why}")
        known[one.name.lower()] = one.name
        inner = one
        while isinstance(inner, List):
            inner = inner.of
        if inner.is_lifted and (inner is not one or depth > 1):
            raise ValueError(f"{where}: {one.name!r} holds what only a row itself can have: Json, or from_text")
        if isinstance(inner, Object):
            check_names(f"{where}.{one.name}", [], inner.fields, depth + 1)


def check_field(where: str, one: Field) -> None:
    """Refuses what would break every chunk or take no row.

    Raises:
        ValueError: says which, and why.
    """
    if not isinstance(one, Field):
        raise ValueError(f"{where}: {one!r} is no field")  # noqa: TRY004 - as for all that is wrong with a type
    if isinstance(one, Time) and one.form not in get_args(Form):
        raise ValueError(
            f"{where}: {one.name} must have one of the forms {', '.join(get_args(Form))}, got {one.form!r}"
        )
    minimum, maximum = getattr(one, "minimum", None), getattr(one, "maximum", None)
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ValueError(f"{where}: {one.name} takes nothing between {minimum} and {maximum}")
    if isinstance(one, List):
        check_field(where, one.of)


def describe(value: jsontext.Json) -> str:
    """The JSON type of a value, for messages."""
    return jsontext.describe(float(value) if isinstance(value, Written) else value)


def exactly(value: jsontext.Json) -> Exact | None:
    """A number, or a text of one, without rounding. None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = value.text if isinstance(value, Written) else value if isinstance(value, str) else repr(value)
    if not _DECIMAL.fullmatch(text):
        return None
    try:
        return Exact(text)
    except InvalidOperation:  # an exponent of more digits than any has
        return None


def parse_date(text: str) -> date | None:
    """A day such as 2026-01-31; None where it is none."""
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None
    return day if day and day >= FIRST_DATE else None


def parse_epoch(number: Exact, form: str) -> datetime | None:
    """A moment of so many seconds or milliseconds since 1970; None where it lies outside of the years."""
    if not 0 <= number < 2**33 * 1000:
        return None
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        microseconds=int(number * (1000 if form == "ms" else 1_000_000))
    )
    return moment if moment.year <= LAST_YEAR else None


def parse_time(text: str) -> datetime | None:
    """An ISO 8601 time in UTC, to the microsecond; without an offset it is taken for UTC. None where it is no time."""
    try:
        moment = datetime.fromisoformat(text[:-1] + "Z" if text.endswith("z") else text)
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


def _limits(value: float | Exact, minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and value < minimum:
        return f"must be {minimum} or more"
    if maximum is not None and value > maximum:
        return f"must be {maximum} or less"
    return ""


def _unquoted(raw: str) -> str:
    """The number in a JSON string, where there is one in it."""
    inside = raw[1:-1]
    return inside if raw.startswith('"') and _NUMBER.fullmatch(inside) else raw
