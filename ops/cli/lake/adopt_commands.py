"""`lab lake adopt`."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli import output, target

if TYPE_CHECKING:
    from ops.cli.lake.check import Apart, Expired, Report

DryOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be adopted; adopt nothing.")]
_EXPIRED = "Also files whose records have expired, as they lie in silver."
_GONE = "its table is gone, which something was committed to: the committer adds nothing until that is settled"
ExpiredOption = Annotated[bool, typer.Option("--expired", help=_EXPIRED)]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def adopt(  # noqa: PLR0913, PLR0917 - one option each
    expired: ExpiredOption = False,  # noqa: FBT002 - an option
    dry_run: DryOption = False,  # noqa: FBT002 - an option
    yes: YesOption = False,  # noqa: FBT002 - an option
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most so many.")] = 20,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Make files that silver had before it was tables part of them, where they lie: nothing is copied or rewritten.

    Compares records and files as lab lake check does, and notes each chunk whose files are as its record says and that
    no table has. The committer adds them, each once, as it adds what is new. Run it again whenever it was stopped, and
    after it has mended what it tells of. Exits with 1 when something is left that it does not adopt, but for what a
    replay has superseded (leftOver), or a table is gone that something was committed to.

    Records live for ttlDays. What is older is adopted with --expired, as readers of silver find it; whether all of it
    is there, and once, lab lake check --count-source tells before.

    Needs: what lab lake check needs, dynamodb:Query, PutItem and UpdateItem on the ledger,
    lambda:GetFunctionConfiguration on worker and committer, glue:GetTable and glue:GetTables.

    Example: lab lake adopt --dry-run
    """
    from ops.cli.lake import jobs  # noqa: PLC0415 - takes as long as all the rest; `--help` does without it
    from ops.cli.lake.check import Check, Wanted  # noqa: PLC0415 - see above
    from ops.cli.lake.tables import Tables  # noqa: PLC0415 - see above

    found, lake = jobs.lake_of(stack)
    tables = Tables(found, lake)
    now = datetime.now(UTC)
    if (over := end_of_former_workers(found, lake["workerFunctionName"])) > now:
        early = f"workers of before the last deployment may overwrite files until {over:%H:%M:%S} UTC: adopt them then"
        if not dry_run:
            output.refuse(early)
        output.say(early)
    waiting = set(tables.noted())
    wanted = Wanted(0, count_source=False, limit=limit, but="notCommitted", expired=expired)
    ttl = int(jobs.ingest_variables(found, lake)["TTL_DAYS"])
    with tempfile.TemporaryDirectory() as folder:
        work = Check(found, lake, ttl, now, str(Path(folder) / "check.sqlite"))
        try:
            with output.counting("reading records and files") as advance:
                work.gather(wanted, advance)
            with output.counting("comparing objects") as advance:
                report = work.compare(wanted, advance)
            apart = [one for one in work.apart() if one.name not in waiting]
            old = [one for one in work.expired() if one.place not in waiting]
        finally:
            work.close()
    if (apart or old) and not dry_run:
        if not yes:
            output.confirm(f"Make {_said(apart, old)} part of tables?")
        with output.progress("noting chunks", len(apart) + len(old)) as advance:
            tables.note(apart, advance)
            if old:
                tables.note_expired(old, advance)
    _tell(apart, old, len(waiting), report, tables.gone(), dry_run=dry_run, as_json=as_json)


def end_of_former_workers(found: target.Target, worker: str) -> datetime:
    """When the last invocation is over that began before the deployment, and may overwrite files."""
    configuration = found.client("lambda").get_function_configuration(FunctionName=worker)
    return datetime.fromisoformat(configuration["LastModified"]) + timedelta(seconds=configuration["Timeout"])


def _said(apart: list[Apart], old: list[Expired]) -> str:
    files, rows = _numbers(apart, old)
    return f"{files} files of {len(apart)} chunks and {len(old)} that nobody knows any more ({rows} rows)"


def _numbers(apart: list[Apart], old: list[Expired]) -> tuple[int, int]:
    """Files and rows."""
    files = sum(one.files for one in apart) + sum(len(one.files) for one in old)
    return files, sum(one.rows for one in apart) + sum(sum(one.files.values()) for one in old)


def _tell(  # noqa: PLR0913 - what is told, and how
    apart: list[Apart],
    old: list[Expired],
    waiting: int,
    report: Report,
    gone: list[str],
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    from ops.cli.lake.check import KINDS  # noqa: PLC0415 - see above

    files, rows = _numbers(apart, old)
    if as_json:
        output.as_json(
            {
                "dryRun": dry_run,
                "chunks": len(apart),
                "expired": len(old),
                "files": files,
                "rows": rows,
                "waiting": waiting,
                "left": dict(report.counts),
                "first": [asdict(one) for one in report.problems],
                "gone": gone,
            }
        )
    else:
        said = "would be noted" if dry_run else "are noted"
        output.result([f"{_said(apart, old)} {said} for the committer; {waiting} chunks were noted before"])
        if report.counts:
            kinds = [[kind, count, KINDS[kind]] for kind, count in report.counts.most_common()]
            output.table("Not adopted", ["what", "count", "that is"], kinds)
            first = [[one.kind, f"{one.key}\n{one.detail}"] for one in report.problems]
            output.table("The first of them", ["what", "where"], first)
        output.result([f"{name}: {_GONE}" for name in gone])
    if gone or report.counts.total() > report.counts["leftOver"]:  # which is no work to adopt
        raise typer.Exit(output.FAILED)
