"""JSON documents as lines, element by element."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers import jsontext
from handlers.lake import documents
from handlers.lake.lines import MAX_LINE_BYTES, BrokenContentError

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _pieces(content: bytes, step: int) -> list[bytes]:
    return [content[start : start + step] for start in range(0, len(content), step)]


def _read(content: bytes, step: int = 10**6) -> tuple[list[bytes], str]:
    """The lines, and how it ended."""
    found = []
    try:
        for line in documents.as_lines(_pieces(content, step)):
            assert line.endswith(b"\n")
            assert line.count(b"\n") == 1
            found.append(line[:-1])
    except BrokenContentError as exc:
        return found, str(exc).removesuffix("; what follows was not read")
    return found, ""


@settings(deadline=None)
@given(st.lists(_VALUES, max_size=5), st.integers(1, 30))
def test_each_element_of_an_array_is_a_line(values: list[Any], step: int) -> None:
    """Equal to the element, whatever is in it and however it arrives."""
    found, end = _read(jsontext.compact(values).encode(), step)

    assert ([jsontext.parse(line) for line in found], end) == (values, "")


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.text(), _VALUES, max_size=3), min_size=1, max_size=4), st.integers(1, 30))
def test_objects_one_after_the_other_are_lines_too(values: list[Any], step: int) -> None:
    """One object, or several with white space between."""
    content = "\n ".join(jsontext.compact(value) for value in values).encode()

    found, end = _read(b"\xef\xbb\xbf \n" + content, step)

    assert ([jsontext.parse(line) for line in found], end) == (values, "")


_BROKEN = "MalformedDocument: it is not one JSON document, or ends early"
_ENDLESS = "MalformedDocument: it has more than 4300 digits in a row"


@pytest.mark.parametrize("step", [1, 10**6])
@pytest.mark.parametrize(
    ("content", "lines", "end"),
    [
        (b"", [], ""),
        (b" \n", [], ""),
        (b"[]", [], ""),
        (b'[{"a":1},{"a":', [b'{"a":1}'], _BROKEN),
        (b'[{"a":1}] x', [b'{"a":1}'], _BROKEN),
        (b'[{"a":1}][{"a":2}]', [b'{"a":1}'], _BROKEN),
        (b'{"a":1} x', [b'{"a":1}'], _BROKEN),
        (b'[{"a":1},{"b":"\xff"}]', [b'{"a":1}'], _BROKEN),
        (b'[{"a":1},{"b":NaN}]', [b'{"a":1}'], _BROKEN),
        (b'[{"a":1},{"b":1e-99999999999999999999}]', [b'{"a":1}'], _BROKEN),
        (b'[{"a":1},{"b":' + b"9" * 4301 + b'},{"c":1}]', [b'{"a":1}'], _ENDLESS),
        (b'[{"a":1},-' + b"9" * 70_000, [b'{"a":1}'], _ENDLESS),
        (b'[{"a":1},' + b"9" * 4300 + b"]", [b'{"a":1}', b"9" * 4300], ""),
        (b'"text"', [], "MalformedDocument: it is neither an array nor an object"),
    ],
)
def test_what_comes_before_a_break_is_kept(content: bytes, lines: list[bytes], end: str, step: int) -> None:
    """The same for any arrival."""
    assert _read(content, step) == (lines, end)


def test_numbers_keep_their_value() -> None:
    """Integers exactly, fractions as the nearest double; a fraction stays one."""
    (line,), _ = _read(b'[{"a":12345678901234567890,"b":0.1,"c":1.0,"d":1e2}]')

    assert line == b'{"a":12345678901234567890,"b":0.1,"c":1.0,"d":100.0}'


def test_an_element_that_is_nested_too_deep_is_no_row_and_harms_no_other() -> None:
    """A hundred thousand levels are read past."""
    deep = b'{"x":' + b"[" * 100_000 + b"7" + b"]" * 100_000 + b"}"

    assert _read(b"[" + deep + b',{"a":1}]') == ([b'"nested too deep"', b'{"a":1}'], "")


def test_an_element_past_the_limit_ends_the_reading() -> None:
    """Nobody knows where it ends without holding it."""
    content = b'[{"a":1},{"b":"' + b"x" * (MAX_LINE_BYTES + 200_000) + b'"},{"a":2}]'

    assert _read(content) == ([b'{"a":1}'], f"LineTooLongError: an element has more than {MAX_LINE_BYTES} bytes")
