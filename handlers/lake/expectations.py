"""What a day of a type's rows is expected to be like, beyond what each row must be: `EXPECTATIONS` in the type's file.

A row that breaks its type's limits goes to quarantine. A day that breaks an expectation stays where it is, and is told
(`lab lake gate`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from handlers.lake.model import EVENT_TIME, Decimal, Field, Integer, List, Number, Object, RecordType

_NUMBERS = (Number, Integer, Decimal)
_ALL = 100  # percent
_UNCOMPARABLE = (List, Object)  # Arrow groups by neither


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """Each that is given is checked, for each day.

    `unique` names the fields that no two rows of a day share, `bounds` the least and the greatest value of fields
    (None: no limit). `quarantine_percent` is the greatest share of the rows of the objects that the day's rows came in.
    `fresh_hours` is how old the newest `event_time` of the type's last day may be.
    """

    unique: tuple[str, ...] = ()
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    quarantine_percent: float | None = None
    fresh_hours: float | None = None


def check(kind: RecordType, wanted: Expectations) -> None:
    """Refuses what no day of the type could be checked by.

    Raises:
        ValueError: says which expectation, and why.
    """
    if not isinstance(wanted, Expectations):
        raise ValueError(f"{kind.name}: EXPECTATIONS must be Expectations, got {wanted!r}")  # noqa: TRY004 - as for types
    fields = {one.name: one for one in kind.fields}
    if fault := next(chain(_names(fields, wanted), _bounds(fields, wanted), _numbers(wanted)), ""):
        raise ValueError(f"{kind.name}: {fault}")


def _names(fields: Mapping[str, Field], wanted: Expectations) -> Iterator[str]:
    given: object = wanted.unique  # a type's file is not checked by mypy where it is an adopter's
    if not isinstance(given, tuple) or len({*given}) != len(given):
        yield f"unique must be a tuple of different names, got {wanted.unique!r}"
    if unknown := sorted({*wanted.unique, *wanted.bounds} - {*fields, EVENT_TIME}):
        yield f"something is expected of {', '.join(unknown)}, which is none of its fields"
    for name in wanted.unique:
        if isinstance(fields.get(name), _UNCOMPARABLE):
            yield f"{name} is a list or an object, which can't be unique"


def _bounds(fields: Mapping[str, Field], wanted: Expectations) -> Iterator[str]:
    for name, (least, greatest) in wanted.bounds.items():
        if not isinstance(fields.get(name), _NUMBERS):
            yield f"{name} is no number, which bounds are for"
        if least is not None and greatest is not None and least > greatest:
            yield f"{name} can't lie between {least} and {greatest}"


def _numbers(wanted: Expectations) -> Iterator[str]:
    if wanted.quarantine_percent is not None and not 0 <= wanted.quarantine_percent <= _ALL:
        yield f"quarantine_percent must be 0 to 100, got {wanted.quarantine_percent}"
    if wanted.fresh_hours is not None and wanted.fresh_hours <= 0:
        yield f"fresh_hours must be more than 0, got {wanted.fresh_hours}"
