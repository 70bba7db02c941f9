"""One JSON line per outcome (Powertools' Logger), with the same field names everywhere and never a payload.

Metrics are lines too: CloudWatch makes them of a line in its embedded metric format, without a call and without
Powertools' Metrics, whose import a cold start would pay for.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from aws_lambda_powertools.logging.logger import Logger

from handlers import clock

_NAMESPACE = "IngestionLab"

# ASCII: no name that a caller has chosen (a key, an attribute) can end a line or reach a terminal as a control.
_to_json = partial(json.dumps, default=str, separators=(",", ":"))
# `location` and `sampling` say nothing that the constant message does not; leaving them out halves a line.
logger = Logger(location=None, use_rfc3339=True, utc=True, json_serializer=_to_json)

_MAX_VALUES = 100  # of one metric in one line


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
    if logger.log_level <= logging.INFO:
        return {}
    return {"level": logging.getLevelName(logger.log_level), "timestamp": clock.iso(now)}
