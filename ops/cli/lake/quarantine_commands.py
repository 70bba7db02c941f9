"""`lab lake quarantine`: list bad rows, show them, work them again."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli import output, target

if TYPE_CHECKING:
    from ops.cli.lake.ledger import ChunkRecord
    from ops.cli.lake.quarantine import Held, Quarantine, Retried, Retry

app = typer.Typer(help="List rows in quarantine, show them, work them again.", no_args_is_help=True)

TypeOption = Annotated[str, typer.Option("--type", help="Only of objects under bronze/TYPE/.")]
ObjectOption = Annotated[str, typer.Option("--object", metavar="KEY", help="Only of this object of bronze.")]
ErrorOption = Annotated[str, typer.Option("--error-type", help="Only rows with this error type.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="Show at most so many.")]


@app.command("list")
def list_(
    record_type: TypeOption = "",
    limit: LimitOption = 20,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Count the rows in quarantine by reason and by object. Reads every quarantine file and the state table once.

    Needs: s3:ListBucket and s3:GetObject on silver's quarantine/, dynamodb:Scan on the state table.

    Example: lab lake quarantine list --type shipments
    """
    from ops.cli.lake import jobs  # noqa: PLC0415 - as below
    from ops.cli.lake.quarantine import Tally  # noqa: PLC0415 - as below

    lake = _open(stack)
    tally, more = Tally(), 0
    held: list[Held] = []
    with output.busy("reading the quarantine"):
        objects = {key: one.chunk.source.key for one in lake.chunks(record_type) for key in one.quarantine}
        for key in lake.files(record_type):
            one, reasons = lake.measure(key, objects.get(key, ""))
            tally.add(one, reasons)
            more += len(held) >= limit
            held += [one] if len(held) < limit else []
    if not tally.files:
        jobs.refuse_unknown(record_type)
    ranked = tally.reasons.most_common()
    if as_json:
        output.as_json(
            {
                "rows": tally.rows,
                "files": tally.files,
                "reasons": [
                    {"type": kind, "errorType": error, "reason": reason, "rows": rows}
                    for (kind, error, reason), rows in ranked
                ],
                "objects": [
                    {"object": one.object, "file": one.key, "rows": one.rows, "errors": dict(one.errors)}
                    for one in held
                ],
                "moreFiles": more,
            }
        )
        return
    output.result([f"{tally.rows} rows in {tally.files} files"])
    if not tally.files:
        return
    shown = [[rows, kind, error, reason] for (kind, error, reason), rows in ranked[:limit]]
    output.table("By reason", ["rows", "type", "error type", "reason"], shown)
    output.table("By object", ["rows", "object", "file"], [[one.rows, _named(one), one.key] for one in held])
    if more or len(ranked) > limit:
        left = f"{more} more files and {max(0, len(ranked) - limit)} more reasons"
        output.result([f"{left} are not shown: --limit"])


@app.command()
def show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A quarantine file, or an object of bronze.")],
    error_type: ErrorOption = "",
    limit: LimitOption = 20,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Show bad rows of a quarantine file, or of all those of an object: line, reason and how the row begins.

    Example: lab lake quarantine show bronze/shipments/day.jsonl --limit 5
    """
    from ops.cli.lake.quarantine import PREFIX  # noqa: PLC0415 - as below

    lake = _open(stack)
    files = [key] if key.startswith(PREFIX) else _files_of(lake, key)
    entries = (entry for file in files for entry in lake.entries(file))
    wanted = (entry for entry in entries if error_type in {"", entry["errorType"]})
    found = list(islice(wanted, limit))
    cut = next(wanted, None) is not None
    if as_json:
        output.as_json({"rows": found, "more": cut})
        return
    for entry in found:
        output.result([f"line {entry['lines']}: {entry['errorType']}", f"  {entry['reason']}", f"  {entry['row']}"])
    if not found:
        output.result(["no such rows"])
    if cut:
        output.say("there are more: --limit")


@app.command()
def retry(  # noqa: PLR0913, PLR0917 - one option each
    record_type: TypeOption = "",
    key: ObjectOption = "",
    error_type: ErrorOption = "",
    rate: Annotated[float, typer.Option(min=0, help="At most this many chunks a second; 0: no limit.")] = 100,
    timeout: Annotated[float, typer.Option(min=0, help="How many seconds to wait for the outcome.")] = 300,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be worked; work nothing.")] = False,  # noqa: FBT002
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,  # noqa: FBT002
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Work the chunks that have rows in quarantine again, after their type was mended and deployed.

    They write their files over the old ones; what is no longer true is deleted once they are done. Exits with 1 when a
    chunk was not done in time or has rows in quarantine still.

    Needs: dynamodb:Scan and GetItem on the state table, s3:GetObject and DeleteObject on silver, and what
    lab lake replay-queue needs.

    Example: lab lake quarantine retry --type shipments --error-type SchemaValidationError --dry-run
    """
    from ops.cli.lake import jobs  # noqa: PLC0415 - as below

    lake = _open(stack)
    with output.busy("looking for chunks with rows in quarantine"):
        chunks = lake.chunks(record_type, key)
        if error_type:
            chunks = [one for one in chunks if lake.has(one, error_type)]
    if not chunks:
        jobs.refuse_unknown(record_type)
    rows = sum(one.quarantined for one in chunks)
    said = f"{len(chunks)} chunks of {len({one.chunk.source.key for one in chunks})} objects, {rows} rows in quarantine"
    if dry_run or not chunks:
        if as_json:
            output.as_json({"dryRun": dry_run, "chunks": len(chunks), "rows": rows})
        else:
            output.result([f"would work {said}" if dry_run else "nothing to work: no record names rows in quarantine"])
        return
    if not yes:
        output.confirm(f"Work {said}, again?")
    _report(_work(_sender(stack, rate), chunks, timeout), len(chunks), as_json=as_json)


def _work(sender: Retry, chunks: list[ChunkRecord], timeout: float) -> Retried:
    with output.progress(f"sending {sender.id}", len(chunks)) as advance:
        sent = sender.send(chunks, advance)
    with output.progress(f"working {sender.id}", len(chunks)) as advance:
        return sender.settle(sent, timeout, advance)


def _report(done: Retried, chunks: int, *, as_json: bool) -> None:
    statuses = dict(Counter(done.open.values()))
    if as_json:
        output.as_json(
            {
                "dryRun": False,
                "chunks": chunks,
                "done": chunks - len(done.open),
                "open": statuses,
                "rows": done.before,
                "stillInQuarantine": done.after,
                "silverGained": done.silver,
                "filesDeleted": done.deleted,
            }
        )
    else:
        rows = f"{done.before} rows were in quarantine, {done.after} are still; silver has {done.silver:+} rows"
        lines = [f"{chunks - len(done.open)} of {chunks} chunks done: {rows}, {done.deleted} files were deleted"]
        lines += [f"not done: {count} {status}" for status, count in sorted(statuses.items())]
        if statuses:
            lines.append("once they are, lab lake check --delete-left-over clears up behind them; FAILED: lab redrive")
        output.result(lines)
    if statuses or done.after:
        raise typer.Exit(output.FAILED)


def _open(stack: str) -> Quarantine:
    from ops.cli.lake import jobs  # noqa: PLC0415 - takes as long as all the rest; `--help` does without it
    from ops.cli.lake.quarantine import Quarantine  # noqa: PLC0415 - likewise

    found, lake = jobs.lake_of(stack)
    return Quarantine(found, lake["silverBucket"])


def _sender(stack: str, rate: float) -> Retry:
    from handlers.grouping import Grouping  # noqa: PLC0415 - likewise
    from ops.cli.lake import jobs  # noqa: PLC0415 - likewise
    from ops.cli.lake.quarantine import Retry  # noqa: PLC0415 - likewise
    from ops.cli.timing import Pace  # noqa: PLC0415 - likewise

    found, lake = jobs.lake_of(stack)
    name = f"rq-{datetime.now(UTC):%Y%m%d%H%M%S}-{uuid.uuid4().hex[:8]}"
    grouping = Grouping(jobs.ingest_variables(found, lake).get("GROUP_BY", ""))
    return Retry(found, lake["queueUrl"], lake["silverBucket"], name, grouping, Pace(rate))


def _files_of(lake: Quarantine, key: str) -> list[str]:
    files = [file for one in lake.chunks(object_key=key) for file in one.quarantine]
    if not files:
        output.fail(f"no record names rows of {key} in quarantine; lab lake quarantine list shows what is there")
    return files


def _named(one: Held) -> str:
    return one.object or "(its record has expired)"
