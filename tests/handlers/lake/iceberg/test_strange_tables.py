"""Whatever others do to a table: nothing is lost or comes twice, the error says what to do, other tables go on."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.types import LongType

from handlers.errors import DeadlineExceededError, DownstreamError
from handlers.lake import schemas, silver
from handlers.lake.errors import NotCommittedError
from handlers.lake.iceberg import committer, fileio
from handlers.lake.iceberg.tables import LAST
from handlers.lake.model import Integer, RecordType, Text
from tests.handlers.fakes import client_error
from tests.handlers.lake.conftest import lines, shipment
from tests.handlers.lake.fakes import SILVER
from tests.handlers.lake.iceberg.conftest import TableLake
from tests.handlers.lake.iceberg.fakes import DATABASE

Ingested = Callable[..., None]
_NAME = (DATABASE, "shipments")
_EVENT = "2026-01-31T12:00:00Z"
_INVOICED = {"event_time": _EVENT, "sku": "A", "quantity": 1, "unit_price": 1, "line_total": 1}
_TRACKED = {"event_time": _EVENT, "shipment_id": "S-1", "status": "sent", "city": "Roma"}


def _line(lake: TableLake, ingested: Ingested, number: int) -> None:
    """A shipment and a tracking event, in an object each."""
    lake.clock.advance(1000)
    ingested(lines(shipment(number)), f"bronze/shipments/{number}.jsonl")
    ingested(lines(_TRACKED | {"shipment_id": f"S-{number}"}), f"bronze/tracking_events/{number}.jsonl")


def _files(lake: TableLake, record_type: str = "shipments") -> list[str]:
    return sorted(key for key in lake.aws.silver() if key.startswith(f"silver/{record_type}/"))


def _fails(lake: TableLake, message: str) -> None:
    """The round fails with this for shipments alone: they stay noted, and nothing of them is told."""
    before = len(lake.tables_aws.noted)
    with pytest.raises(NotCommittedError, match=message):
        lake.round().run()
    assert lake.in_table("tracking_events") == _files(lake, "tracking_events")
    assert len(lake.tables_aws.noted) == before // 2
    assert all("shipments" in key for key in lake.tables_aws.noted)


def _is_whole(lake: TableLake) -> None:
    assert lake.in_table() == _files(lake)
    assert lake.tables_aws.noted == set()
    assert {told["key"] for told in lake.told("SilverPartitionReady")} >= set(_files(lake))


def _drop(lake: TableLake) -> None:
    lake.catalog.drop_table(_NAME)


def _rename(lake: TableLake) -> None:
    lake.catalog.rename_table(_NAME, (DATABASE, "former"))


@pytest.mark.parametrize("take_away", [_drop, _rename])
def test_a_table_that_is_gone_is_not_made_anew_unasked(
    lake: TableLake, ingested: Ingested, take_away: Callable[[TableLake], None]
) -> None:
    """Readers would take one without its former rows for all there is; deleting its mark asks for a new one.

    What the former table had comes into the new one by a replay.
    """
    _line(lake, ingested, 1)
    lake.round().run()
    _line(lake, ingested, 2)
    take_away(lake)

    scope, name = lake.mark()
    _fails(
        lake, f"the table shipments is gone: bring that back .*delete the .*scope is '{scope}' and .*name is '{name}'"
    )
    assert (DATABASE, "shipments") not in lake.catalog.list_tables(DATABASE)

    del lake.tables_aws.ledger[lake.mark()]
    lake.round().run()
    assert len(lake.in_table()) == 1
    lake.clock.advance(1000)
    ingested(lines(shipment(1)), "bronze/shipments/1.jsonl", replay="r-1")
    lake.round().run()
    _is_whole(lake)
    lake.clock.advance(1000)
    ingested(lines(shipment(1)), "bronze/shipments/1.jsonl", replay="r-2")
    lake.round().run()
    _is_whole(lake)


def test_another_table_of_the_same_name_gets_nothing(lake: TableLake, ingested: Ingested) -> None:
    """What the ledger says of chunks is true of the former one."""
    _line(lake, ingested, 1)
    lake.round().run()
    former = lake.table()
    _drop(lake)
    place = None if lake.in_bucket else f"{former.location()}2"
    lake.catalog.create_table(_NAME, former.schema(), place, former.spec(), properties={"format-version": "2"})
    _line(lake, ingested, 2)

    _fails(lake, "the table shipments is another than the ledger's: bring that back")

    assert lake.in_table() == []


@pytest.mark.parametrize("value", [None, '{"number":1,"entries":[]}', "[1]", "shipments"])
def test_a_property_that_somebody_has_changed_stops_the_table(
    lake: TableLake, ingested: Ingested, value: str | None
) -> None:
    """It says which chunks the last commit had. The error says how to put it back."""
    for number in (1, 2, 3):
        _line(lake, ingested, number)
        lake.round().run()
    former = lake.table().properties[LAST]
    with lake.table().transaction() as transaction:
        if value is None:
            transaction.remove_properties(LAST)
        else:
            transaction.set_properties({LAST: value})
    _line(lake, ingested, 4)

    _fails(lake, f"property {LAST}")

    is_behind = value is None or value.startswith('{"number":1')
    with lake.table().transaction() as transaction:
        transaction.set_properties({LAST: '{"number":3,"entries":[]}' if is_behind else former})
    lake.round().run()
    _is_whole(lake)


def test_a_ledger_that_was_set_back_stops_the_table(lake: TableLake, ingested: Ingested) -> None:
    """It was restored from a backup: which chunks came since, it does not know; a replay would bring them twice."""
    _line(lake, ingested, 1)
    lake.round().run()
    backup = dict(lake.tables_aws.ledger)
    for number in (2, 3):
        _line(lake, ingested, number)
        lake.round().run()
    newest = dict(lake.tables_aws.ledger)
    lake.tables_aws.ledger.clear()
    lake.tables_aws.ledger |= backup
    _line(lake, ingested, 4)

    with pytest.raises(NotCommittedError, match=r"it is at commit 3, the ledger at 1: .* restore the ledger"):
        lake.round().run()
    assert len(lake.in_table()) == 3

    lake.tables_aws.ledger |= newest
    lake.round().run()
    _is_whole(lake)


def test_a_table_that_is_partitioned_otherwise_waits(lake: TableLake, ingested: Ingested) -> None:
    """A new file would be filed where no reader looks for it; when the table is by day again, it comes in."""
    _line(lake, ingested, 1)
    lake.round().run()
    with lake.table().update_spec() as update:
        update.add_identity("carrier")
    _line(lake, ingested, 2)

    _fails(
        lake,
        "the table shipments is partitioned by dt, carrier, and new files are by dt: partition it by dt alone again",
    )

    with lake.table().update_spec() as update:
        update.remove_field("carrier")
    lake.round().run()
    _is_whole(lake)


def test_columns_sort_order_and_properties_of_others_are_theirs(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But a column that the names of files' columns do not lead to would be empty: they are made whole again.

    pyiceberg's own repetition of commits, which would bring files twice, is switched off again.
    """
    _line(lake, ingested, 1)
    lake.round().run()
    with lake.table().update_schema() as schema:
        schema.add_column("pieces", LongType())
    with lake.table().update_sort_order() as order:
        order.asc("shipment_id", "identity")
    names = json.loads(lake.table().properties["schema.name-mapping.default"])
    changed = {
        "schema.name-mapping.default": json.dumps([one for one in names if one["names"] != ["pieces"]]),
        "commit.retry.num-retries": "4",
        "owner": "somebody",
    }
    with lake.table().transaction() as transaction:
        transaction.set_properties(changed)
    fields = schemas.types()["shipments"].fields
    wider = RecordType("shipments", (*fields, Integer("pieces", optional=True)))
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": wider})
    ingested(lines(shipment(2, pieces=7)), "bronze/shipments/2.jsonl")
    lake.round().run()

    _is_whole(lake)
    table = lake.table()
    ids = {field.field_id for field in table.name_mapping()}
    assert ids == table.schema().field_ids
    assert table.properties["commit.retry.num-retries"] == "0"
    assert table.properties["owner"] == "somebody"
    assert table.sort_order().fields


def test_expired_snapshots_take_no_knowledge_of_chunks_with_them(lake: TableLake, ingested: Ingested) -> None:
    """All but the newest have gone; a chunk that comes again is still known."""
    for number in (1, 2, 3):
        _line(lake, ingested, number)
        lake.round().run()
    table = lake.table()
    table.maintenance.expire_snapshots().by_ids([one.snapshot_id for one in table.snapshots()[:-1]]).commit()
    lake.clock.advance(1000)
    ingested(lines(shipment(1)), "bronze/shipments/1.jsonl", replay="r-1")
    _line(lake, ingested, 4)

    lake.round().run()

    _is_whole(lake)


def test_metadata_that_are_gone_stop_their_table(lake: TableLake, ingested: Ingested) -> None:
    """Somebody has cleaned up too much; bringing the file back is all it needs."""
    _line(lake, ingested, 1)
    lake.round().run()
    snapshot = lake.table().current_snapshot()
    lost = fileio.place(snapshot.manifest_list)
    kept = lake.aws.versions.pop(lost)
    _line(lake, ingested, 2)

    _fails(lake, "the table shipments took no commit: FileNotFoundError")

    lake.aws.versions[lost] = kept
    lake.round().run()
    _is_whole(lake)


def test_tables_that_fail_in_different_ways_are_all_told_of(lake: TableLake, ingested: Ingested) -> None:
    """The third one gets its commit; a table that has failed is not tried again in the same round."""
    ingested(lines(_INVOICED | {"invoice_id": "I-1"}), "bronze/invoice_lines/1.jsonl")
    _line(lake, ingested, 1)
    lake.round().run()
    _drop(lake)
    with lake.table("invoice_lines").transaction() as transaction:
        transaction.set_properties({LAST: "?"})
    ingested(lines(_INVOICED | {"invoice_id": "I-2"}), "bronze/invoice_lines/2.jsonl")
    _line(lake, ingested, 2)
    _line(lake, ingested, 3)

    with pytest.raises(
        NotCommittedError, match=r"3 chunks are .*table lake.invoice_lines.*; the table shipments is gone"
    ):
        lake.round().run()

    assert lake.in_table("tracking_events") == _files(lake, "tracking_events")


def test_an_error_that_nobody_knows_stops_one_table(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pyiceberg meets something that it can't read, in whatever way it says so; the log says where."""
    _line(lake, ingested, 1)
    lake.round().run()
    _line(lake, ingested, 2)
    load = lake.catalog.load_table

    def fail(name: Any) -> Any:
        if name == _NAME:
            raise NotImplementedError("format-version 9")
        return load(name)

    with monkeypatch.context() as patch:
        patch.setattr(lake.catalog, "load_table", fail)
        with pytest.raises(NotCommittedError, match=r"the table shipments can't be worked with: .*format-version 9"):
            lake.round().run()
    assert "in fail" in capsys.readouterr().out
    assert lake.in_table("tracking_events") == _files(lake, "tracking_events")

    lake.round().run()
    _is_whole(lake)


@pytest.mark.parametrize("cut", [1, 9, 100])
def test_a_file_that_was_cut_keeps_out_its_chunk_alone(lake: TableLake, ingested: Ingested, cut: int) -> None:
    """At its end, or within its footer and closed as if it were whole."""
    for number in (1, 2, 3):
        _line(lake, ingested, number)
    first, second, third = _files(lake)
    whole = lake.aws.silver()[first]
    lake.aws.versions[SILVER, first][0].content = whole[:-cut]
    lake.aws.versions[SILVER, second][0].content = whole[: -8 - cut] + whole[-8:]

    with pytest.raises(NotCommittedError, match="2 chunks are not committed"):
        lake.round().run()

    assert lake.in_table() == [third]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"weight_kg": pa.array([b"x"], pa.binary())}, "was written under another type: weight_kg is binary"),
        ({"event_time": pa.array([2**62], pa.timestamp("us", "UTC"))}, "has values that no row can have"),
    ],
)
def test_a_file_with_other_columns_keeps_out_its_chunk_alone(
    lake: TableLake, ingested: Ingested, column: Any, message: str
) -> None:
    """It is Parquet of as many rows, but a reader would fail at it."""
    for number in (1, 2):
        _line(lake, ingested, number)
    first, second = _files(lake)
    lake.aws.versions[SILVER, first][0].content = silver.encode(pa.table(column))

    with pytest.raises(NotCommittedError, match=f"1 chunk is not committed: .*{message}"):
        lake.round().run()

    assert lake.in_table() == [second]


def test_a_chunk_whose_record_has_expired_is_told_of_until_it_is_replayed(lake: TableLake, ingested: Ingested) -> None:
    """The table took nothing for longer than state records are kept: what the chunk has written, nobody knows."""
    _line(lake, ingested, 1)
    _line(lake, ingested, 2)
    lost = next(key for key in lake.aws.items if "shipments/1.jsonl" in key and "/0-" in key)
    del lake.aws.items[lost]

    for _ in range(2):
        with pytest.raises(NotCommittedError, match=r"1 chunk .*shipments/1.jsonl.* is gone before .*: replay it"):
            lake.round().run()
    assert len(lake.in_table()) == 1
    assert lake.in_table("tracking_events") == _files(lake, "tracking_events")

    lake.clock.advance(1000)
    ingested(lines(shipment(1)), "bronze/shipments/1.jsonl", replay="r-1")
    lake.round().run()
    _is_whole(lake)


def test_a_replay_of_a_type_that_is_no_more_takes_its_rows_out(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are quarantined now, and no longer in the former table; what still waits for it needs its type's file.

    Where the former table has been dropped too, and its mark deleted, there is nothing to take out.
    """
    for number in (1, 2):
        ingested(lines(shipment(number)), f"bronze/shipments/{number}.jsonl", replay="")
    lake.round().run()
    ingested(lines(shipment(3)), "bronze/shipments/3.jsonl")
    monkeypatch.setattr(schemas, "types", lambda: {"parcels": RecordType("parcels", (Text("shipment_id"),))})
    lake.clock.advance(1000)
    ingested(lines(shipment(1)), "bronze/shipments/1.jsonl", replay="r-1")

    with pytest.raises(NotCommittedError, match=r"1 chunk .*there is no type shipments, .*: bring it back"):
        lake.round().run()
    assert len(lake.in_table()) == 1
    assert len(lake.tables_aws.noted) == 1

    _drop(lake)
    del lake.tables_aws.ledger[lake.mark()]
    lake.clock.advance(1000)
    ingested(lines(shipment(2)), "bronze/shipments/2.jsonl", replay="r-2")
    with pytest.raises(NotCommittedError, match=r"1 chunk .*there is no type shipments"):
        lake.round().run()
    assert lake.catalog.list_tables(DATABASE) == []


def test_one_chunk_may_have_more_files_than_a_commit_should(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has one of its own: a chunk's files come together."""
    monkeypatch.setattr(committer, "_MAX_FILES", 2)
    days = lines(*(shipment(1, event_time=f"2026-01-{day:02d}T00:00:00Z") for day in range(1, 6)))
    lake.chunk_bytes = 10_000
    ingested(lines(shipment(1)), "bronze/shipments/1.jsonl")
    ingested(days, "bronze/shipments/days.jsonl")

    lake.round().run()

    _is_whole(lake)
    added = {one.summary["added-data-files"] for one in lake.table().snapshots()}
    assert added == {"1", "5"}


def test_many_types_of_one_chunk_come_into_a_table_each(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chunk is done when all have its files."""
    kinds = {f"kind_{number}": RecordType(f"kind_{number}", (Text("shipment_id"),)) for number in range(12)}
    monkeypatch.setattr(schemas, "types", lambda: kinds)
    lake.chunk_bytes = 10_000
    ingested(lines(*(shipment(1) | {"record_type": name} for name in kinds)))

    assert lake.round().run()["committed"] == 1

    assert [len(lake.in_table(name)) for name in kinds] == [1] * 12
    assert len(lake.told("SilverPartitionReady")) == 12


_FAULTS = {
    "time-out": DeadlineExceededError("the deadline"),
    "throttled": client_error("ThrottlingException"),
}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("fault", _FAULTS)
def test_any_call_may_fail_once(lake: TableLake, ingested: Ingested, moment: str, fault: str) -> None:
    """Each call in turn, done or not; what the round has not done the next one does, and no row comes twice."""
    for at in range(200):
        rows = at + 1
        ingested(lines(shipment(rows)), f"bronze/shipments/{rows}.jsonl")
        lake.aws.calls.clear()
        failed: list[int] = []

        def fail(_name: str, at: int = at, failed: list[int] = failed) -> None:
            if len(lake.aws.calls) > at and not failed:
                failed.append(at)
                raise _FAULTS[fault]

        setattr(lake.aws, moment, fail)
        with contextlib.suppress(NotCommittedError, DownstreamError, DeadlineExceededError):
            lake.round().run()
        setattr(lake.aws, moment, lambda _name: None)
        lake.round().run()
        summary = lake.table().current_snapshot().summary
        assert (int(summary["total-data-files"]), lake.tables_aws.noted) == (rows, set())
        if not failed:
            break
    else:
        raise AssertionError("every round failed")
    _is_whole(lake)
    assert at >= 8
