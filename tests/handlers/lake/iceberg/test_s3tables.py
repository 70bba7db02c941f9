"""Tables in a table bucket: each file is copied to its table's own place before it is committed."""

import contextlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

import pytest

from handlers import env
from handlers.lake import schemas
from handlers.lake.errors import NotCommittedError
from handlers.lake.iceberg import commit, fileio, s3tables, tables
from handlers.lake.iceberg.ledger import Entry, Ledger, Mark
from handlers.lake.model import Integer, List, RecordType, Text
from tests.handlers.fakes import Crash, client_error
from tests.handlers.lake.conftest import lines, shipment
from tests.handlers.lake.iceberg.conftest import TableLake
from tests.handlers.lake.iceberg.fakes import DATABASE, LEDGER, FakeTables
from tests.handlers.lake.iceberg.table_bucket import ARN, FakeTableBucket, RefusedError

pytestmark = pytest.mark.parametrize("lake", ["s3tables"], indirect=True)
Ingested = Callable[..., None]


def _copies(lake: TableLake) -> dict[str, bytes]:
    """The Parquet files that lie in the table's own place, by their keys."""
    bucket, _ = fileio.place(f"{lake.table().location()}/x")
    return {
        key: kept[-1].content
        for (found, key), kept in lake.aws.versions.items()
        if found == bucket and key.startswith("data/") and key.endswith(".parquet")
    }


def test_files_are_copied_to_the_place_of_their_table(lake: TableLake, ingested: Ingested) -> None:
    """Byte by byte, and silver's own stay: events and the checks of a day are about them."""
    ingested(lines(shipment(1), shipment(2, event_time="2026-02-01T00:00:00Z")))
    lake.round().run()

    assert sorted(_copies(lake).values()) == sorted(lake.aws.silver()[key] for key in lake.in_table())
    assert {told["key"] for told in lake.told("SilverPartitionReady")} == set(lake.in_table())


def test_a_copy_whose_commit_was_not_made_is_never_used(lake: TableLake, ingested: Ingested) -> None:
    """S3 Tables removes what no table names; the next round copies anew, to another place."""
    ingested(lines(shipment(1)))
    dead: list[str] = []

    def die(name: str) -> None:
        if name == "CommitTable" and lake.aws.calls.count(name) > 1 and not dead:  # the first one is of the new table
            dead.append(name)
            raise Crash

    lake.aws.before = die
    with contextlib.suppress(Crash):
        lake.round().run()
    (left,) = _copies(lake)
    lake.round().run()

    (used,) = [one.file_path for one in tables.data_files(lake.table())]
    assert (len(_copies(lake)), used.endswith(left)) == (2, False)


@pytest.mark.parametrize(("call", "place"), [("put_object", "data/"), ("get_object", "silver/")])
def test_a_copy_that_fails_keeps_out_its_chunk(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch, call: str, place: str
) -> None:
    """The round commits the others and fails; the next one does the rest."""
    for name in "ab":
        ingested(lines(shipment(ord(name))), f"bronze/shipments/{name}.jsonl")
    left, made = ["SlowDown"], getattr(lake.aws, call)

    def refuse(**params: Any) -> Any:
        if params["Key"].startswith(place) and left:
            raise client_error(left.pop(), call)
        return made(**params)

    monkeypatch.setattr(lake.aws, call, refuse)
    with pytest.raises(NotCommittedError, match="1 chunk is not committed: S3"):
        lake.round().run()
    assert len(lake.in_table()) == 1

    lake.round().run()
    assert len(lake.in_table()) == 2


@pytest.mark.parametrize("status", [HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE])
def test_a_catalog_that_refuses_fails_the_round(lake: TableLake, ingested: Ingested, status: HTTPStatus) -> None:
    """Whatever it says; the chunk stays noted."""
    ingested(lines(shipment(1)))

    def refuse(name: str) -> None:
        if name == "CommitTable":
            raise RefusedError(status, "no")

    lake.aws.before = refuse
    with pytest.raises(NotCommittedError, match="the table shipments took no commit"):
        lake.round().run()

    lake.aws.before = lambda _name: None
    lake.round().run()
    assert len(lake.in_table()) == 1


def test_what_tables_in_glue_have_is_nothing_to_those_in_a_bucket(lake: TableLake, ingested: Ingested) -> None:
    """A chunk that a table of the other catalog has is added once it is noted again."""
    ingested(lines(shipment(1)))
    notes = {key: item for key, item in lake.tables_aws.ledger.items() if key[0] == "noted"}
    lake.round().run()
    (name,) = [key.removeprefix("silver/shipments/") for key in lake.in_table()]
    (chunk,) = [f"{scope}/{span}" for scope, span in lake.tables_aws.ledger if not scope.startswith("table")]
    in_bucket, in_glue = (Ledger(cast("Any", lake.aws), LEDGER, in_bucket=one) for one in (True, False))
    assert in_glue.entries([chunk]) == {chunk: {}}
    assert [one.files for one in in_bucket.entries([chunk])[chunk].values()] == [(name,)]

    lake.tables_aws.ledger.clear()
    lake.tables_aws.ledger |= notes
    in_glue.enter("shipments", Mark("of Glue", 7), [Entry(chunk, "2099-01-01T00:00:00.000Z", (name,))])
    lake.catalog.drop_table((DATABASE, "shipments"))
    lake.round().run()

    assert lake.in_table() == [f"silver/shipments/{name}"]


def test_rows_that_s3_tables_has_compacted_are_not_replaced(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is copied for a chunk that can't be replaced, though each round finds it."""
    ingested(lines(shipment(1)), replay="")
    lake.round().run()
    transaction = lake.table().transaction()
    with transaction.update_snapshot().overwrite() as snapshot:
        snapshot.delete_data_file(next(tables.data_files(lake.table())))
    transaction.commit_transaction()
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": RecordType("shipments", (Text("shipment_id"),))})
    lake.clock.advance(1000)
    ingested(lines(shipment(1)), replay="r-1")
    before = len(_copies(lake))

    for _ in range(2):
        with pytest.raises(NotCommittedError, match="its rows were rewritten since"):
            lake.round().run()

    assert len(_copies(lake)) == before


def test_a_catalog_that_counts_columns_wrong_gets_no_new_one(
    lake: TableLake, ingested: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers find columns by their numbers: with one number for two they would read the rows of the other."""
    fields = (Text("shipment_id"), List("tags", Text("tag"), optional=True))
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": RecordType("shipments", fields)})
    ingested(lines(shipment(1)), "bronze/shipments/a.jsonl")
    lake.round().run()
    assert isinstance(lake.catalog, FakeTableBucket)
    lake.catalog.forget_nested_columns("shipments")
    wider = RecordType("shipments", (*fields, Integer("pieces", optional=True)))
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": wider})
    ingested(lines(shipment(2, pieces=2)), "bronze/shipments/b.jsonl")

    with pytest.raises(NotCommittedError, match="gives a new column of shipments the number of another"):
        lake.round().run()


def test_the_function_commits_where_its_environment_says(
    lake: TableLake, aws: FakeTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table bucket's catalog is that of its ARN."""
    given = {
        "ENVIRONMENT": "dev",
        "PIPELINE": "lake",
        "SILVER_BUCKET": "silver",
        "TABLE_NAME": "state",
        "LEDGER_NAME": LEDGER,
        "NAMESPACE": DATABASE,
        "EVENT_BUS_NAME": "bus",
        "TABLE_BUCKET_ARN": ARN,
    }
    asked: list[dict[str, str]] = []

    def make(name: str, **properties: str) -> FakeTableBucket:
        asked.append({"name": name, **properties})
        return FakeTableBucket(aws)

    monkeypatch.setattr(s3tables, "S3TablesCatalog", make)
    found = commit.tables_of(env.load(commit.Env, given))

    assert (found.at_once, asked) == (4, [{"name": "s3tables", **s3tables.properties(ARN)}])
    assert s3tables.properties(ARN)["uri"] == "https://s3tables.eu-west-1.amazonaws.com/iceberg"
    assert lake.tables_aws.noted == set()
