"""`lab logs`: what the functions say, as it comes or by a saved query."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli import logbook, output, target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ops.cli.target import Target
    from ops.local.cloudwatch.logs import LogEvent

app = typer.Typer(help="Read the functions' logs.", no_args_is_help=True)

_POLL_SECONDS = 1.0
_OVERLAP_MS = 10_000  # events of one moment do not come at one moment
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Lambda's own lines; a failure of Lambda's (a time-out, a process that died) is none of them.
_CHATTER = re.compile(r"(INIT_START|START|END|REPORT|EXTENSION) ")
_HEAD = ("timestamp", "level", "message", "service")
_SEEN_KEPT = 100_000

SinceOption = Annotated[str, typer.Option("--since", metavar="TIME", help="How far back: 90s, 10m, 1h, 7d.")]
FunctionOption = Annotated[
    str | None, typer.Option("--function", metavar="NAME", help="Only this function; default: all.")
]
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")]
KeyOption = Annotated[
    str | None, typer.Option("--key", help="The idempotency key or correlation id that the query is about.")
]


@app.command()
def tail(
    function: FunctionOption = None,
    since: SinceOption = "10m",
    follow: FollowOption = False,  # noqa: FBT002 - an option
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Show the functions' lines, oldest first; with --json one document per line, Lambda's own and metrics included.

    Example: lab logs tail --function events-worker --follow
    """
    start = int((time.time() - _seconds(since)) * 1000)
    found = target.find(stack)
    chosen = dict([logbook.group_of(found, function)]) if function else logbook.groups(found)
    try:
        for name, event in _stream(found, chosen, start, follow=follow):
            if as_json:
                output.result([json.dumps({"timestamp": event.timestamp, "function": name, "message": event.message})])
            else:
                output.result(_shown(name, event))
    except KeyboardInterrupt:
        if not follow:  # Ctrl-C is how a reader leaves what would go on for ever
            raise


@app.command()
def query(
    name: Annotated[str, typer.Argument(help="A saved query: a file of ops/queries without its ending.")],
    since: SinceOption = "1h",
    key: KeyOption = None,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Run a saved query of Logs Insights.

    Example: lab logs query failures-by-type --since 2h
    """
    now = int(time.time())
    start = now - _seconds(since)
    found = target.find(stack)
    known = logbook.saved(found)
    if name not in known:
        output.fail(f"there is no query {name}; there are: {', '.join(sorted(known)) or 'none (observabilityEnabled)'}")
    with output.busy(f"asking for {name}"):
        rows = logbook.ask(found, logbook.filled(known[name], key), start, now + 1)
    if as_json:
        output.as_json({"query": name, "stack": stack, "rows": rows})
        return
    columns = list(dict.fromkeys(column for row in rows for column in row))
    output.say(f"{len(rows)} rows")
    if rows:
        output.table(name, columns, [[row.get(column, "") for column in columns] for row in rows])


def _stream(found: Target, chosen: Mapping[str, str], start: int, *, follow: bool) -> Iterator[tuple[str, LogEvent]]:
    """Events of all groups by time, each once; while following, what came late comes when it comes."""
    seen: dict[tuple[str, str], None] = {}
    while True:
        events = [(name, event) for name, group in chosen.items() for event in logbook.events(found, group, start)]
        new = [one for one in events if (one[0], one[1].id) not in seen]
        yield from sorted(new, key=lambda one: one[1].timestamp)
        if not follow:
            return
        seen |= {(name, event.id): None for name, event in new}
        for old in list(seen)[: max(len(seen) - _SEEN_KEPT, 0)]:
            del seen[old]
        start = max([start, *(event.timestamp - _OVERLAP_MS for _, event in new)])
        time.sleep(_POLL_SECONDS)


def _shown(function: str, event: LogEvent) -> list[str]:
    """A line for people: when, who, how bad, what, and the fields; nothing for chatter and metrics."""
    text = event.message.rstrip()
    line = _parsed(text)
    if not text or _CHATTER.match(text) or "_aws" in line:
        return []
    when = datetime.fromtimestamp(event.timestamp / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
    if "message" not in line:
        return [f"{when} {function} {text}"]
    fields = " ".join(f"{name}={_word(value)}" for name, value in line.items() if name not in _HEAD)
    return [f"{when} {function} {line.get('level', '-')} {line['message']} {fields}".rstrip()]


def _parsed(text: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}


def _word(value: object) -> str:
    return value if isinstance(value, str) and value and " " not in value else json.dumps(value)


def _seconds(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdigit() or int(number) == 0:
        output.fail(f"--since wants a number and s, m, h or d, as in 90s or 2h, got {text!r}")
    return int(number) * _UNITS[unit]
