"""What the messages of the orders queue hold: EventBridge events, whose payload is their `detail`."""

import uuid

from handlers import jsontext
from handlers.errors import Detail, SchemaValidationError
from handlers.idempotency import claims
from handlers.worker.messages import Form

SOURCE = "myapp.orders"


def fact(detail: jsontext.JsonObject) -> jsontext.JsonObject:
    """The detail of an event without the time of its creation, which a repetition does not share."""
    return {name: value for name, value in detail.items() if name != "createdAt"}


def _detail(event: jsontext.JsonObject) -> jsontext.JsonObject:
    detail = event.get("detail")
    if not isinstance(detail, dict):
        raise SchemaValidationError(Detail("/detail", f"must be an object, got {jsontext.describe(detail)}"))
    return detail


def _event_id(detail: jsontext.JsonObject) -> str:
    found = detail.get("eventId")
    return found if isinstance(found, str) and claims.is_key(found) else ""


def _follows_from_a_key(event_id: str, _checksum: str, _attributes: object) -> bool:
    """Whether the orders API has made the id of a caller's key, which it has reserved then; others are random."""
    try:
        return uuid.UUID(event_id).version == 5
    except ValueError:
        return False


FORM = Form(payload=_detail, key=_event_id, fact=fact, binds=_follows_from_a_key)
