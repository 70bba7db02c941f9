"""The environment variables of a function, read once, typed, with every fault reported at once."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_ARTICLES = {str: "text", int: "an integer", float: "a number"}


class EnvError(RuntimeError):
    """The function's configuration is incomplete or malformed; the message names every variable at fault."""


def variable_names(cls: type[Any]) -> set[str]:
    """The environment variables that `cls` reads: its field names in capitals."""
    return {field.name.upper() for field in dataclasses.fields(cls)}


def _optional(cls: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(cls) if field.default is not dataclasses.MISSING}


def load(cls: type[T], environ: Mapping[str, str]) -> T:
    """Builds the dataclass `cls` from `environ`; field `queue_url: str` comes from `QUEUE_URL`.

    A field with a default may be missing.

    Raises:
        EnvError: a variable is missing, empty or not of its field's type (`str`, `int` or `float`).
    """
    values: dict[str, Any] = {}
    faults = []
    optional = _optional(cls)
    for name, kind in typing.get_type_hints(cls).items():
        raw = environ.get(name.upper(), "")
        if not raw and name in optional:
            continue
        if not raw:
            faults.append(f"{name.upper()} is not set")
            continue
        try:
            values[name] = kind(raw)
        except ValueError:
            faults.append(f"{name.upper()} must be {_ARTICLES[kind]}, got {raw!r}")
    if faults:
        raise EnvError("; ".join(faults))
    return cls(**values)
