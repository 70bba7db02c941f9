"""Tables as the committer needs them: made and widened as their types' files say, and changed by files that are there.

A commit of files also sets a property of the table: the commit's number, and what it has changed. The catalog takes
both or neither, so the table itself says what its last commit was, to whomever loads it next.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.conversions import to_bytes
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    NoSuchIcebergTableError,
    NoSuchPropertyException,
    NoSuchTableError,
    ResolveError,
    RESTError,
    TableAlreadyExistsError,
    ValidationError,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestContent
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.name_mapping import MappedField, NameMapping
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Record
from pyiceberg.types import (
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    IcebergType,
    ListType,
    LongType,
    NestedField,
    PrimitiveType,
    StringType,
    StructType,
    TimestamptzType,
)

from handlers.aws import clients
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.errors import DownstreamError
from handlers.lake import model
from handlers.lake.errors import FileChangedError, ObjectGoneError, TableMismatchError, TableUnusableError
from handlers.lake.iceberg.fileio import S3FileIO, place
from handlers.lake.iceberg.ledger import MARKS, Entry
from handlers.lake.iceberg.written import File

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from pyiceberg.catalog import Catalog

SILVER = "silver/"
PLACE = "tables/"  # of metadata; rows stay where workers have written them
LAST = "ingestion-lab.commit"
_START_ANEW = (
    "bring that back (register its newest metadata file), or, for a new one, delete the item of the ledger "
    "(lab status --output lake.ledgerTableName) whose scope is {!r} and whose name is {!r}"
)
_CANT_FOLLOW = "the table {} can't take the type's fields: {}: deploy the former file"
_REPLAY = "replay its object (lab lake replay-queue --again)"
_MAPPING = "schema.name-mapping.default"
# A commit that met another is decided on anew, by what the table has then. pyiceberg would put the same files on top of
# the other commit, which may have brought them.
_HELD = {"commit.retry.num-retries": "0"}
_MERGES = {"commit.manifest-merge.enabled": "true"}
_PROPERTIES = {"format-version": "2", **_MERGES, **_HELD}  # of a new table; a catalog may keep them or not
_EPOCH = date(1970, 1, 1)
_FOOTERS_AT_ONCE = 16
_COPIES_AT_ONCE = 4  # each has a whole file in memory
_TAIL = 64 * 1024  # bytes of a file that are read first: most footers are smaller
_END = 8  # the footer's length and the magic
_GONE = frozenset({"NoSuchKey", "404"})
# What a commit may raise that was refused, or of which nobody knows.
COMMIT_ERRORS = (CommitFailedException, CommitStateUnknownException, RESTError, OSError, *AWS_ERRORS)
# Where in a table's own place a file of silver is copied to, and what of it names the file: never twice the same place,
# so that none is used that somebody else may be about to remove, since no table named it for long.
_COPY = "{location}/data/silver-{unique}/{name}"
_COPIED = re.compile(r"/data/silver-[0-9a-f]{32}/(?P<name>.+)")
_AS_ARROW: Mapping[type[IcebergType], pa.DataType] = {
    StringType: pa.string(),
    DoubleType: pa.float64(),
    LongType: pa.int64(),
    BooleanType: pa.bool_(),
    DateType: pa.date32(),
    TimestamptzType: pa.timestamp("us", "UTC"),
}
_PLAIN: Mapping[type[model.Field], Callable[[], PrimitiveType]] = {
    model.Text: StringType,
    model.Json: StringType,
    model.Number: DoubleType,
    model.Integer: LongType,
    model.Boolean: BooleanType,
    model.Date: DateType,
    model.Time: TimestamptzType,
}


@dataclass(frozen=True, slots=True)
class Last:
    """The last commit of files to a table: its number, 0 where there was none, and what it has changed."""

    number: int
    entries: tuple[Entry, ...]

    def as_text(self) -> str:
        """As the table's property has it."""
        entries = [one.as_json() for one in self.entries]
        return json.dumps({"number": self.number, "entries": entries}, separators=(",", ":"))

    @classmethod
    def of(cls, table: Table) -> "Last":
        """Reads it off a table.

        Raises:
            TableUnusableError: somebody has changed the property.
        """
        if (text := table.properties.get(LAST)) is None:
            return cls(0, ())
        try:
            found = json.loads(text)
            return cls(int(found["number"]), tuple(map(Entry.of, found["entries"])))
        except (ValueError, TypeError, KeyError) as exc:
            name = ".".join(table.name())
            raise TableUnusableError(f"the property {LAST} of the table {name} was changed: put it back") from exc


@dataclass(frozen=True, slots=True)
class Footer:
    """A file of silver as it lies at `location`: there, or copied to its table's own place."""

    file: File
    size: int
    metadata: pq.FileMetaData
    location: str


class Tables:
    """The tables of one namespace of a catalog, a table for each type, over the files of one bucket.

    Where the tables keep their files themselves (`keeps_files`), the bucket's files are copied to them.
    """

    def __init__(
        self, catalog: "Catalog", namespace: str, s3: "S3Client", bucket: str, *, keeps_files: bool = False
    ) -> None:
        self._catalog = catalog
        self._namespace = namespace
        self._s3 = s3
        self._bucket = bucket
        self._keeps_files = keeps_files
        self.at_once = _COPIES_AT_ONCE if keeps_files else _FOOTERS_AT_ONCE

    def ready(self, kind: model.RecordType, *, make: bool = True) -> Table:
        """The table of a type as it is now: made where there is none, widened where the type has become wider.

        Raises:
            TableMismatchError: the type has become another, which is no change that a table can take.
            TableUnusableError: it is no Iceberg table, partitioned in another way, or gone and not to be made; or its
                catalog would give a new column the number of another.
        """
        table = self.there(kind.name, make=make) or self._made(kind)
        if not is_by_day(table):
            fields = ", ".join(one.name for one in table.spec().fields)
            raise TableUnusableError(
                f"the table {kind.name} is partitioned by {fields}, and new files are by {model.DT}: "
                f"partition it by {model.DT} alone again"
            )
        wanted = columns(kind)
        if not _fits(wanted.as_struct(), table.schema().as_struct()):
            if table.metadata.last_column_id < table.schema().highest_field_id:
                raise TableUnusableError(f"the catalog gives a new column of {kind.name} the number of another one")
            try:
                with table.update_schema() as update:
                    update.union_by_name(wanted)
            except (ValidationError, ResolveError, ValueError) as exc:
                why = _apart(wanted, table.schema()) or exc
                raise TableMismatchError(_CANT_FOLLOW.format(kind.name, why)) from exc
            if not _fits(wanted.as_struct(), table.schema().as_struct()):
                raise TableMismatchError(_CANT_FOLLOW.format(kind.name, _apart(wanted, table.schema())))
        held = {_MAPPING: _mapping(table), **_HELD}  # files have names of columns, and no ids
        held |= {} if _MERGES.keys() <= table.properties.keys() else _MERGES
        if held.items() - table.properties.items():
            with table.transaction() as transaction:
                transaction.set_properties(held)
        return table

    def there(self, name: str, *, make: bool = True) -> Table | None:
        """The table of this name; None where there is none, and one may be made.

        Raises:
            TableUnusableError: it is no Iceberg table, or gone and not to be made.
        """
        try:
            return self._catalog.load_table((self._namespace, name))
        except (NoSuchIcebergTableError, NoSuchPropertyException) as exc:
            raise TableUnusableError(f"{name} is in the catalog and no Iceberg table: delete or rename it") from exc
        except NoSuchTableError as exc:
            if not make:
                raise TableUnusableError(f"the table {name} is gone: {self.start_anew(name)}") from exc
        return None

    def start_anew(self, name: str) -> str:
        """What to do about a table that is not the one that the ledger has commits of."""
        return _START_ANEW.format(MARKS[self._keeps_files], name)

    def footer(self, table: Table, file: File) -> Footer:
        """What a file says of its rows; reads its end, and no row. Copies it, where the table is to keep it.

        Raises:
            ObjectGoneError: it is not there.
            FileChangedError: it is no Parquet file, or has other rows than its writer has said.
            DownstreamError: S3 did not answer, or refused.
        """
        tail, size = self._whole(file.key) if self._keeps_files else self._last(file.key, _TAIL)
        if len(tail) < _END or tail[-4:] != b"PAR1":
            raise FileChangedError(f"{file.key} is no Parquet file")
        length = int.from_bytes(tail[-_END:-4], "little") + _END
        if length > len(tail) and not self._keeps_files:
            tail, size = self._last(file.key, length)
        try:
            metadata = pq.read_metadata(pa.BufferReader(tail))
        except (pa.ArrowException, OSError) as exc:
            raise FileChangedError(f"{file.key} is no Parquet file: {exc}") from exc
        if metadata.num_rows != file.rows:
            raise FileChangedError(f"{file.key} has {metadata.num_rows} rows, {file.rows} were written")
        location = f"s3://{self._bucket}/{file.key}"
        if self._keeps_files and not misfit(metadata, table.schema()):  # one that is refused is read again each minute
            location = self._copy(table, file, tail)
        return Footer(file, size, metadata, location)

    def live(self, table: Table, keys: Collection[str]) -> dict[str, DataFile]:
        """The table's own knowledge of files, by their keys; of those that it has."""
        if not keys:
            return {}
        known = ((key_of(table, one), one) for one in data_files(table))
        return {key: one for key, one in known if key in keys}

    def data_file(self, table: Table, footer: Footer) -> DataFile:
        """A file as the table knows it.

        Raises:
            TableMismatchError: a column of it is of another type.
            FileChangedError: it says of a column what no row can have.
        """
        if why := misfit(footer.metadata, table.schema()):
            raise TableMismatchError(f"{footer.file.key} was written under another type: {why}: {_REPLAY}")
        try:
            return self._data_file(table, footer)
        except (ValueError, ArithmeticError, pa.ArrowException) as exc:
            raise FileChangedError(f"{footer.file.key} has values that no row can have: {exc!r}") from exc

    def commit(self, table: Table, last: Last, added: Sequence[DataFile], removed: Sequence[DataFile]) -> None:
        """Adds files and removes others, in one snapshot, together with `last`.

        Raises:
            COMMIT_ERRORS: somebody was quicker, or nobody knows.
        """
        numbers = {"ingestion-lab.number": str(last.number), "ingestion-lab.chunks": str(len(last.entries))}
        transaction = table.transaction()
        update = transaction.update_snapshot(snapshot_properties=numbers)
        with update.overwrite() if removed else update.merge_append() as snapshot:
            for one in removed:
                snapshot.delete_data_file(one)
            for one in added:
                snapshot.append_data_file(one)
        transaction.set_properties({LAST: last.as_text()})
        transaction.commit_transaction()

    def _made(self, kind: model.RecordType) -> Table:
        name = (self._namespace, kind.name)
        wanted = columns(kind)
        day = wanted.find_field(model.DT)
        spec = PartitionSpec(
            PartitionField(source_id=day.field_id, field_id=1000, transform=IdentityTransform(), name=model.DT)
        )
        location = None if self._keeps_files else f"s3://{self._bucket}/{PLACE}{kind.name}"
        try:
            # a copy, out of which pyiceberg takes the version
            return self._catalog.create_table(name, wanted, location, spec, properties={**_PROPERTIES})
        except TableAlreadyExistsError:  # another committer has made it meanwhile
            return self._catalog.load_table(name)

    def _data_file(self, table: Table, footer: Footer) -> DataFile:
        return DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=footer.location,
            file_format=FileFormat.PARQUET,
            partition=Record((date.fromisoformat(footer.file.dt) - _EPOCH).days),
            file_size_in_bytes=footer.size,
            sort_order_id=None,
            spec_id=table.metadata.default_spec_id,
            equality_ids=None,
            key_metadata=None,
            **statistics(footer.metadata, table.schema()),
        )

    def _last(self, key: str, count: int) -> tuple[bytes, int]:
        """The last bytes of a file, and its size."""
        with _read(key):
            answer = self._s3.get_object(Bucket=self._bucket, Key=key, Range=f"bytes=-{count}")
            return answer["Body"].read(), int(answer["ContentRange"].rpartition("/")[2])

    def _whole(self, key: str) -> tuple[bytes, int]:
        """A file and its size."""
        with _read(key):
            content = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            return content, len(content)

    def _copy(self, table: Table, file: File, content: bytes) -> str:
        """Puts a file into the table's own place, which has nothing but single puts for it: no copy from elsewhere."""
        name = file.key.removeprefix(f"{SILVER}{file.type}/")
        location = _COPY.format(location=table.location(), unique=uuid4().hex, name=name)
        bucket, key = place(location)
        try:
            self._s3.put_object(Bucket=bucket, Key=key, Body=content)
        except AWS_ERRORS as exc:
            raise DownstreamError(f"S3 Tables did not take {file.key}: {error_code(exc)}") from exc
        return location


def columns(kind: model.RecordType) -> Schema:
    """The columns of a type's table. All may be null but the time: what a row must have is the business of the gate.

    So fields can be added and be made optional later, and files of before and after stand in one table.
    """
    ids = count(1)
    time = NestedField(next(ids), model.EVENT_TIME, TimestamptzType(), required=True)
    fields = [_column(one, ids) for one in kind.fields]
    return Schema(time, *fields, NestedField(next(ids), model.DT, DateType(), required=False))


def misfit(metadata: pq.FileMetaData, schema: Schema) -> str | None:
    """Why a table can't have a file: a column of another type, which readers would fail at. None where it can.

    Columns that only one of the two has are no fault: they are null, or are not read.
    """
    found = metadata.schema.to_arrow_schema()
    for one in schema.fields:
        there = found.field(one.name).type if one.name in found.names else None
        if there is not None and not _reads(there, one.field_type):
            return f"{one.name} is {there} in the file and {one.field_type} in the table"
    return None


def statistics(metadata: pq.FileMetaData, schema: Schema) -> dict[str, Any]:
    """What a table says of a file's columns, by their ids, so that readers skip it; nothing of nested ones and texts.

    pyiceberg has this, too, beside readers of all kinds, for which the lake's layer lacks parts of pyarrow.
    """
    columns = {one.name: (one.field_id, one.field_type) for one in schema.fields}
    found: dict[str, Any] = {name: {} for name in ("column_sizes", "value_counts", "null_value_counts")}
    types: dict[int, PrimitiveType] = {}
    lower: dict[int, Any] = {}
    upper: dict[int, Any] = {}
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    for part in (group.column(i) for group in groups for i in range(group.num_columns)):
        id_, type_ = columns.get(part.path_in_schema, (0, None))
        if not isinstance(type_, PrimitiveType):
            continue
        types[id_], told = type_, part.statistics
        numbers = {"column_sizes": part.total_compressed_size, "value_counts": part.num_values}
        numbers |= {"null_value_counts": told.null_count} if told is not None and told.has_null_count else {}
        for name, number in numbers.items():
            found[name][id_] = found[name].get(id_, 0) + number
        if told is not None and told.has_min_max:
            lower[id_] = min(told.min, lower.get(id_, told.min))
            upper[id_] = max(told.max, upper.get(id_, told.max))
    bounds = {
        name: {id_: to_bytes(types[id_], value) for id_, value in values.items()}
        for name, values in {"lower_bounds": lower, "upper_bounds": upper}.items()
    }
    offsets = [_start(group.column(0)) for group in groups]
    return {"record_count": metadata.num_rows, "nan_value_counts": {}, "split_offsets": offsets, **found, **bounds}


def data_files(table: Table, of: Snapshot | None = None) -> Iterator[DataFile]:
    """The files of a snapshot, the current one, that have rows; others say which of them were deleted."""
    snapshot = of or table.current_snapshot()
    for manifest in snapshot.manifests(table.io) if snapshot else ():
        if manifest.content == ManifestContent.DATA:
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                yield entry.data_file


def key_of(table: Table, file: DataFile) -> str:
    """The key of a table's file in silver, of which it may be a copy; of a file of another engine's, its own key."""
    if copied := _COPIED.fullmatch(file.file_path.removeprefix(table.location())):
        return f"{SILVER}{table.name()[-1]}/{copied['name']}"
    return place(file.file_path)[1]


def day_of(file: DataFile) -> str:
    """The day of a table's file: `2026-01-31`."""
    day = file.partition[0]
    return (day if isinstance(day, date) else _EPOCH + timedelta(days=day)).isoformat()


def glue_catalog() -> "Catalog":
    """The account's catalog, which refuses the second of two commits; metadata are read by the handlers' clients."""
    implementation = f"{S3FileIO.__module__}.{S3FileIO.__name__}"
    return GlueCatalog("lake", clients.client("glue"), **{"py-io-impl": implementation})


def _start(part: pq.ColumnChunkMetaData) -> int:
    """Where a column of a row group begins: with its dictionary, if it has one."""
    first: int = part.data_page_offset
    return min(part.dictionary_page_offset, first) if part.has_dictionary_page else first


def is_by_day(table: Table) -> bool:
    """Whether new files are filed by the column `dt` as it is, and by nothing else."""
    day = table.schema().find_field(model.DT)
    fields = [(one.source_id, type(one.transform)) for one in table.spec().fields]
    return fields == [(day.field_id, IdentityTransform)]


def _mapping(table: Table) -> str:
    """Which names in files are which columns: as the table has it, but that no column is left out.

    Whoever adds a column may leave it out, and readers would find none of its values.
    """
    there = table.name_mapping() or NameMapping([])
    known = {one.field_id: one for one in there}
    made = NameMapping([_mapped(known.get(one.field_id), one) for one in table.schema().name_mapping])
    return table.properties[_MAPPING] if made.root == there.root else made.model_dump_json()


def _mapped(known: MappedField | None, wanted: MappedField) -> MappedField:
    """The names that are known of a column, and those that it must have."""
    if known is None:
        return wanted
    inner = {one.field_id: one for one in known.fields}
    names = [*known.names, *(name for name in wanted.names if name not in known.names)]
    fields = [_mapped(inner.get(one.field_id), one) for one in wanted.fields]
    return wanted.model_copy(update={"names": names, "fields": fields})


@contextmanager
def _read(key: str) -> Iterator[None]:
    """A file of silver is read within it."""
    try:
        yield
    except AWS_ERRORS as exc:
        if (code := error_code(exc)) in _GONE:
            raise ObjectGoneError(f"{key} is not there: {code}") from exc
        raise DownstreamError(f"S3 did not give {key}: {code}") from exc


def _column(field: model.Field, ids: Iterator[int]) -> NestedField:
    return NestedField(next(ids), field.name, _type(field, ids), required=False)


def _type(field: model.Field, ids: Iterator[int]) -> IcebergType:
    match field:
        case model.Decimal():
            return DecimalType(field.precision, field.scale)
        case model.List():
            number = next(ids)
            return ListType(element_id=number, element=_type(field.of, ids), element_required=False)
        case model.Object():
            return StructType(*(_column(one, ids) for one in field.fields))
    return _PLAIN[type(field)]()


def _fits(wanted: IcebergType, there: IcebergType) -> bool:
    """Whether values of a type can be read as another: equal, wider, or with more fields."""
    match wanted, there:
        case StructType(), StructType():
            known = {one.name: one for one in there.fields}
            return all(one.name in known and _fits(one.field_type, known[one.name].field_type) for one in wanted.fields)
        case ListType(), ListType():
            return _fits(wanted.element_type, there.element_type)
        case DecimalType(), DecimalType():
            return wanted.scale == there.scale and wanted.precision <= there.precision
    return wanted == there


def _apart(wanted: Schema, there: Schema) -> str:
    """The columns that are of another type in the type's file than in its table, which can't follow."""
    known = {one.name: one.field_type for one in there.fields}
    return ", ".join(
        f"{one.name} is {one.field_type} in the type's file and {known[one.name]} in the table"
        for one in wanted.fields
        if one.name in known and not _follows(one.field_type, known[one.name])
    )


def _follows(wanted: IcebergType, there: IcebergType) -> bool:
    """Whether a column can become one of another type: with more fields, or more digits before the point."""
    match wanted, there:
        case StructType(), StructType():
            known = {one.name: one.field_type for one in there.fields}
            return all(_follows(one.field_type, known[one.name]) for one in wanted.fields if one.name in known)
        case ListType(), ListType():
            return _follows(wanted.element_type, there.element_type)
        case DecimalType(), DecimalType():
            return wanted.scale == there.scale
    return wanted == there


def _reads(there: pa.DataType, wanted: IcebergType) -> bool:
    """Whether a column of a file can be read as one of a table: the same, or narrower."""
    match wanted:
        case StructType():
            known = {one.name: one.type for one in there} if isinstance(there, pa.StructType) else None
            return known is not None and all(
                _reads(known[one.name], one.field_type) for one in wanted.fields if one.name in known
            )
        case ListType():
            return isinstance(there, pa.ListType) and _reads(there.value_type, wanted.element_type)
        case DecimalType():
            fits = isinstance(there, pa.Decimal128Type) and there.scale == wanted.scale
            return fits and there.precision <= wanted.precision
    return bool(there == _AS_ARROW[type(wanted)])
