r"""Strict JSON in, canonical JSON out.

Numbers are IEEE doubles except integers, which stay exact; NaN, infinities, nesting past 32 levels and a name that
occurs twice in one object (of which one value would be lost) are refused.
Text leaves as ASCII (`\uXXXX`), so every payload is made only of characters that SQS takes.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator
from typing import NoReturn

from handlers.errors import Detail, SchemaValidationError

_TYPE_NAMES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None
JsonObject = dict[str, Json]

MAX_DEPTH = 32
_MAX_OUTPUT_DEPTH = 256
_MAX_NAME = 128
_INDEX = re.compile("0|[1-9][0-9]{0,8}")
_SHORT = 4  # characters; what is shorter says nothing of anybody, and may be in any word


def parse(text: str | bytes) -> Json:
    """Parses one JSON document.

    Raises:
        SchemaValidationError: not UTF-8, not JSON, NaN or an infinity, a number out of range, a name twice in one
            object, or nested too deep.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode()
        value: Json = _STRICT.decode(text)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as exc:  # JSONDecodeError, UnicodeDecodeError and int's digit limit are all ValueErrors
        raise SchemaValidationError(Detail("", f"is not JSON: {_reason(exc)}")) from exc
    if _deeper_than(value, MAX_DEPTH):
        raise _too_deep()
    return value


def load(text: str) -> Json:
    """Reads a JSON text that we have written ourselves: the limits of input are none of its own.

    What is nested deeper than 256 levels, and might not be written again, comes as the text that it is.
    """
    try:
        value: Json = json.loads(text)
    except RecursionError:
        return text
    return text if _deeper_than(value, _MAX_OUTPUT_DEPTH) else value


def canonical(value: Json) -> str:
    """The one text of a JSON value: keys sorted, no white space, 1.0 written as 1 (as RFC 8785 does)."""
    return _SORTED.encode(integral(value))


def compact(value: Json) -> str:
    """A JSON value as ASCII text without white space, keys in their order."""
    return _COMPACT.encode(value)


def checksum(value: Json) -> str:
    """SHA-256 over the canonical JSON, 64 hex digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def describe(value: Json) -> str:
    """The JSON type of a value, for messages."""
    return _TYPE_NAMES.get(type(value), "null")


def integral(value: Json) -> Json:
    """The same value with its whole numbers as integers: JSON knows 2.0 as one, too."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: integral(item) for key, item in value.items()}
    if isinstance(value, list):
        return [integral(item) for item in value]
    return value


def pointer(name: str) -> str:
    """The JSON pointer of a field at the root (RFC 6901); a name that the caller chose is cut to 128 characters."""
    return "/" + name[:_MAX_NAME].replace("~", "~0").replace("/", "~1")


def find(value: Json, pointer: str) -> Json:
    """What a JSON pointer (RFC 6901) leads to; None where it leads to nothing."""
    for name in pointer.split("/")[1:]:
        name = name.replace("~1", "/").replace("~0", "~")  # noqa: PLW2901 - unescaped
        if isinstance(value, list):
            value = value[int(name)] if _INDEX.fullmatch(name) and int(name) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value


def without_values(text: str, value: Json) -> str:
    """A text, say of an error, that does not quote the strings of 4 characters and more that a JSON value holds."""
    for quoted in sorted({one for one in _strings(value) if len(one) >= _SHORT}, key=len, reverse=True):
        text = text.replace(quoted, "…")
    return text


def _strings(value: Json) -> Iterator[str]:
    level = [value]
    while level:
        yield from (one for one in level if isinstance(one, str))
        level = [child for parent in level for child in _children(parent)]


def _unique(pairs: list[tuple[str, Json]]) -> JsonObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:32]} is out of range")
    return number


def _reason(exc: ValueError) -> str:
    """What went wrong and where, never the input itself."""
    if isinstance(exc, json.JSONDecodeError):
        return f"{exc.msg} at line {exc.lineno} column {exc.colno}"
    if isinstance(exc, UnicodeDecodeError):
        return f"invalid UTF-8 at byte {exc.start}"
    if "integer string conversion" in str(exc):
        return "an integer has too many digits"
    return str(exc)


# Made once: `json.loads` and `json.dumps` with options make one at each call, which takes as long as a small payload.
_STRICT = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique)
_COMPACT = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_SORTED = json.JSONEncoder(separators=(",", ":"), allow_nan=False, sort_keys=True)


def _too_deep() -> SchemaValidationError:
    return SchemaValidationError(Detail("", f"is nested deeper than {MAX_DEPTH} levels"))


def _children(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _deeper_than(value: Json, limit: int) -> bool:
    """Level by level, so that the check itself cannot recurse too deep."""
    level = [value]
    for _ in range(limit + 1):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return False
    return True
