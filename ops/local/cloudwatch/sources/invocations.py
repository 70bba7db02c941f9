"""AWS/Lambda and AWS/ApiGateway, from the logs of the functions.

Every invocation is a log stream of its own that ends with a REPORT line. Known so: Invocations, Errors, Duration, and
of the API Count, 4xx, 5xx and Latency for each request that reached a function. Not known, so not published: Duration
of an invocation that began with a cold start (the emulator counts the start in), ConcurrentExecutions, requests that
the API refused itself. An API function that fails when something else than the API invoked it counts as a 5xx.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from ops.local.cloudwatch import logs
from ops.local.cloudwatch.metrics import Datum, Metric, Point

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ops.local.cloudwatch.logs import LogEvent

_REPORT = re.compile(r"REPORT RequestId: \S+\tDuration: ([\d.]+) ms")
_TIMEOUT = re.compile(r"Task timed out after ([\d.]+) seconds")
_FAILURES = ("Traceback (most recent call last):", "Task timed out after ", "Worker process died", "[ERROR] Runtime.")


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation, as its log tells it. Time in seconds since the epoch, duration in milliseconds."""

    function: str
    ended: float
    duration: float
    failed: bool
    timed_out: bool
    status: int | None  # of the answer, where it logged one

    @property
    def started(self) -> float:
        """When it began, its cold start included."""
        return self.ended - self.duration / 1000


def invocations(events: Iterable[LogEvent], functions: Mapping[str, str]) -> Iterator[Invocation]:
    """The invocations in the events of functions' groups (group -> function)."""
    mine = (event for event in events if event.group in functions)
    for (group, _), lines in groupby(sorted(mine, key=_stream), key=_stream):
        yield from _one(functions[group], list(lines))


def data(found: Iterable[Invocation], apis: Mapping[str, str], cold: Counter[str]) -> Iterator[Datum]:
    """The datapoints of invocations; `apis` holds the API that a function answers for.

    `cold` holds how many cold starts of a function still belong to an invocation: taken off, the longest first.
    """
    for one in sorted(found, key=lambda invocation: -invocation.duration):
        began_cold = cold[one.function] > 0
        cold[one.function] -= began_cold
        yield from _function(one, began_cold=began_cold)
        if one.function in apis and (one.failed or one.status is not None):
            yield from _request(one, apis[one.function])


def _stream(event: LogEvent) -> tuple[str, str]:
    return event.group, event.stream


def _one(function: str, lines: Sequence[LogEvent]) -> Iterator[Invocation]:
    report = next((match for line in lines if (match := _REPORT.match(line.message))), None)
    if report is None:
        return
    texts = [line.message for line in lines]
    timeout = next((match for text in texts if (match := _TIMEOUT.match(text))), None)
    documents = [document for text in texts if (document := logs.fields(text))]
    yield Invocation(
        function=function,
        ended=lines[-1].timestamp / 1000,
        duration=float(timeout.group(1)) * 1000 if timeout else float(report.group(1)),
        failed=any(text.startswith(_FAILURES) for text in texts),
        timed_out=timeout is not None,
        status=next((d["status"] for d in documents if "route" in d and isinstance(d.get("status"), int)), None),
    )


def _function(one: Invocation, *, began_cold: bool) -> Iterator[Datum]:
    values = {"Invocations": 1.0, "Errors": float(one.failed), "Throttles": 0.0}
    for name, value in values.items():
        yield _datum("AWS/Lambda", name, {"FunctionName": one.function}, one.ended, value, "Count")
    if one.timed_out or not began_cold:
        dimensions = {"FunctionName": one.function}
        yield _datum("AWS/Lambda", "Duration", dimensions, one.ended, one.duration, "Milliseconds")


def _request(one: Invocation, api: str) -> Iterator[Datum]:
    status = 500 if one.failed or one.status is None else one.status
    counts = {"Count": 1.0, "4xx": float(400 <= status < 500), "5xx": float(status >= 500)}
    for dimensions in ({"ApiId": api}, {"ApiId": api, "Stage": "$default"}):
        for name, value in counts.items():
            yield _datum("AWS/ApiGateway", name, dimensions, one.ended, value, "Count")
        for name in ("Latency", "IntegrationLatency"):
            yield _datum("AWS/ApiGateway", name, dimensions, one.ended, one.duration, "Milliseconds")


def _datum(namespace: str, name: str, dimensions: Mapping[str, str], at: float, value: float, unit: str) -> Datum:  # noqa: PLR0913, PLR0917 - one for each part of it
    return Datum(Metric.of(namespace, name, dimensions), Point(at, value), unit)
