"""Uses of every deployed function that make it call all that it ever calls on AWS.

A new function gets a line in `USES`. Nothing is judged here: the wire keeps the calls, whatever came of them.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from handlers.control.authorizer import KeysError
from handlers.lake import output
from tests.live.consumer import Consumer
from tests.live.failing import Fault, Kind
from tests.live.stage import API_KEY, Stage

_MODE = "/ingestion/failure_mode"
_ALWAYS = "random_fail_p100"
_ROW = {"shipment_id": "1", "origin": "A", "destination": "B", "carrier": "C", "weight_kg": 1}
_GOOD = json.dumps({**_ROW, "event_time": "2026-01-01T00:00:00Z"}).encode() + b"\n"
Fill = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Uses:
    """Uses of the functions on a stage."""

    stage: Stage

    def front(self) -> None:
        """Ingest of events: single, with a caller's key once, again and expired, in a batch; a record; the health."""
        own = {"idempotency-key": f"own-{uuid4()}"}
        order = {"orderId": str(uuid4()), "amount": 1}
        for body, headers in (({"orderId": str(uuid4()), "amount": 2}, {}), (order, own), (order, own)):
            self._call("events-ingest", "POST /events", body, headers=headers)
        self._expire()
        self._call("events-ingest", "POST /events", order, headers=own)
        self._call("events-ingest", "POST /events/batch", [{"orderId": str(uuid4()), "amount": 3}])
        path = {"idempotencyKey": own["idempotency-key"]}
        self._call("events-ingest", "GET /events/{idempotencyKey}", path=path)
        self._call("events-ingest", "GET /health")

    def orders(self) -> None:
        """The orders API: an order, one under a caller's key once, again and expired; the orders, one of them."""
        own = {"idempotency-key": f"own-{uuid4()}"}
        for headers in ({}, own, own):
            self._call("orders-api", "POST /orders", {"items": [{"sku": "A", "qty": 1}]}, headers=headers)
        self._expire()
        self._call("orders-api", "POST /orders", {"items": [{"sku": "A", "qty": 1}]}, headers=own)
        self._call("orders-api", "GET /orders")
        self._call("orders-api", "GET /orders/{orderId}", path={"orderId": "1"})

    def ingest(self) -> None:
        """Ingest of the lake: an object, the same again, one whose chunks could not be sent, one that is gone."""
        self.stage.root("s3").put_bucket_notification_configuration(
            Bucket=self._outputs("lake")["bronzeBucket"], NotificationConfiguration={}
        )
        notices = self._notices()
        notice = self._object(_GOOD)
        self._announce(notice)
        self._announce(notice)
        notices.deliver()
        self._announce(self._object(_GOOD))
        self.stage.wire.inject("lake-ingest", Fault(Kind.BROKEN, "SendMessageBatch", always=True))
        notices.deliver()
        self.stage.wire.calm()
        notices.lapse()
        self._announce(self._gone(self._object(_GOOD)))
        notices.deliver()

    def objects(self) -> None:
        """Fills the lake's queue: an object with a bad row, one that is replayed, one that is gone by then."""
        last = self._object(_GOOD)
        for notice in (self._object(_GOOD + b"no row\n"), self._object(_GOOD, replay="1"), last):
            self._announce(notice)
        self._notices().deliver()
        self._gone(last)

    def parts(self) -> None:
        """The lake's worker with a chunk of more files than a message may put, and more than it may hold."""
        consumer = Consumer(self.stage, self.stage.function("lake-worker"), self._outputs("lake")["queueUrl"])
        self.mode("none")
        self._announce(self._object(_GOOD + _GOOD.replace(b"2026-01-01", b"2026-01-02")))
        self._notices().deliver()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(output, "MAX_FILES", 1)
            patch.setattr(output, "HELD_BYTES", 0)
            for _ in range(2):
                consumer.deliver()

    def health(self) -> None:
        """The orders API where it is the only one, and so answers for its bus."""
        self._call("orders-api", "GET /health")

    def worker(self, name: str, fill: Fill) -> None:
        """A worker: new messages and the same again, told late, permanent and transient errors, an outage."""
        pipeline = name.removesuffix("-worker")
        consumer = Consumer(self.stage, self.stage.function(name), self._outputs(pipeline)["queueUrl"])
        self.mode("none")
        fill()
        self.stage.wire.inject(name, Fault(Kind.BROKEN, "PutEvents", always=True))
        consumer.deliver()
        self.stage.wire.calm()
        consumer.lapse()
        fill()
        self._twice(consumer.queue_url)
        while consumer.deliver(size=1):
            pass
        for mode in ("poison_payload", _ALWAYS, "downstream_outage"):
            fill()
            self.mode(mode)
            for _ in range(2):
                consumer.deliver()
                consumer.lapse()

    def breaker(self, pipeline: str, fill: Fill) -> None:
        """A breaker: opened by what its worker has told the bus, and closed by a probe that gets through.

        Once more with an event that no record has, and a queue whose messages have few receives left.
        """
        details = [
            json.loads(entry["Detail"])
            for call in self.stage.wire.calls
            if (call.function, call.operation) == (f"{pipeline}-worker", "PutEvents")
            for entry in call.params["Entries"]
            if entry["DetailType"] == "CircuitTripped"
        ]
        event = {"detail-type": "CircuitTripped", "detail": details[-1]}
        breaker = self.stage.function(f"{pipeline}-breaker")
        breaker.invoke(event)
        self.mode("none")
        self.stage.clock.advance(120)  # the lease of whoever worked on the event has lapsed
        breaker.invoke({})
        self.stage.be_quiet()
        fill()
        sqs, url = self.stage.root("sqs"), self._outputs(pipeline)["queueUrl"]
        for _ in range(3):
            received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            self.stage.show(url, {one["MessageId"]: one["ReceiptHandle"] for one in received})
        unknown = {"idempotencyKey": f"none-{uuid4()}", "trippedAt": self.stage.clock.now_ms()}
        breaker.invoke({"detail-type": "CircuitTripped", "detail": unknown})
        breaker.invoke({})
        self.stage.be_quiet()

    def switch(self) -> None:
        """The failure switch: shown, set, reset."""
        for route, body in (
            ("GET /failure-mode", None),
            ("POST /failure-mode", {"mode": "poison_payload"}),
            ("POST /failure-mode/reset", None),
        ):
            self._call("failure-mode", route, body)

    def redrive(self) -> None:
        """Redrives of what is on each DLQ: looked at, with nothing old enough, cancelled, run to the end, asked for."""
        if "orders-undelivered" in self._queues():
            self._undelivered()
        for pipeline in self._queues():
            self._call("redrive-api", "GET /redrive/preview", query={"pipeline": pipeline, "minAgeSeconds": "0"})
            self._redrive(pipeline, min_age_seconds=3600)
            self._redrive(pipeline, cancelled=True)
            begun = self._redrive(pipeline)
            self._call("redrive-api", "GET /redrive/{redriveId}", path={"redriveId": begun})
        self._call("redrive-api", "GET /redrive")

    def _redrive(self, pipeline: str, *, min_age_seconds: int = 0, cancelled: bool = False) -> str:
        wanted = {"pipeline": pipeline, "minAgeSeconds": min_age_seconds}
        begun: str = self._call("redrive-api", "POST /redrive/start", wanted)["redriveId"]
        if cancelled:
            self._call("redrive-api", "POST /redrive/cancel", {"redriveId": begun})
        for name, event in [*self.stage.wire.invocations]:
            self.stage.function(name).invoke(event)
        self.stage.wire.invocations.clear()
        return begun

    def webhook(self) -> None:
        """An alarm is forwarded."""
        message = json.dumps({"AlarmName": "a", "NewStateValue": "ALARM", "OldStateValue": "OK"})
        sns = {"Message": message, "TopicArn": "arn:aws:sns:us-east-1:000000000000:t", "MessageId": str(uuid4())}
        self.stage.function("alarm-webhook").invoke({"Records": [{"Sns": sns}]})

    def authorizer(self) -> None:
        """A caller shows his key; where it is a secret of others, there is none on the emulator to compare it with."""
        with suppress(KeysError):
            self.stage.function("authorizer").invoke({"routeKey": "POST /events", "identitySource": [API_KEY]})

    def mode(self, mode: str) -> None:
        """Sets a failure mode that every function sees at once."""
        self.stage.root("ssm").put_parameter(Name=_MODE, Value=mode, Type="String", Overwrite=True)
        for name in self.stage.names():
            self.stage.function(name).end()

    def event(self) -> None:
        """Puts an event into the queue of the events pipeline, in the role that may."""
        self._call("events-ingest", "POST /events", {"orderId": str(uuid4()), "amount": 1})

    def order(self) -> None:
        """Puts an order's event into the queue of the orders pipeline, as its rule does."""
        self.stage.root("sqs").send_message(
            QueueUrl=self._outputs("orders")["queueUrl"], MessageBody=json.dumps(order_event())
        )

    def _expire(self) -> None:
        """Lets the reservations expire, so that TTL is about to delete them."""
        dynamodb, table = self.stage.root("dynamodb"), self.stage.lab.outputs["DynamoTableName"]
        for item in dynamodb.scan(TableName=table)["Items"]:
            if item["attempts"] == {"N": "0"}:
                dynamodb.put_item(TableName=table, Item=item | {"expiresAt": {"N": "1"}})

    def _undelivered(self) -> None:
        """Puts a letter where only EventBridge may: the emulator's has no dead letters, so the policy is set aside."""
        sqs, url = self.stage.root("sqs"), self._queues()["orders-undelivered"]["dlqUrl"]
        policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(order_event()))
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})

    def _object(self, content: bytes, **metadata: str) -> dict[str, Any]:
        """Puts an object into bronze; returns how S3 announces it."""
        bucket, key = self._outputs("lake")["bronzeBucket"], f"bronze/shipments/{uuid4()}.jsonl"
        put = self.stage.root("s3").put_object(Bucket=bucket, Key=key, Body=content, Metadata=metadata)
        described = {"key": key, "versionId": put["VersionId"], "eTag": put["ETag"].strip('"'), "size": len(content)}
        record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": described}}
        return {"Records": [record]}

    def _announce(self, notice: dict[str, Any]) -> None:
        """Tells of an object, as S3 does."""
        self.stage.root("sqs").send_message(
            QueueUrl=self._outputs("lake")["noticesUrl"], MessageBody=json.dumps(notice)
        )

    def _notices(self) -> Consumer:
        return Consumer(self.stage, self.stage.function("lake-ingest"), self._outputs("lake")["noticesUrl"])

    def _gone(self, notice: dict[str, Any]) -> dict[str, Any]:
        """Deletes an object that has been announced, with its version."""
        where = notice["Records"][0]["s3"]
        self.stage.root("s3").delete_object(
            Bucket=where["bucket"]["name"], Key=where["object"]["key"], VersionId=where["object"]["versionId"]
        )
        return notice

    def _twice(self, url: str) -> None:
        """Every message of a queue a second time, under another id."""
        sqs = self.stage.root("sqs")
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])["Messages"]
        for message in found:
            attributes = message.get("MessageAttributes", {})
            sqs.send_message(QueueUrl=url, MessageBody=message["Body"], MessageAttributes=attributes)
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)

    def _call(self, function: str, route: str, body: Any = None, **more: Any) -> dict[str, Any]:
        return self.stage.call(function, route, body, **more)[1]

    def _outputs(self, pipeline: str) -> dict[str, str]:
        found: dict[str, str] = self.stage.lab.outputs[pipeline]
        return found

    def _queues(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = json.loads(self.stage.function("redrive").environment["QUEUES"])
        return found


def order_event() -> dict[str, Any]:
    """What EventBridge delivers of a new order."""
    detail = {
        "schemaVersion": "1.0",
        "eventId": str(uuid4()),
        "orderId": str(uuid4()),
        "createdAt": "2026-01-01T00:00:00.000Z",
        "items": [{"sku": "A", "qty": 1}],
    }
    return {"id": str(uuid4()), "source": "myapp.orders", "detail-type": "OrderCreated", "detail": detail}


# In this order: what one leaves behind the next needs, such as letters and an open breaker.
USES: Sequence[Callable[[Uses], None]] = (
    Uses.front,
    lambda uses: uses.worker("events-worker", uses.event),
    lambda uses: uses.breaker("events", uses.event),
    Uses.orders,
    lambda uses: uses.worker("orders-worker", uses.order),
    lambda uses: uses.breaker("orders", uses.order),
    Uses.ingest,
    Uses.parts,
    lambda uses: uses.worker("lake-worker", uses.objects),
    lambda uses: uses.breaker("lake", uses.objects),
    Uses.redrive,
    Uses.switch,
    Uses.webhook,
    Uses.authorizer,
)
