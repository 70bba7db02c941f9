"""What is wrong with one row, in words. Arrow decides which rows are good, a block at a time; it can't say why."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from handlers.errors import SchemaValidationError
from handlers.lake.lift import members
from handlers.lake.model import EVER, RECORD_TYPE, Json, RecordType, Times, Written, describe

_DECODER = json.JSONDecoder()
_SCHEMA = SchemaValidationError.__name__


class Finding(NamedTuple):
    """What was found: the row's type, and where it is bad the error's type and reason ("": none was found).

    The type is "" where only Arrow can read the row, and so say of which it is.
    """

    type: str
    error_type: str = ""
    reason: str = ""


def explain(line: bytes, default: str, types: Mapping[str, RecordType], times: Times = EVER) -> Finding:
    """Looks for what would make Arrow refuse a row; whatever is found here Arrow refuses too.

    That matters: a row must not fare otherwise because of its neighbours, on whose account it may be looked at here.
    What Arrow takes and Python's parser doesn't (`Inf`, endless integers in fields that are dropped) is no finding, and
    has no type.
    """
    try:
        text = line.decode()
        value, end = _DECODER.raw_decode(text)
        if end < len(text):
            json.loads(text)  # which says what is wrong
    except UnicodeDecodeError as exc:
        return Finding(default, _SCHEMA, f"is not UTF-8: invalid byte {exc.start}")
    except json.JSONDecodeError as exc:
        if b"Inf" in line or b"NaN" in line:
            return Finding("")
        return Finding(default, _SCHEMA, f"is not JSON: {exc.msg} at column {exc.colno}")
    except (ValueError, RecursionError):
        return Finding("")
    if not isinstance(value, dict):
        return Finding(default, _SCHEMA, f"must be an object, got {describe(value)}")
    return _of_object(text, value, default, types, times)


def unknown(name: str, default: str) -> Finding:
    """What is wrong with a row that says it is of a type that there is not."""
    return Finding(default, "UnknownRecordTypeError", f"there is no record type {name[:64]!r}")


def _of_object(
    text: str, value: dict[str, Any], default: str, types: Mapping[str, RecordType], times: Times
) -> Finding:
    name = value.get(RECORD_TYPE)
    if name is None:
        name = default
    if not isinstance(name, str):
        return Finding(default, _SCHEMA, f"/{RECORD_TYPE} must be a string, got {describe(name)}")
    if name not in types:
        return unknown(name, default)
    kind = types[name]
    if kind.is_exact:
        value = json.loads(text, parse_float=Written)
    if kind.lifted and any(isinstance(field, Json) for field in kind.lifted):
        raw = {key: value for key, value in (members(text) or {}).items() if value != "null"}
        value |= {field.key: raw.get(field.key) for field in kind.lifted if isinstance(field, Json)}
    faults = []
    time = value.get(kind.time.key)
    if fault := "is required" if time is None else kind.time.fault_within(time, times):
        faults.append(f"/{kind.time.key} {fault}")
    for key, field in kind.keys:
        one = value.get(key)
        if one is None or isinstance(one, list | dict):
            faults += field.faults(one, f"/{key}")
        elif fault := field.fault(one):
            faults.append(f"/{key} {fault}")
    return Finding(name, _SCHEMA, "; ".join(faults)) if faults else Finding(name)
