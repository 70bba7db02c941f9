"""`lab lake files`."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli import output, target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from handlers.lake.partition import Partition
    from ops.cli.lake.tables import Tables

TypeOption = Annotated[str, typer.Option("--type", help="The type whose rows are to be read.")]
FirstOption = Annotated[str, typer.Option("--from", metavar="DATE", help="The first day; default: all.")]
LastOption = Annotated[str, typer.Option("--to", metavar="DATE", help="The last day; default: all.")]


def files(
    record_type: TypeOption,
    first: FirstOption = "",
    last: LastOption = "",
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """List the files that have each row of a type once: of each day its compacted file, or those of silver.

    A compacted file is taken while it is made from exactly the files that silver has; where silver is tables, the files
    are those of the table's newest snapshot. Give all that is listed to one reader, and list again for the next query.

    Needs: s3:ListBucket on silver, s3:GetObject on compacted/; of tables, glue:GetTable, s3:GetObject on tables/ and
    lambda:GetFunctionConfiguration on the committer.

    Example: lab lake files --type shipments --from 2026-01-01 --to 2026-01-31
    """
    from ops.cli.lake import jobs  # noqa: PLC0415 - takes as long as all the rest; `--help` does without it
    from ops.cli.lake.compaction import Compactor  # noqa: PLC0415 - see above
    from ops.cli.lake.tables import Tables  # noqa: PLC0415 - see above

    between = [_day(option, text) for option, text in (("--from", first), ("--to", last))]
    found, lake = jobs.lake_of(stack)
    bucket = lake["silverBucket"]
    if "ledgerTableName" in lake:
        _of_table(Tables(found, lake), record_type, between, as_json=as_json)
        return
    compactor = Compactor(found, bucket)
    urls: list[str] = []
    rest = compacted = 0
    with output.counting("looking at days") as advance:
        for day in _within(compactor.partitions(record_type), *between):
            copy = compactor.fresh(day)
            compacted += copy is not None
            rest += copy is None
            urls += [f"s3://{bucket}/{key}" for key in ([copy] if copy else [one.key for one in day.files])]
            advance(1)
    if not urls:
        jobs.refuse_unknown(record_type)
    if as_json:
        output.as_json({"files": urls, "days": {"compacted": compacted, "silver": rest}})
        return
    output.result(urls)
    output.say(f"{len(urls)} files: {compacted} days compacted, {rest} days as they are in silver")


def _of_table(tables: Tables, record_type: str, between: list[str], *, as_json: bool) -> None:
    first, last = between
    listed = [(url, dt) for url, dt in tables.filed(record_type) if first <= dt and (not last or dt <= last)]
    urls = [url for url, _ in listed]
    days = len({dt for _, dt in listed})
    if as_json:
        output.as_json({"files": urls, "days": {"table": days}})
        return
    output.result(urls)
    output.say(f"{len(urls)} files: {days} days of the table")


def _within(days: Iterable[Partition], first: str, last: str) -> Iterator[Partition]:
    return (day for day in days if first <= day.dt and (not last or day.dt <= last))


def _day(option: str, text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        output.misuse(f"{option} must be a date, as in 2026-01-31, got {text!r}")
