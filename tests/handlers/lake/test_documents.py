"""JSON documents as lines: each row's own bytes, wherever rows begin and end and however the bytes arrive."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.lake import documents
from handlers.lake.lines import BrokenContentError

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_OBJECTS = st.lists(st.dictionaries(st.text(), _VALUES, max_size=3), min_size=1, max_size=6)
_LAYOUTS: list[dict[str, Any]] = [
    {},
    {"separators": (",", ":"), "ensure_ascii": False},
    {"indent": 2},
    {"indent": "\t", "ensure_ascii": False},
]
# What borders are made of, and what looks like them inside strings.
_ODD = st.lists(
    st.sampled_from(
        [
            *(bytes([mark]) for mark in b'{}[]",: \n\r\\x'),
            b'{"a":1}',
            b'{"a":1},',
            b"null",
            b",null,",
            b"},{",
            b"},\n{",
            b'"},{"',
            b"\xef\xbb\xbf",
            b"\xff",
        ]
    ),
    max_size=24,
).map(b"".join)


def _pieces(content: bytes, step: int) -> list[bytes]:
    return [content[start : start + step] for start in range(0, len(content), step)]


def _read(content: bytes, step: int = 10**6, rows_at: str = "", window: int = 10**6) -> tuple[list[bytes], str]:
    """The lines, and how it ended; the reader sees `window` bytes at a time."""
    found: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "_STEP", window)
        try:
            found.extend(documents.as_lines(_pieces(content, step), documents.parts(rows_at)))
        except BrokenContentError as exc:
            return _lines(found), str(exc).removesuffix("; what follows was not read")
    return _lines(found), ""


def _lines(pieces: list[bytes]) -> list[bytes]:
    text = b"".join(pieces)
    return [line.strip(b" \r\t") for line in text.removesuffix(b"\n").split(b"\n")] if text else []


@settings(deadline=None)
@given(st.lists(_VALUES, max_size=6), st.sampled_from(_LAYOUTS), st.integers(1, 30))
def test_each_element_of_an_array_is_a_line(values: list[Any], layout: dict[str, Any], window: int) -> None:
    """Equal to the element, whatever is in it, however it is laid out and however it arrives."""
    found, end = _read(json.dumps(values, **layout).encode("utf-8", "surrogatepass"), window=window)

    assert ([json.loads(line.decode("utf-8", "surrogatepass")) for line in found], end) == (values, "")


@settings(deadline=None)
@given(_OBJECTS, st.sampled_from(_LAYOUTS), st.sampled_from(["", " ", "\n", "\r\n", "\ufeff"]), st.integers(1, 30))
def test_objects_one_after_the_other_are_lines_too(
    values: list[Any], layout: dict[str, Any], between: str, window: int
) -> None:
    """With anything between them or nothing at all, as Kinesis Firehose writes them."""
    content = between.join(json.dumps(value, **layout) for value in values).encode("utf-8", "surrogatepass")

    found, end = _read(b"\xef\xbb\xbf \n" + content, window=window)

    assert ([json.loads(line.decode("utf-8", "surrogatepass")) for line in found], end) == (values, "")


@settings(deadline=None, max_examples=300)
@given(
    _ODD,
    st.integers(1, 30) | st.just(10**6),
    st.sampled_from(["", "/a", "/0"]),
    st.sampled_from([b"", b"[", b'{"a":[']),
)
def test_anything_gives_the_same_however_it_arrives(content: bytes, window: int, rows_at: str, start: bytes) -> None:
    """The rows, the break and its place: what is quick finds the borders that reading bit by bit finds."""
    assert _read(start + content, 3, rows_at, window) == _read(start + content, 1, rows_at, 1)


@settings(deadline=None)
@given(_OBJECTS, st.sampled_from(_LAYOUTS[:2]))
def test_a_row_has_its_own_bytes(values: list[Any], layout: dict[str, Any]) -> None:
    """A parser that reads it and writes it anew would change texts and numbers."""
    content = json.dumps(values, **layout).encode("utf-8", "surrogatepass")

    assert _read(content)[0] == [json.dumps(value, **layout).encode("utf-8", "surrogatepass") for value in values]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b'[null,{"a":1},{"b":2}]', [b"null", b'{"a":1}', b'{"b":2}']),
        (b'[{"a":1},null,{"b":2}]', [b'{"a":1}', b"null", b'{"b":2}']),
        (b'[{"a":1},null\n,{"b":2},{"c":3},{"d":4}]', [b'{"a":1}', b"null", b'{"b":2}', b'{"c":3}', b'{"d":4}']),
        (b'[{"a":1},{"b":2}\n,{"c":3},{"d":4}]', [b'{"a":1}', b'{"b":2}', b'{"c":3}', b'{"d":4}']),
        (b'[7,\n{"a":1},{"b":2},{"c":3},7]', [b"7", b'{"a":1}', b'{"b":2}', b'{"c":3}', b"7"]),
    ],
)
@pytest.mark.parametrize("step", [7, 10**6])
def test_what_is_no_object_is_a_row_too(content: bytes, lines: list[bytes], step: int) -> None:
    """Wherever it stands among flat objects, and whatever is between them."""
    assert _read(content, window=step) == (lines, "")


@pytest.mark.parametrize(
    "row",
    [
        rb'{"a":"\ud800x"}',
        rb'{"a":1,"a":2}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":1e-99999999999999999999}',
        b'{"a":NaN}',
        b'{"a":"\xff"}',
        b'{"a":01}',
        b'{"a" 1}',
        b"nonsense",
        b'{"a":1} x',
        b'{"a":1}{"b":2}',
        b'{"a":[1}}',
        b'{"a":"\t"}',
        b'{"a":1.0}',
        b'{"x":' + b"[" * 10_000 + b"7" + b"]" * 10_000 + b"}",
        b'{"a":"},{"}',
        rb'{"a":"\"},{\""}',
        b'{"a":[{"b":1},{"b":2}]}',
        b'{"a":[1},{"b":2]}',
        b'{"a":\n1}',
        b'"text"',
    ],
)
@pytest.mark.parametrize("step", [7, 10**6])
def test_no_row_harms_another(row: bytes, step: int) -> None:
    """Whatever is wrong inside its borders is judged from its bytes, as on a line of its own."""
    good = [b'{"n":%d}' % number for number in range(6)]
    content = b"[" + b",".join([*good[:3], row, *good[3:]]) + b"]"

    assert _read(content, window=step) == ([*good[:3], row.replace(b"\n", b" "), *good[3:]], "")


def test_an_empty_place_between_commas_is_told() -> None:
    """It is no row, and nothing that is there goes by unseen."""
    assert _read(b'[{"a":1},,{"a":2},]') == ([b'{"a":1}', b",", b'{"a":2}', b","], "")


def test_a_newline_inside_a_string_is_still_none_that_json_has() -> None:
    """Elsewhere it is a space."""
    assert _read(b'[{"a":\n"b\nc"}]') == ([b'{"a": "b\rc"}'], "")


_COMMA = "MalformedDocument: there must be a comma or the end of the array, at byte "
_NO_END = "MalformedDocument: the array has no end, at byte "


@pytest.mark.parametrize("step", [1, 10**6])
@pytest.mark.parametrize(
    ("content", "lines", "end"),
    [
        (b"", [], ""),
        (b" \n", [], ""),
        (b"[]", [], ""),
        (b"[", [], f"{_NO_END}1"),
        (b'[{"a":1}', [b'{"a":1}'], f"{_NO_END}8"),
        (b'[{"a":1},{"a":', [b'{"a":1}', b'{"a":'], "MalformedDocument: what begins at byte 9 has no end, at byte 14"),
        (b'[{"a":"b', [b'{"a":"b'], "MalformedDocument: the string that begins at byte 6 has no end, at byte 8"),
        (b'[{"a":1}},{"a":2}]', [b'{"a":1}'], f"{_COMMA}8"),
        (b'[{"a":1}] x', [b'{"a":1}', b"x"], ""),
        (b'[{"a":1}] [{"a":2}]\n\xef\xbb\xbf[{"a":3}]', [b'{"a":1}', b'{"a":2}', b'{"a":3}'], ""),
        (b'{"a":1},{"b":2}', [b'{"a":1}', b",", b'{"b":2}'], ""),
        (b'"a b" 1', [b'"a b"', b"1"], ""),
    ],
)
def test_only_a_broken_border_ends_the_reading(content: bytes, lines: list[bytes], end: str, step: int) -> None:
    """What comes before it is kept; it is told where it broke, and the same for any arrival."""
    assert _read(content, step, window=step) == (lines, end)


def test_the_break_is_told_with_what_was_there() -> None:
    """Where a row goes on before it, that is the text."""
    with pytest.raises(BrokenContentError) as behind:
        list(documents.as_lines([b'[{"a":1} } and more']))
    with pytest.raises(BrokenContentError) as inside:
        list(documents.as_lines([b'[{"a":1']))

    assert (behind.value.row, behind.value.line_is_whole) == (b"} and more", True)
    assert (inside.value.row, inside.value.line_is_whole) == (b"", False)


@pytest.mark.parametrize("step", [1, 10**6])
@pytest.mark.parametrize(
    ("rows_at", "content", "lines"),
    [
        (
            "/Records",
            b'{"Records":[{"a":1},{"a":2}],"more":[3]} {"Records":[{"a":3}]}',
            [b'{"a":1}', b'{"a":2}', b'{"a":3}'],
        ),
        ("/a/b", b'{"x":{"b":[1]},"a":{"c":[2],"b":[{"d":[4]}]}}', [b'{"d":[4]}']),
        ("/1", b'[{"page":1},[{"a":1},{"a":2}]]', [b'{"a":1}', b'{"a":2}']),
        ("/a~1b/~0", b'{"a\\u002fb":{"~":[{"a":1}]}}', [b'{"a":1}']),
        ("/a", b'{"a":{"one":1}}', [b'{"one":1}']),
        ("/a", b'{"a":[]}', []),
        ("/a", b'{"b":[{"c":1}]}', [b'"a document with nothing at /a"']),
        ("/a/b", b'{"a":7}', [b'"a document with nothing at /a/b"']),
        ("/a", b'{"a":[1],"a":[2]}', [b"1", b"2"]),
        ("/a", b"{}", [b'"a document with nothing at /a"']),
    ],
)
def test_rows_are_where_the_pointer_leads(rows_at: str, content: bytes, lines: list[bytes], step: int) -> None:
    """In every document; one without is told as a row."""
    assert _read(content, step, rows_at, step) == (lines, "")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b'{"Records":[{"a":1}]', "there must be a comma or the end, at byte 20"),
        (b'{"Records" [{"a":1}]}', "there must be a colon, at byte 11"),
        (b"{Records:[]}", "there must be the name of a member, at byte 1"),
    ],
)
def test_a_document_that_breaks_on_the_way_to_its_rows(content: bytes, what: str) -> None:
    """Told as any other break."""
    assert _read(content, rows_at="/Records")[1] == f"MalformedDocument: {what}"


def test_time_and_memory_do_not_depend_on_how_deep_or_long_a_row_is() -> None:
    """Many deep rows, and one of many megabytes, come in pieces of about a mebibyte."""
    deep = b'{"x":' + b"[" * 200 + b"]" * 200 + b"}"
    long = b'{"x":"' + b"y" * 9_000_000 + b'"}'

    pieces = list(documents.as_lines(_pieces(b"[" + b",".join([deep] * 2000 + [long]) + b"]", 65_536)))

    assert max(map(len, pieces)) < 3_000_000
    assert b"".join(pieces) == (deep + b"\n") * 2000 + long + b"\n"


@pytest.mark.parametrize("window", [8, 10**6])
@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b'{"a":1}{"b":2} {"c":3}\n{"d":4}\n', b'{"a":1}\n{"b":2}\n{"c":3}\n{"d":4}\n'),
        (b'{"a":1}{"b":2}{"c":3}', b'{"a":1}\n{"b":2}\n{"c":3}'),
        (b'{"a":1}\xef\xbb\xbf{"b":2}', b'{"a":1}\n{"b":2}'),
        (b'{"a":1}{"b":}{"c":3} x\n', b'{"a":1}\n{"b":}\n{"c":3} x\n'),
        (b'{"a":"}{"}\n{"a":[{"b":1}{"c":2}]}\n', b'{"a":"}{"}\n{"a":[{"b":1}{"c":2}]}\n'),
        (b'{]{"a":1}{"b":2}\n', b'{]{"a":1}{"b":2}\n'),
        (b"{]{\n", b"{]{\n"),
        (b'x{"a":1}{"b":2}\n{"c":3}\n', b'x{"a":1}{"b":2}\n{"c":3}\n'),
        (b'{"a":1}{"b":2}{"c":\n{"d":4}{"e":5}\n', b'{"a":1}\n{"b":2}\n{"c":\n{"d":4}\n{"e":5}\n'),
        (b'\n\r\n{"a":1}\r\n{"b":2}{"c":3}\r\n', b'\n\r\n{"a":1}\r\n{"b":2}\n{"c":3}\r\n'),
    ],
)
def test_several_objects_on_a_line_become_lines(content: bytes, lines: bytes, window: int) -> None:
    """Where nothing but objects stands between them; other lines stay as they are."""
    assert _part(content, 3, window) == lines


@settings(deadline=None, max_examples=300)
@given(_ODD, st.integers(1, 30))
def test_lines_are_parted_alike_however_they_arrive(content: bytes, window: int) -> None:
    """And what was a border stays one."""
    parted = _part(content, 3, window)

    assert parted == _part(content, 10**6, 10**6)
    assert parted.replace(b"\n", b"").translate(None, b" \xef\xbb\xbf") == content.replace(b"\n", b"").translate(
        None, b" \xef\xbb\xbf"
    )


def _part(content: bytes, step: int, window: int) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "_STEP", window)
        return b"".join(documents.parted(_pieces(content, step)))


def test_a_line_that_is_longer_than_any_row_goes_by_as_it_comes() -> None:
    """Its length has no bearing on memory, and the lines behind it are parted again."""
    long = b'{"a":"' + b"x" * 20_000_000
    pieces = list(documents.parted(_pieces(long + b'"}\n{"b":1}{"c":2}\n', 1_000_000)))

    assert max(map(len, pieces)) < 11_000_000
    assert b"".join(pieces) == long + b'"}\n{"b":1}\n{"c":2}\n'
