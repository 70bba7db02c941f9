"""`lab lake check`."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli import output, target, timing

if TYPE_CHECKING:
    from ops.cli.lake.check import Report
    from ops.cli.lake.keys import Duplicates

_START = "Leave out objects and files from before this that have no state record; in UTC."
StartOption = Annotated[str, typer.Option(metavar="ISO", help=_START)]
CountOption = Annotated[bool, typer.Option("--count-source", help="Also count the rows in bronze; needs pyarrow.")]
DeleteOption = Annotated[bool, typer.Option("--delete-left-over", help="Delete files that a replay has superseded.")]


def check(  # noqa: PLR0913, PLR0917 - one option each
    start: StartOption = "",
    count_source: CountOption = False,  # noqa: FBT002 - an option
    delete_left_over: DeleteOption = False,  # noqa: FBT002 - an option
    unique: Annotated[str, typer.Option("--unique", metavar="FIELD", help="Instead: find values that repeat.")] = "",
    record_type: Annotated[str, typer.Option("--type", help="Of which type, with --unique.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most so many.")] = 20,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002
) -> None:
    """Compare the lake's records with its files and with bronze: rows in = rows in silver + rows in quarantine.

    Reads the state table, lists both buckets, and reads the footer of each Parquet file and each quarantine file. Exits
    with 1 when something differs, is not done, or could not be checked. Records live for ttlDays: what is older can
    only be compared with --count-source, or left out with --start.

    Needs: dynamodb:Scan on the state table, s3:ListBucket and s3:GetObject on both buckets; s3:DeleteObject on silver
    for --delete-left-over. Where silver is tables, what lab lake table needs, and dynamodb:Scan on the ledger.

    Example: lab lake check --start 2026-01-31 --count-source
    """
    from ops.cli.lake import jobs  # noqa: PLC0415 - takes as long as all the rest; `--help` does without it

    if bool(unique) != bool(record_type):
        output.fail("--unique names a field of one type: it needs --type, and --type needs it")
    if unique and (start or count_source or delete_left_over):
        output.fail("--unique is a check of its own: leave out --start, --count-source and --delete-left-over")
    found, lake = jobs.lake_of(stack)
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "check.sqlite")
        if unique:
            _unique(found, lake["silverBucket"], (record_type, unique), file, limit, as_json=as_json)
            return
        _check(found, lake, start, file, limit, count_source=count_source, delete=delete_left_over, as_json=as_json)


def _check(  # noqa: PLR0913 - one option each
    found: target.Target,
    lake: dict[str, str],
    start: str,
    file: str,
    limit: int,
    *,
    count_source: bool,
    delete: bool,
    as_json: bool,
) -> None:
    from ops.cli.lake import jobs  # noqa: PLC0415 - see above
    from ops.cli.lake.check import Check, Wanted  # noqa: PLC0415 - see above

    since = timing.moment("--start", start).timestamp() if start else 0.0
    wanted = Wanted(since, count_source=count_source, limit=limit)
    ttl = int(jobs.ingest_variables(found, lake)["TTL_DAYS"])
    work = Check(found, lake, ttl, datetime.now(UTC), file)
    try:
        with output.counting("reading records, files and objects") as advance:
            work.gather(wanted, advance)
        with output.counting("comparing objects") as advance:
            report = work.compare(wanted, advance)
        deleted = work.clear(report) if delete else 0
    finally:
        work.close()
    remaining = report.counts.total() - (report.counts["leftOver"] if delete else 0)
    _tell(report, deleted, as_json=as_json)
    if remaining:
        raise typer.Exit(output.FAILED)


def _tell(report: Report, deleted: int, *, as_json: bool) -> None:
    from ops.cli.lake.check import KINDS  # noqa: PLC0415 - see above

    if as_json:
        output.as_json(
            {
                "objects": report.objects,
                "fine": report.fine,
                "records": _rows(report.recorded),
                "files": _rows(report.counted),
                "sourceRows": report.source,
                "problems": dict(report.counts),
                "first": [asdict(one) for one in report.problems],
                "deleted": deleted,
            }
        )
        return
    counts = [[where, rows["silver"], rows["quarantine"]] for where, rows in _both(report)]
    output.table("Rows", ["by", "in silver", "in quarantine"], counts)
    output.result([f"{report.fine} of {report.objects} objects are fine"])
    if report.source:
        output.result([f"{report.source} rows were counted in bronze"])
    if report.counts:
        found = [[kind, count, KINDS[kind]] for kind, count in report.counts.most_common()]
        output.table("Not fine", ["what", "count", "that is"], found)
        shown = [
            [one.kind, one.key if one.key == one.detail else f"{one.key}\n{one.detail}"] for one in report.problems
        ]
        output.table("The first of them", ["what", "where"], shown)
    if deleted:
        output.result([f"{deleted} files were deleted"])


def _rows(rows: Any) -> dict[str, int]:  # noqa: ANN401 - a Counter
    return {name: rows[name] for name in ("silver", "quarantine")}


def _both(report: Report) -> list[tuple[str, dict[str, int]]]:
    return [("records", _rows(report.recorded)), ("files", _rows(report.counted))]


def _unique(  # noqa: PLR0913 - one option each
    found: target.Target, bucket: str, wanted: tuple[str, str], file: str, limit: int, *, as_json: bool
) -> None:
    from ops.cli.lake import keys  # noqa: PLC0415 - see above

    record_type, field = wanted
    with output.counting(f"reading {field} of {record_type}") as advance:
        told = keys.duplicates(found, bucket, record_type, field, file=file, limit=limit, advance=advance)
    _tell_duplicates(told, field, as_json=as_json)
    if told.repeated or not told.rows:
        raise typer.Exit(output.FAILED)


def _tell_duplicates(told: Duplicates, field: str, *, as_json: bool) -> None:
    if as_json:
        first = [{"value": value, "rows": rows} for value, rows in told.most]
        output.as_json({"rows": told.rows, "values": told.values, "repeated": told.repeated, "first": first})
        return
    if not told.rows:
        output.result(["there are no rows to check"])
        return
    output.result([f"{told.rows} rows, {told.values} values of {field}, {told.repeated} of them in more rows than one"])
    if told.most:
        output.table("The most frequent", [field, "rows"], told.most)
