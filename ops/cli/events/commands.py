"""`lab send` and `lab events`: send events through the API, show their state records."""

from __future__ import annotations

import itertools
import json
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

import typer

from ops.cli import output, records, target
from ops.cli.events.sender import Plan, Sender, Tally
from ops.load import figures
from ops.load.scenario import PATHS, Event, Item, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ops.cli.target import Target

app = typer.Typer(help="Look at single events.", no_args_is_help=True)

_SHOWN_REFUSALS = 5
_LATE_SECONDS = 0.1
_POISON_HINT = "fails while this is on: lab failure set poison_payload --match schemaVersion=2 --wait"

PipelineOption = Annotated[Literal["events", "orders"], typer.Option("--pipeline", help="What is sent, and where to.")]
CountOption = Annotated[
    int | None,
    typer.Option("--count", "-n", min=1, help="How many; default: 10, with --duration no limit.", show_default=False),
]
DurationOption = Annotated[
    float | None, typer.Option("--duration", min=0.1, help="For so many seconds.", show_default=False)
]
RateOption = Annotated[float, typer.Option("--rate", min=0, help="Events per second; 0: as fast as answers come.")]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option("--concurrency", min=1, max=200, help="Calls in flight at most; default: 8, one a core here."),
]
BatchOption = Annotated[bool, typer.Option("--batch/--single", help="100 events per call, or one; orders: one.")]
FileOption = Annotated[str | None, typer.Option("--file", help="Send these: one JSON object a line; - is stdin.")]
TemplateOption = Annotated[
    str | None, typer.Option("--template", help="A JSON file; {n}, {run}, {group} are filled in.")
]
KeyOption = Annotated[str | None, typer.Option("--key", help="Idempotency key; of several: KEY-0, KEY-1, ...")]
DuplicatesOption = Annotated[
    float, typer.Option("--duplicates", min=0, max=90, help="Percent that repeat an earlier one.")
]
PoisonOption = Annotated[float, typer.Option("--poison", min=0, max=100, help="Percent for the worker to refuse.")]
GroupsOption = Annotated[int, typer.Option("--groups", min=0, help="Spread over so many customerId; 0: none.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait until each is SUCCEEDED or FAILED for good.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0, help="How many seconds --wait waits at most.")]


def send(  # noqa: PLR0913, PLR0917 - one option each
    pipeline: PipelineOption = "events",
    count: CountOption = None,
    duration: DurationOption = None,
    rate: RateOption = 0,
    concurrency: ConcurrencyOption = None,
    batch: BatchOption = True,  # noqa: FBT002 - an option
    file: FileOption = None,
    template: TemplateOption = None,
    key: KeyOption = None,
    duplicates: DuplicatesOption = 0,
    poison: PoisonOption = 0,
    groups: GroupsOption = 0,
    wait: WaitOption = False,  # noqa: FBT002 - an option
    timeout: TimeoutOption = 60,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Send events or orders, as load too, and show what became of them.

    What is refused for now (429, 5xx) is sent again. Exits with 1 when one was refused, or, with --wait, is not
    SUCCEEDED. At a --rate, latency counts from when a call was due. More: docs/load.md.

    Example: lab send --rate 50 --duration 30 --concurrency 20 --wait
    """
    if file and (template or duplicates or poison or groups or duration):
        output.misuse("--file sends its lines, each once: leave --template, --duplicates, --poison, ... out")
    if key and duplicates:
        output.misuse("--key gives each a key of its own, which leaves --duplicates none: give one of them")
    scenario = Scenario(
        run=key or uuid.uuid4().hex[:8],  # under the same keys the same events: sending them again is safe
        pipeline=pipeline,
        template=_one(template) if template else None,
        duplicates=duplicates,
        poison=poison,
        groups=groups,
    )
    given = _keyed([Item(event) for event in _read(file)], key, pipeline) if file else None
    total = len(given) if given is not None else count or (None if duration else 10)
    found = target.find(stack)
    if pipeline not in found.pipelines:
        output.fail(f"the stack {stack} has no {pipeline} pipeline: add it to its configuration key pipelines")
    if poison and pipeline == "events":
        output.say("poison: " + _POISON_HINT)
    items: Iterable[Item] = given if given is not None else _made_up(scenario, total, key)
    plan = Plan(batch and pipeline == "events", rate, concurrency or found.connections, duration, path=PATHS[pipeline])
    started = time.monotonic()
    expected = total if duration is None else _expected(total, rate, duration)
    shown = output.counting("sending") if expected is None else output.progress("sending", expected)
    wanted = _Figures(None if duration else total, is_load=bool(rate or duration or concurrency))
    with shown as advance:
        sender = Sender(found.api, plan, advance, identity=found.identity)
        try:
            sender.send(items)
        except KeyboardInterrupt:
            output.say("interrupted")
            _report(sender.tally, wanted, time.monotonic() - started, None, as_json=as_json)
            raise typer.Exit(output.INTERRUPTED) from None
    seconds = time.monotonic() - started
    statuses = _wait(found, sender.tally, timeout, pipeline) if wait else None
    _report(sender.tally, wanted, seconds, statuses, as_json=as_json)
    if sender.tally.refused or (statuses and set(statuses) != {"SUCCEEDED"}):
        raise typer.Exit(output.FAILED)


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="The idempotency key, as the API answered it.")],
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Show the state record of an event.

    Example: lab events show order-7
    """
    record = target.find(stack).ask("GET", f"/events/{quote(key, safe='')}")
    if as_json:
        output.as_json(record)
    else:
        output.table(key, ["attribute", "value"], sorted(record.items()))


def _made_up(scenario: Scenario, total: int | None, key: str | None) -> Iterator[Item]:
    for number in itertools.count() if total is None else range(total):
        item = scenario.item(number)
        yield item if key is None else _under(item, key if total == 1 else f"{key}-{number}", scenario.pipeline)


def _expected(total: int | None, rate: float, duration: float) -> int | None:
    """How many a run will send, where that is known."""
    within = int(rate * duration) if rate else None
    return min(total, within) if total and within else within


def _one(file: str) -> Event:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        output.fail(f"can't read {file}: {error.strerror}")
    return _parsed(text, file)


def _read(file: str) -> list[Event]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        output.fail(f"can't read {file}: {error.strerror}")
    events: list[Event] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            events.append(_parsed(line, f"{file}:{number}"))
    if not events:
        output.fail(f"{file} contains no event")
    return events


def _parsed(line: str, place: str) -> Event:
    try:
        event = json.loads(line)
    except ValueError as error:
        output.fail(f"{place}: not JSON: {error}")
    if not isinstance(event, dict):
        output.fail(f"{place}: an event is a JSON object")
    return event


def _keyed(items: list[Item], key: str | None, pipeline: str) -> list[Item]:
    if key is None:
        return items
    return [_under(item, key if len(items) == 1 else f"{key}-{index}", pipeline) for index, item in enumerate(items)]


def _under(item: Item, key: str, pipeline: str) -> Item:
    """The same under a key: in the body of an event, where a batch has it too, in the header of an order."""
    if pipeline == "orders":
        return Item(item.body, {"Idempotency-Key": key})
    return Item(item.body | {"idempotencyKey": key})


def _wait(found: Target, tally: Tally, timeout: float, pipeline: str) -> dict[str, int]:
    keys = set(tally.keys.values())
    with output.progress("waiting for the worker", len(keys)) as advance:
        return dict(Counter(records.settle(found, keys, timeout, advance, pipeline=pipeline).values()))


@dataclass(frozen=True, slots=True)
class _Figures:
    """What a report is to have."""

    total: int | None  # that were to be sent; None: as many as the time allowed
    is_load: bool  # the latencies, too


def _report(tally: Tally, wanted: _Figures, seconds: float, statuses: dict[str, int] | None, *, as_json: bool) -> None:
    total = tally.taken if wanted.total is None else wanted.total
    refused = sorted(tally.refused, key=lambda refusal: refusal.index)
    for refusal in refused[:_SHOWN_REFUSALS]:
        output.say(f"event {refusal.index} refused ({refusal.status or 'no answer'}): {refusal.reason}")
    if len(refused) > _SHOWN_REFUSALS:
        output.say(f"... and {len(refused) - _SHOWN_REFUSALS} more refused")
    document: dict[str, Any] = {
        "events": total,
        "accepted": len(tally.keys),
        "unique": len(set(tally.keys.values())),
        "refused": [{"index": r.index, "status": r.status, "reason": r.reason} for r in refused],
        "unsent": total - len(tally.keys) - len(refused),
        "seconds": round(seconds, 3),
        "calls": len(tally.latencies),
        "answers": {str(status or "none"): count for status, count in sorted(tally.statuses.items())},
        "latencyMs": figures.summary(tally.latencies),
        "histogram": [{"upToMs": bound, "calls": count} for bound, count in figures.histogram(tally.latencies)],
        "startedLateMs": round(tally.latest * 1000, 1),
        "keys": [tally.keys[index] for index in sorted(tally.keys)],
        "states": statuses,
    }
    if as_json:
        output.as_json(document)
        return
    pace = len(tally.keys) / seconds if seconds else 0.0
    lines = [f"accepted {len(tally.keys)} of {total}, refused {len(refused)}, in {seconds:.1f} s ({pace:.0f}/s)"]
    if document["unsent"]:
        lines.append(f"not sent: {document['unsent']}")
    if repeated := len(tally.keys) - document["unique"]:
        lines.append(f"duplicates among the accepted: {repeated}")
    if wanted.is_load:
        lines += figures.lines(tally.latencies, f"latency of {len(tally.latencies)} calls")
        lines.append(f"answers: {', '.join(f'{count} x {status}' for status, count in document['answers'].items())}")
        if tally.latest > _LATE_SECONDS:
            lines.append(f"calls began up to {tally.latest:.1f} s late: too slow an API, or too low a --concurrency")
    if statuses is not None:
        lines.append("states: " + ", ".join(f"{count} {status}" for status, count in sorted(statuses.items())))
    output.result(lines)
