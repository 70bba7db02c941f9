"""How an object is to be read. Its first mebibyte says it; its name is asked only where that allows more readings.

Lines or documents: JSON Lines can be cut at any line, and lines are counted; documents (arrays, objects laid out over
lines, rows inside an object) are read as a whole, and rows are counted.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from handlers.lake import documents
from handlers.lake.errors import UnreadableObjectError
from handlers.lake.lines import BOM, BrokenContentError
from handlers.lake.message import Claim, Compression

HEAD_BYTES = 1024 * 1024
Encoding = Literal["utf-8", "utf-16-le", "utf-16-be"]
_WHITE = b" \t\r\n"
_COMPRESSED: tuple[tuple[re.Pattern[bytes], Compression], ...] = (
    (re.compile(rb"\x1f\x8b\x08"), "gzip"),
    (re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", re.DOTALL), "zstd"),  # a frame, or one to be skipped
    (re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", re.DOTALL), "bzip2"),
)
_FOREIGN = (
    (re.compile(rb"PK(?:\x03\x04|\x05\x06)"), "a zip archive"),
    (re.compile(rb"PAR1"), "a Parquet file"),
    (re.compile(rb"Obj\x01"), "an Avro file"),
    (re.compile(rb"ORC"), "an ORC file"),
    (re.compile(rb"\xfd7zXZ\x00"), "compressed with xz"),
    (re.compile(rb"\x04\x22\x4d\x18"), "compressed with lz4"),
    (re.compile(rb"\xff\x06\x00\x00sNaPpY"), "compressed with snappy"),
    (re.compile(rb"%PDF-"), "a PDF document"),
    (re.compile(rb"\xff\xfe\x00\x00|\x00\x00\xfe\xff"), "UTF-32"),
)
_UTF_16: tuple[tuple[re.Pattern[bytes], Encoding], ...] = (
    (re.compile(rb"\xff\xfe|[{\[]\x00"), "utf-16-le"),
    (re.compile(rb"\xfe\xff|\x00[{\[]"), "utf-16-be"),
)
# Objects whose first member says that they are only a wrapping: CloudTrail and S3's own, and GeoJSON.
_WRAPPINGS = (
    (re.compile(rb'\{\s*"Records"\s*:\s*\['), "/Records"),
    (re.compile(rb'\{\s*"features"\s*:\s*\[|\{\s*"type"\s*:\s*"FeatureCollection"'), "/features"),
)
_ROW_BEGINS = re.compile(rb"^[ \t]*[{\[]", re.MULTILINE)
_CONTROLS = bytes(number for number in range(32) if number not in b"\t\r\n\f")
_SAMPLE = 64 * 1024
_LEAST_ROWS = 0.1  # of a sample's lines
_MOST_CONTROLS, _MOST_FOREIGN = 0.01, 0.1  # of a sample's bytes: what has more is no text


@dataclass(frozen=True, slots=True)
class Form:
    """`rows_at` is None where the content is lines, else the JSON pointer to the rows of each document."""

    rows_at: str | None
    encoding: Encoding = "utf-8"

    @property
    def can_be_cut(self) -> bool:
        """Whether a reader may begin at any line."""
        return self.rows_at is None and self.encoding == "utf-8"

    def as_lines(self, stream: Iterable[bytes]) -> Iterable[bytes]:
        """The content as lines, each a row."""
        if self.encoding != "utf-8":
            stream = _as_utf_8(stream, self.encoding)
        if self.rows_at is None:
            return documents.parted(stream)
        return documents.as_lines(stream, documents.parts(self.rows_at))


def look(stream: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first mebibyte of a stream, and all of it."""
    pieces: list[bytes] = []
    broken: BrokenContentError | None = None
    rest, size = iter(stream), 0
    try:
        for piece in rest:
            pieces.append(piece)
            size += len(piece)
            if size >= HEAD_BYTES:
                break
    except BrokenContentError as exc:
        broken = exc

    def whole() -> Iterator[bytes]:
        yield from pieces
        pieces.clear()
        if broken is not None:
            raise broken
        yield from rest

    return b"".join(pieces)[:HEAD_BYTES], whole()


def compression(head: bytes) -> Compression:
    """What the content is compressed with."""
    return next((name for pattern, name in _COMPRESSED if pattern.match(head)), "none")


def of(head: bytes, claim: Claim, rows_at: str | None = None) -> Form:
    """The form of what begins so, is not compressed, is named so and whose type has its rows there.

    Raises:
        UnreadableObjectError: it is nothing that the lake reads.
    """
    for pattern, what in _FOREIGN:
        if pattern.match(head):
            raise UnreadableObjectError(f"the object is {what}")
    encoding = next((name for pattern, name in _UTF_16 if pattern.match(head)), None)
    text = head.decode(encoding, "ignore").encode() if encoding else head
    text = text.removeprefix(BOM).lstrip(_WHITE)
    if text and text[:1] not in b"{[":
        _require_text(text, claim)
    if rows_at is None:
        rows_at = next((pointer for pattern, pointer in _WRAPPINGS if pattern.match(text)), "")
    return Form(rows_at if rows_at or _is_document(text, claim) else None, encoding or "utf-8")


def _require_text(text: bytes, claim: Claim) -> None:
    """What does not begin as JSON may be lines of which the first are bad, where there is reason to think so."""
    sample = text[:_SAMPLE]
    if _LEAST_ROWS * (sample.count(b"\n") + 1) <= len(_ROW_BEGINS.findall(sample)):
        return
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    foreign = sample.decode(errors="replace").count("\ufffd")
    if controls > _MOST_CONTROLS * len(sample) or foreign > _MOST_FOREIGN * len(sample):
        raise UnreadableObjectError("the object is not text")
    if claim != "jsonl" and not _ROW_BEGINS.search(text):
        raise UnreadableObjectError("the object is not JSON: no line of it begins with a bracket")


def _is_document(text: bytes, claim: Claim) -> bool:
    """Whether rows are laid out over lines, or in an array."""
    line, newline, rest = text.partition(b"\n")
    line = line.rstrip(_WHITE)
    if text.startswith(b"["):
        # In JSON Lines such a line is a bad row, be it an array that others follow or a log's `[INFO]`.
        return claim != "jsonl" or not documents.FIRST_VALUE.match(line) or not rest.strip()
    if not text.startswith(b"{") or not newline or documents.FIRST_VALUE.match(line):
        return False
    if line.endswith((b"{", b"[")) or (line.endswith((b",", b":")) and not rest.startswith(b"{")):
        return True
    return documents.FIRST_VALUE.match(text) is not None


def _as_utf_8(stream: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Half a surrogate pair becomes what is no UTF-8, and so does half a unit at the end: the row is bad."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for piece in stream:
        yield decoder.decode(piece).encode("utf-8", "surrogatepass")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        yield b"\xff"
