"""Committer and readers on a second implementation of AWS: Glue's catalog, DynamoDB's conditions, S3's files."""

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal as Exact
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from moto.server import ThreadedMotoServer
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.table import Table

from handlers.aws import clients
from handlers.errors import DownstreamError
from handlers.lake import model, schemas, silver
from handlers.lake.iceberg import commit, fileio
from handlers.lake.iceberg.ledger import Entry, Ledger
from handlers.lake.message import Chunk, Kind, Source
from handlers.lake.notes import Notes
from handlers.lake.validate import silver_schema
from tests.handlers.fakes import FakeContext

_BUCKET, _LEDGER, _STATE, _DATABASE = "silver-bucket", "ledger", "state", "lake"
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

    def write(self, number: int, kind: model.RecordType, row: dict[str, Any], *, is_done: bool = True) -> None:
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
            "processedAt": {"S": "2026-01-31T12:00:00.000Z"},
        }
        clients.client("dynamodb").put_item(TableName=_STATE, Item=item)
        Notes(clients.client("dynamodb"), _LEDGER).take(chunk.key)

    def table(self) -> Table:
        """The table as another program finds it: pyiceberg as it comes, with Arrow's S3."""
        options = {"s3.endpoint": self.endpoint, "s3.access-key-id": "test", "s3.secret-access-key": "test"}
        catalog = GlueCatalog("lake", **options, **{"glue.endpoint": self.endpoint, "s3.region": "us-east-1"})
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
        "GLUE_DATABASE": _DATABASE,
        "EVENT_BUS_NAME": "default",
        "POLARS_ICEBERG_PLANNER": "pyiceberg",  # of files; polars reads them itself
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for cached in (clients._session, fileio.s3_client, commit.work):
        cached.cache_clear()
    with urllib.request.urlopen(f"{endpoint}/moto-api/reset", data=b"", timeout=60) as answer:  # noqa: S310 - loopback
        assert answer.status == 200
    clients.client("s3").create_bucket(Bucket=_BUCKET)
    clients.client("glue").create_database(DatabaseInput={"Name": _DATABASE})
    dynamodb = clients.client("dynamodb")
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


def test_readers_find_rows_of_before_and_after_a_change_of_the_type(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function itself, twice; pyiceberg by Arrow and polars by its own reader find the same rows, by day too."""
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": _BEFORE})
    aws.write(1, _BEFORE, {"shipment_id": "S-1", "price": Exact("1.50")})
    aws.write(9, _BEFORE, {"shipment_id": "S-9", "price": Exact("9.00")}, is_done=False)
    assert commit.handler({}, FakeContext()) == {"noted": 2, "unfinished": 1, "committed": 1}
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": _AFTER})
    aws.write(2, _AFTER, {"shipment_id": "S-2", "price": Exact("1234567.89"), "tags": ["a", "b"], "box": {"pieces": 3}})
    assert commit.handler({}, FakeContext()) == {"noted": 2, "unfinished": 1, "committed": 1}

    table = aws.table()
    expected = [
        {"shipment_id": "S-1", "price": Exact("1.50"), "tags": None, "box": None, "dt": _MOMENT.date()},
        {
            "shipment_id": "S-2",
            "price": Exact("1234567.89"),
            "tags": ["a", "b"],
            "box": {"pieces": 3},
            "dt": _MOMENT.date(),
        },
    ]
    columns = ["shipment_id", "price", "tags", "box", "dt"]
    by_arrow = table.scan().to_arrow().select(columns).sort_by("shipment_id").to_pylist()
    options = {"aws_endpoint_url": aws.endpoint, "aws_region": "us-east-1", "aws_allow_http": "true"}
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    native = pl.scan_iceberg(table, storage_options={**options, **keys}, reader_override="native")
    by_polars = native.select(columns).sort("shipment_id").collect().to_dicts()

    assert by_arrow == expected
    assert by_polars == expected
    assert table.scan(row_filter="dt = '2026-01-31'").to_arrow().num_rows == 2
    assert table.scan(row_filter="dt = '2026-02-01'").to_arrow().num_rows == 0
    first, _ = table.snapshots()
    assert table.scan(snapshot_id=first.snapshot_id).to_arrow()["shipment_id"].to_pylist() == ["S-1"]


def test_the_ledger_keeps_what_a_later_commit_has_written(aws: Aws) -> None:
    """Whatever order the writes come in; what was noted anew is not forgotten."""
    ledger = Ledger(clients.client("dynamodb"), _LEDGER)
    late, early = Entry("a/0-9", "2026-02-01", ("new",)), Entry("a/0-9", "2026-01-31", ("old", "older"))
    ledger.enter("shipments", 2, [late])
    ledger.enter("shipments", 1, [early])
    ledger.enter("tracking_events", 1, [early])

    assert ledger.entries(["a/0-9", "a/9-18"]) == {
        "a/0-9": {"shipments": late, "tracking_events": early},
        "a/9-18": {},
    }
    assert (ledger.marked("shipments"), ledger.marked("invoice_lines")) == (2, 0)

    notes = Notes(clients.client("dynamodb"), _LEDGER)
    notes.take("key")
    (note,) = ledger.notes()
    notes.take("key")
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
        Notes(clients.client("dynamodb"), "none").take("key")


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
