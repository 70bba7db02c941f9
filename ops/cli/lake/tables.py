"""What the lake's Iceberg tables have, beside what lies in silver and what is noted for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from handlers.aws import retry
from handlers.lake.notes import Notes
from handlers.lake.partition import partitions
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from pyiceberg.catalog.glue import GlueCatalog
    from pyiceberg.io import FileIO
    from pyiceberg.typedef import Properties

    from handlers.lake.iceberg.written import Written
    from ops.cli.lake.check import Apart, Expired
    from ops.cli.target import Target

_SILVER = "silver/"
COMPACTED = "/data/compacted/"  # in a table's place: files that `lab lake compact` has made on the laptop
_ATTEMPTS = 4


@dataclass(slots=True)
class Day:
    """What a table has of a day."""

    files: int = 0
    rows: int = 0


@dataclass(slots=True)
class Told:
    """What is known of a table. `outside` are files of its type in silver that are not in it."""

    type: str
    snapshots: int
    committed_at: str
    commit: str  # the number of the newest one that a committer made
    metadata_bytes: int
    days: dict[str, Day] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)  # files that are in it more than once
    missing: list[str] = field(default_factory=list)  # files of silver that it has, and that are not there

    @property
    def files(self) -> int:
        """Of all days."""
        return sum(day.files for day in self.days.values())

    @property
    def rows(self) -> int:
        """Of all days."""
        return sum(day.rows for day in self.days.values())


class Tables:
    """The tables of a stack's lake.

    Raises:
        LabError: it has none, or pyiceberg is not installed.
    """

    def __init__(self, found: Target, lake: dict[str, str]) -> None:
        if "ledgerTableName" not in lake:
            raise LabError("this stack's silver is Parquet, no tables: set lakeFormat to iceberg (docs/iceberg.md)")
        try:
            import handlers.lake.iceberg.tables  # noqa: F401, PLC0415 - loads pyiceberg and pyarrow; most commands do without
        except ImportError as error:
            raise LabError("this reads Iceberg tables: uv sync --group lake --group iceberg") from error
        self._found = found
        self._s3 = found.client("s3")
        self._silver = lake["silverBucket"]
        self._ledger = lake["ledgerTableName"]
        self.namespace, self._table_bucket = _catalog(found, lake)
        self._known: dict[str, list[Any]] = {}  # the columns of types

    def names(self) -> list[str]:
        """The types that have a table."""
        if self._table_bucket:
            place = {"tableBucketARN": self._table_bucket, "namespace": self.namespace}
            pages = self._found.client("s3tables").get_paginator("list_tables").paginate(**place)
            return sorted(one["name"] for page in pages for one in page["tables"])
        pages = self._found.client("glue").get_paginator("get_tables").paginate(DatabaseName=self.namespace)
        return sorted(one["Name"] for page in pages for one in page["TableList"])

    def gone(self) -> list[str]:
        """The types that the ledger has commits of, and the catalog no table: somebody has taken it away."""
        from handlers.lake.iceberg.ledger import Ledger  # noqa: PLC0415 - see above

        ledger = Ledger(self._found.client("dynamodb"), self._ledger, in_bucket=bool(self._table_bucket))
        return sorted(set(ledger.types()).difference(self.names()))

    def apart(self) -> list[str]:
        """The types that have files in silver and no table: these wait for the committer, or for lab lake adopt."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._silver, Prefix=_SILVER, Delimiter="/")
        folders = {one["Prefix"].split("/")[1] for page in pages for one in page.get("CommonPrefixes", [])}
        return sorted(folders.difference(self.names(), self.gone()))

    def noted(self) -> Iterator[str]:
        """Chunks that are noted, by their idempotency keys: done and not committed yet, or not done."""
        from handlers.lake.iceberg.ledger import Ledger  # noqa: PLC0415 - see above

        for one in Ledger(self._found.client("dynamodb"), self._ledger).notes():
            yield one.key

    def note(self, chunks: Collection[Apart], advance: Callable[[int], None]) -> None:
        """Note chunks for the committer; it adds what their tables lack of those that are done."""
        notes = Notes(self._found.client("dynamodb"), self._ledger)
        with ThreadPoolExecutor(self._found.connections) as pool:
            for _ in pool.map(lambda one: notes.take(one.name, one.chunk), chunks):
                advance(1)

    def note_expired(self, expired: Collection[Expired], advance: Callable[[int], None]) -> None:
        """Note files for the committer whose chunks nobody knows any more, by where their content begins."""
        from handlers.lake.iceberg.ledger import ADOPTED, Ledger, Mark  # noqa: PLC0415 - see above

        dynamodb = self._found.client("dynamodb")
        ledger = Ledger(dynamodb, self._ledger, in_bucket=bool(self._table_bucket))
        ledger.enter(ADOPTED, Mark("", 1), ())  # from here on, work looks for what it replaces
        notes = Notes(dynamodb, self._ledger)
        with ThreadPoolExecutor(self._found.connections) as pool:
            for _ in pool.map(lambda one: notes.take(one.place, one.place, _written(one).as_note()), expired):
                advance(1)

    def files(self, record_type: str) -> Iterator[str]:
        """The keys of silver's files that a table has the rows of.

        Raises:
            LabError: there is no such table.
        """
        table, _ = self._table(record_type)
        yield from self._silver_of(table, {key for key, _, _ in self._files(table)})

    def filed(self, record_type: str) -> Iterator[tuple[str, str]]:
        """Where a table's files lie (`s3://…`), with their days.

        Raises:
            LabError: there is no such table.
        """
        from handlers.lake.iceberg.tables import data_files, day_of  # noqa: PLC0415 - see above

        for one in data_files(self._table(record_type)[0]):
            yield one.file_path, day_of(one)

    def sizes(self, record_type: str) -> Iterator[tuple[str, str, int, int]]:
        """A table's files (`s3://…`) with their days, rows and bytes.

        Raises:
            LabError: there is no such table.
        """
        from handlers.lake.iceberg.tables import data_files, day_of  # noqa: PLC0415 - see above

        for one in data_files(self._table(record_type)[0]):
            yield one.file_path, day_of(one), one.record_count, one.file_size_in_bytes

    def kept(self, record_type: str) -> Iterator[str]:
        """The keys of silver's files that any of a table's snapshots has; none where tables have copies of them.

        Raises:
            LabError: there is no such table.
        """
        from handlers.lake.iceberg.tables import data_files  # noqa: PLC0415 - see above

        table, place = self._table(record_type)[0], f"s3://{self._silver}/"
        for snapshot in table.snapshots():
            for one in data_files(table, snapshot):
                if one.file_path.startswith(place):
                    yield one.file_path.removeprefix(place)

    def left(self, record_type: str, before: datetime) -> list[str]:
        """The keys of files that a compaction had made of a table by then, and that none of its snapshots has.

        It died before its commit, or they were rewritten and their snapshots have expired.

        Raises:
            LabError: there is no such table.
        """
        bucket, _, folder = self._table(record_type)[0].location().removeprefix("s3://").partition("/")
        if bucket != self._silver:
            return []
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder + COMPACTED)
        made = [one["Key"] for page in pages for one in page.get("Contents", []) if one["LastModified"] <= before]
        kept = set(self.kept(record_type)) if made else set()
        return [key for key in made if key not in kept]

    def old(self, record_type: str, before: datetime) -> list[int]:
        """A table's snapshots of before, by their ids, but for the newest.

        Raises:
            LabError: there is no such table.
        """
        table = self._table(record_type)[0]
        old = [one.snapshot_id for one in table.snapshots() if one.timestamp_ms < before.timestamp() * 1000]
        return [one for one in old if one != table.metadata.current_snapshot_id]

    def expire(self, record_type: str, before: datetime) -> int:
        """Let a table forget those; how many. No file is deleted.

        Raises:
            LabError: there is no such table, others commit to it without a pause, or it is S3 Tables' business.
        """
        from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException  # noqa: PLC0415 - see above

        if self._table_bucket:
            raise LabError("S3 Tables lets old snapshots expire by itself (docs/iceberg.md)")
        asked = 0
        for _ in retry.attempts(_ATTEMPTS):
            if not (old := self.old(record_type, before)):
                return asked  # by a commit whose answer was lost, or by another that expires
            asked = len(old)
            table = self.glue().load_table((self.namespace, record_type))
            try:
                table.maintenance.expire_snapshots().by_ids(old).commit()
            except (CommitFailedException, CommitStateUnknownException, ValueError):
                continue  # another was quicker, or nobody knows: the next look finds which are left
            return asked
        raise LabError(f"the table {record_type} is committed to all the time: run this again")

    @property
    def in_bucket(self) -> bool:
        """Whether they are in a table bucket, which looks after them by itself."""
        return bool(self._table_bucket)

    def glue(self) -> GlueCatalog:
        """The catalog to commit to, with this stack's clients."""
        from pyiceberg.catalog.glue import GlueCatalog  # noqa: PLC0415 - see above

        from handlers.lake.iceberg.fileio import S3FileIO  # noqa: PLC0415 - see above

        files = S3FileIO(client=self._s3)

        class Catalog(GlueCatalog):
            def _load_file_io(self, properties: Properties = {}, location: str | None = None) -> FileIO:  # noqa: ARG002, B006 - pyiceberg's own signature
                return files

        return Catalog("lake", self._found.client("glue"))

    def misfit(self, file: str, footer: Any) -> str | None:  # noqa: ANN401 - pyarrow's, imported where it is needed
        """Why a file of silver could not be part of its table, by its footer; None where it could."""
        from handlers.lake.iceberg.tables import misfit  # noqa: PLC0415 - see above

        record_type = file.removeprefix(_SILVER).partition("/")[0]
        whys = [misfit(footer, one) for one in self._schemas(record_type)]
        if not whys:
            return f"{file}: there is no type {record_type}, so no table"
        return None if None in whys else f"{file}: {whys[0]}"

    def look(self, record_type: str) -> Told:
        """One table, and its type's files in silver.

        Raises:
            LabError: there is none.
        """
        table, size = self._table(record_type)
        newest = table.current_snapshot()
        summary = newest.summary.additional_properties if newest and newest.summary else {}
        when = datetime.fromtimestamp(newest.timestamp_ms / 1000, UTC).isoformat() if newest else ""
        told = Told(record_type, len(table.snapshots()), when, summary.get("ingestion-lab.number", ""), size)
        seen: set[str] = set()
        for key, dt, rows in self._files(table):
            day = told.days.setdefault(dt, Day())
            day.files += 1
            day.rows += rows
            if key in seen:
                told.twice.append(key)
            seen.add(key)
        told.days = dict(sorted(told.days.items()))
        inside = self._silver_of(table, seen)
        there = [file.key for one in partitions(self._s3, self._silver, record_type) for file in one.files]
        told.outside = [key for key in there if key not in inside]
        if not self._table_bucket:  # whose tables have copies
            told.missing = sorted({key for key in seen if key.startswith(_SILVER)}.difference(there))
        return told

    def _schemas(self, record_type: str) -> list[Any]:
        """The columns that the type says now, and those that its table has: the committer makes them agree."""
        from handlers.lake import schemas  # noqa: PLC0415 - see above
        from handlers.lake.iceberg.tables import columns  # noqa: PLC0415 - see above

        if record_type not in self._known:
            kind = schemas.types().get(record_type)
            there = [self._table(record_type)[0].schema()] if kind and record_type in self.names() else []
            self._known[record_type] = [columns(kind), *there] if kind else []
        return self._known[record_type]

    def _silver_of(self, table: Any, keys: set[str]) -> set[str]:  # noqa: ANN401 - see _files
        """The keys of silver that a table's files come from. Where an engine has rewritten some, by the ledger.

        S3 Tables does so by itself.
        """
        from handlers.lake.iceberg.ledger import Ledger  # noqa: PLC0415 - see above

        record_type = table.name()[-1]
        folder = f"{_SILVER}{record_type}/"
        if all(key.startswith(folder) for key in keys):
            return keys
        ledger = Ledger(self._found.client("dynamodb"), self._ledger, in_bucket=bool(self._table_bucket))
        return keys | {folder + name for name in ledger.files(record_type, str(table.metadata.table_uuid))}

    def _files(self, table: Any) -> Iterator[tuple[str, str, int]]:  # noqa: ANN401 - pyiceberg's, imported where it is needed
        from handlers.lake.iceberg.tables import data_files, day_of, key_of  # noqa: PLC0415 - see above

        for one in data_files(table):
            yield key_of(table, one), day_of(one), one.record_count

    def _table(self, record_type: str) -> tuple[Any, int]:
        """The table as the catalog has it now, with the size of its metadata file."""
        from pyiceberg.catalog.noop import NoopCatalog  # noqa: PLC0415 - see above
        from pyiceberg.serializers import FromInputFile  # noqa: PLC0415 - see above
        from pyiceberg.table import Table  # noqa: PLC0415 - see above

        from handlers.lake.iceberg.fileio import S3FileIO  # noqa: PLC0415 - see above

        location = self._location(record_type)
        files = S3FileIO(client=self._s3)
        source = files.new_input(location)
        metadata = FromInputFile.table_metadata(source)
        made = Table((self.namespace, record_type), metadata, location, files, NoopCatalog("none"))
        return made, len(source)

    def _location(self, record_type: str) -> str:
        """Where the table's metadata are."""
        tables, glue = self._found.client("s3tables"), self._found.client("glue")
        location: str
        try:
            if self._table_bucket:
                place = {"tableBucketARN": self._table_bucket, "namespace": self.namespace, "name": record_type}
                location = tables.get_table_metadata_location(**place)["metadataLocation"]
            else:
                there = glue.get_table(DatabaseName=self.namespace, Name=record_type)["Table"]
                location = there["Parameters"]["metadata_location"]
        except (glue.exceptions.EntityNotFoundException, tables.exceptions.NotFoundException) as error:
            from handlers.lake import schemas  # noqa: PLC0415 - see above

            if record_type not in schemas.types():
                raise LabError(f"there is no table {record_type}, and no such type of rows") from error
            raise LabError(f"there is no table {record_type}: nothing of it was committed yet") from error
        return location


def _written(one: Expired) -> Written:
    """What the committer takes for the work of a chunk."""
    from handlers.lake.iceberg.written import File, Written  # noqa: PLC0415 - see above

    files = []
    for key, rows in one.files.items():
        _, record_type, day, _ = key.split("/")
        files.append(File(key, record_type, day.removeprefix("dt="), rows))
    return Written(one.place, datetime.fromtimestamp(one.modified, UTC).isoformat(), tuple(files), {})


def _catalog(found: Target, lake: dict[str, str]) -> tuple[str, str]:
    """The namespace that the committer works in, and the table bucket's ARN where it is in one."""
    configuration = found.client("lambda").get_function_configuration(FunctionName=lake["committerFunctionName"])
    variables = configuration["Environment"]["Variables"]
    return variables["NAMESPACE"], variables.get("TABLE_BUCKET_ARN", "")
