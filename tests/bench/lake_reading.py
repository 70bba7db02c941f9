"""What a container costs: ``python -m tests.bench.lake_reading [MEBIBYTES]``.

The same rows (30 MiB unless told otherwise) as JSON Lines and in other containers, each worked by the whole transform,
alternately in one run; the best of each counts. Processor time of all threads, since other work on the machine does not
change it. Exits with 1 where a bar is missed: a container with a bar costs at most so many times its lines.
"""

import gzip
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pyarrow as pa

from tests.bench.lake_transform import shipments
from tests.handlers.conftest import FakeClock
from tests.handlers.lake.conftest import Lake, chunk
from tests.handlers.lake.fakes import BRONZE, FakeLake, Version

_MIB = 1024 * 1024
_ROUNDS = 5
_BARS = {"array": 1.3}


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
    logging.disable(logging.ERROR)
    pa.set_cpu_count(1)
    lines = shipments((int(arguments[0]) if arguments else 30) * _MIB, 1)
    rows = lines.count(b"\n")
    containers = _containers(lines)
    sides = {name: _side(content, rows) for name, content in containers.items()}
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(_ROUNDS):
        for name, side in sides.items():
            best[name] = min(best[name], _timed(side))
    print(f"{rows} rows, {len(lines) / _MIB:.1f} MiB as JSON Lines")  # noqa: T201 - its purpose
    good = True
    for name, seconds in best.items():
        ratio, bar = seconds / best["lines"], _BARS.get(name)
        good = good and (bar is None or ratio <= bar)
        told = f"(bar {bar})" if bar else ""
        print(f"  {name:26}{seconds * 1000:8.0f} ms CPU{ratio:8.2f} x lines {told}")  # noqa: T201
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
