"""What an event source mapping does with a queue and a function, one batch at a time and only when told to."""

import base64
from dataclasses import dataclass, field
from typing import Any

from tests.live.function import DiedError, LiveFunction
from tests.live.stage import Stage

_ROUNDS = 12  # more than maxReceiveCount, after which nothing can be left


@dataclass
class Consumer:
    """Delivers messages of a queue to a function; receives and deletes in that function's role, as Lambda does."""

    stage: Stage
    function: LiveFunction
    queue_url: str
    raised: list[BaseException] = field(default_factory=list)  # by invocations; their batches come again
    _hidden: dict[str, str] = field(default_factory=dict)  # receipt handles by message id
    _sqs: Any = None

    def __post_init__(self) -> None:
        self._sqs = self.function.client("sqs")

    def deliver(self, size: int = 10) -> list[str]:
        """Delivers one batch of what can be seen now; returns the ids of its messages, none where there are none.

        A message that the answer keeps, or whose invocation raised, stays out of sight until `lapse`.
        """
        received = self._sqs.receive_message(
            QueueUrl=self.queue_url,
            MaxNumberOfMessages=size,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        batch = {message["MessageId"]: message for message in received.get("Messages", [])}
        self._hidden |= {one: message["ReceiptHandle"] for one, message in batch.items()}
        if batch:
            self._settle(batch)
        return list(batch)

    def lapse(self) -> None:
        """Lets the visibility time-out of every message in hand pass, and every lease with it."""
        self.stage.clock.advance(6 * self.function.timeout_seconds)
        if self._hidden:
            self.stage.show(self.queue_url, self._hidden)
        self._hidden.clear()

    def drain(self) -> None:
        """Delivers until the queue is empty; by then each message has come to its end.

        Raises:
            AssertionError: some never did.
        """
        for _ in range(_ROUNDS):
            self.lapse()
            if not self.deliver():
                return
        raise AssertionError(f"{self.queue_url} does not run empty")

    def _settle(self, batch: dict[str, dict[str, Any]]) -> None:
        try:
            answer = self.function.invoke({"Records": [as_record(message) for message in batch.values()]})
        except (Exception, DiedError) as raised:  # noqa: BLE001 - whatever it is, Lambda delivers the whole batch again
            self.raised.append(raised)
            return
        assert answer.keys() == {"batchItemFailures"}
        kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        assert kept <= batch.keys()
        done = [message for one, message in batch.items() if one not in kept]
        if done:
            entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(done)]
            deleted = self._sqs.delete_message_batch(QueueUrl=self.queue_url, Entries=entries)
            assert len(deleted["Successful"]) == len(done)
        for message in done:
            self._hidden.pop(message["MessageId"], None)


def as_record(message: dict[str, Any]) -> dict[str, Any]:
    """A received message as Lambda's event has it."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {name: _attribute(given) for name, given in message.get("MessageAttributes", {}).items()},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "awsRegion": "us-east-1",
    }


def _attribute(given: dict[str, Any]) -> dict[str, Any]:
    attribute = {"dataType": given["DataType"], "stringListValues": [], "binaryListValues": []}
    if "BinaryValue" in given:
        return attribute | {"binaryValue": base64.b64encode(given["BinaryValue"]).decode()}
    return attribute | {"stringValue": given["StringValue"]}
