"""Log events and saved queries of a deployed stack."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ops.cli import target
from ops.cli.target import TargetError
from ops.local.cloudwatch import insights, logs
from ops.local.cloudwatch.definitions import SavedQuery, definitions
from ops.local.cloudwatch.logs import LogEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.cli.target import Target

_KEY = '"KEY"'
_POLL_SECONDS = 0.5
_QUERY_SECONDS = 900  # Logs Insights gives up after an hour; who waits at a terminal does so before


def groups(found: Target) -> dict[str, str]:
    """The stack's functions -> their log groups."""
    prefix = f"/aws/lambda/{target.PROJECT}-{found.stack}-"
    pages = found.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
    names = sorted(group["logGroupName"] for page in pages for group in page["logGroups"])
    return {name.removeprefix(prefix): name for name in names}


def group_of(found: Target, function: str) -> tuple[str, str]:
    """A function's name without what a deployment adds to it, and its log group.

    Raises:
        TargetError: the stack has no such function.
    """
    known = groups(found)
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


def events(found: Target, group: str, since: int) -> Iterator[LogEvent]:
    """The events of a log group from `since` (milliseconds since the epoch) on, by time; none where it is not there."""
    client = found.client("logs")
    if found.emulator is not None:
        yield from logs.read(client, [group], since)
        return
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since)
    for event in (event for page in pages for event in page["events"]):
        yield LogEvent(group, event["logStreamName"], event["timestamp"], event["message"], id=event["eventId"])


def saved(found: Target) -> dict[str, SavedQuery]:
    """The stack's saved queries by their short names."""
    prefix = f"{target.PROJECT}/{found.stack}/"
    if found.emulator is not None:
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


def ask(found: Target, query: SavedQuery, since: int, until: int) -> list[dict[str, str]]:
    """The rows of a query over the events between two moments (seconds since the epoch).

    Raises:
        TargetError: Logs Insights could not answer.
        UnsupportedError: the query holds something that the laptop does not know.
    """
    client = found.client("logs")
    if found.emulator is not None:
        return insights.run(query.text, logs.read(client, query.groups, since * 1000, until * 1000))
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
            time.sleep(_POLL_SECONDS)
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
