"""What the lake has written down of its work: a record for each object and for each chunk, read page by page."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from handlers.errors import SchemaValidationError
from handlers.idempotency.keys import partition_key
from handlers.lake.message import Chunk
from ops.cli.records import standing
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ops.cli.target import Target

DONE = "SUCCEEDED"
PIPELINE = "lake"
_COLUMNS = ("idempotencyKey", "status", "final", "payload", "result", "processedAt", "errorType", "errorMessage")
_NAMES = {f"#{name}": name for name in _COLUMNS}


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """An object that ingest has taken up: it was cut into so many `chunks`, if it is done."""

    identity: str
    key: str
    etag: str
    status: str
    chunks: int
    error: str = ""  # of the last attempt, where it failed

    @property
    def content_id(self) -> str:
        """What identifies its bytes, in every replay."""
        return self.identity.rpartition("#")[2].partition("~")[0]


@dataclass(frozen=True, slots=True)
class ChunkRecord:
    """A chunk that was worked, or is being worked; what it has written, once it is `DONE`."""

    name: str
    chunk: Chunk
    status: str
    processed_at: str
    silver: int = 0
    quarantined: int = 0
    files: Mapping[str, int] = field(default_factory=dict)  # key -> rows
    quarantine: tuple[str, ...] = ()
    parts: int = 0  # further messages that work the rest of the chunk
    error: str = ""  # of the last attempt, where it failed

    @property
    def span(self) -> tuple[str, int, int]:
        """Which bytes of which content: the same for each time that they are worked."""
        return self.chunk.source.digest, self.chunk.start, self.chunk.end

    @property
    def run(self) -> str:
        """Which time it is that these bytes are worked: the chunk and its parts share it."""
        return replace(self.chunk, part=None).key

    @property
    def written(self) -> set[str]:
        """Keys of all that it has written."""
        return {*self.files, *self.quarantine}


def records(found: Target, dynamodb: Any = None) -> Iterator[ObjectRecord | ChunkRecord]:  # noqa: ANN401
    """Every record of the lake. Reads the whole table, which costs money on AWS.

    `dynamodb` is a client of the stack; left out, one is made.

    Raises:
        LabError: a record of work that was done is none that this version of `lab` can read.
    """
    pages = (
        (dynamodb or found.client("dynamodb"))
        .get_paginator("scan")
        .paginate(
            TableName=found.outputs["DynamoTableName"],
            FilterExpression="pipeline = :pipeline",
            ExpressionAttributeValues={":pipeline": {"S": PIPELINE}},
            ProjectionExpression=", ".join(_NAMES),
            ExpressionAttributeNames=_NAMES,
            ConsistentRead=True,
        )
    )
    for page in pages:
        yield from filter(None, map(_read, page["Items"]))


def record(found: Target, name: str, dynamodb: Any = None) -> ObjectRecord | ChunkRecord | None:  # noqa: ANN401
    """The record of an object or a chunk by its idempotency key, None where there is none."""
    answer = (dynamodb or found.client("dynamodb")).get_item(
        TableName=found.outputs["DynamoTableName"],
        Key={"idempotencyKey": {"S": partition_key(PIPELINE, name)}},
        ConsistentRead=True,
    )
    return _read(answer["Item"]) if "Item" in answer else None


def _read(item: Mapping[str, Mapping[str, Any]]) -> ObjectRecord | ChunkRecord | None:
    """None for a message that was no chunk, of which nothing was written but its dead letter."""
    name = item["idempotencyKey"]["S"].removeprefix(f"{PIPELINE}/")
    status = standing(item["status"]["S"], final=item.get("final", {}).get("BOOL", True))
    cause = f"{item['errorType']['S']}: {item.get('errorMessage', {}).get('S', '')}" if "errorType" in item else ""
    try:
        payload = json.loads(item["payload"]["S"])
        result = json.loads(item["result"]["S"]) if status == DONE else {}
        if "chunkBytes" in payload:
            return ObjectRecord(name, payload["key"], payload["etag"], status, result.get("chunks", 0), cause)
        return ChunkRecord(
            name,
            Chunk.from_payload(payload),
            status,
            item.get("processedAt", {}).get("S", ""),
            result.get("silver", 0),
            result.get("quarantined", 0),
            {file["key"]: file["rows"] for file in result.get("files", [])},
            tuple(result.get("quarantine", [])),
            result.get("parts", 0),
            cause,
        )
    except (KeyError, TypeError, ValueError, SchemaValidationError) as error:
        if status != DONE:
            return None
        raise LabError(
            f"the state record {name} is none that this version of lab can read ({error!r}): use the version of the"
            " deployed stack"
        ) from error
