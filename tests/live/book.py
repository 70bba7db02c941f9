"""What a pipeline shows to the outside: its queues, its state records, and what went over the wire."""

import json
from collections.abc import Collection
from typing import Any

from handlers.idempotency.keys import partition_key
from tests.live.consumer import Consumer
from tests.live.stage import Stage


class Book:
    """One pipeline's; ``consumer`` works its queue."""

    def __init__(self, stage: Stage, pipeline: str) -> None:
        self.stage = stage
        self.pipeline = pipeline
        self.outputs: dict[str, str] = stage.lab.outputs[pipeline]
        self.queue_url, self.dlq_url = self.outputs["queueUrl"], self.outputs["dlqUrl"]
        self.table: str = stage.lab.outputs["DynamoTableName"]
        self.consumer = Consumer(stage, stage.function(f"{pipeline}-worker"), self.queue_url)

    def records(self, keys: Collection[str]) -> dict[str, dict[str, Any]]:
        """The state records of keys."""
        places = {partition_key(self.pipeline, key): key for key in keys}
        return {places[place]: item for place, item in self.items(self.table, "idempotencyKey", places).items()}

    def items(self, table: str, name: str, keys: Collection[str]) -> dict[str, dict[str, Any]]:
        """The items of a table by their key, the attribute ``name``."""
        if not keys:
            return {}
        wanted = {table: {"Keys": [{name: {"S": key}} for key in keys], "ConsistentRead": True}}
        found = self.stage.root("dynamodb").batch_get_item(RequestItems=wanted)["Responses"][table]
        return {item[name]["S"]: item for item in found}

    def take(self, queue_url: str) -> list[dict[str, Any]]:
        """Every message of a queue, taken off it."""
        sqs, taken = self.stage.root("sqs"), list[dict[str, Any]]()
        while found := sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            taken += found
            entries = [{"Id": str(i), "ReceiptHandle": one["ReceiptHandle"]} for i, one in enumerate(found)]
            sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)
        return taken

    def told(self, detail_type: str, name: str = "idempotencyKey") -> dict[str, list[str]]:
        """The ids under which EventBridge was told of each, by the field ``name`` of the detail."""
        told: dict[str, list[str]] = {}
        for call in self.stage.wire.calls:
            if call.operation == "PutEvents":
                for entry, answer in call.done("Entries", "Entries"):
                    detail = json.loads(entry["Detail"])
                    if entry["DetailType"] == detail_type and answer.get("EventId"):
                        told.setdefault(detail[name], []).append(detail.get("eventId", ""))
        return told

    def succeeded(self, keys: Collection[str]) -> dict[str, int]:
        """The calls (by their index) by which the state table was told that keys have SUCCEEDED."""
        found: dict[str, int] = {}
        for index, call in enumerate(self.stage.wire.calls):
            if call.operation == "BatchExecuteStatement":
                for statement, answer in call.done("Statements", "Responses"):
                    parameters = [value.get("S") for value in statement["Parameters"]]
                    if "SUCCEEDED" in parameters and "Error" not in answer:
                        found |= {key: index for key in keys if self._is_of(key, parameters) and key not in found}
        return found

    def _is_of(self, key: str, parameters: Collection[str | None]) -> bool:
        return partition_key(self.pipeline, key) in parameters


def text(message: dict[str, Any], name: str) -> str:
    """A message's attribute."""
    return str(message["MessageAttributes"][name]["StringValue"])
