"""A compressed stream as plain bytes, a piece at a time; its end is reported as whole, cut off or damaged.

`lines` are the rows of a whole object, whatever contains them.

How much it grows is not limited: equal rows shrink to a thousandth. What is read of it is bounded by the time of an
invocation, memory by the size of a piece.
"""

import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from handlers.lake import form
from handlers.lake.form import Claim, Compression
from handlers.lake.lines import BrokenContentError

_PIECE = 1024 * 1024
_GZIP = 31  # zlib's name for a gzip header with the largest window
_SMALL_PIECE = 64 * 1024  # what Arrow has unpacked of a piece before a damage is lost
_OF_ARROW = {"zstd": "zstd", "bzip2": "bz2"}


def lines(stream: Iterable[bytes], claim: Claim, rows_at: str | None) -> Iterable[bytes]:
    """The content of a whole object as lines, each a row: of what its name claims and its type says (`form.of`).

    Raises:
        UnreadableObjectError: it is nothing that the lake reads.
        BrokenContentError: it can be read no further; what comes before has been given by then.
    """
    head, whole = form.look(stream)
    if (packed := form.compression(head)) != "none":
        head, whole = form.look(unpacked(whole, packed))
    return form.of(head, claim, rows_at).as_lines(whole)


def unpacked(stream: Iterable[bytes], compression: Compression) -> Iterator[bytes]:
    """Unpacks a stream of one or more gzip members, zstd frames or bzip2 streams.

    Raises:
        BrokenContentError: the stream ends early (`TruncatedGzip`, `TruncatedStream`), is damaged (`CorruptGzip`,
            `CorruptStream`) or is followed by something else (`TrailingGarbage`, `CorruptStream`); what comes before
            the break has been given by then.
    """
    if compression == "none":
        return iter(stream)
    return gunzip(stream) if compression == "gzip" else _through_arrow(stream, _OF_ARROW[compression])


def _through_arrow(stream: Iterable[bytes], codec: str) -> Iterator[bytes]:
    given = _File(stream)
    try:
        with pa.input_stream(io.BufferedReader(given, _PIECE), compression=codec, buffer_size=None) as source:
            while piece := source.read(_SMALL_PIECE):
                yield piece
    except OSError as exc:
        if given.failure is not None:
            raise given.failure from None
        cut = "Truncated" in str(exc)
        error_type = "TruncatedStream" if cut else "CorruptStream"
        raise BrokenContentError(error_type, f"{error_type}: {exc}") from exc


class _File(io.RawIOBase):
    """A stream as a file; `failure` is why it could not be read."""

    def __init__(self, stream: Iterable[bytes]) -> None:
        super().__init__()
        self._stream = iter(stream)
        self._left = memoryview(b"")
        self.failure: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - any buffer
        try:
            while not self._left:
                self._left = memoryview(next(self._stream))
        except StopIteration:
            return 0
        except Exception as exc:
            self.failure = exc
            raise
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def gunzip(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Unpacks a gzip stream of one or more members; zeros after the last are padding.

    Raises:
        BrokenContentError: the stream ends early (`TruncatedGzip`), is damaged (`CorruptGzip`) or is followed by
            something else (`TrailingGarbage`); everything before the break has been given by then.
    """
    has_begun = False
    members = _Members()
    for data in stream:
        has_begun = True
        yield from members.take(data)
    if has_begun and members.inside:
        raise BrokenContentError("TruncatedGzip", "TruncatedGzip: the object ends inside its gzip stream")


@dataclass(slots=True)
class _Members:
    """The members of a gzip stream, one after the other."""

    current: Any = field(default_factory=lambda: zlib.decompressobj(_GZIP))
    inside: bool = True  # a member has been begun, or is still to come
    ended: int = 0
    good: bool = False  # the member has given something

    def take(self, data: bytes) -> Iterator[bytes]:
        while data:
            if not self.inside:
                data = data.lstrip(b"\0")
                if not data:
                    return
                self.current, self.inside, self.good = zlib.decompressobj(_GZIP), True, False
            before = self.current.copy()
            try:
                piece = self.current.decompress(data, _PIECE)
            except zlib.error as exc:
                yield from self._up_to_the_damage(before, data, exc)
            if piece:
                self.good = True
                yield piece
            data = self.current.unconsumed_tail
            if self.current.eof:
                data, self.inside, self.ended = self.current.unused_data, False, self.ended + 1

    def _up_to_the_damage(self, decompressor: Any, data: bytes, cause: zlib.error) -> Iterator[bytes]:  # noqa: ANN401 - zlib does not name its class
        """What zlib had unpacked when it gave up, which it keeps to itself unless it is fed byte by byte."""
        try:
            for i in range(len(data)):
                if piece := decompressor.decompress(data[i : i + 1]):
                    self.good = True
                    yield piece
        except zlib.error:
            if self.ended and not self.good:
                reason = "TrailingGarbage: something else follows the gzip stream"
                raise BrokenContentError("TrailingGarbage", reason, line_is_whole=True) from cause
            raise BrokenContentError("CorruptGzip", f"CorruptGzip: {cause}") from cause
