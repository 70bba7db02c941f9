"""Rows in quarantine: which there are, of which objects and why, and the work on their chunks once more.

A chunk is worked again under an identity of its own, as every replay is, and writes the same files over the old ones;
the worker deletes a quarantine file that is no longer true. What the old work wrote and the new one did not (a row that
has become one of another day) is deleted here once the new work is done.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from handlers import clock
from handlers.aws.sqs import MAX_BATCH_ENTRIES, send_messages
from ops.cli import records
from ops.cli.lake import ledger
from ops.cli.lake.ledger import DONE, PIPELINE, ChunkRecord
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from handlers.grouping import Grouping
    from handlers.lake.message import Chunk
    from ops.cli.target import Target
    from ops.cli.timing import Pace

PREFIX = "quarantine/"
_MAX_REASONS = 1000  # that are told apart; reasons name values, so there may be as many as rows
_OTHER = "(other reasons)"

Entry = dict[str, Any]  # {"line", "lines", "reason", "errorType", "row"}: `row` is the first of its lines
Span = tuple[str, int, int]


@dataclass(slots=True)
class Held:
    """A quarantine file: how many rows it holds of each error type. `object` is "" where no record names it."""

    key: str
    type: str
    object: str
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        """All of them."""
        return self.errors.total()


@dataclass(slots=True)
class Tally:
    """Rows by type, error type and reason."""

    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    files: int = 0
    rows: int = 0

    def add(self, held: Held, reasons: Counter[tuple[str, str]]) -> None:
        """Count one file."""
        self.files += 1
        self.rows += held.rows
        for (error_type, reason), rows in reasons.items():
            known = (held.type, error_type, reason)
            if known not in self.reasons and len(self.reasons) >= _MAX_REASONS:
                known = (held.type, error_type, _OTHER)
            self.reasons[known] += rows


class Quarantine:
    """The quarantine of a lake, with what its records say of it."""

    def __init__(self, found: Target, bucket: str) -> None:
        self._found = found
        self._s3 = found.client("s3")
        self._bucket = bucket

    def chunks(self, record_type: str = "", object_key: str = "") -> list[ChunkRecord]:
        """Those that have rows in quarantine now; a later replay says what is true."""
        latest: dict[Span, str] = {}
        kept: dict[Span, ChunkRecord] = {}
        for one in ledger.records(self._found):
            if not isinstance(one, ChunkRecord) or one.status != DONE or one.chunk.part:
                continue
            if one.processed_at < latest.get(one.span, ""):
                continue
            latest[one.span] = one.processed_at
            kept.pop(one.span, None)
            if one.quarantine and _is_wanted(one, record_type, object_key):
                kept[one.span] = one
        return sorted(kept.values(), key=lambda one: (one.chunk.source.key, one.chunk.start))

    def files(self, record_type: str = "") -> Iterator[str]:
        """Keys of the quarantine files that there are."""
        prefix = f"{PREFIX}{record_type}/" if record_type else PREFIX
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
            yield from (one["Key"] for one in page.get("Contents", []))

    def entries(self, key: str) -> Iterator[Entry]:
        """The entries of a file, one at a time; several short rows with the same fault are one.

        Raises:
            LabError: it is not there, or no quarantine file.
        """
        yield from entries(self._s3, self._bucket, key)

    def measure(self, key: str, object_key: str) -> tuple[Held, Counter[tuple[str, str]]]:
        """How many rows a file holds, by error type and reason; reads it once and keeps none."""
        held = Held(key, key.split("/")[1], object_key)
        reasons: Counter[tuple[str, str]] = Counter()
        for entry in self.entries(key):
            rows = rows_of(entry)
            held.errors[entry["errorType"]] += rows
            found = (entry["errorType"], entry["reason"])
            reasons[found if found in reasons or len(reasons) < _MAX_REASONS else (entry["errorType"], _OTHER)] += rows
        return held, reasons

    def has(self, one: ChunkRecord, error_type: str) -> bool:
        """Whether a chunk has a row in quarantine for this reason."""
        return any(entry["errorType"] == error_type for key in one.quarantine for entry in self.entries(key))


def entries(s3: Any, bucket: str, key: str) -> Generator[Entry, None, None]:  # noqa: ANN401 - a boto3 client, made by name
    """The entries of a quarantine file, one at a time, as `Quarantine.entries` gives them."""
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"NoSuchKey", "404"}:
            raise
        raise LabError(f"{key} is not there; lab lake quarantine list shows what is") from error
    with closing(body):
        for line in body.iter_lines():
            try:
                entry: Entry = json.loads(line)
                known = {name: entry[name] for name in ("line", "reason", "errorType", "row")}
                yield known | {"lines": entry.get("lines", str(entry["line"]))}
            except (ValueError, KeyError, TypeError) as error:
                raise LabError(f"{key} is no quarantine file: {error!r}") from error


def rows_of(entry: Entry) -> int:
    """How many rows an entry stands for: one, or as many as its `lines` (`1-5,9`) are.

    Raises:
        ValueError: they are none.
    """
    ranges = [part.partition("-") for part in str(entry.get("lines", "1")).split(",")]
    return sum(int(end or start) - int(start) + 1 for start, _, end in ranges)


@dataclass(frozen=True, slots=True)
class Retried:
    """What came of a retry. `open` are the chunks that were not done in time, or have failed: name -> status."""

    before: int
    after: int
    silver: int
    deleted: int
    open: dict[str, str]


@dataclass(frozen=True, slots=True)
class Retry:
    """Sends chunks to the lake's queue again, under the id of this retry, and clears up behind them."""

    found: Target
    queue_url: str
    silver_bucket: str
    id: str
    grouping: Grouping
    pace: Pace

    def send(self, chunks: Sequence[ChunkRecord], advance: Callable[[int], None]) -> dict[str, ChunkRecord]:
        """Send each; the old records by the names that the new ones will have.

        Raises:
            LabError: SQS did not take some; what was sent is worked all the same.
        """
        sqs = self.found.client("sqs")
        sent: dict[str, ChunkRecord] = {}
        for start in range(0, len(chunks), MAX_BATCH_ENTRIES):
            batch = chunks[start : start + MAX_BATCH_ENTRIES]
            self.pace.turn(len(batch))
            anew = [self._anew(one) for one in batch]
            moment = clock.iso(clock.now_ms())
            report = send_messages(
                sqs,
                self.queue_url,
                [
                    chunk.message(str(i), submitted_at=moment, correlation_id=self.id, grouping=self.grouping)
                    for i, chunk in enumerate(anew)
                ],
            )
            if report.failed:
                raise LabError(
                    f"SQS did not take {len(report.failed)} of {len(batch)} messages: {min(report.failed.values())};"
                    " the same command goes on with what is still in quarantine"
                )
            sent |= {chunk.key: old for chunk, old in zip(anew, batch, strict=True)}
            advance(len(batch))
        return sent

    def settle(self, sent: dict[str, ChunkRecord], seconds: float, advance: Callable[[int], None]) -> Retried:
        """Wait until all is done, and delete what was written before and is no longer true."""
        statuses = records.settle(self.found, list(sent), seconds, advance, pipeline=PIPELINE)
        s3 = self.found.client("s3")
        after = silver = deleted = 0
        for name, old in sent.items():
            new = ledger.record(self.found, name) if statuses[name] == DONE else None
            if not isinstance(new, ChunkRecord):
                continue
            after += new.quarantined
            silver += new.silver - old.silver
            if not (old.parts or new.parts):  # a file may have gone over to a part, or come from one
                deleted += delete(s3, self.silver_bucket, old.written - new.written)
        left = {name: status for name, status in statuses.items() if status != DONE}
        return Retried(sum(old.quarantined for old in sent.values()), after, silver, deleted, left)

    def _anew(self, one: ChunkRecord) -> Chunk:
        return replace(one.chunk, source=replace(one.chunk.source, replay=self.id))


def delete(s3: Any, bucket: str, keys: Iterable[str]) -> int:  # noqa: ANN401 - a boto3 client, made by name
    """Delete files, one by one, those that are there; how many."""
    deleted = 0
    for key in sorted(keys):
        try:
            s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"404", "NoSuchKey"}:
                raise
            continue
        s3.delete_object(Bucket=bucket, Key=key)
        deleted += 1
    return deleted


def _is_wanted(one: ChunkRecord, record_type: str, object_key: str) -> bool:
    return record_type in {"", one.chunk.kind.type} and object_key in {"", one.chunk.source.key}
