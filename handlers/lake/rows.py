"""Blocks of lines into tables: a block at a time where it is good, narrowed to its bad lines where it is not.

A row is a line that is not blank. Every row ends in exactly one place: in a table, or among the bad ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from handlers.lake.explain import explain
from handlers.lake.lift import lift
from handlers.lake.lines import BadRow, Block, bad_row
from handlers.lake.model import EVER, RECORD_TYPE, RecordType, Text, Times
from handlers.lake.validate import judge, parse_schema

_ARROW_BLOCK = 1024 * 1024  # Arrow's unit of parallel work
_PART = 128 * 1024  # bytes that are narrowed at a time where a block is not all good
_GROUP = 512  # rows that are tried together
_WHITE = b" \t\r"
_NO_TYPE = RecordType("none", (Text("none", optional=True),))

Line = tuple[int, bytes]  # its number, and what it says


@dataclass(slots=True)
class Parsed:
    """The rows that begin at `offset` of the content: good ones by type, bad ones with their reason."""

    offset: int
    tables: list[tuple[str, pa.Table]] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)


class RowReader:
    """Reads rows whose type is `default` where they do not say their own; times outside of `times` are bad."""

    def __init__(self, default: str, types: Mapping[str, RecordType], times: Times = EVER) -> None:
        self._times = times
        self._default = default
        self._types = types

    def read_whole(self, block: Block) -> Parsed | None:
        """Every row of a block whose rows are all good and of the default type; None where one is not."""
        rows = _rows_if_clean(block) if self._default in self._types else 0
        table = self._parse(block.data, rows, self._default, _ARROW_BLOCK) if rows else ""
        if isinstance(table, str) or _names_other(table, self._default):
            return None
        typed, good = judge(table, self._types[self._default], self._times)
        return Parsed(block.offset, [(self._default, typed)]) if pc.all(good).as_py() else None

    def read_parts(self, block: Block) -> Iterator[Parsed]:
        """Every row of any block, bit by bit, because bad rows take more memory than good ones."""
        for part in _parts(block):
            yield self._read_part(part)

    def _read_part(self, block: Block) -> Parsed:
        parsed = Parsed(block.offset)
        self._try_groups(_lines(block), self._default, parsed)
        parsed.bad.sort(key=lambda row: row.line)
        return parsed

    def _try_groups(self, lines: Sequence[Line], kind: str, parsed: Parsed) -> None:
        """Reads lines by groups, without those that can be no row at all."""
        rows: list[Line] = []
        for line in lines:
            if _may_be_row(line[1]):
                rows.append(line)
            else:
                parsed.bad.append(self._bad(line, kind))
        for start in range(0, len(rows), _GROUP):
            self._try(rows[start : start + _GROUP], kind, parsed)

    def _try(self, lines: Sequence[Line], kind: str, parsed: Parsed) -> None:
        """Reads lines together; where Arrow refuses, without those that are bad for sure, and at last in halves."""
        table = self._parse(b"\n".join(text for _, text in lines), len(lines), kind)
        if isinstance(table, pa.Table):
            self._accept(table, kind, lines, parsed)
            return
        if len(lines) == 1:
            parsed.bad.append(self._bad(lines[0], kind, table))
            return
        by_type = self._sift(lines, kind, parsed)
        if len(by_type.get(kind, ())) == len(lines):
            self._try(lines[: len(lines) // 2], kind, parsed)
            self._try(lines[len(lines) // 2 :], kind, parsed)
            return
        for name, rows in by_type.items():
            self._try(rows, name, parsed)

    def _sift(self, lines: Sequence[Line], kind: str, parsed: Parsed) -> dict[str, list[Line]]:
        """Takes out the lines that are bad for sure; the others come back by type."""
        by_type: dict[str, list[Line]] = {}
        for number, text in lines:
            found = explain(text, kind, self._types, self._times)
            if found.reason:
                parsed.bad.append(bad_row(number, found.error_type, found.reason, text))
            else:
                by_type.setdefault(found.type, []).append((number, text))
        return by_type

    def _accept(self, table: pa.Table, kind: str, lines: Sequence[Line], parsed: Parsed) -> None:
        """Takes what Arrow has read, but for rows of another type, which are read anew, and those that are not good."""
        if _names_other(table, kind):
            self._read_foreign(lines, table[RECORD_TYPE].to_pylist(), kind, parsed)
            own = pc.fill_null(pc.equal(table[RECORD_TYPE], kind), fill_value=True)
            table, lines = table.filter(own), _only(lines, own)
        if kind not in self._types:
            parsed.bad += [self._bad(line, kind) for line in lines]
            return
        typed, good = judge(table, self._types[kind], self._times)
        if not pc.all(good).as_py():
            typed = typed.filter(good)
            parsed.bad += [self._bad(line, kind) for line in _only(lines, pc.invert(good))]
        if typed.num_rows:
            parsed.tables.append((kind, typed))

    def _read_foreign(self, lines: Sequence[Line], names: Sequence[str | None], kind: str, parsed: Parsed) -> None:
        by_type: dict[str, list[Line]] = {}
        for line, name in zip(lines, names, strict=True):
            if name is not None and name != kind:
                by_type.setdefault(name, []).append(line)
        for name, rows in by_type.items():
            if name in self._types:
                self._try_groups(rows, name, parsed)
            else:
                parsed.bad += [self._bad(line, kind) for line in rows]

    def _parse(self, data: bytes, rows: int, kind: str, step: int = 0) -> pa.Table | str:
        """The table, or what Arrow has against it: with a `step` also a line that is longer than that."""
        options = pj.ParseOptions(
            explicit_schema=parse_schema(self._types.get(kind, _NO_TYPE)), unexpected_field_behavior="ignore"
        )
        reading = pj.ReadOptions(use_threads=bool(step), block_size=step or len(data) + 1)
        wanted = self._types.get(kind, _NO_TYPE)
        if wanted.lifted:
            data = b"\n".join(lift(line, wanted) for line in data.split(b"\n") if line.strip(_WHITE))
            reading = pj.ReadOptions(use_threads=False, block_size=len(data) + 1)
        try:
            table = pj.read_json(pa.BufferReader(data), read_options=reading, parse_options=options)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
            return f"is not what Arrow reads: {exc}"
        # Arrow takes two objects on a line for two rows.
        return table if table.num_rows == rows else "must be one object, something follows it"

    def _bad(self, line: Line, kind: str, why: str = "does not fit its schema") -> BadRow:
        found = explain(line[1], kind, self._types, self._times)
        return bad_row(line[0], found.error_type or "MalformedRowError", found.reason or why, line[1])


def _names_other(table: pa.Table, kind: str) -> bool:
    """Whether a row says that it is of another type."""
    named = table[RECORD_TYPE]
    return named.null_count < len(named) and pc.any(pc.not_equal(named, kind)).as_py() is True


def _parts(block: Block) -> Iterator[Block]:
    """A block as smaller ones."""
    start, line = 0, block.first_line
    while start < len(block.data):
        end = block.data.find(b"\n", start + _PART) + 1 or len(block.data)
        data = block.data[start:end]
        newlines = data.count(b"\n")
        yield Block(data, line, block.offset + start, newlines)
        start, line = end, line + newlines


def _rows_if_clean(block: Block) -> int:
    """How many rows there are where each line is plainly one (`{…}`, UTF-8, no blank lines), else 0.

    Then no object spans lines, since after a `}` inside an object no `{` can come. Arrow must get no other lines:
    some of them it does not survive, and this guard stands before it.
    """
    data = block.data
    end = data[-3:].rstrip(b"\r\n")
    if not (data.startswith(b"{") and end.endswith(b"}")) or not (data.isascii() or _arrow_takes_as_text(data)):
        return 0
    rows = block.newlines + (not data.endswith(b"\n"))
    borders = data.count(b"}\n{")
    if borders + 1 < rows:
        borders += data.count(b"}\r\n{")
    return rows if borders + 1 == rows else 0


def _arrow_takes_as_text(data: bytes) -> bool:
    """Whether it is UTF-8, as `bytes.decode` would find, without making a text of it: eight times as fast."""
    offsets = pa.array([0, len(data)], pa.int32()).buffers()[1]
    try:
        pa.Array.from_buffers(pa.binary(), 1, [None, offsets, pa.py_buffer(data)]).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _may_be_row(text: bytes) -> bool:
    if not (text.startswith(b"{") and text.endswith(b"}")):
        return False
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _lines(block: Block) -> list[Line]:
    texts = (text.strip(_WHITE) for text in block.data.split(b"\n"))
    return [(number, text) for number, text in enumerate(texts, block.first_line) if text]


def _only(lines: Sequence[Line], mask: pa.Array) -> list[Line]:
    """The lines of the rows where the mask is true."""
    return [line for line, wanted in zip(lines, mask.to_pylist(), strict=True) if wanted]
