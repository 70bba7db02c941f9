"""Ingest: an object that S3 announces becomes its chunks' messages, once, whatever happens on the way."""

import hashlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from handlers import jsontext
from handlers.aws import clients
from handlers.errors import SchemaValidationError
from handlers.grouping import sqs_id
from handlers.idempotency.keys import partition_key
from handlers.lake import ingest, notice
from handlers.lake.intake import Intake, NotIngestedError
from handlers.worker import messages
from tests.components.recording import ROOT
from tests.handlers.conftest import DAY_MS, NOW_MS, failures, record
from tests.handlers.emf import embedded
from tests.handlers.fakes import Crash, FakeContext, client_error
from tests.handlers.lake.conftest import KEY, Lake, as_json, created, lines, shipment
from tests.handlers.lake.fakes import BRONZE

Upload = Callable[..., dict[str, Any]]


def ranges(lake: Lake) -> list[tuple[object, object]]:
    """Start and end of every chunk that was sent."""
    bodies = [as_json(sent["MessageBody"]) for sent in lake.aws.sent]
    return [(body["start"], body["end"]) for body in bodies]


def test_an_object_becomes_its_chunks(lake: Lake, uploaded: Upload) -> None:
    """One pass, one message a chunk in calls of ten, one record; nothing of the content is in any of them."""
    lake.chunk_bytes = 10
    content = b"0123456\n" * 24  # a chunk is two lines

    assert lake.ingest(uploaded(content)) == {"objects": 1, "chunks": 12}

    assert lake.aws.calls == [
        "GetObject",
        "BatchExecuteStatement",
        "SendMessageBatch",
        "SendMessageBatch",
        "BatchExecuteStatement",
    ]
    assert ranges(lake) == [(start, start + 16) for start in range(0, len(content), 16)]
    etag = lake.aws.versions[BRONZE, KEY][0].etag
    assert {name: value["StringValue"] for name, value in lake.aws.sent[1]["MessageAttributes"].items()} == {
        "idempotencyKey": f"{BRONZE}/{KEY}#{etag}/16-32@v1",
        "submittedAt": "2027-01-15T08:00:00.000Z",
        "errorTypeCandidate": "Unknown",
        "correlationId": "s3-request",
    }
    (item,) = lake.aws.items.values()
    assert item == {
        "idempotencyKey": {"S": f"lake/{BRONZE}/{KEY}#{etag}"},
        "status": {"S": "SUCCEEDED"},
        "checksum": item["checksum"],
        "firstSeenAt": {"S": "2027-01-15T08:00:00.000Z"},
        "processedAt": {"S": "2027-01-15T08:00:00.000Z"},
        "attempts": {"N": "1"},
        "expiresAt": {"N": str((NOW_MS + 7 * DAY_MS) // 1000)},
        "leaseUntil": {"N": str(NOW_MS + 30_000)},
        "messageId": {"S": "r-1"},
        "pipeline": {"S": "lake"},
        "payload": {
            "S": json.dumps(
                {"bucket": BRONZE, "key": KEY, "etag": etag, "versionId": "v1", "chunkBytes": 10}, separators=(",", ":")
            )
        },
        "result": {"S": '{"chunks":12,"bytes":192}'},
    }


def test_chunks_have_the_group_of_their_object(lake: Lake, uploaded: Upload) -> None:
    """Where `lakeGroupBy` leads to in a chunk's message, as SQS takes it; nowhere is no group, which is no fault."""
    content = b"0123456\n" * 4
    lake.chunk_bytes = 10  # two lines
    for lake.group_by in ("/key", "/replay"):
        lake.ingest(uploaded(content + lake.group_by.encode()))
    assert [sent.get("MessageGroupId") for sent in lake.aws.sent] == [sqs_id(KEY)] * 3 + [None] * 3


def test_an_object_that_is_announced_again_is_known(lake: Lake, uploaded: Upload) -> None:
    """S3 notifies at least once; the second time costs a look, and the object is not read."""
    notification = uploaded(lines(shipment(1)))
    lake.ingest(notification)

    assert lake.ingest(notification, notification, request_id="r-2") == {"objects": 0, "chunks": 0}

    assert len(lake.aws.sent) == 1


def test_the_same_bytes_again_are_the_same_object(lake: Lake, uploaded: Upload) -> None:
    """A second upload under the same key; other bytes are another object."""
    lake.ingest(uploaded(lines(shipment(1))))

    assert lake.ingest(uploaded(lines(shipment(1)))) == {"objects": 0, "chunks": 0}
    assert lake.ingest(uploaded(lines(shipment(2)))) == {"objects": 1, "chunks": 1}
    assert [as_json(sent["MessageBody"])["versionId"] for sent in lake.aws.sent] == ["v1", "v3"]


_CRC = {"ChecksumCRC64NVME": "rosUhgp5mIg=", "ChecksumType": "FULL_OBJECT"}


@pytest.mark.parametrize(
    ("stored", "content"),
    [
        ({"kms": True, "checksum": _CRC}, "crc64nvme:ae8b14860a799888"),
        ({"parts": 3, "checksum": _CRC}, "crc64nvme:ae8b14860a799888"),
        ({"kms": True}, "sha256"),
        ({"parts": 3}, "sha256"),
        ({"kms": True, "parts": 1, "checksum": {"ChecksumSHA256": "x-1", "ChecksumType": "COMPOSITE"}}, "sha256"),
    ],
)
def test_the_same_bytes_again_where_an_etag_is_no_checksum(
    lake: Lake, uploaded: Upload, stored: dict[str, Any], content: str
) -> None:
    """Under a KMS key and in parts S3 gives the same bytes another ETag; they are the same object all the same."""
    body = lines(shipment(1), shipment(2))
    if content == "sha256":
        content = f"sha256:{hashlib.sha256(body).hexdigest()}"

    lake.chunk_bytes = 100
    assert lake.ingest(uploaded(body, stored=stored)) == {"objects": 1, "chunks": 2}
    lake.transform(*lake.deliveries())
    again = uploaded(body, stored=stored)
    assert lake.ingest(again) == {"objects": 0, "chunks": 0}
    etags = {version.etag for version in lake.aws.versions[BRONZE, KEY]}
    assert (len(etags), lake.ingest(again)) == (2, {"objects": 0, "chunks": 0})
    assert lake.ingest(uploaded(lines(shipment(3)), stored=stored | {"checksum": {}})) == {"objects": 1, "chunks": 1}

    identity = f"{BRONZE}/{KEY}#{content}"
    keys = [sent["MessageAttributes"]["idempotencyKey"]["StringValue"] for sent in lake.aws.sent]
    assert [key.removeprefix(identity) for key in keys[:2]] == ["/0-141@v1", "/141-282@v1"]
    assert [as_json(sent["MessageBody"])["content"] for sent in lake.aws.sent[:2]] == [content] * 2
    assert [row["shipment_id"] for row in lake.rows()] == ["S-1", "S-2"]
    assert {read["IfMatch"] for read in lake.aws.reads if "IfMatch" in read} == {
        f'"{version.etag}"' for version in lake.aws.versions[BRONZE, KEY]
    }


def test_an_empty_object_under_a_kms_key(lake: Lake, uploaded: Upload) -> None:
    """Nothing is read of it, a range of nothing least of all."""
    assert lake.ingest(uploaded(b"", stored={"kms": True})) == {"objects": 1, "chunks": 0}
    assert lake.ingest(uploaded(b"", stored={"kms": True})) == {"objects": 0, "chunks": 0}
    assert all("Range" not in read for read in lake.aws.reads)


def test_a_forced_replay_is_another_object_once(lake: Lake, uploaded: Upload) -> None:
    """Its metadata `replay` gives it an identity of its own, which is known the second time."""
    lake.ingest(uploaded(lines(shipment(1))))
    again = uploaded(lines(shipment(1)), replay="2026-02")

    assert [lake.ingest(again), lake.ingest(again)] == [{"objects": 1, "chunks": 1}, {"objects": 0, "chunks": 0}]

    keys = [sent["MessageAttributes"]["idempotencyKey"]["StringValue"] for sent in lake.aws.sent]
    assert [key.partition("#")[2][32:] for key in keys] == ["/0-141@v1", "~2026-02/0-141@v2"]
    assert as_json(lake.aws.sent[1]["MessageBody"])["replay"] == "2026-02"


def test_an_empty_object_is_done_without_a_message(lake: Lake, uploaded: Upload) -> None:
    """It is recorded, so that nobody looks for it."""
    assert lake.ingest(uploaded(b"")) == {"objects": 1, "chunks": 0}

    assert lake.aws.sent == []
    assert [item["result"]["S"] for item in lake.aws.items.values()] == ['{"chunks":0,"bytes":0}']


def test_what_is_none_of_the_lakes_is_logged_and_left(
    lake: Lake, log_stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """S3's test, deletions, folders and other files: no call, no error, a line each; the last alone is counted."""
    assert notice.read({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BRONZE}, "lake") == []
    with pytest.raises(SchemaValidationError):  # it says that it is a test, and is none
        notice.read({"Event": "s3:TestEvent", "Records": None}, "lake")
    assert lake.ingest(
        created("v", "e", name="ObjectRemoved:Delete"),
        created("v", "e", "bronze/shipments/"),
        created("v", "e", "bronze/shipments/notes.txt"),
    ) == {"objects": 0, "chunks": 0}

    assert lake.aws.calls == []
    (counted,) = embedded(capsys)
    assert counted == {"pipeline": "lake", "ObjectsIgnored": 1}
    logged = [json.loads(line) for line in log_stream.getvalue().splitlines()]
    assert [(line["message"], line["reason"], line.get("objectKey")) for line in logged] == [
        ("notification ignored", "it is S3's test", None),
        ("notification ignored", "it is ObjectRemoved:Delete", KEY),
        ("notification ignored", "its key is not that of a lake object", "bronze/shipments/"),
        ("notification ignored", "its key is not that of a lake object", "bronze/shipments/notes.txt"),
    ]


@pytest.mark.parametrize("name", ["ObjectCreated:Copy", "ObjectCreated:CompleteMultipartUpload"])
def test_every_way_of_writing_counts(lake: Lake, uploaded: Upload, name: str) -> None:
    """Copies are how an operator replays; keys come encoded as in a form."""
    notification = uploaded(lines(shipment(1)), "bronze/shipments/a +%ü.jsonl")

    assert lake.ingest(notification | {"eventName": name}) == {"objects": 1, "chunks": 1}
    assert as_json(lake.aws.sent[0]["MessageBody"])["key"] == "bronze/shipments/a +%ü.jsonl"


@pytest.mark.parametrize(
    ("prepare", "error_type"),
    [
        (lambda lake: lake.aws.versions.clear(), "ObjectGoneError"),
        (lambda lake: setattr(lake.aws.versions[BRONZE, KEY][0], "content", b"other"), "ObjectChangedError"),
    ],
)
def test_an_object_that_is_not_there_any_more_is_raised(
    lake: Lake, uploaded: Upload, log_stream: io.StringIO, prepare: Callable[[Lake], Any], error_type: str
) -> None:
    """So that it becomes a dead letter; the objects beside it are ingested."""
    gone, other = uploaded(lines(shipment(1))), uploaded(lines(shipment(2)), "bronze/shipments/other.jsonl")
    kept = lake.aws.versions[BRONZE, "bronze/shipments/other.jsonl"]
    prepare(lake)
    lake.aws.versions[BRONZE, "bronze/shipments/other.jsonl"] = kept

    with pytest.raises(NotIngestedError, match="1 not ingested"):
        lake.ingest(gone, other)

    assert len(lake.aws.sent) == 1
    first = json.loads(log_stream.getvalue().splitlines()[0])
    assert (first["message"], first["errorType"], first["objectKey"]) == ("object not ingested", error_type, KEY)


def test_an_object_of_another_bucket_is_raised_and_not_looked_at(lake: Lake) -> None:
    """Whoever may invoke the function is not to have other buckets read for them; the failure tells of it."""
    lake.aws.upload(KEY, b"x\n", bucket="another")
    notification = created("v1", "")
    notification["s3"]["bucket"]["name"] = "another"

    with pytest.raises(NotIngestedError, match="1 not ingested: another is not the lake's bucket"):
        lake.ingest(notification)

    assert lake.aws.calls == []


def test_a_queue_that_refuses_an_entry_fails_the_object(lake: Lake, uploaded: Upload) -> None:
    """Its record says so; the next attempt sends all of it, and only then it is done."""
    lake.chunk_bytes = 10
    notification = uploaded(b"0123456789\n" * 3)
    lake.aws.entry_failures["SendMessageBatch"] = lambda entry: (
        "InternalError" if '"start":11' in entry["MessageBody"] else ""
    )

    with pytest.raises(NotIngestedError, match="SQS did not take 1 chunks: InternalError"):
        lake.ingest(notification)
    (item,) = lake.aws.items.values()
    assert (item["status"]["S"], item["errorType"]["S"]) == ("FAILED", "DownstreamError")
    lake.aws.entry_failures.clear()
    before = len(lake.aws.sent)

    assert lake.ingest(notification) == {"objects": 1, "chunks": 3}
    assert ranges(lake)[before:] == [(0, 11), (11, 22), (22, 33)]
    (item,) = lake.aws.items.values()
    assert (item["status"]["S"], item["attempts"]["N"], "errorType" in item) == ("SUCCEEDED", "2", False)


def test_a_retry_cuts_as_the_first_attempt_did(lake: Lake, uploaded: Upload) -> None:
    """The chunk size was changed in between; chunks of the new size would overlap with those that were sent."""
    lake.chunk_bytes = 10
    notification = uploaded(b"0123456789\n" * 3)
    lake.aws.before = _refusing("SendMessageBatch")
    with pytest.raises(NotIngestedError):
        lake.ingest(notification)
    lake.aws.before = lambda _name: None
    lake.chunk_bytes = 1000

    lake.ingest(notification)

    assert ranges(lake) == [(0, 11), (11, 22), (22, 33)]


def test_an_object_under_anothers_lease_is_raised(lake: Lake, uploaded: Upload) -> None:
    """Whether the other is at work or dead nobody knows; once its lease has lapsed the object is taken over."""
    notification = uploaded(lines(shipment(1)))
    lake.aws.before = _crashing("SendMessageBatch")
    with pytest.raises(Crash):
        lake.ingest(notification, request_id="dead")
    lake.aws.before = lambda _name: None

    with pytest.raises(NotIngestedError, match="is being ingested by another invocation"):
        lake.ingest(notification, request_id="r-2")
    lake.clock.advance(30_000)

    assert lake.ingest(notification, request_id="r-2") == {"objects": 1, "chunks": 1}


def test_a_repeated_invocation_takes_its_own_lease_over(lake: Lake, uploaded: Upload) -> None:
    """Lambda repeats an invocation that ran out of memory under its id, long before the lease lapses."""
    notification = uploaded(lines(shipment(1)))
    lake.aws.before = _crashing("SendMessageBatch")
    with pytest.raises(Crash):
        lake.ingest(notification, request_id="r-1")
    lake.aws.before = lambda _name: None
    lake.clock.advance(10_000)

    assert lake.ingest(notification, request_id="r-1") == {"objects": 1, "chunks": 1}


def test_a_claim_or_outcome_that_is_not_written_is_raised(lake: Lake, uploaded: Upload) -> None:
    """The state table refuses: Lambda comes again, and the object is done once it does not."""
    notification = uploaded(lines(shipment(1)))
    for only, match in (("INSERT", "was not claimed: ValidationError"), ("UPDATE", "was not written: ValidationError")):
        lake.aws.entry_failures["BatchExecuteStatement"] = _failing(only)
        with pytest.raises(NotIngestedError, match=match):
            lake.ingest(notification)
    lake.aws.entry_failures.clear()

    assert lake.ingest(notification) == {"objects": 1, "chunks": 1}


def test_counts_are_metrics(lake: Lake, uploaded: Upload, capsys: pytest.CaptureFixture[str]) -> None:
    """Chunks that were accepted, as the events' API counts events; a duplicate is none."""
    lake.chunk_bytes = 10
    notification = uploaded(b"0123456789\n" * 3)
    lake.ingest(notification)
    lake.ingest(notification)

    assert embedded(capsys) == [{"pipeline": "lake", "Accepted": 3}]


@pytest.fixture
def entry_point(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """The Lambda handler, its environment set and its clients the fake."""
    variables = {
        "ENVIRONMENT": "test",
        "PIPELINE": "lake",
        "QUEUE_URL": "https://lake",
        "TABLE_NAME": "state",
        "TTL_DAYS": "7",
        "BRONZE_BUCKET": BRONZE,
        "CHUNK_BYTES": "20",
        "NOTICES_QUEUE_URL": "https://notices",
        "NOTICES_DLQ_URL": "https://notices-dlq",
        "RETRY_BACKOFF_MAX_SECONDS": "300",
        "MAX_RECEIVE_COUNT": "5",
        "OUTAGE_SECONDS": "27000",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(clients, "client", lambda _service, **_: lake.aws)
    ingest.inbox.cache_clear()
    yield ingest.handler
    ingest.inbox.cache_clear()


def test_the_entry_point_takes_a_batch(lake: Lake, uploaded: Upload, entry_point: Callable[..., Any]) -> None:
    """Environment, clients, lease and message id come together; each record of a notice is ingested."""
    event: jsontext.JsonObject = {
        "Records": [uploaded(b"0123456789\n" * 4), uploaded(b"x\n", "bronze/shipments/b.jsonl")]
    }

    assert entry_point({"Records": [record("m-9", event)]}, FakeContext("r-9", remaining_ms=5000)) == failures()

    assert len(lake.aws.sent) == 3
    assert {(item["messageId"]["S"], item["leaseUntil"]["N"]) for item in lake.aws.items.values()} == {
        ("m-9", str(NOW_MS + 5000))
    }


def test_the_entry_point_takes_what_s3_still_invokes_it_with(
    lake: Lake, uploaded: Upload, entry_point: Callable[..., Any]
) -> None:
    """Events of before there was a queue, which Lambda repeats after an upgrade: those that fail are raised."""
    event = {"Records": [uploaded(b"0123456789\n" * 4)]}

    assert entry_point(event, FakeContext("r-9")) == failures()
    assert [item["messageId"]["S"] for item in lake.aws.items.values()] == ["r-9"]
    lake.aws.versions.clear()
    with pytest.raises(NotIngestedError, match="1 not ingested: bronze/shipments/day"):
        entry_point(event, FakeContext())


@pytest.mark.parametrize(("receive_count", "final"), [(4, False), (5, True)])
def test_the_last_attempt_is_final(
    lake: Lake,
    uploaded: Upload,
    entry_point: Callable[..., Any],
    *,
    receive_count: int,
    final: bool,
) -> None:
    """A record that failed says whether its notice comes again: SQS moves it at the next receive."""
    lake.aws.entry_failures["SendMessageBatch"] = lambda _entry: "InternalError"
    notice = record("m-1", {"Records": [uploaded(b"x\n")]}, receive_count=receive_count)

    assert entry_point({"Records": [notice]}, FakeContext()) == failures("m-1")

    (item,) = lake.aws.items.values()
    assert (item["status"]["S"], item["final"]["BOOL"]) == ("FAILED", final)


def test_nothing_is_done_for_a_batch_of_nothing(lake: Lake, entry_point: Callable[..., Any]) -> None:
    """As a breaker's probe would be, were there one."""
    assert (entry_point({"Records": []}, FakeContext()), lake.aws.calls) == (failures(), [])


def test_a_notice_comes_to_its_end(lake: Lake, uploaded: Upload, entry_point: Callable[..., Any]) -> None:
    """Done: acknowledged. For good: a dead letter with its cause. Else: it comes again after half the time or more."""
    lake.aws.entry_failures["SendMessageBatch"] = lambda entry: (
        "InternalError" if "late" in entry["MessageBody"] else ""
    )
    done = uploaded(b"x\n")
    late = uploaded(b"x\n", "bronze/shipments/late.jsonl")
    gone = created("v9", "e", "bronze/shipments/a+b c.jsonl")
    batch: dict[str, jsontext.Json] = {
        "done": {"Records": [done]},
        "test": {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BRONZE},
        "late": {"Records": [gone, late]},
        "gone": {"Records": [gone]},
        "odd": {"Records": [1]},
        "none": "no JSON of S3",
    }
    records = [record(name, payload) for name, payload in batch.items()]

    assert entry_point({"Records": records}, FakeContext()) == failures("late")

    sent = [one for one in lake.aws.sent if one["QueueUrl"] == "https://notices-dlq"]
    letters = {one["MessageAttributes"]["originalMessageId"]["StringValue"]: one for one in sent}
    assert {name: json.loads(letter["MessageBody"]) for name, letter in letters.items()} == {
        name: batch[name] for name in ("gone", "odd", "none")
    }
    assert {name: value["StringValue"] for name, value in letters["gone"]["MessageAttributes"].items()} == {
        "errorType": "ObjectGoneError",
        "errorMessage": "bronze/shipments/a+b c.jsonl is no longer there: NoSuchVersion",
        "failedAt": "2027-01-15T08:00:00.000Z",
        "originalMessageId": "gone",
        "pipeline": "lake",
    }
    assert {letters[name]["MessageAttributes"]["errorType"]["StringValue"] for name in ("odd", "none")} == {
        "SchemaValidationError"
    }
    assert list(lake.aws.visibility) == ["receipt-late-1"]
    assert 150 <= lake.aws.visibility["receipt-late-1"] <= 300


@pytest.mark.parametrize(("receives", "least", "most"), [(1, 150, 300), (3, 5400, 5400), (4, 27000, 27000)])
def test_a_notice_outlasts_an_outage(  # noqa: PLR0917 - fixtures and the case
    lake: Lake, uploaded: Upload, entry_point: Callable[..., Any], receives: int, least: int, most: int
) -> None:
    """What fails by S3, SQS or DynamoDB waits for longer at each receive, as in every worker."""
    lake.aws.entry_failures["SendMessageBatch"] = lambda _entry: "InternalError"
    notice = record("late", {"Records": [uploaded(b"x\n")]}, receive_count=receives)

    assert entry_point({"Records": [notice]}, FakeContext()) == failures("late")
    assert least <= lake.aws.visibility[f"receipt-late-{receives}"] <= most


def test_a_dead_letter_that_is_not_taken(lake: Lake, entry_point: Callable[..., Any]) -> None:
    """The notice stays in its queue, for SQS to move it in the end."""
    lake.aws.entry_failures["SendMessageBatch"] = lambda _entry: "InternalError"
    records = [record("gone", {"Records": [created("v9", "e")]})]

    assert entry_point({"Records": records}, FakeContext()) == failures("gone")
    assert lake.aws.visibility == {}


def test_an_object_that_another_ingests(lake: Lake, uploaded: Upload, entry_point: Callable[..., Any]) -> None:
    """Its second notice waits for the other's lease, so that its receives are not spent before that is done."""
    notification = uploaded(lines(shipment(1)))
    lake.aws.before = _crashing("SendMessageBatch")
    with pytest.raises(Crash):
        lake.ingest(notification, request_id="first")
    lake.aws.before = lambda _name: None
    lake.clock.advance(9_500)
    lake.aws.entry_failures["ChangeMessageVisibilityBatch"] = lambda entry: (
        "x" if "b-" in entry["ReceiptHandle"] else ""
    )

    event = {"Records": [record(name, {"Records": [notification]}) for name in "ab"]}
    assert entry_point(event, FakeContext()) == failures("a", "b")
    assert lake.aws.visibility == {"receipt-a-1": 22}


def test_a_redrive_knows_a_notice_by_its_object(lake: Lake, uploaded: Upload) -> None:
    """Key and checksum are those of the object's record where its ETag is a checksum, else the notice's own."""
    notification = uploaded(lines(shipment(1)), "bronze/shipments/a b+c.jsonl")
    lake.ingest(notification)
    (item,) = lake.aws.items.values()
    message = messages.read(record("m", {"Records": [notification]}), notice.FORM)

    assert (partition_key("lake", message.key), message.checksum) == (
        item["idempotencyKey"]["S"],
        item["checksum"]["S"],
    )
    others: list[jsontext.JsonObject] = [{"Records": [notification] * 2}, {"Records": [{}]}, {"Event": "s3:TestEvent"}]
    for other in others:
        read = messages.read(record("m", other), notice.FORM)
        assert (read.key, read.fault) == (jsontext.checksum(other), None)


def test_an_invocation_that_runs_out_of_time_says_so_in_the_record(
    lake: Lake, uploaded: Upload, entry_point: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is interrupted before Lambda ends it, so that the retry need not wait for the lease to lapse."""
    monkeypatch.setattr(Intake, "_send", lambda *_: time.sleep(60))

    batch = {"Records": [record("m", {"Records": [uploaded(b"x\n")]})]}
    assert entry_point(batch, FakeContext(remaining_ms=100)) == failures("m")

    (item,) = lake.aws.items.values()
    assert (item["status"]["S"], item["errorType"]["S"]) == ("FAILED", "DeadlineExceededError")


@pytest.mark.parametrize("module", ["handlers.lake.ingest", "handlers.events.ingest", "handlers.events.worker"])
def test_only_transform_loads_arrow(module: str) -> None:
    """The cold start of the others does not pay for it."""
    code = f"import sys, {module}; print(*({{'pyarrow'}} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert run.stdout == "\n"


def _failing(statement: str) -> Callable[[dict[str, Any]], str]:
    return lambda entry: "ValidationError" if entry["Statement"].startswith(statement) else ""


def _refusing(call: str) -> Callable[[str], None]:
    def refuse(name: str) -> None:
        if name == call:
            raise client_error("ServiceUnavailable")

    return refuse


def _crashing(call: str) -> Callable[[str], None]:
    def crash(name: str) -> None:
        if name == call:
            raise Crash

    return crash
