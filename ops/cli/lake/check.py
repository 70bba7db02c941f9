"""Whether what the lake has written down, what lies in silver and what lies in bronze agree, object by object.

What is compared lies in a database in a temporary file, so that memory does not grow with the lake.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from handlers.lake import content
from handlers.lake.errors import UnreadableObjectError
from handlers.lake.lines import WHITE, BadRow, Block, LineReader
from handlers.lake.message import PREFIX, Source, kind_of
from handlers.lake.partition import File
from ops.cli.lake import footers, ledger
from ops.cli.lake.ledger import DONE, ChunkRecord
from ops.cli.lake.quarantine import PREFIX as QUARANTINE
from ops.cli.lake.quarantine import delete, rows_of
from ops.cli.lake.tables import Tables
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from ops.cli.target import Target

SILVER = "silver/"
_FILE = re.compile(
    r"(?:silver/.+/|quarantine/.+/)(?P<digest>[0-9a-f]{16})-\d{12,}(?:-[0-9a-f]{16})?\.(?:parquet|jsonl)"
)
_WITHOUT_RECORD = re.compile(r"silver/[^/]+/dt=[0-9-]{10}/(?P<digest>[0-9a-f]{16})-(?P<start>\d{12,})\.parquet")
_READ_BYTES = 1024 * 1024
_BATCH = 256  # files that are opened before the next are looked up
_SCHEMA = """
CREATE TABLE object (digest TEXT, key TEXT, etag TEXT, status TEXT, chunks INTEGER);
CREATE TABLE chunk (
    digest TEXT, start INTEGER, end INTEGER, run TEXT, part INTEGER, status TEXT, processed TEXT,
    silver INTEGER, quarantined INTEGER, parts INTEGER, key TEXT, size INTEGER, name TEXT PRIMARY KEY, lasting TEXT
);
CREATE TABLE named (name TEXT, file TEXT, rows INTEGER);
CREATE TABLE file (
    file TEXT PRIMARY KEY, digest TEXT, etag TEXT, size INTEGER, modified REAL, rows INTEGER, fault TEXT
);
CREATE TABLE committed (file TEXT PRIMARY KEY, is_there INTEGER);
CREATE TABLE kept (file TEXT PRIMARY KEY);
CREATE TABLE apart (name TEXT, lasting TEXT, files INTEGER, rows INTEGER);
CREATE TABLE expired (place TEXT, file TEXT, rows INTEGER, modified REAL);
CREATE TABLE bronze (digest TEXT, key TEXT PRIMARY KEY, etag TEXT, size INTEGER, modified REAL);
"""
_INDEXES = """
CREATE INDEX object_digest ON object (digest);
CREATE INDEX object_key ON object (key, etag);
CREATE INDEX chunk_digest ON chunk (digest, start);
CREATE INDEX named_name ON named (name);
CREATE INDEX file_digest ON file (digest);
"""

_UNDER_WAY = timedelta(days=1)  # files of a compaction that are younger may be committed yet

# What may be wrong, by what a report calls it.
KINDS = {
    "missing": "a record names a file that is not there: lab lake replay-queue --again",
    "rows": "a file has other rows than its record says",
    "leftOver": "files that a replay has superseded, or a compaction left: lab lake check --delete-left-over",
    "orphan": "files that no record names",
    "incomplete": "bytes that no record tells of (on the queue still, or lost), or two do",
    "notCommitted": "files that are no part of their table yet, or should be none: lab lake table, lab lake adopt",
    "unfinished": "work under way: look again when it is done",
    "failed": "work that has failed: lab redrive preview --pipeline lake; of ingest, --pipeline lake-notices",
    "notIngested": "objects of bronze that have not been ingested: lab redrive preview --pipeline lake-notices",
    "source": "the object has other rows than were counted",
    "notChecked": "what could not be checked",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be."""

    kind: str
    key: str
    detail: str


@dataclass(slots=True)
class Report:
    """What was found; `problems` are the first ones, `counts` all of them."""

    objects: int = 0  # that were compared
    fine: int = 0
    recorded: Counter[str] = field(default_factory=Counter)  # silver, quarantine -> rows by the records
    counted: Counter[str] = field(default_factory=Counter)  # the same by the files
    source: int = 0  # rows that were counted in bronze
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)  # files that may be deleted


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be checked: what was written from `start` on, of objects that came from `start` on."""

    start: float  # seconds since the epoch
    count_source: bool
    limit: int
    but: str = ""  # a kind of problem that is none for who asks
    expired: bool = False  # files whose records have expired are kept apart, and are no problem


@dataclass(frozen=True, slots=True)
class Apart:
    """A chunk that is done, whose files are as its record says, and are not all part of their tables."""

    name: str  # its idempotency key
    chunk: str  # the same in each replay
    files: int
    rows: int


@dataclass(frozen=True, slots=True)
class Expired:
    """Files that no table has and whose record has expired; `place` is `digest/start`, where their content begins."""

    place: str
    modified: float  # seconds since the epoch
    files: Mapping[str, int]  # key -> rows


@dataclass(frozen=True, slots=True)
class _Run:
    """One time that the bytes of a chunk were worked."""

    key: str
    start: int
    end: int
    size: int
    status: str
    processed: str
    silver: int
    quarantined: int
    names: tuple[str, ...]

    @property
    def is_done(self) -> bool:
        return self.status == DONE

    @property
    def kind(self) -> str:
        return "failed" if self.status == "FAILED" else "unfinished"


class Check:
    """One check of a lake. `now` is what the time is."""

    def __init__(self, found: Target, lake: dict[str, str], ttl_days: int, now: datetime, file: str) -> None:
        self._found = found
        self._s3 = found.client("s3")
        self._bronze, self._silver = lake["bronzeBucket"], lake["silverBucket"]
        self._tables = Tables(found, lake) if "ledgerTableName" in lake else None
        self._under_way = now - _UNDER_WAY
        self._no_snapshot: list[str] = []  # by compactions of tables
        self._expired = now.timestamp() - ttl_days * 86_400  # records of what was done before may have been deleted
        self._db = sqlite3.connect(file)
        self._db.executescript(_SCHEMA)
        self._db.execute("PRAGMA synchronous = OFF")

    def close(self) -> None:
        """Leave the database, whose file may be deleted then."""
        self._db.close()

    def gather(self, wanted: Wanted, advance: Callable[[int], None]) -> None:
        """Read records, list both buckets and count the rows of files; `advance` gets how many more were read.

        In an order in which what is written meanwhile shows as work under way, or not at all: bronze before the
        records of its objects, files after the records that name them, and tables after all.
        """
        self._list_bronze(wanted, advance)
        for one in ledger.records(self._found):
            self._take(one)
            advance(1)
        self._list_silver(advance)
        self._list_tables(advance)
        self._db.executescript(_INDEXES)
        self._identify_bronze(advance)
        self._count_rows(wanted, advance)

    def compare(self, wanted: Wanted, advance: Callable[[int], None]) -> Report:
        """What differs, object by object."""
        report = Report()
        for digest in self._digests():
            problems = [one for one in self._compare(digest, wanted, report) if one.kind != wanted.but]
            report.objects += 1
            report.fine += not problems
            report.counts.update(one.kind for one in problems)
            report.problems += problems[: max(0, wanted.limit - len(report.problems))]
            advance(1)
        report.left_over += self._no_snapshot
        report.counts.update("leftOver" for _ in self._no_snapshot)
        left = [Problem("leftOver", file, "no snapshot has it") for file in self._no_snapshot]
        report.problems += left[: max(0, wanted.limit - len(report.problems))]
        return report

    def apart(self) -> Iterator[Apart]:
        """Chunks whose files could become part of tables, of what was compared."""
        for row in self._db.execute("SELECT name, lasting, files, rows FROM apart ORDER BY name"):
            yield Apart(*row)

    def expired(self) -> Iterator[Expired]:
        """Files whose records have expired, where they were wanted."""
        found = self._db.execute("SELECT place, file, rows, modified FROM expired ORDER BY place, file")
        for place, rows in groupby(found, key=lambda row: row[0]):
            members = list(rows)
            yield Expired(place, max(row[3] for row in members), {row[1]: row[2] for row in members})

    def clear(self, report: Report) -> int:
        """Delete what is left over; how many files."""
        return delete(self._s3, self._silver, report.left_over)

    # --- what there is

    def _list_bronze(self, wanted: Wanted, advance: Callable[[int], None]) -> None:
        for one in _listed(self._s3, self._bronze, PREFIX, advance):
            modified = one["LastModified"].timestamp()
            if kind_of(one["Key"]) and modified >= wanted.start and one["Size"]:
                row = (None, one["Key"], one["ETag"].strip('"'), one["Size"], modified)
                self._db.execute("INSERT OR REPLACE INTO bronze VALUES (?, ?, ?, ?, ?)", row)

    def _list_silver(self, advance: Callable[[int], None]) -> None:
        for prefix in (SILVER, QUARANTINE):
            for one in _listed(self._s3, self._silver, prefix, advance):
                match = _FILE.fullmatch(one["Key"])
                digest = match["digest"] if match else f"? {one['Key']}"
                row = (one["Key"], digest, one["ETag"], one["Size"], one["LastModified"].timestamp())
                self._db.execute("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, NULL, NULL)", row)

    def _list_tables(self, advance: Callable[[int], None]) -> None:
        """The files whose rows are in tables, where silver is tables, and those that a snapshot still has."""
        if self._tables is None:
            return
        for name in self._tables.names():
            there = {url for url, _ in self._tables.filed(name)}
            rows = [(file, f"s3://{self._silver}/{file}" in there) for file in self._tables.files(name)]
            self._db.executemany("INSERT OR IGNORE INTO committed VALUES (?, ?)", rows)
            self._db.executemany("INSERT OR IGNORE INTO kept VALUES (?)", ((f,) for f in self._tables.kept(name)))
            self._no_snapshot += self._tables.left(name, self._under_way)
            advance(len(rows))

    def _is_committed(self, file: str) -> bool:
        return self._db.execute("SELECT 1 FROM committed WHERE file = ?", (file,)).fetchone() is not None

    def _is_rewritten(self, file: str) -> bool:
        """Whether its rows are in the table, which does not read it."""
        return (
            self._db.execute("SELECT 1 FROM committed WHERE file = ? AND NOT is_there", (file,)).fetchone() is not None
        )

    def _is_kept(self, file: str) -> bool:
        return self._db.execute("SELECT 1 FROM kept WHERE file = ?", (file,)).fetchone() is not None

    def _take(self, one: ledger.ObjectRecord | ChunkRecord) -> None:
        if not isinstance(one, ChunkRecord):
            digest = Source(self._bronze, one.key, "", one.content_id, 0).digest
            row: tuple[Any, ...] = (digest, one.key, one.etag, one.status, one.chunks)
            self._db.execute("INSERT INTO object VALUES (?, ?, ?, ?, ?)", row)
            return
        chunk = one.chunk
        row = (*one.span, one.run, chunk.part is not None, one.status, one.processed_at, one.silver, one.quarantined)
        row += (one.parts, chunk.source.key, chunk.source.size, one.name, chunk.lasting_id)
        self._db.execute("INSERT OR REPLACE INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        named: list[tuple[str, str, int | None]] = [(one.name, file, rows) for file, rows in one.files.items()]
        named += [(one.name, file, None) for file in one.quarantine]
        self._db.executemany("INSERT INTO named VALUES (?, ?, ?)", named)

    def _identify_bronze(self, advance: Callable[[int], None]) -> None:
        """The digest of each object: by the record that knows its ETag, else by what S3 says of it."""
        self._db.execute(
            "UPDATE bronze SET digest = (SELECT object.digest FROM object"
            " WHERE object.key = bronze.key AND object.etag = bronze.etag)"
        )
        unknown = self._db.execute("SELECT key, etag FROM bronze WHERE digest IS NULL").fetchall
        for key, digest in self._each(unknown(), self._digest):
            self._db.execute("UPDATE bronze SET digest = ? WHERE key = ?", (digest, key))
            advance(1)

    def _digest(self, key: str, etag: str) -> str:
        try:
            head = self._s3.head_object(Bucket=self._bronze, Key=key, IfMatch=f'"{etag}"', ChecksumMode="ENABLED")
        except ClientError:
            return f"? {key}"  # gone or overwritten since it was listed, or forbidden
        known = content.declared(head)
        return Source(self._bronze, key, "", known, 0).digest if known else f"? {key}"

    def _count_rows(self, wanted: Wanted, advance: Callable[[int], None]) -> None:
        query = (
            "SELECT file, etag, size, file IN (SELECT file FROM committed) FROM file"
            " WHERE file > ? AND (modified >= ? OR file IN (SELECT file FROM named)) ORDER BY file LIMIT ?"
        )
        last = ""
        while batch := self._db.execute(query, (last, wanted.start, _BATCH)).fetchall():
            for file, (rows, fault) in self._each(batch, self._rows):
                self._db.execute("UPDATE file SET rows = ?, fault = ? WHERE file = ?", (rows, fault, file))
                last = file
                advance(1)

    def _rows(self, file: str, etag: str, size: int, is_committed: int) -> tuple[int | None, str | None]:
        try:
            if file.startswith(SILVER):
                footer = footers.read(self._s3, self._silver, File(file, etag, size))
                return footer.num_rows, self._tables.misfit(file, footer) if self._tables and not is_committed else None
            body = self._s3.get_object(Bucket=self._silver, Key=file, IfMatch=etag)["Body"]
            return sum(rows_of(json.loads(line)) for line in body.iter_lines() if line), None
        except footers.NotParquetError as error:
            return None, str(error)
        except (ValueError, AttributeError) as error:
            return None, f"{file} is no quarantine file: {error!r}"
        except ClientError as error:
            return None, f"{file}: {error.response['Error']['Code']}"

    def _each(self, rows: Iterable[tuple[Any, ...]], work: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
        """Work rows by the first of their values, several at a time; they are all held."""
        listed = list(rows)
        with ThreadPoolExecutor(self._found.connections) as pool:
            yield from zip((row[0] for row in listed), pool.map(lambda row: work(*row), listed), strict=True)

    # --- what differs

    def _digests(self) -> Iterator[str]:
        query = "SELECT digest FROM {} WHERE digest IS NOT NULL"
        union = " UNION ".join(query.format(table) for table in ("object", "chunk", "file", "bronze"))
        cursor = self._db.execute(union)
        while batch := cursor.fetchmany(_BATCH):
            yield from (digest for (digest,) in batch)

    def _compare(self, digest: str, wanted: Wanted, report: Report) -> Iterator[Problem]:
        runs = list(self._runs(digest))
        bronze = self._db.execute("SELECT key, etag, modified FROM bronze WHERE digest = ?", (digest,)).fetchone()
        taken = self._db.execute("SELECT key, status, chunks FROM object WHERE digest = ?", (digest,)).fetchall()
        files = {row[0]: row[1:] for row in self._files(digest)}
        if not runs and not any(status == DONE for _, status, _ in taken):
            yield from self._unrecorded(files, bronze, taken, wanted, report)
            return
        key = runs[0].key if runs else taken[0][0]
        newest: dict[tuple[int, int], _Run] = {}
        for run in runs:  # they come as they were done
            if run.is_done:
                newest[run.start, run.end] = run
        unsettled = [
            Problem(run.kind, key, f"bytes {run.start}-{run.end}: {run.status}") for run in _unsettled(runs, newest)
        ]
        unsettled += _gaps(key, sorted(newest), runs, taken)
        yield from unsettled
        is_open = bool(unsettled)
        names = [name for run in newest.values() for name in run.names]
        yield from self._named(key, names, files, report)
        if self._tables:
            self._set_apart(runs, newest)
        report.recorded["silver"] += sum(run.silver for run in newest.values())
        report.recorded["quarantine"] += sum(run.quarantined for run in newest.values())
        yield from self._left(key, files, runs, is_open, wanted, report)
        if wanted.count_source and not is_open and bronze:
            yield from self._source(bronze, sum(run.silver + run.quarantined for run in newest.values()), report)

    def _runs(self, digest: str) -> Iterator[_Run]:
        """Each time that a chunk was worked, in the order in which they were done; its parts belong to it."""
        query = (
            "SELECT run, key, start, end, size, status, processed, silver, quarantined, parts, part, name FROM chunk"
            " WHERE digest = ? ORDER BY run, part"
        )
        found = []
        for _, rows in groupby(self._db.execute(query, (digest,)).fetchall(), key=lambda row: row[0]):
            members = list(rows)
            (_, key, start, end, size, status, processed, _, _, parts, is_part, _) = members[0]
            if is_part or (status == DONE and len(members) <= parts):
                status = "UNKNOWN"  # its parts have no record yet
            open_ = [member[5] for member in members if member[5] != DONE]
            names = tuple(member[-1] for member in members)
            silver, bad = (sum(member[i] for member in members) for i in (7, 8))
            found.append(_Run(key, start, end, size, (open_ or [status])[0], processed, silver, bad, names))
        return iter(sorted(found, key=lambda one: one.processed))

    def _files(self, digest: str) -> list[tuple[Any, ...]]:
        return self._db.execute("SELECT file, rows, fault, modified FROM file WHERE digest = ?", (digest,)).fetchall()

    def _named(
        self, key: str, names: list[str], files: dict[str, tuple[Any, ...]], report: Report
    ) -> Iterator[Problem]:
        """What the records that are true now say of files, beside the files; those are taken out of `files`."""
        for name in names:
            quarantined = 0
            for file, recorded in self._db.execute("SELECT file, rows FROM named WHERE name = ?", (name,)).fetchall():
                if file not in files:
                    if not self._is_rewritten(file):
                        yield Problem("missing", key, file)
                    continue
                counted, fault, _ = files.pop(file)
                if self._tables and file.startswith(SILVER) and not self._is_committed(file):
                    yield Problem("notCommitted", key, file)
                if fault:
                    yield Problem("notChecked", key, fault)
                    continue
                report.counted["silver" if file.startswith(SILVER) else "quarantine"] += counted
                quarantined += 0 if file.startswith(SILVER) else counted
                if recorded not in {None, counted}:
                    yield Problem("rows", key, f"{file} has {counted} rows, its record says {recorded}")
            said = self._db.execute("SELECT quarantined, silver FROM chunk WHERE name = ?", (name,)).fetchone()
            in_files = self._db.execute("SELECT total(rows) FROM named WHERE name = ?", (name,)).fetchone()[0]
            if said[0] != quarantined and not self._has_fault(name):
                yield Problem("rows", key, f"{quarantined} rows are in quarantine, the record says {said[0]}")
            if said[1] != in_files:
                yield Problem("rows", key, f"the record says {said[1]} rows, of its files together {in_files:.0f}")

    def _set_apart(self, runs: list[_Run], newest: dict[tuple[int, int], _Run]) -> None:
        """Keeps the chunks that could be committed: each by itself, whatever has become of the others."""
        unsettled = {(run.start, run.end) for run in _unsettled(runs, newest)}
        contested = _contested({*newest, *unsettled}) | unsettled
        names = [name for span, run in newest.items() if span not in contested for name in run.names]
        for name in names:
            self._db.execute(
                "INSERT INTO apart SELECT named.name, lasting, count(*), sum(named.rows) FROM named"
                " JOIN chunk USING (name) LEFT JOIN file USING (file) LEFT JOIN committed USING (file)"
                " WHERE named.name = ? AND named.rows IS NOT NULL GROUP BY named.name"
                " HAVING sum(committed.file IS NULL) > 0 AND sum(fault IS NOT NULL OR file.rows IS NOT named.rows) = 0"
                " AND sum(named.rows) = chunk.silver",
                (name,),
            )

    def _has_fault(self, name: str) -> bool:
        """Whether a quarantine file that a record names is not there or could not be read: that has been told."""
        query = (
            "SELECT 1 FROM named LEFT JOIN file USING (file)"
            " WHERE name = ? AND named.rows IS NULL AND (file.etag IS NULL OR fault IS NOT NULL)"
        )
        return self._db.execute(query, (name,)).fetchone() is not None

    def _left(  # noqa: PLR0913, PLR0917 - one object, and what is known of it
        self,
        key: str,
        files: dict[str, tuple[Any, ...]],
        runs: list[_Run],
        is_open: bool,  # noqa: FBT001
        wanted: Wanted,
        report: Report,
    ) -> Iterator[Problem]:
        """Files of this content that no record names that is true now."""
        if is_open:  # they may be those of the work under way
            return
        former = {
            file
            for run in runs
            for name in run.names
            for (file,) in self._db.execute("SELECT file FROM named WHERE name = ?", (name,))
        }
        for file, (_, _, modified) in files.items():
            if self._is_committed(file):  # what has replaced it is not
                yield Problem("notCommitted", key, file)
            elif self._is_kept(file):  # who goes back to that snapshot finds it
                continue
            elif file in former:
                report.left_over.append(file)
                yield Problem("leftOver", key, file)
            elif modified >= wanted.start:
                yield Problem("orphan", key, file)

    def _unrecorded(
        self,
        files: dict[str, tuple[Any, ...]],
        bronze: tuple[Any, ...] | None,
        taken: list[tuple[Any, ...]],
        wanted: Wanted,
        report: Report,
    ) -> Iterator[Problem]:
        """A content that no record of finished work tells of: new, failed, or done so long ago that they have gone."""
        if taken:
            key, status, _ = taken[0]
            yield Problem("failed" if status == "FAILED" else "unfinished", key, f"ingest: {status}")
            return
        if files and wanted.expired:
            files = {file: row for file, row in files.items() if not self._take_expired(file, *row)}
            if not files:
                return
        seen = {file: row for file, row in files.items() if row[2] >= wanted.start}
        if bronze is None:
            for file, (_, _, modified) in seen.items():
                old = modified < self._expired
                yield Problem("notChecked" if old else "orphan", file, "its record has expired" if old else file)
            return
        key, _, modified = bronze
        if modified >= self._expired and not files:
            yield Problem("notIngested", key, "it has no record")
        elif modified >= self._expired:
            yield from (Problem("orphan", key, file) for file in files)
        elif wanted.count_source and all(row[1] is None and row[0] is not None for row in files.values()):
            for file, row in files.items():
                report.counted["silver" if file.startswith(SILVER) else "quarantine"] += row[0]
            yield from self._source(bronze, sum(row[0] for row in files.values()), report)
        else:
            yield Problem("notChecked", key, "its record has expired: --start, or --count-source")

    def _take_expired(self, file: str, rows: int, fault: str | None, modified: float) -> bool:
        """Keeps a file apart that silver had before it was tables; whether it is that, or a table's already."""
        match = _WITHOUT_RECORD.fullmatch(file)
        if not match or fault or modified >= self._expired:
            return not file.startswith(SILVER) or self._is_committed(file)
        if not self._is_committed(file):
            place = f"{match['digest']}/{match['start']}"
            self._db.execute("INSERT INTO expired VALUES (?, ?, ?, ?)", (place, file, rows, modified))
        return True

    def _source(self, bronze: tuple[Any, ...], rows: int, report: Report) -> Iterator[Problem]:
        key, etag, _ = bronze
        try:
            found = count_rows(self._s3, self._bronze, key, etag)
        except LabError as error:
            yield Problem("notChecked", key, str(error))
            return
        report.source += found
        if found != rows:
            yield Problem("source", key, f"{found} rows in bronze, {rows} in silver and quarantine")


def count_rows(s3: Any, bucket: str, key: str, etag: str) -> int:  # noqa: ANN401 - a boto3 client, made by name
    """Rows of an object, told apart by the lake's own reader of containers; none is parsed or written.

    Raises:
        LabError: they can't be counted.
    """
    if kind_of(key) is None:
        raise LabError("its name is none that the lake reads")
    try:
        body = s3.get_object(Bucket=bucket, Key=key, IfMatch=f'"{etag}"')["Body"]
        return rows_in(key, body.iter_chunks(_READ_BYTES))
    except ClientError as error:
        raise LabError(f"S3 did not give it: {error.response['Error']['Code']}") from error
    except BotoCoreError as error:
        raise LabError(f"its rows can't be counted: {error}") from error


def rows_in(key: str, blocks: Iterable[bytes]) -> int:
    """Rows of what lies under a key of bronze.

    Raises:
        LabError: they can't be counted.
    """
    footers.parquet()  # so that a missing pyarrow is told
    from handlers.lake import schemas, unpack  # noqa: PLC0415 - see footers.parquet

    kind = kind_of(key)
    if kind is None:
        raise LabError("its name is none that the lake reads")
    try:
        lines = unpack.lines(blocks, kind.format, schemas.rows_at(kind.type))
        content = LineReader(first_line=1, offset=0).read(lines)
        return sum(1 if isinstance(one, BadRow) else _not_blank(one) for one in content)
    except UnreadableObjectError as error:
        raise LabError(f"its rows can't be counted: {error}") from error


def _not_blank(block: Block) -> int:
    return sum(1 for line in block.data.split(b"\n") if line.strip(WHITE))


def _unsettled(runs: list[_Run], newest: dict[tuple[int, int], _Run]) -> Iterator[_Run]:
    """Work that is not done, unless it failed and was done since."""
    for run in runs:
        done = newest.get((run.start, run.end))
        if not run.is_done and not (run.status == "FAILED" and done and run.processed < done.processed):
            yield run


def _contested(spans: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those that have bytes of others: rows of these are in files of both."""
    found: set[tuple[int, int]] = set()
    last = (0, 0)  # of those that begin earlier, the one that goes furthest
    for span in sorted(spans):
        if span[0] < last[1]:
            found |= {span, last}
        last = max(last, span, key=lambda one: one[1])
    return found


def _gaps(key: str, spans: list[tuple[int, int]], runs: list[_Run], taken: list[tuple[Any, ...]]) -> Iterator[Problem]:
    """Bytes that no chunk has worked, or more than one."""
    if not runs:
        chunks = max(chunks for _, status, chunks in taken if status == DONE)
        if chunks:
            yield Problem("incomplete", key, f"none of its {chunks} chunks has a record")
        return
    told = {(run.start, run.end) for run in runs} - set(spans)  # those are unfinished
    position = 0
    for start, end in sorted({*spans, *told}):
        if start > position:
            yield Problem("incomplete", key, f"bytes {position}-{start} have no record")
        elif start < position:
            yield Problem("incomplete", key, f"bytes {start}-{min(end, position)} were worked in two chunks")
        position = max(position, end)
    if position < runs[0].size:
        yield Problem("incomplete", key, f"bytes {position}-{runs[0].size} have no record")


def _listed(s3: Any, bucket: str, prefix: str, advance: Callable[[int], None]) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        found = page.get("Contents", [])
        yield from found
        advance(len(found))
