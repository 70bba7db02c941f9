"""The breaker's state as the control table keeps it, written by one invocation at a time."""

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from handlers.aws.clients import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

OPEN = "OPEN"
HALF_OPEN = "HALF_OPEN"
CLOSED = "CLOSED"


@dataclass(frozen=True, slots=True)
class State:
    """The breaker as it is kept. ``changed_at`` (last opened or closed) and ``lease_until`` (of a probe) in ms.

    ``key`` is the event that probes, ``probes`` counts those that failed.
    """

    name: str = CLOSED
    changed_at: int = 0
    key: str = ""
    probes: int = 0
    lease_until: int = 0
    version: int = 0


class LostRaceError(Exception):
    """Another invocation has changed the breaker since it was read: that one acts, this one leaves."""


class States:
    """The state of one pipeline's breaker."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str, pipeline: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._pipeline = pipeline

    def load(self) -> State:
        """The state as it is now; CLOSED where there is none yet.

        Raises:
            ClientError, BotoCoreError: DynamoDB would not tell.
        """
        answer = self._dynamodb.get_item(TableName=self._table, Key=self._item_key(), ConsistentRead=True)
        if (item := answer.get("Item")) is None:
            return State()
        numbers = {name: int(item[name]["N"]) for name in ("changedAt", "probes", "leaseUntil", "version")}
        return State(
            item["state"]["S"],
            numbers["changedAt"],
            item["key"]["S"],
            numbers["probes"],
            numbers["leaseUntil"],
            numbers["version"],
        )

    def save(self, state: State) -> State:
        """Writes a state over the version that it was derived from.

        The SDK repeats a write whose answer was lost. The repetition finds what the first has written, by its mark.

        Raises:
            LostRaceError: that version is no longer there.
        """
        saved = replace(state, version=state.version + 1)
        mark = {"S": uuid.uuid4().hex}
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=self._item_key()
                | {
                    "state": {"S": saved.name},
                    "changedAt": {"N": str(saved.changed_at)},
                    "key": {"S": saved.key},
                    "probes": {"N": str(saved.probes)},
                    "leaseUntil": {"N": str(saved.lease_until)},
                    "version": {"N": str(saved.version)},
                    "mark": mark,
                },
                ConditionExpression="attribute_not_exists(id) OR version = :read",
                ExpressionAttributeValues={":read": {"N": str(state.version)}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as exc:
            if error_code(exc) != "ConditionalCheckFailedException":
                raise
            standing: dict[str, Any] = dict(exc.response).get("Item") or {}  # type: ignore[assignment]
            if standing.get("mark") != mark:
                raise LostRaceError from exc
        return saved

    def _item_key(self) -> dict[str, Any]:
        return {"id": {"S": f"breaker#{self._pipeline}"}, "item": {"S": "state"}}
