"""Conditional writes of many items in one call: DynamoDB's BatchExecuteStatement.

Rules (DynamoDB developer guide, PartiQL): at most 25 statements, all of them writes, one statement per item; each has
its own `Error` in a 200 answer, throttling included. A normal write is what each costs.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from handlers.aws import retry
from handlers.aws.clients import AWS_ERRORS, error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef

DUPLICATE = "DuplicateItem"
CONDITION_FAILED = "ConditionalCheckFailed"

Statement = dict[str, Any]
_MAX_STATEMENTS = 25
_MAX_KEYS = 100
# Per-statement codes that say "not now" (API reference, BatchStatementError).
_AGAIN = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "ThrottlingError",
        "InternalServerError",
        "TransactionConflict",
    }
)


def _value(value: str | int) -> dict[str, str | bool]:  # a truth value is an integer, too
    if isinstance(value, bool):
        return {"BOOL": value}
    return {"N": str(value)} if isinstance(value, int) else {"S": value}


@cache
def _insert(table: str, names: tuple[str, ...]) -> str:
    fields = ", ".join(f"'{name}': ?" for name in names)
    return f'INSERT INTO "{table}" VALUE {{{fields}}}'


@cache
def _update(table: str, values: tuple[str, ...], remove: tuple[str, ...], where: tuple[str, ...]) -> str:
    sets = " ".join(f'SET "{name}"=?' for name in values)
    removes = " ".join(f'REMOVE "{name}"' for name in remove)
    conditions = " AND ".join(f'"{name}"=?' for name in where)
    return f'UPDATE "{table}" {sets} {removes} WHERE {conditions}'


class Table:
    """A table with a string partition key and no sort key; values are strings, integers and truth values."""

    def __init__(self, client: "DynamoDBClient", name: str, *, key: str) -> None:
        self._client = client
        self._name = name
        self._key = key

    def insert(self, key: str, values: Mapping[str, str | int]) -> Statement:
        """A statement that makes an item, or fails with `DUPLICATE` where the key exists."""
        return {
            "Statement": _insert(self._name, (self._key, *values)),
            "Parameters": [_value(value) for value in (key, *values.values())],
        }

    def update(
        self, key: str, values: Mapping[str, str | int], *, where: Mapping[str, str | int], remove: Sequence[str] = ()
    ) -> Statement:
        """A statement that changes an item whose attributes equal `where`, or fails with `CONDITION_FAILED`."""
        return {
            "Statement": _update(self._name, tuple(values), tuple(remove), (self._key, *where)),
            "Parameters": [_value(value) for value in (*values.values(), key, *where.values())],
        }

    def write(self, statements: Sequence[Statement]) -> list[str]:
        """Executes write statements, 25 a call; returns the error code of each, "" where it was written.

        Throttled statements are tried again, up to 3 times. Raises nothing of AWS's: a call that failed as a whole
        gives its code to each of its statements, which may have been written all the same.
        """
        codes: list[str] = []
        for start in range(0, len(statements), _MAX_STATEMENTS):
            codes += self._write_chunk(statements[start : start + _MAX_STATEMENTS])
        return codes

    def _write_chunk(self, statements: Sequence[Statement]) -> list[str]:
        codes = [""] * len(statements)
        pending = list(range(len(statements)))
        for _ in retry.attempts():
            answers = self._write_once([statements[i] for i in pending])
            for i, code in zip(pending, answers, strict=True):
                codes[i] = code
            pending = [i for i in pending if codes[i] in _AGAIN]
            if not pending:
                break
        return codes

    def _write_once(self, statements: "Sequence[BatchStatementRequestTypeDef | Statement]") -> list[str]:
        try:
            answer = self._client.batch_execute_statement(Statements=statements)  # type: ignore[arg-type]
        except AWS_ERRORS as exc:
            return [error_code(exc)] * len(statements)
        return [(response.get("Error") or {}).get("Code", "") for response in answer["Responses"]]

    def get(self, key: str) -> dict[str, Any] | None:
        """One item as it is now (strongly consistent), or None.

        Raises:
            ClientError, BotoCoreError: the read failed.
        """
        answer = self._client.get_item(TableName=self._name, Key={self._key: {"S": key}}, ConsistentRead=True)
        return answer.get("Item")

    def get_many(self, keys: Sequence[str], attributes: Sequence[str]) -> tuple[dict[str, dict[str, Any]], str]:
        """The named attributes of items as they are now, by key, and the error code of what could not be read.

        DynamoDB may leave keys unprocessed; they are asked for again, up to 3 times.
        """
        items: dict[str, dict[str, Any]] = {}
        for start in range(0, len(keys), _MAX_KEYS):
            pending: Sequence[str] = keys[start : start + _MAX_KEYS]
            for _ in retry.attempts():
                try:
                    found, pending = self._get_once(pending, attributes)
                except AWS_ERRORS as exc:
                    return items, error_code(exc)
                items |= found
                if not pending:
                    break
            else:
                return items, "UnprocessedKeys"
        return items, ""

    def _get_once(
        self, keys: Sequence[str], attributes: Sequence[str]
    ) -> tuple[dict[str, dict[str, Any]], Sequence[str]]:
        names = {f"#{i}": attribute for i, attribute in enumerate(attributes)}  # `status` is a reserved word
        answer = self._client.batch_get_item(
            RequestItems={
                self._name: {
                    "Keys": [{self._key: {"S": key}} for key in keys],
                    "ConsistentRead": True,
                    "ProjectionExpression": ", ".join(names),
                    "ExpressionAttributeNames": names,
                }
            }
        )
        found = {item[self._key]["S"]: item for item in answer["Responses"].get(self._name, [])}
        unprocessed = answer.get("UnprocessedKeys", {})
        left = unprocessed[self._name]["Keys"] if self._name in unprocessed else []
        return found, [key[self._key]["S"] for key in left]
