"""Files of finished chunks come into their tables once each, whatever fails, dies, comes twice or at the same time."""

import contextlib
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.exceptions import CommitFailedException

from handlers.errors import DownstreamError
from handlers.lake import schemas, silver
from handlers.lake.errors import NotCommittedError
from handlers.lake.iceberg import committer, tables
from handlers.lake.iceberg.ledger import ADOPTED, Ledger, Mark
from handlers.lake.iceberg.written import File, Written
from handlers.lake.model import Decimal, Integer, List, Number, Object, RecordType, Text
from handlers.lake.notes import Notes
from handlers.lake.validate import silver_schema
from tests.handlers.fakes import Crash, client_error
from tests.handlers.lake.conftest import Lake, created, lines, shipment, table
from tests.handlers.lake.fakes import SILVER
from tests.handlers.lake.iceberg.conftest import TableLake
from tests.handlers.lake.iceberg.fakes import LEDGER

Ingested = Callable[..., None]
_DAYS = lines(*(shipment(number) for number in range(5)), shipment(5, event_time="2026-02-01T00:00:00Z"), b"bad")
_EVENT = "2026-01-31T12:00:00Z"


def _files(lake: TableLake, record_type: str = "shipments") -> list[str]:
    """The files of a type that lie in silver."""
    return sorted(key for key in lake.aws.silver() if key.startswith(f"silver/{record_type}/"))


def _is_whole(lake: TableLake, rows: int, record_type: str = "shipments") -> None:
    """What must hold after every history: each file once, all rows, nothing left to do, everything told."""
    assert lake.in_table(record_type) == _files(lake, record_type)
    summary = lake.table(record_type).current_snapshot().summary
    assert int(summary["total-records"]) == rows == len(lake.rows(record_type))
    assert lake.tables_aws.noted == set()
    ready = {told["key"]: told["eventId"] for told in lake.told("SilverPartitionReady")}
    assert set(_files(lake, record_type)) <= ready.keys()
    assert len({told["eventId"] for told in lake.told("SilverPartitionReady")}) == len(ready)


def test_finished_chunks_become_part_of_their_table(lake: TableLake, ingested: Ingested) -> None:
    """One commit for all chunks; nothing is told before it; the next round finds nothing to do."""
    lake.chunk_bytes = 300
    ingested(_DAYS)
    assert lake.told("SilverPartitionReady") == []

    done = lake.round().run()

    _is_whole(lake, 6)
    assert done == {"noted": 3, "unfinished": 0, "committed": 3}
    assert len(lake.table().snapshots()) == 1
    assert lake.table().spec().fields[0].name == "dt"
    assert lake.round().run() == {"noted": 0, "unfinished": 0, "committed": 0}
    assert len(lake.table().snapshots()) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_committer_may_die_around_each_call(lake: TableLake, ingested: Ingested, moment: str) -> None:
    """Before or after each call in turn, in the round that makes the table and in one that adds to it."""
    died = 0
    for at in range(200):
        rows = at + 1
        ingested(lines(shipment(rows)), f"bronze/shipments/{rows}.jsonl")
        lake.aws.calls.clear()
        dead: list[int] = []

        def crash(_name: str, at: int = at, dead: list[int] = dead) -> None:
            if len(lake.aws.calls) > at and not dead:
                dead.append(at)
                raise Crash

        setattr(lake.aws, moment, crash)
        try:
            lake.round().run()
        except Crash:
            died += 1
        setattr(lake.aws, moment, lambda _name: None)
        lake.round().run()
        summary = lake.table().current_snapshot().summary
        assert (int(summary["total-data-files"]), lake.tables_aws.noted) == (rows, set())
        if not dead:
            break
    else:
        raise AssertionError("every round died")
    _is_whole(lake, rows)
    assert died >= 8


def _begin_anew(lake: TableLake) -> None:
    """A lake in which nothing was written yet."""
    lake.tables_aws.ledger.clear()
    lake.aws.versions.clear()
    lake.aws.items.clear()
    for name in lake.catalog.list_tables("lake"):
        lake.catalog.drop_table(name)


def _dies_after(lake: TableLake, at: int) -> bool:
    """Lets a round die after so many calls; whether it made that many."""
    lake.aws.calls.clear()
    dead: list[int] = []

    def crash(_name: str) -> None:
        if len(lake.aws.calls) > at and not dead:
            dead.append(at)
            raise Crash

    lake.aws.after = crash
    with contextlib.suppress(Crash):
        lake.round().run()
    lake.aws.after = lambda _name: None
    return bool(dead)


def test_one_that_dies_making_the_table_leaves_it_to_the_next(lake: TableLake, ingested: Ingested) -> None:
    """Each call of the very first round in turn, each time with a table of its own."""
    for at in range(200):
        _begin_anew(lake)
        ingested(lines(shipment(1)))
        died = _dies_after(lake, at)
        lake.round().run()
        _is_whole(lake, 1)
        if not died:
            return
    raise AssertionError("every round died")


def test_a_chunk_that_comes_again_is_told_of_again_and_not_added(lake: TableLake, ingested: Ingested) -> None:
    """Its message was delivered again after the note was deleted, or its committer died before that."""
    ingested(_DAYS)
    notes = {key: item for key, item in lake.tables_aws.ledger.items() if key[0] == "noted"}
    lake.round().run()
    told = len(lake.told("SilverPartitionReady"))

    lake.tables_aws.ledger |= notes
    lake.round().run()

    _is_whole(lake, 6)
    assert len(lake.table().snapshots()) == 1
    assert len(lake.told("SilverPartitionReady")) == 2 * told


def test_of_two_committers_at_once_one_is_refused(lake: TableLake, ingested: Ingested) -> None:
    """Another commits the same chunks and more between this one's look and its commit: both end with the same table."""
    ingested(lines(shipment(1)), "bronze/shipments/first.jsonl")
    lake.round().run()
    ingested(lines(shipment(2)), "bronze/shipments/a.jsonl")

    def other() -> None:
        ingested(lines(shipment(3)), "bronze/shipments/b.jsonl")
        assert lake.round().run()["committed"] == 2

    lake.catalog.between = other
    lake.round().run()

    _is_whole(lake, 3)
    assert len(lake.table().snapshots()) == 2


def test_of_two_that_make_the_table_at_once_both_use_it(lake: TableLake, ingested: Ingested) -> None:
    """The name mapping is the new table's first commit; the other one has done all by then."""
    ingested(lines(shipment(1)))
    lake.catalog.between = lambda: lake.round().run()

    lake.round().run()

    _is_whole(lake, 1)
    assert len(lake.table().snapshots()) == 1


@pytest.mark.parametrize("error", [OSError("reset"), client_error("InternalError"), CommitFailedException("changed")])
def test_a_commit_whose_answer_was_lost_is_found(lake: TableLake, ingested: Ingested, error: Exception) -> None:
    """It looks failed, or refused by itself where the SDK has repeated it; the table says that it was made."""
    ingested(lines(shipment(1)), "bronze/shipments/first.jsonl")
    lake.round().run()
    ingested(lines(shipment(2)))
    left = [error]

    def lose(name: str) -> None:
        if name == "CommitTable" and left:
            raise left.pop()

    lake.aws.after = lose
    lake.round().run()

    _is_whole(lake, 2)
    assert len(lake.table().snapshots()) == 2


def test_a_catalog_that_takes_nothing_fails_the_round(lake: TableLake, ingested: Ingested) -> None:
    """After some attempts; the chunk stays noted, and the next round commits it."""
    ingested(lines(shipment(1)))

    def refuse(name: str) -> None:
        if name == "CommitTable":
            raise CommitFailedException("busy")

    lake.aws.before = refuse
    with pytest.raises(NotCommittedError, match="1 chunk is not committed: the table shipments took no commit"):
        lake.round().run()
    assert len(lake.tables_aws.noted) == 1

    lake.aws.before = lambda _name: None
    lake.round().run()
    _is_whole(lake, 1)


def test_a_replay_with_other_rows_replaces_those_of_the_chunk(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The type has become stricter: one snapshot has the new file for the old one, which stays readable."""
    ingested(_DAYS, replay="")
    lake.round().run()
    before = lake.in_table()
    strict = RecordType("shipments", (Text("shipment_id"), Number("weight_kg", minimum=1)))
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": strict})

    lake.clock.advance(1000)
    ingested(_DAYS, replay="r-1")
    lake.round().run()

    first, last = lake.table().snapshots()
    assert last.summary["total-records"] == "4"
    assert last.summary["deleted-records"] == "6"
    assert last.parent_snapshot_id == first.snapshot_id
    assert len(lake.in_table()) == 2
    assert not set(lake.in_table()) & set(before)
    assert set(before) <= lake.aws.silver().keys()


def test_what_was_done_earlier_and_comes_later_changes_nothing(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note of the first work is still there when that of the replay has been committed."""
    ingested(_DAYS)
    late = {key: item for key, item in lake.tables_aws.ledger.items() if key[0] == "noted"}
    lake.tables_aws.ledger.clear()
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": RecordType("shipments", (Text("shipment_id"),))})
    lake.clock.advance(1000)
    ingested(_DAYS, replay="r-1")
    lake.round().run()
    standing = lake.in_table()

    lake.tables_aws.ledger |= late
    assert lake.round().run()["committed"] == 1

    assert lake.in_table() == standing
    assert len(lake.table().snapshots()) == 1
    assert {told["key"] for told in lake.told("SilverPartitionReady")} == set(standing)


def test_a_replay_that_comes_to_no_row_takes_the_chunk_out(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows are quarantined now: the table has none of them."""
    ingested(lines(shipment(1)), replay="")
    lake.round().run()
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": RecordType("shipments", (Text("no_such_field"),))})
    lake.clock.advance(1000)
    ingested(lines(shipment(1)), replay="r-1")

    lake.round().run()

    assert lake.in_table() == []
    assert lake.table().current_snapshot().summary["total-records"] == "0"


def test_rows_that_somebody_else_has_rewritten_are_not_replaced(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chunk's file is no longer in the table: which rows are its own, nobody knows. Others are committed."""
    ingested(lines(shipment(1)), replay="")
    lake.round().run()
    transaction = lake.table().transaction()
    with transaction.update_snapshot().overwrite() as snapshot:
        snapshot.delete_data_file(next(tables.data_files(lake.table())))
    transaction.commit_transaction()
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": RecordType("shipments", (Text("shipment_id"),))})
    lake.clock.advance(1000)
    ingested(lines(shipment(1)), replay="r-1")
    ingested(lines(shipment(2)), "bronze/shipments/other.jsonl")

    with pytest.raises(NotCommittedError, match="its rows were rewritten since"):
        lake.round().run()

    assert len(lake.in_table()) == 1
    assert len(lake.tables_aws.noted) == 1


def test_a_chunk_that_is_not_done_waits(lake: TableLake) -> None:
    """Its worker has died before it wrote the outcome; the redelivery does."""
    version = lake.aws.upload("bronze/shipments/a.jsonl", lines(shipment(1)))
    lake.ingest(created(version.version_id, version.etag, "bronze/shipments/a.jsonl"))
    (message,) = lake.deliveries()

    def die(name: str) -> None:
        if name == "PutItem":
            raise Crash

    lake.aws.after = die
    with pytest.raises(Crash):
        lake.transform(message)
    lake.aws.after = lambda _name: None
    assert lake.round().run() == {"noted": 1, "unfinished": 1, "committed": 0}

    lake.clock.advance(60_000)
    lake.transform(message)
    lake.round().run()
    _is_whole(lake, 1)


def test_a_file_that_is_not_what_its_record_says_keeps_out_its_chunk_alone(lake: TableLake, ingested: Ingested) -> None:
    """Missing, no Parquet, or with other rows; the round commits the others and then fails."""
    for name in "abcd":
        ingested(lines(shipment(ord(name))), f"bronze/shipments/{name}.jsonl")
    lost, broken, other, good = _files(lake)
    lake.aws.versions.pop((SILVER, lost))
    lake.aws.versions[SILVER, broken][0].content = b"PAR1 and more"
    ingested(lines(shipment(1), shipment(2)), "bronze/shipments/two.jsonl")
    (two,) = set(_files(lake)) - {broken, other, good}
    lake.aws.versions[SILVER, other][0].content = lake.aws.silver()[two]

    with pytest.raises(NotCommittedError, match="3 chunks are not committed"):
        lake.round().run()

    assert lake.in_table() == sorted([good, two])
    assert len(lake.tables_aws.noted) == 3


def test_a_row_of_two_types_goes_to_two_tables(lake: TableLake, ingested: Ingested) -> None:
    """A chunk is done when both have its files; a type that no table can be made for keeps it noted."""
    row = {"event_time": _EVENT, "shipment_id": "S-1", "status": "sent", "city": "Roma"}
    ingested(lines(shipment(1), row | {"record_type": "tracking_events"}))

    lake.round().run()

    _is_whole(lake, 1)
    _is_whole(lake, 1, "tracking_events")


def test_events_that_the_bus_does_not_take_are_told_by_the_next_round(lake: TableLake, ingested: Ingested) -> None:
    """The files are committed once."""
    ingested(lines(shipment(1)))
    lake.aws.entry_failures["PutEvents"] = lambda _entry: "InternalFailure"
    with pytest.raises(NotCommittedError, match="the bus did not take an event: InternalFailure"):
        lake.round().run()
    assert len(lake.in_table()) == 1

    lake.aws.entry_failures.clear()
    lake.round().run()
    _is_whole(lake, 1)
    assert len(lake.table().snapshots()) == 1


def test_a_commit_has_no_more_files_than_the_table_can_name(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The property holds the names of one commit's files; what is more comes in the next commit of the same round."""
    monkeypatch.setattr(committer, "_MAX_FILES", 2)
    for name in "abc":
        ingested(_DAYS, f"bronze/shipments/{name}.jsonl")

    lake.round().run()

    _is_whole(lake, 18)
    assert len(lake.table().snapshots()) == 3


def test_an_added_field_and_a_wider_number_change_the_table(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new columns follow the others; the files of before stay as they are."""
    before = RecordType("shipments", (Text("shipment_id"), Decimal("price", 5, 2)))
    after = RecordType("shipments", (Text("shipment_id"), Decimal("price", 12, 2), Integer("pieces", optional=True)))
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": before})
    ingested(lines(shipment(1, price="123.45")), "bronze/shipments/a.jsonl")
    lake.round().run()
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": after})
    ingested(lines(shipment(2, price="1234567.89", pieces=3)), "bronze/shipments/b.jsonl")

    lake.round().run()

    found = {one.name: str(one.field_type) for one in lake.table().schema().fields}
    assert found == {
        "event_time": "timestamptz",
        "shipment_id": "string",
        "price": "decimal(12, 2)",
        "dt": "date",
        "pieces": "long",
    }
    _is_whole(lake, 2)


def test_a_deployment_that_goes_back_is_no_change(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table stays wider than the type is again."""
    for digits in (12, 5):
        kind = RecordType("shipments", (Text("shipment_id"), Decimal("price", digits, 2)))
        monkeypatch.setattr(schemas, "types", lambda kind=kind: {"shipments": kind})
        ingested(lines(shipment(digits, price="1.00")), f"bronze/shipments/{digits}.jsonl")
        lake.round().run()

    assert str(lake.table().schema().find_field("price").field_type) == "decimal(12, 2)"
    _is_whole(lake, 2)


@pytest.mark.parametrize(
    ("field", "type_"),
    [(Text("price"), "string"), (Integer("price"), "long"), (Decimal("price", 12, 3), "decimal(12, 3)")],
)
def test_a_field_of_another_type_is_refused(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch, field: Any, type_: str
) -> None:
    """No table can follow; what is noted waits for the former file of the type. Who looks sees which field it is."""
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": RecordType("shipments", (Decimal("price", 12, 2),))})
    ingested(lines(shipment(1, price="1.00")), "bronze/shipments/a.jsonl")
    lake.round().run()
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": RecordType("shipments", (field, Text("note")))})
    value = 1 if isinstance(field, Integer) else "1.00"
    ingested(lines(shipment(2, price=value, note="n")), "bronze/shipments/b.jsonl")

    which = f"price is {type_} in the type's file and decimal(12, 2) in the table: deploy the former file"
    with pytest.raises(
        NotCommittedError, match=re.escape(f"the table shipments can't take the type's fields: {which}")
    ):
        lake.round().run()

    assert len(lake.in_table()) == 1
    assert len(lake.tables_aws.noted) == 1


@pytest.mark.parametrize("field", [Text("price"), Integer("price"), Decimal("price", 12, 3), Decimal("price", 15, 2)])
def test_a_file_of_another_type_stays_out_of_the_table(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch, field: Any
) -> None:
    """It was written before the type became what the table is: readers would fail at it. Others are committed."""
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": RecordType("shipments", (field,))})
    ingested(lines(shipment(1, price=1 if isinstance(field, Integer) else "1.00")), "bronze/shipments/a.jsonl")
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": RecordType("shipments", (Decimal("price", 12, 2),))})
    ingested(lines(shipment(2, price="2.00")), "bronze/shipments/b.jsonl")

    with pytest.raises(NotCommittedError, match=r"1 chunk .* type: price is .*: replay its object \(lab lake rep"):
        lake.round().run()

    assert lake.table().current_snapshot().summary["total-records"] == "1"
    assert len(lake.tables_aws.noted) == 1


def test_files_of_what_a_type_was_before_fit_its_table(lake: TableLake) -> None:
    """Every type that ships, nested fields that came later or are narrower too; nothing else does."""
    before = RecordType("t", (Object("box", (Decimal("price", 5, 2),)), List("tags", Decimal("tag", 5, 2))))
    price = Decimal("price", 9, 2)
    after = RecordType("t", (Object("box", (price, Integer("n"))), List("tags", Decimal("tag", 9, 2)), Text("more")))
    other = RecordType("t", (List("box", Text("x")), Text("tags")))

    def told(kind: RecordType, of: RecordType) -> str | None:
        file = silver.encode(silver_schema(kind).empty_table())
        return tables.misfit(pq.read_metadata(pa.BufferReader(file)), tables.columns(of))

    assert [told(kind, kind) for kind in schemas.types().values()] == [None] * len(schemas.types())
    assert told(before, after) is None
    assert str(told(after, before)).startswith("box is struct<")
    assert str(told(other, before)).startswith("box is list<")
    assert str(told(before, other)).startswith("box is struct<")
    assert lake.chunk_bytes


def test_a_type_that_has_been_deleted_keeps_its_chunks(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were written before; nobody knows the columns any more."""
    ingested(lines(shipment(1)))
    monkeypatch.setattr(schemas, "types", dict)

    with pytest.raises(NotCommittedError, match="there is no type shipments"):
        lake.round().run()


def test_a_ledger_that_does_not_answer_fails_the_round(lake: TableLake, ingested: Ingested) -> None:
    """Nothing is committed on a guess."""
    ingested(lines(shipment(1)))
    for name in ("Query", "BatchGetItem", "UpdateItem", "DeleteItem"):

        def refuse(call: str, name: str = name) -> None:
            if call == name:
                raise client_error("InternalServerError", name)

        lake.aws.before = refuse
        with pytest.raises((DownstreamError, NotCommittedError)):
            lake.round().run()
    lake.aws.before = lambda _name: None
    lake.aws.entry_failures["BatchGetItem"] = lambda _key: "Throttled"
    with pytest.raises(DownstreamError, match="did not give 1 records"):
        lake.round().run()

    lake.aws.entry_failures.clear()
    lake.round().run()
    _is_whole(lake, 1)


def test_the_folder_of_a_table_is_not_that_of_its_rows(lake: TableLake, ingested: Ingested) -> None:
    """Who cleans the table's folder up takes no file of silver that still waits for its commit."""
    ingested(lines(shipment(1)))
    lake.round().run()

    location = lake.table().location()
    assert location == f"s3://{SILVER}/tables/shipments" or location.endswith("--table-s3")


def _left_by_parquet(lake: TableLake, content: bytes, key: str = "bronze/shipments/old.jsonl") -> list[Written]:
    """An object that was worked before silver was tables, so long ago that it has no record; its places."""
    version = lake.aws.upload(key, content)
    before, files = len(lake.aws.sent), set(_files(lake))
    lake.ingest(created(version.version_id, version.etag, key))
    plain = Lake(lake.aws, lake.clock)
    for one in lake.deliveries()[before:]:
        plain.transform(one)
    lake.aws.items.clear()
    lake.aws.events.clear()
    found: dict[str, list[File]] = {}
    for file in sorted(set(_files(lake)) - files):
        (_, record_type, day, name) = file.split("/")
        rows = table(lake.aws.silver()[file]).num_rows
        place = name.removesuffix(".parquet").replace("-", "/")
        found.setdefault(place, []).append(File(file, record_type, day.removeprefix("dt="), rows))
    return [Written(place, "2026-01-01", tuple(files), {}) for place, files in found.items()]


def _note(lake: TableLake, places: list[Written]) -> None:
    """As `lab lake adopt` does."""
    client: Any = lake.aws
    Ledger(client, LEDGER, in_bucket=lake.in_bucket).enter(ADOPTED, Mark("", 1), ())
    for one in places:
        Notes(client, LEDGER).take(one.chunk, one.chunk, one.as_note())


_OLD = lines(*(shipment(number, event_time=f"2026-01-{number % 2 + 10}T12:00:00Z") for number in range(1, 9)))


def test_files_without_a_record_become_part_of_a_table(lake: TableLake) -> None:
    """By where their content begins, of which there are several in an object; nobody is told again."""
    lake.chunk_bytes = 500
    places = _left_by_parquet(lake, _OLD)
    _note(lake, places)
    _note(lake, places)

    assert (len(places), lake.round().run()["committed"]) == (2, 2)

    assert lake.in_table() == _files(lake)
    assert lake.table().current_snapshot().summary["total-records"] == "8"
    assert (lake.told("SilverPartitionReady"), lake.tables_aws.noted) == ([], set())
    _note(lake, places)
    lake.round().run()
    assert len(lake.table().snapshots()) == 1


def test_a_replay_takes_the_place_of_files_without_a_record(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it was cut into then, and is now, and whatever it comes to: other days, another type, no row."""
    lake.chunk_bytes = 500
    _note(lake, _left_by_parquet(lake, _OLD))
    lake.round().run()
    old = lake.in_table()

    lake.chunk_bytes = 5000
    ingested(_OLD, "bronze/shipments/old.jsonl", replay="r-1")
    lake.round().run()
    first = lake.in_table()
    assert (len(first), set(first) & set(old)) == (2, set())
    summary = lake.table().current_snapshot().summary
    assert (summary["total-records"], len(lake.table().snapshots())) == ("8", 2)

    monkeypatch.setattr(schemas, "types", lambda: {"shipments": RecordType("shipments", (Text("no_such_field"),))})
    for name in "ab":
        _note(lake, _left_by_parquet(lake, _OLD, f"bronze/shipments/{name}.jsonl"))
    lake.clock.advance(1000)
    ingested(_OLD, "bronze/shipments/old.jsonl", replay="r-2")
    lake.round().run()
    assert lake.in_table() == []


def test_files_that_were_replaced_before_they_came_stay_out(lake: TableLake, ingested: Ingested) -> None:
    """The replay was committed before, or comes with them."""
    places = _left_by_parquet(lake, _OLD)
    ingested(_OLD, "bronze/shipments/old.jsonl", replay="r-1")
    _note(lake, places)
    lake.round().run()
    assert (len(lake.in_table()), lake.table().current_snapshot().summary["total-records"]) == (2, "8")

    _note(lake, places)
    assert lake.round().run()["committed"] == len(places)
    assert len(lake.table().snapshots()) == 1


@pytest.mark.parametrize("lake", ["glue"], indirect=True)
def test_a_committer_may_die_while_it_replaces_files_without_a_record(lake: TableLake, ingested: Ingested) -> None:
    """After each call in turn, each time with a table of its own: it has the rows once, by the new file."""
    for at in range(200):
        _begin_anew(lake)
        _note(lake, _left_by_parquet(lake, lines(shipment(1))))
        lake.round().run()
        (old,) = lake.in_table()
        ingested(lines(shipment(1)), "bronze/shipments/old.jsonl", replay="r-1")
        died = _dies_after(lake, at)
        lake.round().run()
        assert lake.in_table() == sorted({*_files(lake)} - {old})
        assert lake.table().current_snapshot().summary["total-records"] == "1"
        if not died:
            break
    assert 20 <= at < 199
