"""What rows cost: ``python -m tests.bench.lake_rows [MEBIBYTES] [SIDE…] [--json FILE]``.

The transform on one chunk (30 MiB unless told otherwise) beside DuckDB's `COPY (SELECT … FROM read_json) TO …
PARTITION_BY` and `pyarrow.json` by path to one file, neither of which tells a bad row, and beside itself on rows that
are less clean. All run on one thread and alternately; what is compared is processor time.

Bars not reached when last measured (30 MiB, two idle processors): clean / pyarrow 1.48, clean / DuckDB 1.28, 0.1 % bad
1.31, 100 % bad 5.9; the ratios swing by a tenth from run to run. Of some 290 ms of a clean chunk Arrow's parser takes
the half, Parquet 45 ms, the check of columns 20; the rest makes lines of a stream, counts them, and stands before
Arrow's parser. Tried, and not taken:

- snappy in place of zstd: 8 ms less, files 43 % larger; zstd at level -1: 2 ms less, 20 % larger; encodings by
  differences and by streams of bytes: 3 ms less.
- Not asking Arrow for `record_type` where no line has it: saves 10 ms of parsing, the search costs 17.
- Blocks of 256 KiB to 3 MiB, larger pages and batches of Parquet: no difference.
- Blocks with bad rows in windows of 64 to 4 KiB: a call of the reader takes 0.1 ms, so that parsing takes 230 to 1,080
  in place of 150 ms, and 190 to 650 by a stream of them (`open_json`). What is bad is cut out beforehand instead.

Not tried: another parser of JSON for bad rows. Each takes 9.6 microseconds, of which Python's `json` is 1.7, and what
it takes for JSON decides their verdicts.

Then how long 500 files take to be put where each put takes 20 ms, and a chunk's peak of resident memory, each in a
process of its own. Exits with 1 where a bar is missed.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from tests.bench.lake_transform import ROOT, shipments
from tests.bench.one_chunk import transformer
from tests.bench.report import Row, conclude, json_file, row
from tests.bench.sides import ratios
from tests.handlers.lake.conftest import KEY, chunk
from tests.handlers.lake.fakes import BRONZE, FakeLake, Version

_MIB = 1024 * 1024
_ROUNDS = 5
_PUTS, _PUT_SECONDS = 500, 0.02
_RATIO_BARS = {
    ("clean", "duckdb"): "≤ 1.25 x",
    ("clean", "pyarrow"): "≤ 1.3 x",
    ("0.1 % bad", "clean"): "≤ 1.2 x",
    ("1 % bad", "clean"): "≤ 1.5 x",
    ("100 % bad", "clean"): "≤ 4 x",
    ("two types", "clean"): "≤ 1.5 x",
    ("mixed time zones", "clean"): "≤ 1.2 x",
}
_PUTS_BAR = "≥ 8 x"
_PEAK_BAR = "≤ 150 MiB"
_ZONES = (b'+00:00"', b'Z"', b'"', b'+02:00"', b'-05:30"')
_COPY = """COPY (SELECT *, CAST(event_time AS DATE) AS dt
    FROM read_json('{source}', format = 'newline_delimited', columns = {{
    event_time: 'TIMESTAMPTZ', shipment_id: 'VARCHAR', origin: 'VARCHAR', destination: 'VARCHAR', carrier: 'VARCHAR',
    weight_kg: 'DOUBLE'}})) TO '{target}' (FORMAT parquet, PARTITION_BY (dt), OVERWRITE)"""


class Same(Version):
    """An object whose ETag costs nothing: S3 knows it, and a reader does not pay for it."""

    @property
    def etag(self) -> str:
        """One for all."""
        return "e"


def spoiled(content: bytes, share: float) -> bytes:
    """A share of the rows made bad, in four ways: a limit, a cut line, another JSON type, a missing field."""
    chance = random.Random(3)  # noqa: S311 - samples
    ways: tuple[Callable[[bytes], bytes], ...] = (
        lambda line: line.replace(b'"weight_kg":', b'"weight_kg":-'),
        lambda line: line[:50] + b"\n",
        lambda line: line.replace(b'"weight_kg":', b'"weight_kg":"heavy","w":'),
        lambda line: line.replace(b'"carrier"', b'"carier"'),
    )
    lines = content.splitlines(keepends=True)
    return b"".join(chance.choice(ways)(line) if chance.random() < share else line for line in lines)


def interleaved(content: bytes) -> bytes:
    """Every other row one of another type."""
    lines = content.splitlines(keepends=True)
    for i in range(1, len(lines), 2):
        row = json.loads(lines[i])
        other = {"event_time": row["event_time"], "record_type": "tracking_events", "shipment_id": row["shipment_id"]}
        other |= {"status": "in transit", "city": row["origin"], "note": "x" * 20}
        lines[i] = json.dumps(other, separators=(",", ":")).encode() + b"\n"
    return b"".join(lines)


def zoned(content: bytes) -> bytes:
    """Offsets of all kinds, and none."""
    lines = enumerate(content.splitlines(keepends=True))
    return b"".join(line.replace(_ZONES[0], _ZONES[i % len(_ZONES)], 1) for i, line in lines)


def _ours(content: bytes) -> Callable[[], object]:
    s3 = FakeLake()
    s3.versions[BRONZE, KEY] = [Same("v1", content, {})]
    return partial(transformer(s3).process, chunk(content, etag="e").payload())


def _pyarrow(folder: Path) -> None:
    pq.write_table(pj.read_json(folder / "rows.jsonl"), folder / "rows.parquet")


def compare(size: int, wanted: list[str]) -> list[Row]:
    """The table."""
    content = shipments(size, 1)
    made: Mapping[str, Callable[[bytes], bytes]] = {
        "clean": lambda rows: rows,
        "0.1 % bad": partial(spoiled, share=0.001),
        "1 % bad": partial(spoiled, share=0.01),
        "100 % bad": partial(spoiled, share=1),
        "two types": interleaved,
        "mixed time zones": zoned,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rows.jsonl").write_bytes(content)
        connection = duckdb.connect(config={"threads": 1})
        copy = _COPY.format(source=folder / "rows.jsonl", target=folder / "copy")
        sides: dict[str, Callable[[], object]] = {
            "duckdb": lambda: connection.execute(copy),
            "pyarrow": lambda: _pyarrow(folder),
        }
        sides |= {side: _ours(make(content)) for side, make in made.items() if not wanted or side in {"clean", *wanted}}
        found: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(_ROUNDS):
            for side, work in sides.items():
                found[side].append(_cpu(work))
    return [
        row(f"{side} ÷ {other}, CPU", ratios(found[side], found[other]), bar, f"{min(found[side]) * 1000:.0f} ms")
        for (side, other), bar in _RATIO_BARS.items()
        if side in found
    ]


def _cpu(work: Callable[[], object]) -> float:
    with Path(os.devnull).open("w", encoding="utf-8") as silence, redirect_stdout(silence):
        started = time.process_time()
        work()
        return time.process_time() - started


def puts() -> Row:
    """How much sooner files are put than one by one."""

    class Slow(FakeLake):
        """Each put takes its time, beside the others."""

        def put_object(self, **options: Any) -> dict[str, Any]:
            """Waits first."""
            time.sleep(_PUT_SECONDS)
            return super().put_object(**options)

    first = date(2020, 1, 1)
    sample = json.loads(shipments(1, 1))
    rows = [sample | {"event_time": f"{first + timedelta(days=day)}T00:00:00Z"} for day in range(_PUTS)]
    content = b"".join(json.dumps(one).encode() + b"\n" for one in rows)
    s3 = Slow()
    s3.versions[BRONZE, KEY] = [Same("v1", content, {})]
    started = time.perf_counter()
    with Path(os.devnull).open("w", encoding="utf-8") as silence, redirect_stdout(silence):
        transformer(s3).process(chunk(content, etag="e").payload())
    gain = _PUTS * _PUT_SECONDS / (time.perf_counter() - started)
    return row(f"{_PUTS} files at {_PUT_SECONDS * 1000:.0f} ms a put, one by one ÷ ours", [gain], _PUTS_BAR)


def memory(size: int) -> Row:
    """The peak of one chunk, in a process that does nothing else."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "rows.jsonl"
        file.write_bytes(shipments(size, 1))
        command = [sys.executable, "-m", "tests.bench.one_chunk", str(file)]
        run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(run.stdout.splitlines()[-1])
    what = f"a chunk of {size / _MIB:.0f} MiB, resident at most"
    return row(what, [found["peak"]], _PEAK_BAR, f"{found['before']:.0f} before")


def main(arguments: list[str]) -> int:
    """All; see the module."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    rest, file = json_file(arguments)
    size = int(rest[0] if rest else 30) * _MIB
    rows = [*compare(size, rest[1:]), puts(), memory(size)]
    return conclude("lake_rows", rows, file, note=f"One chunk of {size / _MIB:.0f} MiB, one thread. {_NOTE}")


_NOTE = "What was tried stands in tests/bench/lake_rows.py."

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
