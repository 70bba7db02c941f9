"""Streams into lines: each once, numbered, in bounded memory."""

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.lake import lines
from handlers.lake.lines import BadRow, Block, BrokenContentError, LineReader

_CONTENT = st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"\xef\xbb", b"x" * 7, b"x" * 13])).map(b"".join)


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    """Blocks of 8 bytes and lines of at most 12, so that few bytes show what many would."""
    patch = pytest.MonkeyPatch()
    patch.setattr(lines, "BLOCK_BYTES", 8)
    patch.setattr(lines, "MAX_LINE_BYTES", 12)
    patch.setattr(lines, "_STEP", 4)
    yield
    patch.undo()


def _pieces(content: bytes, step: int) -> list[bytes]:
    return [content[start : start + step] for start in range(0, len(content), step)]


def _read(stream: Iterable[bytes], *, offset: int = 5) -> list[tuple[int, bytes | str]]:
    """Each line with its number; the reason where it was refused."""
    found: list[tuple[int, bytes | str]] = []
    for item in LineReader(first_line=10, offset=offset).read(stream):
        if isinstance(item, BadRow):
            found.append((item.line, item.reason))
        else:
            assert item.newlines == item.data.count(b"\n")
            texts = item.data.split(b"\n")
            found += enumerate(texts if texts[-1] else texts[:-1], item.first_line)
    return found


def _expected(content: bytes) -> list[tuple[int, bytes | str]]:
    texts = content.split(b"\n")
    ended = [text + b"\n" for text in texts[:-1]] + [texts[-1]] * bool(texts[-1])
    return [
        (number, f"the line has {len(text)} bytes, at most 12 are read" if len(text) > 12 else text.removesuffix(b"\n"))
        for number, text in enumerate(ended, 10)
    ]


@settings(deadline=None)
@given(_CONTENT, st.integers(1, 40))
def test_every_line_comes_once_with_its_number(content: bytes, step: int) -> None:
    """Whole lines, too long ones told with their length, the last one without its newline, for any arrival."""
    assert _read(_pieces(content, step)) == _expected(content)


@settings(deadline=None)
@given(_CONTENT, st.integers(1, 40))
def test_blocks_say_where_they_begin(content: bytes, step: int) -> None:
    """The offset of a block is that of its first byte in the content."""
    for item in LineReader(first_line=1, offset=5).read(_pieces(content, step)):
        if isinstance(item, Block):
            assert content[item.offset - 5 :].startswith(item.data)


def test_a_byte_order_mark_at_the_start_of_a_line_is_no_part_of_it() -> None:
    """Files that were joined have one each, wherever a chunk begins; inside a line it is text."""
    mark = b"\xef\xbb\xbf"

    assert _read([mark + b"a\n" + mark + b"b\nc" + mark]) == [(10, b"a"), (11, b"b"), (12, b"c" + mark)]


@pytest.mark.parametrize(
    ("content", "whole", "found"),
    [
        (b"a\nbc", False, [(10, b"a"), (11, "broke")]),
        (b"a\nbc", True, [(10, b"a"), (11, b"bc"), (12, "broke")]),
        (b"a\n", False, [(10, b"a"), (11, "broke")]),
        (b"", True, [(10, "broke")]),
        (b"a\n" + b"x" * 20, False, [(10, b"a"), (11, "broke")]),
        (b"x" * 20, True, [(10, "the line has 20 bytes, at most 12 are read"), (11, "broke")]),
    ],
)
def test_what_follows_a_break_is_one_bad_row(content: bytes, whole: bool, found: list[tuple[int, bytes | str]]) -> None:  # noqa: FBT001 - a case's parameter
    """Lines before it are read; one that is cut off goes with the rest."""

    def stream() -> Iterator[bytes]:
        yield from _pieces(content, 3)
        raise BrokenContentError("E", "broke", line_is_whole=whole)

    assert _read(stream()) == found


def test_a_bad_row_keeps_its_beginning() -> None:
    """1,024 bytes; what is no UTF-8 is replaced."""
    assert lines.bad_row(1, "E", "r", b"\xff" + b"x" * 5000).row == "\ufffd" + "x" * 1023
