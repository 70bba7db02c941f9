"""JSON documents as the lines that their rows would be in JSON Lines: each row's own bytes, on a line of its own.

Only the borders of rows are looked for: strings, brackets and the commas between. What a row says is judged from its
bytes as that of any line is, so that one and the same row fares alike in every container, and a token that is wrong
inside one costs that row alone. Memory is bounded whatever the size of a document or of a row.

A row ends where as many brackets have been closed as were opened, of either kind. Its newlines become spaces; one
inside a string, where JSON has none, becomes a carriage return, which JSON has none of either.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache

from handlers.lake.lines import BOM, MAX_LINE_BYTES, BrokenContentError

_STEP = 1024 * 1024
_WHITE = re.compile(rb"[ \t\r\n]*+")
_LONGEST_KEY = 4096  # bytes of a member's name that are compared; no pointer is as long
_SHOWN = 1024  # bytes

# A string without a newline, and a container of at most so many levels that has no others; possessive, so that time is
# linear in what is read. What is nested deeper, or has not come as a whole, is read bit by bit.
_LEVELS = 16
_STRING = rb'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"'
_PLAIN = rb'[^"{}\[\]]'


def _container(levels: int, plain: bytes) -> bytes:
    inner = rb"|" + _container(levels - 1, plain) if levels > 1 else b""
    return rb"[{\[]%b*+(?:(?:%b%b)%b*+)*+[}\]]" % (plain, _STRING, inner, plain)


_ANY = _container(_LEVELS, _PLAIN)
_MEMBER = re.compile(rb"[ \t\r\n]*+(%b)[ \t\r\n]*+," % _ANY)  # of an array, with the comma behind it
_OBJECT = re.compile(rb"[ \t\r\n]*+((?=\{)%b)" % _ANY)
FIRST_VALUE = re.compile(_ANY)
_WITHIN = re.compile(rb"(?:%b++|%b|%b)*+" % (_PLAIN, _STRING, _ANY))  # of a container
_BETWEEN = re.compile(rb'(?:[^"{}\[\],]++|%b|%b)*+' % (_STRING, _ANY))  # commas
_OPENING, _CLOSING = re.compile(rb"[{\[]*+"), re.compile(rb"[}\]]*+")
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_TOUCHING = re.compile(rb"\}(?:[ \t]|%b)*+\{" % BOM)
_NO_MARKS = bytes(number for number in range(256) if number not in b'"{}[]\\\n')  # what has no part in a border
_WORD = re.compile(rb'[^"{}\[\], \t\r\n]*+')
_COMMA = re.compile(rb"\}[ \t\r\n]*+,[ \t\r\n]*+\{")  # between members
_TOUCH = re.compile(rb"\}[ \t]*+\{")  # between objects on a line
_SPACE = re.compile(rb"\}[ \t\r\n]*+\{")  # between documents


def as_lines(stream: Iterable[bytes], pointer: Sequence[str] = ()) -> Iterator[bytes]:
    """The rows of documents that stand one after the other, a line for each: pieces, which end anywhere.

    The elements of an array are rows, any other value is one. With a `pointer` (the parts of a JSON pointer) the rows
    are what it leads to in each document; a document where it leads nowhere is one bad row that says so.

    Raises:
        BrokenContentError: it ends early, or has a bracket too many; all rows before have been given by then.
    """
    given = bytearray()
    try:
        for piece in _documents(_Text(stream), pointer):
            if len(given) + len(piece) < _STEP:
                given += piece
                continue
            yield bytes(given)
            yield piece
            given.clear()
    except BrokenContentError:
        yield bytes(given)
        raise
    yield bytes(given)


def parts(pointer: str) -> list[str]:
    """The parts of a JSON pointer (RFC 6901)."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def parted(stream: Iterable[bytes]) -> Iterator[bytes]:
    """JSON Lines, where each of several objects on one line gets a line of its own.

    Kinesis Firehose puts nothing between its records. A byte order mark between two objects, of files that were joined,
    is dropped. A line stays as it is from where no object follows, or one of more than 64 levels; one that is longer
    than any row may be goes by as it comes.
    """
    held = b""  # the line that has begun
    is_long = False
    try:
        for piece in stream:
            if is_long:
                end = piece.find(b"\n") + 1
                is_long = not end
                yield held + piece[: end or len(piece)]
                held, piece = b"", piece[end or len(piece) :]  # noqa: PLW2901 - what is left of it
            if end := piece.rfind(b"\n") + 1:
                yield from _parted(b"".join((held, memoryview(piece)[:end])))  # the one copy of what is clean
                held = piece[end:]
                continue
            held += piece
            if len(held) >= _STEP:
                text = _Text((), held)
                if held.startswith(b"{") and (rows := _alike(text, _TOUCH)):
                    yield rows + b"\n"
                objects, end = _objects(held, text.at)
                yield b"".join(one + b"\n" for one in objects)
                held = held[end:]
                is_long = is_long or len(held) > MAX_LINE_BYTES
    except BrokenContentError:
        yield from [held] if is_long else _parted(held)
        raise
    yield from [held] if is_long else _parted(held)


def _parted(lines: bytes) -> Iterator[bytes]:
    """Whole lines, with several objects on none."""
    done = 0
    while touching := _TOUCHING.search(lines, done):
        start = lines.rfind(b"\n", done, touching.start()) + 1 or done
        objects, end = _objects(lines, start)
        yield lines[done:start] + b"".join(one + b"\n" for one in objects)
        done = lines.find(b"\n", max(end, touching.end())) + 1 or len(lines)
        yield lines[end:done]
    yield lines[done:]


@cache
def _followed() -> re.Pattern[bytes]:
    """An object with another behind it on its line; made when wanted, for it takes as long as all the others do."""
    return re.compile(rb"[ \t]*+((?=\{)%b(?<=\}))(?:[ \t]|%b)*+(?=\{)" % (_container(64, rb'[^"{}\[\]\n]'), BOM))


def _objects(text: bytes, start: int) -> tuple[list[bytes], int]:
    """Objects from `start` on that others follow, up to the last; and where that begins."""
    objects = []
    followed = _followed()
    while match := followed.match(text, start):
        objects.append(match[1])
        start = match.end()
    return objects, start


class _Text:
    """What has been read and not been taken: `data` from `at` on."""

    def __init__(self, stream: Iterable[bytes], data: bytes = b"") -> None:
        self._stream = iter(stream)
        self._broken: BrokenContentError | None = None
        self._before = 0  # bytes of the content before `data`
        self.data = data
        self.at = 0
        self.is_new = True  # nobody has looked at all of it

    @property
    def offset(self) -> int:
        return self._before + self.at

    def more(self) -> bool:
        """Reads on; whether there was anything."""
        if self._broken is not None:
            raise self._broken
        pieces = [self.data[self.at :]]
        size = 0
        try:
            for piece in self._stream:
                pieces.append(piece)
                size += len(piece)
                if size >= _STEP:
                    break
        except BrokenContentError as exc:
            self._broken = exc
            if not size:
                raise
        self._before += self.at
        self.data, self.at, self.is_new = b"".join(pieces), 0, True
        return size > 0

    def take(self, end: int) -> bytes:
        taken, self.at = self.data[self.at : end], end
        return taken

    def next(self) -> bytes:
        """The next byte that is no white space, which is not taken; none at the end."""
        while True:
            self.at = _end(_WHITE, self)
            if self.at < len(self.data):
                return self.data[self.at : self.at + 1]
            if not self.more():
                return b""

    def has(self, mark: bytes) -> bool:
        """Whether `mark` comes next; it is taken then."""
        while len(self.data) - self.at < len(mark) and mark.startswith(self.data[self.at :]) and self.more():
            pass
        found = self.data.startswith(mark, self.at)
        self.at += len(mark) * found
        return found


def _end(pattern: re.Pattern[bytes], text: _Text) -> int:
    """Where a pattern ends that matches even nothing."""
    match = pattern.match(text.data, text.at)
    return match.end() if match else text.at


def _documents(text: _Text, pointer: Sequence[str]) -> Iterator[bytes]:
    while mark := text.next():
        if mark == BOM[:1] and text.has(BOM):
            continue
        if pointer and mark in b"{[":
            yield from _led_to(text, pointer, pointer)
        elif mark == b"[":
            text.at += 1
            yield from _array(text)
        elif mark == b"{":
            yield from _many(text, _OBJECT, _SPACE)
            if text.next() == b"{":
                yield from _value(text, alone=True)
                yield b"\n"
        else:
            yield from _loose(text, mark)
            yield b"\n"


def _led_to(text: _Text, pointer: Sequence[str], left: Sequence[str]) -> Iterator[bytes]:
    """The rows that a pointer, of which these parts are left, leads to in the value that begins here."""
    mark = text.next()
    if not left:
        if mark == b"[":
            text.at += 1
            yield from _array(text)
            return
        yield from _line(text)
        return
    if mark not in (b"{", b"["):
        _skip(text)
        yield _nothing_at(pointer)
        return
    closing = b"}" if text.take(text.at + 1) == b"{" else b"]"
    found, position = False, 0
    mark = text.next()
    while mark != closing:
        name = _name(text) if closing == b"}" else str(position)
        if name == left[0]:
            found = True
            yield from _led_to(text, pointer, left[1:])
        else:
            _skip(text)
        mark = text.next()
        if mark not in (b",", closing):
            raise _broken(text, "there must be a comma or the end")
        text.at += mark == b","
        position += 1
    text.at += 1
    if not found:
        yield _nothing_at(pointer)


def _name(text: _Text) -> str | None:
    """The name of the member that begins here; its value comes next."""
    if text.next() != b'"':
        raise _broken(text, "there must be the name of a member")
    raw = b""
    for piece in _string(text):
        raw += piece[: _LONGEST_KEY - len(raw)]
    if text.next() != b":":
        raise _broken(text, "there must be a colon")
    text.at += 1
    try:
        return str(json.loads(raw))
    except ValueError:
        return None


def _nothing_at(pointer: Sequence[str]) -> bytes:
    return json.dumps("a document with nothing at " + "".join(f"/{part}" for part in pointer)).encode() + b"\n"


def _array(text: _Text) -> Iterator[bytes]:
    """The elements of an array whose opening bracket has been taken."""
    if text.next() == b"]":
        text.at += 1
        return
    while True:
        yield from _many(text, _MEMBER, _COMMA)
        yield from _line(text)
        mark = text.next()
        if mark not in (b",", b"]"):
            raise _broken(text, "there must be a comma or the end of the array" if mark else "the array has no end")
        text.at += 1
        if mark == b"]":
            return


def _line(text: _Text) -> Iterator[bytes]:
    """The value that begins here, as a line; where there is none, a comma, which can be no row and is told as one."""
    mark = text.next()
    if mark:
        yield b"," if mark in b",]}" else b""
        yield from _value(text)
        yield b"\n"


def _many(text: _Text, one: re.Pattern[bytes], gap: re.Pattern[bytes]) -> Iterator[bytes]:
    """As many rows as can be told at once."""
    if text.is_new:
        text.is_new = False
        if rows := _alike(text, gap):
            yield rows
            yield b"\n"
    found = []
    data, at = text.data, text.at
    while match := one.match(data, at):
        found.append(match[1].replace(b"\n", b" "))
        at = match.end()
    text.at = at
    if found:
        yield b"\n".join(found) + b"\n"


def _alike(text: _Text, gap: re.Pattern[bytes]) -> bytes:
    """What has come of flat objects with one and the same gap between them, but for the last; nothing where in doubt.

    There is no doubt where each line that comes of it begins and ends with its own two brackets and has no mark but
    pairs of quotes between them: then no gap is in a string, none in a list of objects inside a row, and nothing
    stands between two rows.
    """
    first = gap.search(text.data, text.at)
    last = text.data.rfind(first[0]) if first else -1
    if first is None or last < text.at:
        return b""
    rows = text.data[_end(_WHITE, text) : last + 1].replace(first[0], b"}\n{")
    marks = rows.translate(None, _NO_MARKS).replace(b'""', b"")
    if marks != b"{}\n" * (len(marks) // 3) + b"{}" or not rows.startswith(b"{"):
        return b""
    if rows.count(b"\n") != rows.count(b"}\n{"):
        return b""
    text.at = last + len(first[0]) - 1
    return rows


def _value(text: _Text, *, alone: bool = False) -> Iterator[bytes]:
    """The bytes of the value that begins here, up to the comma or the bracket that ends what it is part of.

    An object that stands `alone` ends with its last bracket.
    """
    begin, depth = text.offset, 0
    while True:
        if depth or not alone:
            yield text.take(_end(_WITHIN if depth else _BETWEEN, text)).replace(b"\n", b" ")
        mark = text.data[text.at : text.at + 1]
        if not mark:
            if text.more():
                continue
            if not depth:
                return
            raise _broken(text, f"what begins at byte {begin} has no end", inside=True)
        if mark == b'"':
            yield from _string(text)
            continue
        if not depth and mark in b",]}":
            return
        brackets = _end(_OPENING, text) - text.at or -min(_end(_CLOSING, text) - text.at, depth)
        yield text.take(text.at + abs(brackets))
        depth += brackets
        if alone and not depth:
            return


def _skip(text: _Text) -> None:
    """Reads past a value."""
    for _ in _value(text):
        pass


def _string(text: _Text) -> Iterator[bytes]:
    """The bytes of the string that begins here."""
    begin = text.offset
    yield text.take(text.at + 1)
    while True:
        yield text.take(_end(_IN_STRING, text)).replace(b"\n", b"\r")
        if text.data.startswith(b'"', text.at):
            yield text.take(text.at + 1)
            return
        if not text.more():
            raise _broken(text, f"the string that begins at byte {begin} has no end", inside=True)


def _loose(text: _Text, mark: bytes) -> Iterator[bytes]:
    """What stands between documents and is none: a string, a word, or a single mark."""
    if mark == b'"':
        yield from _string(text)
        return
    if mark in b",]}":
        yield text.take(text.at + 1)
        return
    while True:
        yield text.take(_end(_WORD, text))
        if text.at < len(text.data) or not text.more():
            return


def _broken(text: _Text, what: str, *, inside: bool = False) -> BrokenContentError:
    """A break `inside` a row, which then is part of what can't be read, or behind whole ones."""
    reason = f"MalformedDocument: {what}, at byte {text.offset}; what follows was not read"
    with suppress(BrokenContentError):
        while len(text.data) - text.at < _SHOWN and text.more():
            pass
    row = text.data[text.at : text.at + _SHOWN]
    return BrokenContentError("MalformedDocument", reason, line_is_whole=not inside, row=row)
