"""What an object is read as: by its content, and by its name where the content allows more."""

import bz2
import gzip
from collections.abc import Iterable

import pytest

from handlers.lake import form
from handlers.lake.errors import UnreadableObjectError
from handlers.lake.form import Form
from handlers.lake.message import Claim

_LINES = Form(None)
_DOCUMENT = Form("")
_CLAIMS: list[Claim] = ["jsonl", "json", "any"]


@pytest.mark.parametrize("claim", _CLAIMS)
@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", _LINES),
        (b" \n\n", _LINES),
        (b'{"a":1}\n{"a":2}\n', _LINES),
        (b'\xef\xbb\xbf\n {"a":1}\r\n{"a":2}', _LINES),
        (b'{"a":1}', _LINES),
        (b'{"a":1} {"a":2}{"a":3}', _LINES),
        (b'{"a":1}\n\n{"a":[1,\n', _LINES),
        (b'{"a":\n{"a":2}\n{"a":3}\n', _LINES),
        (b'{"a":1,\n{"a":2}\n{"a":3}\n', _LINES),
        (b'{"a":"b\n{"a":2}\n{"a":3}\n', _LINES),
        (b'{\n  "a": 1\n}\n{\n  "a": 2\n}\n', _DOCUMENT),
        (b'{ "a": 1,\n  "b": 1}{"a":2}', _DOCUMENT),
        (b'{"a":1\n,"b":2}\n', _DOCUMENT),
        (b'{"a":[\n{"b":2}]}\n', _DOCUMENT),
        (b'[{"a":1},{"a":2}]', _DOCUMENT),
        (b'[\n{"a":1},\n{"a":2}]\n', _DOCUMENT),
        (b'[{"a":1},\n{"a":2}', _DOCUMENT),
        (b"[]", _DOCUMENT),
        (b'{"Records":[{"a":1}]}', Form("/Records")),
        (b'{ "Records" : [\n', Form("/Records")),
        (b'{"type":"FeatureCollection","name":"x","features":[]}', Form("/features")),
        (b'{"features":[]}', Form("/features")),
        (b'{"a":1,"features":[]}', _LINES),
        (b'{"Records":1}', _LINES),
        (b"no row\n" * 5 + b'{"a":1}\n', _LINES),
        (b"\x00" * 9 + b'\n{"a":1}' * 9, _LINES),
        ('{"a":1}\n{"a":2}'.encode("utf-16"), Form(None, "utf-16-le")),
        ('[{"a":1}]'.encode("utf-16-be"), Form("", "utf-16-be")),
        ('\ufeff{\n"a":1}'.encode("utf-16-be"), Form("", "utf-16-be")),
    ],
)
def test_the_content_decides(content: bytes, found: Form, claim: Claim) -> None:
    """Whatever the name says."""
    assert form.of(content, claim) == found


@pytest.mark.parametrize("content", [b'[1,2]\n{"a":1}\n', b'[INFO] starting\n{"a":1}\n'])
def test_the_name_decides_between_an_array_and_a_line_that_is_one(content: bytes) -> None:
    """In JSON Lines it is a bad row, and costs no other."""
    assert [form.of(content, claim) for claim in _CLAIMS] == [_LINES, _DOCUMENT, _DOCUMENT]


def test_a_type_may_say_where_its_rows_are() -> None:
    """A pointer makes anything a document; an empty one says that nothing is a wrapping."""
    assert [form.of(content, "jsonl", "/a") for content in (b"{}\n{}", b"[]")] == [Form("/a")] * 2
    wrapping = b'{"Records":[]}'
    assert [form.of(content, "json", "") for content in (wrapping, b"[]", b"{\n}")] == [_LINES, _DOCUMENT, _DOCUMENT]


@pytest.mark.parametrize("claim", _CLAIMS)
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04\x14\x00", "a zip archive"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"Obj\x01\x04", "an Avro file"),
        (b"\xfd7zXZ\x00\x00", "compressed with xz"),
        ('{"a":1}'.encode("utf-32"), "UTF-32"),
        (bytes(range(256)) * 9, "not text"),
        ("Grüße aus Köln\n".encode("cp037") * 9, "not text"),
    ],
)
def test_what_is_nothing_for_the_lake_is_refused_as_one(content: bytes, what: str, claim: Claim) -> None:
    """With what it is, in place of thousands of rows that are not UTF-8."""
    with pytest.raises(UnreadableObjectError, match=f"^the object is {what}"):
        form.of(content, claim)


def test_text_without_a_bracket_is_refused_where_nothing_calls_it_lines() -> None:
    """An error page for example; where the name says JSON Lines its lines are bad rows."""
    page = b"<!DOCTYPE html>\n<html>\n</html>\n"

    assert form.of(page, "jsonl") == _LINES
    for claim in _CLAIMS[1:]:
        with pytest.raises(UnreadableObjectError, match=r"^the object is not JSON"):
            form.of(page, claim)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (gzip.compress(b"x", mtime=0), "gzip"),
        (bz2.compress(b"x"), "bzip2"),
        (bz2.compress(b""), "bzip2"),
        (b"\x28\xb5\x2f\xfd\x04", "zstd"),
        (b"\x50\x2a\x4d\x18\x04", "zstd"),
        (b"BZh1 is no stream", "none"),
        (b'{"a":1}', "none"),
        (b"", "none"),
    ],
)
def test_compression_is_seen_in_the_first_bytes(head: bytes, name: str) -> None:
    """By the formats' own marks."""
    assert form.compression(head) == name


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ('{"a":"ä😀"}\n{"b":2}', '{"a":"ä😀"}\n{"b":2}'.encode()),
        ('{"a":"\ud800"}\n', b'{"a":"\xed\xa0\x80"}\n'),
    ],
)
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_utf_16_becomes_utf_8(content: str, lines: bytes, step: int) -> None:
    """Half of a pair becomes what no reader takes for text, so that its row is bad and no other."""
    raw = content.encode("utf-16-le", "surrogatepass")

    assert _read(Form(None, "utf-16-le"), _pieces(raw, step)) == lines
    assert _read(Form(None, "utf-16-le"), _pieces(raw + b"{", step)) == lines + b"\xff"


def _pieces(content: bytes, step: int) -> list[bytes]:
    return [content[start : start + step] for start in range(0, len(content), step)]


def _read(found: Form, stream: Iterable[bytes]) -> bytes:
    return b"".join(found.as_lines(stream))
