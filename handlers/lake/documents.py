"""A JSON document, an array of rows or rows one after the other, as the lines that it would be in JSON Lines.

It is read element by element, so that its size has no bearing on memory. Line numbers are those of the elements.
"""

import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import chain
from typing import Any

import ijson

from handlers.lake.lines import MAX_LINE_BYTES, BrokenContentError

_STEP = 64 * 1024
_MAX_DEPTH = 64  # of an element; what is nested deeper is read past, not kept
_WHITE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
# An integer of more digits ends the process inside the parser (ijson 3.6.0: Python refuses it, the parser goes on).
_MAX_DIGITS = 4300
_ENDLESS = re.compile(rb"[0-9]{%d}" % (_MAX_DIGITS + 1))
_SAMPLE = 1024  # bytes; every run that is too long has four digits in a sample of one byte in so many
_SUSPECT = re.compile(rb"[0-9]{4}")
_TOO_DEEP = b'"nested too deep"\n'  # no object, so it is refused like any other


def as_lines(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Each element on a line of its own.

    Raises:
        BrokenContentError: it is not JSON, ends early, goes on after its end, has an element of more than 8 MiB
            or more than 4,300 digits in a row; the elements before have been given by then.
    """
    pieces = _up_to_endless(data[start : start + _STEP] for data in stream for start in range(0, len(data), _STEP))
    first = _first(pieces)
    if not first:
        return
    if first[:1] not in (b"[", b"{"):
        raise _broken("MalformedDocument", "it is neither an array nor an object")
    # Events without their place: the place of a deep one would be a name as long as it is deep.
    events: Any = ijson.sendable_list()
    parser = ijson.basic_parse_coro(events, multiple_values=first.startswith(b"{"))
    elements = _Elements(inside=first.startswith(b"["))
    unfinished = 0
    for piece in chain([first], pieces, [b""]):
        unfinished += len(piece)
        error = _send(parser, piece)
        for event, value in events:
            if element := elements.take(event, value):
                unfinished = 0
                yield element
        events.clear()
        if error is not None:
            raise _broken("MalformedDocument", "it is not one JSON document, or ends early") from error
        if unfinished > MAX_LINE_BYTES:
            raise _broken("LineTooLongError", f"an element has more than {MAX_LINE_BYTES} bytes")


class _Elements:
    """Builds elements from the parser's events; `inside` says that they are those of an array."""

    def __init__(self, *, inside: bool) -> None:
        self._depth = -1 if inside else 0
        self._stack: list[Any] = []
        self._keys: list[str] = []
        self._too_deep = False

    def take(self, event: str, value: Any) -> bytes:  # noqa: ANN401 - any JSON value
        """The element that ends with this event, as a line; else nothing."""
        if event == "map_key":
            if self._depth <= _MAX_DEPTH:
                self._keys[-1] = value
            return b""
        if event in ("start_map", "start_array"):
            self._open({} if event == "start_map" else [])
            return b""
        if event in ("end_map", "end_array"):
            return self._close()
        return self._add(value)

    def _open(self, container: Any) -> None:  # noqa: ANN401 - a dict or a list
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._too_deep = True
        elif self._depth > 0:
            self._stack.append(container)
            self._keys.append("")

    def _close(self) -> bytes:
        self._depth -= 1
        if self._depth >= _MAX_DEPTH or self._depth < 0:
            return b""
        self._keys.pop()
        return self._add(self._stack.pop())

    def _add(self, value: Any) -> bytes:  # noqa: ANN401 - any JSON value
        if self._stack:
            parent = self._stack[-1]
            if isinstance(parent, list):
                parent.append(value)
            else:
                parent[self._keys[-1]] = value
            return b""
        line = _TOO_DEEP if self._too_deep else _line(value)
        self._too_deep = False
        return line


def _up_to_endless(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces up to an integer that the parser must not get."""
    before = b""
    for piece in pieces:
        window = before + piece
        found = _ENDLESS.search(window) if _SUSPECT.search(window[::_SAMPLE]) else None
        if found:
            if found.start() > len(before):
                yield window[len(before) : found.start()]
            raise _broken("MalformedDocument", f"it has more than {_MAX_DIGITS} digits in a row")
        yield piece
        before = window[-_MAX_DIGITS:]


def _first(pieces: Iterator[bytes]) -> bytes:
    """The first bytes that say something, without what stands before them."""
    start = b""
    for piece in pieces:
        start = (start + piece).removeprefix(_BOM).lstrip(_WHITE)
        if start and not _BOM.startswith(start):
            break
    return start


def _send(parser: Any, piece: bytes) -> Exception | None:  # noqa: ANN401 - ijson has no types
    """Feeds the parser, an empty piece is the end; returns what it objects to."""
    try:
        if piece:
            parser.send(piece)
        else:
            parser.close()
    except (ijson.JSONError, ValueError, ArithmeticError) as exc:
        return exc
    return None


def _line(element: Any) -> bytes:  # noqa: ANN401 - any JSON value
    return json.dumps(element, default=_number, separators=(",", ":")).encode() + b"\n"


def _number(value: Decimal) -> float:
    return float(value)


def _broken(error_type: str, what: str) -> BrokenContentError:
    return BrokenContentError(error_type, f"{error_type}: {what}; what follows was not read", line_is_whole=True)
