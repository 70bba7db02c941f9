"""gzip streams: whole, of many members, cut off, damaged, followed by something, and bombs."""

import gzip
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.lake.errors import DecompressionLimitError
from handlers.lake.lines import BrokenContentError
from handlers.lake.unpack import gunzip

_TEXT = b"".join(b"row %d of many\n" % i for i in range(2000))


def _pieces(content: bytes, step: int) -> list[bytes]:
    return [content[start : start + step] for start in range(0, len(content), step)]


def _unpack(stream: Iterable[bytes]) -> tuple[bytes, str]:
    """What came, and how it ended."""
    given = b""
    try:
        for piece in gunzip(stream):
            given += piece
    except BrokenContentError as exc:
        return given, exc.error_type
    return given, ""


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=4), st.integers(1, 60))
def test_members_are_read_one_after_the_other(parts: list[bytes], step: int) -> None:
    """As `gunzip` does, however the stream arrives."""
    packed = b"".join(gzip.compress(part) for part in parts)

    assert _unpack(_pieces(packed, step)) == (b"".join(parts), "")


@pytest.mark.parametrize("step", [1, 7, 10**6])
def test_zeros_at_the_end_are_padding(step: int) -> None:
    """Tape and block writers add them."""
    assert _unpack(_pieces(gzip.compress(b"a") + bytes(600), step)) == (b"a", "")


@pytest.mark.parametrize("step", [1, 64, 10**6])
@pytest.mark.parametrize("left", [1, 9, 10, 200, -8, -1])
def test_a_stream_that_ends_early_gives_what_it_holds(left: int, step: int) -> None:
    """Everything up to the break, however it arrives; then it is told that it is truncated."""
    packed = gzip.compress(_TEXT)[:left]
    whole = zlib.decompressobj(31).decompress(packed)

    assert _unpack(_pieces(packed, step)) == (whole, "TruncatedGzip")


@pytest.mark.parametrize("step", [1, 64, 10**6])
def test_a_damaged_stream_gives_what_comes_before_the_damage(step: int) -> None:
    """The same bytes for any arrival: zlib itself forgets what it had when it meets the damage."""
    packed = gzip.compress(_TEXT)
    damaged = packed[:-8] + bytes(8)  # check sum and length

    assert _unpack(_pieces(damaged, step)) == (_TEXT, "CorruptGzip")


@pytest.mark.parametrize("step", [1, 64, 10**6])
def test_what_is_no_gzip_is_corrupt(step: int) -> None:
    """Nothing can be read of it."""
    assert _unpack(_pieces(b'{"plain": "json"}\n', step)) == (b"", "CorruptGzip")


@pytest.mark.parametrize("step", [1, 64, 10**6])
def test_something_else_after_the_stream_is_garbage(step: int) -> None:
    """The stream itself is whole."""
    assert _unpack(_pieces(gzip.compress(_TEXT) + b"garbage", step)) == (_TEXT, "TrailingGarbage")


def test_a_bomb_is_refused_before_it_fills_memory() -> None:
    """A thousandfold growth ends after 64 MiB."""
    packer = zlib.compressobj(wbits=31)
    packed = b"".join([*(packer.compress(bytes(1024 * 1024)) for _ in range(80)), packer.flush()])
    pieces: list[int] = []

    with pytest.raises(DecompressionLimitError) as refusal:
        pieces.extend(len(piece) for piece in gunzip([packed]))

    assert pieces == [1024 * 1024] * 64
    assert str(refusal.value) == f"the object grows from {len(packed)} to more than {65 * 1024 * 1024} bytes"
