"""What a container costs: ``python -m tests.bench.lake_reading [MEBIBYTES] [--json FILE]``.

The same rows (30 MiB unless told otherwise) as JSON Lines and in other containers, each worked by the whole transform,
alternately in one run. Processor time of all threads, since other work on the machine hardly changes it. Exits with 1
where a bar is missed: a container with a bar costs at most so many times its lines.
"""

import gzip
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pyarrow as pa

from tests.bench.lake_transform import shipments
from tests.bench.report import conclude, json_file, row
from tests.bench.sides import ratios
from tests.handlers.conftest import FakeClock
from tests.handlers.lake.conftest import Lake, chunk
from tests.handlers.lake.fakes import BRONZE, FakeLake, Version

_MIB = 1024 * 1024
_ROUNDS = 5
_BARS = {"array": "≤ 1.3 x"}


def _zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packer:
        packer.write(content)
    return bytes(sink.getvalue())


def _containers(lines: bytes) -> dict[str, bytes]:
    rows = lines.splitlines()
    return {
        "lines": lines,
        "array": b"[" + b",".join(rows) + b"]",
        "array, a row a line": b"[\n" + b",\n".join(rows) + b"\n]\n",
        "array, escapes": json.dumps([json.loads(row) for row in rows]).encode(),
        "array, pretty": json.dumps([json.loads(row) for row in rows], indent=2, ensure_ascii=False).encode(),
        "array, nested rows": b"[" + b",".join(row[:-1] + b',"more":[{"a":[1]},{}]}' for row in rows) + b"]",
        "objects, nothing between": b"".join(rows),
        "Records": b'{"Records":[' + b",".join(rows) + b"]}",
        "lines, gzip": gzip.compress(lines, 6),
        "lines, zstd": _zstd(lines),
    }


class _Version(Version):
    """An object whose ETag takes no time."""

    etag = "e"


def _side(content: bytes, rows: int) -> Callable[[], None]:
    lake = Lake(FakeLake(), FakeClock())
    key = "bronze/shipments/a.json"
    lake.aws.versions[BRONZE, key] = [_Version("v1", content, {})]
    payload = chunk(content, key, etag="e").payload()
    transformer = lake.transformer()

    def work() -> None:
        result = transformer.process(payload)
        assert isinstance(result, dict)
        assert (result["silver"], result["quarantined"]) == (rows, 0)

    return work


def _timed(side: Callable[[], None]) -> float:
    with Path(os.devnull).open("w", encoding="utf-8") as silence, redirect_stdout(silence):
        started = time.process_time()
        side()
        return time.process_time() - started


def main(arguments: list[str]) -> int:
    """Prints the ratios; see the module."""
    pa.set_cpu_count(1)
    rest, file = json_file(arguments)
    lines = shipments((int(rest[0]) if rest else 30) * _MIB, 1)
    rows = lines.count(b"\n")
    containers = _containers(lines)
    sides = {name: _side(content, rows) for name, content in containers.items()}
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(_ROUNDS):
        for name, side in sides.items():
            found[name].append(_timed(side))
    size = f"{rows} rows, {len(lines) / _MIB:.1f} MiB as JSON Lines"
    told = [
        row(
            f"{name} ÷ lines, CPU",
            ratios(seconds, found["lines"]),
            _BARS.get(name, ""),
            f"{min(seconds) * 1000:.0f} ms",
        )
        for name, seconds in found.items()
        if name != "lines"
    ]
    return conclude("lake_reading", told, file, note=size)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
