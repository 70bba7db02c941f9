"""`lab lake backfill`: start, watch and stop a backfill by Step Functions."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli import output, target, timing
from ops.local.errors import LabError

if TYPE_CHECKING:
    from ops.cli.target import Target

app = typer.Typer(
    help="Announce objects of bronze to the lake again, however many, by Step Functions.", no_args_is_help=True
)

TypeOption = Annotated[str, typer.Option("--type", help="Only objects under bronze/TYPE/.")]
PrefixOption = Annotated[str, typer.Option(help="Only names in the type's folder that begin so.")]
StartOption = Annotated[str, typer.Option(metavar="ISO", help="Only objects last modified at or after this; in UTC.")]
EndOption = Annotated[str, typer.Option(metavar="ISO", help="Only objects last modified before this; default: now.")]
AgainOption = Annotated[bool, typer.Option("--again", help="Also work what was worked; overwrites silver.")]
IdOption = Annotated[str, typer.Option("--id", metavar="ID", help="With --again: go on with this backfill.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Count the objects; start nothing.")]
ExecutionArgument = Annotated[str, typer.Argument(metavar="EXECUTION", help="The name that start has told.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=100, help="Show at most so many, the latest.")]


@app.command()
def start(  # noqa: PLR0913, PLR0917 - one option each
    record_type: TypeOption = "",
    prefix: PrefixOption = "",
    start: StartOption = "",
    end: EndOption = "",
    again: AgainOption = False,  # noqa: FBT002 - an option
    backfill_id: IdOption = "",
    dry_run: DryRunOption = False,  # noqa: FBT002 - an option
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,  # noqa: FBT002 - an option
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Start a backfill. It goes on by itself, as fast as the lake works.

    The lake skips objects that it has worked, unless --again gives them the backfill's id; --id goes on with one that
    has stopped, and what it has announced by then is skipped.

    Needs: states:StartExecution on the state machine, and s3:ListBucket on bronze to count the objects before.

    Example: lab lake backfill start --type shipments --again --dry-run
    """
    from ops.cli.lake import bronze  # noqa: PLC0415 - takes as long as all the rest; `--help` does without it
    from ops.cli.lake.bronze import Window  # noqa: PLC0415 - see above

    if prefix and not record_type:
        output.misuse("--prefix is relative to a type's folder: it needs --type")
    if backfill_id and not again:
        output.misuse("--id is that of a backfill with --again: it needs --again")
    after = timing.moment("--start", start) if start else None
    window = Window.of(record_type, prefix, after, timing.moment("--end", end) if end else datetime.now(UTC))
    found, lake = _machine_of(stack)
    with output.busy(f"looking for objects in {lake['bronzeBucket']}"):
        objects, size = bronze.measure(found.client("s3"), lake["bronzeBucket"], window)
    told: dict[str, Any] = {"dryRun": dry_run, "objects": objects, "bytes": size}
    if dry_run or not objects:
        output.as_json(told) if as_json else output.result([f"would announce {objects} objects, {size} bytes"])
        return
    if not yes:
        output.confirm(f"Announce {objects} objects ({size} bytes) of {lake['bronzeBucket']}?")
    name = f"bf-{datetime.now(UTC).strftime('%Y%m%d%H%M%S')}-{uuid.uuid4().hex[:8]}"
    replay = (backfill_id or name) if again else ""
    found.client("stepfunctions").start_execution(
        stateMachineArn=lake["backfillArn"],
        name=name,
        input=json.dumps(
            {
                "prefix": window.prefix,
                "replay": replay,
                "start": after.timestamp() if after else 0,
                "end": window.end.timestamp(),
            }
        ),
    )
    if as_json:
        output.as_json(told | {"execution": name, "replayId": replay})
        return
    output.result([f"{name}: announces {objects} objects, {size} bytes"])
    output.say(f"lab lake backfill status {name} shows how far it has come")


@app.command()
def status(
    execution: Annotated[str, typer.Argument(metavar="[EXECUTION]", help="Only this one.")] = "",
    limit: LimitOption = 10,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Show backfills and how many of their objects are done. Exits with 1 when one of those shown failed.

    Needs: states:ListExecutions on the state machine, states:DescribeExecution on its executions, states:ListMapRuns
    and states:DescribeMapRun.

    Example: lab lake backfill status --limit 3
    """
    found, lake = _machine_of(stack)
    states = found.client("stepfunctions")
    if execution:
        runs = [states.describe_execution(executionArn=_arn(lake, execution))]
    else:
        pages = states.get_paginator("list_executions").paginate(stateMachineArn=lake["backfillArn"])
        listed = (one for page in pages for one in page["executions"])
        runs = [states.describe_execution(executionArn=one["executionArn"]) for one in islice(listed, limit)]
    shown = [_described(states, run) for run in runs]
    if as_json:
        output.as_json({"backfills": shown})
    elif shown:
        rows = [[one["execution"], one["status"], one["done"], one["objects"], one["prefix"]] for one in shown]
        output.table("Backfills", ["execution", "status", "done", "of", "prefix"], rows)
        output.result([f"{one['execution']}: {one['cause']}" for one in shown if one["cause"]])
    else:
        output.result(["no backfill was started"])
    if any(one["status"] in {"FAILED", "TIMED_OUT"} for one in shown):
        raise typer.Exit(output.FAILED)


@app.command()
def stop(
    execution: ExecutionArgument,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Stop a backfill. What it has announced by then is worked all the same.

    Needs: states:StopExecution on the state machine's executions.

    Example: lab lake backfill stop bf-20260131120000-0a1b2c3d
    """
    found, lake = _machine_of(stack)
    found.client("stepfunctions").stop_execution(executionArn=_arn(lake, execution))
    output.as_json({"stopped": execution}) if as_json else output.result([f"{execution} is stopped"])


def _machine_of(stack: str) -> tuple[Target, dict[str, str]]:
    from ops.cli.lake import jobs  # noqa: PLC0415 - see above

    found, lake = jobs.lake_of(stack)
    if "backfillArn" not in lake:
        raise LabError(
            f"the stack {stack} has no state machine for backfills: set lakeBackfill to true and deploy, or replay the"
            " objects by lab lake replay-queue"
        )
    return found, lake


def _arn(lake: dict[str, str], execution: str) -> str:
    return f"{lake['backfillArn'].replace(':stateMachine:', ':execution:')}:{execution}"


def _described(states: Any, run: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - a boto3 client
    asked = json.loads(run["input"])
    maps = states.list_map_runs(executionArn=run["executionArn"])["mapRuns"]
    counts = [states.describe_map_run(mapRunArn=one["mapRunArn"])["itemCounts"] for one in maps]
    return {
        "execution": run["name"],
        "status": run["status"],
        "started": run["startDate"].isoformat(),
        "prefix": asked["prefix"],
        "replayId": asked["replay"],
        "objects": sum(one["total"] for one in counts),
        "done": sum(one["succeeded"] for one in counts),
        "failed": sum(one["failed"] for one in counts),
        "cause": run.get("cause", ""),
    }
