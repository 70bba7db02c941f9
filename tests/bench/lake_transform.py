"""What the lake's transform costs: ``python -m tests.bench.lake_transform [MEBIBYTES] [--json FILE]``.

First its speed, on one chunk of 16 MiB, beside two others that read the same S3 stream in the same run: bare
`pyarrow.json` → `pyarrow.parquet`, which validates nothing, and the same work row by row (`json.loads`, the checks of
`explain`, `Table.from_pylist`). All write the same columns. Each runs alternately; the ratio is of processor time,
which other work on the machine hardly changes, and wall time stands beside it. A function has less than one processor
below 1,769 MB, so all run on one.

Then its memory and that of ingest: each function in a process of its own, as Lambda has it, with the real client of S3
on moto, one object of 1,024 MiB unless told otherwise. Peaks are the kernel's. Exits with 1 where a bar is missed.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from handlers.aws import clients
from handlers.lake import ingest, schemas, worker
from handlers.lake.explain import explain
from handlers.lake.message import Source, kind_of
from handlers.lake.model import parse_time
from handlers.lake.validate import parse_schema, silver_schema
from tests.bench.one_chunk import peak, transformer
from tests.bench.report import Row, conclude, json_file, row
from tests.bench.sides import ratios
from tests.handlers.fakes import FakeAws, FakeContext
from tests.handlers.lake.conftest import KEY, chunk, created, delivery
from tests.handlers.lake.fakes import BRONZE, SILVER, FakeLake

ROOT = Path(__file__).parents[2]
_MIB = 1024 * 1024
_CHUNK_BYTES = 16 * _MIB
_BARS = {"bare": "≥ 0.8 x", "row by row": "≥ 5 x"}
_BAR = "≤ 400 MiB"
_ROUNDS = 5
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
ENVIRONMENT = {
    "ENVIRONMENT": "bench",
    "PIPELINE": "lake",
    "QUEUE_URL": "https://lake",
    "DLQ_URL": "https://lake-dlq",
    "NOTICES_QUEUE_URL": "https://lake-notices",
    "NOTICES_DLQ_URL": "https://lake-notices-dlq",
    "TABLE_NAME": "state",
    "EVENT_BUS_NAME": "bus",
    "BRONZE_BUCKET": BRONZE,
    "SILVER_BUCKET": SILVER,
    "LAKE_START_DATE": "2020-01-01",
    "TTL_DAYS": "7",
    "CHUNK_BYTES": str(_CHUNK_BYTES),
    "MAX_RECEIVE_COUNT": "5",
    "RETRY_BACKOFF_BASE_SECONDS": "2",
    "RETRY_BACKOFF_MAX_SECONDS": "300",
    "BREAKER_HOLD_SECONDS": "0",
    "OUTAGE_SECONDS": "2730",
    "OBJECTIVE_SECONDS": "60",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def shipments(size: int, days: int) -> bytes:
    """Good rows, the same each time."""
    chance = random.Random(7)  # noqa: S311 - samples
    rows: list[bytes] = []
    length = 0
    while length < size:
        second = chance.randrange(days * 86_400)
        row = {
            "event_time": (_FIRST + timedelta(seconds=second)).isoformat(),
            "shipment_id": f"S-{chance.randrange(10**9):09d}",
            "origin": chance.choice(("Antwerp", "Bilbao", "Gdańsk", "Malmö", "Porto")),
            "destination": chance.choice(("Cork", "Dresden", "Espoo", "Nantes", "Trieste")),
            "carrier": chance.choice(("DHL", "DPD", "GLS", "UPS")),
            "weight_kg": chance.randrange(100, 30_000) / 1000,
        }
        rows.append(json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
        length += len(rows[-1])
    return b"".join(rows)


def compare(days: int, bars: Mapping[str, str]) -> list[Row]:
    """The ratios of one chunk."""
    content = shipments(_CHUNK_BYTES, days)
    s3 = FakeLake()
    etag = s3.upload(KEY, content).etag
    payload = chunk(content, etag=etag).payload()
    step = transformer(s3)
    sides: dict[str, Callable[[], object]] = {
        "transform": lambda: step.process(payload),
        "bare": lambda: _bare(s3),
        "row by row": lambda: _row_by_row(s3),
    }
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    wall: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(_ROUNDS):
        for name, side in sides.items():
            seconds, passed = _timed(side)
            cpu[name].append(seconds)
            wall[name].append(passed)
    speed = f"{len(content) / _MIB / min(cpu['transform']):.0f} MiB/s, {min(wall['transform']) * 1000:.0f} ms wall"
    what = f"÷ ours, a chunk of {len(content) / _MIB:.1f} MiB, rows of {days} days, CPU"
    return [row(f"{name} {what}", ratios(cpu[name], cpu["transform"]), bar, speed) for name, bar in bars.items()]


def _timed(side: Callable[[], object]) -> tuple[float, float]:
    with Path(os.devnull).open("w", encoding="utf-8") as silence, redirect_stdout(silence):
        cpu, wall = time.process_time(), time.perf_counter()
        side()
        return time.process_time() - cpu, time.perf_counter() - wall


def _body(s3: FakeLake) -> Any:
    return s3.get_object(Bucket=BRONZE, Key=KEY)["Body"]


def _put(s3: FakeLake, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    s3.put_object(Bucket=SILVER, Key="silver/other.parquet", Body=sink.getvalue().to_pybytes(), ContentType="-")


def _bare(s3: FakeLake) -> None:
    types = parse_schema(schemas.types()["shipments"])
    schema = types.remove(types.get_field_index("record_type"))
    _put(s3, pj.read_json(_body(s3), parse_options=pj.ParseOptions(explicit_schema=schema)))


def _row_by_row(s3: FakeLake) -> None:
    types = schemas.types()
    rows = []
    for line in _body(s3):
        if not explain(line, "shipments", types).reason:
            row = json.loads(line)
            rows.append(row | {"event_time": parse_time(row["event_time"])})
    _put(s3, pa.Table.from_pylist(rows, schema=silver_schema(types["shipments"])))


@contextmanager
def _s3(mebibytes: int) -> Iterator[tuple[str, Source]]:
    """moto, with one large object; the endpoint and what it is."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    os.environ |= {"AWS_ENDPOINT_URL": endpoint, **ENVIRONMENT}
    client = clients.client("s3", read_timeout=600)
    try:
        for bucket in (BRONZE, SILVER):
            client.create_bucket(Bucket=bucket)
        block = shipments(64 * _MIB, 1)
        with tempfile.TemporaryFile() as file:
            while file.tell() < mebibytes * _MIB:
                file.write(block)
            size = file.tell()
            file.seek(0)
            etag = client.put_object(Bucket=BRONZE, Key=KEY, Body=file)["ETag"].strip('"')
        yield endpoint, Source(BRONZE, KEY, "", etag, size)
    finally:
        server.stop()


def memory(mebibytes: int) -> Iterator[Row]:
    """The functions' peaks for one object."""
    with tempfile.TemporaryDirectory() as scratch, _s3(mebibytes) as (_, source):
        for function in ("ingest", "transform"):
            command = [sys.executable, "-m", "tests.bench.lake_transform", function, scratch, source.etag]
            run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
            told = json.loads(run.stdout.splitlines()[-1])
            what = f"{function} of {source.size / _MIB:.0f} MiB, resident at most"
            yield row(what, [told["peak"]], _BAR, f"{told['seconds']} s")


def _function(name: str, scratch: Path, etag: str) -> None:
    """The inside of one function's process."""
    fake = FakeAws()
    real = clients.client
    cast("Any", clients).client = lambda service, **options: real("s3", **options) if service == "s3" else fake
    started = time.perf_counter()
    if name == "ingest":
        answer: Any = ingest.handler({"Records": [created("", etag)]}, FakeContext(remaining_ms=900_000))
        (scratch / "messages.json").write_text(json.dumps([delivery(sent) for sent in fake.sent]), encoding="utf-8")
    else:
        messages = json.loads((scratch / "messages.json").read_text(encoding="utf-8"))
        kept = [worker.handler({"Records": [one]}, FakeContext(remaining_ms=300_000)) for one in messages]
        answer = {"batches": len(kept), "failures": sum(len(one["batchItemFailures"]) for one in kept)}
    most = peak()
    seconds = round(time.perf_counter() - started, 1)
    print(json.dumps({"peak": round(most, 1), "seconds": seconds, **answer}))  # noqa: T201 - read by the parent


def main(arguments: list[str]) -> int:
    """Both; see the module."""
    assert kind_of(KEY)
    rest, file = json_file(arguments)
    if len(rest) == 3:
        _function(rest[0], Path(rest[1]), rest[2])
        return 0
    pa.set_cpu_count(1)
    rows = compare(1, _BARS)
    rows += compare(10, dict.fromkeys(_BARS, ""))  # ten files in place of one, which the others do not write
    rows += memory(int(rest[0]) if rest else 1024)
    return conclude("lake_transform", rows, file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
