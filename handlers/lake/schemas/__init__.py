"""The types of rows: each module here is one, named like the module, with its `FIELDS` and maybe `ROWS_AT`."""

import pkgutil
from functools import cache
from importlib import import_module
from types import ModuleType

from handlers.lake.model import RecordType


@cache
def types() -> dict[str, RecordType]:
    """Every type by its name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: _type(name, import_module(f"{__name__}.{name}")) for name in names}


def _type(name: str, module: ModuleType) -> RecordType:
    return RecordType(name, module.FIELDS, rows_at=getattr(module, "ROWS_AT", None))
