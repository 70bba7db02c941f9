"""From the names of pulumi-aws to the names of the AWS APIs, refusing what has no counterpart here.

A table of fields per resource type is at once the translation and the list of accepted inputs: an input that is not in
it would be dropped without a word, so it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Sub:
    """A nested object, or a list of them, with fields of its own."""

    name: str
    fields: Fields


Fields: TypeAlias = Mapping[str, "str | Sub"]  # pulumi-aws input -> AWS parameter; a plain name keeps its value


def translate(fields: Fields, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """`inputs` under their AWS names; every key must be known (see `unknown`)."""
    translated: dict[str, Any] = {}
    for key, value in inputs.items():
        field = fields[key]
        if isinstance(field, str):
            translated[field] = value
        else:
            translated[field.name] = _nested(field.fields, value)
    return translated


def unknown(fields: Fields, inputs: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted paths of the inputs that `fields` does not know."""
    for key, value in inputs.items():
        field = fields.get(key)
        if field is None:
            yield prefix + key
        elif isinstance(field, Sub):
            for item in value if isinstance(value, list) else [value]:
                yield from unknown(field.fields, item, f"{prefix}{key}.")


def _nested(fields: Fields, value: Any) -> Any:  # noqa: ANN401 - as free as JSON
    if isinstance(value, list):
        return [translate(fields, item) for item in value]
    return translate(fields, value)
