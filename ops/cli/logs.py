"""`lab logs`: follow the functions' logs, run saved queries over them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli import loglines, output, target
from ops.cli.target import TargetError
from ops.local.cloudwatch import insights
from ops.local.cloudwatch import logs as laptop
from ops.local.cloudwatch.definitions import SavedQuery, definitions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.cli.target import Target

app = typer.Typer(help="Read the functions' logs.", no_args_is_help=True)

_POLL_SECONDS = 1.0
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
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
    chosen = dict([loglines.group_of(found, function)]) if function else loglines.groups(found)
    tail = loglines.Tail(found, chosen, start)
    try:
        while True:
            for name, event in tail.new():
                if as_json:
                    line = {"timestamp": event.timestamp, "function": name, "message": event.message}
                    output.result([json.dumps(line)])
                else:
                    output.result(loglines.shown(name, event))
            if not follow:
                return
            time.sleep(_POLL_SECONDS)
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
        rows = ask(found, filled(known[name], key), start, now + 1)
    if as_json:
        output.as_json({"query": name, "stack": stack, "rows": rows})
        return
    columns = list(dict.fromkeys(column for row in rows for column in row))
    output.say(f"{len(rows)} rows")
    if rows:
        output.table(name, columns, [[row.get(column, "") for column in columns] for row in rows])


def _seconds(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdigit() or int(number) == 0:
        output.misuse(f"--since must be a number and s, m, h or d, as in 90s or 2h, got {text!r}")
    return int(number) * _UNITS[unit]


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


def wants_key(query: SavedQuery) -> bool:
    """Whether a query is about one event."""
    return _KEY in query.text


def filled(query: SavedQuery, key: str | None) -> SavedQuery:
    """A query with a key in place of the word "KEY", which AWS's console leaves to be replaced by hand.

    Raises:
        TargetError: the query wants a key and there is none, or the other way round.
    """
    if wants_key(query) != (key is not None):
        verb = "takes no" if key is not None else "needs a"
        raise TargetError(f"{query.name.rpartition('/')[2]} {verb} --key")
    if key is None:
        return query
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    return SavedQuery(query.name, query.text.replace(_KEY, f'"{quoted}"'), query.groups)


def ask(found: Target, query: SavedQuery, since: int, until: int) -> list[dict[str, str]]:
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
