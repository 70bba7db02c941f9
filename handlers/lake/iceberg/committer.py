"""Makes the files of finished chunks part of tables: once each, whatever comes twice, late, or after a crash.

Of each table, in a loop that ends when nothing is left to do:

    load the table → write the records of its last commit, if they are not there → look up what it has of the chunks
    → one commit of what is missing → write its records

A table that is not the one that the ledger knows, or not at the commit that it knows, gets nothing until somebody has
looked: what is in it can't be told. Whatever is wrong with one table, the others get their commits.

The commit carries the list of its chunks and is refused where the table is no longer the one that was loaded. So where
its answer was lost, or its committer has died, the next one finds the list in the table and its chunks in the records;
and of two committers at once one is refused, and finds what the other has done. Nothing is decided by a refusal alone.
"""

import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pyiceberg.exceptions import CommitFailedException

from handlers import jsontext
from handlers.aws import eventbridge, retry
from handlers.errors import DeadlineExceededError, DownstreamError, IngestionError
from handlers.lake import schemas
from handlers.lake.errors import FileChangedError, TableMismatchError, TableUnusableError
from handlers.lake.iceberg.ledger import ADOPTED, Entry, Ledger, Mark
from handlers.lake.iceberg.tables import COMMIT_ERRORS, LAST, SILVER, Footer, Last, Tables
from handlers.lake.iceberg.written import File, Written
from handlers.lake.ready import ready
from handlers.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

    from handlers.lake.model import RecordType

_ATTEMPTS = 4
_MAX_FILES = 1000  # of a commit: their names have some 100 KB in a property, of which Glue takes 512
_CONTENTS_AT_ONCE = 16
_TRACE = 2000  # characters of a traceback


@dataclass(frozen=True, slots=True)
class _Change:
    """What a table is to have of a chunk from now on."""

    written: Written
    entries: tuple[Entry, ...]  # of the chunk, and of the places that it takes
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

    def take(self, written: Iterable[Written], shut: dict[str, IngestionError]) -> dict[str, IngestionError]:
        """Commits chunks; returns why some are not committed, or not told of, by chunk. The others are done.

        Types in `shut` are left out, and those whose table fails are added to it.

        Raises:
            DownstreamError: nothing is known of any: the ledger did not answer.
        """
        newest: dict[str, Written] = {}
        for one in written:
            if one.chunk not in newest or newest[one.chunk].at < one.at:
                newest[one.chunk] = one
        failures: dict[str, IngestionError] = {}
        chunks = [one for one in newest.values() if not one.is_place]
        for batch in (chunks, [one for one in newest.values() if one.is_place]):  # by then what replaces them is known
            for record_type, mine in sorted(self._by_type(batch).items()):
                for group in _groups(mine):
                    failures |= self._tried(record_type, group, shut)
        return failures | self._tell([one for one in newest.values() if one.chunk not in failures])

    def _tried(
        self, record_type: str, group: Sequence[Written], shut: dict[str, IngestionError]
    ) -> dict[str, IngestionError]:
        """Commits what is of one type, unless its table has failed."""
        if record_type not in shut:
            try:
                return self._commit(record_type, group)
            except DeadlineExceededError:
                raise
            except IngestionError as exc:
                shut[record_type] = exc
            except Exception as exc:  # noqa: BLE001 - of pyiceberg, about one table; the round ends with it
                told = "".join(traceback.format_exception(exc))[-_TRACE:]  # the end says where
                logger.error("table not worked with", extra={"recordType": record_type, "cause": told})
                shut[record_type] = TableUnusableError(f"the table {record_type} can't be worked with: {exc!r}")
        return {one.chunk: shut[record_type] for one in group}

    def _by_type(self, written: Sequence[Written]) -> dict[str, list[Written]]:
        """What each table may have to change for: types of files, and of those that it has of the same bytes."""
        known = self._ledger.entries([one.chunk for one in written])
        others = self._others(written)
        found: dict[str, list[Written]] = {}
        for one in written:
            for record_type in one.types | known[one.chunk].keys() | {n for o in others[one.chunk] for n in o}:
                found.setdefault(record_type, []).append(one)
        return found

    def _others(self, written: Sequence[Written]) -> dict[str, list[dict[str, Entry]]]:
        """What tables have of the same bytes under other names: of a chunk its places, of a place the chunks around."""
        if not written or not self._ledger.mark(ADOPTED):
            return {one.chunk: [] for one in written}
        with ThreadPoolExecutor(_CONTENTS_AT_ONCE) as pool:
            digests = sorted({one.digest for one in written})
            contents = dict(zip(digests, pool.map(self._ledger.content, digests), strict=True))
        return {
            one.chunk: [entries for name, entries in contents[one.digest].items() if one.touches(name)]
            for one in written
        }

    def _standing(self, written: Sequence[Written]) -> list[Written]:
        """Those whose files are what tables have of their chunks, and not what they had."""
        known = self._ledger.entries([one.chunk for one in written])
        return [one for one in written if {known[one.chunk][name].at for name in one.types} <= {one.at}]

    def _commit(self, record_type: str, written: Sequence[Written]) -> dict[str, IngestionError]:
        """Commits what is of one type; returns the chunks whose files can't be taken."""
        kind = schemas.types().get(record_type)
        homeless: dict[str, IngestionError] = {}
        if kind is None:  # what a table has of chunks that have come to be of other types can still leave it
            refusal = TableMismatchError(f"there is no type {record_type}, which chunks have files of: bring it back")
            homeless = {one.chunk: refusal for one in written if one.of(record_type)}
            written = [one for one in written if one.chunk not in homeless]
        footers: dict[str, Footer | IngestionError] = {}
        cause: Exception | None = None
        for _ in retry.attempts(_ATTEMPTS) if written else ():
            try:
                mark = self._ledger.mark(record_type)
                table = self._table(record_type, kind, mark)
                if table is None:
                    return homeless
                last = self._settled(record_type, table, mark)
                changes = self._changes(record_type, written, table)
                former = self._tables.live(table, {key for one in changes for key in one.removed})
                files = self._files(table, [one for one in changes if former.keys() >= {*one.removed}], footers)
                failures = {one.written.chunk: error for one in changes if (error := _failure(one, files, former))}
                good = [one for one in changes if one.written.chunk not in failures]
                if good:
                    now = Last(last.number + 1, tuple(entry for one in good for entry in one.entries))
                    gone = [former[key] for one in good for key in one.removed]
                    self._tables.commit(table, now, _added(good, files), gone)
            except COMMIT_ERRORS as exc:
                cause = exc
                logger.warning("commit to be looked at again", extra={"recordType": record_type, "cause": repr(exc)})
                continue
            if good:
                self._ledger.enter(record_type, Mark(_uuid(table), now.number), now.entries)
                _log(record_type, now, good)
            return homeless | failures
        if not written:
            return homeless
        raise DownstreamError(f"the table {record_type} took no commit: {cause!r}") from cause

    def _table(self, record_type: str, kind: "RecordType | None", mark: Mark | None) -> "Table | None":
        """The table of a type, made only where the ledger knows of none; None where there is none, and no type."""
        if kind:
            return self._tables.ready(kind, make=mark is None)
        return self._tables.there(record_type, make=mark is None)

    def _settled(self, record_type: str, table: "Table", mark: Mark | None) -> Last:
        """The table's last commit, whose records are there: its committer may have died before it wrote them.

        `mark` was read before the table, and is written after each commit: it can't be ahead, and by one behind.
        """
        last, uuid, known = Last.of(table), _uuid(table), mark.number if mark else 0
        if mark and mark.table != uuid:
            raise TableUnusableError(
                f"the table {record_type} is another than the ledger's: {self._tables.start_anew(record_type)}"
            )
        if last.number < known:
            raise TableUnusableError(
                f"the table {record_type} is at commit {last.number}, the ledger at {known}: the table was set back, "
                f"or its property {LAST} changed. Where its files are right, set that to "
                f'{{"number":{known},"entries":[]}}; else bring the table back'
            )
        if last.number > known + 1:
            raise CommitFailedException(
                f"it is at commit {last.number}, the ledger at {known}: where nobody else commits, restore the ledger"
            )
        if known < last.number:
            self._ledger.enter(record_type, Mark(uuid, last.number), last.entries)
        return last

    def _changes(self, record_type: str, written: Sequence[Written], table: "Table") -> list[_Change]:
        """What the table lacks of chunks; where it has them from work that was done later, nothing."""
        known = self._ledger.entries([one.chunk for one in written])
        others = self._others(written)
        folder = f"{SILVER}{record_type}/"
        found = []
        taken: set[str] = set()  # places; a chunk and its parts are around the same
        for one in written:
            entry = known[one.chunk].get(record_type)
            if entry and entry.table != _uuid(table):
                entry = None
            if (entry and entry.at >= one.at) or (one.is_place and others[one.chunk]):
                continue
            files = {file.key.removeprefix(folder): file for file in one.of(record_type)}
            there = [entries[record_type] for entries in others[one.chunk] if record_type in entries]
            places = [
                place for place in there if place.files and place.table == _uuid(table) and place.chunk not in taken
            ]
            taken |= {place.chunk for place in places}
            had = {name for former in [*places, *([entry] if entry else [])] for name in former.files}
            found.append(
                _Change(
                    one,
                    (
                        Entry(one.chunk, one.at, tuple(sorted(files))),
                        *(Entry(place.chunk, one.at, ()) for place in places),
                    ),
                    tuple(file for name, file in files.items() if name not in had),
                    tuple(folder + name for name in sorted(had - files.keys())),
                )
            )
        return found

    def _files(
        self, table: "Table", changes: Sequence[_Change], footers: dict[str, Footer | IngestionError]
    ) -> "dict[str, DataFile | IngestionError]":
        """Files that are to be added, by their keys, as the table knows them; reads their ends, several at a time."""
        wanted = [file for one in changes for file in one.added]
        missing = [file for file in wanted if file.key not in footers]
        with ThreadPoolExecutor(self._tables.at_once) as pool:
            for file, found in zip(missing, pool.map(partial(self._footer, table), missing), strict=True):
                footers[file.key] = found
        return {file.key: self._file(table, footers[file.key]) for file in wanted}

    def _file(self, table: "Table", footer: Footer | IngestionError) -> "DataFile | IngestionError":
        try:
            return footer if isinstance(footer, IngestionError) else self._tables.data_file(table, footer)
        except IngestionError as exc:
            return exc

    def _footer(self, table: "Table", file: File) -> Footer | IngestionError:
        try:
            return self._tables.footer(table, file)
        except IngestionError as exc:
            return exc

    def _tell(self, written: Sequence[Written]) -> dict[str, IngestionError]:
        """Puts an event for each file that is part of a table now; a repetition has the same id."""
        standing = self._standing([one for one in written if one.origin])
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


def _failure(
    change: _Change, files: "Mapping[str, DataFile | IngestionError]", former: Mapping[str, object]
) -> IngestionError | None:
    """Why a change can't be made."""
    if missing := [key for key in change.removed if key not in former]:
        return FileChangedError(f"{missing[0]} is not in its table: its rows were rewritten since")
    found = (files[file.key] for file in change.added)
    return next((one for one in found if isinstance(one, IngestionError)), None)


def _added(changes: Sequence[_Change], files: "Mapping[str, DataFile | IngestionError]") -> "list[DataFile]":
    """The files that come."""
    added = (files[file.key] for one in changes for file in one.added)
    return [one for one in added if not isinstance(one, IngestionError)]


def _uuid(table: "Table") -> str:
    return str(table.metadata.table_uuid)


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
