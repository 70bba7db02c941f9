"""What commits to tables cost, and whether they are exact: ``python -m tests.bench.lake_tables [CHUNKS] [ROWS]``.

1. So many chunks (5,000) of one small file each, on the AWS in memory with a catalog in SQLite: the committer's rounds
   of 500, beside one plain append of pyiceberg's for each chunk (for a tenth of them). What is measured is processor
   time, a commit's calls of S3 and the metadata file's size: no network is in it.
2. So many rows (100,000), of which one in a hundred is bad, through the real worker, in rounds that die before or after
   calls of AWS, meet another committer or find notes again; then the rows of the table, and of each of its snapshots by
   its files, and those in quarantine are counted.

Exits with 1 where a row is missing or there twice, or where a commit's time grows more than the chunks do.
"""

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from handlers.aws import retry
from handlers.lake import schemas, silver
from handlers.lake.errors import NotCommittedError
from handlers.lake.iceberg import fileio, tables
from handlers.lake.iceberg.ledger import Entry
from handlers.lake.iceberg.tables import LAST, Last, Tables
from handlers.lake.iceberg.written import File
from handlers.lake.message import Chunk, Kind, Source
from handlers.lake.notes import Notes
from handlers.lake.validate import silver_schema
from ops.cli.lake.quarantine import rows_of
from tests.handlers.conftest import FakeClock
from tests.handlers.fakes import Crash
from tests.handlers.lake.conftest import created, lines, shipment
from tests.handlers.lake.fakes import SILVER, Version
from tests.handlers.lake.iceberg.conftest import TableLake
from tests.handlers.lake.iceberg.fakes import DATABASE, LEDGER, FakeCatalog, FakeTables

_CHUNKS, _ROWS, _PER_ROUND, _PLAIN_SHARE = 5000, 100_000, 500, 10
_OBJECTS = 100
_DAYS = 3
_DEATHS = 0.6  # of rounds, each at one of its first calls
_CALLS = 60


def main() -> int:
    """Measures and prints; returns the exit code."""
    numbers = [int(one) for one in sys.argv[1:] if one.isdecimal()]
    chunks, rows = [*numbers, *[_CHUNKS, _ROWS][len(numbers) :]]
    setattr(retry, "pause", lambda _seconds: None)  # noqa: B010 - mypy knows it as what retry imports
    os.environ["ENVIRONMENT"] = "bench"
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        sys.stdout = nowhere
        grown = _costs(chunks, Path(folder))
        exact = _truth(rows, Path(folder))
    return 0 if exact and not grown else 1


def _say(text: str) -> None:
    """Prints what was measured; what the functions log goes nowhere."""
    assert sys.__stdout__
    sys.__stdout__.write(text)
    sys.__stdout__.flush()


def _lake(folder: Path, name: str) -> TableLake:
    aws = FakeTables()
    fileio.s3_client = lambda: cast("Any", aws)  # type: ignore[assignment]
    catalog = FakeCatalog(aws, f"sqlite:///{folder}/{name}.db")
    catalog.create_namespace(DATABASE)
    return TableLake(aws, FakeClock(), catalog=catalog)


def _chunk(lake: TableLake, number: int) -> File:
    """A chunk that is done: its file, its record and its note."""
    source = Source("bronze", f"bronze/shipments/{number}.jsonl", "", f"e{number}", 10)
    chunk = Chunk(source, Kind("shipments", "jsonl", "none"), 0, 10, 1)
    key = silver.key("shipments", f"2026-01-{number % 28 + 1:02d}", source.digest, 0, silver.mark(_content()))
    lake.aws.versions[SILVER, key] = [Version("null", _content(), {})]
    file = File(key, "shipments", key.split("dt=")[1][:10], 1)
    lake.aws.items[f"lake/{chunk.key}"] = {
        "idempotencyKey": {"S": f"lake/{chunk.key}"},
        "status": {"S": "SUCCEEDED"},
        "payload": {"S": json.dumps(chunk.payload())},
        "result": {"S": json.dumps({"files": [{"key": key, "type": file.type, "dt": file.dt, "rows": 1}]})},
        "processedAt": {"S": "2026-01-31T12:00:00.000Z"},
    }
    Notes(cast("Any", lake.aws), LEDGER).take(chunk.key)
    return file


_CONTENT: list[bytes] = []


def _content() -> bytes:
    """A Parquet file of one row."""
    if not _CONTENT:
        row = shipment() | {"event_time": None}
        schema = silver_schema(schemas.types()["shipments"])
        moments = pa.array([1_769_860_800_000_000], pa.timestamp("us", "UTC"))
        columns = [moments if one.name == "event_time" else pa.array([row[one.name]], one.type) for one in schema]
        _CONTENT.append(silver.encode(pa.Table.from_arrays(columns, schema=schema)))
    return _CONTENT[0]


def _costs(chunks: int, folder: Path) -> bool:
    """Rounds of many chunks beside plain appends; whether the time of a commit grows more than the table does."""
    lake = _lake(folder, "rounds")
    _say(f"{chunks} chunks of one file, {_PER_ROUND} a round\n")
    _say("chunks in the table | ms a round | ms a chunk | puts of metadata | bytes of metadata.json\n")
    spent: list[float] = []
    for start in range(0, chunks, _PER_ROUND):
        for number in range(start, min(start + _PER_ROUND, chunks)):
            _chunk(lake, number)
        lake.aws.calls.clear()
        began = time.process_time()
        lake.round().run()
        spent.append(time.process_time() - began)
        done = min(start + _PER_ROUND, chunks)
        puts, size = lake.aws.calls.count("PutObject"), _metadata_size(lake)
        took = spent[-1] * 1000
        _say(f"{done:>19} | {took:>10.0f} | {took / _PER_ROUND:>10.2f} | {puts:>16} | {size:>22}\n")
    total = sum(spent)
    _say(f"{len(lake.table().snapshots())} commits, {total:.1f} s, {total / chunks * 1000:.2f} ms a chunk\n")
    _plain(chunks // _PLAIN_SHARE, folder)
    half = len(spent) // 2
    return half > 0 and sum(spent[half:]) > 3 * sum(spent[:half]) + 1


def _plain(chunks: int, folder: Path) -> None:
    lake = _lake(folder, "plain")
    made = Tables(lake.catalog, DATABASE, cast("Any", lake.aws), SILVER)
    kind = schemas.types()["shipments"]
    _say(f"\n{chunks} chunks, a plain append for each\n")
    _say("chunks in the table | ms a chunk | bytes of metadata.json\n")
    began, step = time.process_time(), max(1, chunks // 5)
    first = began
    for number in range(1, chunks + 1):
        file = _chunk(lake, number)
        table = made.ready(kind)
        entry = Entry(f"{number}", "", (file.key,))
        made.commit(table, Last(number, (entry,)), [made.footer(file)], [])
        if number % step == 0:
            took = (time.process_time() - began) * 1000 / step
            _say(f"{number:>19} | {took:>10.1f} | {_metadata_size(lake):>22}\n")
            began = time.process_time()
    total = time.process_time() - first
    _say(f"{chunks} commits, {total:.1f} s, {total / chunks * 1000:.1f} ms a chunk\n\n")


def _metadata_size(lake: TableLake) -> int:
    key = lake.table().metadata_location.removeprefix(f"s3://{SILVER}/")
    return len(lake.aws.silver()[key])


def _truth(rows: int, folder: Path) -> bool:
    """Rows in, and rows found, after rounds in which about everything happens."""
    lake = _lake(folder, "truth")
    chance = random.Random(7)  # noqa: S311 - a repeatable history, no secret
    per_object = rows // _OBJECTS
    lake.chunk_bytes = per_object * 160 // 3
    seen: dict[str, int] = {"rounds": 0, "deaths": 0, "met": 0, "again": 0}
    notes: dict[tuple[str, str], Any] = {}
    for number in range(_OBJECTS):
        first = number * per_object
        content = lines(*(b"bad" if i % 100 == 0 else _row(i) for i in range(first, first + per_object)))
        key = f"bronze/shipments/{number}.jsonl"
        version = lake.aws.upload(key, content)
        before = len(lake.aws.sent)
        lake.ingest(created(version.version_id, version.etag, key))
        for one in lake.deliveries()[before:]:
            lake.transform(one)
        notes |= {name: item for name, item in lake.tables_aws.ledger.items() if name[0] == "noted"}
        if chance.random() < 0.3:  # noted again, though they are committed
            lake.tables_aws.ledger |= dict(chance.sample(sorted(notes.items()), len(notes) // 4))
            seen["again"] += len(notes) // 4
        if chance.random() < 0.3:
            lake.catalog.between = lambda: _round(lake, chance, seen, deaths=0)
            seen["met"] += 1
        _round(lake, chance, seen, deaths=_DEATHS)
    _round(lake, chance, seen, deaths=0)
    return _counted(lake, rows, seen)


def _row(number: int) -> dict[str, Any]:
    return shipment(number, event_time=f"2026-01-{number % _DAYS + 1:02d}T12:00:00Z")


def _round(lake: TableLake, chance: random.Random, seen: dict[str, int], *, deaths: float) -> None:
    left = [chance.randrange(_CALLS)] if chance.random() < deaths else []

    def die(_name: str) -> None:
        if left and left[0] == 0:
            left.clear()
            raise Crash
        left[:] = [one - 1 for one in left]

    moment = chance.choice(("before", "after"))
    former = lake.aws.before, lake.aws.after
    setattr(lake.aws, moment, die)
    seen["rounds"] += 1
    try:
        lake.round().run()
    except Crash:
        seen["deaths"] += 1
    except NotCommittedError:
        pass
    finally:
        lake.aws.before, lake.aws.after = former


def _counted(lake: TableLake, rows: int, seen: dict[str, int]) -> bool:
    table = lake.table()
    files = [one.file_path for one in tables.data_files(table)]
    in_table = sum(len(lake.rows_of(one)) for one in files)
    names = {row["shipment_id"] for one in files for row in lake.rows_of(one)}
    quarantined = sum(rows_of(one) for one in lake.quarantined())
    readable = sum(_is_readable(lake, table, snapshot) for snapshot in table.snapshots())
    snapshots = len(table.snapshots())
    _say(f"{rows} rows in: {in_table} in the table ({len(names)} different), {quarantined} in quarantine\n")
    _say(f"{len(files)} files, {len(set(files))} different; {json.dumps(seen)}\n")
    _say(f"{readable} of {snapshots} snapshots have all of their rows; {LAST} {Last.of(table).number}\n")
    whole = in_table + quarantined == rows and len(names) == in_table and len(files) == len(set(files))
    return whole and readable == snapshots


def _is_readable(lake: TableLake, table: Any, snapshot: Any) -> bool:
    """Whether the files that a snapshot names are there and have as many rows as it says."""
    found = sum(len(lake.rows_of(one)) for one in _paths(table, snapshot))
    return found == int(snapshot.summary["total-records"])


def _paths(table: Any, snapshot: Any) -> Iterator[str]:
    for manifest in snapshot.manifests(table.io):
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            yield entry.data_file.file_path


if __name__ == "__main__":
    raise SystemExit(main())
