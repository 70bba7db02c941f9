"""`lab lake gate`."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handlers.errors import DownstreamError
from handlers.lake.partition import last_day, partitions
from ops.cli import output, target
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from handlers.lake.partition import Partition

TypeOption = Annotated[str, typer.Option("--type", help="Only of this type.")]
DayOption = Annotated[str, typer.Option("--dt", metavar="DATE", help="Only this day; needs --type.")]
AgainOption = Annotated[bool, typer.Option("--again", help="Also check days whose files have not changed since.")]


def gate(
    record_type: TypeOption = "",
    dt: DayOption = "",
    again: AgainOption = False,  # noqa: FBT002 - an option
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Check the days of silver by the EXPECTATIONS in the files of their types.

    A verdict goes to gate/TYPE/dt=DAY.json beside silver and, as SilverPartitionChecked, onto the bus. No row is moved.
    Exits with 1 when a day is not as expected, now or by a verdict that still holds.

    Needs: s3:ListBucket on silver, s3:GetObject on silver/ and gate/, s3:PutObject on gate/, events:PutEvents on the
    bus, and dynamodb:Scan on the state table where a share of quarantine is expected.

    Example: lab lake gate --type shipments
    """
    from handlers.lake import schemas  # noqa: PLC0415 - takes as long as all the rest; `--help` does without it
    from ops.cli.lake import footers, jobs  # noqa: PLC0415 - see above

    if dt and not record_type:
        output.fail("--dt is a day of a type: it needs --type")
    if record_type and schemas.expectations(record_type) is None:
        output.fail(f"{record_type} has no EXPECTATIONS; docs/lake-care.md says how to give it some")
    found, lake = jobs.lake_of(stack)
    footers.parquet()  # so that a missing pyarrow is told
    from handlers.lake.errors import DayNotCheckedError  # noqa: PLC0415 - see above
    from handlers.lake.quality import Gate, Place  # noqa: PLC0415 - see above

    place = Place(lake["silverBucket"], found.outputs["DynamoTableName"], found.outputs["EventBusName"])
    work = Gate(found.client("s3"), found.client("dynamodb"), found.client("events"), place)
    now = datetime.now(UTC)
    days: list[dict[str, Any]] = []
    left: Counter[str] = Counter()
    with output.counting("checking days") as advance:
        listed = partitions(found.client("s3"), lake["silverBucket"], record_type, dt)
        last = last_day(found.client("s3"), lake["silverBucket"], record_type) if dt else ""
        for day, is_last in _days(listed, last):
            advance(1)
            wanted = schemas.expectations(day.type)
            if wanted is None:
                left["without expectations"] += 1
                continue
            # What is said of the last day's age changes by itself.
            former = None if again or (is_last and wanted.fresh_hours is not None) else work.verdict(day)
            if former is not None:
                left["checked before"] += 1
                days += [former] if not former["passed"] else []
                continue
            try:
                verdict = work.check(day, wanted, now, is_last=is_last)
                work.tell(day, verdict)
            except (DayNotCheckedError, DownstreamError) as error:
                raise LabError(f"{error}; run the same command again") from error
            days.append(dict(verdict.as_json()))
    _report(days, left, as_json=as_json)
    if not all(one["passed"] for one in days):
        raise typer.Exit(output.FAILED)


def _days(listed: Iterable[Partition], last: str) -> Iterator[tuple[Partition, bool]]:
    """Days of silver, and whether each is the last one of its type, which is known where they are not all listed."""
    former: Partition | None = None
    for day in listed:
        if former:
            yield former, former.type != day.type
        former = day
    if former:
        yield former, former.dt == last if last else True


def _report(days: list[dict[str, Any]], left: Counter[str], *, as_json: bool) -> None:
    if as_json:
        output.as_json({"days": days, "left": dict(left)})
        return
    failed = [one for one in days if not one["passed"]]
    output.result([f"{len(days) - len(failed)} days passed, {len(failed)} failed"])
    output.result([f"left alone: {count} {why}" for why, count in sorted(left.items())])
    if failed:
        rows = [[one["type"], one["dt"], "\n".join(one["findings"])] for one in failed]
        output.table("Not as expected", ["type", "day", "findings"], rows)
