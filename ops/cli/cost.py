"""`lab cost`: what a stack costs each month before the first event, and what each million events adds."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli import output, program, target
from ops.cost import fixed, knobs, meter, paths, prices
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
}
_UNKNOWN = (
    f"regions other than {prices.REGION}, discounts, taxes, other currencies",
    "the free tier: nothing of it is subtracted",
    "traffic to the internet; NAT gateways and endpoints of a VPC",
    "failed attempts, duplicates, dead letters, redrives, refused requests",
    "cold starts, which Lambda bills too",
    "reads of the API, the dashboard and lab; requests to a customer key",
    "what S3 stores; the time that rows of your own take",
    "how long AWS takes for what a laptop has measured",
    "provisioned pollers: no page was found with a price",
)

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


def cost(
    stack: target.StackOption = target.LOCAL,
    measured_on: MeasuredOption = "",
    hours: HoursOption = 24,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Show what a stack costs on AWS: each month, and for each million events, item by item. Changes nothing.

    Items are counted from what the program registers for the stack's configuration, deployed or not. Calls, bytes and
    durations are those of runs where CloudWatch knows some, else assumed: each figure says which. Ends with what each
    knob would change, and with what is not known. Prices, their dates and sources: docs/cost.md.

    Example: lab cost --stack dev --measured-on local
    """
    with output.busy(f"counting what stack {stack} is made of"):
        resources = program.registered(stack)
    shape = paths.Shape.of(resources)
    usages = {name: paths.Usage.assumed(name, shape) for name in shape.pipelines}
    source = measured_on or stack
    try:
        found = target.find(source)
        own = resources if source == stack else program.registered(source)
        usages = _measured(found, own, usages, hours)
        note = f"runs of stack {source} in {hours} h"
    except LabError as error:
        if measured_on:
            raise
        note = f"nothing is measured: {error}"
    document = _document(stack, resources, usages, note)
    if as_json:
        output.as_json(document)
    else:
        _show(document)


def _measured(found: Target, own: Sequence[Resource], assumed: Mapping[str, Usage], hours: int) -> dict[str, Usage]:
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
        "unknown": [*(f"an event of {name}: no path of it in ops/cost/paths.py" for name in shape.unpriced), *_UNKNOWN],
    }


def _show(document: Mapping[str, Any]) -> None:
    output.result(wrap(f"List prices of {prices.REGION}, US dollars; {document['runs']}.", _WIDTH))
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
    return f"In all ${document['monthlyTotal']:.2f} a month before the first event; a million events more: {each}."


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
            rows.append([label, *(f"{one['value']:.4g} {one['origin']}" if one["value"] else "" for one in found)])
    return rows


def _change(dollars: float) -> str:
    return f"{dollars:+.2f}" if dollars else ""
