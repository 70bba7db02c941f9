"""The types of the lake's rows, read from the files that name them.

They belong to the handlers, which are packaged and not imported from here; and a new type is one file there, with
nothing to add here.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from components.compute.packaging import ROOT

EVENT_TIME = "event_time"
_OWN = (EVENT_TIME, "record_type", "dt")
# Glue's types, by the class of the field; those of the others depend on what they are of.
_PLAIN = {
    "Text": "string",
    "Json": "string",
    "Number": "double",
    "Integer": "bigint",
    "Boolean": "boolean",
    "Date": "date",
    "Time": "timestamp",
}
_OTHERS = ("Decimal", "List", "Object")
# As handlers.lake.model has them.
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,127}")
_TYPE_NAME = re.compile("[a-z][a-z0-9_]{0,63}")


def record_types(root: Path = ROOT) -> Mapping[str, Mapping[str, str]]:
    """The columns of each type in their order: ``{"shipments": {"event_time": "timestamp", …}}``.

    Names of columns are in lower case, as Glue keeps them.

    Raises:
        ValueError: a file of a type does not have `FIELDS` that can be read off, or names that readers do not take, or
            expects something of a field that it has not.
    """
    files = sorted((root / "handlers" / "lake" / "schemas").glob("[!_]*.py"))
    return {file.stem: {EVENT_TIME: "timestamp", **_columns(file)} for file in files}


def _columns(file: Path) -> dict[str, str]:
    if not _TYPE_NAME.fullmatch(file.stem):
        raise ValueError(f"{file.name} can't be a type: its name may have a-z, 0-9 and _, a letter first, at most 64")
    columns: dict[str, str] | None = None
    expected: list[str] = []
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="FIELDS")], value=ast.Tuple(elts=fields)):
                columns = dict(_checked(file, _OWN, [_column(file, field) for field in fields]))
            case ast.Assign(targets=[ast.Name(id="EXPECTATIONS")], value=ast.Call(keywords=words)):
                expected = [name for word in words for name in _named(word)]
    if columns is None:
        raise ValueError(f"{file.name} must have FIELDS, a tuple of fields")
    for name in expected:
        if name.lower() not in {*columns, EVENT_TIME}:
            raise ValueError(f"{file.name}: something is expected of {name!r}, which is none of its fields")
    return columns


def _named(word: ast.keyword) -> Sequence[str]:
    """The fields that an expectation is of, as far as they can be read off."""
    match word:
        case ast.keyword(arg="unique", value=ast.Tuple(elts=names)):
            pass
        case ast.keyword(arg="bounds", value=ast.Dict(keys=names)):
            pass
        case _:
            return ()
    return [name.value for name in names if isinstance(name, ast.Constant) and isinstance(name.value, str)]


def _checked(file: Path, own: Sequence[str], columns: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    known = set(own)
    for name, type_ in columns:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{file.name}: {name!r} can't be a column: letters, digits and _, no digit first, at most 128"
            )
        if name.lower() in own:
            raise ValueError(f"{file.name}: {name!r} is the lake's own")
        if name.lower() in known:
            raise ValueError(f"{file.name}: {name!r} is there already, and readers ignore case")
        known.add(name.lower())
        yield name.lower(), type_
    if not columns:
        raise ValueError(f"{file.name} must have fields")


def _column(file: Path, field: ast.expr) -> tuple[str, str]:
    match field:
        case ast.Call(func=ast.Name(id=kind), args=[ast.Constant(value=str(name)), *rest], keywords=keywords):
            given = {word.arg: word.value for word in keywords}
            if kind in _PLAIN:
                return name, _PLAIN[kind]
            if kind in _OTHERS and (type_ := _compound(file, kind, rest, given)):
                return name, type_
    known = ", ".join((*_PLAIN, *_OTHERS))
    raise ValueError(f"each of FIELDS in {file.name} must be one of {known} with a name, got {ast.unparse(field)}")


def _compound(file: Path, kind: str, rest: Sequence[ast.expr], given: Mapping[str | None, ast.expr]) -> str:
    """The type of a decimal, a list or an object; "" where it can't be read off."""
    names = {"Decimal": ("precision", "scale"), "List": ("of",), "Object": ("fields",)}[kind]
    match [given.get(name, rest[i] if i < len(rest) else None) for i, name in enumerate(names)]:
        case [ast.Constant(value=int(precision)), ast.Constant(value=int(scale))]:
            return f"decimal({precision},{scale})"
        case [ast.Call() as of] if kind == "List":
            return f"array<{_column(file, of)[1]}>"
        case [ast.Tuple(elts=fields)]:
            inner = _checked(file, (), [_column(file, one) for one in fields])
            return f"struct<{','.join(f'{name}:{type_}' for name, type_ in inner)}>"
    return ""
