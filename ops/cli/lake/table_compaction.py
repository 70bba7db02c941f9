"""The small files of a day of a table, made few in one snapshot: by Athena, or on the laptop by pyiceberg.

Either commits as the committer does: the catalog refuses whoever comes second. What is read and written before that
changes nothing, so whatever dies leaves the table as it was, or is done.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from handlers.aws import retry
from handlers.lake.partition import File, Partition, partitions
from ops.cli.lake.athena import Athena
from ops.cli.lake.compaction import BUSY, FEW, NEW, OvertakenError, RefusedError
from ops.cli.lake.tables import COMPACTED, Tables
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pyiceberg.catalog.glue import GlueCatalog
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import FileScanTask, Table

    from ops.cli.lake.compaction import Choice
    from ops.cli.target import Target

_MEBIBYTE = 1024 * 1024
_SMALL = 64 * _MEBIBYTE  # larger files are left as they are
_TOGETHER = 128 * _MEBIBYTE  # of files that pyiceberg makes one, in memory
_ATTEMPTS = 4
_NEVER = datetime.min.replace(tzinfo=UTC)


class Engine(Protocol):
    """What rewrites the files of a day."""

    def rewrite(self, record_type: str, dt: str) -> None:
        """Make the small files of a day few, in one snapshot; nothing where they are few."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What the table has of a day afterwards."""

    rows: int
    bytes: int
    files: int

    def as_json(self) -> dict[str, Any]:
        """As `--json` has it."""
        return {"rows": self.rows, "bytes": self.bytes, "filesNow": self.files}


class TableCompactor:
    """Compacts days of tables.

    Raises:
        LabError: they are in a table bucket, or pyiceberg is not installed.
    """

    def __init__(self, found: Target, lake: dict[str, str], workgroup: str) -> None:
        self._tables = tables = Tables(found, lake)
        self._s3 = found.client("s3")
        self._silver = lake["silverBucket"]
        if tables.in_bucket:
            raise LabError(
                "S3 Tables compacts by itself, within hours; aws s3tables get-table-maintenance-job-status shows when,"
                " put-table-maintenance-configuration --type icebergCompaction sets how (docs/iceberg.md)"
            )
        self._engine: Engine = (
            Athena(found.client("athena"), tables.namespace, workgroup)
            if found.has_athena
            else Rewriter(tables.glue(), tables.namespace, self._s3, self._silver)
        )

    def partitions(self, record_type: str = "", dt: str = "") -> Iterator[Partition]:
        """The days of a table, or of all, with the files that they have there; in order, one at a time."""
        for name in self._tables.names():
            if record_type not in {"", name}:
                continue
            written = {day.dt: day.modified for day in partitions(self._s3, self._silver, name, dt)}
            found: dict[str, list[File]] = {}
            for url, day, _, size in self._tables.sizes(name):
                found.setdefault(day, []).append(File(url, "", size))
            for day, files in sorted(found.items()):
                if dt in {"", day}:
                    yield Partition(name, day, files, written.get(day, _NEVER))

    @staticmethod
    def state(day: Partition, choice: Choice) -> str:
        """Whether it is to be compacted (`NEW`), and if not, why."""
        if sum(file.size < _SMALL for file in day.files) < max(choice.least_files, 2):
            return FEW
        return BUSY if day.modified > choice.quiet_since else NEW

    def compact(self, day: Partition, _folder: Path) -> Rewritten:
        """Make its small files few.

        Raises:
            RefusedError: its engine can't. Nothing was changed.
            OvertakenError: others commit to the table without a pause. Nothing was changed.
        """
        self._engine.rewrite(day.type, day.dt)
        now = [(rows, size) for _, dt, rows, size in self._tables.sizes(day.type) if dt == day.dt]
        return Rewritten(sum(rows for rows, _ in now), sum(size for _, size in now), len(now))


class Rewriter:
    """Rewrites files with pyiceberg, through this machine's memory."""

    def __init__(self, catalog: GlueCatalog, namespace: str, s3: Any, bucket: str) -> None:  # noqa: ANN401 - a client
        from handlers.lake.iceberg import tables  # noqa: PLC0415 - see Tables

        self._catalog = catalog
        self._namespace = namespace
        self._as_table_has_it = tables.Tables(catalog, namespace, s3, bucket).data_file

    def rewrite(self, record_type: str, dt: str) -> None:
        """Replace a day's small files by files with the same rows, in one snapshot.

        Where others commit meanwhile, the catalog refuses it, and it looks again at what the table has then.

        Raises:
            RefusedError: the files can't be read, or the table is not by day.
            OvertakenError: it was refused each time.
        """
        from pyiceberg.exceptions import (  # noqa: PLC0415 - see Tables
            CommitFailedException,
            CommitStateUnknownException,
            ValidationException,
        )

        for _ in retry.attempts(_ATTEMPTS):
            table = self._catalog.load_table((self._namespace, record_type))
            groups = _groups(table, dt)
            if not groups:
                return
            made = [self._made(table, dt, group) for group in groups]
            transaction = table.transaction()
            update = transaction.update_snapshot(snapshot_properties={"ingestion-lab.compacted": dt})
            try:
                with update.overwrite() as snapshot:
                    for task in (one for group in groups for one in group):
                        snapshot.delete_data_file(task.file)
                    for file in made:
                        snapshot.append_data_file(file)
                transaction.commit_transaction()
            except (CommitFailedException, CommitStateUnknownException, ValidationException):
                continue  # another was quicker, or nobody knows: the next look finds what the table has
            return
        raise OvertakenError(f"the table {record_type} is committed to all the time: run this again")

    def _made(self, table: Table, dt: str, group: Sequence[FileScanTask]) -> DataFile:
        """One file with the rows of many, put into the table's own folder; no table names it yet.

        Its place is one that nothing has been at before: what a run that died has left is never used again, so it may
        be deleted.
        """
        from handlers.errors import IngestionError  # noqa: PLC0415 - see Tables
        from handlers.lake.iceberg import tables, written  # noqa: PLC0415 - see Tables
        from ops.cli.lake import footers  # noqa: PLC0415 - see Tables

        content, rows = _content(table, group)
        url = f"{table.location()}{COMPACTED}dt={dt}/{uuid4().hex}.parquet"
        metadata = footers.parquet().read_metadata(io.BytesIO(content))
        if metadata.num_rows != rows:
            raise RefusedError(f"the file has {metadata.num_rows} rows, {rows} were expected")
        with table.io.new_output(url).create() as stream:
            stream.write(content)
        file = written.File(url, table.name()[-1], dt, rows)
        try:
            return self._as_table_has_it(table, tables.Footer(file, len(content), metadata, url))
        except IngestionError as error:
            raise RefusedError(str(error)) from error


def _groups(table: Table, dt: str) -> list[list[FileScanTask]]:
    """The small files of a day, those together that become one."""
    from handlers.lake.iceberg.tables import is_by_day  # noqa: PLC0415 - see Tables

    if not is_by_day(table):
        raise RefusedError("the table is not partitioned by dt alone")
    try:
        planned = list(table.scan(row_filter=f"dt = '{dt}'").plan_files())
    except ValueError as error:  # deletes of a kind that it does not know
        raise RefusedError(f"pyiceberg can't read it: {error}") from error
    spec = table.metadata.default_spec_id
    groups: list[list[FileScanTask]] = [[]]
    size = 0
    for task in sorted(planned, key=lambda one: str(one.file.file_path)):
        if task.file.spec_id != spec or task.file.file_size_in_bytes >= _SMALL:
            continue
        if size + task.file.file_size_in_bytes > _TOGETHER:
            groups.append([])
            size = 0
        groups[-1].append(task)
        size += task.file.file_size_in_bytes
    return [group for group in groups if len(group) > 1]


def _content(table: Table, group: Sequence[FileScanTask]) -> tuple[bytes, int]:
    """The rows of files, as one file such as workers write, and how many they are.

    Not by pyiceberg's own reader, which makes an empty list of a list of objects that is null.
    """
    import pyarrow as pa  # noqa: PLC0415 - see Tables
    from pyiceberg.io.pyarrow import schema_to_pyarrow  # noqa: PLC0415 - see Tables

    from handlers.lake.model import DT  # noqa: PLC0415 - see Tables
    from ops.cli.lake import footers  # noqa: PLC0415 - see Tables

    wanted = schema_to_pyarrow(table.schema(), include_field_ids=False)
    wanted = wanted.remove(wanted.get_field_index(DT))  # stands in the file's place, as in those of workers
    read = []
    for task in group:
        if task.delete_files:
            raise RefusedError("rows of it were deleted beside its files: an engine has to rewrite them")
        try:
            with table.io.new_input(task.file.file_path).open() as stream:
                found = footers.parquet().read_table(stream, partitioning=None)
        except FileNotFoundError as error:
            raise RefusedError(f"{error} is not there: lab lake check") from error
        if found.num_rows != task.file.record_count:
            raise RefusedError(f"{task.file.file_path} has other rows than the table says: lab lake check")
        read.append(_fitted(table, found.drop_columns([one for one in found.column_names if one == DT]), wanted))
    rows = pa.concat_tables(read)
    sink = io.BytesIO()
    with footers.parquet().ParquetWriter(
        sink, wanted, compression="zstd", compression_level=3, store_schema=False
    ) as writer:
        writer.write_table(rows)
    return sink.getvalue(), rows.num_rows


def _fitted(table: Table, found: Any, wanted: Any) -> Any:  # noqa: ANN401 - pyarrow's
    """A file's rows with the table's columns; refused where one of its columns is another of the table's, or none."""
    import pyarrow as pa  # noqa: PLC0415 - see Tables

    mapping = table.name_mapping()
    known = {name: one.field_id for one in mapping or () for name in one.names}
    schema = table.schema()
    if other := set(_leaves(found.schema)) - set(_leaves(wanted)):
        raise RefusedError(f"its files have columns that the table has not: {', '.join(sorted(other))}")
    if any(known.get(name) != schema.find_field(name).field_id for name in found.column_names):
        raise RefusedError("the table finds other columns than these by their names: an engine has to rewrite it")
    columns = [
        found[one.name].cast(one.type) if one.name in found.column_names else pa.nulls(found.num_rows, one.type)
        for one in wanted
    ]
    return pa.table(columns, schema=wanted)


def _leaves(fields: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - pyarrow's
    """The columns of a schema or a struct, those within others too: a cast leaves out what it does not know."""
    import pyarrow as pa  # noqa: PLC0415 - see Tables

    for one in fields:
        place, kind = f"{path}{one.name}", one.type
        while pa.types.is_list(kind) or pa.types.is_large_list(kind):
            kind = kind.value_type
        if pa.types.is_struct(kind):
            yield from _leaves(kind, f"{place}.")
        else:
            yield place
