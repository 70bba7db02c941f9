"""The lake against notifications, chunk messages and contents that nobody should have sent."""

import gzip
import json
from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from handlers.errors import SchemaValidationError
from handlers.lake import form, notice
from handlers.lake.errors import UnreadableObjectError
from handlers.lake.intake import Invocation, NotIngestedError
from handlers.lake.message import kind_of
from tests.handlers.conftest import FakeClock, record
from tests.handlers.fakes import client_error
from tests.handlers.fuzz.hostile import FUZZ, JSON, ODD, SECRET, TEXT, logged, records
from tests.handlers.lake.conftest import Lake, as_json, chunk, created, shipment
from tests.handlers.lake.fakes import BRONZE, SILVER, FakeLake
from tests.handlers.lake.test_transform import as_lines

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")  # inputs may be large
_KEYS = (
    "bronze/shipments/day.jsonl",
    "bronze/shipments/a +%ü\x00\n.ndjson",
    "bronze/shipments/../../silver/x.json",
    "bronze/tracking_events/%2e%2e%00.json.gz",
    "bronze/shipments/" + "é" * 500 + ".jsonl",
    "bronze/unheard-of/\U0010ffff.jsonl.gz",
)
_FOREIGN_KEYS = ("silver/shipments/a.jsonl", "bronze/../a.jsonl", "bronze/shipments/a.csv", "bronze/", "", "\x00")
_TELL_TALE = SECRET.strip("«»")  # logs are ASCII
# What the transform may say of a message. Any other is a fault that nobody has thought of.
_FORESEEN = {
    "SchemaValidationError",
    "ForeignBucketError",
    "ObjectGoneError",
    "ObjectChangedError",
    "IdempotencyConflictError",
    "UnreadableObjectError",
}


class _StrictLake(FakeLake):
    """S3 answers ranges as AWS does, takes what a header can hold, and is asked for the lake's own buckets alone."""

    def _get(self, bucket: str, key: str, options: dict[str, Any]) -> dict[str, Any]:
        assert bucket == BRONZE
        assert 1 <= len(key.encode()) <= 1024
        if not all(isinstance(value, str) and value.isascii() and value.isprintable() for value in options.values()):
            raise ValueError("Invalid header value")
        if given := options.get("Range"):
            start, end = map(int, given.removeprefix("bytes=").split("-"))
            size = len(self.versions[bucket, key][-1].content) if (bucket, key) in self.versions else 0
            if start >= size:
                raise client_error("InvalidRange" if size else "NoSuchKey", "GetObject")
            options = options | {"Range": f"bytes={start}-{min(end, size - 1)}"}
        return super()._get(bucket, key, options)

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> dict[str, Any]:
        assert Bucket == SILVER
        assert Key.startswith(("silver/", "quarantine/"))
        assert ".." not in Key.split("/")
        return super().put_object(Bucket=Bucket, Key=Key, Body=Body, ContentType=ContentType)


_ROWS: st.SearchStrategy[Any] = st.one_of(
    st.builds(shipment, st.integers(1, 9)),
    st.builds(shipment, st.just(1), note=JSON),
    st.builds(lambda name, value: shipment(1, **{name: value}), st.sampled_from([*shipment(), "record_type"]), JSON),
    JSON,
)
_LINES = st.one_of(_ROWS.map(json.dumps).map(str.encode), _ROWS.map(json.dumps).map(str.encode), st.binary(max_size=40))
_PLAIN = st.one_of(
    st.lists(_LINES, max_size=6).map(b"\n".join),
    st.lists(_ROWS, max_size=4).map(json.dumps).map(str.encode),
    st.binary(max_size=200),
    st.sampled_from(
        [b"[" * 5000, b'[{"a":' * 100, b"[" + b"9" * 5000 + b"]", b'[{"a":"\\ud800"}]', b"\xef\xbb\xbf[1e999]"]
    ),
)


@st.composite
def _contents(draw: st.DrawFn) -> bytes:
    """Rows good and bad, or anything; packed as gzip or not, whole, cut off or followed by something."""
    content = draw(_PLAIN)
    match draw(st.sampled_from(["plain", "plain", "packed", "cut", "followed"])):
        case "packed":
            return gzip.compress(content, mtime=0)
        case "cut":
            packed = gzip.compress(content, mtime=0)
            return packed[: draw(st.integers(0, len(packed)))]
        case "followed":
            return gzip.compress(content, mtime=0) + draw(st.binary(max_size=20))
    return content


def _lake() -> tuple[Lake, _StrictLake]:
    aws = _StrictLake()
    return Lake(aws, FakeClock()), aws


# Ingest


@st.composite
def _notifications(draw: st.DrawFn) -> dict[str, Any]:
    """What S3 could say of an object, some of which is a lie."""
    key = draw(st.sampled_from(_KEYS) | st.sampled_from(_FOREIGN_KEYS))
    name = draw(
        st.sampled_from(["ObjectCreated:Put"] * 4 + ["ObjectCreated:Copy", "ObjectRemoved:Delete", "Replication:x"])
    )
    one = created(draw(st.sampled_from(["", "v1", "v1", "v9"])), draw(st.sampled_from(["", "lie"])), key, name=name)
    one["s3"]["bucket"]["name"] = draw(st.sampled_from([BRONZE] * 4 + ["my-silver", "somebody-elses", ""]))
    one["s3"]["object"]["size"] = draw(st.integers(-1, 10**20))
    return one


def _announced(one: dict[str, Any]) -> str:
    """The key where a notification is that of a new object of the lake's, else ""."""
    key = unquote_plus(one["s3"]["object"]["key"])
    return key if one["eventName"].startswith("ObjectCreated:") and kind_of(key) else ""


def _is_readable(key: str, content: bytes) -> bool:
    kind = kind_of(key)
    assert kind
    try:
        return form.compression(content) != "none" or bool(form.of(content, kind.format))
    except UnreadableObjectError:
        return False


def _stays(one: dict[str, Any]) -> bool:
    """Whether an announced object can't be had as it was announced."""
    told = one["s3"]["object"]
    return (one["s3"]["bucket"]["name"], told["versionId"] == "v9", told["eTag"]) != (BRONZE, False, "")


@FUZZ
@given(st.lists(_notifications(), max_size=5), st.lists(_contents(), min_size=len(_KEYS), max_size=len(_KEYS)))
def test_notifications(event: list[dict[str, Any]], contents: list[bytes]) -> None:
    """Each object is recorded with every byte of it in one message, or the invocation fails so that Lambda retries."""
    lake, aws = _lake()
    lake.chunk_bytes = 50
    for key, content in zip(_KEYS, contents, strict=True):
        aws.upload(key, content)
        aws.upload(key, content, bucket="somebody-elses")
    wanted = {_announced(one) for one in event if _announced(one) and not _stays(one)}
    with logged() as lines:
        unreadable = {key for key, content in zip(_KEYS, contents, strict=True) if not _is_readable(key, content)}
        try:
            lake.ingest(*event)
            assert not any(_announced(one) and _stays(one) for one in event)
            assert not wanted & unreadable
        except NotIngestedError:
            assert any(_announced(one) and _stays(one) for one in event) or wanted & unreadable
        assert _TELL_TALE not in json.dumps(lines())

    bodies: list[Any] = [as_json(sent["MessageBody"]) for sent in aws.sent]
    assert {body["bucket"] for body in bodies} <= {BRONZE}
    done = [
        json.loads(item["payload"]["S"])["key"] for item in aws.items.values() if item["status"]["S"] == "SUCCEEDED"
    ]
    wanted -= unreadable
    assert sorted(done) == sorted(wanted)
    for key, content in zip(_KEYS, contents, strict=True):
        ranges = [(body["start"], body["end"]) for body in bodies if body["key"] == key]
        assert b"".join(content[start:end] for start, end in ranges) == (content if key in wanted else b"")


@FUZZ
@given(_notifications(), st.sampled_from(["eventName", "s3", "bucket", "object", "key", "name"]), ODD | st.just("gone"))
def test_a_notification_with_something_missing_or_odd(one: dict[str, Any], where: str, what: Any) -> None:
    """It is raised, or ignored as none of the lake's; nothing is sent but for what it names."""
    for holder in (one, one["s3"], one["s3"]["bucket"], one["s3"]["object"]):
        if where in holder:
            holder[where] = what
            if what == "gone":
                del holder[where]
            break
    lake, aws = _lake()
    aws.upload(_KEYS[0], b"{}\n")
    with logged():
        try:
            lake.ingest(one)
        except (SchemaValidationError, NotIngestedError):
            assert aws.sent == []
    assert {as_json(sent["MessageBody"])["bucket"] for sent in aws.sent} <= {BRONZE}


@FUZZ
@given(st.dictionaries(st.sampled_from(["Event", "Records", "Service"]), JSON | st.just("s3:TestEvent")))
def test_a_direct_call_with_anything(event: Any) -> None:
    """Refused as no notice, but for S3's test and an event of no records; no call is made."""
    lake, aws = _lake()
    with logged():
        try:
            answer = lake.intake().take_all(
                notice.read(event, "lake"), Invocation(request_id="r", lease_until=lake.clock.ms + 9)
            )
        except SchemaValidationError:
            pass
        else:
            assert answer == {"objects": 0, "chunks": 0}
            assert not event.get("Records")
    assert aws.calls == []


# Transform

_HOSTILE: dict[str, tuple[Any, ...]] = {
    "bucket": (SILVER, "somebody-elses", BRONZE + "/", "arn:aws:s3:::x"),
    "key": (*_KEYS, *_FOREIGN_KEYS, "bronze/shipments/" + "é" * 600 + ".jsonl", "bronze/shipments/\ud800.jsonl"),
    "versionId": ("v9", "null", "\r\nx: y", "\ud800", "é"),
    "etag": ("", "*", '"', "\r\nx: y", "\ud800", "0" * 32),
    "type": ("../../bronze/shipments", "invoice_lines", "unheard-of", ""),
    "format": ("json", "csv", "JSONL"),
    "compression": ("gzip", "zip", "none"),
    "start": (-1, 1, 10**6, 10**20, -(10**20)),
    "end": (-1, 0, 1, 10**6, 10**20),
    "firstLine": (-1, 0, 7, 10**20),
    "size": (-1, 0, 10**6, 10**21),
    "replay": ("again", "\x00", "\ud800", "é" * 300, "x" * 5000, "../.."),
    "more": (None, "x"),
}


@st.composite
def _chunks(draw: st.DrawFn, aws: _StrictLake) -> dict[str, Any]:
    """A chunk's message, right or with some of its fields changed, odd or missing."""
    key = draw(st.sampled_from(_KEYS))
    version = aws.versions[BRONZE, key][-1]
    assume(version.content)
    payload: dict[str, Any] = dict(chunk(version.content, key, etag=version.etag).payload())
    match draw(st.sampled_from(["right", "hostile", "hostile", "hostile", "odd", "missing"])):
        case "hostile":
            for name in draw(st.lists(st.sampled_from([*_HOSTILE]), min_size=1, max_size=2)):
                payload[name] = draw(st.sampled_from(_HOSTILE[name]))
        case "odd":
            payload[draw(st.sampled_from([*payload]))] = draw(ODD)
        case "missing":
            del payload[draw(st.sampled_from([*payload]))]
    return payload


@FUZZ
@given(st.data(), st.lists(_contents(), min_size=len(_KEYS), max_size=len(_KEYS)))
def test_a_batch_of_chunks(data: st.DataObject, contents: list[bytes]) -> None:
    """Exactly the answer that SQS understands; a message is done with all its rows, or a letter with its cause."""
    lake, aws = _lake()
    for key, content in zip(_KEYS, contents, strict=True):
        aws.upload(key, content)
        aws.upload(key, content, bucket="somebody-elses")
    payloads = data.draw(st.lists(_chunks(aws), min_size=1, max_size=3))
    _check(lake, aws, payloads)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, some in _HOSTILE.items() for value in some])
def test_one_hostile_field(name: str, value: object) -> None:
    """The same for each by itself, of an object with a good row and a bad one."""
    lake, aws = _lake()
    content = json.dumps(shipment(1)).encode() + b"\nbad\n"
    for bucket in (BRONZE, "somebody-elses"):
        aws.upload(_KEYS[0], content, bucket=bucket)
    payload: dict[str, Any] = dict(chunk(content, _KEYS[0], etag=aws.versions[BRONZE, _KEYS[0]][-1].etag).payload())
    _check(lake, aws, [payload | {name: value}])


def _check(lake: Lake, aws: _StrictLake, payloads: list[dict[str, Any]]) -> None:
    batch = [record(f"m{i}", None, body=json.dumps(payload), key=f"k{i}") for i, payload in enumerate(payloads)]
    with logged() as lines:
        assert lake.transform(*batch) == {"batchItemFailures": []}
        told = {line["messageId"]: line for line in lines() if "outcome" in line}
        assert _TELL_TALE not in json.dumps(lines())

    assert {line.get("errorType", "SchemaValidationError") for line in told.values()} <= _FORESEEN
    letters = {sent["MessageAttributes"]["originalMessageId"]["StringValue"] for sent in aws.sent}
    for i, payload in enumerate(payloads):
        assert (f"m{i}" in letters) == ("errorType" in told[f"m{i}"])
        if f"m{i}" in letters:
            continue
        assert payload["bucket"] == BRONZE
        result = json.loads(aws.items[f"lake/k{i}"]["result"]["S"])
        assert result["rows"] == result["silver"] + result["quarantined"]
        assert result["silver"] == sum(file["rows"] for file in result["files"])
    assert sum(1 for sent in aws.sent if sent["QueueUrl"] != "https://lake-dlq") == 0


@FUZZ
@given(st.sampled_from(_KEYS), _contents())
def test_every_row_is_somewhere(key: str, content: bytes) -> None:
    """Rows that went in are those of silver and of quarantine together, and working them again changes no file."""
    lake, aws = _lake()
    with logged() as lines:
        try:
            result = lake.process(content or b"\n", key)
        except UnreadableObjectError:
            assert aws.silver() == {}
            return
        before = aws.silver()
        assert lake.process(content or b"\n", key) == result
        assert _TELL_TALE not in json.dumps(lines())

    assert aws.silver() == before
    assert result["silver"] == sum(len(lake.rows(kind)) for kind in ("shipments", "tracking_events", "invoice_lines"))
    assert result["quarantined"] == sum(len(as_lines(entry)) for entry in lake.quarantined())
    assert result["rows"] == result["silver"] + result["quarantined"]


@FUZZ
@given(records(JSON, sizes=(1, 5)))
def test_a_batch_of_anything(batch: list[dict[str, Any]]) -> None:
    """What is no chunk at all is a letter or is kept; S3 is not asked."""
    lake, aws = _lake()
    with logged():
        answer = lake.transform(*batch)
    ids = {one["messageId"] for one in batch}
    assert answer.keys() == {"batchItemFailures"}
    kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
    letters = {sent["MessageAttributes"]["originalMessageId"]["StringValue"] for sent in aws.sent}
    assert kept | letters == ids
    assert aws.reads == []


@FUZZ
@given(st.dictionaries(st.sampled_from(["body", "messageId", "attributes", "receiptHandle"]), ODD, min_size=1), TEXT)
def test_a_record_that_sqs_would_not_send(oddities: dict[str, Any], text: str) -> None:
    """An answer with known ids, or an exception, after which SQS delivers the batch again."""
    lake = Lake(FakeLake(), FakeClock())
    odd = {**record("odd", {"bucket": text}), **oddities}
    with logged():
        try:
            answer = lake.transform(odd)
        except (KeyError, TypeError, ValueError, AttributeError):
            return
    assert all(failure["itemIdentifier"] == odd["messageId"] for failure in answer["batchItemFailures"])
