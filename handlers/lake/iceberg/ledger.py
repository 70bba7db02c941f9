"""What tables have of chunks, and which chunks have something for them: the lake's own records of its tables.

A commit is numbered, each table by itself. A chunk's record is written after the commit that it tells of, and only over
that of an earlier commit; a table's mark says up to which commit all records are there. Records and marks name their
table by its UUID: what one table has, another of the same name has not. Nothing expires: a chunk may be worked again
when its message, its state record and the snapshot of its commit have long gone.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handlers import jsontext
from handlers.aws import retry
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.errors import DownstreamError
from handlers.lake.notes import NAME, NOTES, SCOPE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# By whether tables are in a table bucket, for what Glue has a table of, a bucket has not: the scope of tables' marks
# (that of chunks' records is a digest), and what comes before a type in the name of what its table has of a chunk.
MARKS = {False: "table", True: "table of bucket"}
_TYPES = {False: "in_", True: "bucket_"}
ADOPTED = "*"  # the mark of a lake that has adopted files whose chunks nobody knows any more
_AT_ONCE = 16
_MAX_KEYS = 100  # of a BatchGetItem
_CONDITION_FAILED = "ConditionalCheckFailedException"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a table has of a chunk that was worked at `at`: files, by their keys without `silver/<type>/`.

    `table` is its UUID, where the ledger says it.
    """

    chunk: str
    at: str
    files: tuple[str, ...]
    table: str = ""

    def as_json(self) -> list[jsontext.Json]:
        """As it stands in a table's property."""
        return [self.chunk, self.at, *self.files]

    @classmethod
    def of(cls, value: Sequence[str]) -> "Entry":
        """Reads what `as_json` gives."""
        chunk, at, *files = value
        return cls(chunk, at, tuple(files))


@dataclass(frozen=True, slots=True)
class Mark:
    """A table, by its UUID, and the number of its last commit all of whose records are there."""

    table: str
    number: int


@dataclass(frozen=True, slots=True)
class Note:
    """A chunk that a worker has worked, or was working when it died, by its idempotency key.

    `written` is what it has written, where there is no state record to look that up in.
    """

    name: str
    key: str
    chunk: str
    at: int  # ms since the epoch
    written: str = ""


class Ledger:
    """The records, in a DynamoDB table of their own; of the tables in Glue's catalog, or of those in a table bucket."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str, *, in_bucket: bool = False) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._marks, self._type = MARKS[in_bucket], _TYPES[in_bucket]

    def notes(self) -> Iterator[Note]:
        """Chunks that may have something for tables, page by page.

        Raises:
            DownstreamError: DynamoDB did not answer, or refused.
        """
        for item in self._scope(NOTES):
            written = item.get("written", {}).get("S", "")
            yield Note(item[NAME]["S"], item["key"]["S"], item["chunk"]["S"], int(item["at"]["N"]), written)

    def forget(self, notes: Collection[Note]) -> None:
        """Deletes notes, unless the chunk was noted again since.

        Raises:
            DownstreamError: DynamoDB refused one of them.
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(self._forget, notes):
                pass

    def entries(self, chunks: Sequence[str]) -> dict[str, dict[str, Entry]]:
        """What tables have of these chunks: by chunk, then by type.

        Raises:
            DownstreamError: DynamoDB did not give all of them.
        """
        found: dict[str, dict[str, Entry]] = {chunk: {} for chunk in chunks}
        names = list(found)
        for start in range(0, len(names), _MAX_KEYS):
            found |= map(self._entries, self._get([_key(chunk) for chunk in names[start : start + _MAX_KEYS]]))
        return found

    def content(self, digest: str) -> dict[str, dict[str, Entry]]:
        """What tables have of all that an object's content was cut into, however often: by chunk, then by type.

        Raises:
            DownstreamError: DynamoDB did not answer, or refused.
        """
        return dict(map(self._entries, self._scope(digest)))

    def files(self, record_type: str, table: str) -> Iterator[str]:
        """What the table of this UUID has of all chunks: files, by their keys without `silver/<type>/`.

        Reads the whole ledger. What a table had that is no longer there is not told.

        Raises:
            DownstreamError: DynamoDB did not answer, or refused.
        """
        name = self._type + record_type
        try:
            for page in self._dynamodb.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True):
                for item in page["Items"]:
                    if name in item and (entry := _entry("", item[name]["M"])).table == table:
                        yield from entry.files
        except AWS_ERRORS as exc:
            raise DownstreamError(f"the ledger did not answer: {error_code(exc)}") from exc

    def mark(self, record_type: str) -> Mark | None:
        """The mark of a type's table; None where nothing was committed to it, or somebody has deleted it.

        Raises:
            DownstreamError: DynamoDB did not answer, or refused.
        """
        (item, *_) = [*self._get([self._mark(record_type)]), {}]
        return Mark(item["table"]["S"], int(item["number"]["N"])) if item else None

    def types(self) -> Iterator[str]:
        """The types that a commit was made of.

        Raises:
            DownstreamError: DynamoDB did not answer, or refused.
        """
        yield from (name for item in self._scope(self._marks) if (name := item[NAME]["S"]) != ADOPTED)

    def enter(self, record_type: str, mark: Mark, entries: Sequence[Entry]) -> None:
        """Writes the records of the commit that `mark` names, then the mark; what a later commit has written stays.

        Raises:
            DownstreamError: DynamoDB did not take one of them.
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(lambda entry: self._put(record_type, mark, entry), entries):
                pass
        self._update(
            self._mark(record_type),
            "SET #number = :number, #table = :table",
            "attribute_not_exists(#number) OR #number < :number",
            {"#number": "number", "#table": "table"},
            {":number": {"N": str(mark.number)}, ":table": {"S": mark.table}},
        )

    def _put(self, record_type: str, mark: Mark, entry: Entry) -> None:
        value = {
            "number": {"N": str(mark.number)},
            "table": {"S": mark.table},
            "at": {"S": entry.at},
            "files": {"S": json.dumps(entry.files, separators=(",", ":"))},
        }
        self._update(
            _key(entry.chunk),
            "SET #type = :entry",
            "attribute_not_exists(#type) OR #type.#number < :number OR #type.#table <> :table",
            {"#type": self._type + record_type, "#number": "number", "#table": "table"},
            {":entry": {"M": value}, ":number": {"N": str(mark.number)}, ":table": {"S": mark.table}},
        )

    def _update(
        self, key: Mapping[str, Any], update: str, condition: str, names: Mapping[str, str], values: Mapping[str, Any]
    ) -> None:
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )
        except AWS_ERRORS as exc:
            if error_code(exc) != _CONDITION_FAILED:  # else it is there already, or a later one
                raise DownstreamError(f"the ledger did not take a record: {error_code(exc)}") from exc

    def _forget(self, note: Note) -> None:
        try:
            self._dynamodb.delete_item(
                TableName=self._table,
                Key={SCOPE: {"S": NOTES}, NAME: {"S": note.name}},
                ConditionExpression="#at = :at",
                ExpressionAttributeNames={"#at": "at"},
                ExpressionAttributeValues={":at": {"N": str(note.at)}},
            )
        except AWS_ERRORS as exc:
            if error_code(exc) != _CONDITION_FAILED:
                raise DownstreamError(f"the ledger did not delete a note: {error_code(exc)}") from exc

    def _mark(self, record_type: str) -> dict[str, Any]:
        return {SCOPE: {"S": self._marks}, NAME: {"S": record_type}}

    def _entries(self, item: Mapping[str, Any]) -> tuple[str, dict[str, Entry]]:
        """A chunk, and what each table has of it."""
        chunk = f"{item[SCOPE]['S']}/{item[NAME]['S']}"
        found = {name: value["M"] for name, value in item.items() if name.startswith(self._type)}
        return chunk, {name.removeprefix(self._type): _entry(chunk, value) for name, value in found.items()}

    def _scope(self, scope: str) -> Iterator[Mapping[str, Any]]:
        """All of a scope, page by page."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="#scope = :scope",
            ExpressionAttributeNames={"#scope": SCOPE},
            ExpressionAttributeValues={":scope": {"S": scope}},
            ConsistentRead=True,
        )
        try:
            for page in pages:
                yield from page["Items"]
        except AWS_ERRORS as exc:
            raise DownstreamError(f"the ledger did not answer: {error_code(exc)}") from exc

    def _get(self, keys: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        return read_all(self._dynamodb, self._table, keys)


def read_all(dynamodb: "DynamoDBClient", table: str, keys: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The items of at most 100 keys, those that there are.

    Raises:
        DownstreamError: DynamoDB did not give all of them.
    """
    wanted = list(keys)
    for _ in retry.attempts():
        try:
            answer = dynamodb.batch_get_item(RequestItems={table: {"Keys": wanted, "ConsistentRead": True}})
        except AWS_ERRORS as exc:
            raise DownstreamError(f"{table} did not answer: {error_code(exc)}") from exc
        yield from answer["Responses"].get(table, [])
        left: Mapping[str, Any] = answer.get("UnprocessedKeys", {}).get(table, {})
        if not left:
            return
        wanted = list(left["Keys"])
    raise DownstreamError(f"{table} did not give {len(wanted)} records")


def _key(chunk: str) -> dict[str, Any]:
    digest, _, span = chunk.partition("/")
    return {SCOPE: {"S": digest}, NAME: {"S": span}}


def _entry(chunk: str, value: Mapping[str, Any]) -> Entry:
    return Entry(chunk, value["at"]["S"], tuple(json.loads(value["files"]["S"])), value["table"]["S"])
