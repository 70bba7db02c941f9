"""What a configuration value may be: each rule parses the text that Pulumi delivers, or refuses it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_SHORT_PERIODS = (1, 5, 10, 20, 30)  # for metrics that are sent more often than once a minute
_LONGEST_PERIOD = 3600
_MAX_TAGS = 40  # AWS allows 50 on a resource; ours and the organization's own need room


class Rule(Protocol[T_co]):
    """Parses one value; `limit` completes the sentence "must be …"."""

    @property
    def limit(self) -> str:
        """What is allowed, in words."""

    def parse(self, raw: str) -> T_co:
        """The typed value of the text.

        Raises:
            ValueError: the text is not within the limit.
        """


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within inclusive bounds."""

    low: int
    high: int

    @property
    def limit(self) -> str:
        """The bounds, in words."""
        return f"a whole number from {self.low} to {self.high}"

    def parse(self, raw: str) -> int:
        """The number that the text writes out in decimal digits."""
        if not re.fullmatch(r"-?[0-9]{1,18}", raw) or not self.low <= int(raw) <= self.high:
            raise ValueError(raw)
        return int(raw)


@dataclass(frozen=True, slots=True)
class WholeIn:
    """A whole number out of a set that AWS fixes."""

    allowed: tuple[int, ...]

    @property
    def limit(self) -> str:
        """The set, in words."""
        return f"one of {', '.join(str(number) for number in self.allowed)}"

    def parse(self, raw: str) -> int:
        """The number, when it is in the set."""
        if raw not in map(str, self.allowed):
            raise ValueError(raw)
        return int(raw)


@dataclass(frozen=True, slots=True)
class Decimal:
    """A number within inclusive bounds, with at most two decimals."""

    low: int
    high: int

    @property
    def limit(self) -> str:
        """The bounds, in words."""
        return f"a number from {self.low} to {self.high} with at most two decimals"

    def parse(self, raw: str) -> float:
        """The number that the text writes out."""
        if not re.fullmatch(r"[0-9]{1,9}([.][0-9]{1,2})?", raw) or not self.low <= float(raw) <= self.high:
            raise ValueError(raw)
        return float(raw)


@dataclass(frozen=True, slots=True)
class Period:
    """A period of CloudWatch, in seconds."""

    @property
    def limit(self) -> str:
        """CloudWatch's periods."""
        brief = ", ".join(str(seconds) for seconds in _SHORT_PERIODS)
        return f"{brief}, or a multiple of 60 up to {_LONGEST_PERIOD}"

    def parse(self, raw: str) -> int:
        """The number of seconds."""
        seconds = Whole(1, _LONGEST_PERIOD).parse(raw)
        if seconds % 60 and seconds not in _SHORT_PERIODS:
            raise ValueError(raw)
        return seconds


@dataclass(frozen=True, slots=True)
class Flag:
    """On or off."""

    @property
    def limit(self) -> str:
        """Both spellings."""
        return "true or false"

    def parse(self, raw: str) -> bool:
        """The truth value."""
        if raw.lower() not in ("true", "false"):
            raise ValueError(raw)
        return raw.lower() == "true"


@dataclass(frozen=True, slots=True)
class Choice:
    """One word out of a few."""

    allowed: tuple[str, ...]

    @property
    def limit(self) -> str:
        """The words."""
        return f"one of {', '.join(self.allowed)}"

    def parse(self, raw: str) -> str:
        """The word itself."""
        if raw not in self.allowed:
            raise ValueError(raw)
        return raw


@dataclass(frozen=True, slots=True)
class Text:
    """Text of a known shape."""

    pattern: str
    limit: str

    def parse(self, raw: str) -> str:
        """The text itself."""
        if not re.fullmatch(self.pattern, raw):
            raise ValueError(raw)
        return raw


@dataclass(frozen=True, slots=True)
class Maybe(Generic[T]):
    """Another rule, or the mark that says "not set" (Pulumi.yaml can't declare a key without a default)."""

    rule: Rule[T]
    unset: str = ""

    @property
    def limit(self) -> str:
        """The other rule's limit and the mark."""
        return f"{self.rule.limit}, or {self.unset or 'empty'} for none"

    def parse(self, raw: str) -> T | None:
        """The value; None for the mark."""
        return None if raw == self.unset else self.rule.parse(raw)


@dataclass(frozen=True, slots=True)
class Items:
    """A JSON list of different texts that all follow one rule."""

    item: Rule[str]
    at_least: int = 0

    @property
    def limit(self) -> str:
        """The item's limit, as a list."""
        return f"a list of {self.at_least} or more different items, each {self.item.limit}"

    def parse(self, raw: str) -> tuple[str, ...]:
        """The items in their order."""
        values = json.loads(raw)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ValueError(raw)
        if len(values) < self.at_least or len(set(values)) != len(values):
            raise ValueError(raw)
        return tuple(self.item.parse(value) for value in values)


@dataclass(frozen=True, slots=True)
class Tags:
    """A JSON object of AWS tags."""

    @property
    def limit(self) -> str:
        """AWS's limits on tags."""
        return (
            f"an object of at most {_MAX_TAGS} tags: keys of 1 to 128 characters that don't start with aws:, "
            "text values of at most 256"
        )

    def parse(self, raw: str) -> Mapping[str, str]:
        """The tags by key."""
        tags = json.loads(raw)
        if not isinstance(tags, dict) or len(tags) > _MAX_TAGS:
            raise ValueError(raw)
        if not all(_is_tag(key, value) for key, value in tags.items()):
            raise ValueError(raw)
        return tags


def _is_tag(key: str, value: object) -> bool:
    if not isinstance(value, str) or len(value) > 256:
        return False
    return 1 <= len(key) <= 128 and not key.lower().startswith("aws:")
