"""`lab redrive`: preview dead letters, move them back, list, watch and cancel runs; see and delete single letters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer

from ops.cli import letters, output, target

if TYPE_CHECKING:
    from ops.cli.target import Target

app = typer.Typer(help="Move dead letters back, safely.", no_args_is_help=True)

_POLL_SECONDS = 0.5
_LIFE_SECONDS = 14 * 24 * 3600  # no dead letter is kept longer, so no run can be worth more waiting

PipelineOption = Annotated[str | None, typer.Option("--pipeline", help="Of which pipeline; default: events.")]
TypeOption = Annotated[str | None, typer.Option("--error-type", help="Only dead letters with this error type.")]
AgeOption = Annotated[int, typer.Option("--min-age", min=0, help="Only dead letters at least this many seconds old.")]
QueueOption = Annotated[str, typer.Option("--pipeline", help="Of which pipeline.")]
LetterArgument = Annotated[str, typer.Argument(help="The message id that preview shows.", metavar="MESSAGE_ID")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
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


@app.command("list")
def list_(
    most: Annotated[int, typer.Option("--max", min=1, max=100, help="How many runs to show.")] = 20,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """List the runs of the last 30 days, the newest first, with those that run.

    Example: lab redrive list
    """
    found = target.find(stack).ask("GET", f"/redrive?limit={most}")
    if as_json:
        output.as_json(found)
        return
    output.result([_line(run) for run in found["runs"]] or ["no redrive in the last 30 days"])


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
    redrive_id: Annotated[str, typer.Argument(help="The id that start printed; left out: the one that runs.")] = "",
    pipeline: Annotated[str | None, typer.Option("--pipeline", help="Where several run: the one of this.")] = None,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Cancel the run; what it has moved stays moved, the rest stays on the dead-letter queue.

    Example: lab redrive cancel
    """
    found = target.find(stack)
    if pipeline and not redrive_id:
        redrive_id = _running(found, pipeline) or output.fail(f"no redrive of {pipeline} runs")
    asked = found.ask("POST", "/redrive/cancel", {"redriveId": redrive_id} if redrive_id else {})
    _watch(found, asked["redriveId"], as_json=as_json, wanted="CANCELLED")


@app.command()
def show(
    message_id: LetterArgument,
    pipeline: QueueOption = "events",
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Show one dead letter whole: its attributes and its body. It stays where it is.

    Needs: sqs:ReceiveMessage, ChangeMessageVisibility and GetQueueAttributes on the dead-letter queue.

    Example: lab redrive show 0a1b2c3d-1111-2222-3333-444455556666 --pipeline orders
    """
    found = target.find(stack)
    sqs, url = found.client("sqs"), letters.queue_url(found, pipeline)
    with letters.held(sqs, url, message_id) as letter:
        _letter(letter, as_json=as_json)


@app.command()
def delete(
    message_id: LetterArgument,
    pipeline: QueueOption = "events",
    yes: YesOption = False,  # noqa: FBT002 - an option
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Delete one dead letter for good, after a question. Its state record stays.

    Needs: what show needs, and sqs:DeleteMessage.

    Example: lab redrive delete 0a1b2c3d-1111-2222-3333-444455556666 --pipeline orders
    """
    found = target.find(stack)
    sqs, url = found.client("sqs"), letters.queue_url(found, pipeline)
    with letters.held(sqs, url, message_id) as letter:
        if not yes:
            _letter(letter, as_json=False)
            output.confirm("Delete this dead letter? Nothing brings it back.")
        letters.delete(sqs, url, letter)
    output.say(f"deleted: {message_id}")
    if as_json:
        output.as_json({"deleted": message_id, "pipeline": pipeline})


@app.command()
def purge(
    pipeline: Annotated[str, typer.Option("--pipeline", help="Of which pipeline.")],
    yes: YesOption = False,  # noqa: FBT002 - an option
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Delete all dead letters of a pipeline for good, after a question. Refuses while a redrive of them runs.

    Needs: sqs:PurgeQueue and GetQueueAttributes on the dead-letter queue. SQS takes up to a minute.

    Example: lab redrive purge --pipeline orders
    """
    found = target.find(stack)
    sqs, url = found.client("sqs"), letters.queue_url(found, pipeline)
    if running := _running(found, pipeline):
        output.refuse(f"redrive {running} of {pipeline} runs; first: lab redrive cancel {running}")
    number = letters.count(sqs, url)
    if not yes:
        output.confirm(f"Delete all dead letters of {pipeline} (about {number})? Nothing brings them back.")
    sqs.purge_queue(QueueUrl=url)
    output.say(f"purged: about {number} dead letters of {pipeline}")
    if as_json:
        output.as_json({"purged": number, "pipeline": pipeline})


def _running(found: Target, pipeline: str) -> str:
    """Id of the redrive of a pipeline that runs, "" where none does."""
    runs = found.ask("GET", "/redrive?limit=1")["runs"]  # whatever the limit, with those that run
    return next((r["redriveId"] for r in runs if r["state"] == "RUNNING" and r["request"]["pipeline"] == pipeline), "")


def _line(run: dict[str, Any]) -> str:
    """A run on a line of its own, never cut: its id is what one looks for."""
    counts = run["counts"]
    by = f", by {run['requestedBy']}" if run["requestedBy"] else ""
    what = f"{run['state']:<9} {run['request']['pipeline']}: moved {counts['moved']} of {counts['examined']} examined"
    return f"{run['redriveId']}  {what}, started {run['startedAt']}{by}"


def _letter(letter: dict[str, Any], *, as_json: bool) -> None:
    shown = letters.document(letter)
    if as_json:
        output.as_json(shown)
        return
    attributes = sorted((shown["attributes"] | shown["systemAttributes"]).items())
    output.table(f"Dead letter {shown['messageId']}", ["attribute", "value"], attributes)
    output.result([shown["body"]])


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
