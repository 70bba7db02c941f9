"""One file for each day of a type, made from its many: a copy beside silver, replaced as a whole.

Silver stays what it is, so whatever a worker writes there, by a redelivery or a replay, doubles no row and loses none:
the copy of that day is out of date then, which its metadata shows, and the next run makes it anew. The copy of a day is
one object under one key, so that a reader sees the old one or the new one: S3 replaces no two keys at once.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from handlers.lake.partition import Partition, partitions
from ops.cli.lake import footers
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from handlers.lake.partition import File
    from ops.cli.target import Target

PREFIX = "compacted/"
_CONTENT_TYPE = "application/vnd.apache.parquet"
_MAX_BYTES = 5 * 1024**3  # what S3 takes in one call
_GROUP_ROWS = 1024 * 1024  # of a row group; fewer, bigger ones than silver's
_GROUP_BYTES = 128 * 1024 * 1024
_LOST = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})

FRESH, NEW, STALE, FEW, BUSY = "fresh", "new", "stale", "few files", "still written to"


class RefusedError(LabError):
    """A day that can't be compacted, and why; the others can."""


class OvertakenError(LabError):
    """Files changed while they were read, or another run was faster: nothing was replaced."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which days are to be compacted: with so many files, or a copy already, and nothing written since."""

    least_files: int
    quiet_since: datetime


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a day has become."""

    rows: int
    bytes: int
    still_fresh: bool  # else something was written to silver meanwhile

    def as_json(self) -> dict[str, Any]:
        """As `--json` has it."""
        return {"rows": self.rows, "bytes": self.bytes, "stillFresh": self.still_fresh}


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the files have together: rows, and a schema of pyarrow's that all of them fit."""

    rows: int
    schema: Any


class Compactor:
    """Compacts days of a silver bucket."""

    def __init__(self, found: Target, bucket: str) -> None:
        self._s3 = found.client("s3")
        self._bucket = bucket
        self._connections = found.connections

    def partitions(self, record_type: str = "", dt: str = "") -> Iterator[Partition]:
        """The days of a type, or of all; in order, one at a time."""
        return partitions(self._s3, self._bucket, record_type, dt)

    def fresh(self, day: Partition) -> str | None:
        """The key of the day's one file, where it was made from exactly these files."""
        head = self._head(day)
        return _key(day) if head and head["Metadata"].get("inputs") == day.inputs else None

    def state(self, day: Partition, choice: Choice) -> str:
        """Whether it is to be compacted (`NEW`, `STALE`), and if not, why."""
        head = self._head(day)
        if head and head["Metadata"].get("inputs") == day.inputs:
            return FRESH
        if head is None and len(day.files) < choice.least_files:
            return FEW
        if day.modified > choice.quiet_since:
            return BUSY
        return STALE if head else NEW

    def compact(self, day: Partition, folder: Path) -> Compacted:
        """Make one file of a day: written here, compared, and then put over the former one, if that is still there.

        Raises:
            RefusedError: it is too large, or its files do not fit together. Nothing was changed.
            OvertakenError: it was written to, or compacted, meanwhile. Nothing was changed.
        """
        if day.size > _MAX_BYTES:
            raise RefusedError(f"{day.size} bytes are more than 5 GiB: let an engine do that (docs/lake-readers.md)")
        former = self._head(day)
        shape = self._shape(day)
        file = folder / "all.parquet"
        self._write(day, shape, file)
        _compare(file, shape)
        self._put(day, shape, file, former)
        still = [now.inputs for now in self.partitions(day.type, day.dt)] == [day.inputs]
        return Compacted(shape.rows, file.stat().st_size, still)

    def _head(self, day: Partition) -> dict[str, Any] | None:
        try:
            head: dict[str, Any] = self._s3.head_object(Bucket=self._bucket, Key=_key(day))
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"404", "NoSuchKey"}:
                raise
            return None
        return head

    def _shape(self, day: Partition) -> _Shape:
        """By the footers alone: what can't become one file is refused before any row is read."""
        with ThreadPoolExecutor(self._connections) as pool:
            found = list(pool.map(self._footer, day.files))
        schemas = [footer.schema.to_arrow_schema() for footer in found]
        return _Shape(sum(footer.num_rows for footer in found), united(schemas))

    def _footer(self, file: File) -> Any:  # noqa: ANN401 - pyarrow's
        try:
            return footers.read(self._s3, self._bucket, file)
        except footers.NotParquetError as error:
            raise RefusedError(str(error)) from error
        except ClientError as error:
            raise _changed(error, file) from error

    def _write(self, day: Partition, shape: _Shape, file: Path) -> None:
        """In the order of the files; of all the rows there is a row group in memory, and one file."""
        import pyarrow as pa  # noqa: PLC0415 - see footers.parquet

        parquet = footers.parquet()
        with parquet.ParquetWriter(file, shape.schema, compression="zstd", compression_level=3) as writer:
            held: list[Any] = []
            for one in day.files:
                held.append(
                    _fitted(parquet.read_table(io.BytesIO(self._content(one)), partitioning=None), shape.schema)
                )
                if sum(t.num_rows for t in held) >= _GROUP_ROWS or sum(t.nbytes for t in held) >= _GROUP_BYTES:
                    writer.write_table(pa.concat_tables(held), row_group_size=_GROUP_ROWS)
                    held = []
            if held:
                writer.write_table(pa.concat_tables(held), row_group_size=_GROUP_ROWS)

    def _content(self, file: File) -> bytes:
        try:
            content: bytes = self._s3.get_object(Bucket=self._bucket, Key=file.key, IfMatch=file.etag)["Body"].read()
        except ClientError as error:
            raise _changed(error, file) from error
        return content

    def _put(self, day: Partition, shape: _Shape, file: Path, former: dict[str, Any] | None) -> None:
        condition = {"IfMatch": former["ETag"]} if former else {"IfNoneMatch": "*"}
        metadata = {"inputs": day.inputs, "files": str(len(day.files)), "rows": str(shape.rows)}
        try:
            with file.open("rb") as body:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=_key(day),
                    Body=body,
                    ContentType=_CONTENT_TYPE,
                    Metadata=metadata,
                    **condition,
                )
        except ClientError as error:
            if error.response["Error"]["Code"] in _LOST:
                raise OvertakenError("another run has compacted it meanwhile") from error
            raise


def united(schemas: Sequence[Any]) -> Any:  # noqa: ANN401 - pyarrow's
    """One schema for files of a type: a field that only some have is null in the others.

    A field stays required where all files have it and require it; metadata stay where all files say the same.

    Raises:
        RefusedError: a field has two types.
    """
    import pyarrow as pa  # noqa: PLC0415 - see footers.parquet

    fields: dict[str, Any] = {}
    for schema in sorted(schemas, key=len, reverse=True):  # the widest decides the order
        for one in schema:
            known = fields.setdefault(one.name, one)
            if known.type != one.type:
                raise RefusedError(
                    f"{one.name} is {known.type} in some files and {one.type} in others: a field keeps its type"
                    " (docs/lake-readers.md)"
                )
    everywhere = {name for name in fields if all(name in schema.names for schema in schemas)}
    required = {n for n in everywhere if not any(schema.field(n).nullable for schema in schemas)}
    said = [dict(schema.metadata or {}) for schema in schemas]
    metadata = {key: text for key, text in said[0].items() if all(other.get(key) == text for other in said)}
    return pa.schema([one.with_nullable(name not in required) for name, one in fields.items()], metadata or None)


def _fitted(table: Any, schema: Any) -> Any:  # noqa: ANN401 - pyarrow's
    """The table with all of the schema's columns."""
    import pyarrow as pa  # noqa: PLC0415 - see footers.parquet

    columns = [
        table[one.name] if one.name in table.column_names else pa.nulls(table.num_rows, one.type) for one in schema
    ]
    return pa.table(columns, schema=schema)


def _compare(file: Path, shape: _Shape) -> None:
    """The file as a reader will find it, beside what it was made from."""
    written = footers.parquet().ParquetFile(file)
    found = (written.metadata.num_rows, written.schema_arrow)
    if found[0] != shape.rows or not found[1].equals(shape.schema, check_metadata=True):
        raise RefusedError(
            f"the file has {found[0]} rows and {found[1]}, {shape.rows} and {shape.schema} were expected"
        )


def _changed(error: ClientError, file: File) -> Exception:
    code = error.response["Error"]["Code"]
    if code in {*_LOST, "NoSuchKey", "404"}:
        return OvertakenError(f"{file.key} was overwritten or deleted meanwhile")
    return error


def _key(day: Partition) -> str:
    """Where the copy of a day is."""
    return f"{PREFIX}{day.type}/dt={day.dt}/all.parquet"
