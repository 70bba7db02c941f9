"""Committer and readers on a second implementation of AWS: Glue's catalog, DynamoDB's conditions, S3's files."""

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal as Exact
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from moto.server import ThreadedMotoServer
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestContent, ManifestWriterV2
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _FastAppendFiles

from handlers.aws import clients
from handlers.errors import DownstreamError
from handlers.lake import model, schemas, silver
from handlers.lake.errors import NotCommittedError
from handlers.lake.iceberg import commit, fileio, tables
from handlers.lake.iceberg.ledger import Entry, Ledger, Mark
from handlers.lake.message import Chunk, Kind, Source
from handlers.lake.notes import Notes
from handlers.lake.validate import silver_schema
from tests.handlers.fakes import FakeContext

_BUCKET, _LEDGER, _STATE, _DATABASE = "silver-bucket", "ledger", "state", "lake"
_LOADING_SECONDS = 60
_DELETED_PATH, _DELETED_POSITION = 2147483546, 2147483545  # the specification's ids of columns
_MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)
_BEFORE = model.RecordType("shipments", (model.Text("shipment_id"), model.Decimal("price", 5, 2)))
_AFTER = model.RecordType(
    "shipments",
    (
        model.Text("shipment_id"),
        model.Decimal("price", 12, 2),
        model.List("tags", model.Text("tag"), optional=True),
        model.Object("box", (model.Integer("pieces"),), optional=True),
    ),
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A moto server in this process."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@dataclass
class Aws:
    """What a lake with tables has."""

    endpoint: str

    def write(
        self, number: int, kind: model.RecordType, row: dict[str, Any], *, hour: int = 12, is_done: bool = True
    ) -> None:
        """What a worker leaves: a file, a record, a note."""
        source = Source("bronze", f"bronze/shipments/{number}.jsonl", "", f"e{number}", 10)
        chunk = Chunk(source, Kind("shipments", "jsonl", "none"), 0, 10, 1)
        content = silver.encode(pa.Table.from_pylist([{"event_time": _MOMENT, **row}], schema=silver_schema(kind)))
        key = silver.key("shipments", "2026-01-31", source.digest, 0, silver.mark(content))
        clients.client("s3").put_object(Bucket=_BUCKET, Key=key, Body=content)
        file = {"key": key, "type": "shipments", "dt": "2026-01-31", "rows": 1}
        item = {
            "idempotencyKey": {"S": f"lake/{chunk.key}"},
            "status": {"S": "SUCCEEDED" if is_done else "INFLIGHT"},
            "payload": {"S": json.dumps(chunk.payload())},
            "result": {"S": json.dumps({"files": [file]})},
            "processedAt": {"S": f"2026-01-31T{hour}:00:00.000Z"},
        }
        clients.client("dynamodb").put_item(TableName=_STATE, Item=item)
        Notes(clients.client("dynamodb"), _LEDGER).take(chunk.key, chunk.lasting_id)

    @property
    def options(self) -> dict[str, Any]:
        """How readers get at S3."""
        keys = {"s3.access-key-id": "test", "s3.secret-access-key": "test"}
        return {"s3.endpoint": self.endpoint, "s3.region": "us-east-1", **keys}

    def table(self) -> Table:
        """The table as another program finds it: pyiceberg as it comes, with Arrow's S3."""
        catalog = GlueCatalog("lake", **self.options, **{"glue.endpoint": self.endpoint})
        return catalog.load_table((_DATABASE, "shipments"))


@pytest.fixture
def aws(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """Buckets, tables and database, with nothing in them; the functions' clients find them."""
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "ENVIRONMENT": "test",
        "PIPELINE": "lake",
        "SILVER_BUCKET": _BUCKET,
        "TABLE_NAME": _STATE,
        "LEDGER_NAME": _LEDGER,
        "NAMESPACE": _DATABASE,
        "EVENT_BUS_NAME": "default",
        "POLARS_ICEBERG_PLANNER": "plugin",  # polars reads manifests itself, and asks pyiceberg for none
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for cached in (clients._session, fileio.s3_client, commit.work):
        cached.cache_clear()
    with urllib.request.urlopen(f"{endpoint}/moto-api/reset", data=b"", timeout=60) as answer:  # noqa: S310 - loopback
        assert answer.status == 200
    # moto loads a service when it is called first, which may take longer than the handlers' clients wait
    s3, glue, events, dynamodb = (
        clients.client(one, read_timeout=_LOADING_SECONDS) for one in ("s3", "glue", "events", "dynamodb")
    )
    s3.create_bucket(Bucket=_BUCKET)
    glue.create_database(DatabaseInput={"Name": _DATABASE})
    events.list_event_buses()
    for name, keys in {_LEDGER: ("scope", "name"), _STATE: ("idempotencyKey",)}.items():
        dynamodb.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": one, "KeyType": kind} for one, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in keys],
            BillingMode="PAY_PER_REQUEST",
        )
    yield Aws(endpoint)
    for cached in (clients._session, fileio.s3_client, commit.work):
        cached.cache_clear()


def _by_arrow(aws: Aws, snapshot: int | None = None) -> list[dict[str, Any]]:
    """As pyiceberg plans it and pyarrow reads it."""
    rows: list[dict[str, Any]] = aws.table().scan(snapshot_id=snapshot).to_arrow().sort_by("shipment_id").to_pylist()
    return rows


def _by_polars(aws: Aws, snapshot: int | None = None) -> list[dict[str, Any]]:
    """As polars plans and reads it, from the metadata file on: an implementation of its own, in Rust."""
    return _scanned(aws, snapshot).sort("shipment_id").collect().to_dicts()


def _scanned(aws: Aws, snapshot: int | None = None) -> pl.LazyFrame:
    place = aws.table().metadata_location
    return pl.scan_iceberg(place, snapshot_id=snapshot, storage_options=aws.options, reader_override="native")


def test_two_engines_read_rows_of_before_and_after_a_change_of_the_type(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function itself, three times: rows come, the type gets wider, a replay replaces a file.

    Each engine finds the same rows in the table and in each of its snapshots, whose columns are those of then.
    """
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": _BEFORE})
    aws.write(1, _BEFORE, {"shipment_id": "S-1", "price": Exact("1.50")})
    aws.write(9, _BEFORE, {"shipment_id": "S-9", "price": Exact("9.00")}, is_done=False)
    assert commit.handler({}, FakeContext()) == {"noted": 2, "unfinished": 1, "committed": 1}
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": _AFTER})
    wide = {"shipment_id": "S-2", "price": Exact("1234567.89"), "tags": ["a", "b"], "box": {"pieces": 3}}
    aws.write(2, _AFTER, wide)
    assert commit.handler({}, FakeContext()) == {"noted": 2, "unfinished": 1, "committed": 1}
    aws.write(1, _AFTER, {"shipment_id": "S-1", "price": Exact("7654321.01")}, hour=13)
    assert commit.handler({}, FakeContext())["committed"] == 1

    always = {"event_time": _MOMENT, "dt": _MOMENT.date()}
    first = always | {"shipment_id": "S-1", "price": Exact("1.50")}
    old = first | {"tags": None, "box": None}
    new = always | wide
    replaced = old | {"price": Exact("7654321.01")}
    expected = [[first], [old, new], [replaced, new]]
    snapshots = [one.snapshot_id for one in aws.table().snapshots()]
    for read in (_by_arrow, _by_polars):
        assert [read(aws, one) for one in snapshots] == expected
        assert read(aws) == expected[-1]


def test_two_engines_skip_files_and_no_row(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their day, and by the bounds of a number that was narrower in the older file.

    pyiceberg fails where a number of the condition has more digits than the older file (findings/).
    """
    for kind, price in ((_BEFORE, "999.99"), (_AFTER, "1234567.89")):
        monkeypatch.setattr(schemas, "types", lambda kind=kind: {"shipments": kind})
        aws.write(len(price), kind, {"shipment_id": price, "price": Exact(price)})
        commit.handler({}, FakeContext())

    day = "CAST(dt AS STRING)"  # polars compares no date with a text
    expected = {"price > 999.98": 2, "price > 1000": 1, f"{day} = '2026-01-31'": 2, f"{day} > '2026-01-31'": 0}
    by_polars = {text: len(_scanned(aws).filter(pl.sql_expr(text)).collect()) for text in [*expected, "price < 1000"]}
    table = aws.table()
    by_arrow = {text: table.scan(row_filter=text.replace(day, "dt")).to_arrow().num_rows for text in expected}

    assert by_arrow == expected
    assert by_polars == expected | {"price < 1000": 1}
    assert len([*table.scan(row_filter="price > 1000").plan_files()]) == 1


class _Deletions(ManifestWriterV2):
    """pyiceberg writes no manifest of deletions; Athena, Spark and Trino do."""

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


class _DeleteRows(_FastAppendFiles):
    def new_manifest_writer(self, spec: PartitionSpec) -> ManifestWriterV2:
        return _Deletions(spec, self.schema(), self.new_manifest_output(), self._snapshot_id, self._compression)


def _delete_first_row(table: Table, file: DataFile) -> None:
    """As another engine deletes a row, by a file that says where it is."""
    ids = {"file_path": (pa.string(), _DELETED_PATH), "pos": (pa.int64(), _DELETED_POSITION)}
    fields = [
        pa.field(name, type_, nullable=False, metadata={"PARQUET:field_id": f"{id_}"})
        for name, (type_, id_) in ids.items()
    ]
    place = f"{table.location()}/data/deletions.parquet"
    content = silver.encode(pa.table([[file.file_path], [0]], schema=pa.schema(fields)))
    clients.client("s3").put_object(Bucket=_BUCKET, Key=fileio.place(place)[1], Body=content)
    deletions = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES,
        file_path=place,
        file_format=FileFormat.PARQUET,
        partition=file.partition,
        record_count=1,
        file_size_in_bytes=len(content),
        spec_id=file.spec_id,
        lower_bounds={_DELETED_PATH: file.file_path.encode()},
        upper_bounds={_DELETED_PATH: file.file_path.encode()},
    )
    transaction = table.transaction()
    with _DeleteRows(Operation.DELETE, transaction, table.io) as update:
        update.append_data_file(deletions)
    transaction.commit_transaction()


def test_rows_that_another_engine_has_deleted_stay_deleted(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that come, and one that is replaced in the same day, change nothing about them."""
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": _BEFORE})
    for number in (1, 2):
        aws.write(number, _BEFORE, {"shipment_id": f"S-{number}", "price": Exact("1.00")})
    commit.handler({}, FakeContext())
    (first,) = (one for one in tables.data_files(aws.table()) if one.lower_bounds and "/5518d4" in one.file_path)
    _delete_first_row(aws.table(), first)
    assert [one["shipment_id"] for one in _by_polars(aws)] == ["S-2"]

    aws.write(3, _BEFORE, {"shipment_id": "S-3", "price": Exact("1.00")})
    commit.handler({}, FakeContext())
    aws.write(2, _BEFORE, {"shipment_id": "S-2", "price": Exact("2.00")}, hour=13)
    assert commit.handler({}, FakeContext())["committed"] == 1

    expected = [("S-2", Exact("2.00")), ("S-3", Exact("1.00"))]
    assert [(one["shipment_id"], one["price"]) for one in _by_arrow(aws)] == expected
    assert [(one["shipment_id"], one["price"]) for one in _by_polars(aws)] == expected
    assert len([*tables.data_files(aws.table())]) == 3


def test_the_ledger_keeps_what_a_later_commit_has_written(aws: Aws) -> None:
    """Whatever order the writes come in; what was noted anew is not forgotten."""
    ledger = Ledger(clients.client("dynamodb"), _LEDGER)
    late, early = Entry("a/0-9", "2026-02-01", ("new",)), Entry("a/0-9", "2026-01-31", ("old", "older"))
    ledger.enter("shipments", Mark("u", 2), [late])
    ledger.enter("shipments", Mark("u", 1), [early])
    ledger.enter("tracking_events", Mark("u", 1), [early])

    assert ledger.entries(["a/0-9", "a/9-18"]) == {
        "a/0-9": {"shipments": replace(late, table="u"), "tracking_events": replace(early, table="u")},
        "a/9-18": {},
    }
    assert ledger.content("a") == {name: one for name, one in ledger.entries(["a/0-9"]).items() if one}
    assert (ledger.mark("shipments"), ledger.mark("invoice_lines")) == (Mark("u", 2), None)
    ledger.enter("shipments", Mark("new", 1), [early])
    assert ledger.entries(["a/0-9"])["a/0-9"]["shipments"] == replace(early, table="new")
    assert [*ledger.files("shipments", "new")] == [*ledger.files("tracking_events", "u")] == ["old", "older"]
    assert [*ledger.files("shipments", "u")] == []  # a table that was dropped
    assert [*Ledger(clients.client("dynamodb"), _LEDGER, in_bucket=True).files("shipments", "new")] == []

    notes = Notes(clients.client("dynamodb"), _LEDGER)
    notes.take("key", "a/0-9")
    (note,) = ledger.notes()
    notes.take("key", "a/0-9")
    (again,) = ledger.notes()
    ledger.forget([note] if note.at != again.at else [])
    assert [*ledger.notes()] == [again]
    ledger.forget([again])
    assert [*ledger.notes()] == []
    assert aws.endpoint


def test_a_table_that_is_not_there_is_a_failure_of_the_ledger(aws: Aws) -> None:
    """Notes and ledger say so as what they depend on."""
    assert aws.endpoint
    with pytest.raises(DownstreamError, match="did not take a note"):
        Notes(clients.client("dynamodb"), "none").take("key", "a/0-9")
    with pytest.raises(DownstreamError, match="did not answer"):
        next(Ledger(clients.client("dynamodb"), "none").files("shipments", "u"))


def test_a_table_that_is_no_iceberg_table_is_left_alone(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crawler or somebody has made one over the same files."""
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": _BEFORE})
    table = {"Name": "shipments", "TableType": "EXTERNAL_TABLE", "Parameters": {"table_type": "parquet"}}
    clients.client("glue").create_table(DatabaseName=_DATABASE, TableInput=table)
    aws.write(1, _BEFORE, {"shipment_id": "S-1", "price": Exact("1.50")})

    with pytest.raises(NotCommittedError, match="shipments is in the catalog and no Iceberg table: delete or rename"):
        commit.handler({}, FakeContext())

    clients.client("glue").delete_table(DatabaseName=_DATABASE, Name="shipments")
    assert commit.handler({}, FakeContext())["committed"] == 1


def test_metadata_files_are_read_and_written_whole(aws: Aws) -> None:
    """One that is there is not overwritten unless that is wanted; nothing is put where writing failed, or deleted."""
    files = fileio.S3FileIO()
    place = f"s3://{_BUCKET}/tables/x/metadata/one.json"
    assert not files.new_output(place).exists()
    with pytest.raises(FileNotFoundError):
        files.new_input(place).open()
    with contextlib.suppress(RuntimeError), files.new_output(place).create() as stream:
        stream.write(b"half")
        raise RuntimeError
    assert not files.new_input(place).exists()
    with files.new_output(place).create() as stream:
        stream.write(b"whole")

    files.delete(place)

    assert files.new_input(place).open().read() == b"whole"
    assert len(files.new_output(place)) == 5
    with files.new_output(place).create(overwrite=True) as stream:
        stream.write(b"other")
    assert files.new_output(place).to_input_file().open().read() == b"other"
    with pytest.raises(ValueError, match="must be in S3"):
        files.new_input("x.json").exists()
    assert aws.endpoint
