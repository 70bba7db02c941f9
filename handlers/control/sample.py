"""The event that a breaker probes with: taken from the queue where no record has it, and kept for the next probes.

Whatever is received costs its message one of the queue's receives. So one message is taken an outage, and a copy of it
is kept in the control table, in parts, because an item holds 400 KB and a message 1 MiB. A message that
has no more than one receive left is sent anew before it is tried: its count begins at 1 again.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from handlers import clock, jsontext
from handlers.aws.control_table import ControlTable, Item, Key
from handlers.aws.sqs import Attribute, Outgoing, as_delivered, delete_messages, is_fifo, send_messages
from handlers.observability import logger
from handlers.worker import messages
from handlers.worker.messages import Message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_PART_CHARACTERS = 350_000  # ASCII; an item holds 400 KB
_KEPT_SECONDS = 7 * 24 * 3600  # TTL takes away what no breaker asks for any more
_WAIT_SECONDS = 1  # a long poll asks every server of SQS; below the client's read time-out


@dataclass(frozen=True, slots=True)
class Sample:
    """An event as a worker's record. `receipt` is of the message itself, "" where this is a copy of one."""

    key: str
    record: Mapping[str, Any]

    @property
    def receipt(self) -> str:
        """The message's receipt handle."""
        return str(self.record["receiptHandle"])

    def copy(self) -> "Sample":
        """The same without the right to the message."""
        return replace(self, record={**self.record, "receiptHandle": ""})


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a copy is kept: in so many parts that have this id."""

    id: str
    parts: int


NOWHERE = Kept("", 0)


class Copies:
    """Copies in the control table, one at a time under a breaker's partition."""

    def __init__(self, table: ControlTable, partition: str) -> None:
        self._table = table
        self._partition = partition

    def keep(self, sample: Sample) -> Kept:
        """Keeps a copy, over the one before."""
        text = jsontext.compact({"key": sample.key, "record": dict(sample.copy().record)})
        parts = [text[start : start + _PART_CHARACTERS] for start in range(0, len(text), _PART_CHARACTERS)]
        kept = Kept(uuid.uuid4().hex, len(parts))
        for number, part in enumerate(parts):
            values: Item = {"kept": kept.id, "text": part, "expiresAt": clock.now_ms() // 1000 + _KEPT_SECONDS}
            self._table.write(self._table.put(self._key(number), values, {}))
        return kept

    def read(self, kept: Kept) -> Sample | None:
        """A copy, or None where it, or a part of it, is not there any more."""
        items = [self._table.get(self._key(number)) for number in range(kept.parts)]
        texts = [str(item["text"]) for item in items if item and item["kept"] == kept.id]
        if not texts or len(texts) < kept.parts:
            return None
        value = cast("dict[str, Any]", jsontext.load("".join(texts)))
        return Sample(value["key"], value["record"])

    def _key(self, number: int) -> Key:
        return Key(self._partition, f"probe#{number}")


class Queue:
    """The queue whose consumer is paused, as the breaker takes from it."""

    def __init__(self, sqs: "SQSClient", url: str, *, max_receive_count: int, form: messages.Form) -> None:
        self._sqs = sqs
        self._url = url
        self._max_receive_count = max_receive_count
        self._form = form

    def take(self, *, seconds: int) -> Sample | None:
        """Receives one message, out of sight for `seconds`; None where the queue shows none.

        Raises:
            ClientError, BotoCoreError: SQS failed.
        """
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=1,
            VisibilityTimeout=seconds,
            WaitTimeSeconds=_WAIT_SECONDS,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        if not answer.get("Messages"):
            return None
        record = as_delivered(answer["Messages"][0])
        message = messages.read(record, self._form)
        sample = Sample(message.key, _as_first(record))
        # One is left in any case, should an answer be lost. A FIFO queue would put it behind those that follow it.
        if message.receive_count < self._max_receive_count - 1 or is_fifo(self._url):
            return sample
        return self._restart(sample, message)

    def delete(self, sample: Sample) -> None:
        """Deletes a message that its worker has settled, as its consumer would."""
        if refused := delete_messages(self._sqs, self._url, [sample.receipt]):
            logger.warning("probe not deleted", extra={"errorType": refused[sample.receipt]})  # a duplicate, then

    def _restart(self, sample: Sample, message: Message) -> Sample:
        """Sends a message anew, then deletes it: in between there are two, which one key makes one."""
        outgoing = Outgoing(
            message.id, message.body, message.attributes, trace_header=message.trace_header, group_id=message.group_id
        ).with_attributes({"originalMessageId": Attribute("String", message.id)})
        report = send_messages(self._sqs, self._url, [outgoing])
        if code := report.failed.get(message.id):
            logger.error("message not sent anew", extra={"errorType": code, "idempotencyKey": message.key})
            return sample
        self.delete(sample)
        return replace(sample.copy(), record={**sample.copy().record, "messageId": report.sent[message.id]})


def _as_first(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as at its first receive: the worker counts receives of its queue, and this is none of them."""
    return {**record, "attributes": {**record["attributes"], "ApproximateReceiveCount": "1"}}
