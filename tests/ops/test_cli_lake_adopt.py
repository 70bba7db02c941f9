"""`lab lake adopt`: what silver had before it was tables becomes part of them where it lies, each row once."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal as Exact
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from handlers.lake import schemas, silver
from handlers.lake.model import Decimal, Integer, RecordType, Text
from ops.cli.lake import adopt_commands, check
from tests.ops.lake_work import SILVER, Lake, lines

_OLD = RecordType("shipments", (Text("shipment_id"), Decimal("price", 5, 2)))
_NEW = RecordType("shipments", (Text("shipment_id"), Decimal("price", 12, 2), Integer("pieces", optional=True)))
_OTHER = RecordType("shipments", (Text("shipment_id"), Text("price")))
_DAY, _NEXT = "2026-01-31", "2026-02-01"


@pytest.fixture(autouse=True)
def _deployed_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker of before runs."""
    monkeypatch.setattr(adopt_commands, "end_of_former_workers", lambda *_: datetime(2026, 1, 1, tzinfo=UTC))
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")


@contextmanager
def _type(kind: RecordType) -> Iterator[None]:
    """The code has this file of the type."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schemas, "types", lambda: {kind.name: kind})
        yield


def _row(number: int, day: str = _DAY, **more: Any) -> dict[str, Any]:
    row = {"event_time": f"{day}T12:00:00Z", "shipment_id": f"S-{number}", "price": f"{number}.50"}
    return row | more


def _leave_running(lake: Lake, key: str) -> None:
    """Takes the outcome of an object's replay back, as before its worker has written it."""
    dynamodb = lake.client("dynamodb")
    (item,) = [
        one
        for one in dynamodb.scan(TableName="state")["Items"]
        if f"/{key}#" in one["idempotencyKey"]["S"] and "~" in one["idempotencyKey"]["S"]
    ]
    dynamodb.put_item(TableName="state", Item=item | {"status": {"S": "INFLIGHT"}})


def _files_of(lake: Lake, key: str) -> list[str]:
    """The files that an object's records name."""
    found = []
    for item in lake.client("dynamodb").scan(TableName="state")["Items"]:
        if f"/{key}#" in item["idempotencyKey"]["S"] and "chunkBytes" not in item["payload"]["S"]:
            found += [one["key"] for one in json.loads(item["result"]["S"])["files"]]
    return found


def _ids(lake: Lake) -> tuple[list[str], list[str]]:
    """The rows of the table, as pyiceberg and as polars find them."""
    options = {"s3.endpoint": lake.stage.emulator.endpoint, "s3.access-key-id": "test", "s3.secret-access-key": "test"}
    table = lake.catalog(**options, **{"s3.region": "us-east-1"}).load_table(("lake", "shipments"))
    assert table.scan(row_filter=f"dt = '{_NEXT}'").to_arrow()["dt"].unique().to_pylist() == [date(2026, 2, 1)]
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "aws_region": "us-east-1"}
    place = {"aws_endpoint_url": lake.stage.emulator.endpoint, "aws_allow_http": "true"}
    by_polars = pl.scan_iceberg(table, storage_options={**keys, **place}, reader_override="native").collect()
    assert by_polars.schema["price"] == pl.Decimal(12, 2)
    return sorted(table.scan().to_arrow()["shipment_id"].to_pylist()), sorted(by_polars["shipment_id"].to_list())


def _expected(*numbers: int) -> tuple[list[str], list[str]]:
    ids = sorted(f"S-{number}" for number in numbers)
    return ids, ids


def test_an_old_lake_becomes_tables(lake: Lake) -> None:
    """All that has a record and is as it says; each other file is told of and left. Its rows are those of silver.

    Chunks of several days, bad rows, an object that was replayed over its own files, a day with a compacted copy, files
    of an older version of the type.
    """
    with _type(_OLD):
        lake.put("shipments/many.jsonl", lines(*(_row(n, (_DAY, _NEXT)[n % 2]) for n in range(1, 41)), b"bad"))
        lake.put("shipments/again.jsonl", lines(_row(41), _row(42)))
        lost = lake.put("shipments/lost.jsonl", lines(_row(101)))
        other = lake.put("shipments/other.jsonl", lines(_row(102)))
        running = lake.put("shipments/running.jsonl", lines(_row(103)))
    with _type(_OTHER):
        text = lake.put("shipments/text.jsonl", lines(_row(104)))
    with _type(_NEW):
        lake.put("shipments/late.jsonl", lines(_row(43, price="1234567.89", pieces=2)))
        for name in ("again", "running"):
            lake.lab("replay-queue", "--type", "shipments", "--prefix", name, "--again")
        assert lake.work() == 2
        _leave_running(lake, running)
        assert len(lake.told("compact", "--quiet-minutes", "0", "--min-files", "1", code=1)["days"]) == 2
        (file,) = _files_of(lake, lost)
        lake.s3.delete_object(Bucket=SILVER, Key=file)
        stray = "silver/shipments/dt=2026-01-31/ffffffffffffffff-000000000000.parquet"
        lake.s3.copy_object(Bucket=SILVER, Key=stray, CopySource=f"{SILVER}/{_files_of(lake, other)[0]}")
        two = pa.table({"shipment_id": ["S-1", "S-2"], "price": pa.array([Exact(1)] * 2, pa.decimal128(5, 2))})
        lake.s3.put_object(Bucket=SILVER, Key=_files_of(lake, other)[0], Body=silver.encode(two))
        lake.become_tables()

        before = lake.files("silver/")
        dry = lake.told("adopt", "--dry-run", code=1)
        assert (dry["rows"], dry["waiting"], lake.commit()["noted"]) == (43, 0, 0)
        told = lake.told("adopt", "--yes", code=1)
        assert told == dry | {"dryRun": False}
        left = {one["kind"]: one["key"] for one in told["first"]}
        assert left == {"missing": lost, "orphan": stray, "rows": other, "unfinished": running, "notChecked": text}
        assert "price is string in the file and decimal(12, 2) in the table" in next(
            one["detail"] for one in told["first"] if one["kind"] == "notChecked"
        )
        again = lake.told("adopt", "--yes", code=1)
        assert (again["chunks"], again["waiting"]) == (0, told["chunks"])

        assert lake.commit() == {"noted": told["chunks"], "unfinished": 0, "committed": told["chunks"]}
        assert lake.told("adopt", "--yes", code=1) == told | {"chunks": 0, "files": 0, "rows": 0}

        assert lake.files("silver/") == before
        assert _ids(lake) == _expected(*range(1, 44))
        (table,) = lake.told("table")["tables"]
        assert (table["snapshots"], table["files"], table["rows"], table["twice"]) == (1, told["files"], 43, [])


def test_a_chunk_that_was_adopted_is_replayed(lake: Lake) -> None:
    """The same rows come again under the new names; other rows take their place; in one snapshot each."""
    with _type(_NEW):
        lake.put("shipments/a.jsonl", lines(_row(1), _row(2, _NEXT)))
        lake.become_tables()
        assert lake.told("adopt", "--yes")["rows"] == 2
        lake.commit()

        lake.lab("replay-queue", "--type", "shipments", "--again")
        lake.work()
        lake.commit()
        assert _ids(lake) == _expected(1, 2)
        (table,) = lake.told("table")["tables"]
        assert (table["snapshots"], table["files"], table["rows"], len(table["outside"])) == (2, 2, 2, 2)
    dear = RecordType("shipments", (Text("shipment_id"), Decimal("price", 12, 2, minimum=2)))
    with _type(dear):
        lake.lab("replay-queue", "--type", "shipments", "--again")
        lake.work()
        lake.commit()
        assert _ids(lake) == _expected(2)
        (table,) = lake.told("table")["tables"]
        assert (table["snapshots"], table["files"], table["rows"]) == (3, 1, 1)


def test_what_has_no_record_any_more(lake: Lake) -> None:
    """It is adopted where that is asked for, when it is as old as that; a replay of it leaves its rows once."""
    with _type(_NEW):
        key = lake.put("shipments/a.jsonl", lines(*(_row(n, (_DAY, _NEXT)[n % 2]) for n in range(1, 31)), b"bad"))
        lake.put("shipments/b.jsonl", lines(_row(31)))
        lake.forget(key)
        lake.become_tables()
        assert lake.told("adopt", "--expired", "--dry-run", code=1)["expired"] == 0, "its record may still come"
        variables = {"Variables": {"CHUNK_BYTES": "1000", "TTL_DAYS": "-1"}}  # all is that old
        lake.client("lambda").update_function_configuration(FunctionName="lake-ingest", Environment=variables)
        assert lake.told("adopt", "--dry-run", code=1)["chunks"] == 1
        told = lake.told("adopt", "--expired", "--yes")
        assert (told["chunks"], told["rows"], told["left"]) == (1, 31, {})
        assert told["expired"] > 1
        assert lake.told("adopt", "--expired", "--yes")["waiting"] == told["expired"] + 1
        lake.commit()
        assert _ids(lake) == _expected(*range(1, 32))
        assert lake.told("adopt", "--expired", "--yes") == told | {"chunks": 0, "expired": 0, "files": 0, "rows": 0}

        lake.lab("replay-queue", "--type", "shipments", "--prefix", "a", "--again")
        assert lake.work() > 1
        lake.commit()
        assert _ids(lake) == _expected(*range(1, 32))
        assert lake.told("table")["tables"][0]["snapshots"] == 3


def test_former_workers_are_waited_for(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that runs since before silver was tables would overwrite what is a table's by then."""
    monkeypatch.undo()
    monkeypatch.setenv("ENVIRONMENT", "local")
    assert "set lakeFormat to iceberg" in lake.lab("adopt", "--yes").stderr.replace("\n", " ")
    lake.become_tables()
    for option, code in {"--yes": 3, "--dry-run": 0}.items():
        told = lake.lab("adopt", option)
        assert told.exit_code == code
        assert re.search(r"may overwrite files until \S+ UTC: adopt them then", " ".join(told.stderr.split()))


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 10), (10, 20), (20, 30)], []),
        ([(0, 10), (5, 20), (20, 30)], [(0, 10), (5, 20)]),
        ([(0, 40), (10, 20), (30, 40), (40, 50)], [(0, 40), (10, 20), (30, 40)]),
    ],
)
def test_chunks_that_share_bytes(spans: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    """An object that was cut twice, with another size of chunks: none of those that overlap is adopted."""
    assert sorted(check._contested(set(spans))) == expected
