"""What the state table knows of the keys on a dead-letter queue, read a hundred at a time."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handlers import clock
from handlers.aws import partiql
from handlers.control.redrive.run.errors import InterruptedRedriveError
from handlers.idempotency.claims import Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Longer keys are none of ours. DynamoDB takes 2,048 bytes, and one longer key would fail a whole read.
MAX_KEY = 512
_PROJECTION = (
    "idempotencyKey",
    "status",
    "checksum",
    "attempts",
    "messageId",
    "expiresAt",
    "errorType",
    "errorMessage",
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a key stood at one moment; any work on the key changes it."""

    status: str
    attempts: int
    message_id: str


@dataclass(frozen=True, slots=True)
class StateRecord:
    """A key's record, as far as a redrive wants to know."""

    snapshot: Snapshot
    checksum: str
    error_type: str = ""
    error_message: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the event is done."""
        return self.snapshot.status == Status.SUCCEEDED

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> "StateRecord":
        """Reads a DynamoDB item (attribute-value form)."""
        return cls(
            Snapshot(item["status"]["S"], int(item["attempts"]["N"]), item["messageId"]["S"]),
            item["checksum"]["S"],
            item.get("errorType", {}).get("S", ""),
            item.get("errorMessage", {}).get("S", ""),
        )


class States:
    """The state table, read only."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._table = partiql.Table(client, table, key="idempotencyKey")

    def lookup(self, keys: Iterable[str]) -> dict[str, StateRecord]:
        """The records of those keys that have one which has not expired.

        Raises:
            InterruptedRedriveError: DynamoDB would not tell.
        """
        wanted = sorted({key for key in keys if len(key) <= MAX_KEY})
        items, error = self._table.get_many(wanted, _PROJECTION) if wanted else ({}, "")
        if error:
            raise InterruptedRedriveError("BatchGetItem", error)
        now = clock.now_ms()
        alive = {key: item for key, item in items.items() if int(item["expiresAt"]["N"]) * 1000 > now}
        return {key: StateRecord.from_item(item) for key, item in alive.items()}
