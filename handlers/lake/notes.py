"""Notes for the committer of tables: which chunks have been worked, or were when their worker died.

A note is there before its chunk is done, so no crash leaves a finished chunk out; whether it is done, and what files it
has, is in the chunk's state record. The committer deletes a note when the chunk's files are part of their tables.
"""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handlers import clock
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.errors import DownstreamError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCOPE, NAME = "scope", "name"  # the table's keys
NOTES = "noted"  # the scope of notes


@dataclass(frozen=True, slots=True)
class Notes:
    """Notes in the ledger of a lake's tables."""

    dynamodb: "DynamoDBClient"
    table: str

    def take(self, key: str, chunk: str, written: str = "") -> None:
        """Notes a chunk by its idempotency key, over an earlier note of it; `chunk` is the same in each replay.

        `written` is what it has written, for one that has no state record.

        Raises:
            DownstreamError: DynamoDB did not take it.
        """
        item = {
            SCOPE: {"S": NOTES},
            NAME: {"S": hashlib.sha256(key.encode()).hexdigest()},  # a key may be longer than DynamoDB's sort keys
            "key": {"S": key},
            "chunk": {"S": chunk},
            "at": {"N": str(clock.now_ms())},
            **({"written": {"S": written}} if written else {}),
        }
        try:
            self.dynamodb.put_item(TableName=self.table, Item=item)
        except AWS_ERRORS as exc:
            raise DownstreamError(f"the ledger of tables did not take a note: {error_code(exc)}") from exc
