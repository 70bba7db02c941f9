"""What commits to tables cost, and whether they are exact: ``python -m tests.bench.lake_tables [CHUNKS] [ROWS]``.

1. So many chunks (5,000) of one small file each, on the AWS in memory with a catalog in SQLite: the committer's rounds
   of 50, beside one plain append of pyiceberg's for each chunk, as far as that comes in a minute of processor time.
   What is measured is processor time and bytes put: no network is in it.
2. So many rows (100,000), of which one in a hundred is bad, through the real worker, in rounds that die before or after
   calls of AWS, meet another committer or find notes again; then the rows of the table, and of each of its snapshots by
   its files, and those in quarantine are counted.

docs/iceberg.md has its figures of what is written with ``--json FILE``.
"""

import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from handlers.aws import retry
from handlers.lake import schemas, silver
from handlers.lake.errors import NotCommittedError
from handlers.lake.iceberg import fileio, tables
from handlers.lake.iceberg.tables import Tables
from handlers.lake.iceberg.written import File
from handlers.lake.message import Chunk, Kind, Source
from handlers.lake.notes import Notes
from handlers.lake.validate import silver_schema
from ops.cli.lake.quarantine import rows_of
from tests.bench.report import Row, conclude, json_file, row
from tests.bench.sides import unheard
from tests.handlers.conftest import FakeClock
from tests.handlers.fakes import Crash
from tests.handlers.lake.conftest import created, lines, shipment
from tests.handlers.lake.fakes import SILVER, Version
from tests.handlers.lake.iceberg.conftest import TableLake
from tests.handlers.lake.iceberg.fakes import DATABASE, LEDGER, FakeCatalog, FakeTables

_CHUNKS, _ROWS, _PER_ROUND = 5000, 100_000, 50
_PLAIN_SECONDS = 60  # of processor time
_OBJECTS = 100
_DAYS = 3
_DEATHS = 0.6  # of rounds, each at one of its first calls
_CALLS = 60
_METADATA = "tables/"
_SOME = 10  # commits, of whose times a point has the median


@dataclass(frozen=True, slots=True)
class Point:
    """A table of so many chunks. Bytes are of metadata: those put for it so far, and those that readers need now."""

    chunks: int
    commits: int
    cpu_ms: float  # of the last commit, the median of a few
    written: int
    live: int


@dataclass(frozen=True, slots=True)
class Truth:
    """What has come of rows, and what has happened to their committers."""

    rows: int
    in_table: int
    different: int
    quarantined: int
    files: int
    files_twice: int
    snapshots: int
    unreadable: int
    rounds: int
    deaths: int
    met: int
    noted_again: int


def main(arguments: Sequence[str]) -> int:
    """Measures both; 0 where nothing is lost or twice, and nothing grows more than the chunks do."""
    rest, file = json_file(arguments)
    numbers = [int(one) for one in rest]
    chunks, rows = [*numbers, *[_CHUNKS, _ROWS][len(numbers) :]]
    setattr(retry, "pause", lambda _seconds: None)  # noqa: B010 - mypy knows it as what retry imports
    os.environ["ENVIRONMENT"] = "bench"
    with tempfile.TemporaryDirectory() as folder, unheard():
        rounds = [*_rounds(chunks, Path(folder))]
        plain = [*_plain(chunks, Path(folder))]
        truth = _truth(rows, Path(folder))
    figures = {
        "rounds": [asdict(one) for one in rounds],
        "plain": [asdict(one) for one in plain],
        "truth": asdict(truth),
    }
    rows_told = [*growth(rounds), *_beside(rounds, plain), *exact(truth)]
    return conclude("lake_tables", rows_told, file, note=_NOTE, more={"tables": figures})


_NOTE = f"""In memory, without AWS's latency; {_PER_ROUND} chunks a round. Metadata that were put stay until snapshots
are expired, so their sum grows with the square of the commits; what readers need grows with the chunks."""


def growth(points: Sequence[Point]) -> Iterator[Row]:
    """What a table of all chunks takes, over one of half of them: twice as much would be as the chunks grow."""
    half, end = points[len(points) // 2 - 1], points[-1]
    name = f"{end.chunks:,} chunks ÷ {half.chunks:,}"
    yield row(f"commits, {name}", [end.commits / half.commits], "≤ 2 x", f"{end.commits} against {half.commits}")
    told = f"{end.live:,} bytes against {half.live:,}"
    yield row(f"metadata that readers need, {name}", [end.live / half.live], "≤ 2 x", told)
    told = f"{end.cpu_ms:.0f} ms against {half.cpu_ms:.0f}"
    yield row(f"CPU of a commit, {name}", [end.cpu_ms / half.cpu_ms], "≤ 2 x", told)


def _beside(rounds: Sequence[Point], plain: Sequence[Point]) -> Iterator[Row]:
    """The plain appends as far as they came, over the committer at as many chunks."""
    last = plain[-1]
    there = next(one for one in rounds if one.chunks >= last.chunks)
    name = f"plain append a chunk ÷ committer, at {last.chunks:,} chunks"
    ours = there.cpu_ms / _PER_ROUND
    yield row(f"CPU a chunk, {name}", [last.cpu_ms / ours], "≥ 10 x", f"{last.cpu_ms:.0f} ms against {ours:.1f}")
    told = f"{last.written:,} bytes against {there.written:,}"
    yield row(f"metadata put so far, {name}", [last.written / there.written], "≥ 10 x", told)


def exact(truth: Truth) -> Iterator[Row]:
    """What is lost, and what is there twice."""
    lost = truth.rows - truth.different - truth.quarantined
    told = f"{truth.different:,} + {truth.quarantined:,} in quarantine"
    yield row(f"{truth.rows:,} rows in, lost or too many", [abs(lost)], "≤ 0 rows", told)
    told = (
        f"{truth.deaths} of {truth.rounds} rounds died, {truth.met} met another, {truth.noted_again} notes came again"
    )
    yield row(f"{truth.rows:,} rows in, there twice", [truth.in_table - truth.different], "≤ 0 rows", told)
    told = f"of {truth.snapshots}"
    yield row("snapshots that have not all of their rows", [truth.unreadable], "≤ 0 snapshots", told)


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
    Notes(cast("Any", lake.aws), LEDGER).take(chunk.key, chunk.lasting_id)
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


def _rounds(chunks: int, folder: Path) -> Iterator[Point]:
    """The committer, round by round: a point each tenth of the chunks."""
    lake, spent = _lake(folder, "rounds"), [0.0]
    for done in range(_PER_ROUND, chunks + 1, _PER_ROUND):
        for number in range(done - _PER_ROUND, done):
            _chunk(lake, number)
        began = time.process_time()
        lake.round().run()
        spent.append(time.process_time() - began)
        if done * 10 % chunks == 0:
            yield _point(lake, done, spent[-_SOME:])


def _plain(chunks: int, folder: Path) -> Iterator[Point]:
    """A plain append for each chunk, until they have taken their time: a point at 100, 200, 400 and so on."""
    lake = _lake(folder, "plain")
    made = Tables(lake.catalog, DATABASE, cast("Any", lake.aws), SILVER)
    table = made.ready(schemas.types()["shipments"])
    spent: list[float] = []
    told = 100
    for number in range(1, chunks + 1):
        footer = made.footer(table, _chunk(lake, number))
        began = time.process_time()
        table = lake.catalog.load_table((DATABASE, "shipments"))
        with table.transaction() as transaction, transaction.update_snapshot().merge_append() as snapshot:
            snapshot.append_data_file(made.data_file(table, footer))
        spent.append(time.process_time() - began)
        is_last = number == chunks or sum(spent) > _PLAIN_SECONDS
        if number == told or is_last:
            told *= 2
            yield _point(lake, number, spent[-_SOME:])
        if is_last:
            return


def _point(lake: TableLake, chunks: int, spent: Sequence[float]) -> Point:
    table, there = lake.table(), lake.aws.silver()
    snapshot = table.current_snapshot()
    live = [
        table.metadata_location,
        snapshot.manifest_list,
        *(one.manifest_path for one in snapshot.manifests(table.io)),
    ]
    return Point(
        chunks,
        commits=len(table.snapshots()),
        cpu_ms=statistics.median(spent) * 1000,
        written=sum(len(content) for key, content in there.items() if key.startswith(_METADATA)),
        live=sum(len(there[one.removeprefix(f"s3://{SILVER}/")]) for one in live),
    )


def _truth(rows: int, folder: Path) -> Truth:
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


def _counted(lake: TableLake, rows: int, seen: dict[str, int]) -> Truth:
    table = lake.table()
    files = [one.file_path for one in tables.data_files(table)]
    return Truth(
        rows=rows,
        in_table=sum(len(lake.rows_of(one)) for one in files),
        different=len({line["shipment_id"] for one in files for line in lake.rows_of(one)}),
        quarantined=sum(rows_of(one) for one in lake.quarantined()),
        files=len(files),
        files_twice=len(files) - len(set(files)),
        snapshots=len(table.snapshots()),
        unreadable=sum(not _is_readable(lake, table, snapshot) for snapshot in table.snapshots()),
        rounds=seen["rounds"],
        deaths=seen["deaths"],
        met=seen["met"],
        noted_again=seen["again"],
    )


def _is_readable(lake: TableLake, table: Any, snapshot: Any) -> bool:
    """Whether the files that a snapshot names are there and have as many rows as it says."""
    found = sum(len(lake.rows_of(one)) for one in _paths(table, snapshot))
    return found == int(snapshot.summary["total-records"])


def _paths(table: Any, snapshot: Any) -> Iterator[str]:
    for manifest in snapshot.manifests(table.io):
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            yield entry.data_file.file_path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
