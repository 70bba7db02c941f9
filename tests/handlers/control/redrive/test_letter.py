"""How a letter goes back: equal in everything, with its count, within SQS's limits."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import jsontext
from handlers.aws.sqs import MAX_ATTRIBUTES, MAX_BATCH_BYTES
from handlers.control.forms import FORMS, READERS
from handlers.control.redrive.sqs import target
from handlers.control.redrive.sqs.letter import Letter
from tests.handlers.control.redrive.conftest import DLQ, MAIN, Lab, text

_NAMES = ("idempotencyKey", "errorType", "originalMessageId", "errorMessage", "redriveCount", "a", "b", "c", "d", "e")
_VALUES = st.one_of(
    st.builds(lambda v: {"DataType": "String", "StringValue": v}, st.text(min_size=1, max_size=8)),
    st.builds(lambda v: {"DataType": "String.json", "StringValue": v}, st.text(min_size=1, max_size=8)),
    st.builds(lambda v: {"DataType": "Number", "StringValue": str(v)}, st.integers(0, 9)),
    st.builds(lambda v: {"DataType": "Number.int", "StringValue": str(v)}, st.integers(0, 9)),
    st.builds(lambda v: {"DataType": "Binary", "BinaryValue": v}, st.binary(min_size=1, max_size=8)),
    st.builds(lambda v: {"DataType": "Binary.gzip", "BinaryValue": v}, st.binary(min_size=1, max_size=8)),
)


def sent(attributes: dict[str, Any], *, body: str = "{}", **system: str) -> dict[str, Any]:
    """What `SendMessageBatch` gets for a letter."""
    letter = Letter.from_api(
        {
            "MessageId": "m1",
            "ReceiptHandle": "r",
            "Body": body,
            "Attributes": {"SentTimestamp": "1", **system},
            "MessageAttributes": attributes,
        },
        ordered="MessageDeduplicationId" in system,
    )
    outgoing = letter.outgoing(redrive_id="rd-1")
    assert len(outgoing.attributes) <= MAX_ATTRIBUTES
    assert outgoing.size() <= max(MAX_BATCH_BYTES, len(body))
    return dict(outgoing.as_api("0"))


@given(st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=10))
def test_everything_arrives_equal(attributes: dict[str, Any]) -> None:
    """Whatever the attributes: each is there as it was, but for the count and, where room is short, our message."""
    arrived = sent(attributes)["MessageAttributes"] if attributes else {}

    kept = {name: value for name, value in attributes.items() if name not in ("redriveCount", "errorMessage")}
    assert {name: arrived[name] for name in kept} == kept
    assert not attributes or arrived.keys() - attributes.keys() <= {"redriveCount", "originalMessageId"}
    assert len(attributes) == 10 or not attributes or "redriveCount" in arrived


def test_body_trace_and_count() -> None:
    """A letter that SQS moved also keeps the id by which the state record knows it."""
    assert sent({"x": text("y")}, body=" {not json", AWSTraceHeader="Root=1") == {
        "Id": "0",
        "MessageBody": " {not json",
        "MessageAttributes": {
            "x": text("y"),
            "redriveCount": {"DataType": "Number", "StringValue": "1"},
            "originalMessageId": text("m1"),
        },
        "MessageSystemAttributes": {"AWSTraceHeader": text("Root=1")},
    }


def test_the_count_goes_on() -> None:
    """From whatever it was, whatever type it had."""
    assert sent({"redriveCount": text("2")})["MessageAttributes"]["redriveCount"] == {
        "DataType": "Number",
        "StringValue": "3",
    }


def test_a_group_is_kept_and_a_repetition_recognised() -> None:
    """The deduplication id is the same for a repetition under one redrive."""
    first, second = (sent({}, MessageGroupId="g", MessageDeduplicationId="old") for _ in range(2))

    assert first == second
    assert first["MessageGroupId"] == "g"
    assert len(first["MessageDeduplicationId"]) == 64


def test_a_group_of_a_standard_queue_is_kept_without_an_order() -> None:
    """SQS refuses a deduplication id there."""
    letter = sent({}, MessageGroupId="g")

    assert (letter["MessageGroupId"], "MessageDeduplicationId" in letter) == ("g", False)


def test_room_for_the_count() -> None:
    """With ten attributes our own message makes room; with ten of others' the count is left out."""
    others = {f"a{i}": text("v") for i in range(9)}

    assert sent(others | {"errorMessage": text("m")})["MessageAttributes"] == others | {
        "redriveCount": {"DataType": "Number", "StringValue": "1"}
    }
    assert sent(others | {"a9": text("v")})["MessageAttributes"] == others | {"a9": text("v")}


def test_a_letter_of_the_largest_size() -> None:
    """One MiB to the byte leaves no room for a count, but is moved."""
    body = "x" * (MAX_BATCH_BYTES - len("k") - len("String") - len("v"))

    assert sent({"k": text("v")}, body=body)["MessageAttributes"] == {"k": text("v")}
    assert "redriveCount" in sent({"k": text("v")}, body=body[:-100])["MessageAttributes"]


def test_large_letters_go_in_batches_that_sqs_takes(lab: Lab) -> None:
    """At most 1 MiB a call, by bytes and attributes; one of the largest size goes by itself."""
    sizes = [700_000, 300_000, MAX_BATCH_BYTES - 200, 10, 524_000, 524_000, 600_000, 500_000, *[150_000] * 8]
    for i, size in enumerate(sizes):
        lab.letter(f"k{i}", body="\u00e9" * (size // 2), error="")

    run = lab.go()

    assert (run.state, len(lab.on(MAIN)), lab.on(DLQ)) == ("SUCCEEDED", len(sizes), [])


def test_a_letter_keeps_no_parsed_body() -> None:
    """A wave of letters whose JSON is dense would take gigabytes; the checksum is of the payload all the same."""
    raw = {"MessageId": "m1", "ReceiptHandle": "r", "Attributes": {"SentTimestamp": "1"}}

    message = Letter.from_api(raw | {"Body": '{"x": [{}, {}]}'}).message

    assert (message.payload, message.checksum) == ({}, jsontext.checksum({"x": [{}, {}]}))


def test_what_was_not_delivered_has_the_keys_of_its_worker(lab: Lab) -> None:
    """A letter of `orders-undelivered` is judged by the record that the orders worker will find."""
    event: jsontext.JsonObject = {"detail": {"eventId": "e-1", "createdAt": "2026-01-31T12:00:00.000Z"}}
    urls = json.dumps({"orders-undelivered": {"queueUrl": MAIN, "dlqUrl": DLQ}})
    lab.targets = target.parse(urls, FORMS, READERS)
    lab.sqs.put(DLQ, jsontext.compact(event), {}, age_ms=1000)
    lab.record("orders/e-1", "SUCCEEDED", checksum={"S": jsontext.checksum({"eventId": "e-1"})})
    lab.record("e-1", "FAILED")

    _, shown = lab.ask("GET /redrive/preview", query={"pipeline": "orders-undelivered"})

    assert [(one["idempotencyKey"], one["action"]) for one in shown["messages"]] == [("e-1", "no-op")]


@pytest.mark.parametrize(("pipeline", "key"), [("orders", "e-1"), ("events", "")])
def test_a_body_is_read_as_its_pipelines_worker_reads_it(lab: Lab, pipeline: str, key: str) -> None:
    """The form follows from the pipeline, for the API and for the runner, and not from what a body looks like."""
    detail: jsontext.JsonObject = {"eventId": "e-1", "orderId": "o-1", "createdAt": "2026-01-31T12:00:00.000Z"}
    event: jsontext.JsonObject = {"id": "1", "source": "myapp.orders", "detail-type": "OrderCreated", "detail": detail}
    urls = json.dumps({pipeline: {"queueUrl": MAIN, "dlqUrl": DLQ}})
    lab.targets = target.parse(urls, FORMS)
    lab.sqs.put(DLQ, jsontext.compact(event), {}, age_ms=1000)
    expected = key or jsontext.checksum(event)

    status, shown = lab.ask("GET /redrive/preview", query={"pipeline": pipeline})
    lab.clock.advance(60_000)
    run = lab.go(pipeline=pipeline)

    assert (status, [one["idempotencyKey"] for one in shown["messages"]]) == (200, [expected])
    assert [(entry.key, entry.state) for entry in lab.ledger(run.redrive_id)] == [(expected, "MOVED")]


def test_the_cause_of_a_letter_that_cannot_tell_it(lab: Lab) -> None:
    """What the worker finds in a message is found in its letter: no payload, another's key, else the record's error."""
    lab.record("same", errorType={"S": "KeyError"}, errorMessage={"S": "KeyError: 'x'"})
    lab.record("other", errorType={"S": "KeyError"}, errorMessage={"S": "KeyError: 'x'"})
    lab.letter("same", error="")
    lab.letter("other", error="", body='{"n": "another payload"}')
    lab.letter("broken", error="", body="{")
    lab.letter("told", error="DownstreamError", body="{")

    _, shown = lab.ask("GET /redrive/preview")

    causes = {one["idempotencyKey"]: (one["errorType"], one["errorMessage"]) for one in shown["messages"]}
    (broken,) = [message for key, (_, message) in causes.items() if key == "broken"]
    assert broken.startswith("(root) is not JSON")
    assert causes == {
        "same": ("KeyError", "KeyError: 'x'"),
        "other": ("IdempotencyConflictError", "key other is bound to another payload"),
        "broken": ("SchemaValidationError", broken),
        "told": ("DownstreamError", ""),
    }
