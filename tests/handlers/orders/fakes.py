"""The AWS in memory, and with it the orders table: its conditions are read clause by clause, not guessed."""

import re
from dataclasses import dataclass, field
from typing import Any

from tests.handlers.fakes import FakeAws, client_error, modelled

ORDERS = "orders-table"
_CLAUSE = re.compile(r"(?P<name>#?\w+) (?P<operator>[=<]) (?P<value>:\w+)")


@dataclass
class FakeOrdersAws(FakeAws):
    """`FakeAws`, the orders table and the bus's description. Pass it as every client."""

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    page_items: int = 1_000_000  # what a query reads of a partition at most, as DynamoDB's 1 MB does

    @modelled("dynamodb")
    def put_item(
        self,
        *,
        TableName: str,
        Item: dict[str, Any],
        ConditionExpression: str,
        ExpressionAttributeValues: dict[str, Any],
        ExpressionAttributeNames: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Writes an order where the condition holds."""
        assert TableName == ORDERS

        def put() -> dict[str, Any]:
            order_id = Item["orderId"]["S"]
            found = self.orders.get(order_id)
            if not _holds(ConditionExpression, found, ExpressionAttributeValues, ExpressionAttributeNames or {}):
                raise client_error("ConditionalCheckFailedException", "PutItem")
            self.orders[order_id] = Item
            return {}

        return self._call("PutItem", put)

    @modelled("dynamodb")
    def get_item(self, *, TableName: str, Key: dict[str, Any], ConsistentRead: bool) -> dict[str, Any]:
        """Reads an order, or a state record."""
        if TableName != ORDERS:
            return super().get_item(TableName=TableName, Key=Key, ConsistentRead=ConsistentRead)
        assert ConsistentRead
        item = self.orders.get(Key["orderId"]["S"])
        return self._call("GetItem", lambda: {"Item": item} if item else {})

    @modelled("dynamodb")
    def query(
        self,
        *,
        TableName: str,
        IndexName: str,
        KeyConditionExpression: str,
        ExpressionAttributeValues: dict[str, Any],
        ScanIndexForward: bool,
        Limit: int,
    ) -> dict[str, Any]:
        """Reads a shard of the index, backwards."""
        assert (TableName, IndexName, ScanIndexForward) == (ORDERS, "newest", False)
        conditions = {"historyShard = :shard", "historyShard = :shard AND createdAtId < :before"}
        assert KeyConditionExpression in conditions

        def read() -> dict[str, Any]:
            shard, before = ExpressionAttributeValues[":shard"], ExpressionAttributeValues.get(":before", {"S": "~"})
            rows = [row for row in self.orders.values() if row["historyShard"] == shard]
            rows = [row for row in rows if row["createdAtId"]["S"] < before["S"]]
            rows.sort(key=lambda row: str(row["createdAtId"]["S"]), reverse=True)
            size = min(Limit, self.page_items)
            more = {"LastEvaluatedKey": {"orderId": rows[size - 1]["orderId"]}} if len(rows) > size else {}
            return {"Items": rows[:size], **more}

        return self._call("Query", read)

    @modelled("events")
    def describe_event_bus(self, *, Name: str) -> dict[str, Any]:
        """The bus is there."""
        return self._call("DescribeEventBus", lambda: {"Name": Name})


def _holds(condition: str, item: dict[str, Any] | None, values: dict[str, Any], names: dict[str, str]) -> bool:
    return any(_all_hold(part.strip("() "), item, values, names) for part in condition.split(" OR "))


def _all_hold(part: str, item: dict[str, Any] | None, values: dict[str, Any], names: dict[str, str]) -> bool:
    if part.startswith("attribute_not_exists"):
        return item is None
    return all(_clause(text, item or {}, values, names) for text in part.split(" AND "))


def _clause(text: str, item: dict[str, Any], values: dict[str, Any], names: dict[str, str]) -> bool:
    match = _CLAUSE.fullmatch(text)
    assert match, text
    found, wanted = item.get(names.get(match["name"], match["name"])), values[match["value"]]
    if found is None:
        return False
    return bool(found["S"] < wanted["S"]) if match["operator"] == "<" else found == wanted
