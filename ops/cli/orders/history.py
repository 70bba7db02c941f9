"""What has become of each event of an order: the orders table has the newest alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.cli import records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_COLUMNS = ("status", "final", "payload", "result", "attempts", "processedAt", "errorType", "errorMessage")
_NAMES = {f"#{name}": name for name in _COLUMNS}


@dataclass(frozen=True, slots=True)
class Version:
    """An event of an order by its state record. `outcome` is SUPERSEDED where a newer one was done first."""

    event_id: str
    created_at: str
    outcome: str
    attempts: int
    processed_at: str
    error: str
    items: Sequence[Mapping[str, Any]]


def versions(dynamodb: Any, table: str, order_id: str) -> list[Version]:  # noqa: ANN401 - a boto3 client, made by name
    """The events of an order, the newest first, as long as their records live. Reads the whole state table."""
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="pipeline = :pipeline AND contains(#payload, :id)",
        ExpressionAttributeValues={":pipeline": {"S": "orders"}, ":id": {"S": json.dumps(order_id)}},
        ProjectionExpression=", ".join(_NAMES),
        ExpressionAttributeNames=_NAMES,
    )
    found = [_version(records.plain(item), order_id) for page in pages for item in page["Items"]]
    return sorted(filter(None, found), key=lambda one: one.created_at, reverse=True)


def outcome(record: Mapping[str, Any]) -> str:
    """What has become of an event: its status, RETRYING between two attempts, SUPERSEDED by a newer one."""
    status = records.standing(record["status"], final=record.get("final", True))
    result = json.loads(record.get("result") or "{}")
    return "SUPERSEDED" if status == "SUCCEEDED" and result.get("superseded") else status


def _version(record: Mapping[str, Any], order_id: str) -> Version | None:
    """None where the text stands for something else than the order's id; the payload is the event of EventBridge."""
    detail = json.loads(record["payload"]).get("detail")
    if not isinstance(detail, dict) or detail.get("orderId") != order_id:
        return None
    return Version(
        event_id=str(detail.get("eventId", "")),
        created_at=str(detail.get("createdAt", "")),
        outcome=outcome(record),
        attempts=int(record.get("attempts", 0)),
        processed_at=record.get("processedAt", ""),
        error=f"{record['errorType']}: {record.get('errorMessage', '')}" if "errorType" in record else "",
        items=detail.get("items", []),
    )
