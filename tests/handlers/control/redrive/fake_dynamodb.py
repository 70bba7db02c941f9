"""DynamoDB in memory for the control and the state table: exactly the calls and expressions that the redrive makes.

`test_runs` runs the same code on moto's DynamoDB as well, which reads the expressions as AWS does.
"""

import re
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

Item = dict[str, Any]
_MAX_ITEM_BYTES = 400 * 1024
_PART = re.compile(r"attribute_not_exists\((?P<absent>#\w+)\)|(?P<name>#\w+) = (?P<value>:\w+)")


def _identity(key: Item) -> tuple[str, ...]:
    names = ("id", "item") if "id" in key else ("idempotencyKey",)
    return tuple(key[name]["S"] for name in names)


@dataclass
class FakeDynamoDB:
    """Tables by name, items by key."""

    tables: dict[str, dict[tuple[str, ...], Item]] = field(default_factory=dict)

    def create_table(self, *, TableName: str, **_schema: Any) -> None:
        self.tables[TableName] = {}

    def scan(self, *, TableName: str) -> Item:
        return {"Items": list(self.tables[TableName].values())}

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool) -> Item:
        assert ConsistentRead
        item = self.tables[TableName].get(_identity(Key))
        return {"Item": deepcopy(item)} if item else {}

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> Item:
        ((table, request),) = RequestItems.items()
        keys = [_identity(key) for key in request["Keys"]]
        assert len(set(keys)) == len(keys) <= 100
        assert all(len(key[0].encode()) <= 2048 for key in keys)
        return {"Responses": {table: [self.tables[table][key] for key in keys if key in self.tables[table]]}}

    def query(self, *, TableName: str, ExpressionAttributeValues: Item, Limit: int = 1000, **arguments: Any) -> Item:
        assert arguments["KeyConditionExpression"] == "#id = :id AND #item BETWEEN :first AND :last"
        partition, first, last = (ExpressionAttributeValues[name]["S"] for name in (":id", ":first", ":last"))
        after = _identity(arguments["ExclusiveStartKey"])[1] if "ExclusiveStartKey" in arguments else ""
        found = sorted(
            (key, item)
            for key, item in self.tables[TableName].items()
            if key[0] == partition and first <= key[1] <= last and key[1] > after
        )
        page: Item = {"Items": deepcopy([item for _, item in found[:Limit]])}
        if len(found) > Limit:
            page["LastEvaluatedKey"] = {name: found[Limit - 1][1][name] for name in ("id", "item")}
        return page

    def put_item(self, **write: Any) -> Item:
        return self._write("Put", write)

    def update_item(self, **write: Any) -> Item:
        return self._write("Update", write)

    def delete_item(self, **write: Any) -> Item:
        return self._write("Delete", write)

    def transact_write_items(self, *, TransactItems: list[dict[str, Item]]) -> Item:
        writes = [next(iter(item.items())) for item in TransactItems]
        places = [_identity(write.get("Item") or write["Key"]) for _, write in writes]
        assert len(set(places)) == len(places) <= 100
        reasons = [self._reason(write) for _, write in writes]
        if any(reason["Code"] != "None" for reason in reasons):
            answer: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise ClientError(answer, "TransactWriteItems")
        for kind, write in writes:
            self._apply(kind, write)
        return {}

    def _write(self, kind: str, write: Item) -> Item:
        reason = self._reason(write)
        if reason["Code"] != "None":
            answer: Any = {"Error": {"Code": "ConditionalCheckFailedException"}, "Item": reason.get("Item")}
            raise ClientError(answer, kind)
        self._apply(kind, write)
        return {}

    def _reason(self, write: Item) -> Item:
        """Why a write is refused, as a cancelled transaction says it."""
        item = self.tables[write["TableName"]].get(_identity(write.get("Item") or write["Key"]), {})
        if all(self._holds(part, item, write) for part in write.get("ConditionExpression", "").split(" AND ") if part):
            return {"Code": "None"}
        shown = write.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and item
        return {"Code": "ConditionalCheckFailed"} | ({"Item": deepcopy(item)} if shown else {})

    @staticmethod
    def _holds(part: str, item: Item, write: Item) -> bool:
        match = _PART.fullmatch(part)
        assert match, part
        names = write["ExpressionAttributeNames"]
        if match["absent"]:
            return names[match["absent"]] not in item
        return bool(item.get(names[match["name"]]) == write["ExpressionAttributeValues"][match["value"]])

    def _apply(self, kind: str, write: Item) -> None:
        table = self.tables[write["TableName"]]
        if kind == "Put":
            assert len(str(write["Item"]).encode()) < _MAX_ITEM_BYTES
            table[_identity(write["Item"])] = deepcopy(write["Item"])
            return
        if kind == "Delete":
            table.pop(_identity(write["Key"]), None)
            return
        item = table.setdefault(_identity(write["Key"]), dict(write["Key"]))
        for change in write["UpdateExpression"].removeprefix("SET ").split(", "):
            name, _, value = change.partition(" = ")
            item[write["ExpressionAttributeNames"][name]] = write["ExpressionAttributeValues"][value]
