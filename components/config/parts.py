"""Configuration values that are objects: a rule for each of their parts."""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class PartsError(ValueError):
    """Values within an object are wrong: (name, limit, text received) of each."""

    def __init__(self, parts: Sequence[tuple[str, str, str]]) -> None:
        super().__init__(parts)
        self.parts = parts


@dataclass(frozen=True, slots=True)
class Parts(Generic[T]):
    """A JSON object with some of the fields of a dataclass, of which each has a rule in its metadata."""

    whole: type[T]

    @property
    def limit(self) -> str:
        """The names of the fields."""
        return f"an object with any of {', '.join(self._rules())}"

    def parse(self, raw: str) -> T:
        """The dataclass; fields that are not given have their default.

        Raises:
            PartsError: for all wrong and unknown fields together.
        """
        given = json.loads(raw)
        if not isinstance(given, dict):
            raise ValueError(raw)  # noqa: TRY004 - what Rule.parse promises
        wrong: list[tuple[str, str, str]] = []
        values: dict[str, Any] = {}
        for name, value in given.items():
            text = value if isinstance(value, str) else json.dumps(value)
            if (known := self._rules().get(name)) is None:
                wrong.append((name, f"left out: it is none of {', '.join(self._rules())}", text))
                continue
            try:
                values[known.name] = known.metadata["rule"].parse(text)
            except ValueError:
                wrong.append((name, known.metadata["rule"].limit, text))
        if wrong:
            raise PartsError(wrong)
        return self.whole(**values)

    def _rules(self) -> Mapping[str, dataclasses.Field[Any]]:
        return {camel(part.name): part for part in dataclasses.fields(self.whole)}  # type: ignore[arg-type]


def camel(name: str) -> str:
    """The configuration's spelling of a field's name."""
    return re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name)
