"""`lab watch`: show queues, functions and alarms, live."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli import alarms, output, status, target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.cli.target import Target

_SPAN = timedelta(minutes=5)
_PERIOD_SECONDS = 60
_METRICS = ("Invocations", "Errors", "Throttles")

TimesOption = Annotated[
    int | None, typer.Option("--times", min=1, help="Stop after this many looks; default: never.", show_default=False)
]


def watch(
    times: TimesOption = None,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Show queues, functions (of the last five minutes) and alarms, live; Ctrl-C ends it.

    With --json, one line for each look.

    Example: lab watch
    """
    found = target.find(stack)
    eyes = _Eyes(found)
    try:
        with output.live() as draw:
            for look in count(1):
                document = eyes.look()
                if as_json:
                    output.result([json.dumps(document)])
                else:
                    draw(_tables(document))
                if look == times:
                    return
                time.sleep(found.look_seconds)
    except KeyboardInterrupt:
        return  # Ctrl-C is the way out


class _Eyes:
    """Reads the stack with clients that are made once."""

    def __init__(self, found: Target) -> None:
        self._found = found
        self._sqs, self._cloudwatch = found.client("sqs"), found.client("cloudwatch")
        self._functions = status.function_names(found)

    def look(self) -> dict[str, Any]:
        """Read the stack as it is now."""
        now = datetime.now(UTC)
        return {
            "at": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "stack": self._found.stack,
            "queues": status.queues(self._sqs, self._found.pipelines),
            "functions": counts(self._cloudwatch, self._functions, now),
            "alarms": [asdict(one) for one in alarms.read(self._cloudwatch, self._found.stack)],
        }


def counts(client: Any, functions: Sequence[str], now: datetime) -> dict[str, dict[str, int]]:  # noqa: ANN401 - a boto3 client, made by name
    """Function -> its counts of the last minutes, the running one included."""
    wanted = [(function, metric) for function in functions for metric in _METRICS]
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Lambda",
                    "MetricName": metric,
                    "Dimensions": [{"Name": "FunctionName", "Value": function}],
                },
                "Period": _PERIOD_SECONDS,
                "Stat": "Sum",
            },
        }
        for number, (function, metric) in enumerate(wanted)
    ]
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries, StartTime=now - _SPAN, EndTime=now
    )
    sums = Counter[str]()
    for one in (one for page in pages for one in page["MetricDataResults"]):
        sums[one["Id"]] += int(sum(one["Values"]))
    found: dict[str, dict[str, int]] = {function: {} for function in functions}
    for number, (function, metric) in enumerate(wanted):
        found[function][metric.lower()] = sums[f"m{number}"]
    return found


def _tables(document: dict[str, Any]) -> list[output.Tabular]:
    stack, known = document["stack"], document["alarms"]
    names = [one["name"].removeprefix(f"IngestionLab-{stack}-") for one in known]
    states = [[name, one["state"], one["since"]] for name, one in zip(names, known, strict=True)]
    loud = [[name, one["reason"]] for name, one in zip(names, known, strict=True) if one["state"] == "ALARM"]
    functions = [[name, *counts.values()] for name, counts in document["functions"].items()]
    tables: list[output.Tabular] = [
        (f"{stack} at {document['at']}: queues", status.QUEUE_COLUMNS, status.queue_rows(document["queues"])),
        ("Functions, last 5 minutes", ("name", *map(str.lower, _METRICS)), functions),
        (f"Alarms, {len(loud)} of {len(states)} in ALARM", ("name", "state", "since"), states),
    ]
    return [*tables, ("Reasons", ("name", "reason"), loud)] if loud else tables
