"""What a configuration value may be: pydantic's constraints, together with the words that users read of them.

Pulumi delivers every value as text, so whatever is not to be text is first read as the JSON that it is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, get_args

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler
from pydantic_core import PydanticCustomError, core_schema, from_json

REFUSED = "limit"  # the type of the errors whose message is a limit's words

_FIRST_DAY = "1970-01-01"
_MAX_TAGS = 40  # AWS allows 50 on a resource; ours and the organization's own need room


@dataclass(frozen=True, slots=True)
class Limit:
    """Pydantic's annotations for a type, and the words that complete "must be …" whichever of them is violated."""

    words: str
    constraints: tuple[object, ...]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """The constrained type; all that is wrong with a value is one error, and its message is these words."""
        constrained = handler(Annotated[source, *self.constraints])
        return core_schema.custom_error_schema(constrained, REFUSED, custom_error_message=self.words)


def _from_text(value: object) -> object:
    """The value that a text writes out as JSON; what is no JSON stays as it is, for the constraints to refuse."""
    if not isinstance(value, str):
        return value
    try:
        return from_json(value)
    except ValueError:
        return value


_JSON = BeforeValidator(_from_text)


def whole(low: int, high: int) -> Limit:
    """A whole number within inclusive bounds."""
    return Limit(f"a whole number from {low} to {high}", (Field(strict=True, ge=low, le=high), _JSON))


def number(low: int, high: int) -> Limit:
    """A number within inclusive bounds, with at most two decimals."""
    words = f"a number from {low} to {high} with at most two decimals"
    return Limit(words, (Field(strict=True, ge=low, le=high, multiple_of=0.01), _JSON))


def text(pattern: str, words: str) -> Limit:
    """Text that the whole of the pattern matches."""
    return Limit(words, (Field(pattern=re.compile(rf"\A(?:{pattern})\Z")),))


def past_day() -> Limit:
    """A day that has begun, in text."""
    return Limit(f"a day from {_FIRST_DAY} to today, {_today()} (UTC), such as 2026-01-31", (AfterValidator(_day),))


def _day(value: str) -> str:
    if date.fromisoformat(value).isoformat() != value or not _FIRST_DAY <= value <= _today():
        raise ValueError(value)
    return value


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def one_of(values: Sequence[object]) -> Limit:
    """One of the values of a type, which is a `Literal` of them."""
    written = {str(value): value for value in values}
    return Limit(f"one of {', '.join(written)}", (BeforeValidator(lambda value: written.get(value, value)),))


def or_none(limit: Limit, mark: str = "") -> Limit:
    """Another limit, or the mark that says "not set" (Pulumi.yaml can't declare a key without a default)."""
    unset = BeforeValidator(lambda value: None if value == mark else value)
    return Limit(f"{limit.words}, or {mark or 'empty'} for none", (*limit.constraints, unset))


@dataclass(frozen=True, slots=True)
class _Each:
    """Makes the limit one of the items of a tuple."""

    item: Limit

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        kind, _ = get_args(source)
        return handler(tuple[Annotated[kind, self.item], ...])  # type: ignore[valid-type]  # known only now


def items(item: Limit, at_least: int = 0) -> Limit:
    """A list of different items within one limit."""
    words = f"a list of {at_least} or more different items, each {item.words}"
    return Limit(words, (_Each(item), Field(min_length=at_least), AfterValidator(_different), _JSON))


def _different(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise ValueError(values)
    return values


def parts(names: Sequence[str]) -> BeforeValidator:
    """A JSON object with any of these parts, of which each has a limit of its own."""

    def parse(value: object) -> object:
        found = _from_text(value)
        if not isinstance(found, dict):
            raise PydanticCustomError(REFUSED, "an object with any of {names}", {"names": ", ".join(names)})
        return found

    return BeforeValidator(parse)


def _flag(value: object) -> object:
    return {"true": True, "false": False}.get(str(value).lower(), value)


Flag = Annotated[bool, Limit("true or false", (Field(strict=True), BeforeValidator(_flag)))]

_OWN_TAGS = ("Project", "Stack")


def _one_case(tags: Mapping[str, str]) -> Mapping[str, str]:
    """IAM takes keys that differ in their case alone for one key, and refuses the second."""
    keys = {*tags, *_OWN_TAGS}
    if len({key.casefold() for key in keys}) != len(keys):
        raise ValueError(tags)
    return tags


# Each character is one that IAM takes, whose set is the smallest of the services': letters and digits of any language.
Tags = Annotated[
    Mapping[
        Annotated[str, Field(pattern=re.compile(r"\A(?!(?i:aws:))[\w .:/=+@-]{1,128}\Z"))],
        Annotated[str, Field(pattern=re.compile(r"\A[\w .:/=+@-]{0,256}\Z"))],
    ],
    Limit(
        f"an object of at most {_MAX_TAGS} tags: keys of 1 to 128 letters, digits, spaces and any of _ . : / = + - @ "
        "that don't start with aws: and are not each other (or Project, Stack) in another case, "
        "text values of at most 256 such",
        (Field(max_length=_MAX_TAGS), AfterValidator(_one_case), _JSON),
    ),
]
