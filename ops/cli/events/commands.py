"""`lab send` and `lab events`: send events through the API, show their state records."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from ops.cli import output, records, target
from ops.cli.events.sender import Event, Plan, Sender, Tally

if TYPE_CHECKING:
    from ops.cli.target import Target

app = typer.Typer(help="Look at single events.", no_args_is_help=True)

_SHOWN_REFUSALS = 5

CountOption = Annotated[int, typer.Option("--count", "-n", min=1, help="How many sample orders to send.")]
BatchOption = Annotated[bool, typer.Option("--batch/--single", help="Send 100 events per call, or one.")]
RateOption = Annotated[float, typer.Option("--rate", min=0, help="Events per second; 0: no limit.")]
FileOption = Annotated[
    str | None, typer.Option("--file", help="Send these events instead: one JSON object a line; - reads stdin.")
]
KeyOption = Annotated[
    str | None, typer.Option("--key", help="Idempotency key; with several events, its prefix (KEY-0, KEY-1, ...).")
]
WaitOption = Annotated[
    bool, typer.Option("--wait", help="Wait until every accepted event is SUCCEEDED or FAILED for good.")
]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0, help="How many seconds --wait waits at most.")]


def send(  # noqa: PLR0913, PLR0917 - one option each
    count: CountOption = 10,
    batch: BatchOption = True,  # noqa: FBT002 - an option
    rate: RateOption = 0,
    file: FileOption = None,
    key: KeyOption = None,
    wait: WaitOption = False,  # noqa: FBT002 - an option
    timeout: TimeoutOption = 60,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Send events through the API and show the result.

    Retries what the API refuses for now (429, 5xx, per event of a batch). Exits with 1 when an event was refused, or,
    with --wait, when one is not SUCCEEDED in the end.

    Example: lab send --count 500 --rate 50 --wait
    """
    events = _keyed(_read(file) if file else _made_up(count), key)
    found = target.find(stack)
    started = time.monotonic()
    with output.progress("sending", len(events)) as advance:
        sender = Sender(found.api, Plan(batch, rate, found.connections), advance, identity=found.identity)
        try:
            sender.send(events)
        except KeyboardInterrupt:
            output.say("interrupted")
            _report(sender.tally, len(events), time.monotonic() - started, None, as_json=as_json)
            raise typer.Exit(output.INTERRUPTED) from None
    seconds = time.monotonic() - started
    statuses = _wait(found, sender.tally, timeout) if wait else None
    _report(sender.tally, len(events), seconds, statuses, as_json=as_json)
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


def _made_up(count: int) -> list[Event]:
    run = uuid.uuid4().hex[:8]
    return [{"orderId": f"order-{run}-{index}", "amount": 10 + index % 90, "currency": "EUR"} for index in range(count)]


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


def _keyed(events: list[Event], key: str | None) -> list[Event]:
    if key is None:
        return events
    if len(events) == 1:
        return [events[0] | {"idempotencyKey": key}]
    return [event | {"idempotencyKey": f"{key}-{index}"} for index, event in enumerate(events)]


def _wait(found: Target, tally: Tally, timeout: float) -> dict[str, int]:
    keys = set(tally.keys.values())
    with output.progress("waiting for the worker", len(keys)) as advance:
        return dict(Counter(records.settle(found, keys, timeout, advance).values()))


def _report(tally: Tally, total: int, seconds: float, statuses: dict[str, int] | None, *, as_json: bool) -> None:
    refused = sorted(tally.refused, key=lambda refusal: refusal.index)
    for refusal in refused[:_SHOWN_REFUSALS]:
        output.say(f"event {refusal.index} refused ({refusal.status or 'no answer'}): {refusal.reason}")
    if len(refused) > _SHOWN_REFUSALS:
        output.say(f"... and {len(refused) - _SHOWN_REFUSALS} more refused")
    document: dict[str, Any] = {
        "events": total,
        "accepted": len(tally.keys),
        "refused": [{"index": r.index, "status": r.status, "reason": r.reason} for r in refused],
        "unsent": total - len(tally.keys) - len(refused),
        "seconds": round(seconds, 3),
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
    if statuses is not None:
        lines.append("states: " + ", ".join(f"{count} {status}" for status, count in sorted(statuses.items())))
    output.result(lines)
