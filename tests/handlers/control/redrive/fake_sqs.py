"""SQS in memory, under a clock that the test moves."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.handlers.conftest import FakeClock
from tests.handlers.control.redrive.fakes import refusal
from tests.handlers.fakes import message_size

_MIB = 1024 * 1024
_DEDUPLICATION_MS = 5 * 60 * 1000


@dataclass
class Stored:
    """A message in a queue."""

    id: str
    body: str
    attributes: dict[str, dict[str, Any]]
    system: dict[str, str]
    visible_at: int
    receipt: str = ""
    receives: int = 0

    @property
    def group(self) -> str:
        return self.system.get("MessageGroupId", "")


@dataclass
class FakeSqs:
    """Queues by URL; one whose URL ends in ``.fifo`` is FIFO. ``entry_failures``: as `FakeAws` has them."""

    clock: FakeClock
    queues: dict[str, list[Stored]] = field(default_factory=dict)
    sends: list[dict[str, Any]] = field(default_factory=list)
    entry_failures: dict[str, Callable[[dict[str, Any]], str]] = field(default_factory=dict)
    _ids: Any = field(default_factory=lambda: count(1))
    _deduplicated: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)

    def put(
        self,
        url: str,
        body: str,
        attributes: dict[str, dict[str, Any]],
        *,
        age_ms: int = 0,
        delay_ms: int = 0,
        **system: str,
    ) -> str:
        """Puts a message as its sender, or SQS's own move, would have it; returns its id."""
        message_id = f"m{next(self._ids)}"
        system = {"SentTimestamp": str(self.clock.ms - age_ms), **system}
        self.queues.setdefault(url, []).append(Stored(message_id, body, attributes, system, self.clock.ms + delay_ms))
        return message_id

    def visible(self, url: str) -> list[Stored]:
        """What a receive could bring."""
        return [message for message in self.queues.get(url, []) if message.visible_at <= self.clock.ms]

    def receive_message(
        self,
        *,
        QueueUrl: str,
        MaxNumberOfMessages: int,
        VisibilityTimeout: int,
        WaitTimeSeconds: int,
        MessageAttributeNames: list[str],
        MessageSystemAttributeNames: list[str],
    ) -> dict[str, Any]:
        assert 1 <= MaxNumberOfMessages <= 10
        assert 0 < WaitTimeSeconds <= 20
        assert MessageAttributeNames == MessageSystemAttributeNames == ["All"]
        found = [message for message in self.visible(QueueUrl) if message.group not in self._locked(QueueUrl)]
        for message in found[:MaxNumberOfMessages]:
            message.receives += 1
            message.receipt = f"{message.id}-{message.receives}"
            message.visible_at = self.clock.ms + VisibilityTimeout * 1000
        return {"Messages": [_received(message) for message in found[:MaxNumberOfMessages]]} if found else {}

    def _locked(self, url: str) -> set[str]:
        in_hand = [m for m in self.queues[url] if m.visible_at > self.clock.ms and m.receives]
        return {message.group for message in in_hand if message.group and url.endswith(".fifo")}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        _check(Entries)
        if sum(map(message_size, Entries)) > _MIB:
            raise refusal("AWS.SimpleQueueService.BatchRequestTooLong")
        return self._each("SendMessageBatch", Entries, lambda entry: self._send(QueueUrl, entry))

    def _send(self, url: str, entry: dict[str, Any]) -> dict[str, Any]:
        fifo = url.endswith(".fifo")
        assert fifo == ("MessageDeduplicationId" in entry)
        assert "MessageGroupId" in entry or not fifo
        assert not (fifo and "DelaySeconds" in entry)
        seen = (url, entry.get("MessageDeduplicationId", ""))
        sent_at, message_id = self._deduplicated.get(seen, (0, ""))
        if fifo and self.clock.ms - sent_at < _DEDUPLICATION_MS:
            return {"MessageId": message_id}
        trace = entry.get("MessageSystemAttributes", {}).get("AWSTraceHeader")
        system = {"AWSTraceHeader": trace["StringValue"]} if trace else {}
        system |= {name: entry[name] for name in ("MessageGroupId", "MessageDeduplicationId") if name in entry}
        delay = entry.get("DelaySeconds", 0) * 1000
        message_id = self.put(url, entry["MessageBody"], entry.get("MessageAttributes", {}), delay_ms=delay, **system)
        self._deduplicated[seen] = (self.clock.ms, message_id)
        self.sends.append({"QueueUrl": url, "MessageId": message_id, **entry})
        return {"MessageId": message_id}

    def delete_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        _check(Entries)

        def delete(entry: dict[str, Any]) -> dict[str, Any]:
            kept = [m for m in self.queues[QueueUrl] if m.receipt != entry["ReceiptHandle"]]
            self.queues[QueueUrl] = kept  # a receipt handle that is not the latest deletes nothing, and is a success
            return {}

        return self._each("DeleteMessageBatch", Entries, delete)

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        _check(Entries)

        def change(entry: dict[str, Any]) -> dict[str, Any]:
            assert 0 <= entry["VisibilityTimeout"] <= 43200
            for message in self.queues[QueueUrl]:
                if message.receipt == entry["ReceiptHandle"]:
                    message.visible_at = self.clock.ms + entry["VisibilityTimeout"] * 1000
            return {}

        return self._each("ChangeMessageVisibilityBatch", Entries, change)

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:
        stored, visible = self.queues.get(QueueUrl, []), self.visible(QueueUrl)
        delayed = [message for message in stored if message.visible_at > self.clock.ms and not message.receives]
        counts = {
            "ApproximateNumberOfMessages": len(visible),
            "ApproximateNumberOfMessagesDelayed": len(delayed),
            "ApproximateNumberOfMessagesNotVisible": len(stored) - len(visible) - len(delayed),
        }
        return {"Attributes": {name: str(counts[name]) for name in AttributeNames}}

    def _each(
        self, call: str, entries: list[dict[str, Any]], work: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> dict[str, Any]:
        answer: dict[str, Any] = {"Successful": [], "Failed": []}
        for entry in entries:
            code = self.entry_failures[call](entry) if call in self.entry_failures else ""
            if code:
                answer["Failed"].append({"Id": entry["Id"], "Code": code, "SenderFault": code.startswith("Sender")})
            else:
                answer["Successful"].append({"Id": entry["Id"], **work(entry)})
        return answer


def _check(entries: list[dict[str, Any]]) -> None:
    assert 1 <= len(entries) <= 10
    assert len({entry["Id"] for entry in entries}) == len(entries)


def _received(message: Stored) -> dict[str, Any]:
    answer = {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "Body": message.body,
        "Attributes": message.system | {"ApproximateReceiveCount": str(message.receives)},
    }
    return answer | ({"MessageAttributes": message.attributes} if message.attributes else {})
