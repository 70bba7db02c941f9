"""The worker against odd and hostile batches: exactly the answer that SQS understands, and no message lost."""

import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import jsontext
from handlers.errors import DownstreamError, SchemaValidationError
from handlers.events.step import process
from handlers.idempotency.store import StateStore
from handlers.worker import messages
from handlers.worker.worker import Worker
from tests.handlers.conftest import SOURCE, WORKER_ENV, record
from tests.handlers.fakes import FakeAws, FakeContext
from tests.handlers.fuzz.hostile import FUZZ, JSON, ODD, SECRET, TEXT, logged, objects, records

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")  # inputs may be large
_ORDER = objects(
    {"orderId": st.sampled_from(["1", "2"]), "amount": st.integers(0, 9), "fail": st.sampled_from(["ours", "bug"])}
)


def _step(event: jsontext.JsonObject) -> jsontext.Json:
    """An adopter's step that tells what it was given when it fails, and does so in every way."""
    match event.get("fail"):
        case "ours":
            raise DownstreamError(f"not now: {event}")
        case "bug":
            raise ValueError(json.dumps(event, ensure_ascii=False))
    return process(event)


def _worker(aws: FakeAws) -> Worker:
    client = cast("Any", aws)
    store = StateStore(client, "ingestion_state", pipeline="events", ttl_days=7)
    return Worker(WORKER_ENV, SOURCE, store=store, sqs=client, events=client, process=_step)


@FUZZ
@given(records(_ORDER))
def test_a_batch(batch: list[dict[str, Any]]) -> None:
    """Every message is handed back, SUCCEEDED or a dead letter with its cause; AWS would have taken every call."""
    aws = FakeAws()
    with logged() as lines:
        answer = _worker(aws).handle({"Records": batch}, FakeContext())

    ids = {one["messageId"] for one in batch}
    assert answer.keys() == {"batchItemFailures"}
    kept = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    assert all(failure.keys() == {"itemIdentifier"} for failure in answer["batchItemFailures"])
    assert len(set(kept)) == len(kept)
    assert set(kept) <= ids
    letters = {m["MessageAttributes"]["originalMessageId"]["StringValue"] for m in aws.sent if _has_cause(m)}
    done = {(key, item["checksum"]["S"]) for key, item in aws.items.items() if item["status"]["S"] == "SUCCEEDED"}
    for message in messages.unique(batch):
        assert message.id in kept or message.id in letters or (message.key, message.checksum) in done
    assert {line["messageId"] for line in lines() if "outcome" in line} == ids


@FUZZ
@given(records(_ORDER, sizes=(1, 3)), st.dictionaries(st.sampled_from(["body", "messageId", "attributes"]), ODD))
def test_a_batch_that_aws_would_not_send(batch: list[dict[str, Any]], oddities: dict[str, Any]) -> None:
    """An answer with known ids, or an exception, after which SQS delivers all of them again."""
    odd = [*batch, {**record("odd", {"orderId": "3", "amount": 1}), **oddities}]
    aws = FakeAws()
    with logged():
        try:
            answer = _worker(aws).handle({"Records": odd}, FakeContext())
        except (KeyError, TypeError, ValueError, AttributeError):
            assert oddities
            return
    known = [one.get("messageId") for one in odd]
    assert all(failure["itemIdentifier"] in known for failure in answer["batchItemFailures"])


@pytest.mark.parametrize(
    ("payload", "key", "fault"),
    [
        ('{"a": 1, "a": 2}', "k", "a name occurs twice in one object"),
        ("[" * 100_000, "k", "nested deeper than 32 levels"),
        ('{"orderId": "1", "amount": 1e999}', "k", "out of range"),
        ('{"orderId": "1", "amount": 1}', "é" * 1025, "/idempotencyKey may have 1984 bytes, got 2050"),
    ],
)
def test_what_no_store_could_hold_is_a_dead_letter(payload: str, key: str, fault: str) -> None:
    """At once, with the reason, and without a trace in the calls for its companions."""
    aws = FakeAws()
    batch = [record("bad", None, body=payload, key=key), record("good", {"orderId": "1", "amount": 1}, key="g")]

    assert _worker(aws).handle({"Records": batch}, FakeContext()) == {"batchItemFailures": []}
    (letter,) = aws.sent
    assert (letter["MessageBody"], list(aws.items)) == (payload, ["g"])
    assert fault in letter["MessageAttributes"]["errorMessage"]["StringValue"]
    assert letter["MessageAttributes"]["idempotencyKey"]["StringValue"] == key


@pytest.mark.parametrize("width", ["x", "é", "中", "😀"])
def test_a_payload_of_any_width_fits_its_record(width: str) -> None:
    """DynamoDB counts bytes: a payload is left out of the record before the item gets too large."""
    aws = FakeAws()
    text = json.dumps({"orderId": "1", "amount": 1, "x": width * 100_000}, ensure_ascii=False)

    assert _worker(aws).handle({"Records": [record("m", None, body=text, key="k")]}, FakeContext()) == {
        "batchItemFailures": []
    }
    assert ("payload" in aws.items["k"]) == (len(text.encode()) <= 128 * 1024)


@FUZZ
@given(st.one_of(TEXT, JSON.map(str)))
def test_an_error_of_any_text_is_kept(text: str) -> None:
    """What a step says when it fails reaches the record and the letter in a form that AWS takes, the payload no log."""
    aws = FakeAws()

    def fail(_event: jsontext.JsonObject) -> jsontext.Json:
        raise SchemaValidationError if not text else ValueError(text)

    worker = _worker(aws)
    worker._process = fail
    with logged() as lines:
        worker.handle({"Records": [record("m", {"orderId": "1", "note": SECRET}, key="k")]}, FakeContext())
    assert aws.items["k"]["status"] == {"S": "FAILED"}
    assert [line["errorType"] for line in lines()] == ["ValueError" if text else "SchemaValidationError"]


def _has_cause(letter: dict[str, Any]) -> bool:
    attributes: dict[str, Any] = letter["MessageAttributes"]
    return {"originalMessageId", "errorType"} <= attributes.keys()
