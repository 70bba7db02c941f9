"""What a stack costs before the first event, as `docs/cost.md`: python -m tests.contract.cost > docs/cost.md.

Counted from what the program registers, priced by a dated table.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from tests.components.configurations import FIXED
from tests.components.recording import Recording, Registered

_MINUTES = 730 * 60  # of a month, as AWS's calculator has it
_OWN = "IngestionLab/"
_IDLE_RECEIVES = 5 * 3  # a minute: Lambda waits at an empty queue with five long polls of 20 seconds
_PER_MINUTE = {"minute": 1, "minutes": 1, "hour": 60, "hours": 60, "day": 1440, "days": 1440}


@dataclass(frozen=True, slots=True)
class Item:
    """Something that is paid for each month, how many of it a stack has, and the price of one in US dollars."""

    name: str
    price: Decimal
    source: str
    count: Callable[[Recording], int]


def _alarm_metrics(recording: Recording) -> int:
    """An alarm is priced by the metrics that it reads."""
    return sum(
        max(1, sum("metric" in query for query in alarm.inputs.get("metricQueries", [])))
        for alarm in recording.of("MetricAlarm")
    )


def _own_metrics(recording: Recording) -> int:
    """Metrics of the project's namespace that alarms read, the dashboard draws or filters make, each once."""
    return len({metric for metric in metrics(recording) if metric[0].startswith(_OWN)})


def metrics(recording: Recording) -> Iterator[tuple[str, str, str]]:
    """Namespace, name and dimensions of what alarms read, the dashboard draws or filters make; some more than once."""
    for alarm in recording.of("MetricAlarm"):
        parts = [query["metric"] for query in alarm.inputs.get("metricQueries", []) if "metric" in query]
        for part in parts or [alarm.inputs]:
            dimensions = json.dumps(part.get("dimensions", {}), sort_keys=True)
            yield part["namespace"], part["metricName"], dimensions
    for dashboard in recording.of("Dashboard"):
        for widget in json.loads(dashboard.inputs["dashboardBody"])["widgets"]:
            for line in widget["properties"].get("metrics", []):
                namespace, name, *rest = [part for part in line if not isinstance(part, dict)] or ("", "")
                yield namespace, name, json.dumps(dict(zip(rest[::2], rest[1::2], strict=False)), sort_keys=True)
    for filter_ in recording.of("LogMetricFilter"):
        made = filter_.inputs["metricTransformation"]
        yield made["namespace"], made["name"], json.dumps(made.get("dimensions", {}), sort_keys=True)


def _ticks(recording: Recording) -> int:
    """Invocations by schedules that are on from the start."""
    return sum(map(_monthly, recording.of("EventRule")))


def _monthly(rule: Registered) -> int:
    expression = rule.inputs.get("scheduleExpression")
    if expression is None or rule.inputs.get("state") == "DISABLED":
        return 0
    if not (found := re.fullmatch(r"rate\((\d+) (\w+)\)", expression)):
        raise ValueError(expression)
    return _MINUTES // (int(found[1]) * _PER_MINUTE[found[2]])


def _receives(recording: Recording) -> int:
    return len(recording.of("EventSourceMapping")) * _IDLE_RECEIVES * _MINUTES


_CLOUDWATCH = "https://aws.amazon.com/cloudwatch/pricing/"
ITEMS = (
    Item("alarm metric, standard resolution", Decimal("0.10"), _CLOUDWATCH, _alarm_metrics),
    Item("composite alarm", Decimal("0.50"), _CLOUDWATCH, lambda r: len(r.of("CompositeAlarm"))),
    Item("dashboard", Decimal(3), _CLOUDWATCH, lambda r: len(r.of("Dashboard"))),
    Item("custom metric, of the first 10,000", Decimal("0.30"), _CLOUDWATCH, _own_metrics),
    Item("customer key", Decimal(1), "https://aws.amazon.com/kms/pricing/", lambda r: len(r.of("Key"))),
    Item("invocation by a schedule", Decimal("0.0000002"), "https://aws.amazon.com/lambda/pricing/", _ticks),
    Item("receive from an empty queue", Decimal("0.0000004"), "https://aws.amazon.com/sqs/pricing/", _receives),
)
PRICES_OF = "May 2026"

_HEAD = f"""# What a stack costs before the first event

Made of what the program registers by `python -m tests.contract.cost`; a test keeps the two equal.

Each month, in US dollars at list prices of us-east-1, as quoted in {PRICES_OF}; other regions differ, and AWS's own
pages (linked) are what holds. Those fill their tables by script, so that the numbers were taken from copies: the key's
from AWS's page itself, those of CloudWatch, Lambda and SQS from sites that quote it. Nothing of the free tier is
subtracted (10 alarm metrics, 10 custom metrics, 3 dashboards of at most 50 metrics, a million invocations and a million
SQS requests a month, for the whole account).

What events cost is not here: requests, logs, traces, storage, traffic. Nor is what the program does not make, such as
the NAT gateway or the endpoints of a VPC.

"""
_NOTES = """
- Custom metrics are counted where alarms, the dashboard or filters name them. CloudWatch bills one only for the hours
  in which it has data, so this is the most; `RecordErrors` adds one for each type of error that occurs.
- Lambda waits at an empty queue with five long polls of 20 seconds at a time. A schedule's invocations are counted,
  not their milliseconds.
- With a customer key, each of its first two yearly rotations adds the price of a key. Its requests are per event.
- What to leave out first: `observabilityEnabled: false` (not in production) takes away alarms, dashboard and filters.
"""


def render() -> str:
    """The whole document."""
    names = [configuration.name for configuration in FIXED]
    recordings = [configuration.recording() for configuration in FIXED]
    head = f"| each month | price of one | {' | '.join(names)} |\n|---|--:|{'--:|' * len(names)}\n"
    totals = [sum((item.price * item.count(r) for item in ITEMS), Decimal()) for r in recordings]
    rows = [
        f"| [{item.name}]({item.source}) | {_price(item.price)} | {' | '.join(_cell(item, r) for r in recordings)} |\n"
        for item in ITEMS
    ]
    total = f"| **in all** | | {' | '.join(f'**{total:.2f}**' for total in totals)} |\n"
    return "".join([_HEAD, head, *rows, total, "\n`everything on` is every pipeline and every option.\n", _NOTES])


def _price(price: Decimal) -> str:
    return f"{price:.2f}" if price >= Decimal("0.01") else f"{price * 1_000_000:.2f} per million"


def _cell(item: Item, recording: Recording) -> str:
    count = item.count(recording)
    return f"{count:,} = {item.price * count:.2f}"


if __name__ == "__main__":
    sys.stdout.write(render())
