"""A stream of bytes as blocks of whole lines, in bounded memory however long a line is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

BLOCK_BYTES = 2 * 1024 * 1024
MAX_LINE_BYTES = 8 * 1024 * 1024
BOM = b"\xef\xbb\xbf"
WHITE = b" \t\r"  # a line of nothing else is no row
_CUT = 1024
_STEP = BLOCK_BYTES


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines; `first_line` is the number of the first, `offset` where they begin in the content.

    `newlines` is how many there are; the last line of the content may lack one.
    """

    data: bytes
    first_line: int
    offset: int
    newlines: int


class BadRow(NamedTuple):
    """What is not in silver, and why. `row` is cut; `line` counts from 1."""

    line: int
    error_type: str
    reason: str
    row: str


class BrokenContentError(Exception):
    """The content can be read no further: what is left of it counts as one bad row.

    `line_is_whole` says whether the last line before the break is all there; if not, it belongs to what is left, whose
    beginning is `row`.
    """

    def __init__(self, error_type: str, reason: str, *, line_is_whole: bool = False, row: bytes = b"") -> None:
        super().__init__(reason)
        self.error_type = error_type
        self.line_is_whole = line_is_whole
        self.row = row


def bad_row(line: int, error_type: str, reason: str, row: bytes) -> BadRow:
    """A bad row from its bytes, of which the first 1,024 are kept."""
    return BadRow(line, error_type, reason, row[:_CUT].decode(errors="replace"))


class LineReader:
    """Cuts content at the ends of its lines; a line past the limit is skipped as it comes and reported as a bad row.

    Blocks have about 2 MiB. Where they end has no meaning: a reader of them must come to the same rows for any cut.
    """

    def __init__(self, *, first_line: int, offset: int) -> None:
        self._line = first_line
        self._offset = offset
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._skipped = 0  # bytes of the line that is being skipped
        self._start = b""  # of that line

    def read(self, stream: Iterable[bytes]) -> Iterator[Block | BadRow]:
        """The blocks of the whole stream, whose last line may lack its newline."""
        try:
            for data in stream:
                # Small steps, so that only the first line of what is held can be longer than the limit.
                for start in range(0, len(data), _STEP):
                    yield from self._take(data[start : start + _STEP])
        except BrokenContentError as exc:
            yield from self._broken(exc)
            return
        if self._skipped:
            yield self._too_long()
        elif rest := b"".join(self._held):
            yield self._block(rest)

    def _take(self, data: bytes) -> Iterator[Block | BadRow]:
        if self._skipped:
            end = data.find(b"\n") + 1
            self._skipped += end or len(data)
            if not end:
                return
            yield self._too_long()
            data = data[end:]
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes >= BLOCK_BYTES:
            end = data.rfind(b"\n") + 1  # all up to it is copied once, and what is behind it by itself
            self._held[-1] = data[:end] if end else data
            yield from self._cut(b"".join(self._held))
            if end:
                self._held.append(data[end:])
                self._held_bytes += len(data) - end

    def _cut(self, held: bytes) -> Iterator[Block | BadRow]:
        first = held.find(b"\n") + 1
        if (first or len(held)) > MAX_LINE_BYTES:
            self._start, self._skipped = held[:_CUT], first or len(held)
            if first:
                yield self._too_long()
            self._hold(held[first:] if first else b"")
            return
        end = held.rfind(b"\n") + 1
        if end:
            yield self._block(held[:end])
        self._hold(held[end:])

    def _broken(self, error: BrokenContentError) -> Iterator[Block | BadRow]:
        """What is whole, then one bad row for all the rest."""
        held = b"".join(self._held)
        end = len(held) if error.line_is_whole else held.rfind(b"\n") + 1
        if self._skipped and error.line_is_whole:
            yield self._too_long()
        if held[:end]:
            yield self._block(held[:end])
            self._line += not held[:end].endswith(b"\n")
        row = held[end:] or self._start * bool(self._skipped) or error.row
        yield bad_row(self._line, error.error_type, str(error), row)

    def _hold(self, rest: bytes) -> None:
        self._held, self._held_bytes = [rest], len(rest)

    def _block(self, data: bytes) -> Block:
        newlines = data.count(b"\n")
        # Files that were joined have a mark at the start of each.
        text = data.removeprefix(BOM).replace(b"\n" + BOM, b"\n") if BOM[:1] in data else data
        block = Block(text, self._line, self._offset, newlines)
        self._line += newlines
        self._offset += len(data)
        return block

    def _too_long(self) -> BadRow:
        reason = f"the line has {self._skipped} bytes, at most {MAX_LINE_BYTES} are read"
        row = bad_row(self._line, "LineTooLongError", reason, self._start)
        self._line += 1
        self._offset += self._skipped
        self._skipped = 0
        return row
