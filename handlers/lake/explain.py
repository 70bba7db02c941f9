"""What is wrong with one row, in words. Arrow decides which rows are good, a block at a time; it can't say why."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from handlers import jsontext
from handlers.errors import Detail, SchemaValidationError
from handlers.lake.model import EVENT_TIME, EVER, RECORD_TYPE, RecordType, Times, time_fault

_SCHEMA = SchemaValidationError.__name__


class Finding(NamedTuple):
    """What was found: the row's type, and where it is bad the error's type and reason ("": none was found)."""

    type: str
    error_type: str = ""
    reason: str = ""


def explain(line: bytes, default: str, types: Mapping[str, RecordType], times: Times = EVER) -> Finding:
    """Looks for what would make Arrow refuse a row; whatever is found here Arrow refuses too.

    That matters: a row must not fare otherwise because of its neighbours, on whose account it may be looked at here.
    What Arrow takes and Python's parser doesn't (`Inf`, endless integers in fields that are dropped) is no finding.
    """
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as exc:
        return Finding(default, _SCHEMA, f"is not UTF-8: invalid byte {exc.start}")
    except json.JSONDecodeError as exc:
        if b"Inf" in line or b"NaN" in line:
            return Finding(default)
        return Finding(default, _SCHEMA, f"is not JSON: {exc.msg} at column {exc.colno}")
    except (ValueError, RecursionError):
        return Finding(default)
    if not isinstance(value, dict):
        return Finding(default, _SCHEMA, f"must be an object, got {jsontext.describe(value)}")
    return _of_object(value, default, types, times)


def _of_object(value: dict[str, Any], default: str, types: Mapping[str, RecordType], times: Times) -> Finding:
    name = value.get(RECORD_TYPE)
    if name is None:
        name = default
    if not isinstance(name, str):
        return Finding(default, _SCHEMA, f"/{RECORD_TYPE} must be a string, got {jsontext.describe(name)}")
    if name not in types:
        return Finding(default, "UnknownRecordTypeError", f"there is no record type {name[:64]!r}")
    faults = [
        Detail(f"/{EVENT_TIME}", time_fault(value[EVENT_TIME], times) if _has(value, EVENT_TIME) else "is required")
    ]
    for field in types[name].fields:
        given = _has(value, field.name)
        faults.append(Detail(f"/{field.name}", field.fault(value[field.name]) if given else "is required"))
    reason = "; ".join(f"{fault.pointer} {fault.message}" for fault in faults if fault.message)
    return Finding(name, _SCHEMA if reason else "", reason)


def _has(value: dict[str, Any], name: str) -> bool:
    return value.get(name) is not None
