"""State records of events, read from the table."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handlers.idempotency.keys import partition_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from ops.cli.target import Target

FINAL = frozenset({"SUCCEEDED", "FAILED"})
RETRYING = "RETRYING"  # FAILED for now: another attempt follows
_STANDING = {"#status": "status", "#final": "final"}  # what decides: both are reserved words of DynamoDB
_NEXT = "nextAttemptAt"
ABSENT = "UNKNOWN"  # no record yet
_READ_LIMIT = 100  # keys that BatchGetItem takes at once
_POLL_SECONDS = 0.1


def settle(
    target: Target,
    keys: Collection[str],
    seconds: float,
    advance: Callable[[int], None] = lambda _: None,
    *,
    pipeline: str = "events",
) -> dict[str, str]:
    """Key -> status of a pipeline's keys once all are final, or as they are when `seconds` have passed.

    RETRYING is a record between two attempts.
    """
    client = target.client("dynamodb")
    table = target.outputs["DynamoTableName"]
    statuses = dict.fromkeys(keys, ABSENT)
    deadline = time.monotonic() + seconds
    while open_keys := [key for key, status in statuses.items() if status not in FINAL]:
        found = dict(_read(client, table, {partition_key(pipeline, key): key for key in open_keys}))
        statuses |= found
        advance(sum(status in FINAL for status in found.values()))
        if time.monotonic() >= deadline:
            break
        if len(found) < len(open_keys) or any(status not in FINAL for status in found.values()):
            time.sleep(_POLL_SECONDS)
    return statuses


def one(client: Any, table: str, pipeline: str, key: str) -> dict[str, Any] | None:  # noqa: ANN401 - a boto3 client
    """The state record of a pipeline's key as it stands in the table; None where there is none."""
    item = client.get_item(TableName=table, Key={"idempotencyKey": {"S": partition_key(pipeline, key)}}).get("Item")
    return None if item is None else plain(item)


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item of DynamoDB without its types."""
    from boto3.dynamodb.types import TypeDeserializer  # noqa: PLC0415 - only a person who looks at one needs it

    read = TypeDeserializer().deserialize
    return {name: read(value) for name, value in item.items()}


@dataclass(frozen=True, slots=True)
class Census:
    """Status, or RETRYING -> number of records; and when the first of those between two attempts is due ("": none)."""

    counts: dict[str, int]
    next_attempt_at: str


def census(target: Target) -> Census:
    """Counts the records of all pipelines. Reads the whole table."""
    pages = (
        target.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=target.outputs["DynamoTableName"],
            ProjectionExpression=", ".join((*_STANDING, _NEXT)),
            ExpressionAttributeNames=_STANDING,
        )
    )
    counts, due = Counter[str](), list[str]()
    for item in (item for page in pages for item in page["Items"]):
        counts[status := _standing(item)] += 1
        if status == RETRYING and _NEXT in item:
            due.append(item[_NEXT]["S"])
    return Census(dict(counts), min(due, default=""))


def standing(status: str, *, final: bool) -> str:
    """The status of a record, which is RETRYING where it failed and is not final."""
    return RETRYING if status == "FAILED" and not final else status


def _standing(item: Mapping[str, Any]) -> str:
    # `final` is of the last failure; a record from before there was the attribute counts as final
    return standing(item.get("status", {}).get("S", ABSENT), final=item.get("final", {}).get("BOOL", True))


def _read(client: Any, table: str, keys: dict[str, str]) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a boto3 client, made by name
    """Key and status of those that have a record; the keys come by their places in the table."""
    for start in range(0, len(keys), _READ_LIMIT):
        wanted = [{"idempotencyKey": {"S": place}} for place in list(keys)[start : start + _READ_LIMIT]]
        request = {
            "Keys": wanted,
            "ProjectionExpression": ", ".join(("idempotencyKey", *_STANDING)),
            "ExpressionAttributeNames": _STANDING,
        }
        answer = client.batch_get_item(RequestItems={table: request})
        # What DynamoDB leaves unprocessed is asked for again in the next round.
        for item in answer["Responses"].get(table, []):
            yield keys[item["idempotencyKey"]["S"]], _standing(item)
