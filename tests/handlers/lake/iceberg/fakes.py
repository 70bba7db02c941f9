"""The lake's AWS in memory with tables: a ledger beside the state table, and a catalog in SQLite."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import CommitTableResponse, Table

from handlers.lake.iceberg.fileio import S3FileIO
from tests.handlers.fakes import KEY, client_error, modelled
from tests.handlers.lake.fakes import FakeLake, Version

LEDGER, STATE, DATABASE = "ledger", "state", "lake"
# What an item says of the commit that has written it, by the condition of a write.
_NUMBERED: dict[str, Callable[[dict[str, Any], dict[str, str]], Any]] = {
    "attribute_not_exists(#number) OR #number < :number": lambda item, _names: {**item, "table": None},
    "attribute_not_exists(#type) OR #type.#number < :number OR #type.#table <> :table": lambda item, names: item.get(
        names["#type"], {}
    ).get("M", {}),
}


@dataclass
class FakeTables(FakeLake):
    """All clients of the worker and of the committer in one; `ledger` is by scope and name."""

    ledger: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    @modelled("s3")
    def get_object(self, *, Bucket: str, Key: str, **options: Any) -> dict[str, Any]:
        if not options.get("Range", "").startswith("bytes=-"):
            return super().get_object(Bucket=Bucket, Key=Key, **options)
        length = int(options["Range"].removeprefix("bytes=-"))

        def read() -> dict[str, Any]:
            kept = self.versions.get((Bucket, Key), [])
            if not kept:
                raise client_error("NoSuchKey", "GetObject")
            content = kept[-1].content
            start = max(0, len(content) - length)
            where = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return {"Body": io.BytesIO(content[start:]), "ContentRange": where}

        return self._call("GetObject", read)

    @modelled("s3")
    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **options: Any) -> dict[str, Any]:
        def put() -> dict[str, Any]:
            if options.get("IfNoneMatch") and self.versions.get((Bucket, Key)):
                raise client_error("PreconditionFailed", "PutObject")
            self.versions[Bucket, Key] = [Version("null", Body, {})]
            return {}

        return self._call("PutObject", put)

    @modelled("s3")
    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        def look() -> dict[str, Any]:
            kept = self.versions.get((Bucket, Key), [])
            if not kept:
                raise client_error("404", "HeadObject")
            return {"ContentLength": len(kept[-1].content)}

        return self._call("HeadObject", look)

    @modelled("dynamodb")
    def batch_get_item(self, *, RequestItems: dict[str, dict[str, Any]]) -> dict[str, Any]:
        ((table, request),) = RequestItems.items()
        if "ExpressionAttributeNames" in request:
            return super().batch_get_item(RequestItems=RequestItems)
        assert request["ConsistentRead"] is True
        assert 1 <= len(request["Keys"]) <= 100

        def read() -> dict[str, Any]:
            left = [key for key in request["Keys"] if self._failure("BatchGetItem", key)]
            wanted = [key for key in request["Keys"] if key not in left]
            if table == STATE:
                found = [self.items[key[KEY]["S"]] for key in wanted if key[KEY]["S"] in self.items]
            else:
                found = [self.ledger[_of(key)] for key in wanted if _of(key) in self.ledger]
            return {"Responses": {table: found}, "UnprocessedKeys": {table: {"Keys": left}} if left else {}}

        return self._call("BatchGetItem", read)

    @modelled("dynamodb")
    def put_item(self, *, TableName: str, Item: dict[str, Any]) -> dict[str, Any]:
        assert TableName == LEDGER

        def put() -> dict[str, Any]:
            self.ledger[_of(Item)] = Item
            return {}

        return self._call("PutItem", put)

    @modelled("dynamodb")
    def update_item(
        self,
        *,
        TableName: str,
        Key: dict[str, Any],
        UpdateExpression: str,
        ConditionExpression: str,
        ExpressionAttributeNames: dict[str, str],
        ExpressionAttributeValues: dict[str, Any],
    ) -> dict[str, Any]:
        assert TableName == LEDGER
        names, values = ExpressionAttributeNames, ExpressionAttributeValues

        def update() -> dict[str, Any]:
            item = self.ledger.get(_of(Key), {})
            standing = _NUMBERED[ConditionExpression](item, names)
            is_later = "number" in standing and int(standing["number"]["N"]) >= int(values[":number"]["N"])
            if is_later and standing["table"] in (None, values.get(":table")):
                raise client_error("ConditionalCheckFailedException", "UpdateItem")
            pairs = [one.split(" = ") for one in UpdateExpression.removeprefix("SET ").split(", ")]
            self.ledger[_of(Key)] = {**Key, **item, **{names[name]: values[value] for name, value in pairs}}
            return {}

        return self._call("UpdateItem", update)

    @modelled("dynamodb")
    def delete_item(
        self,
        *,
        TableName: str,
        Key: dict[str, Any],
        ConditionExpression: str,
        ExpressionAttributeNames: dict[str, str],
        ExpressionAttributeValues: dict[str, Any],
    ) -> dict[str, Any]:
        assert TableName == LEDGER
        assert (ConditionExpression, ExpressionAttributeNames) == ("#at = :at", {"#at": "at"})

        def delete() -> dict[str, Any]:
            if self.ledger.get(_of(Key), {}).get("at") != ExpressionAttributeValues[":at"]:
                raise client_error("ConditionalCheckFailedException", "DeleteItem")
            del self.ledger[_of(Key)]
            return {}

        return self._call("DeleteItem", delete)

    def get_paginator(self, operation: str) -> "_Query":
        """Of the ledger's query."""
        assert operation == "query"
        return _Query(self)

    @property
    def noted(self) -> set[str]:
        """The keys of chunks that are noted."""
        return {item["key"]["S"] for (scope, _), item in self.ledger.items() if scope == "noted"}


@dataclass
class _Query:
    aws: FakeTables

    def paginate(self, **params: Any) -> Iterator[dict[str, Any]]:
        wanted = params.pop("ExpressionAttributeValues")[":scope"]["S"]
        assert params == {
            "TableName": LEDGER,
            "KeyConditionExpression": "#scope = :scope",
            "ExpressionAttributeNames": {"#scope": "scope"},
            "ConsistentRead": True,
        }
        items = [item for (scope, _), item in sorted(self.aws.ledger.items()) if scope == wanted]
        for start in range(0, len(items), 2):
            yield self.aws._call("Query", partial(dict, Items=items[start : start + 2]))


class FakeCatalog(SqlCatalog):
    """A catalog whose commits count as calls of AWS, and fail or crash as they do; `between` runs before the next."""

    def __init__(self, aws: FakeTables, uri: str) -> None:
        super().__init__("lake", uri=uri, **{"py-io-impl": f"{S3FileIO.__module__}.{S3FileIO.__name__}"})
        self._aws = aws
        self.between: Callable[[], object] = lambda: None

    def commit_table(self, table: Table, requirements: Any, updates: Any) -> CommitTableResponse:
        between, self.between = self.between, lambda: None
        between()
        self._aws.calls.append("CommitTable")
        self._aws.before("CommitTable")
        answer = super().commit_table(table, requirements, updates)
        self._aws.after("CommitTable")
        return answer


def _of(key: dict[str, Any]) -> tuple[str, str]:
    return key["scope"]["S"], key["name"]["S"]
