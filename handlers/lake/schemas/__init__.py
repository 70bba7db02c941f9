"""The types of rows: each module here is one, named like it, with its `FIELDS`, and what else it needs.

That is: `TIME`, `ROWS_AT`, and `EXPECTATIONS` of its days.
"""

import pkgutil
from functools import cache
from importlib import import_module

from handlers.lake.expectations import Expectations, check
from handlers.lake.model import EVENT_TIME, RecordType, Time


@cache
def types() -> dict[str, RecordType]:
    """Every type by its name.

    Raises:
        ValueError: one has names that readers do not take or can't tell apart, or expects what can't be checked.
    """
    return {name: _load(name) for name in sorted(module.name for module in pkgutil.iter_modules(__path__))}


def rows_at(name: str) -> str | None:
    """The JSON pointer to the rows of a type's documents, where it has one."""
    kind = types().get(name)
    return kind.rows_at if kind else None


def expectations(name: str) -> Expectations | None:
    """What the days of a type are expected to be like, where its file says so."""
    return _expected(name) if name in types() else None


def _load(name: str) -> RecordType:
    module = import_module(f"{__name__}.{name}")
    kind = RecordType(name, module.FIELDS, getattr(module, "TIME", Time(EVENT_TIME)), getattr(module, "ROWS_AT", None))
    if (wanted := _expected(name)) is not None:
        check(kind, wanted)
    return kind


def _expected(name: str) -> Expectations | None:
    found: Expectations | None = getattr(import_module(f"{__name__}.{name}"), "EXPECTATIONS", None)
    return found
