"""SQS in batches: every entry of every batch is accounted for, sent or failed, with its reason.

Limits (SQS API reference): 10 entries and 1 MiB a call, 10 attributes a message, visibility of at most 12 hours.
"""

import base64
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from handlers.aws import retry
from handlers.aws.clients import AWS_ERRORS, error_code

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef,
        DeleteMessageBatchRequestEntryTypeDef,
        MessageAttributeValueTypeDef,
        SendMessageBatchRequestEntryTypeDef,
    )

MAX_BATCH_ENTRIES = 10
MAX_BATCH_BYTES = 1024 * 1024
MAX_ATTRIBUTES = 10
MAX_VISIBILITY_SECONDS = 12 * 3600
_MAX_ATTRIBUTE_TEXT = 512
# What SQS does not take in a string (API reference, SendMessage: what is no XML 1.0 character).
_NOT_ALLOWED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Attribute:
    """A message attribute as SQS holds it: `data_type` String, Number or Binary, with an optional custom suffix."""

    data_type: str
    value: str | bytes

    @classmethod
    def text(cls, value: str) -> "Attribute":
        """A String attribute that SQS will take: characters it refuses replaced, cut to 512, never empty."""
        return cls("String", _NOT_ALLOWED.sub("\ufffd", value)[:_MAX_ATTRIBUTE_TEXT] or "-")

    def size(self) -> int:
        """Bytes that count against the message's limit."""
        return len(self.data_type) + (_bytes(self.value) if isinstance(self.value, str) else len(self.value))

    def as_api(self) -> "MessageAttributeValueTypeDef":
        """As `SendMessage` takes it."""
        key = "StringValue" if isinstance(self.value, str) else "BinaryValue"
        return {"DataType": self.data_type, key: self.value}  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send. `id` is the caller's name for it in the report."""

    id: str
    body: str
    attributes: dict[str, Attribute] = field(default_factory=dict)
    trace_header: str = ""
    group_id: str = ""
    deduplication_id: str = ""
    delay_seconds: int = 0

    def size(self) -> int:
        """Bytes that count against the message's and the batch's limit of 1 MiB."""
        return _size(self.body, self.attributes)

    def as_api(self, entry_id: str) -> "SendMessageBatchRequestEntryTypeDef":
        """As `SendMessageBatch` takes it."""
        entry: SendMessageBatchRequestEntryTypeDef = {"Id": entry_id, "MessageBody": self.body}
        if self.attributes:
            entry["MessageAttributes"] = {name: a.as_api() for name, a in self.attributes.items()}
        if self.trace_header:
            entry["MessageSystemAttributes"] = {
                "AWSTraceHeader": {"DataType": "String", "StringValue": self.trace_header}
            }
        if self.group_id:
            entry["MessageGroupId"] = self.group_id
        if self.deduplication_id:
            entry["MessageDeduplicationId"] = self.deduplication_id
        if self.delay_seconds:
            entry["DelaySeconds"] = self.delay_seconds
        return entry

    def with_attributes(self, extra: dict[str, Attribute]) -> "Outgoing":
        """Adds or overwrites attributes, earliest first, those for which SQS's limits leave room."""
        message = self
        for name, attribute in extra.items():
            more = message.attributes | {name: attribute}
            message = replace(message, attributes=more) if fits(self.body, more) else message
        return message


@dataclass(slots=True)
class SendReport:
    """What became of each message: SQS's message id, or the code of the refusal.

    `errors` holds, for those whose call failed as a whole, what it raised.
    """

    sent: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)

    def add(self, more: "SendReport") -> None:
        """Counts another report in."""
        self.sent |= more.sent
        self.failed |= more.failed
        self.errors |= more.errors


def is_fifo(queue_url: str) -> bool:
    """Whether the queue keeps the order of each group."""
    return queue_url.endswith(".fifo")


def as_delivered(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A message as `ReceiveMessage` gives it, asked for all attributes of both kinds, as Lambda would deliver it."""
    return {
        "messageId": raw["MessageId"],
        "receiptHandle": raw["ReceiptHandle"],
        "body": raw["Body"],
        "attributes": {"ApproximateReceiveCount": "1"} | raw["Attributes"],
        "messageAttributes": {
            name: {"dataType": value["DataType"]} | _delivered_value(value)
            for name, value in raw.get("MessageAttributes", {}).items()
        },
    }


def _delivered_value(raw: Mapping[str, Any]) -> dict[str, str]:
    if "StringValue" in raw:
        return {"stringValue": raw["StringValue"]}
    return {"binaryValue": base64.b64encode(raw["BinaryValue"]).decode()}


def fits(body: str, attributes: Mapping[str, Attribute]) -> bool:
    """Whether SQS's limits allow a message: 10 attributes, and 1 MiB with all of them."""
    return len(attributes) <= MAX_ATTRIBUTES and _size(body, attributes) <= MAX_BATCH_BYTES


def _size(body: str, attributes: Mapping[str, Attribute]) -> int:
    texts, others = list(attributes), 0
    for one in attributes.values():
        texts.append(one.data_type)
        if isinstance(one.value, str):
            texts.append(one.value)
        else:
            others += len(one.value)
    return _bytes(body) + _bytes("".join(texts)) + others


def _bytes(text: str) -> int:
    """The length of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def batches(messages: Sequence[Outgoing]) -> Iterator[list[Outgoing]]:
    """Cuts messages into calls of at most 10 entries and 1 MiB, in order."""
    batch: list[Outgoing] = []
    size = 0
    for message in messages:
        more = message.size()
        if batch and (len(batch) == MAX_BATCH_ENTRIES or size + more > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += more
    if batch:
        yield batch


def rounds(messages: Sequence[Outgoing]) -> list[list[Outgoing]]:
    """Parts messages so that no round has two of a group: the second goes once the first has arrived."""
    parts: dict[int, list[Outgoing]] = defaultdict(list)
    lengths: dict[str, int] = defaultdict(int)
    for message in messages:
        parts[lengths[message.group_id]].append(message)
        if message.group_id:
            lengths[message.group_id] += 1
    return list(parts.values())


def send_in_order(
    sqs: "SQSClient", queue_url: str, messages: Sequence[Outgoing], *, pool: "Executor | None" = None
) -> SendReport:
    """Sends messages so that none of a group arrives before one that precedes it; see `send_messages`.

    What stands behind one that was not sent is not sent either, with the code `GroupBlocked`.
    """
    report = SendReport()
    for part in rounds(messages):
        blocked = {message.group_id for message in messages if message.group_id and message.id in report.failed}
        report.failed |= {message.id: "GroupBlocked" for message in part if message.group_id in blocked}
        rest = [message for message in part if message.group_id not in blocked]
        report.add(send_messages(sqs, queue_url, rest, pool=pool))
    return report


def send_messages(
    sqs: "SQSClient", queue_url: str, messages: Sequence[Outgoing], *, pool: "Executor | None" = None
) -> SendReport:
    """Sends messages; an entry that SQS failed for a reason of its own is tried again, up to 3 times.

    With a pool, calls are made beside each other, and arrive in any order.

    Raises nothing of AWS's: a call that failed as a whole is a failure of each of its entries. Such an entry may
    have been sent all the same (an answer lost on the way), which is why consumers are idempotent.
    """
    report = SendReport()
    send = partial(_send_batch, sqs, queue_url)
    calls = list(batches(messages))
    for part in pool.map(send, calls) if pool and len(calls) > 1 else map(send, calls):
        report.add(part)
    return report


def _send_batch(sqs: "SQSClient", queue_url: str, batch: list[Outgoing]) -> SendReport:
    report = SendReport()
    for _ in retry.attempts():
        batch = _send_once(sqs, queue_url, batch, report)
        if not batch:
            break
    return report


def _send_once(sqs: "SQSClient", url: str, batch: list[Outgoing], report: SendReport) -> list[Outgoing]:
    """One call; returns the entries worth another."""
    try:
        answer = sqs.send_message_batch(
            QueueUrl=url, Entries=[message.as_api(str(i)) for i, message in enumerate(batch)]
        )
    except AWS_ERRORS as exc:  # botocore has retried it already
        report.failed |= {message.id: error_code(exc) for message in batch}
        report.errors |= dict.fromkeys((message.id for message in batch), exc)
        return []
    again = []
    for ok in answer.get("Successful", []):
        message = batch[int(ok["Id"])]
        report.sent[message.id] = ok["MessageId"]
        report.failed.pop(message.id, None)
    for failure in answer.get("Failed", []):
        message = batch[int(failure["Id"])]
        report.failed[message.id] = failure["Code"]
        if not failure["SenderFault"]:
            again.append(message)
    return again


def change_visibility(sqs: "SQSClient", queue_url: str, seconds_by_receipt: dict[str, int]) -> dict[str, str]:
    """Sets when each received message shows again; returns the refusals by receipt handle.

    A refusal loses nothing: that message shows again after the visibility that it has.
    """
    refused: dict[str, str] = {}
    receipts = list(seconds_by_receipt.items())
    for start in range(0, len(receipts), MAX_BATCH_ENTRIES):
        chunk = receipts[start : start + MAX_BATCH_ENTRIES]
        entries: list[ChangeMessageVisibilityBatchRequestEntryTypeDef] = [
            {"Id": str(i), "ReceiptHandle": receipt, "VisibilityTimeout": min(seconds, MAX_VISIBILITY_SECONDS)}
            for i, (receipt, seconds) in enumerate(chunk)
        ]
        try:
            answer = sqs.change_message_visibility_batch(QueueUrl=queue_url, Entries=entries)
        except AWS_ERRORS as exc:
            refused |= {receipt: error_code(exc) for receipt, _ in chunk}
            continue
        refused |= {chunk[int(failure["Id"])][0]: failure["Code"] for failure in answer.get("Failed", [])}
    return refused


def delete_messages(sqs: "SQSClient", queue_url: str, receipts: Sequence[str]) -> dict[str, str]:
    """Deletes received messages, 10 a call; returns the refusals by receipt handle.

    An entry that SQS failed is tried again, up to 3 times. A refusal loses nothing: that message shows again.
    """
    refused: dict[str, str] = {}
    for start in range(0, len(receipts), MAX_BATCH_ENTRIES):
        pending = list(receipts[start : start + MAX_BATCH_ENTRIES])
        codes: dict[str, str] = {}
        for _ in retry.attempts():
            codes = _delete_once(sqs, queue_url, pending)
            pending = list(codes)
            if not pending:
                break
        refused |= codes
    return refused


def _delete_once(sqs: "SQSClient", queue_url: str, receipts: list[str]) -> dict[str, str]:
    entries: list[DeleteMessageBatchRequestEntryTypeDef] = [
        {"Id": str(i), "ReceiptHandle": receipt} for i, receipt in enumerate(receipts)
    ]
    try:
        answer = sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)
    except AWS_ERRORS as exc:
        return dict.fromkeys(receipts, error_code(exc))
    return {receipts[int(failure["Id"])]: failure["Code"] for failure in answer.get("Failed", [])}
