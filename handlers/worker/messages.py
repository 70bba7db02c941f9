"""SQS records as the worker sees them: read, folded by key, and turned into dead letters with their cause.

A body is the payload itself unless the pipeline's `Form` says otherwise.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from handlers import jsontext
from handlers.aws.sqs import Attribute, Outgoing
from handlers.errors import Detail, IdempotencyConflictError, IngestionError, SchemaValidationError
from handlers.idempotency.claims import KeyRequest
from handlers.idempotency.keys import MAX_KEY_BYTES

# As many as `X-Correlation-Id` may have. It goes into events, of which PutEvents takes 256 KB, and into each log line;
# an attribute of a sender to the queue could be 1 MiB.
_MAX_CORRELATION_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class Message:
    """A received message. `fault` says why its body cannot be a payload; such a one has no state record."""

    id: str
    receipt: str
    body: str
    key: str
    checksum: str
    receive_count: int
    sent_at: int = 0  # ms since the epoch: when it was put on this queue; 0 for the breaker's probe
    correlation_id: str = ""
    attributes: dict[str, Attribute] = field(default_factory=dict)
    trace_header: str = ""
    group_id: str = ""
    deduplication_id: str = ""
    payload: jsontext.JsonObject = field(default_factory=dict)
    fault: SchemaValidationError | None = None
    bound: bool = False  # whether its key has most likely been reserved and never been worked on

    def request(self) -> KeyRequest:
        """Its claim on its key."""
        return KeyRequest(self.key, self.checksum, self.id, self.body, bound=self.bound)

    def conflict(self) -> IdempotencyConflictError:
        """The error of a message whose key is another payload's."""
        return IdempotencyConflictError(f"key {self.key} is bound to another payload")

    def is_same_as(self, message_id: str) -> bool:
        """Whether this is the message `message_id`, redelivered or redriven."""
        original = self.attributes.get("originalMessageId")
        return message_id in (self.id, original.value if original else self.id)

    def dead_letter(self, error: IngestionError, failed_at: str, pipeline: str) -> Outgoing:
        """This message as the DLQ is to hold it: equal, and with its cause as attributes (the most important first)."""
        cause = {
            "errorType": Attribute.text(error.error_type),
            "originalMessageId": Attribute.text(self.id),
            "pipeline": Attribute.text(pipeline),
            "failedAt": Attribute.text(failed_at),
            "errorMessage": Attribute.text(str(error)),
        }
        letter = Outgoing(
            self.id,
            self.body,
            self.attributes,
            trace_header=self.trace_header,
            group_id=self.group_id,
            # Not the message's own: a second letter of the same event, sent within five minutes, is no repetition.
            deduplication_id=self.id if self.deduplication_id else "",
        )
        return letter.with_attributes(cause)


@dataclass(frozen=True, slots=True)
class Form:
    """What the bodies of a queue hold.

    `payload` finds the payload in a body, `key` the idempotency key in a payload ("": it has none), `fact` what
    two messages have in common that say the same. `binds` tells of a key, the checksum and the attributes whether
    their sender is likely to have reserved the key; being wrong costs a write, no more.
    """

    payload: Callable[[jsontext.JsonObject], jsontext.JsonObject]
    key: Callable[[jsontext.JsonObject], str]
    fact: Callable[[jsontext.JsonObject], jsontext.JsonObject]
    binds: Callable[[str, str, Mapping[str, Attribute]], bool] = lambda _key, _checksum, _attributes: False


def unique(records: Iterable[Mapping[str, Any]], form: Form | None = None) -> list[Message]:
    """Reads the records of a Lambda event; a message that SQS delivered twice in one batch counts once."""
    return list({record["messageId"]: read(record, form) for record in records}.values())


def read(record: Mapping[str, Any], form: Form | None = None) -> Message:
    """Reads one record, whose body is the payload unless its form is given.

    The key is the attribute `idempotencyKey`, else the payload's own, else the checksum of the payload. A body that is
    no payload and a key that DynamoDB can't hold are the message's `fault`.
    """
    form = form or PLAIN
    attributes = {name: _attribute(raw) for name, raw in record.get("messageAttributes", {}).items()}
    system, body = record["attributes"], record["body"]
    payload: jsontext.JsonObject = {}
    fault = None
    try:
        payload = form.payload(_object(jsontext.parse(body)))
        checksum = jsontext.checksum(form.fact(payload))
        _refuse_long(_text(attributes, "idempotencyKey"))
    except SchemaValidationError as exc:
        checksum, fault = hashlib.sha256(body.encode("utf-8", "replace")).hexdigest(), exc
    key = _text(attributes, "idempotencyKey")[:MAX_KEY_BYTES] or form.key(payload) or checksum
    received = int(system["ApproximateReceiveCount"])
    return Message(
        id=record["messageId"],
        receipt=record["receiptHandle"],
        body=body,
        key=key,
        checksum=checksum,
        receive_count=received,
        sent_at=int(system.get("SentTimestamp", 0)),
        correlation_id=_text(attributes, "correlationId")[:_MAX_CORRELATION_CHARACTERS],
        attributes=attributes,
        trace_header=system.get("AWSTraceHeader", ""),
        group_id=system.get("MessageGroupId", ""),
        deduplication_id=system.get("MessageDeduplicationId", ""),
        payload=payload,
        fault=fault,
        bound=received == 1 and "redriveCount" not in attributes and form.binds(key, checksum, attributes),
    )


PLAIN = Form(payload=lambda body: body, key=lambda _: "", fact=lambda payload: payload)


def _refuse_long(key: str) -> None:
    """A key that DynamoDB can't hold would fail the claims of its whole batch."""
    if (length := len(key.encode("utf-8", "replace"))) > MAX_KEY_BYTES:
        raise SchemaValidationError(Detail("/idempotencyKey", f"may have {MAX_KEY_BYTES} bytes, got {length}"))


def _object(value: jsontext.Json) -> jsontext.JsonObject:
    if not isinstance(value, dict):
        raise SchemaValidationError(Detail("", f"must be an object, got {jsontext.describe(value)}"))
    return value


def _attribute(raw: Mapping[str, Any]) -> Attribute:
    if raw.get("stringValue") is not None:
        return Attribute(raw["dataType"], raw["stringValue"])
    return Attribute(raw["dataType"], base64.b64decode(raw.get("binaryValue") or ""))


def _text(attributes: Mapping[str, Attribute], name: str) -> str:
    value = attributes[name].value if name in attributes else ""
    return value if isinstance(value, str) else ""
