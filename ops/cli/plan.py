"""`lab plan`: what a load does to a stack, before it is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli import output, program, target
from ops.cost import paths
from ops.plan import report
from ops.plan.model import Load
from ops.plan.stack import PlanError, pipelines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops.plan.model import Pipeline

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST = 14 * 86_400
_FIFO = "--set queueType=fifo --set groupBy=/customerId --set maxBatchingWindowSeconds=0"


def plan(  # noqa: PLR0913, PLR0917 - one option each
    worker_ms: Annotated[
        float, typer.Option(min=0.1, max=900_000, help="Milliseconds of the business step, an event.")
    ],
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=10_000_000,
            help="Events a second. Default: 4/5 of what it bears.",
            show_default=False,
        ),
    ] = None,
    outage: Annotated[str, typer.Option(help="How long the downstream is away: 90s, 20m, 3h, 2d.")] = "0s",
    poison: Annotated[str, typer.Option(help="Share of events that can never succeed.")] = "0%",
    transient: Annotated[str, typer.Option(help="Share of attempts that fail and are tried again.")] = "0%",
    size: Annotated[int, typer.Option(min=1, max=1_048_576, help="Bytes of a message.")] = 1024,
    batch_ms: Annotated[
        float, typer.Option(min=0, max=900_000, help="Milliseconds of an invocation beside its steps.")
    ] = 30,
    per_request: Annotated[float, typer.Option(min=1, max=100, help="Events in a request to the API.")] = 1,
    groups: Annotated[int, typer.Option(min=0, help="Groups of a FIFO queue.")] = 0,
    redrive: Annotated[
        float, typer.Option(min=0, max=10_000_000, help="Dead letters put back a second, once all is worked.")
    ] = 0,
    quota: Annotated[int, typer.Option(min=1, help="The account's Lambda concurrency.")] = 1000,
    pipeline: Annotated[str, typer.Option(help="Default: events, else orders, else lake.")] = "",
    change: program.ChangeOption = None,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Tell how much a stack bears, and what a load does to it; changes nothing.

    The pipeline is taken from the stack's configuration, AWS's limits from its
    published figures (docs/scaling.md). Exits with 1 where the load can't be taken so, or good events would be lost.

    Example: lab plan --rate 50 --worker-ms 80 --outage 3h --poison 1% --stack dev
    """
    load = Load(
        rate=rate or 1,
        worker_ms=worker_ms,
        batch_ms=batch_ms,
        size=size,
        poison=_share("--poison", poison),
        transient=_share("--transient", transient),
        outage=_time("--outage", outage),
        groups=groups or None,
        per_request=per_request,
        account_concurrency=quota,
        redrive_rate=redrive,
    )
    changes = program.changed(change)
    with output.busy(f"planning for stack {stack}"):
        there = program.registered(stack, changes)
        found = _chosen(stack, pipeline, pipelines(there))
        if found.fifo and not groups:
            output.misuse("a FIFO queue is worked by as many invocations as it has groups: how many, --groups")
        if groups and not found.fifo:
            output.misuse(
                f"--groups is for a FIFO queue, and that of {found.name} is none; with {_FIFO} the events queue is"
            )
        if per_request > 1 and found.name != paths.TOGETHER:
            output.misuse(f"--per-request is for {paths.TOGETHER}: a request to the API of {found.name} has one")
        if rate is None:
            load = report.usual(found, load)
        made = report.make(found, load, paths.Shape.of(there))
    if as_json:
        output.as_json(report.as_json(made, stack=stack))
    else:
        output.result(report.lines(made, stack=stack))
    if made.problems:
        raise typer.Exit(output.FAILED)


def _chosen(stack: str, name: str, there: Mapping[str, Pipeline]) -> Pipeline:
    if name and name not in there:
        raise PlanError(f"stack {stack} has no pipeline {name}: it has {_names(list(there))}")
    return next(there[one] for one in (name, *paths.PRODUCERS, *sorted(there)) if one in there)


def _names(there: Sequence[str]) -> str:
    return ", ".join(sorted(there))


def _time(option: str, text: str) -> int:
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not found or int(found[1]) * _UNITS[found[2]] > _LONGEST:
        output.misuse(f"{option} must be a time of at most 14 days, as in 90s, 20m, 3h or 2d, got {text!r}")
    return int(found[1]) * _UNITS[found[2]]


def _share(option: str, text: str) -> float:
    found = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%", text)
    if not found or float(found[1]) > 100:
        output.misuse(f"{option} must be a share from 0% to 100%, as in 1%, got {text!r}")
    return float(found[1]) / 100
