"""Blocks of lines into tables: by columns, without the few rows that are bad; bit by bit where many are.

A row is a line that is not blank. Every row ends in exactly one place: in a table, or among the bad ones.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate, compress

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from handlers.lake.explain import Finding, explain, unknown
from handlers.lake.lift import lift
from handlers.lake.lines import WHITE, BadRow, Block, bad_row
from handlers.lake.model import EVER, RECORD_TYPE, Decimal, Field, Integer, RecordType, Text, Time, Times
from handlers.lake.validate import judge, parse_schema

_PART = 128 * 1024  # bytes that are narrowed at a time where much of a block is bad
_WINDOW = 64 * 1024  # bytes that are read together where a block has bad rows
_FEW = (
    1000  # bad rows of a block; where there are more, it is read bit by bit, for they take more memory than good ones
)
_FEW_IN_WINDOW = 32  # that Arrow refuses
_NO_TYPE = RecordType("none", (Text("none", optional=True),))
_ROUNDS = 4  # that a block is parsed in, before it is read by windows
_FAILED_ROW = re.compile(r" in row (\d+)$")
_REFUSED = re.compile(r"(?:Column\(/([^/)]+)[^)]*\) changed .*)? in row (\d+)$")
_NAMED = re.compile(rb'("record_type" ?: ?"([^"\\]{1,64})")')

Line = tuple[int, bytes]  # its number, and what it says


class _TooManyError(Exception):
    """More rows of a block are bad than are cut out one by one, or Arrow does not say which."""


@dataclass(slots=True)
class Parsed:
    """The rows that begin at `offset` of the content: good ones by type, bad ones with their reason."""

    offset: int
    tables: list[tuple[str, pa.Table]] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)


@dataclass(slots=True)
class _Lines:
    """Lines that are parsed together, each with its number: as one text and, where one is looked for, by themselves."""

    data: bytes
    numbers: Sequence[int]
    _texts: pa.Array | None = None

    def texts(self) -> pa.Array:
        """Each without its newline."""
        if self._texts is None:
            self._texts = pc.split_pattern(_as_binary(self.data), "\n").values.slice(0, len(self.numbers))
        return self._texts

    def line(self, row: int) -> Line:
        """One of them, without white space around it."""
        return self.numbers[row], self.texts()[row].as_py().strip(WHITE)

    def with_sign(self, sign: bytes) -> Iterator[int]:
        """Those that have it, in order."""
        rows = range(len(self.numbers))
        at = self.data.find(sign)
        while at >= 0:
            row = bisect_right(rows, at, key=self._start) - 1
            yield row
            at = self.data.find(sign, self._start(row + 1))

    def only(self, mask: pa.Array) -> "_Lines":
        """Some of them."""
        texts = self.texts().filter(mask)
        whole = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts), b"\n")
        return _Lines(whole[0].as_py(), list(compress(self.numbers, mask.to_pylist())), texts)

    def without(self, rows: Iterable[int]) -> "_Lines":
        """All but these, of which there are few."""
        return self.instead(dict.fromkeys(rows))

    def instead(self, changed: Mapping[int, bytes | None]) -> "_Lines":
        """All, with others in the place of a few, or none in it."""
        if not changed:
            return self
        view, texts, numbers = memoryview(self.data), self.texts(), list(self.numbers)
        data: list[bytes | memoryview] = []
        parts = [texts.slice(0, 0)]
        done = 0
        for row in sorted(changed):
            data.append(view[self._start(done) : self._start(row)])
            parts.append(texts.slice(done, row - done))
            if text := changed[row]:
                data += [text, b"\n"]
                parts.append(pa.array([text], pa.binary()))
            done = row + 1
        data.append(view[self._start(done) :])
        parts.append(texts.slice(done))
        for row in sorted(changed, reverse=True):
            if changed[row] is None:
                del numbers[row]
        return _Lines(b"".join(data), numbers, pa.concat_arrays(parts))

    def _start(self, row: int) -> int:
        """Where a line begins in the data."""
        texts = self.texts()
        offsets = memoryview(texts.buffers()[1]).cast("i")
        return int(offsets[texts.offset + row] - offsets[texts.offset]) + row


_Piece = tuple[pa.Table, _Lines]  # rows that Arrow has read, and where they come from


class RowReader:
    """Reads rows whose type is `default` where they do not say their own; times outside of `times` are bad."""

    def __init__(self, default: str, types: Mapping[str, RecordType], times: Times = EVER) -> None:
        self._times = times
        self._default = default
        self._types = types
        self._signs: dict[str, set[bytes]] = {}  # by type: how a field begins in rows that Arrow has refused
        self._is_mixed = False  # whether rows have named other types: then they are parted before they are parsed

    def read_whole(self, block: Block) -> Parsed | None:
        """Every row of a block of which few are bad, else None."""
        parsed = Parsed(block.offset)
        rows = block.newlines + (not block.data.endswith(b"\n"))
        lines = _Lines(block.data, range(block.first_line, block.first_line + rows))
        try:
            if not _is_clean(block.data, rows):
                lines = self._bare(lines, parsed)
            self._read_bare(lines, parsed)
        except _TooManyError:
            return None
        parsed.bad.sort(key=lambda row: row.line)
        return parsed

    def read_parts(self, block: Block) -> Iterator[Parsed]:
        """Every row of any block, bit by bit, each looked at by itself."""
        for part in _parts(block):
            parsed = Parsed(part.offset)
            by_type: dict[str, list[Line]] = {}
            for number, text in _lines(part):
                found = self._explain(text)
                if found.reason or not _may_be_row(text):
                    parsed.bad.append(_bad(number, text, found, "is no object"))
                else:
                    by_type.setdefault(found.type, []).append((number, text))
            for kind, lines in by_type.items():
                self._halve(lines, kind, parsed)
            if by_type:
                parsed.bad.sort(key=lambda row: row.line)
            yield parsed

    def _bare(self, lines: _Lines, parsed: Parsed) -> _Lines:
        """The lines that may be rows, without white space around them; the others are bad."""
        changed: dict[int, bytes | None] = {}
        for row in _odd(lines):
            number, text = lines.line(row)
            changed[row] = text if _may_be_row(text) else None
            if text and changed[row] is None:
                self._take_bad(parsed, number, text, "is no object")
        return lines.instead(changed)

    def _read_bare(self, lines: _Lines, parsed: Parsed) -> None:
        """Reads lines of the default type, or by types where some are of others."""
        if self._default not in self._types:
            self._is_mixed = True
        if not self._is_mixed:
            lines, table = self._at_once(lines, self._default, parsed)
            self._is_mixed = b'"record_type"' in lines.data if table is None else self._name_others(table)
            if not self._is_mixed:
                pieces = list(self._by_windows(lines, self._default, parsed)) if table is None else [(table, lines)]
                self._accept(pieces, self._default, parsed)
        if self._is_mixed:
            self._read_by_type(lines, parsed)

    def _read_by_type(self, lines: _Lines, parsed: Parsed) -> None:
        """Reads lines by the type that they seem to name; who is wrong about it is moved to its own."""
        kinds = self._types.keys() - {self._default}
        while said := next((match for match in _NAMED.finditer(lines.data) if match[2].decode() in kinds), None):
            own = pc.match_substring_regex(lines.texts(), said[1])  # sooner than what looks for no pattern
            self._read(lines.only(own), said[2].decode(), parsed)
            lines = lines.only(pc.invert(own))
        if self._default in self._types:
            self._read(lines, self._default, parsed)
        else:
            self._refuse([lines.line(row) for row in range(len(lines.numbers))], self._default, parsed)

    def _read(self, lines: _Lines, kind: str, parsed: Parsed) -> None:
        """Reads rows of one type, without the bad ones; those that turn out to be of another are read by their own."""
        lines, table = self._at_once(lines, kind, parsed)
        pieces = list(self._by_windows(lines, kind, parsed)) if table is None else [(table, lines)]
        self._accept(pieces, kind, parsed)

    def _at_once(self, lines: _Lines, kind: str, parsed: Parsed) -> tuple[_Lines, pa.Table | None]:
        """All of the rows, but for those that are soon found to be bad; no table where Arrow refuses more of them."""
        for _ in range(_ROUNDS):
            lines = self._without_signs(lines, kind, parsed)
            if not lines.numbers:
                break
            found = self._parse(lines.data, kind)
            if not isinstance(found, str):
                return lines, found if found.num_rows == len(lines.numbers) else None
            refused = _REFUSED.search(found)
            row = int(refused[2]) if refused else len(lines.numbers)
            if refused is None or row >= len(lines.numbers):  # where one line has two objects, Arrow counts both
                break
            number, text = lines.line(row)
            why = self._explain(text)
            if not why.reason:
                break
            self._take_bad(parsed, number, text, "", why)
            if refused[1] and (sign := re.search(rb'"%b"\s*:\s*[^\s]' % re.escape(refused[1].encode()), text)):
                self._signs.setdefault(kind, set()).add(sign[0])
            lines = lines.without([row])
        return lines, None

    def _without_signs(self, lines: _Lines, kind: str, parsed: Parsed) -> _Lines:
        """Lines without those that have what Arrow has refused in others, which are bad mostly for the same reason.

        A sign that a good row has, or no row of these, is forgotten.
        """
        bad: set[int] = set()
        for sign in sorted(self._signs.get(kind, ())):
            is_one = False
            for row in lines.with_sign(sign):
                number, text = lines.line(row)
                found = self._explain(text)
                is_one = bool(found.reason)
                if not is_one:
                    break
                if row not in bad:
                    bad.add(row)
                    self._take_bad(parsed, number, text, "", found)
            if not is_one:
                self._signs[kind].discard(sign)
        return lines.without(bad)

    def _accept(self, pieces: Sequence[_Piece], kind: str, parsed: Parsed) -> None:
        """Takes what Arrow has read, without the bad rows and those of another type."""
        if not pieces:
            return
        table, good = self._judge(pa.concat_tables([table for table, _ in pieces]), kind)
        if pc.all(good).as_py() is False:
            self._refuse(_lines_at(pieces, pc.indices_nonzero(pc.invert(good)).to_pylist()), kind, parsed)
            table = table.filter(good)
        if table.num_rows:
            parsed.tables.append((kind, table))

    def _name_others(self, table: pa.Table) -> bool:
        """Whether rows say that they are of another type than the default one."""
        named = table[RECORD_TYPE]
        return named.null_count < len(named) and pc.any(pc.not_equal(named, self._default)).as_py() is True

    def _by_windows(self, lines: _Lines, kind: str, parsed: Parsed) -> Iterator[_Piece]:
        """A window at a time, so that few rows are read twice because of a bad one."""
        data = lines.data
        start = row = 0
        while start < len(data):
            end = data.find(b"\n", start + _WINDOW) + 1 or len(data)
            window = data[start:end]
            rows = window.count(b"\n") + (not window.endswith(b"\n"))
            own = lines.numbers[row : row + rows]
            table = self._parse(window, kind)
            if isinstance(table, pa.Table) and table.num_rows == rows:
                yield table, _Lines(window, own)
            else:
                texts = [text.strip(WHITE) for text in window.split(b"\n")[:rows]]
                yield from self._by_rows(texts, own, kind, parsed)
            start, row = end, row + rows

    def _by_rows(self, texts: Sequence[bytes], numbers: Sequence[int], kind: str, parsed: Parsed) -> Iterator[_Piece]:
        """The rows but for those that Arrow refuses: it stops at the first and says which, so what follows is next.

        What comes before it is parsed anew, so that a row that was mistaken for a bad one is found out.
        """
        at, refused = 0, 0
        while at < len(texts):
            found = self._parse(b"\n".join(texts[at:]), kind)
            end, row = len(texts), _FAILED_ROW.search(found) if isinstance(found, str) else None
            if row:
                end = at + int(row[1])
                found = self._parse(b"\n".join(texts[at:end]), kind) if end > at else ""
            elif isinstance(found, str):
                bad = {i for i in range(at, end) if self._is_doubtful(texts[i], kind)}
                self._refuse([(numbers[i], texts[i]) for i in sorted(bad)], kind, parsed)
                kept = [i for i in range(at, end) if i not in bad]
                texts, numbers = [texts[i] for i in kept], [numbers[i] for i in kept]
                at, end = 0, len(kept)
                found = self._parse(b"\n".join(texts), kind) if bad and kept else ""
            if end > at:
                if isinstance(found, str) or found.num_rows != end - at:
                    raise _TooManyError
                yield found, _Lines(b"\n".join(texts[at:end]), numbers[at:end])
            if row:
                self._refuse([(numbers[end], texts[end])], kind, parsed)
                refused += 1
                if refused > _FEW_IN_WINDOW:
                    raise _TooManyError
            at = end + 1

    def _judge(self, table: pa.Table, kind: str) -> tuple[pa.Table, pa.Array]:
        """The rows as silver holds them, and which are good and of this type."""
        named = table[RECORD_TYPE]
        table, good = judge(table, self._types[kind], self._times)
        if kind == self._default and named.null_count == len(named):
            return table, good
        own = pc.fill_null(pc.equal(named, kind), fill_value=kind == self._default).combine_chunks()
        return table, pc.and_(good, own)

    def _is_doubtful(self, text: bytes, kind: str) -> bool:
        """Whether a row is bad and has a number that Arrow refuses without a word on where it stands."""
        return bool(_doubtful(self._types[kind]).search(text) and self._explain(text).reason)

    def _refuse(self, lines: Iterable[Line], kind: str, parsed: Parsed) -> None:
        """Takes rows for bad that are not good rows of this type, unless they are of another one."""
        others: dict[str, list[Line]] = {}
        for number, text in lines:
            found = self._explain(text)
            if not found.reason and found.type != kind:
                others.setdefault(found.type, []).append((number, text))
            else:
                self._take_bad(parsed, number, text, "", found)
        for other, own in others.items():
            self._read(_Lines(b"\n".join(text for _, text in own), [number for number, _ in own]), other, parsed)

    def _take_bad(self, parsed: Parsed, number: int, text: bytes, why: str, found: Finding | None = None) -> None:
        if len(parsed.bad) >= _FEW:
            raise _TooManyError
        found = found or self._explain(text)
        if not found.reason and not why:
            alone = self._parse(text, found.type) if _may_be_row(text) else "is no object"
            why = alone if isinstance(alone, str) else _FOLLOWED if alone.num_rows != 1 else ""
            if not why and pc.all(self._judge(alone, found.type)[1]).as_py():
                raise _TooManyError  # it is good, and was mistaken for a bad one
        parsed.bad.append(_bad(number, text, found, why))

    def _halve(self, lines: Sequence[Line], kind: str, parsed: Parsed) -> None:
        """Reads lines of one type in which words have found no fault; where Arrow refuses, in halves."""
        table = self._parse(b"\n".join(text for _, text in lines), kind)
        if isinstance(table, pa.Table) and table.num_rows == len(lines):
            table, good = self._judge(table, kind)
            parsed.bad += [
                _bad(number, text, Finding(kind), "")
                for (number, text), is_good in zip(lines, good.to_pylist(), strict=True)
                if not is_good
            ]
            if (table := table.filter(good)).num_rows:
                parsed.tables.append((kind, table))
        elif len(lines) == 1:
            parsed.bad.append(_bad(*lines[0], Finding(kind), table if isinstance(table, str) else _FOLLOWED))
        else:
            self._halve(lines[: len(lines) // 2], kind, parsed)
            self._halve(lines[len(lines) // 2 :], kind, parsed)

    def _explain(self, text: bytes) -> Finding:
        found = explain(text, self._default, self._types, self._times)
        return found if found.type else self._ask_arrow(text)

    def _ask_arrow(self, text: bytes) -> Finding:
        """The type of a row that Python can't read, or what Arrow has against it whatever its type is."""
        table = self._parse(text, "") if _may_be_row(text) else "is no object"
        if isinstance(table, str) or table.num_rows != 1:
            return Finding(self._default, "MalformedRowError", table if isinstance(table, str) else _FOLLOWED)
        name = table[RECORD_TYPE][0].as_py()
        kind = self._default if name is None else name
        return Finding(kind) if kind in self._types else unknown(kind, self._default)

    def _parse(self, data: bytes | memoryview, kind: str) -> pa.Table | str:
        """The table, or what Arrow has against it."""
        wanted = self._types.get(kind, _NO_TYPE)
        if wanted.lifted:
            data = b"\n".join(lift(line, wanted) for line in bytes(data).split(b"\n") if line.strip(WHITE))
        options = pj.ParseOptions(explicit_schema=parse_schema(wanted), unexpected_field_behavior="ignore")
        reading = pj.ReadOptions(use_threads=False, block_size=len(data) + 1)
        try:
            return pj.read_json(pa.BufferReader(data), read_options=reading, parse_options=options)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
            return f"is not what Arrow reads: {exc}"


_FOLLOWED = "must be one object, something follows it"  # Arrow takes two objects on a line for two rows


def _lines_at(pieces: Sequence[_Piece], rows: Iterable[int]) -> list[Line]:
    """The lines of rows, which are counted over all the pieces."""
    starts = [0, *accumulate(table.num_rows for table, _ in pieces)]
    found = []
    for row in rows:
        i = bisect_right(starts, row) - 1
        found.append(pieces[i][1].line(row - starts[i]))
    return found


def _bad(number: int, text: bytes, found: Finding, why: str) -> BadRow:
    reason = found.reason or why or "does not fit its schema"
    return bad_row(number, found.error_type or "MalformedRowError", reason, text)


@cache
def _doubtful(kind: RecordType) -> re.Pattern[bytes]:
    """Numbers that are not plainly such as their field takes. Arrow says of them that they are there, not where."""
    forms = [
        rf'"{re.escape(one.key)}"\s*:\s*(?!{form}\s*[,}}])' for one in (kind.time, *kind.fields) if (form := _form(one))
    ]
    return re.compile("|".join(forms or ["(?!)"]).encode())


def _form(field: Field) -> str:
    match field:
        case Integer():
            return r"(?:-?\d{1,18}|null)"
        case Decimal(scale=scale):
            return rf'(?:"?-?\d{{1,30}}(?:\.\d{{0,{scale}}})?"?|null)'
        case Time(form="s" | "ms"):
            return rf'(?:"?\d{{1,15}}(?:\.\d{{0,{field.scale}}})?"?|null)'
    return ""


def _parts(block: Block) -> Iterator[Block]:
    """A block as smaller ones."""
    start, line = 0, block.first_line
    while start < len(block.data):
        end = block.data.find(b"\n", start + _PART) + 1 or len(block.data)
        data = block.data[start:end]
        newlines = data.count(b"\n")
        yield Block(data, line, block.offset + start, newlines)
        start, line = end, line + newlines


def _is_clean(data: bytes, rows: int) -> bool:
    """Whether each of so many lines is plainly a row (`{…}`, UTF-8, no blank lines).

    Then no object spans lines, since after a `}` inside an object no `{` can come. Arrow must get no other lines:
    some of them it does not survive, and this guard stands before it.
    """
    if not (data.startswith(b"{") and data[-3:].rstrip(b"\r\n").endswith(b"}")):
        return False
    if not (data.isascii() or _arrow_takes_as_text(data)):
        return False
    borders = data.count(b"}\n{")
    if borders + 1 < rows and b"\r" in data:
        borders += data.count(b"}\r\n{")
    return borders + 1 == rows


def _odd(lines: _Lines) -> Sequence[int]:
    """The lines that are not plainly rows."""
    if not (lines.data.isascii() or _arrow_takes_as_text(lines.data)):
        texts = enumerate(lines.texts().to_pylist())
        return [i for i, text in texts if text[:1] != b"{" or text[-1:] != b"}" or not text.isascii()]
    plain = pc.and_(pc.starts_with(lines.texts(), "{"), pc.ends_with(lines.texts(), "}"))
    return pc.indices_nonzero(pc.invert(plain)).to_pylist()  # type: ignore[no-any-return]


def _arrow_takes_as_text(data: bytes) -> bool:
    """Whether it is UTF-8, as `bytes.decode` would find, without making a text of it: eight times as fast."""
    try:
        _as_binary(data).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _as_binary(data: bytes) -> pa.Array:
    """An array of this one value, which is not copied."""
    offsets = pa.array([0, len(data)], pa.int32()).buffers()[1]
    return pa.Array.from_buffers(pa.binary(), 1, [None, offsets, pa.py_buffer(data)])


def _may_be_row(text: bytes) -> bool:
    if not (text.startswith(b"{") and text.endswith(b"}")):
        return False
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _lines(block: Block) -> list[Line]:
    texts = (text.strip(WHITE) for text in block.data.split(b"\n"))
    return [(number, text) for number, text in enumerate(texts, block.first_line) if text]
