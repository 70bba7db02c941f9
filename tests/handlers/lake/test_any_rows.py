"""Whatever comes in and wherever the worker dies: each row is in one place, and all readers see the same."""

import gzip
import json
from typing import Any

import pyarrow.dataset as ds
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers.lake import output, rows, schemas, step
from tests.handlers.conftest import FakeClock
from tests.handlers.fakes import Crash
from tests.handlers.lake.conftest import Lake, as_json, created, shipment
from tests.handlers.lake.fakes import FakeLake
from tests.handlers.lake.test_transform import as_lines
from tests.handlers.lake.test_types import _EVERY, _LINE, _TYPES, with_raw

_ROW = st.one_of(
    _LINE,
    st.builds(
        lambda day: with_raw("day", f'"2026-01-{day:02d}"').replace("01-31T", f"01-{day:02d}T"), st.integers(1, 9)
    ),
    st.sampled_from(["{}", "nonsense", json.dumps(shipment(1, record_type="every", text="a")), "[]"]),
)


def _read_by_all(files: dict[str, bytes], folder: Any) -> list[list[dict[str, Any]]]:
    """The rows of silver as each reader has them, without `dt`, sorted."""
    import duckdb  # noqa: PLC0415 - every process that collects would wait for it
    import polars as pl  # noqa: PLC0415 - every process that collects would wait for it

    for key, content in files.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(content)
    glob = f"{folder}/silver/every/*/*.parquet"
    names = ", ".join(f'"{name}"' for name in ["event_time", *(one.name for one in _EVERY.fields)])
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    query = f"SELECT {names} FROM read_parquet('{glob}', hive_partitioning = true)"  # noqa: S608 - our own
    by_duckdb = connection.sql(query).to_arrow_table()
    by_polars = pl.read_parquet(glob, hive_partitioning=True).drop("dt").to_arrow()
    by_pyarrow = ds.dataset(folder / "silver" / "every", partitioning="hive").to_table().drop_columns(["dt"])
    return [sorted(table.to_pylist(), key=repr) for table in (by_pyarrow, by_duckdb, by_polars)]


def _work(lake: Lake, crash_at: int) -> None:
    """Works messages until none is left, with one death on the way."""
    done: set[str] = set()
    calls = iter(range(1_000))

    def die(_name: str) -> None:
        if next(calls) == crash_at:
            raise Crash

    lake.aws.before = die
    for _ in range(10):
        waiting = [one for one in lake.deliveries() if one["messageId"] not in done]
        if not waiting:
            break
        try:
            kept = {one["itemIdentifier"] for one in lake.transform(*waiting)["batchItemFailures"]}
            done |= {one["messageId"] for one in waiting} - kept
        except Crash:
            pass
        lake.clock.advance(60_000)
    lake.aws.before = lambda _name: None


@pytest.fixture(autouse=True)
def _types(monkeypatch: pytest.MonkeyPatch) -> None:
    """A type with every field there is; little fits, so that parts, uploads and windows are many."""
    monkeypatch.setattr(schemas, "types", lambda: _TYPES)
    monkeypatch.setattr(output, "MAX_FILES", 3)
    monkeypatch.setattr(output, "HELD_BYTES", 20_000)
    monkeypatch.setattr(rows, "_WINDOW", 200)
    monkeypatch.setattr(step, "SLICE_BYTES", 2_000)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_ROW, min_size=1, max_size=25), st.integers(50, 2_000), st.integers(0, 40), st.booleans())
def test_rows_are_once_in_silver_or_in_quarantine(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[str],
    chunk_bytes: int,
    crash_at: int,
    compressed: bool,  # noqa: FBT001 - drawn
) -> None:
    """For any rows, size of chunks and place of a death; three readers agree, and a redelivery changes nothing."""
    content = "\n".join(["{}", *lines]).encode()
    key = "bronze/every/a.jsonl" + ".gz" * compressed
    lake = Lake(FakeLake(), FakeClock(), chunk_bytes=chunk_bytes)
    version = lake.aws.upload(key, gzip.compress(content, mtime=0) if compressed else content)
    lake.ingest(created(version.version_id, version.etag, key))

    _work(lake, crash_at)

    results = [as_json(item["result"]["S"]) for item in lake.aws.items.values() if "silver" in item["result"]["S"]]
    silver, bad = (sum(int(str(one[name])) for one in results) for name in ("silver", "quarantined"))
    assert silver + bad == 1 + len(lines)
    told = [line for entry in lake.quarantined() for line in as_lines(entry)]
    assert len(told) == len(set(told)) == bad
    files = lake.aws.silver()
    if silver:
        first, *others = _read_by_all(files, tmp_path_factory.mktemp("silver"))
        assert len(first) == silver
        assert all(other == first for other in others)
    for message in lake.deliveries():
        lake.transformer().process(as_json(message["body"]))
    assert lake.aws.silver() == files
