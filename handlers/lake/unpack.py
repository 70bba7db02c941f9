"""A gzip stream as plain bytes, a piece at a time; its end is reported as whole, cut off, damaged, or a bomb."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from handlers.lake.errors import DecompressionLimitError
from handlers.lake.lines import BrokenContentError

_PIECE = 1024 * 1024
_GZIP = 31  # zlib's name for a gzip header with the largest window
# Log lines shrink to a twentieth, all equal ones to a hundredth; gzip itself ends at a thousandth.
_MAX_RATIO = 256
_ALWAYS_ALLOWED = 64 * 1024 * 1024


def gunzip(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Unpacks a gzip stream of one or more members; zeros after the last are padding.

    Raises:
        BrokenContentError: the stream ends early (`TruncatedGzip`), is damaged (`CorruptGzip`) or is followed by
            something else (`TrailingGarbage`); everything before the break has been given by then.
        DecompressionLimitError: it grows to more than 256 times what has been read of it, and 64 MiB.
    """
    read = given = 0
    members = _Members()
    for data in stream:
        read += len(data)
        for piece in members.take(data):
            given += len(piece)
            if given > max(_ALWAYS_ALLOWED, _MAX_RATIO * read):
                raise DecompressionLimitError(f"the object grows from {read} to more than {given} bytes")
            yield piece
    if not read:
        return
    if members.inside:
        raise BrokenContentError("TruncatedGzip", "TruncatedGzip: the object ends inside its gzip stream")


@dataclass(slots=True)
class _Members:
    """The members of a gzip stream, one after the other."""

    current: Any = field(default_factory=lambda: zlib.decompressobj(_GZIP))
    inside: bool = True  # a member has been begun, or is still to come
    ended: int = 0

    def take(self, data: bytes) -> Iterator[bytes]:
        while data:
            if not self.inside:
                data = data.lstrip(b"\0")
                if not data:
                    return
                self.current, self.inside = zlib.decompressobj(_GZIP), True
            before = self.current.copy()
            try:
                piece = self.current.decompress(data, _PIECE)
            except zlib.error as exc:
                yield from self._up_to_the_damage(before, data, exc)
            if piece:
                yield piece
            data = self.current.unconsumed_tail
            if self.current.eof:
                data, self.inside, self.ended = self.current.unused_data, False, self.ended + 1

    def _up_to_the_damage(self, decompressor: Any, data: bytes, cause: zlib.error) -> Iterator[bytes]:  # noqa: ANN401 - zlib does not name its class
        """What zlib had unpacked when it gave up, which it keeps to itself unless it is fed byte by byte."""
        good = False
        try:
            for i in range(len(data)):
                if piece := decompressor.decompress(data[i : i + 1]):
                    good = True
                    yield piece
        except zlib.error:
            if self.ended and not good:
                reason = "TrailingGarbage: something else follows the gzip stream"
                raise BrokenContentError("TrailingGarbage", reason, line_is_whole=True) from cause
            raise BrokenContentError("CorruptGzip", f"CorruptGzip: {cause}") from cause
