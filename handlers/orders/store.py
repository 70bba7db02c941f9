"""The orders table: an item an order, and an index of them, newest first.

The index is spread over shards, so that no partition takes all that is written; a page is merged from all of them. An
item is written by the event it came by, and only over an older one: what arrives late changes nothing.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handlers import clock, jsontext
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.errors import DownstreamError, IngestionError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PROCESSED = "PROCESSED"
FAILED = "FAILED"
INDEX = "newest"
SHARDS = ("0", "1", "2", "3")
_MAX_PAGE_CHARACTERS = 2 * 1024 * 1024  # of items; a function may answer 6 MB, in which JSON's quotes are escaped again
_POSITION = re.compile(r"[0-9T:.Z-]{24}#[A-Za-z0-9][A-Za-z0-9._~:@=+-]{0,127}")
_DIGEST_CHARACTERS = 8
_NEWER = "attribute_not_exists(orderId) OR eventId = :event OR createdAt < :created"
# An attempt that failed says nothing any more once another has got through.
_FAILED_ONLY = "attribute_not_exists(orderId) OR (eventId = :event AND #status = :failed) OR createdAt < :created"

Item = dict[str, Any]


class TokenError(ValueError):
    """A page token that this table did not make."""


@dataclass(frozen=True, slots=True)
class Page:
    """Orders, newest first; `token` leads to those after them, "" where there are none."""

    orders: list[jsontext.JsonObject]
    token: str


class Orders:
    """The orders table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def put(self, detail: jsontext.JsonObject) -> bool:
        """Writes an order as PROCESSED; False where a newer event has written it already.

        Raises:
            DownstreamError: DynamoDB did not take it.
        """
        return self._write(_item(detail, PROCESSED), _NEWER, {})

    def fail(self, detail: jsontext.JsonObject, error: IngestionError) -> bool:
        """Writes an order as FAILED with its cause; False where it, or a newer event, has been PROCESSED.

        Raises:
            DownstreamError: DynamoDB did not take it.
        """
        cause = {
            "errorType": {"S": error.error_type},
            "errorMessage": {"S": error.short_message or "-"},
        }
        return self._write(_item(detail, FAILED) | cause, _FAILED_ONLY, {":failed": {"S": FAILED}})

    def get(self, order_id: str) -> jsontext.JsonObject | None:
        """An order as it is now."""
        found = self._client.get_item(TableName=self._table, Key={"orderId": {"S": order_id}}, ConsistentRead=True)
        return _order(found["Item"]) if "Item" in found else None

    def page(self, limit: int, token: str) -> Page:
        """Up to `limit` orders, newest first; fewer where they are large.

        Raises:
            TokenError: this table did not make the token.
        """
        before = read_token(token) if token else ""
        items: list[Item] = []
        frontier = ""  # what is older than this may be missing: a shard has more
        for shard in SHARDS:
            found, complete = self._shard(shard, limit, before)
            items += found
            if not complete:
                frontier = max(frontier, found[-1]["createdAtId"]["S"])
        items.sort(key=lambda item: str(item["createdAtId"]["S"]), reverse=True)
        shown = _fitting([item for item in items if item["createdAtId"]["S"] >= frontier][:limit])
        more = len(shown) < len(items) or bool(frontier)
        return Page([_order(item) for item in shown], make_token(shown[-1]["createdAtId"]["S"]) if more else "")

    def _shard(self, shard: str, limit: int, before: str) -> tuple[Sequence[Item], bool]:
        """The newest of a shard's orders before a position, and whether these are all of them."""
        condition, values = "historyShard = :shard", {":shard": {"S": shard}}
        if before:
            condition, values = f"{condition} AND createdAtId < :before", values | {":before": {"S": before}}
        answer = self._client.query(
            TableName=self._table,
            IndexName=INDEX,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ScanIndexForward=False,
            Limit=limit,
        )
        return answer["Items"], "LastEvaluatedKey" not in answer or not answer["Items"]

    def _write(self, item: Item, condition: str, values: Item) -> bool:
        names = {"ExpressionAttributeNames": {"#status": "status"}} if "#status" in condition else {}
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression=condition,
                ExpressionAttributeValues={":event": item["eventId"], ":created": item["createdAt"], **values},
                **names,  # type: ignore[arg-type]
            )
        except AWS_ERRORS as exc:
            if error_code(exc) == "ConditionalCheckFailedException":
                return False
            raise DownstreamError(f"the orders table did not take an order: {error_code(exc)}") from exc
        return True


def make_token(position: str) -> str:
    """The token of a position in the index: opaque, and refused when it is altered."""
    return base64.urlsafe_b64encode(f"{_digest(position)}{position}".encode()).decode().rstrip("=")


def read_token(token: str) -> str:
    """The position that a token stands for.

    Raises:
        TokenError: this table did not make it.
    """
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as exc:
        raise TokenError(token) from exc
    position = text[_DIGEST_CHARACTERS:]
    if not _POSITION.fullmatch(position) or make_token(position) != token:
        raise TokenError(token)
    return position


def _digest(position: str) -> str:
    return hashlib.sha256(f"orders\n{position}".encode()).hexdigest()[:_DIGEST_CHARACTERS]


def _item(detail: Mapping[str, Any], status: str) -> Item:
    texts = {
        "orderId": detail["orderId"],
        "eventId": detail["eventId"],
        "status": status,
        "createdAt": detail["createdAt"],
        "processedAt": clock.iso(clock.now_ms()),
        "items": jsontext.compact(detail["items"]),  # as text: an order is read as a whole
        "historyShard": SHARDS[hashlib.sha256(detail["orderId"].encode()).digest()[0] % len(SHARDS)],
        "createdAtId": f"{detail['createdAt']}#{detail['orderId']}",
    }
    texts |= {"customerId": detail["customerId"]} if "customerId" in detail else {}
    return {name: {"S": text} for name, text in texts.items()}


def _order(item: Item) -> jsontext.JsonObject:
    plain: jsontext.JsonObject = {
        name: value["S"] for name, value in item.items() if name not in ("historyShard", "createdAtId")
    }
    return plain | {"items": jsontext.load(str(plain["items"]))}


def _fitting(items: Sequence[Item]) -> Sequence[Item]:
    """As many of them as an answer holds, and at least one."""
    size = 0
    for count, item in enumerate(items):
        size += sum(len(value["S"]) for value in item.values())
        if count and size > _MAX_PAGE_CHARACTERS:
            return items[:count]
    return items
