"""Looking after silver's tables: snapshots expire, files go when none has them, an engine rewrites them."""

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import timedelta
from itertools import count
from typing import Any

import polars as pl
import pytest
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import CommitStateUnknownException

from handlers.lake import schemas
from handlers.lake.errors import NotCommittedError
from handlers.lake.iceberg import fileio
from handlers.lake.iceberg.fileio import S3FileIO
from handlers.lake.model import Boolean, Date, Decimal, Integer, Json, List, Number, Object, RecordType, Text, Time
from ops.cli import target
from ops.cli.lake import check, table_compaction, tables
from ops.cli.lake.athena import Athena
from ops.cli.lake.compaction import RefusedError
from ops.cli.lake.table_compaction import Rewriter
from tests.ops.lake_work import SILVER, Lake, lines

_ANY = RecordType("shipments", (Text("shipment_id"), Decimal("price", 12, 2)))
_WIDE = RecordType(
    "shipments",
    (
        Text("shipment_id"),
        Decimal("price", 16, 2),
        List("tags", Text("tag"), optional=True),
        List("parts", Object("part", (Integer("pieces"), Decimal("price", 12, 2, optional=True))), optional=True),
        Object("box", (Integer("pieces"), Boolean("is_open")), optional=True),
        Number("weight", optional=True),
        Date("due", optional=True),
        Time("seen", optional=True),
        Json("notes", optional=True),
    ),
)
_MORE: dict[str, Any] = {
    "tags": ["a", "b"],
    "parts": [{"pieces": 1, "price": "1.25"}, {"pieces": 2}],
    "box": {"pieces": 3, "is_open": True},
    "weight": 1.5,
    "due": "2026-03-01",
    "seen": "2026-02-01T12:00:00.123456Z",
    "notes": {"x": [1]},
}
_DEAR = RecordType("shipments", (Text("shipment_id"), Decimal("price", 12, 2, minimum=2)))


@pytest.fixture(autouse=True)
def _tables(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silver is tables, from the beginning."""
    lake.become_tables()
    monkeypatch.setattr(fileio, "s3_client", lambda: lake.s3)
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": _ANY})
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "plugin")  # polars reads manifests itself, and asks pyiceberg for none


def _row(number: int, day: int = 1) -> dict[str, Any]:
    return {"event_time": f"2026-02-0{day}T12:00:00Z", "shipment_id": f"S-{number}", "price": f"{number}.50"}


def _options(lake: Lake) -> dict[str, str]:
    """Of readers that have clients of their own."""
    endpoint = lake.stage.emulator.endpoint
    keys = {"s3.access-key-id": "test", "s3.secret-access-key": "test"}
    return {"s3.endpoint": endpoint, "s3.region": "us-east-1", **keys}


def _table(lake: Lake) -> Any:
    return lake.catalog(**_options(lake)).load_table(("lake", "shipments"))


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


_NOW = ("--quiet-minutes", "0", "--min-files", "2")


def _seen(lake: Lake) -> list[dict[str, Any]]:
    """All rows, which pyiceberg and polars find alike."""
    table = _table(lake)
    # of a list of objects that is null, pyiceberg makes an empty one (findings/)
    read = table.scan().to_arrow().to_pylist()
    by_arrow = [row | {"parts": row["parts"] or None} if "parts" in row else row for row in read]
    options = _options(lake) | {"aws_allow_http": "true"}
    scan = pl.scan_iceberg(table.metadata_location, storage_options=options, reader_override="native")
    by_polars = scan.collect().to_dicts()
    found, other = (sorted(rows, key=lambda row: str(row["shipment_id"])) for rows in (by_arrow, by_polars))
    assert found == other
    return found


def _sizes(lake: Lake) -> dict[str, int]:
    """How many files the table has of each day."""
    (told,) = lake.told("table", "--type", "shipments")["tables"]
    return {dt: day["files"] for dt, day in told["days"].items()}


def test_small_files_of_a_day_become_one(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same rows; what a worker writes now is left alone, as are files that wait for their commit."""
    for number in (1, 2, 3):
        lake.put(f"shipments/{number}.jsonl", lines(_row(number), _row(number + 10)))
    lake.put("shipments/other.jsonl", lines(_row(20, day=2)))
    lake.commit()
    before, silver = _seen(lake), lake.files("silver/")
    lake.put("shipments/waits.jsonl", lines(_row(30)))

    assert lake.told("compact", "--min-files", "2")["left"] == {"few files": 1, "still written to": 1}
    dry = lake.told("compact", *_NOW, "--dry-run")
    assert dry["days"] == [{"type": "shipments", "dt": "2026-02-01", "files": 3, "was": "new"}]
    assert _sizes(lake) == {"2026-02-01": 3, "2026-02-02": 1}
    (day,) = lake.told("compact", "--type", "shipments", "--dt", "2026-02-01", "--quiet-minutes", "0")["days"]
    assert (day["rows"], day["filesNow"], _sizes(lake)) == (6, 1, {"2026-02-01": 1, "2026-02-02": 1})
    assert (_seen(lake), len(before)) == (before, 7)
    assert set(silver) < set(lake.files("silver/"))
    assert lake.told("compact", *_NOW)["left"] == {"few files": 2}

    assert lake.commit()["committed"] == 1
    assert _ids(_table(lake)) == sorted([*(row["shipment_id"] for row in before), "S-30"])
    assert lake.told("check")["problems"] == {}
    assert lake.told("adopt", "--dry-run")["chunks"] == 0
    first = _table(lake).snapshots()[0]
    assert len(_ids(_table(lake), first.snapshot_id)) == 7

    monkeypatch.setattr(schemas, "types", lambda: {"shipments": _DEAR})
    lake.lab("replay-queue", "--type", "shipments", "--again")
    lake.work()
    with pytest.raises(NotCommittedError, match="1 chunk is not committed"):
        lake.commit()
    assert len(_seen(lake)) == 8


def test_files_of_before_and_after_a_change_of_the_type_become_one(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the table reads them: what the older files lack is null, and their numbers are as wide as they have become."""
    lake.put("shipments/old.jsonl", lines(_row(1), _row(2)))
    lake.commit()
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": _WIDE})
    lake.put("shipments/new.jsonl", lines(_row(3) | _MORE, _row(4) | {"price": "12345678901234.50"}))
    lake.commit()
    before = _seen(lake)

    (day,) = lake.told("compact", *_NOW)["days"]
    assert (day["files"], day["rows"], day["filesNow"]) == (2, 4, 1)
    assert _seen(lake) == before
    assert [row["tags"] for row in before] == [None, None, ["a", "b"], None]
    lake.put("shipments/late.jsonl", lines(_row(5) | _MORE))
    assert lake.commit()["committed"] == 1
    assert len(_seen(lake)) == 5


def test_a_compaction_among_other_commits(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused when the committer was quicker, and looks again; it gives up where that never ends."""
    for number in (1, 2):
        lake.put(f"shipments/{number}.jsonl", lines(_row(number)))
    lake.commit()
    made, late = Rewriter._made, count(3)

    def overtaken(self: Rewriter, *arguments: Any) -> Any:
        if (number := next(late)) <= last:
            with redirect_stdout(io.StringIO()):  # else it stands in what the command tells
                lake.put(f"shipments/{number}.jsonl", lines(_row(number)))
            lake.commit()
        return made(self, *arguments)

    last = 100
    monkeypatch.setattr(Rewriter, "_made", overtaken)
    (day,) = lake.told("compact", *_NOW, code=1)["days"]
    assert day["refused"] == "the table shipments is committed to all the time: run this again"
    assert _sizes(lake) == {"2026-02-01": 6}
    last = next(late) + 1
    (day,) = lake.told("compact", *_NOW)["days"]
    assert (day["files"], day["rows"], day["filesNow"]) == (6, 7, 1)
    assert [row["shipment_id"] for row in _seen(lake)] == [f"S-{number}" for number in (1, 2, 3, 4, 5, 6, 8)]
    assert lake.told("check")["problems"] == {}


def test_a_commit_whose_answer_is_lost_is_looked_at_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was made: a compaction finds few files, and an expiry tells of the snapshots that are gone."""
    for number in (1, 2):
        lake.put(f"shipments/{number}.jsonl", lines(_row(number)))
    lake.commit()
    commit = GlueCatalog.commit_table
    lost: list[str] = []

    def unanswered(self: GlueCatalog, table: Any, *arguments: Any) -> Any:
        answer = commit(self, table, *arguments)
        if len(lost) < 1:
            lost.append(table.name()[-1])
            raise CommitStateUnknownException("no answer")
        return answer

    monkeypatch.setattr(GlueCatalog, "commit_table", unanswered)
    (day,) = lake.told("compact", *_NOW)["days"]
    assert (day["rows"], day["filesNow"], len(_table(lake).snapshots())) == (2, 1, 2)
    lost.clear()
    assert lake.told("expire", "--days", "0", "--yes")["snapshots"] == {"shipments": 1}
    assert (lost, len(_table(lake).snapshots())) == (["shipments"], 1)


def _drop(table: Any) -> None:
    with table.update_schema(allow_incompatible_changes=True) as update:
        update.delete_column("price")


def _unname(table: Any) -> None:
    with table.transaction() as transaction:
        transaction.set_properties({"schema.name-mapping.default": "[]"})


def _partition(table: Any) -> None:
    with table.update_spec() as update:
        update.add_identity("shipment_id")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_drop, "its files have columns that the table has not: price"),
        (_unname, "the table finds other columns than these by their names: an engine has to rewrite it"),
        (_partition, "the table is not partitioned by dt alone"),
    ],
)
def test_what_another_program_has_made_of_a_table_is_left(lake: Lake, change: Callable[[Any], None], why: str) -> None:
    """Where the laptop could lose values, nothing is changed, with the reason."""
    for number in (1, 2):
        lake.put(f"shipments/{number}.jsonl", lines(_row(number)))
    lake.commit()
    change(_table(lake))
    (day,) = lake.told("compact", *_NOW, code=1)["days"]
    assert (day["refused"], _sizes(lake)) == (why, {"2026-02-01": 2})


def test_rows_that_were_deleted_beside_their_files_stay_deleted(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines write which rows of a file are gone; the laptop leaves such a day to them."""
    for number in (1, 2):
        lake.put(f"shipments/{number}.jsonl", lines(_row(number)))
    lake.commit()
    groups = table_compaction._groups

    def with_deletes(*arguments: Any) -> Any:
        found = groups(*arguments)
        for one in found[0]:
            one.delete_files = {one.file}
        return found

    monkeypatch.setattr(table_compaction, "_groups", with_deletes)
    (day,) = lake.told("compact", *_NOW, code=1)["days"]
    assert day["refused"] == "rows of it were deleted beside its files: an engine has to rewrite them"
    assert _sizes(lake) == {"2026-02-01": 2}


@pytest.mark.parametrize("dies", ["put", "before the commit", "after the commit"])
def test_a_compaction_that_dies(lake: Lake, monkeypatch: pytest.MonkeyPatch, dies: str) -> None:
    """Nothing has changed, or it is done; run again, it does what is left."""
    for number in (1, 2):
        lake.put(f"shipments/{number}.jsonl", lines(_row(number)))
    lake.commit()
    before = _seen(lake)
    with pytest.MonkeyPatch.context() as patch:
        if dies == "put":
            patch.setattr(S3FileIO, "new_output", _die)
        else:
            _dying(patch, after=dies == "after the commit")
        assert isinstance(lake.lab("compact", *_NOW).exception, ZeroDivisionError)
    assert (_seen(lake), _sizes(lake)) == (before, {"2026-02-01": 1 if dies == "after the commit" else 2})
    made = lake.files("tables/shipments/data/")
    assert len(made) == (0 if dies == "put" else 1)

    assert len(lake.told("compact", *_NOW)["days"]) == (0 if dies == "after the commit" else 1)
    assert (_seen(lake), _sizes(lake)) == (before, {"2026-02-01": 1})
    assert lake.told("check")["problems"] == {}  # what is young may be committed yet
    monkeypatch.setattr(check, "_UNDER_WAY", timedelta(minutes=-10))
    left = {"leftOver": 1} if dies == "before the commit" else {}
    assert lake.told("check", "--delete-left-over")["problems"] == left
    assert lake.told("check")["problems"] == {}
    assert len(lake.files("tables/shipments/data/")) == 1
    assert _seen(lake) == before


def _die(*_: Any, **__: Any) -> None:
    raise ZeroDivisionError


def _dying(patch: pytest.MonkeyPatch, *, after: bool) -> None:
    """A process that dies beside the call that commits."""
    commit = GlueCatalog.commit_table

    def dying(*arguments: Any) -> Any:
        if after:
            commit(*arguments)
        raise ZeroDivisionError

    patch.setattr(GlueCatalog, "commit_table", dying)


def test_on_aws_athena_compacts(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement for each day; one that fails is told, and the others go on."""
    for number in (1, 2):
        lake.put(f"shipments/{number}.jsonl", lines(_row(number), _row(number + 10, day=2)))
    lake.commit()
    asked: list[tuple[str, ...]] = []

    def rewrite(self: Athena, *day: str) -> None:
        asked.append((self._database, self._workgroup, *day))
        if len(asked) == 1:
            raise RefusedError("Athena's query q-1 is FAILED: no; run this again")

    monkeypatch.setattr(target.Target, "has_athena", property(lambda _: True))
    monkeypatch.setattr(Athena, "rewrite", rewrite)
    first, second = lake.told("compact", *_NOW, "--workgroup", "lake", code=1)["days"]
    assert asked == [("lake", "lake", "shipments", f"2026-02-0{day}") for day in (1, 2)]
    assert first["refused"] == "Athena's query q-1 is FAILED: no; run this again"
    assert (second["rows"], second["filesNow"]) == (2, 2)


def test_s3_tables_compacts_by_itself(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is to be done, which is said with where it is set."""
    monkeypatch.setattr(tables.Tables, "in_bucket", property(lambda _: True))
    told = lake.lab("compact")
    assert told.exit_code == 1
    assert "S3 Tables compacts by itself" in told.stderr.replace("\n", " ")
    assert "icebergCompaction" in told.stderr


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
