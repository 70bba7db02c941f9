"""What the lake takes for one large object: ``python -m tests.bench.lake_memory [MEBIBYTES] [--json FILE]``.

The whole lake on the emulator, in processes as Lambda has them, one object of JSON lines (1,024 MiB unless told
otherwise), chunks of the default size. What is printed is each function's peak of resident memory as the kernel keeps
it, over all of its processes. Exits with 1 where one is over the bar, or a row is missing.
"""

import hashlib
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from ops.local import lambdas
from ops.local.deployer import deploy
from ops.local.emulator import Emulator
from tests.bench.report import conclude, json_file, row
from tests.pipelines.lab import ROOT, Lab
from tests.pipelines.lakes import Lake, lines, shipment

_MIB = 1024 * 1024
_BAR = "≤ 200 MiB"
_PART_ROWS = 200_000  # about 30 MiB a part
_FUNCTIONS = ("lake-ingest", "lake-worker")
_CONFIG = {
    "pipelines": ["lake"],
    "lakeChunkMebibytes": 16,
    "lakeIngestTimeoutSeconds": 900,
    "lakeTransformTimeoutSeconds": 300,
    "observabilityEnabled": False,
}


class Peaks(threading.Thread):
    """Asks the kernel for the peaks while the functions live."""

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(daemon=True)
        self.mebibytes: dict[str, dict[int, int]] = {name: {} for name in _FUNCTIONS}
        self._emulator = emulator
        self._done = threading.Event()

    def run(self) -> None:
        """Looks four times a second."""
        while not self._done.wait(0.25):
            for name in _FUNCTIONS:
                for process in lambdas.running(self._emulator, name):
                    known = self.mebibytes[name].get(process.pid, 0)
                    self.mebibytes[name][process.pid] = max(known, _peak(process))

    def stop(self) -> None:
        """Ends it."""
        self._done.set()
        self.join()


def _peak(process: psutil.Process) -> int:
    """MiB of resident memory that a process had at most; without a kernel that keeps it, what it has now."""
    try:
        status = Path(f"/proc/{process.pid}/status")
        if status.exists():
            (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
            return int(line.split()[1]) // 1024
        return int(process.memory_info().rss // _MIB)
    except (psutil.Error, OSError, ValueError):
        return 0


def _parts(size: int) -> Iterator[tuple[int, bytes]]:
    """Rows and content of each part, until they come to the size."""
    made = row = 0
    while made < size:
        part = lines([shipment(i, day=1 + i % 2) for i in range(row, row + _PART_ROWS)])
        row += _PART_ROWS
        made += len(part)
        yield _PART_ROWS, part


def _upload(lake: Lake, key: str, size: int) -> tuple[str, int, int]:
    """Uploads it in parts; its identity, rows and bytes."""
    named = {"Bucket": lake.bronze, "Key": key}
    upload = lake.s3.create_multipart_upload(**named)["UploadId"]
    tags, rows, sent, digest = [], 0, 0, hashlib.sha256()
    for number, (count, part) in enumerate(_parts(size), start=1):
        answer = lake.s3.upload_part(**named, UploadId=upload, PartNumber=number, Body=part)
        tags.append({"PartNumber": number, "ETag": answer["ETag"]})
        digest.update(part)
        rows, sent = rows + count, sent + len(part)
    lake.s3.complete_multipart_upload(**named, UploadId=upload, MultipartUpload={"Parts": tags})
    return f"{lake.bronze}/{key}#sha256:{digest.hexdigest()}", rows, sent


def main(arguments: list[str]) -> int:
    """Runs it; 0 where it is within the bar."""
    rest, file = json_file(arguments)
    mebibytes = int(rest[0]) if rest else 1024
    with tempfile.TemporaryDirectory() as folder, Emulator.start(home := Path(folder)) as emulator:
        made = deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=home / "local.json", config=_CONFIG)
        lake = Lake(Lab(emulator, home, made))
        peaks = Peaks(emulator)
        peaks.start()
        identity, rows, sent = _upload(lake, "bronze/shipments/large.jsonl", mebibytes * _MIB)
        started = time.monotonic()
        done = lake.ingested(identity, seconds=1800)
        seconds = time.monotonic() - started
        peaks.stop()
    told = (
        f"{sent / _MIB:,.0f} MiB, {rows:,} rows, {len(done.chunks)} chunks, {len(done.files)} files; "
        f"{done.silver:,} rows in silver, {done.quarantined:,} in quarantine; {seconds:.0f} s from upload to the end."
    )
    worst = {name: max(found.values(), default=0) for name, found in peaks.mebibytes.items()}
    found = [
        row(f"{name}, resident at most", [peak], _BAR, f"{len(peaks.mebibytes[name])} processes")
        for name, peak in worst.items()
    ]
    code = conclude("lake_memory", found, file, note=told)
    return code if done.silver == rows and min(worst.values()) > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
