"""Events on EventBridge: at least once, each with an id that a repetition shares.

Limits (PutEvents API reference): 10 entries a call; a 200 answer lists failed entries one by one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handlers import jsontext
from handlers.aws import retry
from handlers.aws.clients import AWS_ERRORS, error_code

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

MAX_BATCH_ENTRIES = 10


@dataclass(frozen=True, slots=True)
class Event:
    """An event to put. `id` is the caller's name for it in the report."""

    id: str
    source: str
    detail_type: str
    detail: jsontext.JsonObject

    def as_api(self, bus: str) -> "PutEventsRequestEntryTypeDef":
        """As `PutEvents` takes it."""
        return {
            "EventBusName": bus,
            "Source": self.source,
            "DetailType": self.detail_type,
            "Detail": jsontext.compact(self.detail),
        }


def event_id(*parts: str | int) -> str:
    """An id that a repetition of the same event shares: 32 hex digits."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]


def put(client: "EventBridgeClient", bus: str, events: Sequence[Event]) -> dict[str, str]:
    """Puts events; returns the error code of each that EventBridge did not take after 3 tries, by its id."""
    failed: dict[str, str] = {}
    for start in range(0, len(events), MAX_BATCH_ENTRIES):
        pending = list(events[start : start + MAX_BATCH_ENTRIES])
        codes: dict[str, str] = {}
        for _ in retry.attempts():
            codes = _put_once(client, bus, pending)
            pending = [event for event in pending if event.id in codes]
            if not pending:
                break
        failed |= codes
    return failed


def _put_once(client: "EventBridgeClient", bus: str, events: list[Event]) -> dict[str, str]:
    try:
        answer = client.put_events(Entries=[event.as_api(bus) for event in events])
    except AWS_ERRORS as exc:
        return {event.id: error_code(exc) for event in events}
    if not answer["FailedEntryCount"]:
        return {}
    return {
        event.id: entry["ErrorCode"]
        for event, entry in zip(events, answer["Entries"], strict=True)
        if entry.get("ErrorCode")
    }
