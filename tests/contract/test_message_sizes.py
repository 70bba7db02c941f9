"""The largest messages that the program accepts fit every queue on their way, as SQS counts them.

SQS counts the body and, of each attribute, its name, data type and value. The provider's default limit, which a queue
has that states none, is what SQS allowed until 2025.
"""

import json

import pytest

from components.config.aws_limits import MAX_MESSAGE_BYTES
from handlers import jsontext
from handlers.aws.sqs import MAX_BATCH_BYTES, Attribute
from handlers.events import message as events
from handlers.orders import event as orders
from handlers.orders import message
from tests.components.recording import EVERY_PIPELINE, Recording, run_main

_PROVIDER_DEFAULT = 262_144
# What EventBridge sets around the detail, each as long as AWS lets it be.
_ENVELOPE: jsontext.JsonObject = {
    "version": "0",
    "id": "6f1d1c5e-6a3b-5d0e-9c44-0c2f5b6d7a10",
    "detail-type": orders.DETAIL_TYPE,
    "source": message.SOURCE,
    "account": "123456789012",
    "time": "2026-11-28T00:00:00Z",
    "region": "ap-southeast-1",
    "resources": [],
}
# What EventBridge sets on an event that it could not deliver: ARNs of at most 1,600 characters, and its reasons.
_UNDELIVERED = {
    "RULE_ARN": Attribute("String", "x" * 1600),
    "TARGET_ARN": Attribute("String", "x" * 1600),
    "ERROR_CODE": Attribute("String", "x" * 64),
    "ERROR_MESSAGE": Attribute("String", "x" * 1024),
    "EXHAUSTED_RETRY_CONDITION": Attribute("String", "MaximumEventAgeInSeconds"),
    "RETRY_ATTEMPTS": Attribute("Number", "185"),
}


@pytest.fixture(scope="module")
def queues() -> dict[str, int]:
    """How large a message each queue takes."""
    recording: Recording = run_main("dev", {"pipelines": list(EVERY_PIPELINE)})
    return {q.name: q.inputs.get("maxMessageSize", _PROVIDER_DEFAULT) for q in recording.of("Queue")}


def test_every_queue_takes_what_sqs_allows(queues: dict[str, int]) -> None:
    """No queue of any component has a limit of its own, since what fails elsewhere ends in it whole."""
    assert queues.keys() >= {"control-failures", "events-queue", "events-dlq", "orders-created-undelivered"}
    assert set(queues.values()) == {MAX_MESSAGE_BYTES}
    assert MAX_BATCH_BYTES == MAX_MESSAGE_BYTES


@pytest.mark.parametrize("size", [900_000, events.MAX_BODY_BYTES])
def test_a_large_event_fits(queues: dict[str, int], size: int) -> None:
    """An event of 900 kB, and the largest that is accepted, with the longest key and id: in its queue and its DLQ."""
    event: jsontext.JsonObject = {"amount": 1, "data": "", "orderId": "o"}
    event["data"] = "x" * (size - len(jsontext.compact(event)))
    message = events.read(event, "k" * 128).message(
        "0", submitted_at="2026-11-28T00:00:00.000000Z", correlation_id="c" * 128, trace_header="Root=1-2-3"
    )

    assert len(message.body) == size
    assert message.size() <= min(queues["events-queue"], queues["events-dlq"])


def test_the_largest_order_fits_with_its_envelope(queues: dict[str, int]) -> None:
    """What EventBridge delivers is larger than what it accepted, and what it can't deliver is larger still."""
    room = orders.MAX_ENTRY_BYTES - len(message.SOURCE) - len(orders.DETAIL_TYPE)
    body = jsontext.compact({**_ENVELOPE, "detail": {"filler": "x" * (room - len('{"filler":""}'))}})
    attributes = sum(len(name) + attribute.size() for name, attribute in _UNDELIVERED.items())

    assert len(json.dumps(json.loads(body)["detail"], separators=(",", ":"))) == room
    assert len(body) > _PROVIDER_DEFAULT
    assert len(body) <= min(queues["orders-queue"], queues["orders-dlq"])
    assert len(body) + attributes <= queues["orders-created-undelivered"]
