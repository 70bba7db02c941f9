"""The types of the lake's rows, read from the files that name them.

They belong to the handlers, which are packaged and not imported from here; and a new type is one file there, with
nothing to add here.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from components.compute.packaging import ROOT

EVENT_TIME = "event_time"
_COLUMN = {"Text": "string", "Number": "double", "Integer": "bigint"}  # Glue's types, by the class of the field


def record_types(root: Path = ROOT) -> Mapping[str, Mapping[str, str]]:
    """The columns of each type in their order: ``{"shipments": {"event_time": "timestamp", …}}``.

    Raises:
        ValueError: a file of a type does not have `FIELDS` that can be read off.
    """
    files = sorted((root / "handlers" / "lake" / "schemas").glob("[!_]*.py"))
    return {file.stem: {EVENT_TIME: "timestamp", **dict(_columns(file))} for file in files}


def _columns(file: Path) -> Iterator[tuple[str, str]]:
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="FIELDS")], value=ast.Tuple(elts=fields)):
                for field in fields:
                    yield _column(file, field)
                return
    raise ValueError(f"{file.name} must have FIELDS, a tuple of fields")


def _column(file: Path, field: ast.expr) -> tuple[str, str]:
    match field:
        case ast.Call(func=ast.Name(id=kind), args=[ast.Constant(value=str(name)), *_]) if kind in _COLUMN:
            return name, _COLUMN[kind]
    raise ValueError(
        f"each of FIELDS in {file.name} must be one of {', '.join(_COLUMN)} with a name, got {ast.unparse(field)}"
    )
