"""Log events, read from the emulator."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_PAGE = 10_000  # FilterLogEvents returns no more at once, and the emulator gives no token for the rest


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event of a log. Times in milliseconds since the epoch."""

    group: str
    stream: str
    timestamp: int
    message: str
    ingested: int = 0
    id: str = ""


def read(client: Any, groups: Iterable[str], start: int, end: int | None = None) -> Iterator[LogEvent]:  # noqa: ANN401 - a boto3 client, made by name
    """The events of groups from `start` to `end` (milliseconds, both included), each once, by group and time.

    A group that there is not (yet) has none.
    """
    for group in groups:
        yield from _group(client, group, start, end)


def fields(message: str) -> Mapping[str, Any]:
    """Return the fields of a line that is a JSON object; none of any other line."""
    try:
        found = json.loads(message) if message.startswith("{") else None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _group(client: Any, group: str, start: int, end: int | None) -> Iterator[LogEvent]:  # noqa: ANN401
    until = {} if end is None else {"endTime": end}
    seen: set[str] = set()
    while True:
        try:
            page = client.filter_log_events(logGroupName=group, startTime=start, limit=_PAGE, **until)["events"]
        except client.exceptions.ResourceNotFoundException:
            return
        events = _events(group, page)
        yield from (event for event in events if event.id not in seen)
        if len(page) < _PAGE:
            return
        seen = {event.id for event in events}
        # From the last moment on again, since the page may have ended within it; a moment fuller than a page is cut.
        start = max(events[-1].timestamp, start + 1)


def _events(group: str, page: Sequence[dict[str, Any]]) -> list[LogEvent]:
    """The lines of an invocation have no ids; they come at once in a stream of their own, so their order tells them."""
    repetitions: Counter[str] = Counter()
    events = []
    for event in page:
        stream, moment, message = event["logStreamName"], event["timestamp"], event["message"]
        key = event.get("eventId") or f"{stream} {moment} {message}"
        repetitions[key] += 1
        events.append(
            LogEvent(group, stream, moment, message, event.get("ingestionTime", 0), f"{key} {repetitions[key]}")
        )
    return events
