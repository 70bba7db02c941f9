"""Compressed streams: whole, of many members, cut off, damaged, followed by something."""

import gzip
import random
import zlib
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.errors import DownstreamError
from handlers.lake.lines import BrokenContentError
from handlers.lake.message import Compression
from handlers.lake.unpack import gunzip, unpacked

_TEXT = b"".join(b"row %d of many\n" % i for i in range(2000))


def _pieces(content: bytes, step: int) -> list[bytes]:
    return [content[start : start + step] for start in range(0, len(content), step)]


def _unpack(stream: Iterable[bytes]) -> tuple[bytes, str]:
    """What came, and how it ended."""
    given = b""
    try:
        for piece in stream:
            given += piece
    except BrokenContentError as exc:
        return given, exc.error_type
    return given, ""


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=4), st.integers(1, 60))
def test_members_are_read_one_after_the_other(parts: list[bytes], step: int) -> None:
    """As `gunzip` does, however the stream arrives."""
    packed = b"".join(gzip.compress(part) for part in parts)

    assert _unpack(gunzip(_pieces(packed, step))) == (b"".join(parts), "")


@pytest.mark.parametrize("step", [1, 7, 10**6])
def test_zeros_at_the_end_are_padding(step: int) -> None:
    """Tape and block writers add them."""
    assert _unpack(gunzip(_pieces(gzip.compress(b"a") + bytes(600), step))) == (b"a", "")


@pytest.mark.parametrize("step", [1, 64, 10**6])
@pytest.mark.parametrize("left", [1, 9, 10, 200, -8, -1])
def test_a_stream_that_ends_early_gives_what_it_holds(left: int, step: int) -> None:
    """Everything up to the break, however it arrives; then it is told that it is truncated."""
    packed = gzip.compress(_TEXT)[:left]
    whole = zlib.decompressobj(31).decompress(packed)

    assert _unpack(gunzip(_pieces(packed, step))) == (whole, "TruncatedGzip")


@pytest.mark.parametrize("step", [1, 64, 10**6])
def test_a_damaged_stream_gives_what_comes_before_the_damage(step: int) -> None:
    """The same bytes for any arrival: zlib itself forgets what it had when it meets the damage."""
    packed = gzip.compress(_TEXT)
    damaged = packed[:-8] + bytes(8)  # check sum and length

    assert _unpack(gunzip(_pieces(damaged, step))) == (_TEXT, "CorruptGzip")


@pytest.mark.parametrize("step", [1, 64, 10**6])
def test_a_damaged_member_behind_a_whole_one_is_no_garbage(step: int) -> None:
    """It has given rows by then, perhaps with an earlier piece."""
    damaged = gzip.compress(b"first\n") + gzip.compress(_TEXT)[:-8] + bytes(8)

    assert _unpack(gunzip(_pieces(damaged, step))) == (b"first\n" + _TEXT, "CorruptGzip")


@pytest.mark.parametrize("step", [1, 64, 10**6])
def test_what_is_no_gzip_is_corrupt(step: int) -> None:
    """Nothing can be read of it."""
    assert _unpack(gunzip(_pieces(b'{"plain": "json"}\n', step))) == (b"", "CorruptGzip")


@pytest.mark.parametrize("step", [1, 64, 10**6])
def test_something_else_after_the_stream_is_garbage(step: int) -> None:
    """The stream itself is whole."""
    assert _unpack(gunzip(_pieces(gzip.compress(_TEXT) + b"garbage", step))) == (_TEXT, "TrailingGarbage")
    assert _unpack(gunzip(_pieces(gzip.compress(_TEXT) + b"\n", step))) == (_TEXT, "TrailingGarbage")


def test_equal_rows_may_shrink_to_a_thousandth() -> None:
    """Honest files do; a piece is no larger for it."""
    packer = zlib.compressobj(wbits=31)
    packed = b"".join([*(packer.compress(bytes(1024 * 1024)) for _ in range(80)), packer.flush()])

    assert [len(piece) for piece in gunzip([packed])] == [1024 * 1024] * 80


def _packed(content: bytes, codec: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as packer:
        packer.write(content)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("step", [7, 10**6])
@pytest.mark.parametrize(("compression", "codec"), [("zstd", "zstd"), ("bzip2", "bz2")])
def test_other_compressions(compression: Compression, codec: str, step: int) -> None:
    """Of several frames or streams one after the other, and what ends early or is damaged behind whole pieces."""
    text = _TEXT * 10
    first, second = _packed(text, codec), _packed(text, codec)

    def unpack(packed: bytes) -> tuple[bytes, str]:
        return _unpack(unpacked(_pieces(packed, step), compression))

    assert unpack(first + second) == (text * 2, "")
    cut, error_type = unpack(first + second[:-3])
    assert (text * 2).startswith(cut)
    assert (len(cut) >= len(text) - 64 * 1024, error_type) == (True, "TruncatedStream")
    damaged, error_type = unpack(first + second[: len(second) // 2] + bytes(len(second) // 2))
    assert (text * 2).startswith(damaged)
    assert (len(damaged) >= len(text) - 64 * 1024, error_type) == (True, "CorruptStream")


@pytest.mark.parametrize("step", [1, 7, 10**6])
@pytest.mark.parametrize("garbage", [b"!", b"BZ and more", b"something else", bytes(100)])
@pytest.mark.parametrize(("compression", "codec"), [("zstd", "zstd"), ("bzip2", "bz2")])
def test_no_row_is_lost_to_what_follows_another_stream(
    compression: Compression, codec: str, garbage: bytes, step: int
) -> None:
    """Of one frame or stream or of several; the last line is whole."""
    first, second = _packed(_TEXT, codec), _packed(b"more", codec)

    assert _unpack(unpacked(_pieces(first + second + garbage, step), compression)) == (
        _TEXT + b"more",
        "TrailingGarbage",
    )


# Makes blocks that are raw, packed, and one byte repeated.
_LONG = random.Random(1).randbytes(200_000) + bytes(500_000) + _TEXT  # noqa: S311 - samples


@pytest.mark.parametrize("step", [1000, 10**6])
@pytest.mark.parametrize("level", [1, 19])
@pytest.mark.parametrize("skipped", [b"", b"\x53\x2a\x4d\x18\x03\x00\x00\x00abc"])
def test_frames_of_any_form_end_where_they_end(skipped: bytes, level: int, step: int) -> None:
    """With a size or without, with frames to be skipped before and behind; and what is cut off is not followed."""
    sized = pa.Codec("zstd", level).compress(_LONG, asbytes=True)
    packed = skipped + _packed(_LONG, "zstd") + skipped + sized + _packed(b"", "zstd") + skipped

    def unpack(content: bytes) -> tuple[bytes, str]:
        return _unpack(unpacked(_pieces(content, step), "zstd"))

    assert unpack(packed) == (_LONG * 2, "")
    assert unpack(packed + b"more") == (_LONG * 2, "TrailingGarbage")
    assert unpack(packed[: len(packed) - len(skipped) - 12])[1] == "TruncatedStream"


def test_why_a_stream_could_not_be_read_is_not_taken_for_a_damage() -> None:
    """S3's failure is raised as it is, and the object is read again."""

    def stream() -> Iterator[bytes]:
        yield _packed(_TEXT, "zstd")[:100]
        raise DownstreamError("S3 broke off")

    with pytest.raises(DownstreamError, match="S3 broke off"):
        list(unpacked(stream(), "zstd"))
