"""One chunk in a process that has loaded what the worker loads: ``python -m tests.bench.one_chunk FILE``."""

import json
import re
import resource
import sys
from contextlib import redirect_stdout
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any, cast

from handlers.lake import worker
from handlers.lake.message import Chunk, Kind, Source
from handlers.lake.step import Transformer
from tests.handlers.lake.fakes import BRONZE, SILVER, FakeLake

_MIB = 1024 * 1024


def transformer(s3: FakeLake) -> Transformer:
    """The step, with buckets and a queue in memory."""
    client = cast("Any", s3)
    return Transformer(
        client,
        client,
        pipeline="lake",
        bronze_bucket=BRONZE,
        silver_bucket=SILVER,
        queue_url="https://lake",
        start=date(2020, 1, 1),
    )


def peak() -> float:
    """MiB of resident memory at most; `getrusage` would count what the parent had when it forked."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB  # macOS counts bytes
    (kibibytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"))
    return int(kibibytes) / 1024


class _FromFile(FakeLake):
    """S3 whose one object is a file, so that its bytes are not in this process, and that keeps nothing."""

    file: Path

    def get_object(self, **_options: Any) -> dict[str, Any]:
        """The whole of it."""
        return {"Body": self.file.open("rb")}

    def put_object(self, **_options: Any) -> dict[str, Any]:
        """Gone."""
        return {}

    def upload_part(self, **options: Any) -> dict[str, Any]:
        """Gone, too."""
        return super().upload_part(**{**options, "Body": b""})


def main(file: Path) -> int:
    """Prints what it has come to."""
    worker.prepare()
    s3 = _FromFile()
    s3.file = file
    size = file.stat().st_size
    kind = Kind("shipments", "jsonl", "gzip" if file.suffix == ".gz" else "none")
    one = Chunk(Source(BRONZE, f"bronze/shipments/{file.name}", "", "e", size), kind, 0, size, 1)
    before = peak()
    with redirect_stdout(StringIO()):
        result = cast("dict[str, Any]", transformer(s3).process(one.payload()))
    print(json.dumps({"before": before, "peak": peak(), "rows": result["rows"]}))  # noqa: T201 - read by the parent
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
