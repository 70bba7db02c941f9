"""`lab lake compact`."""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from ops.cli import output, target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from handlers.lake.partition import Partition
    from ops.cli.lake.compaction import Choice

TypeOption = Annotated[str, typer.Option("--type", help="Only of this type.")]
DayOption = Annotated[str, typer.Option("--dt", metavar="DATE", help="Only this day; needs --type.")]
FilesOption = Annotated[
    int, typer.Option("--min-files", min=1, help="Only days with at least so many files; not with --dt.")
]
QuietOption = Annotated[int, typer.Option("--quiet-minutes", min=0, help="Only days without a new file for so long.")]
GroupOption = Annotated[str, typer.Option(help="Of Athena, which compacts tables on AWS.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be compacted; compact nothing.")]


def compact(  # noqa: PLR0913, PLR0917 - one option each
    record_type: TypeOption = "",
    dt: DayOption = "",
    min_files: FilesOption = 10,
    quiet_minutes: QuietOption = 60,
    workgroup: GroupOption = "primary",
    dry_run: DryOption = False,  # noqa: FBT002 - an option
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Copy the many files of each day of silver into one: compacted/TYPE/dt=DAY/all.parquet, in the same bucket.

    Silver is not changed. A copy is replaced as a whole, and made again when files of its day have changed since. Each
    day is read through this machine. Exits with 1 when a day could not be compacted.

    Where silver is Iceberg tables, they get few files for many instead, in a commit for each day: by Athena's OPTIMIZE,
    on the laptop by this machine. Run again after whatever happened, it does what is left.

    Needs: s3:ListBucket on silver, s3:GetObject on silver/ and compacted/, s3:PutObject on compacted/, and use of the
    key. For tables what lab lake table needs, athena:StartQueryExecution and athena:GetQueryExecution, and for Athena
    glue:UpdateTable, s3:PutObject on tables/, and its place for results.

    Example: lab lake compact --type shipments --min-files 20
    """
    from ops.cli.lake import jobs  # noqa: PLC0415 - takes as long as all the rest; `--help` does without it
    from ops.cli.lake.compaction import Choice, Compactor  # noqa: PLC0415 - see above
    from ops.cli.lake.table_compaction import TableCompactor  # noqa: PLC0415 - see above

    if dt and not record_type:
        output.fail("--dt is a day of a type: it needs --type")
    if dt:
        _day(dt)
    found, lake = jobs.lake_of(stack)
    compactor: _Compactor = (
        TableCompactor(found, lake, workgroup) if "ledgerTableName" in lake else Compactor(found, lake["silverBucket"])
    )
    choice = Choice(1 if dt else min_files, datetime.now(UTC) - timedelta(minutes=quiet_minutes))
    work = _Work(compactor, choice, dry_run=dry_run)
    with output.counting("compacting days") as advance:
        for day in work.compactor.partitions(record_type, dt):
            work.take(day)
            advance(1)
    if not work.days and not work.left:
        jobs.refuse_unknown(record_type)
    work.report(as_json=as_json)
    if any("refused" in one for one in work.days):
        raise typer.Exit(output.FAILED)


class _Done(Protocol):
    """What a day has become."""

    def as_json(self) -> dict[str, Any]: ...


class _Compactor(Protocol):
    """Of copies beside silver, or of tables."""

    def partitions(self, record_type: str = "", dt: str = "") -> Iterator[Partition]: ...

    def state(self, day: Partition, choice: Choice) -> str: ...

    def compact(self, day: Partition, folder: Path) -> _Done: ...


class _Work:
    """Days, one after the other, and what became of them."""

    def __init__(self, compactor: _Compactor, choice: Choice, *, dry_run: bool) -> None:
        self.compactor = compactor
        self.days: list[dict[str, Any]] = []
        self._choice = choice
        self._dry_run = dry_run
        self.left: Counter[str] = Counter()

    def take(self, day: Partition) -> None:
        from ops.cli.lake.compaction import NEW, STALE, OvertakenError, RefusedError  # noqa: PLC0415 - see above

        state = self.compactor.state(day, self._choice)
        if state not in {NEW, STALE}:
            self.left[state] += 1
            return
        told: dict[str, Any] = {"type": day.type, "dt": day.dt, "files": len(day.files), "was": state}
        self.days.append(told)
        if self._dry_run:
            return
        try:
            with tempfile.TemporaryDirectory() as folder:
                done = self.compactor.compact(day, Path(folder))
        except (RefusedError, OvertakenError) as error:
            told["refused"] = str(error)
        else:
            told |= done.as_json()

    def report(self, *, as_json: bool) -> None:
        if as_json:
            output.as_json({"dryRun": self._dry_run, "days": self.days, "left": dict(self.left)})
            return
        said = "would be compacted" if self._dry_run else "compacted"
        refused = [[one["type"], one["dt"], one["refused"]] for one in self.days if "refused" in one]
        output.result([f"{len(self.days) - len(refused)} days {said}"])
        shown = [
            [one["type"], one["dt"], one["files"], one.get("rows", "")] for one in self.days if "refused" not in one
        ]
        if shown:
            output.table("Days", ["type", "day", "files", "rows"], shown)
        if refused:
            output.table("Not compacted", ["type", "day", "why"], refused)
        output.result([f"left alone: {count} ({state})" for state, count in sorted(self.left.items())])
        changed = sum(not one.get("stillFresh", True) for one in self.days)
        if changed:
            output.result([f"{changed} of them got new files meanwhile: the next run takes those in"])


def _day(text: str) -> None:
    try:
        date.fromisoformat(text)
    except ValueError:
        output.fail(f"--dt must be a date, as in 2026-01-31, got {text!r}")
