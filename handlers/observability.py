"""One JSON line per outcome, with the same field names everywhere and never a payload.

Metrics are lines too: CloudWatch makes them of a line in its embedded metric format, without a call.

Fields, environment variables and methods are those of Powertools' Logger, so that who knows it finds what he expects.
Itself it is not used: its package imports tracing and metrics with it, for which each cold start would pay.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TextIO

from handlers import clock

_NAMESPACE = "IngestionLab"
_MAX_VALUES = 100  # of one metric in one line
# ASCII: no name that a caller has chosen (a key, an attribute) can end a line or reach a terminal as a control.
_to_json = json.JSONEncoder(default=str, separators=(",", ":")).encode


class Logger:
    """Lines for standard output: `level`, `message`, `timestamp` and `service`, then keys, then a line's own fields.

    Lambda takes such a line as it is, and drops it where its level is below the function's.
    """

    def __init__(self, level: str, service: str) -> None:
        self.level: int = logging.getLevelNamesMapping()[level.upper()]
        self.stream: TextIO | None = None  # None is standard output as it is at the time
        self._service = service
        self._keys: dict[str, Any] = {}

    def clear_state(self) -> None:
        """Forgets the keys."""
        self._keys = {}

    def append_keys(self, **keys: Any) -> None:  # noqa: ANN401 - whatever JSON has
        """Adds fields to every following line."""
        self._keys |= keys

    def info(self, message: str, *, extra: Mapping[str, Any] = {}) -> None:
        """What was to be expected."""
        self._write(logging.INFO, message, extra)

    def warning(self, message: str, *, extra: Mapping[str, Any] = {}) -> None:
        """What costs nothing yet."""
        self._write(logging.WARNING, message, extra)

    def error(self, message: str, *, extra: Mapping[str, Any] = {}) -> None:
        """A failure."""
        self._write(logging.ERROR, message, extra)

    def _write(self, level: int, message: str, extra: Mapping[str, Any]) -> None:
        if level < self.level:
            return
        line = {"level": logging.getLevelName(level), "message": message, "timestamp": clock.iso(clock.now_ms())}
        line |= {"service": self._service, **self._keys, **extra}
        if trace := os.environ.get("_X_AMZN_TRACE_ID"):
            line["xray_trace_id"] = trace.partition(";")[0].removeprefix("Root=")
        stream = self.stream or sys.stdout
        stream.write(_to_json(line) + "\n")
        stream.flush()  # whatever ends the process next


logger = Logger(
    os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO"), os.environ.get("POWERTOOLS_SERVICE_NAME", "service_undefined")
)


class LambdaContext(Protocol):
    """What the handlers read of Lambda's context."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""


def start_invocation(request_id: str) -> None:
    """Gives every following line of this invocation its request id."""
    logger.clear_state()
    logger.append_keys(requestId=request_id)


def count(
    pipeline: str,
    counts: Mapping[str, int],
    *,
    milliseconds: Mapping[str, Sequence[int]] | None = None,
    each: Mapping[str, Sequence[int]] | None = None,
    seconds: Mapping[str, int] | None = None,
) -> None:
    """Prints embedded metrics of a pipeline: counts, durations and numbers of each thing measured, and ages.

    That is one line, another for each further 100 things, and none where there is nothing to report. A count of 0
    is worth its place only where an alarm waits for the 0: leave it out elsewhere.
    """
    numbers: dict[str, int | Sequence[int]] = {**counts, **(seconds or {})}
    units = dict.fromkeys(milliseconds or {}, "Milliseconds") | dict.fromkeys(seconds or {}, "Seconds")
    rest: list[dict[str, Sequence[int]]] = []
    for several in (milliseconds or {}, each or {}):
        numbers |= {name: values[:_MAX_VALUES] for name, values in several.items() if values}
        rest.append({name: values[_MAX_VALUES:] for name, values in several.items()})
    if numbers:
        sys.stdout.write(json.dumps(_embedded(pipeline, numbers, units), separators=(",", ":")) + "\n")
        count(pipeline, {}, milliseconds=rest[0], each=rest[1])


def _embedded(pipeline: str, numbers: Mapping[str, int | Sequence[int]], units: Mapping[str, str]) -> dict[str, Any]:
    now = clock.now_ms()
    metrics = [{"Name": name, "Unit": units.get(name, "Count")} for name in numbers]
    # with the stack in it, because two stacks of an account and region have the same pipelines
    namespace = f"{_NAMESPACE}/{os.environ['ENVIRONMENT']}"
    directive = {"Namespace": namespace, "Dimensions": [["pipeline"]], "Metrics": metrics}
    return {"_aws": {"Timestamp": now, "CloudWatchMetrics": [directive]}, "pipeline": pipeline, **numbers, **_pass(now)}


def _pass(now: int) -> dict[str, str]:
    """What gets the line past Lambda's log level, which takes a line that does not say its own level for INFO."""
    if logger.level <= logging.INFO:
        return {}
    return {"level": logging.getLevelName(logger.level), "timestamp": clock.iso(now)}
