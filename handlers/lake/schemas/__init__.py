"""The types of rows: each module here is one, named like the module, with its `FIELDS`."""

import pkgutil
from functools import cache
from importlib import import_module

from handlers.lake.model import RecordType


@cache
def types() -> dict[str, RecordType]:
    """Every type by its name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: RecordType(name, import_module(f"{__name__}.{name}").FIELDS) for name in names}
