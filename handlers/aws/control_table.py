"""The control table: items under (`id`, `item`), conditional writes, transactions.

Values are strings, integers and booleans. A condition is `{attribute: value}`, all of which must hold; None asks for
the item's absence.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from handlers.aws import retry
from handlers.aws.clients import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")
Value = str | int | bool
Item = dict[str, Value]
Condition = Mapping[str, Value | None]
ABSENT: Condition = {"id": None}

_CONFLICTS = frozenset({"TransactionConflict", "TransactionConflictException"})
_CONDITION_FAILED = frozenset({"ConditionalCheckFailed", "ConditionalCheckFailedException"})
_ALL_OLD = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


class ConditionFailedError(Exception):
    """A write's condition does not hold; `items` are those that it failed on."""

    def __init__(self, items: list[Item]) -> None:
        super().__init__("the condition does not hold")
        self.items = items


@dataclass(frozen=True, slots=True)
class Key:
    """Where an item is."""

    id: str
    item: str

    def as_api(self) -> dict[str, dict[str, str]]:
        """As DynamoDB takes it."""
        return {"id": {"S": self.id}, "item": {"S": self.item}}


class ControlTable:
    """The table, and the three kinds of write as a transaction takes them."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self._name = name

    def get(self, key: Key) -> Item | None:
        """One item as it is now, or None."""
        answer = self._client.get_item(TableName=self._name, Key=key.as_api(), ConsistentRead=True)
        return _plain(answer["Item"]) if "Item" in answer else None

    def query(self, partition: str, first: str, last: str, *, page: int = 0) -> Iterator[Item]:
        """The items of a partition from `first` to `last` as they are now, read as they are wanted.

        `page` is how many a call asks for; 0 is as many as a call may hold (1 MB).
        """
        arguments: dict[str, Any] = {
            "TableName": self._name,
            "ConsistentRead": True,
            "KeyConditionExpression": "#id = :id AND #item BETWEEN :first AND :last",
            "ExpressionAttributeNames": {"#id": "id", "#item": "item"},
            "ExpressionAttributeValues": {":id": {"S": partition}, ":first": {"S": first}, ":last": {"S": last}},
        } | ({"Limit": page} if page else {})
        while True:
            answer = self._client.query(**arguments)
            yield from map(_plain, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def put(self, key: Key, values: Item, when: Condition, *, or_absent: bool = False) -> dict[str, Any]:
        """A write of a whole item; `or_absent` also makes it where there is none."""
        item = key.as_api() | {name: _attribute(value) for name, value in values.items()}
        return {"Put": {"TableName": self._name, "Item": item} | _ALL_OLD | _expressions({}, when, or_absent=or_absent)}

    def update(self, key: Key, values: Item, when: Condition) -> dict[str, Any]:
        """A write of some attributes."""
        return {"Update": {"TableName": self._name, "Key": key.as_api()} | _ALL_OLD | _expressions(values, when)}

    def delete(self, key: Key, when: Condition) -> dict[str, Any]:
        """The end of an item."""
        return {"Delete": {"TableName": self._name, "Key": key.as_api()} | _ALL_OLD | _expressions({}, when)}

    def write(self, *actions: dict[str, Any], mark: str = "") -> None:
        """Does all the writes or none; a lone one costs half of what it would in a transaction.

        A transaction that the SDK repeats, because its answer was lost, is done once (its client token says so). A
        lone write is refused then, by what it has changed itself. `mark` names an attribute whose value no other
        write gives: where the item has it, the write is done.

        Raises:
            ConditionFailedError: a condition does not hold.
        """
        if len(actions) > 1:
            _unless_in_conflict(lambda: self._client.transact_write_items(TransactItems=list(actions)))  # type: ignore[arg-type]
            return
        ((kind, arguments),) = actions[0].items()
        call: Callable[..., Any] = getattr(self._client, f"{kind.lower()}_item")
        try:
            _unless_in_conflict(lambda: call(**arguments))
        except ConditionFailedError as exc:
            if not mark or [item.get(mark) for item in exc.items] != [_written(arguments, mark)]:
                raise


def _written(arguments: Mapping[str, Any], name: str) -> Value:
    """The value that a write gives to an attribute."""
    value = arguments["Item"][name] if "Item" in arguments else arguments["ExpressionAttributeValues"][f":{name}"]
    return _plain({name: value})[name]


def _unless_in_conflict(call: Callable[[], T]) -> T:
    """Calls again where two transactions met; botocore does not."""
    last: Exception | None = None
    for _ in retry.attempts():
        try:
            return call()
        except ClientError as exc:
            codes = _reasons(exc)
            if codes & _CONDITION_FAILED:
                raise ConditionFailedError(_standing(exc)) from exc
            if not codes & _CONFLICTS:
                raise
            last = exc
    assert last is not None  # noqa: S101 - every pass returns, raises or notes why it failed
    raise last


def _reasons(exc: ClientError) -> set[str]:
    reasons: list[dict[str, Any]] = exc.response.get("CancellationReasons", [])  # type: ignore[assignment]
    return {error_code(exc), *(reason.get("Code", "") for reason in reasons)}


def _standing(exc: ClientError) -> list[Item]:
    response: dict[str, Any] = dict(exc.response)
    return [_plain(one["Item"]) for one in (response, *response.get("CancellationReasons", [])) if one.get("Item")]


def _expressions(values: Item, when: Condition, *, or_absent: bool = False) -> dict[str, Any]:
    """Every name is an alias, because some are reserved words."""
    sets = [f"#{name} = :{name}" for name in values]
    conditions = [
        f"attribute_not_exists(#{name})" if value is None else f"#{name} = :if_{name}" for name, value in when.items()
    ]
    wanted = {f":if_{name}": _attribute(value) for name, value in when.items() if value is not None}
    given = {f":{name}": _attribute(value) for name, value in values.items()} | wanted
    expressions: dict[str, Any] = {
        "ConditionExpression": ("attribute_not_exists(#id) OR " if or_absent else "") + " AND ".join(conditions),
        "UpdateExpression": "SET " + ", ".join(sets) if sets else "",
        "ExpressionAttributeNames": {f"#{name}": name for name in (*values, *when, *(("id",) if or_absent else ()))},
        "ExpressionAttributeValues": given,
    }
    return {name: value for name, value in expressions.items() if value}  # DynamoDB takes no empty ones


def _attribute(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    return {"N": str(value)} if isinstance(value, int) else {"S": value}


def _plain(item: Mapping[str, Mapping[str, Any]]) -> Item:
    return {name: int(value["N"]) if "N" in value else next(iter(value.values())) for name, value in item.items()}
