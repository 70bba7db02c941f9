"""The events of ops/events, made of what the handlers' models and the tests' stand-ins for AWS give.

    python -m tests.contract.sample_events

writes them anew.
"""

import json
from typing import Any

from handlers.lake.message import Chunk, Source, kind_of
from ops.cli.invoke import FRESH, SAMPLES
from tests.gateway import http_event
from tests.handlers.conftest import record

_AT = "2026-01-31T12:00:00Z"
_REGION = "us-east-1"
_ACCOUNT = "000000000000"
_ORDER = {"orderId": f"order-{FRESH}", "amount": 42.5, "currency": "EUR"}
_ITEMS = [{"sku": "ABC-1", "qty": 2}]
_BUCKET = "ingestion-lab-local-bronze"
_OBJECT = "bronze/shipments/2026-01-31.jsonl"
_ETAG = "0" * 31 + "1"  # the form of an MD5


def _sqs(queue: str, body: Any, key: str = "") -> dict[str, Any]:
    """A batch of one, as the mapping of a queue hands it over."""
    arn = f"arn:aws:sqs:{_REGION}:{_ACCOUNT}:{queue}"
    one = record(FRESH, body, key=key)
    return {"Records": [{**one, "eventSource": "aws:sqs", "eventSourceARN": arn, "awsRegion": _REGION}]}


def _event(source: str, detail_type: str, detail: Any) -> dict[str, Any]:
    """An event as EventBridge delivers it."""
    return {
        "version": "0",
        "id": FRESH,
        "detail-type": detail_type,
        "source": source,
        "account": _ACCOUNT,
        "time": _AT,
        "region": _REGION,
        "resources": [],
        "detail": detail,
    }


def _notice() -> dict[str, Any]:
    """S3's notification of a new object."""
    thing = {"key": _OBJECT, "size": 120, "eTag": _ETAG, "versionId": FRESH}
    one = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": _REGION,
        "eventTime": _AT,
        "eventName": "ObjectCreated:Put",
        "responseElements": {"x-amz-request-id": FRESH},
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": _BUCKET, "arn": f"arn:aws:s3:::{_BUCKET}"},
            "object": thing,
        },
    }
    return {"Records": [one]}


def _chunk() -> Chunk:
    kind = kind_of(_OBJECT)
    assert kind is not None
    return Chunk(Source(_BUCKET, _OBJECT, FRESH, _ETAG, 120, ""), kind, 0, 120, 1)


def _alarm() -> dict[str, Any]:
    """SNS's delivery of an alarm of CloudWatch."""
    message = {
        "AlarmName": "IngestionLab-local-events-dlq-not-empty",
        "AlarmDescription": "a sample",
        "NewStateValue": "ALARM",
        "OldStateValue": "OK",
        "NewStateReason": "Threshold Crossed: a sample",
        "StateChangeTime": "2026-01-31T12:00:00.000+0000",
        "Region": "US East (N. Virginia)",
    }
    sns = {
        "Type": "Notification",
        "MessageId": FRESH,
        "TopicArn": f"arn:aws:sns:{_REGION}:{_ACCOUNT}:alarms-critical",
        "Subject": "ALARM: a sample",
        "Message": json.dumps(message),
        "Timestamp": _AT,
    }
    return {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": sns}]}


def _authorizer() -> dict[str, Any]:
    """API Gateway's question to an authorizer (payload 2.0)."""
    event = http_event("POST /events", headers={"x-api-key": "not-the-key"}, request_id=FRESH)
    arn = f"arn:aws:execute-api:{_REGION}:{_ACCOUNT}:api/$default/POST/events"
    return {**event, "type": "REQUEST", "routeArn": arn, "identitySource": ["not-the-key"]}


def samples() -> dict[str, dict[str, Any]]:
    """Name -> event."""
    order = {"schemaVersion": "1.0", "eventId": FRESH, "orderId": FRESH, "createdAt": _AT, "items": _ITEMS}
    chunk = _chunk()
    return {
        "http-event": http_event("POST /events", json.dumps(_ORDER), request_id=FRESH),
        "http-batch": http_event("POST /events/batch", json.dumps([_ORDER, {"orderId": 7}]), request_id=FRESH),
        "http-health": http_event("GET /health", request_id=FRESH),
        "http-order": http_event("POST /orders", json.dumps({"items": _ITEMS}), request_id=FRESH),
        "http-redrive-preview": http_event("GET /redrive/preview", query={"maxMessages": "10"}, request_id=FRESH),
        "http-failure-mode": http_event("GET /failure-mode", request_id=FRESH),
        "http-authorizer": _authorizer(),
        "sqs-event": _sqs("events-queue", _ORDER, key=f"invoke-{FRESH}"),
        "sqs-order": _sqs("orders-queue", _event("myapp.orders", "OrderCreated", order)),
        "sqs-s3-notice": _sqs("lake-notices-queue", _notice()),
        "sqs-chunk": _sqs("lake-queue", chunk.payload(), key=chunk.key),
        "schedule-tick": _event("aws.events", "Scheduled Event", {}),
        "eventbridge-trip": _event(
            "myapp.ingestion",
            "CircuitTripped",
            {"pipeline": "events", "idempotencyKey": f"invoke-{FRESH}", "trippedAt": 1769860800000},
        ),
        "eventbridge-silver": _event(
            "myapp.lake", "SilverPartitionReady", {"type": "shipments", "dt": "2026-01-31", "rows": 1}
        ),
        "sns-alarm": _alarm(),
    }


def text(event: dict[str, Any]) -> str:
    """As the file has it."""
    return json.dumps(event, indent=2) + "\n"


def main() -> None:
    """Write the files."""
    for name, event in samples().items():
        (SAMPLES / f"{name}.json").write_text(text(event), encoding="utf-8")


if __name__ == "__main__":
    main()
