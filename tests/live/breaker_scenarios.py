"""What the circuit breaker does: it opens, it probes, it closes."""

import json
from typing import Any
from uuid import uuid4

from handlers import jsontext
from tests.live.failing import Fault
from tests.live.ledger import Sent
from tests.live.matrix import Asynchronous, Scenario


class Breaking(Asynchronous):
    """The breaker's state is in the control table, the consumer's in its mapping, the probing event in the state table.

    A mapping that is resumed takes from a queue that is empty.
    """

    function = "events-breaker"

    def prepare(self) -> None:
        """A failed event and a closed breaker, whose consumer runs."""
        self.sent = Sent.new()
        self.environment = self.stage.function(self.function).environment
        self.tripped_at = self.stage.clock.now_ms()
        self._put_record(status="FAILED", lease_until=0)
        self.put_breaker("CLOSED")
        self._consume(enabled=True)

    def put_breaker(self, state: str) -> None:
        """The breaker as it is kept."""
        numbers = {"version": {"N": "1"}} | {name: {"N": "0"} for name in ("changedAt", "probes", "leaseUntil")}
        item = {
            "id": {"S": "breaker#events"},
            "item": {"S": "state"},
            "state": {"S": state},
            "key": {"S": self.sent.key},
        }
        self._table("CONTROL_TABLE_NAME", item | numbers)

    def kept(self) -> tuple[str, bool]:
        """The breaker's state, and whether the consumer runs."""
        key = {"id": {"S": "breaker#events"}, "item": {"S": "state"}}
        found = self.stage.root("dynamodb").get_item(
            TableName=self.environment["CONTROL_TABLE_NAME"], Key=key, ConsistentRead=True
        )
        mapping = self.stage.root("lambda").get_event_source_mapping(UUID=self.environment["EVENT_SOURCE_MAPPING_ID"])
        return found["Item"]["state"]["S"], mapping["State"] in ("Enabled", "Enabling")

    def tick(self) -> None:
        """The schedule, once whoever probed has let go."""
        self.stage.clock.advance(60)
        self.stage.invoke_async(self.function, {})

    def _put_record(self, *, status: str, lease_until: int) -> None:
        now = self.stage.clock.now_ms()
        self._table(
            "STATE_TABLE_NAME",
            {
                "idempotencyKey": {"S": self.sent.key},
                "status": {"S": status},
                "checksum": {"S": jsontext.checksum(self.sent.body)},
                "firstSeenAt": {"S": "2026-01-01T00:00:00.000Z"},
                "attempts": {"N": "1"},
                "expiresAt": {"N": str(now // 1000 + 3600)},
                "leaseUntil": {"N": str(lease_until)},
                "messageId": {"S": str(uuid4())},
                "payload": {"S": json.dumps(self.sent.body)},
                "pipeline": {"S": "events"},
            },
        )

    def _table(self, name: str, item: dict[str, Any]) -> None:
        self.stage.root("dynamodb").put_item(TableName=self.environment[name], Item=item)

    def _consume(self, *, enabled: bool) -> None:
        mapping = self.environment["EVENT_SOURCE_MAPPING_ID"]
        self.stage.root("lambda").update_event_source_mapping(UUID=mapping, Enabled=enabled)


class Trip(Breaking):
    """A worker asks the breaker to open."""

    name = "a trip"

    def event(self) -> jsontext.JsonObject:
        """EventBridge's."""
        detail: jsontext.JsonObject = {"idempotencyKey": self.sent.key, "trippedAt": self.tripped_at}
        return {"detail-type": "CircuitTripped", "detail": detail}

    def check(self, fault: Fault | None) -> None:  # noqa: ARG002 - the same after every fault
        """It is open and the consumer paused, without waiting for a tick."""
        assert self.kept() == ("OPEN", False)


class GoodProbe(Breaking):
    """A tick while it is open, and the downstream is back."""

    name = "a probe that gets through"

    def prepare(self) -> None:
        """Open."""
        super().prepare()
        self.put_breaker("OPEN")
        self._consume(enabled=False)

    def check(self, fault: Fault | None) -> None:  # noqa: ARG002 - the same after every fault
        """By the next tick it is closed, the consumer runs, and the event that probed is done."""
        if self.kept() != ("CLOSED", True):
            self.tick()
        assert self.kept() == ("CLOSED", True)
        key = {"idempotencyKey": {"S": self.sent.key}}
        found = self.stage.root("dynamodb").get_item(TableName=self.environment["STATE_TABLE_NAME"], Key=key)
        assert found["Item"]["status"]["S"] == "SUCCEEDED"


class BadProbe(GoodProbe):
    """A tick while it is open, and the event that probes can't be worked."""

    name = "a probe that fails"

    def prepare(self) -> None:
        """Somebody else holds the event's lease."""
        super().prepare()
        self._put_record(status="INFLIGHT", lease_until=self.stage.clock.now_ms() + 10**9)

    def check(self, fault: Fault | None) -> None:  # noqa: ARG002 - the same after every fault
        """By the next tick it is open and the consumer paused."""
        if self.kept() != ("OPEN", False):
            self.tick()
        assert self.kept() == ("OPEN", False)


class TakenProbe(GoodProbe):
    """A tick while it is open, and no record has the event that failed: one is taken from the queue."""

    name = "a probe with a message of the queue"

    def prepare(self) -> None:
        """Open, and on the queue a message that has two receives left."""
        super().prepare()
        sqs, url = self.stage.root("sqs"), self.environment["QUEUE_URL"]
        sqs.purge_queue(QueueUrl=url)
        self.stage.root("dynamodb").delete_item(
            TableName=self.environment["STATE_TABLE_NAME"], Key={"idempotencyKey": {"S": self.sent.key}}
        )
        key = {"idempotencyKey": {"DataType": "String", "StringValue": self.sent.key}}
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(self.sent.body), MessageAttributes=key)
        for _ in range(int(self.environment["MAX_RECEIVE_COUNT"]) - 2):
            (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
            self.stage.show(url, {message["MessageId"]: message["ReceiptHandle"]})

    def tick(self) -> None:
        """The schedule, once every message that was taken shows again."""
        self.stage.show(self.environment["QUEUE_URL"])
        super().tick()

    def check(self, fault: Fault | None) -> None:
        """As every good probe; what was taken is not a dead letter."""
        if self.kept() != ("CLOSED", True):
            self.tick()
        super().check(fault)


BREAKER_SCENARIOS: list[type[Scenario]] = [Trip, GoodProbe, BadProbe, TakenProbe]
