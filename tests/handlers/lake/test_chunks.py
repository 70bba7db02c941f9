"""How objects are cut: every byte and line once, whatever the bytes and however they arrive."""

import gzip
import json
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.lake import chunks, form
from handlers.lake.chunks import Span
from handlers.lake.errors import UnreadableObjectError
from handlers.lake.message import Source, kind_of
from tests.handlers.lake.fakes import BRONZE, FakeLake

_CONTENT = st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"\xff", b"\n\n", b"long" * 5])).map(b"".join)


def _blocks(content: bytes, step: int) -> list[bytes]:
    return [content[start : start + step] for start in range(0, len(content), step)]


@settings(deadline=None)
@given(_CONTENT, st.integers(1, 40), st.integers(1, 12))
def test_every_line_is_in_one_chunk_with_its_number(content: bytes, chunk_bytes: int, step: int) -> None:
    """The chunks' lines put together are the object's, in order, and each chunk knows the number of its first."""
    spans = list(chunks.spans(_blocks(content, step), chunk_bytes))

    assert b"".join(content[span.start : span.end] for span in spans) == content
    for span in spans:
        assert span.first_line == content.count(b"\n", 0, span.start) + 1
        assert span.start == 0 or content[span.start - 1 : span.start] == b"\n"
    assert all(span.end - span.start >= chunk_bytes for span in spans[:-1])
    assert all(before.end == after.start for before, after in pairwise(spans))


@settings(deadline=None)
@given(_CONTENT, st.integers(1, 40), st.integers(1, 12))
def test_borders_do_not_depend_on_how_bytes_arrive(content: bytes, chunk_bytes: int, step: int) -> None:
    """Planning again gives the same messages, even where the network cuts the stream otherwise."""
    assert list(chunks.spans(_blocks(content, step), chunk_bytes)) == list(chunks.spans([content], chunk_bytes))


@settings(deadline=None)
@given(_CONTENT, st.integers(1, 40))
def test_chunks_are_no_longer_than_they_must_be(content: bytes, chunk_bytes: int) -> None:
    """A chunk ends with the first line that reaches its size."""
    for span in chunks.spans([content], chunk_bytes):
        body = content[span.start : span.end]
        assert b"\n" not in body[chunk_bytes - 1 : -1]


def test_a_line_across_a_border_belongs_to_the_chunk_in_which_it_begins() -> None:
    """The second line crosses byte 8."""
    assert list(chunks.spans([b"12345\n", b"abcdef\n", b"xyz"], 8)) == [Span(0, 13, 1), Span(13, 16, 3)]


def _only_the_head(content: bytes) -> Iterator[bytes]:
    yield content.ljust(form.HEAD_BYTES)
    pytest.fail("more was read")


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b'{"a":1}\n{"a":2}\n', mtime=0),
        b'[{"a":1},\n{"a":2}]\n',
        b'{\n"a":1}\n{\n"a":2}\n',
        b'{"Records":[{"a":1}]}\n{"Records":[{"a":1}]}\n',
        '{"a":1}\n{"a":2}\n'.encode("utf-16"),
    ],
)
@pytest.mark.parametrize("key", ["bronze/shipments/a.jsonl", "bronze/shipments/a.json.gz", "bronze/shipments/a"])
def test_what_can_not_be_split_is_one_chunk_of_which_the_head_is_read(key: str, content: bytes) -> None:
    """A compressed stream and a document have no lines to begin at, whatever the name says."""
    kind = kind_of(key)
    assert kind
    source = Source("b", key, "v", "e", 5_000_000)

    (one,) = chunks.plan(source, kind, _only_the_head(content), 10)

    assert (one.start, one.end, one.first_line) == (0, 5_000_000, 1)


@pytest.mark.parametrize("key", ["bronze/shipments/a.json", "bronze/shipments/a.json.gz", "bronze/shipments/a"])
def test_lines_are_cut_whatever_the_name_says(key: str) -> None:
    """The content decides; each line is in one chunk."""
    content = b'{"a":1}\n' * 3
    kind = kind_of(key)
    assert kind

    planned = list(chunks.plan(Source("b", key, "v", "e", len(content)), kind, [content], 10))

    assert [(one.start, one.end, one.first_line) for one in planned] == [(0, 16, 1), (16, 24, 3)]


def test_what_is_nothing_for_the_lake_has_no_chunk() -> None:
    """It is refused as one object, before a message is sent."""
    kind = kind_of("bronze/shipments/a.json")
    assert kind

    with pytest.raises(UnreadableObjectError, match="the object is a zip archive"):
        list(chunks.plan(Source("b", "k", "v", "e", 9), kind, [b"PK\x03\x04....."], 10))


@pytest.mark.parametrize("key", ["bronze/shipments/a.jsonl", "bronze/shipments/a.json.gz"])
def test_an_empty_object_has_no_chunk(key: str) -> None:
    """There is nothing to send."""
    kind = kind_of(key)
    assert kind
    assert list(chunks.plan(Source("b", key, "v", "e", 0), kind, [], 10)) == []


def test_an_operator_plans_the_messages_that_ingest_sends(fake_lake: FakeLake) -> None:
    """The chunks are those of the version that is there; a replay makes them other messages."""
    version = fake_lake.upload("bronze/shipments/ä b.jsonl", b"1\n22\n333\n")

    def plan(replay: str) -> list[tuple[str, str]]:
        planned = chunks.of_object(
            fake_lake,  # type: ignore[arg-type]
            BRONZE,
            "bronze/shipments/ä b.jsonl",
            chunk_bytes=4,
            replay=replay,
        )
        return [(one.key, json.dumps(one.payload())) for one in planned]

    identity = f"{BRONZE}/bronze/shipments/%C3%A4%20b.jsonl#{version.etag}"
    assert [key for key, _ in plan("")] == [f"{identity}/0-5@v1", f"{identity}/5-9@v1"]
    assert [key for key, _ in plan("again")] == [f"{identity}~again/0-5@v1", f"{identity}~again/5-9@v1"]
    assert json.loads(plan("")[1][1]) == {
        "bucket": BRONZE,
        "key": "bronze/shipments/ä b.jsonl",
        "versionId": "v1",
        "etag": version.etag,
        "type": "shipments",
        "format": "jsonl",
        "compression": "none",
        "start": 5,
        "end": 9,
        "firstLine": 3,
        "size": 9,
        "replay": "",
    }


def test_an_operator_can_not_plan_what_is_no_lake_object(fake_lake: FakeLake) -> None:
    """The refusal names the key and the form."""
    with pytest.raises(ValueError, match=r"bronze/x\.csv is not bronze/<type>/"):
        list(chunks.of_object(fake_lake, BRONZE, "bronze/x.csv", chunk_bytes=4))  # type: ignore[arg-type]
