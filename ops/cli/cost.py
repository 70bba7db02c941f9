"""`lab cost`: what a stack costs each month before the first event, and what each million events adds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli import output, program, target
from ops.cost import fixed, knobs, meter, paths, prices
from ops.cost.paths import Figure
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ops.cli.target import Target
    from ops.cost.fixed import Resource
    from ops.cost.paths import Usage

_WIDTH = 80
_LABELS = {
    "events": "events a request",
    "producer_ms": "ms of API or ingest",
    "producer_log_bytes": "its log, bytes a request",
    "access_log_bytes": "bytes of access log",
    "message_bytes": "bytes of a message",
    "batch": "messages a batch",
    "worker_ms": "ms of the worker, a batch",
    "worker_log_bytes": "its log, bytes an event",
    "item_bytes": "bytes of a record",
    "files": "files of a chunk",
    "own_keys": "share with an own key",
    "a_month": "events a month",
}
_UNKNOWN = (
    f"regions other than {prices.REGION}, discounts, taxes, other currencies",
    "the free tier: nothing of it is subtracted",
    "traffic to the internet; NAT gateways and endpoints of a VPC",
    "your step: its calls, and its time where no run was measured",
    "failed attempts, duplicates, dead letters, redrives, refused requests",
    "cold starts, which Lambda bills too; milliseconds of what a schedule invokes",
    "reads of the API, the dashboard and lab; requests to a customer key",
    "what grows: rows of orders, which never expire, and what S3 stores",
    "how long AWS takes for what a laptop has measured",
)
_UNKNOWN_MONTH = "traces of a trickle: the first of each second is recorded (--events)"
_UNKNOWN_POLLERS = "provisioned pollers above the least, and how often idle ones ask the queue"
_UNKNOWN_METRICS = "the metrics that functions print: nothing names them here, $0.30 each"

MeasuredOption = Annotated[
    str,
    typer.Option(
        "--measured-on",
        metavar="STACK",
        help="Take what runs were like from this stack; default: the same.",
        show_default=False,
    ),
]
HoursOption = Annotated[int, typer.Option("--hours", min=1, max=336, help="Look at the runs of so many hours.")]
EventsOption = Annotated[
    int,
    typer.Option(
        "--events", min=0, max=10**12, help="Price so many events a month, evenly spread.", show_default=False
    ),
]
SizeOption = Annotated[
    int, typer.Option("--size", min=0, max=1_048_576, help="Bytes of a message.", show_default=False)
]
PerRequestOption = Annotated[
    int, typer.Option("--per-request", min=0, max=100, help="Events in a request to the API.", show_default=False)
]
KeysOption = Annotated[bool, typer.Option("--own-keys", help="Each event has an Idempotency-Key of its caller's.")]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is asked for in place of what was measured or is assumed; 0 asks for nothing."""

    events: int
    size: int
    per_request: int
    own_keys: bool


def cost(  # noqa: PLR0913, PLR0917 - one option each
    stack: target.StackOption = target.LOCAL,
    events: EventsOption = 0,
    size: SizeOption = 0,
    per_request: PerRequestOption = 0,
    own_keys: KeysOption = False,  # noqa: FBT002 - an option
    change: program.ChangeOption = None,
    measured_on: MeasuredOption = "",
    hours: HoursOption = 24,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Show what a stack costs on AWS: each month, and for each million events, item by item. Changes nothing.

    Items are counted from what the program registers for the stack's configuration, deployed or not. Calls, bytes and
    durations are those of runs where CloudWatch knows some, else assumed: each figure says which. Ends with what each
    knob would change, and with what is not known. Prices, their dates and sources: docs/cost.md.

    Example: lab cost --stack dev --events 30000000 --size 2048 --own-keys
    """
    with output.busy(f"counting what stack {stack} is made of"):
        resources = program.registered(stack, program.changed(change))
    shape = paths.Shape.of(resources)
    if per_request > 1 and paths.TOGETHER not in shape.pipelines:
        output.misuse(f"--per-request is for {paths.TOGETHER}, which stack {stack} has not")
    if (size or own_keys) and not {*shape.pipelines} - {"lake"}:
        output.misuse(f"--size and --own-keys are for events and orders, which stack {stack} has not")
    usages = {name: paths.Usage.assumed(name, shape) for name in shape.pipelines}
    source = measured_on or stack
    unread: list[str] = []
    try:
        found = target.find(source)
        own = resources if source == stack else program.registered(source)
        measured = _measured(found, own, usages, hours)
        usages, unread = measured.usages, measured.unread
        note = f"runs of stack {source} in {hours} h"
        if not any(figure.origin == "measured" for usage in usages.values() for figure in usage.figures().values()):
            note = f"nothing is measured: no {note}"
    except LabError as error:
        if measured_on:
            raise
        note = f"nothing is measured: {error}"
    except Exception as error:
        if measured_on or not type(error).__module__.startswith("botocore."):  # not imported here, as in commands.py
            raise
        note = f"nothing is measured: {error}"
    traffic = Traffic(events, size, per_request, own_keys)
    usages = {name: _asked(name, shape, usage, traffic) for name, usage in usages.items()}
    document = _document(stack, resources, usages, note) | {"unread": unread}
    if events:
        document |= {"eventsAMonth": events}
    if as_json:
        output.as_json(document)
    else:
        _show(document)


def _asked(name: str, shape: paths.Shape, usage: Usage, traffic: Traffic) -> Usage:
    """The usage with what is asked for; a message of the lake names a part of an object, and has no caller."""
    if traffic.size and name != "lake":
        kept = Figure(paths.record_bytes(traffic.size))
        usage = replace(usage, message_bytes=Figure(traffic.size, "asked"), item_bytes=kept)
    if traffic.own_keys and name != "lake":
        usage = replace(usage, own_keys=Figure(1, "asked"))
    if traffic.per_request and name == paths.TOGETHER:
        usage = paths.together(usage, traffic.per_request, "asked")
    return paths.of_a_month(name, shape, usage, traffic.events) if traffic.events else usage


def _measured(found: Target, own: Sequence[Resource], assumed: Mapping[str, Usage], hours: int) -> meter.Measured:
    now = datetime.now(UTC)
    place = meter.Place(found.stack, found.client, found.outputs, found.pipelines, own)
    return meter.measured(place, assumed, now - timedelta(hours=hours), now)


def _document(stack: str, resources: Sequence[Resource], usages: Mapping[str, Usage], note: str) -> dict[str, Any]:
    shape = paths.Shape.of(resources)
    monthly = [
        {"item": one.name, "count": one.count(resources), "dollars": float(one.dollars(resources))}
        for one in fixed.ITEMS
    ]
    pipelines = {
        name: {
            "perMillion": [
                {"item": one.name, "unit": one.price.unit, "quantity": one.quantity, "dollars": one.per_million}
                for one in paths.lines(name, shape, usage)
            ],
            "total": paths.per_million(name, shape, usage),
            "figures": {key: asdict(figure) for key, figure in usage.figures().items()},
        }
        for name, usage in usages.items()
    }
    return {
        "stack": stack,
        "region": prices.REGION,
        "runs": note,
        "monthly": [one for one in monthly if one["count"]],
        "monthlyTotal": sum(float(one.dollars(resources)) for one in fixed.ITEMS),
        "pipelines": pipelines,
        "knobs": [
            {"knob": one.knob, "monthly": one.monthly, "perMillion": one.per_million}
            for one in knobs.changes(resources, usages)
        ],
        "unknown": [
            *(f"an event of {name}: no path of it in ops/cost/paths.py" for name in shape.unpriced),
            *_UNKNOWN,
            *_unknown(resources, shape, usages),
        ],
    }


def _unknown(resources: Sequence[Resource], shape: paths.Shape, usages: Mapping[str, Usage]) -> Iterator[str]:
    """What is not known of this configuration and traffic."""
    if shape.tracing and not all(usage.a_month.value for usage in usages.values()):
        yield _UNKNOWN_MONTH
    if any(one.inputs.get("provisionedPollerConfig") for one in fixed.of(resources, "EventSourceMapping")):
        yield _UNKNOWN_POLLERS
    if not fixed.of(resources, "Dashboard"):
        yield _UNKNOWN_METRICS


def _show(document: Mapping[str, Any]) -> None:
    output.result(wrap(f"List prices of {prices.REGION}, US dollars; {document['runs']}.", _WIDTH))
    if document["unread"]:
        text = f"CloudWatch has not told all, so that it is not counted as measured: {'; '.join(document['unread'])}."
        output.result(wrap(text, _WIDTH))
    monthly = [[one["item"], f"{one['count']:,}", f"{one['dollars']:.2f}"] for one in document["monthly"]]
    monthly.append(["in all", "", f"{document['monthlyTotal']:.2f}"])
    output.table("Each month, before the first event", ["item", "how many", "dollars"], monthly)
    pipelines: Mapping[str, Any] = document["pipelines"]
    objects = " (lake: objects)" if "lake" in pipelines else ""
    output.table(f"A million events more{objects}", ["item", *pipelines], _items(pipelines))
    output.table("What a run is like", ["figure", *pipelines], _figures(pipelines))
    knobs_ = [
        [one["knob"], _change(one["monthly"]), *(_change(one["perMillion"].get(name, 0)) for name in pipelines)]
        for one in document["knobs"]
    ]
    output.table("What a knob changes: a month, a million", ["knob", "month", *pipelines], knobs_)
    output.result(["Not known, or not in it:", *(f"- {one}" for one in document["unknown"])])
    output.result(wrap(_conclusion(document), _WIDTH))


def _conclusion(document: Mapping[str, Any]) -> str:
    """The last line, which stays on the screen."""
    each = ", ".join(f"{name} ${found['total']:.2f}" for name, found in document["pipelines"].items()) or "none known"
    text = f"In all ${document['monthlyTotal']:.2f} a month before the first event; a million events more: {each}."
    if events := document.get("eventsAMonth", 0):
        totals = {name: found["total"] * events / paths.MILLION for name, found in document["pipelines"].items()}
        those = ", ".join(f"{name} ${total:,.2f}" for name, total in totals.items()) or "none known"
        whole = document["monthlyTotal"] + sum(totals.values())
        of_each = " of each pipeline" if len(totals) > 1 else ""
        text += f" {events:,} events a month{of_each}: {those}; with what comes before the first: ${whole:,.2f}."
    return text


def _items(pipelines: Mapping[str, Any]) -> list[list[object]]:
    """Dollars of each item by pipeline, items in the order of the paths."""
    dollars = {name: {one["item"]: one["dollars"] for one in found["perMillion"]} for name, found in pipelines.items()}
    names = dict.fromkeys(item for found in dollars.values() for item in found)
    rows: list[list[object]] = [
        [item, *(f"{found[item]:.2f}" if item in found else "" for found in dollars.values())] for item in names
    ]
    return [*rows, ["in all", *(f"{found['total']:.2f}" for found in pipelines.values())]]


def _figures(pipelines: Mapping[str, Any]) -> list[list[object]]:
    """Each figure by pipeline, with where it comes from."""
    rows: list[list[object]] = []
    for key, label in _LABELS.items():
        found = [one["figures"][key] for one in pipelines.values()]
        if any(one["value"] for one in found):
            rows.append([label, *(f"{_figure(one['value'])} {one['origin']}" if one["value"] else "" for one in found)])
    return rows


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _change(dollars: float) -> str:
    return f"{dollars:+.2f}" if dollars else ""
