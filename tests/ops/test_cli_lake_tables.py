"""Looking after silver's tables: snapshots expire, files go when none has them, an engine rewrites them."""

from typing import Any

import pytest

from handlers.lake import schemas
from handlers.lake.iceberg import fileio
from handlers.lake.model import Decimal, RecordType, Text
from tests.ops.lake_work import SILVER, Lake, lines

_ANY = RecordType("shipments", (Text("shipment_id"), Decimal("price", 12, 2)))
_DEAR = RecordType("shipments", (Text("shipment_id"), Decimal("price", 12, 2, minimum=2)))


@pytest.fixture(autouse=True)
def _tables(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silver is tables, from the beginning."""
    lake.become_tables()
    monkeypatch.setattr(fileio, "s3_client", lambda: lake.s3)
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": _ANY})


def _row(number: int, day: int = 1) -> dict[str, Any]:
    return {"event_time": f"2026-02-0{day}T12:00:00Z", "shipment_id": f"S-{number}", "price": f"{number}.50"}


def _table(lake: Lake) -> Any:
    options = {"s3.endpoint": lake.stage.emulator.endpoint, "s3.access-key-id": "test", "s3.secret-access-key": "test"}
    return lake.catalog(**options, **{"s3.region": "us-east-1"}).load_table(("lake", "shipments"))


def _ids(table: Any, snapshot: int | None = None) -> list[str]:
    return sorted(table.scan(snapshot_id=snapshot).to_arrow()["shipment_id"].to_pylist())


def test_what_a_replay_has_replaced_goes_when_no_snapshot_has_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then each snapshot is readable, whatever is cleared up; the newest never expires."""
    lake.put("shipments/a.jsonl", lines(_row(1), _row(2)))
    lake.commit()
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": _DEAR})
    lake.lab("replay-queue", "--type", "shipments", "--again")
    lake.work()
    lake.commit()
    both = lake.files("silver/")

    assert lake.told("check", "--delete-left-over")["problems"] == {}
    assert len(both) == 2
    assert lake.files("silver/") == both
    table = _table(lake)
    first, second = table.snapshots()
    assert [_ids(table, one.snapshot_id) for one in (first, second)] == [["S-1", "S-2"], ["S-2"]]

    assert lake.told("expire", "--days", "1", "--yes") == {"dryRun": False, "snapshots": {"shipments": 0}}
    assert lake.told("expire", "--days", "0", "--dry-run") == {"dryRun": True, "snapshots": {"shipments": 1}}
    assert lake.told("expire", "--days", "0", "--yes") == {"dryRun": False, "snapshots": {"shipments": 1}}
    assert lake.told("expire", "--days", "0", "--yes")["snapshots"] == {"shipments": 0}
    assert lake.told("adopt", "--dry-run", code=0)["left"] == {"leftOver": 1}
    done = lake.told("check", "--delete-left-over", code=0)
    assert (done["problems"], done["deleted"]) == ({"leftOver": 1}, 1)
    table = _table(lake)
    assert (_ids(table), [one.snapshot_id for one in table.snapshots()]) == (["S-2"], [second.snapshot_id])

    lake.put("shipments/b.jsonl", lines(_row(3)))
    assert lake.commit()["committed"] == 1
    assert _ids(_table(lake)) == ["S-2", "S-3"]
    assert "no table nope" in lake.lab("expire", "--type", "nope").stderr.replace("\n", " ")


def test_files_that_an_engine_has_rewritten(lake: Lake) -> None:
    """Their rows are in the table, which the ledger knows: nothing is missing, waits, or is adopted again."""
    for number in (1, 2):
        lake.put(f"shipments/{number}.jsonl", lines(_row(number), _row(number + 10, day=2)))
    lake.commit()
    table = _table(lake)
    table.overwrite(table.scan().to_arrow())  # a file for each day, in the table's own folder
    assert lake.told("check")["problems"] == {}

    assert lake.told("expire", "--days", "0", "--yes")["snapshots"]["shipments"] >= 1
    for key in lake.files("silver/"):  # as VACUUM does
        lake.s3.delete_object(Bucket=SILVER, Key=key)
    assert lake.told("check")["problems"] == {}
    assert lake.told("adopt", "--dry-run")["chunks"] == 0
    assert _ids(_table(lake)) == ["S-1", "S-11", "S-12", "S-2"]

    found = lake.told("files", "--type", "shipments", "--to", "2026-02-01")
    assert found["days"] == {"table": 1}
    assert [url.partition("/data/")[0] for url in found["files"]] == [f"s3://{SILVER}/tables/shipments"]
    assert len(lake.lab("files", "--type", "shipments").stdout.splitlines()) == 2


def test_a_table_is_not_compacted_by_its_files(lake: Lake) -> None:
    """The files of a day may be those of older snapshots, too: rows would be there twice."""
    told = lake.lab("compact")
    assert (told.exit_code, "let Athena do it with OPTIMIZE" in told.stderr.replace("\n", " ")) == (1, True)


def test_what_is_gone_is_told(lake: Lake) -> None:
    """A type without a table, a file of a table that is not there, a table that the ledger alone knows."""
    lake.put("shipments/a.jsonl", lines(_row(1)))
    assert (lake.told("table")["tables"], lake.told("table")["apart"]) == ([], ["shipments"])
    lake.commit()
    told = lake.told("table")
    assert (told["gone"], told["apart"], told["tables"][0]["missing"]) == ([], [], [])

    (key,) = lake.files("silver/")
    lake.s3.delete_object(Bucket=SILVER, Key=key)
    assert lake.told("table", code=1)["tables"][0]["missing"] == [key]

    lake.client("glue").delete_table(DatabaseName="lake", Name="shipments")
    told = lake.told("table", code=1)
    assert (told["tables"], told["gone"], told["apart"]) == ([], ["shipments"], [])
    assert "shipments: its table is gone" in " ".join(lake.lab("table").stdout.split())
    assert lake.told("adopt", "--dry-run", code=1)["gone"] == ["shipments"]
    assert "no table shipments: nothing of it was" in " ".join(lake.lab("table", "--type", "shipments").stderr.split())
    assert "no table nope, and no such type" in " ".join(lake.lab("table", "--type", "nope").stderr.split())
