"""From a caller's order to its event."""

import uuid
from dataclasses import dataclass

from handlers import jsontext
from handlers.aws import eventbridge
from handlers.errors import Detail, SchemaValidationError
from handlers.http.errors import HttpError
from handlers.idempotency import claims
from handlers.idempotency.claims import KeyRequest
from handlers.orders import message, model

DETAIL_TYPE = "OrderCreated"
SCHEMA_VERSION = "1.0"
MAX_ENTRY_BYTES = 256 * 1024  # of PutEvents: source, detail type and detail together
_OURS = uuid.UUID("6f1d1c5e-6a3b-5d0e-9c44-0c2f5b6d7a10")  # any; changing it changes what a caller's key stands for


@dataclass(frozen=True, slots=True)
class Submission:
    """An accepted order: the detail of its event. `key_given` says whether its ids follow from the caller's key."""

    detail: jsontext.JsonObject
    key_given: bool

    @property
    def event_id(self) -> str:
        """By which everything that follows is idempotent."""
        return str(self.detail["eventId"])

    @property
    def order_id(self) -> str:
        """The caller's, else a generated one."""
        return str(self.detail["orderId"])

    def event(self, report_id: str) -> eventbridge.Event:
        """The event, named `report_id` in the report of the call."""
        return eventbridge.Event(report_id, message.SOURCE, DETAIL_TYPE, self.detail)

    def reservation(self) -> KeyRequest:
        """The event's claim on its id, as the worker will put it: the body is what the worker reads the event from."""
        body: jsontext.JsonObject = {"source": message.SOURCE, "detail-type": DETAIL_TYPE, "detail": self.detail}
        checksum = jsontext.checksum(message.fact(self.detail))
        return KeyRequest(self.event_id, checksum, "", jsontext.compact(body))


def read(value: jsontext.Json, *, key: str | None, created_at: str) -> Submission:
    """Reads one order.

    Under the caller's `key` (the Idempotency-Key header; None without one) the event's id, and the order's where the
    caller gives none, follow from the key, so that a retry is the same event of the same order.

    Raises:
        HttpError: 400 where it is no order or the key is malformed, 413 where EventBridge could not take it.
    """
    try:
        order = model.validate(value)
        _check(key)
    except SchemaValidationError as exc:
        raise HttpError.invalid(exc) from exc
    detail: jsontext.JsonObject = {
        "schemaVersion": SCHEMA_VERSION,
        "eventId": _id("event", key),
        "orderId": order.get("orderId") or _id("order", key),
        "createdAt": created_at,
        **({"customerId": order["customerId"]} if "customerId" in order else {}),
        "items": order["items"],
    }
    size = len(jsontext.compact(detail)) + len(message.SOURCE) + len(DETAIL_TYPE)
    if size > MAX_ENTRY_BYTES:
        raise HttpError(413, "PayloadTooLarge", f"an order's event may have {MAX_ENTRY_BYTES} bytes, got {size}")
    return Submission(detail, key is not None)


def _check(key: str | None) -> None:
    if key is not None and not claims.is_key(key):
        raise SchemaValidationError(Detail("", f"the Idempotency-Key header {claims.KEY_LIMIT}"))


def _id(of: str, key: str | None) -> str:
    return str(uuid.uuid4() if key is None else uuid.uuid5(_OURS, f"{of}\n{key}"))
