"""Makes the files of finished chunks part of tables: once each, whatever comes twice, late, or after a crash.

Of each table, in a loop that ends when nothing is left to do:

    load the table → write the records of its last commit, if they are not there → look up what it has of the chunks
    → one commit of what is missing → write its records

The commit carries the list of its chunks and is refused where the table is no longer the one that was loaded. So where
its answer was lost, or its committer has died, the next one finds the list in the table and its chunks in the records;
and of two committers at once one is refused, and finds what the other has done. Nothing is decided by a refusal alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handlers import jsontext
from handlers.aws import eventbridge, retry
from handlers.errors import DeadlineExceededError, DownstreamError, IngestionError
from handlers.lake import schemas
from handlers.lake.errors import FileChangedError, TableMismatchError
from handlers.lake.iceberg.ledger import Entry, Ledger
from handlers.lake.iceberg.tables import COMMIT_ERRORS, SILVER, Footer, Last, Tables, misfit
from handlers.lake.iceberg.written import File, Written
from handlers.lake.ready import ready
from handlers.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table

_ATTEMPTS = 4
_MAX_FILES = 1000  # of a commit: their names have some 100 KB in a property, of which Glue takes 512
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class _Change:
    """What a table is to have of a chunk from now on."""

    written: Written
    entry: Entry
    added: tuple[File, ...]
    removed: tuple[str, ...]  # keys


class Committer:
    """Commits to the tables of one lake, and tells of the files that have become part of them."""

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        tables: Tables,
        ledger: Ledger,
        events: "EventBridgeClient",
        *,
        pipeline: str,
        bucket: str,
        bus: str,
    ) -> None:
        self._tables = tables
        self._ledger = ledger
        self._events = events
        self._pipeline = pipeline
        self._bucket = bucket
        self._bus = bus

    def take(self, written: Iterable[Written]) -> dict[str, IngestionError]:
        """Commits chunks; returns why some are not committed, or not told of, by chunk. The others are done.

        Raises:
            DownstreamError: nothing is known of any: the ledger did not answer.
        """
        newest: dict[str, Written] = {}
        for one in written:
            if one.chunk not in newest or newest[one.chunk].at < one.at:
                newest[one.chunk] = one
        known = self._ledger.entries([*newest])
        failures: dict[str, IngestionError] = {}
        for record_type in sorted({*_types(newest.values()), *(name for one in known.values() for name in one)}):
            mine = [one for one in newest.values() if record_type in one.types or record_type in known[one.chunk]]
            for group in _groups(mine):
                try:
                    failures |= self._commit(record_type, group)
                except DeadlineExceededError:
                    raise
                except IngestionError as exc:
                    failures |= {one.chunk: exc for one in group}
        return failures | self._tell([one for one in newest.values() if one.chunk not in failures])

    def _standing(self, written: Sequence[Written]) -> list[Written]:
        """Those whose files are what tables have of their chunks, and not what they had."""
        known = self._ledger.entries([one.chunk for one in written])
        return [one for one in written if {known[one.chunk][name].at for name in one.types} <= {one.at}]

    def _commit(self, record_type: str, written: Sequence[Written]) -> dict[str, IngestionError]:
        """Commits what is of one type; returns the chunks whose files can't be taken."""
        kind = schemas.types().get(record_type)
        if kind is None:
            raise TableMismatchError(f"there is no type {record_type}")
        footers: dict[str, Footer | IngestionError] = {}
        cause: Exception | None = None
        for _ in retry.attempts(_ATTEMPTS):
            try:
                table = self._tables.ready(kind)
                last = self._settled(record_type, table)
                changes = self._changes(record_type, written)
                self._read(changes, footers)
                former = self._tables.live(table, {key for one in changes for key in one.removed})
                failures = {
                    one.written.chunk: error
                    for one in changes
                    if (error := _failure(one, footers, former, table.schema()))
                }
                good = [one for one in changes if one.written.chunk not in failures]
                if good:
                    now = Last(last.number + 1, tuple(one.entry for one in good))
                    gone = [former[key] for one in good for key in one.removed]
                    self._tables.commit(table, now, _added(good, footers), gone)
            except COMMIT_ERRORS as exc:
                cause = exc
                logger.warning("commit to be looked at again", extra={"recordType": record_type, "cause": repr(exc)})
                continue
            if good:
                self._ledger.enter(record_type, now.number, now.entries)
                _log(record_type, now, good)
            return failures
        raise DownstreamError(f"the table {record_type} took no commit: {cause!r}") from cause

    def _settled(self, record_type: str, table: "Table") -> Last:
        """The table's last commit, whose records are there: its committer may have died before it wrote them."""
        last = Last.of(table)
        if self._ledger.marked(record_type) < last.number:
            self._ledger.enter(record_type, last.number, last.entries)
        return last

    def _changes(self, record_type: str, written: Sequence[Written]) -> list[_Change]:
        """What the table lacks of chunks; where it has them from work that was done later, nothing."""
        known = self._ledger.entries([one.chunk for one in written])
        folder = f"{SILVER}{record_type}/"
        found = []
        for one in written:
            entry = known[one.chunk].get(record_type)
            if entry and entry.at >= one.at:
                continue
            files = {file.key.removeprefix(folder): file for file in one.of(record_type)}
            had = set(entry.files) if entry else set()
            found.append(
                _Change(
                    one,
                    Entry(one.chunk, one.at, tuple(sorted(files))),
                    tuple(file for name, file in files.items() if name not in had),
                    tuple(folder + name for name in sorted(had - files.keys())),
                )
            )
        return found

    def _read(self, changes: Sequence[_Change], footers: dict[str, Footer | IngestionError]) -> None:
        """Reads the ends of files that are to be added, several at a time."""
        missing = [file for one in changes for file in one.added if file.key not in footers]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for file, found in zip(missing, pool.map(self._footer, missing), strict=True):
                footers[file.key] = found

    def _footer(self, file: File) -> Footer | IngestionError:
        try:
            return self._tables.footer(file)
        except IngestionError as exc:
            return exc

    def _tell(self, written: Sequence[Written]) -> dict[str, IngestionError]:
        """Puts an event for each file that is part of a table now; a repetition has the same id."""
        standing = self._standing(written)
        events = [
            ready(f"{i}/{j}", self._pipeline, self._bucket, _as_json(file), one.origin)
            for i, one in enumerate(standing)
            for j, file in enumerate(one.files)
        ]
        failed = eventbridge.put(self._events, self._bus, events)
        untold = {standing[int(name.partition("/")[0])].chunk: code for name, code in failed.items()}
        return {chunk: DownstreamError(f"the bus did not take an event: {code}") for chunk, code in untold.items()}


def _groups(written: Sequence[Written]) -> Iterator[list[Written]]:
    """Chunks that are committed together: of so many files that the table's property can hold their names."""
    group: list[Written] = []
    files = 0
    for one in written:
        if group and files + len(one.files) > _MAX_FILES:
            yield group
            group, files = [], 0
        group.append(one)
        files += len(one.files)
    if group:
        yield group


def _types(written: Iterable[Written]) -> Iterator[str]:
    for one in written:
        yield from one.types


def _failure(
    change: _Change, footers: Mapping[str, Footer | IngestionError], former: Mapping[str, object], schema: "Schema"
) -> IngestionError | None:
    """Why a change can't be made."""
    if missing := [key for key in change.removed if key not in former]:
        return FileChangedError(f"{missing[0]} is not in its table: its rows were rewritten since")
    for file in change.added:
        found = footers[file.key]
        if isinstance(found, IngestionError):
            return found
        if why := misfit(found.metadata, schema):
            return TableMismatchError(f"{file.key} was written under another type: {why}")
    return None


def _added(changes: Sequence[_Change], footers: Mapping[str, Footer | IngestionError]) -> list[Footer]:
    """The files that come."""
    added = (footers[file.key] for one in changes for file in one.added)
    return [one for one in added if isinstance(one, Footer)]


def _as_json(file: File) -> jsontext.JsonObject:
    return {"key": file.key, "type": file.type, "dt": file.dt, "rows": file.rows}


def _log(record_type: str, last: Last, changes: Sequence[_Change]) -> None:
    numbers = {
        "chunks": len(changes),
        "files": sum(len(one.added) for one in changes),
        "rows": sum(file.rows for one in changes for file in one.added),
        "removed": sum(len(one.removed) for one in changes),
    }
    logger.info("table committed", extra=numbers | {"recordType": record_type, "number": last.number})
