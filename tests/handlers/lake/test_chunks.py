"""How objects are cut: every byte and line once, whatever the bytes and however they arrive."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.lake import chunks
from handlers.lake.chunks import Span
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


@pytest.mark.parametrize(
    "key", ["bronze/shipments/a.jsonl.gz", "bronze/shipments/a.json", "bronze/shipments/a.json.gz"]
)
def test_what_can_not_be_split_is_one_chunk_and_is_not_read(key: str) -> None:
    """A gzip stream and a JSON document have no lines to begin at."""
    kind = kind_of(key)
    assert kind
    source = Source("b", key, "v", "e", 5000)

    (one,) = chunks.plan(source, kind, iter(lambda: pytest.fail("it was read"), b""), 10)

    assert (one.start, one.end, one.first_line) == (0, 5000, 1)


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
