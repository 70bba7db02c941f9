"""Silver's files of before and after a field was added, as pyarrow, DuckDB and polars read them together."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from handlers.lake import silver
from handlers.lake.model import RecordType, Text
from handlers.lake.schemas import types
from handlers.lake.validate import silver_schema
from tests.components.recording import ROOT

_OLD = types()["shipments"]
_NEW = RecordType("shipments", (*_OLD.fields, Text("weight_class", optional=True)))
_NIGHT = datetime(2026, 1, 31, 2, tzinfo=UTC)  # the day before, in New York
_TEXT = (ROOT / "docs" / "lake-readers.md").read_text(encoding="utf-8")
_BLOCKS: list[tuple[str, str]] = re.findall(r"```(sql|python)\n(.*?)```", _TEXT, re.DOTALL)


def _documented(language: str, begin: str) -> str:
    """The block of the documentation that begins so."""
    (found,) = [text for lang, text in _BLOCKS if lang == language and text.startswith(begin)]
    return found


@pytest.fixture(params=["old first", "new first"])
def order(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder with a file of before and one of after the field was added; their names decide which comes first."""
    monkeypatch.chdir(tmp_path)
    order = str(request.param)
    for kind, name, more in ((_OLD, order[0] == "n", {}), (_NEW, order[0] == "o", {"weight_class": "light"})):
        row = {"event_time": _NIGHT, "shipment_id": "S", "origin": "A", "destination": "B", "carrier": "C"}
        table = pa.Table.from_pylist([row | {"weight_kg": 1.5} | more], schema=silver_schema(kind))
        file = Path(silver.key("shipments", "2026-01-31", f"{name:016x}", 0))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(silver.encode(table))
    return order


def _files() -> str:
    return "silver/shipments/*/*.parquet"


def _newest() -> Path:
    return max(Path().rglob("*.parquet"), key=lambda file: len(pq.read_schema(file)))


@pytest.mark.usefixtures("order")
def test_duckdb_with_its_option() -> None:
    """Both rows, the field where it is, and the day as a date: by the query of the documentation."""
    import duckdb  # noqa: PLC0415 - every process that collects would wait for it

    asked = duckdb.connect().sql(_documented("sql", "SELECT dt, count(*)"))

    assert (asked.columns, asked.fetchall()) == (["dt", "rows", "classed"], [(date(2026, 1, 31), 2, 1)])


@pytest.mark.usefixtures("order")
def test_duckdb_by_the_query_of_the_lake_s_page() -> None:
    """docs/lake.md groups by day and carrier."""
    import duckdb  # noqa: PLC0415 - every process that collects would wait for it

    page = (ROOT / "docs" / "lake.md").read_text(encoding="utf-8")
    (query,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)

    assert duckdb.connect().sql(query).fetchall() == [(date(2026, 1, 31), "C", 2)]


def test_duckdb_without(order: str) -> None:
    """The column is missing, silently, or the query fails: as the first file has it or not."""
    import duckdb  # noqa: PLC0415 - every process that collects would wait for it

    query = f"SELECT * EXCLUDE event_time FROM read_parquet('{_files()}', hive_partitioning = true)"  # noqa: S608
    if order == "old first":
        assert "weight_class" not in duckdb.connect().sql(query).columns
        return
    with pytest.raises(duckdb.InvalidInputException, match="schema mismatch"):
        duckdb.connect().sql(query).fetchall()


@pytest.mark.usefixtures("order")
def test_pyarrow_with_a_schema() -> None:
    """Both rows, and the day as a date: by the lines of the documentation."""
    names: dict[str, Any] = {"pyarrow": pa}
    exec(_documented("python", "files ="), names)  # noqa: S102 - our own documentation
    table = names["table"]

    assert sorted(table["weight_class"].to_pylist(), key=str) == [None, "light"]
    assert (set(table["dt"].to_pylist()), table.schema.field("dt").type) == ({date(2026, 1, 31)}, pa.date32())


def test_pyarrow_without(order: str) -> None:
    """The first file decides on the columns, silently; the day is text."""
    found = ds.dataset("silver/shipments", partitioning="hive")

    assert ("weight_class" in found.schema.names) == (order == "new first")
    assert (found.to_table().num_rows, found.schema.field("dt").type) == (2, pa.string())


@pytest.mark.usefixtures("order")
def test_polars_with_a_schema() -> None:
    """Both rows, and the day as a date: by the lines of the documentation."""
    import polars as pl  # noqa: PLC0415 - every process that collects would wait for it

    names: dict[str, Any] = {"polars": pl, "newest_file": _newest()}
    exec(_documented("python", "newest ="), names)  # noqa: S102 - our own documentation
    table = names["table"]

    assert sorted(table["weight_class"].to_list(), key=str) == [None, "light"]
    assert (set(table["dt"].to_list()), table.schema["dt"]) == ({date(2026, 1, 31)}, pl.Date())
    assert table.schema["event_time"] == pl.Datetime("us", "UTC")


@pytest.mark.usefixtures("order")
def test_polars_without() -> None:
    """It fails, whichever file comes first."""
    import polars as pl  # noqa: PLC0415 - every process that collects would wait for it

    with pytest.raises((pl.exceptions.SchemaError, pl.exceptions.ColumnNotFoundError)):
        pl.scan_parquet(_files(), hive_partitioning=True).collect()


def test_polars_that_ignores(order: str) -> None:
    """Told to ignore columns that are too many, it leaves the new one out where an old file comes first."""
    import polars as pl  # noqa: PLC0415 - every process that collects would wait for it

    found = pl.scan_parquet(
        _files(), hive_partitioning=True, missing_columns="insert", extra_columns="ignore"
    ).collect()

    assert (found.height, "weight_class" in found.columns) == (2, order == "new first")


@pytest.mark.usefixtures("order")
def test_day_of_a_session_elsewhere() -> None:
    """A cast gives the day of the session's zone; `dt`, and a cast that says UTC, do not."""
    import duckdb  # noqa: PLC0415 - every process that collects would wait for it

    session = duckdb.connect()
    session.execute(f"CREATE VIEW silver AS FROM read_parquet('{_files()}', union_by_name = true)")
    documented = _documented("sql", "SELECT (event_time AT TIME ZONE")
    for zone, day in (("UTC", 31), ("America/New_York", 30), ("Asia/Tokyo", 31)):
        session.execute(f"SET TimeZone = '{zone}'")
        assert session.sql("SELECT DISTINCT event_time::DATE, dt FROM silver").fetchall() == [
            (date(2026, 1, day), date(2026, 1, 31))
        ]
        assert set(session.sql(documented).fetchall()) == {(date(2026, 1, 31),)}


@pytest.mark.usefixtures("order")
def test_compacted_by_an_engine() -> None:
    """Into a new folder each row is there once; in place, rows double.

    What OVERWRITE leaves in place depends on whether the engine deletes or reads first: nothing that can be asserted.
    """
    import duckdb  # noqa: PLC0415 - every process that collects would wait for it

    session = duckdb.connect()
    Path("compacted-new").mkdir()
    session.execute(_documented("sql", "COPY (SELECT"))
    read = "SELECT count(*), count(weight_class) FROM read_parquet('{}/*/*.parquet', union_by_name = true)"
    assert session.sql(read.format("compacted-new/shipments")).fetchall() == [(2, 1)]
    (made,) = Path("compacted-new").rglob("*.parquet")
    assert (pq.read_schema(made).field("shipment_id").nullable, "dt" in pq.read_schema(made).names) == (True, False)

    in_place = _documented("sql", "COPY (SELECT").replace("compacted-new/shipments", "silver/shipments")
    session.execute(in_place.replace("PARTITION_BY (dt)", "PARTITION_BY (dt), OVERWRITE_OR_IGNORE"))
    assert session.sql(read.format("silver/shipments")).fetchall() == [(4, 2)]
