"""Whether the days of silver are what their types expect of them; a verdict is written down beside silver.

Nothing is moved or deleted: a day that fails is marked, by `gate/TYPE/dt=DAY.json` and by an event on the bus.
"""

import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from handlers import jsontext
from handlers.aws import eventbridge
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.errors import DownstreamError, SchemaValidationError
from handlers.lake import store
from handlers.lake.errors import DayNotCheckedError
from handlers.lake.expectations import Expectations
from handlers.lake.message import Chunk
from handlers.lake.model import EVENT_TIME
from handlers.lake.partition import Partition

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client

SOURCE = "myapp.lake"
CHECKED = "SilverPartitionChecked"
PIPELINE = "lake"
PREFIX = "gate/"
_DONE = "SUCCEEDED"
_RECORD = {f"#{name}": name for name in ("pipeline", "status", "payload", "result", "processedAt")}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a check may take: files of a day, and bytes of the columns that are held in memory."""

    files: int
    held_bytes: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a day: `findings` is empty where it is as expected, `rows` None where they were not counted."""

    type: str
    dt: str
    inputs: str  # which files were checked
    rows: int | None
    findings: tuple[str, ...]
    checked_at: str

    @property
    def passed(self) -> bool:
        """Whether it is as expected."""
        return not self.findings

    def as_json(self) -> jsontext.JsonObject:
        """As it is written down, and told."""
        return {
            "type": self.type,
            "dt": self.dt,
            "passed": self.passed,
            "rows": self.rows,
            "findings": list(self.findings),
            "inputs": self.inputs,
            "checkedAt": self.checked_at,
        }


@dataclass(frozen=True, slots=True)
class Place:
    """Where a lake has what is read and written: names as AWS knows them."""

    silver_bucket: str
    state_table: str
    bus: str


class Gate:
    """Checks days, writes verdicts down, and tells them. `limits` are none for who waits for the result."""

    def __init__(
        self,
        s3: "S3Client",
        dynamodb: "DynamoDBClient",
        events: "EventBridgeClient",
        place: Place,
        limits: Limits | None = None,
    ) -> None:
        self._s3 = s3
        self._dynamodb = dynamodb
        self._events = events
        self._place = place
        self._limits = limits
        self._shares: Mapping[str, tuple[int, int]] | None = None

    def verdict(self, day: Partition) -> dict[str, Any] | None:
        """The one that was written down for exactly these files; None where there is none.

        Raises:
            DownstreamError: S3 did not answer, or refused.
        """
        try:
            body = self._s3.get_object(Bucket=self._place.silver_bucket, Key=_key(day))["Body"].read()
        except AWS_ERRORS as exc:
            if (code := error_code(exc)) in {"NoSuchKey", "404"}:
                return None
            raise DownstreamError(f"S3 did not give {_key(day)}: {code}") from exc
        found: dict[str, Any] = json.loads(body)
        return found if found.get("inputs") == day.inputs else None

    def check(self, day: Partition, wanted: Expectations, now: datetime, *, is_last: bool) -> Verdict:
        """Check a day, the last one of its type or not; its columns that are asked for are held in memory.

        Raises:
            DayNotCheckedError: a file or a record can't be read.
        """
        try:
            table = self._read(day, {*wanted.unique, *wanted.bounds, EVENT_TIME})
        except _TooLargeError as exc:  # what is not known has not passed
            return Verdict(day.type, day.dt, day.inputs, None, (f"not checked: {exc}",), now.isoformat())
        findings = [*_unique(table, wanted.unique), *_bounds(table, wanted)]
        if wanted.quarantine_percent is not None:
            findings += self._share(day, wanted.quarantine_percent)
        if wanted.fresh_hours is not None and is_last:
            findings += _age(table, now, wanted.fresh_hours)
        return Verdict(day.type, day.dt, day.inputs, table.num_rows, tuple(findings), now.isoformat())

    def tell(self, day: Partition, verdict: Verdict) -> None:
        """Put a verdict on the bus, and write it down: in this order, so that one is told again rather than never.

        Raises:
            DownstreamError: the bus, or S3, did not take it.
        """
        detail = verdict.as_json()
        name = eventbridge.event_id(CHECKED, PIPELINE, _key(day), f"{day.inputs}/{verdict.checked_at}")
        event = eventbridge.Event("0", SOURCE, CHECKED, {"eventId": name, "pipeline": PIPELINE, **detail})
        if failed := eventbridge.put(self._events, self._place.bus, [event]):
            raise DownstreamError(f"the bus did not take the verdict on {day.type} {day.dt}: {failed[event.id]}")
        content = jsontext.compact(detail).encode()
        store.put(self._s3, self._place.silver_bucket, _key(day), content, "application/json")

    def _read(self, day: Partition, fields: set[str]) -> pa.Table:
        if self._limits and len(day.files) > self._limits.files:
            raise _TooLargeError(f"the day has {len(day.files)} files, at most {self._limits.files} are read")
        tables: list[pa.Table] = []
        held = 0
        for file in day.files:
            try:
                answer = self._s3.get_object(Bucket=self._place.silver_bucket, Key=file.key, IfMatch=file.etag)
                opened = pq.ParquetFile(io.BytesIO(answer["Body"].read()))
                tables.append(opened.read(columns=sorted(fields & set(opened.schema_arrow.names))))
            except (pa.ArrowException, *AWS_ERRORS) as exc:
                raise DayNotCheckedError(f"{file.key} can't be read: {exc}") from exc
            held += tables[-1].nbytes
            if self._limits and held > self._limits.held_bytes:
                most = self._limits.held_bytes // 1024**2
                raise _TooLargeError(f"the columns that are compared have more than {most} MiB")
        table = pa.concat_tables(tables, promote_options="default")
        if missing := sorted(fields - set(table.column_names)):
            raise DayNotCheckedError(
                f"{day.type} expects something of {', '.join(missing)}, which no row of {day.dt} has"
            )
        return table

    def _share(self, day: Partition, limit: float) -> Iterator[str]:
        if self._shares is None or self._limits:  # who has limits is there for long, and checks days that change
            self._shares = _shares(self._records())
        digests = {file.key.rpartition("/")[2].partition("-")[0] for file in day.files}
        known = [self._shares[digest] for digest in digests if digest in self._shares]
        if len(known) < len(digests):
            yield f"the share of quarantine is not known: {len(digests) - len(known)} objects have no record (ttlDays)"
        rows, bad = (sum(one[i] for one in known) for i in (0, 1))
        if rows and 100 * bad / rows > limit:
            yield f"{100 * bad / rows:.2f} % of the objects' rows are in quarantine, {limit:g} % are expected at most"

    def _records(self) -> Iterator[Mapping[str, Any]]:
        """The records of chunks that are done. Reads the whole table, which costs money on AWS."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._place.state_table,
            FilterExpression="#pipeline = :pipeline AND #status = :done",
            ExpressionAttributeValues={":pipeline": {"S": PIPELINE}, ":done": {"S": _DONE}},
            ProjectionExpression="#payload, #result, #processedAt",
            ExpressionAttributeNames=_RECORD,
            ConsistentRead=True,
        )
        try:
            for page in pages:
                yield from page["Items"]
        except AWS_ERRORS as exc:
            raise DownstreamError(f"the state table was not read: {error_code(exc)}") from exc


class _TooLargeError(Exception):
    """A day that is more than the limits allow to read."""


def _unique(table: pa.Table, fields: tuple[str, ...]) -> Iterator[str]:
    if not fields:
        return
    counted = table.group_by(list(fields)).aggregate([([], "count_all")])
    if repeated := table.num_rows - counted.num_rows:
        yield f"{repeated} rows repeat the {' and '.join(fields)} of another"


def _bounds(table: pa.Table, wanted: Expectations) -> Iterator[str]:
    for name, (least, greatest) in wanted.bounds.items():
        found = pc.min_max(table[name]).as_py()
        if least is not None and found["min"] is not None and found["min"] < least:
            yield f"{name} goes down to {found['min']}, {least:g} is expected at least"
        if greatest is not None and found["max"] is not None and found["max"] > greatest:
            yield f"{name} goes up to {found['max']}, {greatest:g} is expected at most"


def _age(table: pa.Table, now: datetime, hours: float) -> Iterator[str]:
    newest = pc.max(table[EVENT_TIME]).as_py()
    age = (now - newest).total_seconds() / 3600
    if age > hours:
        yield f"the newest row is {age:.1f} hours old, {hours:g} are expected at most"


def _shares(records: Iterable[Mapping[str, Any]]) -> Mapping[str, tuple[int, int]]:
    """Digest of an object's content -> its rows, and those of them that are in quarantine; the last work counts.

    Raises:
        DayNotCheckedError: a record is none that this version can read.
    """
    latest: dict[tuple[Any, ...], tuple[str, int, int]] = {}
    for item in records:
        payload, result = (json.loads(item[name]["S"]) for name in ("payload", "result"))
        if "chunkBytes" in payload:  # the record of an object, which ingest has cut
            continue
        try:
            chunk = Chunk.from_payload(payload)
            done = (item.get("processedAt", {}).get("S", ""), result["rows"], result["quarantined"])
        except (KeyError, SchemaValidationError) as exc:
            raise DayNotCheckedError(f"a state record is none that this version can read: {exc!r}") from exc
        key = (chunk.source.digest, chunk.start, chunk.end, chunk.part)
        latest[key] = max(latest.get(key, done), done)
    shares: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (digest, *_), (_, rows, bad) in latest.items():
        before = shares[digest]
        shares[digest] = (before[0] + rows, before[1] + bad)
    return dict(shares)


def _key(day: Partition) -> str:
    return f"{PREFIX}{day.type}/dt={day.dt}.json"
