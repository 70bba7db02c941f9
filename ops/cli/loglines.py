"""The functions' log lines: whose they are, which of them are new, how people are shown them."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops.cli import target
from ops.cli.target import TargetError
from ops.local.cloudwatch import logs as laptop
from ops.local.cloudwatch.logs import LogEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ops.cli.target import Target

# The program's functions, of every configuration; a contract test keeps them equal. The log groups of a stack dev-eu
# begin as those of dev do: the whole name tells them apart.
FUNCTIONS = frozenset(
    f"{pipeline}-{role}" for pipeline in ("events", "orders", "lake") for role in ("worker", "breaker")
) | {
    "events-ingest",
    "orders-api",
    "lake-backfill",
    "lake-committer",
    "lake-gate",
    "lake-ingest",
    "redrive",
    "redrive-api",
    "failure-mode",
    "alarm-webhook",
    "authorizer",
}
_OVERLAP_MS = 10_000  # events of one moment do not come at one moment
# Lambda's own lines; a failure of Lambda's (a time-out, a process that died) is none of them.
_CHATTER = re.compile(r"(INIT_START|START|END|REPORT|EXTENSION) ")
_HEAD = ("timestamp", "level", "message", "service")
_LOUD = ("ERROR", "CRITICAL")
_SEEN_KEPT = 100_000


class Tail:
    """New lines of some functions' logs (function -> log group), from a moment on (milliseconds since the epoch)."""

    def __init__(self, found: Target, chosen: Mapping[str, str], start: int) -> None:
        self._client = found.client("logs")
        self._found = found
        self._chosen = chosen
        self._start = start
        self._seen: dict[tuple[str, str], None] = {}

    def new(self) -> list[tuple[str, LogEvent]]:
        """Function and event of those that no earlier call returned, by time; what came late comes when it comes."""
        events = [
            (name, event)
            for name, group in self._chosen.items()
            for event in _events(self._found, self._client, group, self._start)
        ]
        new = [one for one in events if (one[0], one[1].id) not in self._seen]
        self._seen |= {(name, event.id): None for name, event in new}
        for old in list(self._seen)[: max(len(self._seen) - _SEEN_KEPT, 0)]:
            del self._seen[old]
        self._start = max([self._start, *(event.timestamp - _OVERLAP_MS for _, event in new)])
        return sorted(new, key=lambda one: one[1].timestamp)


def shown(function: str, event: LogEvent) -> list[str]:
    """A line for people: when, who, how bad, what, and the fields; nothing for chatter and metrics."""
    text = event.message.rstrip()
    line = laptop.fields(text)
    if not text or _CHATTER.match(text) or "_aws" in line:
        return []
    when = _when(event)
    if "message" not in line:
        return [f"{when} {function} {text}"]
    fields = " ".join(f"{name}={_word(value)}" for name, value in line.items() if name not in _HEAD)
    return [f"{when} {function} {line.get('level', '-')} {line['message']} {fields}".rstrip()]


def mishap(function: str, event: LogEvent, sources: Path | None = None) -> list[str]:
    """Return what people have to see of an event, nothing where nothing went wrong.

    Of a failed record: file and line, the error, the record; then the calls that led there, with the lines of the code
    where `sources` is the folder that it was deployed from. What is no outcome, as what a step prints, is shown whole.
    """
    text = event.message.rstrip()
    line = laptop.fields(text)
    if line.get("level", "ERROR") not in _LOUD:
        return []
    if "message" not in line or "errorType" not in line:
        return shown(function, event)
    message = line.get("errorMessage") or line["errorType"]
    record = [f"record {line['idempotencyKey']}"] if "idempotencyKey" in line else []
    record += [f"attempt {line['attempts']}"] if line.get("attempts") else []
    record += [line["outcome"]] if "outcome" in line else []
    place = f"{line['errorPlace']}: " if line.get("errorPlace") else ""
    head = f"{_when(event)} {function} {place}{message} ({', '.join(record) or line['message']})"
    return [head, *(row for frame in line.get("errorTrace", ()) for row in _frame(frame, sources, event.timestamp))]


def _frame(frame: str, sources: Path | None, at: int) -> list[str]:
    """A call, `file:line in function`, and the line itself where the file has not changed since."""
    file, _, number = frame.partition(" ")[0].rpartition(":")
    if sources is not None and number.isdigit():
        with suppress(OSError, IndexError):
            path = sources / file
            if path.stat().st_mtime * 1000 <= at:
                source = path.read_text(encoding="utf-8").splitlines()[int(number) - 1].strip()
                return [f"    {frame}", f"        {source}"]
    return [f"    {frame}"]


def _when(event: LogEvent) -> str:
    return datetime.fromtimestamp(event.timestamp / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]


def _word(value: object) -> str:
    return value if isinstance(value, str) and value and " " not in value else json.dumps(value)


def groups(found: Target) -> dict[str, str]:
    """The stack's functions -> their log groups."""
    prefix = f"/aws/lambda/{target.PROJECT}-{found.stack}-"
    pages = found.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
    names = sorted(group["logGroupName"] for page in pages for group in page["logGroups"])
    return {short: name for name in names if (short := name.removeprefix(prefix)) in FUNCTIONS}


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


def _events(found: Target, client: Any, group: str, since: int) -> Iterator[LogEvent]:  # noqa: ANN401 - a boto3 client
    """The events of a log group from `since` (milliseconds since the epoch) on, by time; none where it is not there."""
    if not found.has_logs_insights:
        yield from laptop.read(client, [group], since)
        return
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since)
    for event in (event for page in pages for event in page["events"]):
        yield LogEvent(group, event["logStreamName"], event["timestamp"], event["message"], id=event["eventId"])
