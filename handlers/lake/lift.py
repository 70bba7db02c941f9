"""Rows that Python reads before Arrow does, for the fields that Arrow's reader takes in no form.

A lifted field's value is put in front of the row under a name of its own, in the form that Arrow is to read. The rest
of the row stays as it is, so that Arrow refuses in it what it would have refused. Costs some microseconds a row, which
only types with such fields pay.
"""

import json
import re

from handlers.lake.model import Field, RecordType

_WHITE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def lifted_name(field: Field) -> str:
    """What a lifted field is called in the row that Arrow reads; no name that data has."""
    return f"\x01{field.key}"


def lift(line: bytes, kind: RecordType) -> bytes:
    """The row with its lifted fields; where it can't be read, one that Arrow refuses."""
    text = line.decode()
    found = members(text)
    if found is None:
        values = ["[]"] * len(kind.lifted)
    else:
        values = [field.lift(found.get(field.key, "null")) for field in kind.lifted]
    front = ",".join(
        f"{json.dumps(lifted_name(field))}:{value}" for field, value in zip(kind.lifted, values, strict=True)
    )
    return f"{{{front}{text[1:] if found == {} else ',' + text[1:]}".encode()


def members(text: str) -> dict[str, str] | None:
    """The JSON text of each member of an object; None where it is no object, or a name in it comes twice."""
    found: dict[str, str] = {}
    try:
        at = _skip(text, 1)
        while text[at] != "}":
            name, at = _DECODER.raw_decode(text, at)
            start = _skip(text, _expect(text, at, ":"))
            _, at = _DECODER.raw_decode(text, start)
            if not isinstance(name, str) or name in found:
                return None
            found[name] = text[start:at]
            at = _skip(text, at)
            if text[at] != "}":
                at = _skip(text, _expect(text, at, ","))
                if text[at] == "}":
                    return None
    except (ValueError, IndexError, RecursionError):
        return None
    return found


def _skip(text: str, at: int) -> int:
    match = _WHITE.match(text, at)
    return match.end() if match else at


def _expect(text: str, at: int, mark: str) -> int:
    at = _skip(text, at)
    if text[at] != mark:
        raise ValueError(f"{mark} is missing")
    return at + 1
