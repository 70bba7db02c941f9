"""`lab logs`: follow the functions' logs, run saved queries over them."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli import output, target
from ops.cli.target import TargetError
from ops.local.cloudwatch import insights
from ops.local.cloudwatch import logs as laptop
from ops.local.cloudwatch.definitions import SavedQuery, definitions
from ops.local.cloudwatch.logs import LogEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ops.cli.target import Target

app = typer.Typer(help="Read the functions' logs.", no_args_is_help=True)

# The program's functions, of every configuration; a contract test keeps them equal. The log groups of a stack dev-eu
# begin as those of dev do: the whole name tells them apart.
FUNCTIONS = frozenset(
    f"{pipeline}-{role}" for pipeline in ("events", "orders", "lake") for role in ("worker", "breaker")
) | {
    "events-ingest",
    "orders-api",
    "lake-gate",
    "lake-ingest",
    "redrive",
    "redrive-api",
    "failure-mode",
    "alarm-webhook",
    "authorizer",
}
_POLL_SECONDS = 1.0
_OVERLAP_MS = 10_000  # events of one moment do not come at one moment
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Lambda's own lines; a failure of Lambda's (a time-out, a process that died) is none of them.
_CHATTER = re.compile(r"(INIT_START|START|END|REPORT|EXTENSION) ")
_HEAD = ("timestamp", "level", "message", "service")
_SEEN_KEPT = 100_000
_KEY = '"KEY"'
_ANSWER_POLL_SECONDS = 0.5
_QUERY_SECONDS = 900  # Logs Insights gives up after an hour; who waits at a terminal does so before

SinceOption = Annotated[str, typer.Option("--since", metavar="TIME", help="How far back: 90s, 10m, 1h, 7d.")]
FunctionOption = Annotated[
    str | None, typer.Option("--function", metavar="NAME", help="Only this function; default: all.")
]
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Continue until Ctrl-C.")]
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
    """Show the functions' log lines, oldest first. --json adds Lambda's own lines and metrics.

    Example: lab logs tail --function events-worker --follow
    """
    start = int((time.time() - _seconds(since)) * 1000)
    found = target.find(stack)
    chosen = dict([_group_of(found, function)]) if function else _groups(found)
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
    known = saved(found)
    if name not in known:
        output.misuse(
            f"there is no query {name}; there are: {', '.join(sorted(known)) or 'none (observabilityEnabled)'}"
        )
    with output.busy(f"asking for {name}"):
        rows = _ask(found, filled(known[name], key), start, now + 1)
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
        events = [(name, event) for name, group in chosen.items() for event in _events(found, group, start)]
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
    line = laptop.fields(text)
    if not text or _CHATTER.match(text) or "_aws" in line:
        return []
    when = datetime.fromtimestamp(event.timestamp / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
    if "message" not in line:
        return [f"{when} {function} {text}"]
    fields = " ".join(f"{name}={_word(value)}" for name, value in line.items() if name not in _HEAD)
    return [f"{when} {function} {line.get('level', '-')} {line['message']} {fields}".rstrip()]


def _word(value: object) -> str:
    return value if isinstance(value, str) and value and " " not in value else json.dumps(value)


def _seconds(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdigit() or int(number) == 0:
        output.misuse(f"--since must be a number and s, m, h or d, as in 90s or 2h, got {text!r}")
    return int(number) * _UNITS[unit]


def _groups(found: Target) -> dict[str, str]:
    """The stack's functions -> their log groups."""
    prefix = f"/aws/lambda/{target.PROJECT}-{found.stack}-"
    pages = found.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
    names = sorted(group["logGroupName"] for page in pages for group in page["logGroups"])
    return {short: name for name in names if (short := name.removeprefix(prefix)) in FUNCTIONS}


def _group_of(found: Target, function: str) -> tuple[str, str]:
    """A function's name without what a deployment adds to it, and its log group.

    Raises:
        TargetError: the stack has no such function.
    """
    known = _groups(found)
    if function not in known:
        client = found.client("lambda")
        try:
            group = client.get_function_configuration(FunctionName=function)["LoggingConfig"]["LogGroup"]
        except client.exceptions.ResourceNotFoundException:
            group = ""
        function = next((name for name, one in known.items() if one == group), function)
    if function not in known:
        raise TargetError(f"there is no function {function}; there are: {', '.join(known)}")
    return function, known[function]


def _events(found: Target, group: str, since: int) -> Iterator[LogEvent]:
    """The events of a log group from `since` (milliseconds since the epoch) on, by time; none where it is not there."""
    client = found.client("logs")
    if not found.has_logs_insights:
        yield from laptop.read(client, [group], since)
        return
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since)
    for event in (event for page in pages for event in page["events"]):
        yield LogEvent(group, event["logStreamName"], event["timestamp"], event["message"], id=event["eventId"])


def saved(found: Target) -> dict[str, SavedQuery]:
    """The stack's saved queries by their short names."""
    prefix = f"{target.PROJECT}/{found.stack}/"
    if not found.has_logs_insights:
        queries = list(definitions(target.state_file()).queries)
    else:
        queries = [
            SavedQuery(one["name"], one["queryString"], one.get("logGroupNames", []))
            for one in _query_definitions(found.client("logs"), prefix)
        ]
    return {one.name.removeprefix(prefix): one for one in queries if one.name.startswith(prefix)}


def filled(query: SavedQuery, key: str | None) -> SavedQuery:
    """A query with a key in place of the word "KEY", which AWS's console leaves to be replaced by hand.

    Raises:
        TargetError: the query wants a key and there is none, or the other way round.
    """
    if (_KEY in query.text) != (key is not None):
        verb = "takes no" if key is not None else "needs a"
        raise TargetError(f"{query.name.rpartition('/')[2]} {verb} --key")
    if key is None:
        return query
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    return SavedQuery(query.name, query.text.replace(_KEY, f'"{quoted}"'), query.groups)


def _ask(found: Target, query: SavedQuery, since: int, until: int) -> list[dict[str, str]]:
    """The rows of a query over the events between two moments (seconds since the epoch).

    Raises:
        TargetError: Logs Insights could not answer.
        UnsupportedError: the query holds something that the laptop does not know.
    """
    client = found.client("logs")
    if not found.has_logs_insights:
        return insights.run(query.text, laptop.read(client, query.groups, since * 1000, until * 1000))
    started = client.start_query(
        logGroupNames=list(query.groups), startTime=since, endTime=until, queryString=query.text
    )
    answer = _answer(client, started["queryId"])
    return [{cell["field"]: cell["value"] for cell in row if cell["field"] != "@ptr"} for row in answer]


def _answer(client: Any, query_id: str) -> list[list[dict[str, str]]]:  # noqa: ANN401 - a boto3 client, made by name
    deadline = time.monotonic() + _QUERY_SECONDS
    status = "Scheduled"
    try:
        while status in ("Scheduled", "Running") and time.monotonic() < deadline:
            answer = client.get_query_results(queryId=query_id)
            if (status := answer["status"]) == "Complete":
                rows: list[list[dict[str, str]]] = answer["results"]
                return rows
            time.sleep(_ANSWER_POLL_SECONDS)
    finally:
        if status in ("Scheduled", "Running"):  # nobody waits for it any more, and it costs what it reads
            client.stop_query(queryId=query_id)
    raise TargetError(f"Logs Insights ended the query with {status}")


def _query_definitions(client: Any, prefix: str) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    following: dict[str, str] = {}
    while True:
        page = client.describe_query_definitions(queryDefinitionNamePrefix=prefix, **following)
        yield from page["queryDefinitions"]
        if "nextToken" not in page:
            return
        following = {"nextToken": page["nextToken"]}
