"""Each alarm of the dev stack, fed with minutes of metrics as AWS would publish them: it fires, and it clears.

The minutes are written down here by AWS's names, not taken from the catalogue; the definitions are those that the
program registers; the evaluator is the laptop's, which other tests hold against CloudWatch's documentation. A changed
threshold, period, dimension or metric name is told by the test of that alarm.
"""

import copy
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from ops.local.cloudwatch.alarms import State, evaluate
from ops.local.cloudwatch.definitions import alarm, composite
from ops.local.cloudwatch.metrics import Datum, Metric, MetricStore, Point
from tests.components.recording import EVERY_PIPELINE, Recording, run_main

_START = 1_800_000_000 // 60 * 60
_CALM_MINUTES = 6  # longer than any alarm of the catalogue looks back to clear

Minute = Mapping[Metric, float]


def sqs(name: str, queue: str) -> Metric:
    """A metric of SQS."""
    return Metric.of("AWS/SQS", name, {"QueueName": queue})


def function(name: str, function_name: str) -> Metric:
    """A metric of Lambda."""
    return Metric.of("AWS/Lambda", name, {"FunctionName": function_name})


def own(name: str) -> Metric:
    """A metric of ours."""
    return Metric.of("IngestionLab/dev", name, {"pipeline": "events"})


class Truth(NamedTuple):
    """A minute that is bad, one that is as bad as may just be, one that is good.

    And how many bad ones it takes to fire, and how many good ones to clear.
    """

    bad: Minute
    just_allowed: Minute
    good: Minute
    minutes: int = 1
    clears_after: int = 1


_DEPTH, _HIDDEN = "ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"
_AGE = "ApproximateAgeOfOldestMessage"
_DELETED = sqs("NumberOfMessagesDeleted", "events-queue")
_RECEIVED = sqs("NumberOfMessagesReceived", "events-queue")
_EVENTS = Metric.of("AWS/Events", "FailedInvocations", {"EventBusName": "ingestion-bus", "RuleName": "events-success"})
_SNS = Metric.of("AWS/SNS", "NumberOfNotificationsFailed", {"TopicName": "alarms-critical"})
_TABLE = Metric.of("AWS/DynamoDB", "WriteThrottleEvents", {"TableName": "ingestion_state"})
_API = Metric.of("AWS/ApiGateway", "5xx", {"ApiId": "id:ingestion-api"})


def above_zero(metric: Metric, minutes: int = 1) -> Truth:
    """An alarm on the first occurrence."""
    return Truth({metric: 1}, {metric: 0}, {metric: 0}, minutes)


def in_queue(queue: str, visible: int, hidden: int) -> Minute:
    """How many messages wait, and how many somebody has received."""
    return {sqs(_DEPTH, queue): visible, sqs(_HIDDEN, queue): hidden}


def letters(queue: str, minutes: int = 1) -> Truth:
    """An alarm on what is in a queue that nobody consumes, which whoever looks at it hides for a while."""
    empty = in_queue(queue, 0, 0)
    return Truth(in_queue(queue, 0, 1), empty, empty, minutes)


TRUTHS = {
    "events-dlq-not-empty": letters("events-dlq", 5),
    "events-dlq-oldest-age": letters("events-dlq", 5),
    "events-queue-age": Truth(
        {sqs(_AGE, "events-queue"): 3, own("RetriedAge"): 301},
        {sqs(_AGE, "events-queue"): 300, own("RetriedAge"): 300},
        {sqs(_AGE, "events-queue"): 3},
        clears_after=5,
    ),
    "events-queue-backlog": Truth(
        {sqs(_DEPTH, "events-queue"): 1001}, {sqs(_DEPTH, "events-queue"): 1000}, {sqs(_DEPTH, "events-queue"): 5}, 5
    ),
    "events-queue-stalled": Truth(
        {**in_queue("events-queue", 0, 1), _DELETED: 0},
        {**in_queue("events-queue", 900, 10), _DELETED: 1},
        {**in_queue("events-queue", 0, 1), _DELETED: 50},
        10,
    ),
    "events-ingest-errors": above_zero(function("Errors", "events-ingest")),
    "events-worker-errors": above_zero(function("Errors", "events-worker")),
    "events-error-rate": Truth(
        {own("Succeeded"): 98, own("DeadLettered"): 1, own("Retried"): 1},
        {own("Succeeded"): 99, own("DeadLettered"): 1, own("Retried"): 0},
        {own("Succeeded"): 100, own("DeadLettered"): 0, own("Retried"): 0},
        3,
        3,
    ),
    "events-retry-storm": Truth(
        {_RECEIVED: 201, _DELETED: 100}, {_RECEIVED: 200, _DELETED: 100}, {_RECEIVED: 100, _DELETED: 100}, 3, 3
    ),
    "events-throttles": above_zero(function("Throttles", "events-worker")),
    "events-worker-duration": Truth(
        {function("Duration", "events-worker"): 24_000},
        {function("Duration", "events-worker"): 23_999},
        {function("Duration", "events-worker"): 20},
        3,
        3,
    ),
    "events-event-delivery-failed": above_zero(_EVENTS),
    "events-breaker-open": above_zero(own("CircuitOpen")),
    "events-redrive-failed": above_zero(own("RedriveStopped")),
    "api-5xx": above_zero(_API),
    "table-throttles": above_zero(_TABLE),
    "notification-failed": above_zero(_SNS),
    "events-subscriber-failed": above_zero(
        Metric.of("AWS/SNS", "NumberOfNotificationsFailed", {"TopicName": "events-failure"})
    ),
    "events-breaker-errors": above_zero(function("Errors", "events-breaker")),
    "control-errors": above_zero(function("Errors", "redrive")),
    "control-failures": letters("control-failures"),
    "bus-unreadable": letters("ingestion-bus-unreadable"),
}


def of_pipeline(pipeline: str, truth: Truth) -> Truth:
    """What is true of an alarm of events, of that of another pipeline."""
    bad, just_allowed, good = (in_pipeline(pipeline, one) for one in (truth.bad, truth.just_allowed, truth.good))
    return truth._replace(bad=bad, just_allowed=just_allowed, good=good)


def in_pipeline(pipeline: str, minute: Minute) -> Minute:
    """The same minute of another pipeline."""
    return {
        Metric.of(one.namespace, one.name, {name: re.sub("^events", pipeline, to) for name, to in one.dimensions}): at
        for one, at in minute.items()
    }


TRUTHS |= {
    name.replace("events", pipeline, 1): of_pipeline(pipeline, truth)
    for pipeline in ("orders", "lake")
    for name, truth in TRUTHS.items()
    if name.startswith("events-")
}
del TRUTHS["orders-ingest-errors"]
TRUTHS["orders-api-errors"] = above_zero(function("Errors", "orders-api"))
TRUTHS["orders-undelivered"] = letters("orders-created-undelivered")
_LAKE_DURATION = function("Duration", "lake-worker")
_NOTICES, _INGESTED = sqs(_DEPTH, "lake-notices-queue"), sqs("NumberOfMessagesDeleted", "lake-notices-queue")
TRUTHS["lake-worker-duration"] = Truth({_LAKE_DURATION: 240_000}, {_LAKE_DURATION: 239_999}, {_LAKE_DURATION: 20}, 3, 3)
TRUTHS["lake-notices-dead"] = letters("lake-notices-dlq", 5)
TRUTHS["lake-notices-stalled"] = Truth(
    {**in_queue("lake-notices-queue", 0, 1), _INGESTED: 0},
    {**in_queue("lake-notices-queue", 900, 10), _INGESTED: 1},
    {**in_queue("lake-notices-queue", 0, 1), _INGESTED: 50},
    20,
)
TRUTHS["lake-objects-ignored"] = of_pipeline("lake", above_zero(own("ObjectsIgnored")))
TRUTHS["lake-quality-failed"] = of_pipeline("lake", above_zero(own("QualityFailed")))
TRUTHS["lake-gate-errors"] = above_zero(function("Errors", "lake-gate"))
TRUTHS["lake-committer-errors"] = above_zero(function("Errors", "lake-committer"))
_ROUNDS = {function("Invocations", "lake-committer"): 1.0}  # of a minute
# What is missing is looked for in two more periods than are evaluated.
TRUTHS["lake-committer-silent"] = Truth({}, _ROUNDS, _ROUNDS, 15 + 2)
TRUTHS["lake-backfill-errors"] = above_zero(function("Errors", "lake-backfill"))
TRUTHS["lake-backfill-failed"] = above_zero(
    Metric.of("AWS/States", "ExecutionsFailed", {"StateMachineArn": "arn:lake-backfill"})
)
TRUTHS["lake-notices-backlog"] = Truth({_NOTICES: 1001}, {_NOTICES: 1000}, {_NOTICES: 5}, 5)


@pytest.fixture(scope="module")
def program() -> Recording:
    """The dev stack with every pipeline and a key."""
    lake = {"lakeQualityGate": True, "lakeBackfill": True, "lakeFormat": "iceberg", "glueDatabase": "lake"}
    return run_main("dev", {"pipelines": list(EVERY_PIPELINE), "useKmsCmk": True, **lake})


@pytest.fixture(scope="module")
def registered(program: Recording) -> dict[str, Mapping[str, Any]]:
    """The inputs of every alarm of it that watches metrics and notifies, by logical name."""
    return {one.name: whole(one.inputs) for one in program.of("MetricAlarm") if one.inputs["alarmActions"]}


@pytest.fixture(scope="module")
def burns(program: Recording) -> dict[str, list[Mapping[str, Any]]]:
    """Of each alarm that notifies when several windows ring, the inputs of its windows."""
    made = {one.inputs["name"]: whole(one.inputs) for one in program.of("MetricAlarm")}
    rules = {one.name: composite(one.inputs["alarmRule"]) for one in program.alarms() if "alarmRule" in one.inputs}
    assert all(rule.needs_all for rule in rules.values())
    return {name: [made[window] for window in rule.members] for name, rule in rules.items()}


def whole(value: Any) -> Any:
    """Whole numbers as integers, as the deployer keeps them; Pulumi's mocks hand every number on as a float."""
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def run(inputs: Mapping[str, Any], minutes: list[Minute]) -> list[State]:
    """The alarm's state after each minute; it begins as OK."""
    definition, store, state, states = alarm("a", inputs), MetricStore(), State.OK, list[State]()
    for number, minute in enumerate(minutes):
        at = _START + 60 * number
        store.put([Datum(metric, Point(at, value)) for metric, value in minute.items()])
        state = evaluate(definition, store, at + 60).state or state
        states.append(state)
    return states


def is_true(inputs: Mapping[str, Any], truth: Truth) -> bool:
    """Whether it stays silent at the limit, fires with the minute that it should, and clears with the one it should."""
    calm = [truth.good] * _CALM_MINUTES
    at_limit = run(inputs, [*calm, *[truth.just_allowed] * 8])
    history = run(inputs, [*calm, *[truth.bad] * truth.minutes, *calm])
    fired = [number for number, state in enumerate(history) if state is State.ALARM]
    first = _CALM_MINUTES + truth.minutes - 1
    return State.ALARM not in at_limit and fired == list(range(first, first + truth.clears_after))


def mutations(inputs: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The definition with one thing changed at a time."""
    changed: dict[str, Mapping[str, Any]] = {"threshold": {**inputs, "threshold": inputs["threshold"] * 2 + 1}}
    for what in ("period", "dimension", "metric"):
        mutant = copy.deepcopy(dict(inputs))
        parts = [query["metric"] for query in mutant.get("metricQueries", []) if query.get("metric")] or [mutant]
        for part in parts:
            if what == "period":
                part["period"] *= 5
            elif what == "metric":
                part["metricName"] += "X"
            else:
                part["dimensions"] = {name: f"{value}x" for name, value in part["dimensions"].items()}
        changed[what] = mutant
    return changed


def test_every_alarm_has_its_truth(registered: dict[str, Mapping[str, Any]]) -> None:
    """None is left out."""
    assert set(TRUTHS) == set(registered)


@pytest.mark.parametrize("name", TRUTHS)
def test_truth(registered: dict[str, Mapping[str, Any]], name: str) -> None:
    """Silent at its limit; fires with just the minute that makes it true, and clears."""
    assert is_true(registered[name], TRUTHS[name])


def _poison(queue: str, at: int) -> Minute:
    """Minute `at` of messages that fail again and again, and nothing else: SQS leaves them out of the age at once."""
    return {**(in_queue(queue, 3, 2) if at % 2 else in_queue(queue, 0, 5)), sqs(_AGE, queue): 0}


# Whatever lies there unseen by SQS's age: the minutes, and which alarms tell of them by the end.
HIDDEN: dict[str, tuple[list[Minute], set[str]]] = {
    "retried": (
        [
            {**_poison("events-queue", at), own("RetriedAge"): 60 * at, **({_DELETED: 7} if at % 5 else {})}
            for at in range(1, 8)
        ],
        {"events-queue-age"},
    ),
    "retried and nothing else": ([_poison("events-queue", at) for at in range(10)], {"events-queue-stalled"}),
    "letters under previews": (
        [_poison("events-dlq", at) for at in range(5)],
        {"events-dlq-not-empty", "events-dlq-oldest-age"},
    ),
    "letters that a run holds": (
        [{**in_queue("events-dlq", 0, 20), sqs(_AGE, "events-dlq"): 0}] * 5,
        {"events-dlq-not-empty", "events-dlq-oldest-age"},
    ),
    "undelivered under a preview": (
        [in_queue("orders-created-undelivered", 0, 1)],
        {"orders-undelivered"},
    ),
    "a storm": (
        [
            {
                **in_queue("events-queue", 20, 30),
                _RECEIVED: 300,
                _DELETED: 100,
                sqs(_AGE, "events-queue"): 40,
                own("Succeeded"): 100,
                own("HandedBack"): 120,
                own("Unsettled"): 80,
                own("RetriedAge"): 90,
            }
        ]
        * 5,
        {"events-retry-storm"},
    ),
    "failures that an operator reads": ([in_queue("control-failures", 0, 1)], {"control-failures"}),
}


@pytest.mark.parametrize("story", HIDDEN)
@pytest.mark.parametrize("pipeline", ["events", "orders"])
def test_what_the_age_leaves_out_is_seen(registered: dict[str, Mapping[str, Any]], pipeline: str, story: str) -> None:
    """Messages received three times or more, and letters that a preview or a redrive holds, don't silence an alarm."""
    minutes, expected = HIDDEN[story]
    minutes = [{**in_pipeline(pipeline, minute), **_ROUNDS} for minute in minutes]
    expected = {re.sub("^events", pipeline, name) for name in expected}

    firing = {name for name, inputs in registered.items() if run(inputs, minutes)[-1] is State.ALARM}
    assert firing == expected


@pytest.mark.parametrize("name", ["events-dlq-oldest-age", "events-queue-stalled"])
def test_what_lasts_longer_than_a_day(name: str) -> None:
    """An alarm looks back a day by minutes, and a week by hours; it fires at the same age."""
    limits = {"dlqAgeSeconds": 90_000, "queueAgeSeconds": 90_000}
    inputs = whole(run_main("dev", {"alarms": limits}).inputs("MetricAlarm", name))
    hours = inputs["evaluationPeriods"]
    truth = TRUTHS[name]
    minutes = [truth.bad] * 60 * hours

    assert hours in (25, 26)
    assert run(inputs, [*minutes, truth.bad])[-1] is State.ALARM
    assert run(inputs, [*minutes[:-120], *[truth.just_allowed] * 120, truth.bad])[-1] is State.OK


@pytest.mark.parametrize("what", ["threshold", "period", "dimension", "metric"])
@pytest.mark.parametrize("name", TRUTHS)
def test_a_mutation_is_found(registered: dict[str, Mapping[str, Any]], name: str, what: str) -> None:
    """The truth of an alarm does not hold for a definition that differs in one thing."""
    assert not is_true(mutations(registered[name])[what], TRUTHS[name])


# Minutes of (events that missed the objective, events that met it).
Ends = list[tuple[int, int]]
_CALM_HOURS: Ends = [(0, 100)] * 360
_BURNS = [f"{pipeline}-objective-{pace}-burn" for pipeline in EVERY_PIPELINE for pace in ("fast", "slow")]


def ringing(windows: list[Mapping[str, Any]], pipeline: str, minutes: Ends) -> list[int]:
    """After which minutes all windows ring."""
    definitions, store, found = [alarm("a", inputs) for inputs in windows], MetricStore(), list[int]()
    metric = next(iter(in_pipeline(pipeline, {own("Missed"): 0})))
    for number, (missed, met) in enumerate(minutes):
        at = _START + 60 * number
        store.put(Datum(metric, Point(at, value, count)) for value, count in ((1.0, missed), (0.0, met)) if count)
        if all(evaluate(one, store, at + 60).state is State.ALARM for one in definitions):
            found.append(number)
    return found


def burns_truly(name: str, windows: list[Mapping[str, Any]]) -> bool:
    """Whether it fires with the event that makes both windows burn, and clears a short window after the last one.

    And whether both windows go by a share that is just too large, and the long one forgets what was before it.
    """
    pipeline, bad, short = name.partition("-")[0], 6, {"fast": 5, "slow": 30}[name.split("-")[2]]
    # of 100 events a minute, half miss: 1.44 % of an hour are passed by the second minute, 0.6 % of six by the fifth
    first = 360 + {"fast": 1, "slow": 4}[name.split("-")[2]]
    history = ringing(windows, pipeline, [*_CALM_HOURS, *[(50, 50)] * bad, *[(0, 100)] * 40])
    too_large = {"fast": 15, "slow": 7}[name.split("-")[2]]
    steady = ringing(windows, pipeline, [(too_large, 1000 - too_large)] * 40)
    forgotten: Ends = [(5000, 0), *[(0, 10)] * 12 * short, (9, 1)]
    return (
        history == list(range(first, 360 + bad + short - 1))
        and steady[-1:] == [39]
        and len(forgotten) - 1 not in ringing(windows, pipeline, forgotten)
    )


def test_every_alarm_of_windows_has_its_truth(burns: dict[str, list[Mapping[str, Any]]]) -> None:
    """None is left out."""
    assert set(burns) == set(_BURNS)


@pytest.mark.parametrize("name", _BURNS)
def test_a_burn_fires_and_clears(burns: dict[str, list[Mapping[str, Any]]], name: str) -> None:
    """At the minute in which both windows are over the threshold; it is over when the short one is."""
    assert burns_truly(name, burns[name])


@pytest.mark.parametrize(
    ("name", "minutes", "rings"),
    [
        ("fast", [(14, 986)] * 120, False),  # 1.4 %
        ("fast", [(15, 985)] * 120, True),
        ("slow", [(6, 994)] * 400, False),  # 0.6 %
        ("slow", [(7, 993)] * 400, True),
        ("fast", [(9, 0)], False),  # of so few events each is a large share, and the dead-letter queue tells of it
        ("fast", [(10, 0)], True),
        ("slow", [(9, 0)], False),
        ("slow", [(10, 0)], True),
        ("fast", [(0, 0)] * 60, False),
    ],
)
def test_what_burns(burns: dict[str, list[Mapping[str, Any]]], name: str, minutes: Ends, rings: bool) -> None:  # noqa: FBT001
    """A steady share over the budget's pace, and not less; few events burn nothing, and none do not either."""
    assert bool(ringing(burns[f"events-objective-{name}-burn"], "events", minutes)) is rings


@pytest.mark.parametrize("what", ["threshold", "period", "dimension", "metric"])
@pytest.mark.parametrize("window", [0, 1], ids=["long", "short"])
@pytest.mark.parametrize("name", _BURNS[:2])
def test_a_mutation_of_a_window_is_found(
    burns: dict[str, list[Mapping[str, Any]]], name: str, window: int, what: str
) -> None:
    """The truth does not hold where one window differs in one thing."""
    windows = list(burns[name])
    windows[window] = mutations(windows[window])[what]
    assert not burns_truly(name, windows)
