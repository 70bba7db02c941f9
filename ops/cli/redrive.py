"""`lab redrive`: preview dead letters, move them back, watch and cancel runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer

from ops.cli import output, target

if TYPE_CHECKING:
    from ops.cli.target import Target

app = typer.Typer(help="Move dead letters back, safely.", no_args_is_help=True)

_POLL_SECONDS = 0.5
_LIFE_SECONDS = 14 * 24 * 3600  # no dead letter is kept longer, so no run can be worth more waiting

PipelineOption = Annotated[str | None, typer.Option("--pipeline", help="Of which pipeline; default: events.")]
TypeOption = Annotated[str | None, typer.Option("--error-type", help="Only dead letters with this error type.")]
AgeOption = Annotated[int, typer.Option("--min-age", min=0, help="Only dead letters at least this many seconds old.")]
IdArgument = Annotated[str, typer.Argument(help="The id that start printed.")]


@app.command()
def preview(  # noqa: PLR0913, PLR0917 - one option each
    error_type: TypeOption = None,
    min_age: AgeOption = 0,
    most: Annotated[int, typer.Option("--max", min=1, max=1000, help="How many dead letters to show.")] = 20,
    pipeline: PipelineOption = None,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Show what is on the dead-letter queue and what a redrive would do with it. Moves nothing.

    Example: lab redrive preview --error-type SchemaValidationError
    """
    query = _filters(pipeline, error_type, min_age, most)
    report = target.find(stack).ask("GET", f"/redrive/preview?{urlencode(query)}")
    if as_json:
        output.as_json(report)
        return
    stats = report["dlqStats"]
    unseen = f", not seen (in other hands, or too many): {stats['unseen']}" if stats["unseen"] else ""
    output.result([f"on the dead-letter queue: {stats['totalMessages']}, examined: {stats['examined']}{unseen}"])
    groups = [[g["errorType"], g["count"], g["wouldMove"], g["wouldSkip"]] for g in report["groups"]]
    output.table("By cause", ["error type", "messages", "would move", "would stay"], groups)
    fields = ("messageId", "idempotencyKey", "errorType", "ageSeconds", "action", "reason")
    rows = [[message.get(name) or "" for name in fields] for message in report["messages"]]
    output.table("Messages", ["message", "key", "error type", "age s", "action", "why"], rows)


@app.command()
def start(  # noqa: PLR0913, PLR0917 - one option each
    error_type: TypeOption = None,
    min_age: AgeOption = 0,
    most: Annotated[int, typer.Option("--max", min=1, max=100_000, help="How many dead letters to move.")] = 100,
    jitter: Annotated[int, typer.Option("--jitter", help="Longest random delay of a message, 0-900 s.")] = 0,
    rate: Annotated[float | None, typer.Option("--rate", help="Messages a second at most.")] = None,
    canary: Annotated[int, typer.Option("--canary", help="Move this many first; stop if they fail again.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan only: move nothing.")] = False,  # noqa: FBT002
    wait: Annotated[bool, typer.Option("--watch/--no-watch", help="Follow the run to its end.")] = True,  # noqa: FBT002
    pipeline: PipelineOption = None,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Move dead letters back to their queue. Ctrl-C ends the command, not the run.

    Leaves with 1 when the run did not end SUCCEEDED.

    Example: lab redrive start --error-type SchemaValidationError --canary 5
    """
    body = _filters(pipeline, error_type, min_age, most)
    body |= {"perMessageDelayJitter": jitter, "canary": canary, "dryRun": dry_run}
    body |= {"ratePerSecond": rate} if rate is not None else {}
    found = target.find(stack)
    started = found.ask("POST", "/redrive/start", body)
    output.say(f"redrive {started['redriveId']} started")
    if wait:
        _watch(found, started["redriveId"], as_json=as_json)
    elif as_json:
        output.as_json(started)
    else:
        output.result([started["redriveId"]])


@app.command()
def watch(
    redrive_id: IdArgument,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Follow a run to its end and show its result.

    Example: lab redrive watch rd-20260102030405-0a1b2c3d
    """
    _watch(target.find(stack), redrive_id, as_json=as_json)


@app.command()
def cancel(
    redrive_id: IdArgument,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Cancel a run; what it has moved stays moved, the rest stays on the dead-letter queue.

    Example: lab redrive cancel rd-20260102030405-0a1b2c3d
    """
    found = target.find(stack)
    found.ask("POST", "/redrive/cancel", {"redriveId": redrive_id})
    _watch(found, redrive_id, as_json=as_json, wanted="CANCELLED")


def _filters(pipeline: str | None, error_type: str | None, min_age: int, most: int) -> dict[str, Any]:
    given = {"pipeline": pipeline, "errorType": error_type}
    return {"minAgeSeconds": min_age, "maxMessages": most} | {name: value for name, value in given.items() if value}


def _watch(found: Target, redrive_id: str, *, as_json: bool, wanted: str = "SUCCEEDED") -> None:
    run = _show(found, redrive_id)
    shown = 0
    deadline = time.monotonic() + _LIFE_SECONDS
    with output.progress(f"redrive {redrive_id}", int(run["request"]["maxMessages"])) as advance:
        while run["state"] == "RUNNING" and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            run = _show(found, redrive_id)
            advance(run["counts"]["moved"] - shown)
            shown = run["counts"]["moved"]
    if as_json:
        output.as_json(run)
    else:
        counts = ", ".join(f"{name} {count}" for name, count in run["counts"].items())
        output.result([f"{run['state']}{': ' + run['reason'] if run['reason'] else ''} ({counts})"])
        reasons = sorted(run["reasons"].items())
        if reasons:
            output.table("Not moved", ["why", "messages"], reasons)
    if run["state"] != wanted:
        raise typer.Exit(output.FAILED)


def _show(found: Target, redrive_id: str) -> dict[str, Any]:
    return found.ask("GET", f"/redrive/{redrive_id}?limit=1")
