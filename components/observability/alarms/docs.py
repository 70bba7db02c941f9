"""Render the catalogue as `docs/alarms.md`: python -m components.observability.alarms.docs > docs/alarms.md."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from components.config.alarm_limits import AlarmLimits
from components.observability.alarms.catalogue import pipeline_alarms, stack_alarms
from components.observability.alarms.model import Alarm, Burn, Metric, PipelineTargets, StackTargets

TARGETS = PipelineTargets(
    pipeline="its name",
    namespace="IngestionLab/<stack>",
    queue="queue",
    dlq="dead-letter queue",
    producers={"ingest": "ingest"},
    worker="worker",
    worker_timeout_seconds=30,
    bus="bus",
    rules={"success": "success rule", "failure": "failure rule", "trip": "breaker's rule"},
    topics={"success": "success topic", "failure": "failure topic"},
    breaker="breaker",
)
FED_BY_A_RULE = replace(TARGETS, producers={"api": "API function"}, undelivered="queue of undelivered events")
FED_BY_NOTICES = replace(
    TARGETS,
    notices="queue of notices",
    notices_dlq="dead-letter queue of notices",
    notices_timeout_seconds=900,
    gate="quality gate",
    committer="committer",
    backfill="backfill",
    backfill_function="function of the backfill",
)
SHARED = StackTargets(
    api_id="API",
    tables={"state": "state table", "control": "control table"},
    topics={
        "critical": "topic of critical alarms",
        "warning": "topic of warnings",
    },
    functions={
        "redrive": "redrive",
        "redrive_api": "redrive's API function",
        "authorizer": "authorizer",
        "alarm_webhook": "webhook",
        "failure_mode": "failure mode",
    },
    failures="control-failures",
    unreadable="ingestion-bus-unreadable",
)
_HEAD = """# Alarms

Made of `components/observability/alarms/catalogue.py` by `python -m components.observability.alarms.docs`; a test keeps
the two equal.

Every alarm notifies the topic of its severity (`alarms-critical`, `alarms-warning`) when it fires and when it recovers.
The composite alarms `IngestionLab-<stack>-critical` and `IngestionLab-<stack>-warning` are in ALARM while any alarm of
their severity is, and notify nobody.

The numbers are the defaults; the configuration key `alarms` changes thresholds and periods (the laptop's periods are
seconds). An alarm of a pipeline is named `IngestionLab-<stack>-<pipeline>-<name>`, one of the whole stack
`IngestionLab-<stack>-<name>`.

SQS leaves a message that was received three times or more out of `ApproximateAgeOfOldestMessage`, and starts again at
the move to the dead-letter queue; the laptop's metric follows the same rules. So no alarm rests on it alone. Of what
fails again and again the worker itself tells the age (`RetriedAge`), and `queue-age` takes the higher of the two; where
nothing is worked at all, `queue-stalled` goes by what is in the queue. `dlq-oldest-age` fires when the dead-letter
queue has not been empty for `alarms.dlqAgeSeconds`, however often its letters were looked at; over a day, it looks by
the hour. What a preview, a redrive or an operator has received for a while still counts as a letter: alarms on queues
that no worker consumes add the hidden messages to the visible ones, each at its most within the period, so that one
counts twice while somebody looks. On a main queue those are the worker's own, so
`queue-backlog` leaves them out.

The objective of a pipeline is that an accepted event is SUCCEEDED within `objectiveSeconds` (of the lake, a chunk
within `lakeObjectiveSeconds`), `alarms.objectivePercent` of them. What that leaves in a month is its error budget, and
burn alarms tell how fast it goes: the fast one at 14.4 times the rate that just lasts a month, over
`alarms.objectiveWindowSeconds` and over a twelfth of it; the slow one at 6 times, over windows six times as long. Each
is a composite alarm over an alarm of each window, which notifies nobody (`…-objective-fast-burn-long`, `…-short`): the
long window says that it matters, the short one that it still goes on. Fewer than ten events that miss are none of
theirs. They go on for as long as the short window after the last such event. An event counts when it ends, once: one
that waits has not missed yet (that is `queue-age`'s), and what a redrive brings back was counted when it died.
`retry-storm` compares receives with deletions, whoever or whatever makes them differ: hand-backs, failed calls and
invocations that time out show in no rate of errors.

Each alarm has a runbook, and every step of it is a command. `lab alarms` shows the command that prints it with
everything filled in for the alarm: `lab runbook orders-dlq-not-empty --stack dev`. On the laptop its `aws` lines name
the local cloud's endpoint and credentials, and what is configured there is in `Pulumi.local.yaml` and deployed by
`lab up`; on AWS they name the stack's region and `AWS_PROFILE`. [observability.md](observability.md#runbooks) has the
runbooks that are no alarm's. In the pages themselves

- `$PIPELINE` is the alarm's pipeline
- `$PROBE` sends something new through the pipeline
- `$MORE_TIME` and the like are a configuration key of the pipeline, and a value
- `$AWS` is `aws`, on the laptop with its endpoint
- `$KEY` is what `--key` names
"""
_ORDERS = """
## Of orders only

The producer of orders is an API function instead of `ingest`. `throttles` includes that function,
`event-delivery-failed` the rule that sends to the queue, and `redrive-failed` the redrives of `orders-undelivered`.

"""
_LAKE = """
## Of the lake only

S3 tells ingest of objects through a queue of notices. `redrive-failed` includes the redrives of `lake-notices`.
`quality-failed` and `gate-errors` are there where `lakeQualityGate` is true; `event-delivery-failed` includes its rule.
`committer-errors` and `committer-silent` are there where `lakeFormat` is iceberg.
`backfill-failed` and `backfill-errors` are there where `lakeBackfill` is true.

"""
_SIGNS = {"GreaterThanThreshold": ">", "GreaterThanOrEqualToThreshold": "≥", "LessThanThreshold": "<"}


def render() -> str:
    """The whole document, at the default configuration."""
    limits = AlarmLimits()
    common = pipeline_alarms(TARGETS, limits)
    known = {alarm.name for alarm in common}
    orders, lake = (
        [alarm for alarm in pipeline_alarms(targets, limits) if alarm.name not in known]
        for targets in (FED_BY_A_RULE, FED_BY_NOTICES)
    )
    parts = [_HEAD, "\n## Of each pipeline\n\n", *_table(common), _ORDERS, *_table(orders), _LAKE, *_table(lake)]
    return "".join([*parts, "\n## Of the stack\n\n", *_table(stack_alarms(SHARED, limits))])


def _table(alarms: Sequence[Alarm]) -> Iterator[str]:
    yield "| alarm | severity | means | fires when | measured on | without data |\n|---|---|---|---|---|---|\n"
    for alarm in alarms:
        name = f"[`{alarm.name}`](../{alarm.runbook})"
        missing = f"{alarm.missing.treatment}: {alarm.missing.reason}"
        cells = (name, alarm.severity, alarm.description, _condition(alarm), _measured(alarm), missing)
        yield f"| {' | '.join(cells)} |\n"


def _condition(alarm: Alarm) -> str:
    if isinstance(alarm.source, Burn):
        return ", and ".join(map(_condition, alarm.windows))
    value = alarm.source.statistic if isinstance(alarm.source, Metric) else alarm.source.formula
    span = f"{alarm.span.datapoints} of {alarm.span.periods} periods of {alarm.period_seconds} s"
    return f"`{value}` {_SIGNS[alarm.comparison]} {alarm.threshold:g} in {span}"


def _measured(alarm: Alarm) -> str:
    if isinstance(alarm.source, Burn):
        return "; ".join(
            f"{name}: {_measured(one)}" for name, one in zip(alarm.source.windows, alarm.windows, strict=True)
        )
    if isinstance(alarm.source, Metric):
        return _metric(alarm.source)
    return "; ".join(
        f"`{variable}`: {metric.statistic} of {_metric(metric)}" for variable, metric in alarm.source.metrics.items()
    )


def _metric(metric: Metric) -> str:
    dimensions = ", ".join(f"{name}: {value}" for name, value in metric.dimensions.items())
    return f"{metric.namespace} {metric.name} ({dimensions})"


if __name__ == "__main__":
    sys.stdout.write(render())
