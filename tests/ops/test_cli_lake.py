"""`lab lake generate`: rows that the lake takes, in every form, whole or not at all."""

import gzip
import json
import os
import signal
import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from handlers.lake import model, schemas
from ops.cli.lake import samples as lake_samples
from ops.cli.lake.samples import TYPES, Samples
from tests.ops.laptop import Laptop
from tests.ops.stack import wait_for


class Discarded:
    """A sink that keeps nothing, full after so many bytes."""

    def __init__(self, room: int = sys.maxsize) -> None:
        self.room = room

    def write(self, content: bytes) -> int:
        self.room -= len(content)
        if self.room < 0:
            raise OSError(28, "No space left on device")
        return len(content)


def _made(laptop: Laptop, *arguments: str) -> str:
    done = laptop.lab("lake", "generate", *arguments)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def _is_good(line: str, record_type: str) -> bool:
    """By the lake's own schema."""
    try:
        row: dict[str, Any] = json.loads(line)
    except ValueError:
        return False
    known = schemas.types().get(row.get("record_type", record_type))
    if known is None or known.time.fault_within(row.get("event_time"), model.EVER):
        return False
    return not any(field.fault(row.get(field.name)) for field in known.fields)


@pytest.mark.parametrize("record_type", TYPES)
def test_rows_fit_the_schemas(laptop: Laptop, record_type: str) -> None:
    """Every row is one that the lake takes and has exactly its fields, in the days asked for."""
    lines = _made(
        laptop, "--type", record_type, "--count", "2000", "--days", "3", "--first-day", "2026-02-27"
    ).splitlines()

    rows = [json.loads(line) for line in lines]
    fields = {field.name for field in schemas.types()[record_type].fields} | {"event_time"}
    assert [line for line in lines if not _is_good(line, record_type)] == []
    assert ({frozenset(row) for row in rows}, len(rows)) == ({frozenset(fields)}, 2000)
    assert {row["event_time"][:10] for row in rows} == {"2026-02-27", "2026-02-28", "2026-03-01"}


def test_types_that_ship_have_samples() -> None:
    """A type that the lake ships can be tried out; an adopter's own need not have samples."""
    assert {"shipments", "tracking_events", "invoice_lines"} <= set(TYPES) <= set(schemas.types())


@pytest.mark.parametrize("form", ["jsonl", "json"])
@pytest.mark.parametrize("record_type", TYPES)
def test_bad_rows(laptop: Laptop, tmp_path: Path, record_type: str, form: str) -> None:
    """As many as are reported are bad by the schema, no other; a document with bad rows is still one."""
    file = tmp_path / "rows"
    arguments = ["--type", record_type, "--count", "3000", "--format", form, "--bad-percent", "10"]
    told = json.loads(_made(laptop, *arguments, "--output", str(file), "--json"))

    text = file.read_text(encoding="utf-8")
    lines = [json.dumps(row) for row in json.loads(text)] if form == "json" else text.splitlines()
    bad = [line for line in lines if not _is_good(line, record_type)]
    assert told == {"type": record_type, "rows": 3000, "bad": len(bad), "bytes": len(text.encode()), "file": str(file)}
    assert (len(lines), 200 < len(bad) < 400) == (3000, True)


def test_same_seed_same_bytes(laptop: Laptop, tmp_path: Path) -> None:
    """Rows depend on type and seed alone, compressed ones too; other seeds make other rows."""
    files = [tmp_path / name for name in ("a.gz", "b.gz", "c.gz")]
    for file, seed in zip(files, ("1", "1", "2"), strict=True):
        _made(laptop, "--type", "shipments", "--seed", seed, "--gzip", "--output", str(file))
    first, second, other = (file.read_bytes() for file in files)

    assert first == second != other
    plain = _made(laptop, "--type", "shipments", "--seed", "1")
    assert gzip.decompress(first).decode() == plain
    assert plain.count("\n") == 1000


@pytest.mark.parametrize(
    ("size", "least"), [("1KB", 1000), ("0.5kb", 500), ("1 KiB", 1024), ("12345", 12345), ("1MB", 10**6)]
)
def test_target_size(laptop: Laptop, size: str, least: int) -> None:
    """The row that reaches the size is the last one."""
    text = _made(laptop, "--type", "tracking_events", "--target-size", size)
    lines = text.encode().splitlines(keepends=True)

    assert len(text.encode()) - len(lines[-1]) < least <= len(text.encode())


def test_little_memory() -> None:
    """What a big file needs does not grow with it."""

    def peak(rows: int) -> int:
        tracemalloc.start()
        sink: Any = Discarded()
        assert lake_samples.write(Samples(type="shipments"), sink, rows=rows).rows == rows
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(6_000) < 1.2 * peak(2_000)  # a block is 1,000 rows


def test_empty_array() -> None:
    """An array without rows is still a document."""
    sink: Any = Discarded()
    assert lake_samples.write(Samples(type="shipments", as_array=True), sink, rows=0).bytes == len("[]\n")


def test_full_disk(laptop: Laptop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is told, nothing new is left, and what was there before is untouched."""
    file = tmp_path / "rows.jsonl"
    file.write_text("old")
    write = lake_samples.write
    sink: Any = Discarded(room=500)
    monkeypatch.setattr(lake_samples, "write", lambda samples, _, **given: write(samples, sink, **given))
    failed = laptop.lab("lake", "generate", "--type", "shipments", "--output", str(file))

    assert (failed.exit_code, failed.stdout) == (1, "")
    assert failed.stderr.endswith("error: [Errno 28] No space left on device\n")
    assert (file.read_text(), list(tmp_path.iterdir())) == ("old", [file])


def test_output_that_is_no_file(laptop: Laptop, tmp_path: Path) -> None:
    """A device, a pipe, a folder or no name at all stay what they are, and are named; a link keeps leading there."""
    pipe, link, file = tmp_path / "pipe", tmp_path / "link", tmp_path / "file"
    os.mkfifo(pipe)
    link.symlink_to(file)
    for wrong, message in (
        ("/dev/null", "/dev/null is there and is no file: choose another name"),
        (str(pipe), f"{pipe} is there and is no file: choose another name"),
        (str(tmp_path), f"{tmp_path} is there and is no file: choose another name"),
        ("", "--output must be the name of a file, or - for stdout, got ''"),
    ):
        refused = laptop.lab("lake", "generate", "--type", "shipments", "--count", "1", "--output", wrong)
        code = 1 if wrong else 2
        assert (refused.exit_code, refused.stderr.splitlines()[-1]) == (code, f"error: {message}")
    assert (pipe.is_fifo(), Path("/dev/null").is_char_device()) == (True, True)

    for _ in range(2):
        done = laptop.lab("lake", "generate", "--type", "shipments", "--count", "1", "--output", str(link))
        assert done.exit_code == 0, done.stderr
    assert (link.is_symlink(), len(file.read_text().splitlines())) == (True, 1)
    assert sorted(tmp_path.iterdir()) == [file, link, pipe]


def test_interrupted(laptop: Laptop, tmp_path: Path) -> None:
    """Ctrl-C in the middle of a big file leaves nothing."""
    folder = tmp_path / "out"
    folder.mkdir()
    with laptop.start(
        "lake", "generate", "--type", "shipments", "--target-size", "100GB", "-o", str(folder / "x")
    ) as run:
        wait_for(lambda: any(path.stat().st_size for path in folder.iterdir()), "the first rows")
        run.send_signal(signal.SIGINT)
        _, stderr = run.communicate()

    assert (run.returncode, stderr.splitlines()[-1]) == (130, "error: interrupted")
    assert list(folder.iterdir()) == []


def test_reader_that_leaves(laptop: Laptop) -> None:
    """`| head` ends it without a traceback."""
    with laptop.start("lake", "generate", "--type", "shipments", "--target-size", "100GB") as run:
        assert run.stdout is not None
        json.loads(run.stdout.readline())
        run.stdout.close()
        assert run.stderr is not None
        stderr = run.stderr.read()

    assert (run.returncode, stderr) == (1, "generating shipments: 0 of 100000000000 ...\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--type", "parcels"], "--type must be one of shipments, tracking_events, invoice_lines, got 'parcels'"),
        (["--type", "shipments", "--count", "1", "--target-size", "1KB"], "give --count or --target-size, not both"),
        (
            ["--type", "shipments", "--target-size", "1TB"],
            "--target-size must be a number and a unit, as in 500KB, 64MB",
        ),
        (
            ["--type", "shipments", "--target-size", "0MB"],
            "--target-size must be a number and a unit, as in 500KB, 64MB",
        ),
        (["--type", "shipments", "--first-day", "31.1."], "--first-day must be a date, as in 2026-01-31, got '31.1.'"),
        (["--type", "shipments", "--first-day", "2099-12-31", "--days", "2"], "events must lie in the years 1970-2099"),
        (["--type", "shipments", "--json"], "--json describes the written file: it needs --output FILE"),
        (["--type", "shipments", "--output", "/none/x"], "[Errno 2] No such file or directory: "),
    ],
)
def test_refused(laptop: Laptop, arguments: list[str], message: str) -> None:
    """Each wrong wish is told with what was given, and nothing is printed."""
    refused = laptop.lab("lake", "generate", *arguments)

    assert (refused.exit_code, refused.stdout) == (1 if message.startswith("[Errno") else 2, "")
    assert f"error: {message}" in refused.stderr


def test_no_stack_is_needed(laptop: Laptop) -> None:
    """Rows can be made up where nothing runs; a replay says that nothing does."""
    assert (
        json.loads(_made(laptop, "--type", "shipments", "--count", "1"))["event_time"] < datetime.now(UTC).isoformat()
    )
    refused = laptop.lab("lake", "replay-queue")
    assert (refused.exit_code, refused.stderr) == (1, "error: the laptop's stack is down; start it with: lab up\n")


def test_piped_by_the_real_command() -> None:
    """Bytes reach a pipe as they are, without colour or line ends of the platform's."""
    program = Path(sys.executable).with_name("lab")
    command = [str(program), "lake", "generate", "--type", "invoice_lines", "--count", "3", "--gzip"]
    done = subprocess.run(command, capture_output=True, check=True)

    assert len([json.loads(line) for line in gzip.decompress(done.stdout).splitlines()]) == 3
