"""Keys, identities and messages of chunks."""

import string
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers import jsontext
from handlers.errors import SchemaValidationError
from handlers.lake.message import Chunk, Kind, Part, Place, Source, kind_of
from tests.handlers.lake.conftest import chunk

_SAFE = set(string.ascii_letters + string.digits + "-._~/%#:@")


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("bronze/shipments/a.jsonl", Kind("shipments", "jsonl", "none")),
        ("bronze/shipments/2026/01/a b.ndjson", Kind("shipments", "jsonl", "none")),
        ("bronze/tracking_events/a.json.gz", Kind("tracking_events", "json", "gzip")),
        ("bronze/other/a.jsonl.gz", Kind("other", "jsonl", "gzip")),
        ("bronze/shipments/line\nbreak.json", Kind("shipments", "json", "none")),
        ("bronze/shipments/a.jsonl.bz2", Kind("shipments", "jsonl", "bzip2")),
        ("bronze/shipments/A.JSON.ZST", Kind("shipments", "json", "zstd")),
        ("bronze/shipments/a.geojson", Kind("shipments", "json", "none")),
        ("bronze/shipments/2026/11/28/08/my.stream-1-2026-11-28-08-00-00-0a1b", Kind("shipments", "any", "none")),
        ("bronze/shipments/stream-1-2026-11-28.gz", Kind("shipments", "any", "gzip")),
        ("bronze/shipments/events.log.1", Kind("shipments", "any", "none")),
        ("bronze/shipments/_a.json", Kind("shipments", "json", "none")),
        ("bronze/shipments/", None),
        ("bronze/shipments/2026/", None),
        ("bronze/shipments/_SUCCESS", None),
        ("bronze/shipments/.keep", None),
        ("bronze/shipments/a.csv", None),
        ("bronze/shipments/a.csv.gz", None),
        ("bronze/shipments/a.json.crc", None),
        ("bronze/shipments/a.parquet", None),
        ("bronze/a.jsonl", None),
        ("bronze//a.jsonl", None),
        ("bronze/../a.jsonl", None),
        ("bronze/a b/a.jsonl", None),
        ("silver/shipments/a.jsonl", None),
    ],
)
def test_a_key_says_how_its_object_is_read(key: str, kind: Kind | None) -> None:
    """Type, and what it claims of format and compression; None where it says that it is none of the lake's."""
    assert kind_of(key) == kind


def _source(key: str, *, replay: str = "") -> Source:
    return Source("bucket", key, "v" * 32, "e" * 35, 10**12, replay)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=1024), st.text(max_size=200))
def test_every_idempotency_key_fits_dynamodb_and_sqs(key: str, replay: str) -> None:
    """At most 2,048 bytes of plain ASCII, for any object key of S3 (1,024 bytes) and any replay."""
    raw = key.encode(errors="surrogatepass")[:1024].decode(errors="ignore")
    replay = replay.encode(errors="ignore").decode()
    text = Chunk(_source(raw, replay=replay), Kind("t", "jsonl", "none"), 10**12 - 1, 10**12, 1).key

    assert len(text) <= 2048
    assert set(text) <= _SAFE


def test_a_long_key_keeps_an_identity_of_its_own() -> None:
    """Two keys that differ in their last character only, too long to be written out."""
    first, second = (_source("ä" * 511 + end).identity for end in "xy")

    assert first != second
    assert first.startswith("bucket/sha256:")


def test_replays_write_the_same_files() -> None:
    """The digest names bytes under a key; version and replay have no part in it."""
    one = Source("b", "k", "v1", "e", 5)
    assert one.digest == Source("b", "k", "v2", "e", 5, "again").digest == "66d7c40d354a67bb"
    assert one.digest != Source("b", "k", "v1", "f", 5).digest


def test_a_message_is_read_as_it_was_written() -> None:
    """Body to chunk and back; the attributes are those of the events' messages."""
    one = chunk(b"{}\n", etag="e", version_id="v", replay="again")
    sent = one.message("0", submitted_at="2026-01-31T00:00:00.000Z", correlation_id="c", trace_header="Root=1")
    body = jsontext.parse(sent.body)
    assert isinstance(body, dict)

    assert Chunk.from_payload(body) == one
    assert {name: attribute.value for name, attribute in sent.attributes.items()} == {
        "idempotencyKey": "my-bronze/bronze/shipments/day.jsonl#e~again/0-3@v",
        "submittedAt": "2026-01-31T00:00:00.000Z",
        "errorTypeCandidate": "Unknown",
        "correlationId": "c",
    }
    assert sent.trace_header == "Root=1"


def test_content_that_the_etag_does_not_identify() -> None:
    """It is in identity, digest and message; a message without it is of an object whose ETag does."""
    one = Source("b", "k", "v1", "e", 5, content="sha256:ab")

    assert (one.identity, one.digest) == ("b/k#sha256:ab", Source("b", "k", "v2", "f", 5, content="sha256:ab").digest)
    source = replace(chunk(b"{}\n").source, content="sha256:ab")
    whole = replace(chunk(b"{}\n"), source=source)
    assert (whole.payload()["content"], Chunk.from_payload(whole.payload())) == ("sha256:ab", whole)
    assert "content" not in chunk(b"{}\n").payload()


def test_a_part_is_a_message_of_its_own() -> None:
    """Named by its first file; the files of a slice come by type and day, those of a later slice behind."""
    whole = chunk(b"{}\n")
    one = replace(whole, part=Part(Place(700, "shipments", "2026-01-31"), 500, 12_345))

    assert one.payload() == whole.payload() | {"part": "700/shipments/2026-01-31/500/12345"}
    assert (Chunk.from_payload(one.payload()), one.key) == (one, f"{whole.key}/700/shipments/2026-01-31")
    assert Place(9, "z", "2026-01-02") < Place(10, "a", "2026-01-01") < Place(10, "a", "2026-01-02")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bucket": None}, "/bucket must be a string, got null"),
        ({"start": True}, "/start must be an integer, got boolean"),
        ({"format": "csv"}, "/format must be one of jsonl, json, any"),
        ({"end": 0}, "/end must lie after start and within size: start 0, end 0, size 3"),
        ({"end": 4}, "/end must lie after start and within size: start 0, end 4, size 3"),
        ({"extra": 1}, "/extra is not known"),
        ({"firstLine": 0}, "/firstLine must be 1 or more"),
        ({"etag": ""}, "/etag is not a value that S3 gives"),
        ({"etag": '"\r\nx: y'}, "/etag is not a value that S3 gives"),
        ({"content": "e"}, "/content is not a value that S3 gives"),
        ({"content": 1}, "/content must be a string, got number"),
        ({"part": "0/shipments/2026-01-31/1"}, "/part is no part"),
        ({"part": 1}, "/part must be a string, got number"),
        ({"versionId": "a b"}, "/versionId is not a value that S3 gives"),
        ({"replay": "\ud800"}, "/replay is not a value that S3 gives"),
        ({"key": "silver/shipments/a.jsonl"}, "/key must be the key of a lake object"),
        ({"key": "bronze/shipments/\ud800.jsonl"}, "/key must be the key of a lake object"),
        ({"key": f"bronze/shipments/{'é' * 501}.jsonl"}, "/key must be the key of a lake object"),
        ({"type": "../../x"}, "/key must be of the same type, format and compression as the message"),
        ({"compression": "gzip"}, "/key must be of the same type, format and compression as the message"),
    ],
)
def test_what_is_no_chunk_is_refused(change: jsontext.JsonObject, message: str) -> None:
    """With the pointer of what is wrong."""
    with pytest.raises(SchemaValidationError) as refusal:
        Chunk.from_payload(chunk(b"{}\n").payload() | change)
    assert str(refusal.value) == message


def test_everything_that_is_missing_is_named() -> None:
    """All at once."""
    with pytest.raises(SchemaValidationError) as refusal:
        Chunk.from_payload({})
    assert len(refusal.value.details) == 12
