"""`lab queues`: queues with dead-letter queues outside the program, for the program to adopt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli import output, target
from ops.cli.queues import plan
from ops.cli.queues.plan import QueueError, Step, Wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.cli.target import Target

app = typer.Typer(help="Create and repair queues outside the program.", no_args_is_help=True)

ReceivesOption = Annotated[
    int, typer.Option("--max-receive-count", min=1, max=1000, help="Receives before a message is a dead letter.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command()
def create(  # noqa: PLR0913, PLR0917 - one option each
    name: Annotated[str, typer.Argument(help="Its name without .fifo; the dead-letter queue is NAME-dlq.")],
    fifo: Annotated[bool, typer.Option("--fifo", help="Both queues FIFO; adds .fifo to the names.")] = False,  # noqa: FBT002
    max_receive_count: ReceivesOption = 5,
    visibility: Annotated[
        int,
        typer.Option(min=0, max=43_200, help="Seconds. At least 6 consumer time-outs plus the batching window."),
    ] = 182,  # what the program's default consumer (30 s, window 2 s) needs
    retention_days: Annotated[int, typer.Option(min=1, max=13, help="Days; a dead letter is kept for 14.")] = 4,
    kms_key: Annotated[str, typer.Option(metavar="ARN", help="Customer key; default: SQS's own.")] = "",
    update: Annotated[bool, typer.Option("--update", help="Change what is there and differs.")] = False,  # noqa: FBT002
    dry_run: DryRunOption = False,  # noqa: FBT002 - an option
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Create a queue and its dead-letter queue, as safe as the program's: encrypted, TLS only, redrive by queue.

    When run again with the same options, completes what was interrupted or changes nothing; with other options, shows
    the differences and applies them only with --update.

    Needs: sts:GetCallerIdentity, and on both queues sqs:CreateQueue, GetQueueUrl, GetQueueAttributes,
    SetQueueAttributes.

    Example: lab queues create orders-inbox --max-receive-count 3
    """
    found = target.reach(stack)
    wanted = Wanted(
        name=name,
        prefix=_prefix(found),
        fifo=fifo,
        max_receive_count=max_receive_count,
        visibility=visibility,
        retention=retention_days * plan.DAY,
        kms_key=kms_key,
        tls=found.speaks_tls,
    )
    sqs = found.client("sqs")
    steps = plan.creation(wanted, _attributes(sqs, wanted.queue_name), _attributes(sqs, wanted.dlq_name))
    _tell(steps)
    if not dry_run:
        if any(not step.creates for step in steps) and not update:
            output.refuse(
                "a queue of that name is there and differs as shown; nothing was changed; --update changes it"
            )
        _carry_out(sqs, steps)
    _report(sqs, wanted.prefix, (wanted.queue_name, wanted.dlq_name), steps, dry_run=dry_run, as_json=as_json)


@app.command("attach-dlq")
def attach_dlq(  # noqa: PLR0913, PLR0917 - one option each
    queue: Annotated[str, typer.Argument(help="Name or URL of the queue.")],
    dlq: Annotated[str, typer.Option(help="Name of the dead-letter queue; default: QUEUE-dlq. Made if missing.")] = "",
    max_receive_count: ReceivesOption = 5,
    dry_run: DryRunOption = False,  # noqa: FBT002 - an option
    yes: YesOption = False,  # noqa: FBT002 - an option
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Give a queue without a dead-letter queue one. Nothing else of the queue changes, its policy included.

    Refuses where the queue has another one, where one is FIFO and the other not, and where the DLQ does not keep
    messages longer than the queue. A message that was received more often than the limit already is a dead letter at
    its next receive.

    Needs: sqs:GetQueueUrl, GetQueueAttributes and SetQueueAttributes on both queues, sqs:CreateQueue on the DLQ.

    Example: lab queues attach-dlq legacy-inbox --max-receive-count 5 --dry-run
    """
    found = target.reach(stack)
    sqs = found.client("sqs")
    name = plan.check_name(queue.rpartition("/")[2])
    dlq = plan.check_name(dlq or plan.dlq_name(name))
    there = _attributes(sqs, name)
    if there is None:
        raise QueueError(f"there is no queue {name}")
    steps = plan.attachment(
        there, dlq, _attributes(sqs, dlq), max_receive_count=max_receive_count, tls=found.speaks_tls
    )
    _tell(steps)
    if steps and not dry_run:
        if not yes:
            output.confirm(f"Do this to {name}?")
        _carry_out(sqs, steps)
    prefix = there["QueueArn"].removesuffix(name)
    _report(sqs, prefix, (name, dlq), steps, dry_run=dry_run, as_json=as_json)


def _prefix(found: Target) -> str:
    """What the ARNs of the account's queues begin with; so one call makes a queue whole, its policy included."""
    identity = found.client("sts").get_caller_identity()
    partition = identity["Arn"].split(":")[1]
    return f"arn:{partition}:sqs:{found.client('sqs').meta.region_name}:{identity['Account']}:"


def _attributes(sqs: Any, name: str) -> dict[str, str] | None:  # noqa: ANN401 - a boto3 client, made by name
    url = _url(sqs, name)
    if url is None:
        return None
    attributes: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return attributes


def _url(sqs: Any, name: str) -> str | None:  # noqa: ANN401
    try:
        return str(sqs.get_queue_url(QueueName=name)["QueueUrl"])
    except sqs.exceptions.QueueDoesNotExist:
        return None


def _tell(steps: Sequence[Step]) -> None:
    for line in [line for step in steps for line in step.lines()] or ["both queues are as asked"]:
        output.say(line)


def _carry_out(sqs: Any, steps: Sequence[Step]) -> None:  # noqa: ANN401
    """Do the steps in order; what an interruption leaves undone, the same command does when it is called again."""
    for step in steps:
        if step.creates:
            sqs.create_queue(QueueName=step.queue, Attributes=step.attributes)
        else:
            sqs.set_queue_attributes(QueueUrl=_url(sqs, step.queue), Attributes=step.attributes)


def _report(  # noqa: PLR0913 - what was asked, what was done, and how to tell
    sqs: Any,  # noqa: ANN401
    prefix: str,
    names: tuple[str, str],
    steps: Sequence[Step],
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    queue, dlq = names
    values: dict[str, str | None] = {
        "existingQueueUrl": _url(sqs, queue),
        "existingQueueArn": prefix + queue,
        "existingDlqUrl": _url(sqs, dlq),
        "existingDlqArn": prefix + dlq,
    }
    if plan.is_fifo(queue):  # the program wants a groupBy with it, which only the user knows
        output.say("queueType fifo needs groupBy as well: where in an event its group is")
        values["queueType"] = "fifo"
    if as_json:
        changes = [{"queue": s.queue, "creates": s.creates, "attributes": s.attributes} for s in steps]
        output.as_json({"dryRun": dry_run, "steps": changes, "values": values})
        return
    done = "would be done" if dry_run else "done"
    output.result([f"steps {done}: {len(steps)}", *(f"{name}: {_shown(text)}" for name, text in values.items())])


def _shown(text: str | None) -> str:
    return "(not there yet)" if text is None else text
