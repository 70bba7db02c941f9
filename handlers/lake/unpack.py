"""A compressed stream as plain bytes, a piece at a time; its end is reported as whole, cut off or damaged.

`lines` are the rows of a whole object, whatever contains them.

How much it grows is not limited: equal rows shrink to a thousandth. What is read of it is bounded by the time of an
invocation, memory by the size of a piece.
"""

import bz2
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from handlers.lake import form
from handlers.lake.lines import BrokenContentError
from handlers.lake.message import Claim, Compression

_PIECE = 1024 * 1024
_GZIP = 31  # zlib's name for a gzip header with the largest window
_GZIP_BEGINS = b"\x1f"
_SMALL_PIECE = 64 * 1024  # what has been unpacked of a piece before a damage is lost
_BZIP2_HEADER = 4  # bytes
_FRAME = b"\x28\xb5\x2f\xfd"
_SKIPPED = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")


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
            `CorruptStream`) or is followed by something else (`TrailingGarbage`); what comes before the break has been
            given by then, but for the last 64 KiB before a damage of zstd or bzip2.
    """
    match compression:
        case "gzip":
            return gunzip(stream)
        case "bzip2":
            return _bunzip2(stream)
        case "zstd":
            return _unzstd(stream)
    return iter(stream)


def _bunzip2(stream: Iterable[bytes]) -> Iterator[bytes]:
    current, ended, fed = bz2.BZ2Decompressor(), 0, 0  # bytes of this stream
    try:
        for data in stream:
            while data or (fed and not current.needs_input):
                # Its header first: what fails there is no stream.
                some = data[: _BZIP2_HEADER - fed] if fed < _BZIP2_HEADER else data
                piece = current.decompress(some, _SMALL_PIECE)
                fed, data = fed + len(some), data[len(some) :]  # noqa: PLW2901 - what is left of it
                if piece:
                    yield piece
                if current.eof:
                    data, fed, ended = current.unused_data + data, 0, ended + 1  # noqa: PLW2901
                    current = bz2.BZ2Decompressor()
    except OSError as exc:
        if ended and fed < _BZIP2_HEADER:
            raise _garbage("bzip2") from exc
        raise BrokenContentError("CorruptStream", f"CorruptStream: {exc}") from exc
    if fed:
        raise BrokenContentError("TruncatedStream", "TruncatedStream: the object ends inside its bzip2 stream")


def _unzstd(stream: Iterable[bytes]) -> Iterator[bytes]:
    frames = _Frames(stream)
    given = _File(frames.pieces())
    try:
        with pa.input_stream(io.BufferedReader(given, _PIECE), compression="zstd", buffer_size=None) as source:
            while piece := source.read(_SMALL_PIECE):
                yield piece
    except OSError as exc:
        if given.failure is not None:
            raise given.failure from None
        cut = "Truncated" in str(exc)
        error_type = "TruncatedStream" if cut else "CorruptStream"
        raise BrokenContentError(error_type, f"{error_type}: {exc}") from exc
    if frames.are_followed:
        raise _garbage("zstd")


def _garbage(name: str) -> BrokenContentError:
    reason = f"TrailingGarbage: something else follows the {name} stream"
    return BrokenContentError("TrailingGarbage", reason, line_is_whole=True)


class _Frames:
    """The frames of a zstd stream (RFC 8878, 3.1) as they come, up to what is none and `follows` them.

    Arrow finds that out, too, but keeps to itself what it has unpacked by then.
    """

    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = iter(stream)
        self._held = b""
        self.are_followed = False

    def pieces(self) -> Iterator[bytes]:
        """What Arrow is to read; a frame that is cut off or damaged is its to tell."""
        has_begun = False
        while magic := self._take(4):
            if _SKIPPED.match(magic):
                size = self._take(4)
                yield magic + size
                yield from self._through(int.from_bytes(size, "little"))
            elif magic == _FRAME or not has_begun:
                yield magic
                yield from self._frame()
            else:
                self.are_followed = True
                return
            has_begun = True

    def _frame(self) -> Iterator[bytes]:
        descriptor = self._take(1)
        yield descriptor
        flags = int.from_bytes(descriptor, "little")
        is_single = flags >> 5 & 1
        yield self._take((1 - is_single) + (0, 1, 2, 4)[flags & 3] + (is_single, 2, 4, 8)[flags >> 6])
        is_last = False
        while not is_last:
            head = self._take(3)
            yield head
            number = int.from_bytes(head, "little")
            is_last = len(head) < len("bbb") or bool(number & 1)
            yield from self._through(1 if number >> 1 & 3 == 1 else number >> 3)  # 1: one byte, repeated
        yield self._take(4 * (flags >> 2 & 1))

    def _through(self, size: int) -> Iterator[bytes]:
        while size and (piece := self._take(min(size, _PIECE))):
            yield piece
            size -= len(piece)

    def _take(self, size: int) -> bytes:
        """The next bytes, fewer only at the end."""
        while len(self._held) < size and (data := next(self._stream, b"")):
            self._held += data
        taken, self._held = self._held[:size], self._held[size:]
        return taken


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
                if not data.startswith(_GZIP_BEGINS):  # zlib says so only of two bytes
                    raise _garbage("gzip")
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
                raise _garbage("gzip") from cause
            raise BrokenContentError("CorruptGzip", f"CorruptGzip: {cause}") from cause
