"""`lab lake table`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli import output, target

if TYPE_CHECKING:
    from ops.cli.lake.tables import Told

_SHOWN = 20
_GONE = "its table is gone, which something was committed to; the committer's error says what to do (lab logs tail)"
_APART = "files in silver, and no table: wait for the committer, or lab lake adopt"
TypeOption = Annotated[str, typer.Option("--type", help="Only of this type, and by day.")]


def table(
    record_type: TypeOption = "",
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Show silver's Iceberg tables: snapshots, files and rows, chunks that wait for a commit, files outside.

    Reads the tables' metadata and lists silver. A file outside is that of a chunk that waits, or a replay has replaced
    it, or a worker left it when it died. Exits with 1 when a table has a file twice, which must never be, or one that
    is not there, or when a table is gone that something was committed to.

    Needs: glue:GetTable and glue:GetTables, s3:GetObject on tables/ and s3:ListBucket of silver, dynamodb:Query and
    dynamodb:Scan on the ledger, lambda:GetFunctionConfiguration on the committer. Of tables in a table bucket
    s3tables:GetTableMetadataLocation, s3tables:GetTableData and s3tables:ListTables, and nothing of Glue.

    Example: lab lake table --type shipments
    """
    from ops.cli.lake import jobs  # noqa: PLC0415 - takes as long as all the rest; `--help` does without it
    from ops.cli.lake.tables import Tables  # noqa: PLC0415 - see above

    found, lake = jobs.lake_of(stack)
    tables = Tables(found, lake)
    noted = sum(1 for _ in tables.noted())
    told = []
    with output.counting("reading tables") as advance:
        for name in [record_type] if record_type else tables.names():
            told.append(tables.look(name))
            advance(1)
    gone, apart = ([], []) if record_type else (tables.gone(), tables.apart())
    if as_json:
        output.as_json({"noted": noted, "tables": [_as_json(one) for one in told], "gone": gone, "apart": apart})
    else:
        _show(told, noted, by_day=bool(record_type))
        output.result([f"{name}: {_GONE}" for name in gone])
        output.result([f"{name}: {_APART}" for name in apart])
    if gone or any(one.twice or one.missing for one in told):
        raise typer.Exit(output.FAILED)


def expire(  # noqa: PLR0913, PLR0917 - one option each
    record_type: Annotated[str, typer.Option("--type", help="Only of this type.")] = "",
    days: Annotated[int, typer.Option(min=0, help="Snapshots that are older than this.")] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would expire; change nothing.")] = False,  # noqa: FBT002
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,  # noqa: FBT002
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Let silver's Iceberg tables forget old snapshots, but for the newest of each: nobody can go back to them.

    Runs beside the committer. No file is deleted: those that replays have replaced are no longer kept for these
    snapshots, and lab lake check --delete-left-over deletes them. In Athena, VACUUM does both.

    Needs: what lab lake table needs, glue:UpdateTable, and s3:PutObject on tables/.

    Example: lab lake expire --days 5 --dry-run
    """
    from ops.cli.lake import jobs  # noqa: PLC0415 - takes as long as all the rest; `--help` does without it
    from ops.cli.lake.tables import Tables  # noqa: PLC0415 - see above

    tables = Tables(*jobs.lake_of(stack))
    before = datetime.now(UTC) - timedelta(days=days)
    with output.busy("looking for snapshots"):
        found = {name: len(tables.old(name, before)) for name in ([record_type] if record_type else tables.names())}
    if any(found.values()) and not dry_run:
        if not yes:
            output.confirm(f"Let {sum(found.values())} snapshots of {len(found)} tables expire?")
        with output.progress("expiring snapshots", len(found)) as advance:
            for name in found:
                found[name] = tables.expire(name, before)
                advance(1)
    if as_json:
        output.as_json({"dryRun": dry_run, "snapshots": found})
    else:
        said = "would expire" if dry_run else "have expired"
        output.result([f"{name}: {count} snapshots {said}" for name, count in found.items()])


def _as_json(one: Told) -> dict[str, object]:
    return {
        "type": one.type,
        "snapshots": one.snapshots,
        "committedAt": one.committed_at,
        "commit": one.commit,
        "metadataBytes": one.metadata_bytes,
        "files": one.files,
        "rows": one.rows,
        "days": {dt: {"files": day.files, "rows": day.rows} for dt, day in one.days.items()},
        "outside": one.outside,
        "twice": one.twice,
        "missing": one.missing,
    }


def _show(told: list[Told], noted: int, *, by_day: bool) -> None:
    rows = [[one.type, one.snapshots, one.committed_at, one.files, one.rows, len(one.outside)] for one in told]
    output.table("Tables", ["type", "snapshots", "last commit", "files", "rows", "files outside"], rows)
    output.result([f"{noted} chunks are noted for the committer"])
    for one in told:
        if by_day:
            days = [[dt, day.files, day.rows] for dt, day in one.days.items()]
            output.table("Days", ["day", "files", "rows"], days)
            if one.outside:
                output.table("Files outside", ["file"], [[key] for key in one.outside[:_SHOWN]])
        if one.missing:
            output.table("Files of the table that are not there", ["file"], [[key] for key in one.missing[:_SHOWN]])
        if one.twice:
            output.table("Files that are in the table twice", ["file"], [[key] for key in one.twice[:_SHOWN]])
