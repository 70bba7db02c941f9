"""From a caller's JSON to the message that the queue is to hold."""

from dataclasses import dataclass

from handlers import jsontext
from handlers.aws.sqs import MAX_BATCH_BYTES, Attribute, Outgoing
from handlers.errors import Detail, SchemaValidationError
from handlers.events import model
from handlers.grouping import UNGROUPED, Grouping, sqs_id
from handlers.http.errors import HttpError
from handlers.idempotency import claims

# Room for the attributes that the message has and for those that a dead letter gets, out of SQS's 1 MiB.
_ATTRIBUTE_BYTES = 4096
MAX_BODY_BYTES = MAX_BATCH_BYTES - _ATTRIBUTE_BYTES
MAX_EVENT_BYTES = 2 * MAX_BODY_BYTES  # room for white space, which is not kept
# The error type of a dead letter without a recorded cause.
_UNKNOWN_ERROR = "Unknown"


@dataclass(frozen=True, slots=True)
class Submission:
    """An accepted event. `key_given` says whether the key is the caller's own; `group_id` is its message's.

    `ordered` says that the queue is FIFO, which takes a key once in five minutes.
    """

    key: str
    key_given: bool
    checksum: str
    body: str
    payload: jsontext.JsonObject
    group_id: str = ""
    ordered: bool = False

    def message(self, message_id: str, *, submitted_at: str, correlation_id: str, trace_header: str) -> Outgoing:
        """The SQS message, named `message_id` in the send report."""
        attributes = {
            "idempotencyKey": Attribute("String", self.key),
            "submittedAt": Attribute("String", submitted_at),
            "errorTypeCandidate": Attribute("String", _UNKNOWN_ERROR),
            "correlationId": Attribute("String", correlation_id),
        }
        return Outgoing(
            message_id,
            self.body,
            attributes,
            trace_header=trace_header,
            group_id=self.group_id,
            deduplication_id=sqs_id(self.key) if self.ordered else "",
        )


def read(value: jsontext.Json, header_key: str | None = None, grouping: Grouping = UNGROUPED) -> Submission:
    """Reads one event; its key is the caller's (header or `idempotencyKey`), else the payload's SHA-256.

    The payload is the event without `idempotencyKey`.

    Raises:
        HttpError: 400 where it is not an event, the key is malformed or an ordered event has no group, 413 where SQS
            could not hold it.
    """
    try:
        event = model.validate(value)
        given = _given_key(event, header_key)
        payload = {name: item for name, item in event.items() if name != "idempotencyKey"}
        group_id = grouping.group_id(payload)
    except SchemaValidationError as exc:
        raise HttpError.invalid(exc) from exc
    body = jsontext.compact(payload)
    if len(body) > MAX_BODY_BYTES:
        raise HttpError(
            413, "PayloadTooLarge", f"an event may have {MAX_BODY_BYTES} bytes as ASCII JSON, got {len(body)}"
        )
    checksum = jsontext.checksum(payload)
    return Submission(given or checksum, bool(given), checksum, body, payload, group_id, grouping.ordered)


def _given_key(event: jsontext.JsonObject, header_key: str | None) -> str:
    in_body = event.get("idempotencyKey", "")
    if not isinstance(in_body, str):
        raise SchemaValidationError(Detail("/idempotencyKey", f"must be a string, got {jsontext.describe(in_body)}"))
    if header_key is not None and header_key != event.get("idempotencyKey", header_key):
        raise SchemaValidationError(Detail("/idempotencyKey", "differs from the Idempotency-Key header"))
    given = header_key is not None or "idempotencyKey" in event
    key = header_key or in_body
    if given and not claims.is_key(key):
        raise SchemaValidationError(Detail("/idempotencyKey", claims.KEY_LIMIT))
    return key
