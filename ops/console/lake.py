"""The lake as it stands: objects of bronze, and what has become of each by its records.

Bounded, however large the lake is: S3 is asked for one page of keys, and of the records only those of the objects that
are shown are kept. An object's chunks and replays are found by reading the whole state table alone: on the laptop that
is done again and again, on AWS, where it costs money, when somebody asks for it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import ClientError

from handlers.lake import chunks, content
from handlers.lake.message import PREFIX, Chunk, Source, kind_of
from ops.cli.lake import ledger
from ops.cli.lake.ledger import DONE, ChunkRecord, ObjectRecord
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from ops.cli.target import Target

LISTED = 1000  # keys of one page: S3 has no other order than that of the keys
SHOWN = 50
_LEAST_PAUSE_SECONDS = 3.0
_PAUSE = 10  # times what the last reading took: it takes a tenth of the time at most
_KEPT = 4  # pages that are open at once, and whose records are remembered

Record: TypeAlias = "ObjectRecord | ChunkRecord"
Records: TypeAlias = "Mapping[str, Sequence[Record]]"  # by the object's key


class TakenError(LabError):
    """There is an object of this name already."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An object of bronze as it was listed."""

    key: str
    etag: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects, the newest first. `more` were listed, too; `is_cut` where S3 has further ones."""

    entries: Sequence[Entry]
    more: int
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Fate:
    """What has become of an object. `word` is DONE once each of its bytes has been worked."""

    word: str
    error: str = ""
    chunks: int = 0
    done: int = 0
    silver: int = 0
    quarantined: int = 0
    files: Mapping[str, int] = field(default_factory=dict)  # of silver: key -> rows
    quarantine: Sequence[str] = ()

    @property
    def rows(self) -> int:
        """All that were read."""
        return self.silver + self.quarantined


def listing(s3: Any, bucket: str, prefix: str) -> Listing:  # noqa: ANN401 - a boto3 client, made by name
    """The newest objects among the first of those whose keys begin so."""
    page = s3.list_objects_v2(Bucket=bucket, Prefix=PREFIX + prefix, MaxKeys=LISTED)
    entries = [
        Entry(one["Key"], one["ETag"].strip('"'), one["Size"], one["LastModified"]) for one in page.get("Contents", [])
    ]
    entries.sort(key=lambda one: one.modified, reverse=True)
    return Listing(entries[:SHOWN], len(entries[SHOWN:]), bool(page["IsTruncated"]))


def entry(s3: Any, bucket: str, key: str) -> Entry | None:  # noqa: ANN401
    """One object; None where there is none."""
    try:
        head = s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchKey"}:
            raise
        return None
    return Entry(key, head["ETag"].strip('"'), head["ContentLength"], head["LastModified"])


def read(found: Target, dynamodb: Any, keys: Collection[str]) -> Records:  # noqa: ANN401
    """The records of these objects. Reads the whole state table."""
    kept: dict[str, list[Record]] = {key: [] for key in keys}
    for one in ledger.records(found, dynamodb):
        key = one.key if isinstance(one, ObjectRecord) else one.chunk.source.key
        if key in kept:
            kept[key].append(one)
    return kept


class Reader:
    """Reads the records again after a while, for all who look at the same objects."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[object, tuple[float, Records]] = {}

    def read(self, found: Target, dynamodb: Any, keys: Collection[str]) -> Records:  # noqa: ANN401
        """The records of these objects as they are, or were a moment ago."""
        of = (found.api, frozenset(keys))
        with self._lock:
            until, records = self._kept.get(of, (0.0, {}))
            began = time.monotonic()
            if began > until:
                records = read(found, dynamodb, keys)
                took = time.monotonic() - began
                self._kept.pop(of, None)
                self._kept[of] = began + took + max(_LEAST_PAUSE_SECONDS, _PAUSE * took), records
                while len(self._kept) > _KEPT:
                    del self._kept[next(iter(self._kept))]
            return records


def fates(s3: Any, bucket: str, entries: Iterable[Entry], records: Records) -> dict[str, Fate]:  # noqa: ANN401
    """What has become of each, by its key."""
    return {one.key: _of_current(s3, bucket, one, records.get(one.key, ())) for one in entries}


def _of_current(s3: Any, bucket: str, one: Entry, records: Sequence[Record]) -> Fate:  # noqa: ANN401
    """By the records of the bytes that lie there now; those that lay there before have others."""
    if kind_of(one.key) is None:
        return Fate("IGNORED")
    same = {_content(record) for record in records if _etag(record) == one.etag}
    if records and not same:  # the same bytes may have got another ETag since
        head = s3.head_object(Bucket=bucket, Key=one.key, ChecksumMode="ENABLED")
        same = {content.declared(head) or ""}
    mine = [record for record in records if _content(record) in same]
    objects = [record for record in mine if isinstance(record, ObjectRecord)]
    return fate(one.size, objects, [record for record in mine if isinstance(record, ChunkRecord)])


def _content(record: Record) -> str:
    return record.content_id if isinstance(record, ObjectRecord) else record.chunk.source.content_id


def _etag(record: Record) -> str:
    return record.etag if isinstance(record, ObjectRecord) else record.chunk.source.etag


def fate(size: int, objects: Sequence[ObjectRecord], pieces: Sequence[ChunkRecord]) -> Fate:
    """What the records of one content say of it; of bytes that were worked several times, the last time counts."""
    runs = [_Run(list(members)) for _, members in groupby(sorted(pieces, key=_order), key=lambda one: one.run)]
    newest: dict[tuple[int, int], _Run] = {}
    for run in sorted(runs, key=lambda one: one.processed_at):
        if run.is_done:
            newest[run.span] = run
    unsettled = [run for run in runs if not run.is_done and not run.is_mended(newest.get(run.span))]
    spans = {run.span for run in unsettled} | newest.keys()
    cut = max((one.chunks for one in objects), default=0)
    told = [one for run in newest.values() for one in run.members]
    word, error = _word(size, objects, newest.keys(), unsettled)
    return Fate(
        word,
        error,
        chunks=max(cut, len(spans)),
        done=len(newest),
        silver=sum(one.silver for one in told),
        quarantined=sum(one.quarantined for one in told),
        files={key: rows for one in told for key, rows in one.files.items()},
        quarantine=[key for one in told for key in one.quarantine],
    )


def _order(one: ChunkRecord) -> tuple[str, bool]:
    return one.run, one.chunk.part is not None


@dataclass(frozen=True, slots=True)
class _Run:
    """One time that the bytes of a chunk were worked: its record, and those of its parts."""

    members: Sequence[ChunkRecord]

    @property
    def is_done(self) -> bool:
        first = self.members[0]
        is_whole = first.chunk.part is None and len(self.members) > first.parts
        return is_whole and all(one.status == DONE for one in self.members)

    @property
    def span(self) -> tuple[int, int]:
        return self.members[0].chunk.start, self.members[0].chunk.end

    @property
    def processed_at(self) -> str:
        return self.members[0].processed_at

    @property
    def open(self) -> ChunkRecord | None:
        """The member that keeps it from being done; None where one has no record yet."""
        return next((one for one in self.members if one.status != DONE), None)

    def is_mended(self, newest: _Run | None) -> bool:
        """Whether it failed, and the bytes have been worked since."""
        failed = self.open is not None and self.open.status == "FAILED"
        return failed and newest is not None and self.processed_at < newest.processed_at


def _word(
    size: int, objects: Sequence[ObjectRecord], done: Collection[tuple[int, int]], unsettled: Sequence[_Run]
) -> tuple[str, str]:
    """The state in a word, and the error where it is one."""
    waiting = [run.open for run in unsettled if run.open]
    for status in ("FAILED", "RETRYING"):
        for one in waiting:
            if one.status == status:
                return status, one.error
    if unsettled:
        return "WORKING", ""
    if done:
        return ("DONE" if _covers(done, size) else "WORKING"), ""
    if not objects:
        return "NO RECORD", ""
    last = next((one for one in objects if one.status == DONE), objects[-1])
    if last.status == DONE:
        return ("WORKING" if last.chunks else "DONE"), ""
    return ("INGESTING" if last.status == "INFLIGHT" else last.status), last.error


def _covers(spans: Collection[tuple[int, int]], size: int) -> bool:
    """Whether they are all bytes of an object."""
    position = 0
    for start, end in sorted(spans):
        if start > position:
            return False
        position = max(position, end)
    return position >= size


@dataclass(frozen=True, slots=True)
class Upload:
    """An object that was put from here, and the names of the records that will tell of it."""

    source: Source
    spans: Sequence[tuple[int, int]]

    def look(self, found: Target, dynamodb: Any) -> Fate:  # noqa: ANN401
        """What has become of it: by its own records, which are read one by one."""
        kind = kind_of(self.source.key)
        if kind is None:
            return Fate("IGNORED")
        named = ledger.record(found, self.source.identity, dynamodb)
        parts = [Chunk(self.source, kind, start, end, 1) for start, end in self.spans]
        pieces = [ledger.record(found, part.key, dynamodb) for part in parts]
        objects = [named] if isinstance(named, ObjectRecord) else []
        return fate(self.source.size, objects, [one for one in pieces if isinstance(one, ChunkRecord)])


def put(s3: Any, bucket: str, key: str, body: bytes, chunk_bytes: int) -> Upload:  # noqa: ANN401
    """Put a new object into bronze.

    Raises:
        TakenError: there is one of this name.
        UnreadableObjectError: it is nothing that the lake reads; it was not put.
    """
    kind = kind_of(key)
    if kind is None:
        raise ValueError(f"{key} is no key of the lake")
    draft = Source(bucket, key, "", "", len(body))
    spans = [(one.start, one.end) for one in chunks.plan(draft, kind, [body], chunk_bytes)]
    try:
        # SHA-256 identifies the bytes under a KMS key, too, so that ingest need not read them once more for that
        answer = s3.put_object(Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256", IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"PreconditionFailed", "ConditionalRequestConflict"}:
            raise
        raise TakenError(f"{key} is there already") from error
    version = answer.get("VersionId", "")
    of = {"VersionId": version} if version else {}
    head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED", **of)
    etag = head["ETag"].strip('"')
    named = content.declared(head) or content.computed([body])
    return Upload(Source(bucket, key, version, etag, len(body), content="" if named == etag else named), spans)
