"""`lab lake`: generate sample rows, replay objects of bronze, look after quarantine and silver."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ops.cli import output, target, timing
from ops.cli.lake import (
    adopt_commands,
    backfill_commands,
    check_commands,
    compact_commands,
    files_commands,
    gate_commands,
    quarantine_commands,
    table_commands,
)
from ops.cli.lake import samples as made_up
from ops.cli.lake.samples import TYPES, Samples, Written
from ops.local.files import written_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import BinaryIO

app = typer.Typer(
    help="Generate sample rows, replay objects of bronze, look after what became of them.", no_args_is_help=True
)
app.add_typer(quarantine_commands.app, name="quarantine")
app.add_typer(backfill_commands.app, name="backfill")
app.command()(adopt_commands.adopt)
app.command()(check_commands.check)
app.command()(compact_commands.compact)
app.command()(files_commands.files)
app.command()(gate_commands.gate)
app.command()(table_commands.table)
app.command()(table_commands.expire)

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30}
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_FIRST_YEAR, _LAST_YEAR = 1970, 2099  # what the lake takes for a time

TypeOption = Annotated[str, typer.Option("--type", help="Only objects under bronze/TYPE/.")]
PrefixOption = Annotated[str, typer.Option(help="Only names in the type's folder that begin so.")]
StartOption = Annotated[str, typer.Option(metavar="ISO", help="Only objects last modified at or after this; in UTC.")]
EndOption = Annotated[str, typer.Option(metavar="ISO", help="Only objects last modified before this; default: now.")]
AgainOption = Annotated[bool, typer.Option("--again", help="Also process what was processed; overwrites silver.")]
RateOption = Annotated[float, typer.Option(min=0, help="At most this many a second; 0: no limit.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be replayed; replay nothing.")]
ResumeOption = Annotated[bool, typer.Option("--resume/--restart", help="Continue an interrupted replay.")]
PolicyOption = Annotated[bool, typer.Option("--policy", help="Only print the IAM policy that this needs.")]


@app.command()
def generate(  # noqa: PLR0913, PLR0917 - one option each
    record_type: Annotated[str, typer.Option("--type", help=f"{', '.join(TYPES)}.")],
    count: Annotated[int | None, typer.Option(min=1, help="How many rows. Default: 1000.", show_default=False)] = None,
    target_size: Annotated[str, typer.Option(help="Or their size before --gzip: 64MB, 1GiB.")] = "",
    form: Annotated[
        Literal["jsonl", "json"], typer.Option("--format", help="One row per line, or one array.")
    ] = "jsonl",
    compressed: Annotated[bool, typer.Option("--gzip", help="Compress.")] = False,  # noqa: FBT002 - an option
    bad_percent: Annotated[
        float, typer.Option(min=0, max=100, help="Percentage of bad rows, which end in quarantine.")
    ] = 0,
    first_day: Annotated[str, typer.Option(metavar="DATE", help="The first day of the events.")] = "2026-01-01",
    days: Annotated[int, typer.Option(min=1, max=10_000, help="Over how many days the events spread.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the random rows; the same seed makes the same rows.")] = 0,
    file: Annotated[str, typer.Option("--output", "-o", help="A file; - is stdout.")] = "-",
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Generate sample rows of a type. The file is written whole or not at all.

    Example: lab lake generate --type shipments --count 5000 --bad-percent 1 --output shipments.jsonl
    """
    _check_type(record_type)
    if as_json and file == "-":
        output.misuse("--json describes the written file: it needs --output FILE")
    if count is not None and target_size:
        output.misuse("give --count or --target-size, not both")
    samples = Samples(
        type=record_type,
        seed=seed,
        bad_percent=bad_percent,
        first_day=_day(first_day, days),
        days=days,
        as_array=form == "json",
        compressed=compressed,
    )
    size = _size(target_size) if target_size else None
    rows = None if size is not None else count or 1000
    with output.progress(f"generating {record_type}", size or rows or 0) as advance:
        done = _write(samples, file, rows, size, lambda part: advance(part.bytes if size else part.rows))
    said = f"{done.rows} rows, {done.bad} of them bad, {done.bytes} bytes{' before compression' * compressed}"
    if file == "-":
        output.say(said)
    elif as_json:
        output.as_json({"type": record_type, "rows": done.rows, "bad": done.bad, "bytes": done.bytes, "file": file})
    else:
        output.result([f"{file}: {said}"])


@app.command("replay-copy")
def replay_copy(  # noqa: PLR0913, PLR0917 - one option each
    record_type: Annotated[str, typer.Option("--type", help="Objects under bronze/TYPE/.")],
    prefix: PrefixOption = "",
    start: StartOption = "",
    end: EndOption = "",
    again: AgainOption = False,  # noqa: FBT002 - an option
    rate: RateOption = 20,
    dry_run: DryRunOption = False,  # noqa: FBT002 - an option
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,  # noqa: FBT002 - an option
    resume: ResumeOption = True,  # noqa: FBT002 - an option
    policy: PolicyOption = False,  # noqa: FBT002 - an option
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Copy objects of bronze onto themselves, so that S3 notifies the lake of them again.

    The lake skips objects that it has processed, unless --again gives the copies a replay id. Metadata, tags,
    encryption and what identifies the content stay. After Ctrl-C the same command continues where it stopped. Exits
    with 1 when an object was skipped.

    Needs: s3:ListBucket on bronze, s3:GetObject, PutObject, GetObjectTagging, PutObjectTagging and
    AbortMultipartUpload on its objects, and use of the bucket's key; --policy prints it.

    Example: lab lake replay-copy --type shipments --start 2026-01-01 --end 2026-02-01 --dry-run
    """
    from ops.cli.lake import jobs  # noqa: PLC0415 - takes as long as all the rest; `--help` does without it

    asked = jobs.Asked(
        "replay-copy", stack, _type(record_type), prefix, _moment("--start", start), _moment("--end", end), again=again
    )
    way = jobs.Way(rate, dry_run=dry_run, yes=yes, resume=resume, as_json=as_json)
    jobs.copy(asked, way) if not policy else output.as_json(jobs.copy_rights(stack))


@app.command("replay-queue")
def replay_queue(  # noqa: PLR0913, PLR0917 - one option each
    record_type: TypeOption = "",
    prefix: PrefixOption = "",
    start: StartOption = "",
    end: EndOption = "",
    again: AgainOption = False,  # noqa: FBT002 - an option
    rate: RateOption = 100,
    dry_run: DryRunOption = False,  # noqa: FBT002 - an option
    resume: ResumeOption = True,  # noqa: FBT002 - an option
    policy: PolicyOption = False,  # noqa: FBT002 - an option
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Split objects of bronze as the lake's ingest does and send the messages straight to its queue.

    The lake skips chunks that it has processed, unless --again gives them a replay id. Reads each object once. After
    Ctrl-C the same command continues where it stopped. Exits with 1 when an object was skipped.

    Needs: s3:ListBucket on bronze, s3:GetObject and GetObjectVersion on its objects, sqs:SendMessage on the queue,
    whose policy must name you too (operatorRoleArns), lambda:GetFunctionConfiguration of the ingest function, and use
    of the keys; --policy prints it.

    Example: lab lake replay-queue --start 2026-01-01T06:00:00Z --end 2026-01-01T07:00:00Z --dry-run
    """
    from ops.cli.lake import jobs  # noqa: PLC0415 - see above

    if prefix and not record_type:
        output.misuse("--prefix is relative to a type's folder: it needs --type")
    asked = jobs.Asked(
        "replay-queue",
        stack,
        _type(record_type) if record_type else "",
        prefix,
        _moment("--start", start),
        _moment("--end", end),
        again=again,
    )
    way = jobs.Way(rate, dry_run=dry_run, yes=True, resume=resume, as_json=as_json)
    jobs.send(asked, way) if not policy else output.as_json(jobs.queue_rights(stack))


def _write(
    samples: Samples, file: str, rows: int | None, size: int | None, advance: Callable[[Written], None]
) -> Written:
    sink: AbstractContextManager[BinaryIO] = output.stream() if file == "-" else written_atomically(_path(file))
    with sink as out:
        return made_up.write(samples, out, rows=rows, size=size, advance=advance)


def _check_type(text: str) -> None:
    if text not in TYPES:
        output.misuse(f"--type must be one of {', '.join(TYPES)}, got {text!r}")


def _type(text: str) -> str:
    if not _TYPE.fullmatch(text):
        output.misuse(f"--type must be the name of a folder in bronze/, got {text!r}")
    return text


def _day(text: str, days: int) -> date:
    try:
        first = date.fromisoformat(text)
        last = first + timedelta(days=days)
    except (ValueError, OverflowError):
        output.misuse(f"--first-day must be a date, as in 2026-01-31, got {text!r}")
    if first.year < _FIRST_YEAR or last.year > _LAST_YEAR:
        output.misuse(f"events must lie in the years {_FIRST_YEAR}-{_LAST_YEAR}, got {first} to {last}")
    return first


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?I?)B?", text.upper())
    if match is None or match[2] not in _UNITS or float(match[1]) == 0:
        output.misuse(f"--target-size must be a number and a unit, as in 500KB, 64MB or 1GiB, got {text!r}")
    return max(1, int(float(match[1]) * _UNITS[match[2]]))


def _path(file: str) -> Path:
    if not file:
        output.misuse("--output must be the name of a file, or - for stdout, got ''")
    return Path(file)


def _moment(option: str, text: str) -> datetime | None:
    return timing.moment(option, text) if text else None
