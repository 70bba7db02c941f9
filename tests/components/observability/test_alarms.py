"""Every alarm, number by number: whoever changes one finds the test of that alarm broken."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.components.observability.alarm_table import ALARMS, BURNS, LONG, SHORT, Math, Of
from tests.components.recording import ROOT, Recording, Registered, run_main

_PERIOD = 60
_TOPICS = {"critical": "arn:alarms-critical", "warning": "arn:alarms-warning"}


def _metric(of: Of, period: int) -> dict[str, Any]:
    namespace, metric, dimensions, _ = of
    return {"namespace": namespace, "metricName": metric, "dimensions": dimensions, "period": period}


def _measured(of: Of, period: int) -> dict[str, Any]:
    if not of[3].startswith("p"):
        return {**_metric(of, period), "statistic": of[3]}
    return {**_metric(of, period), "extendedStatistic": of[3], "evaluateLowSampleCountPercentiles": "evaluate"}


def _calculated(math: Math, period: int) -> dict[str, Any]:
    queries = {
        variable: {"id": variable, "metric": {**_metric(of, period), "stat": of[3]}, "returnData": False}
        for variable, of in math.of.items()
    }
    return {"expression": math.formula, **queries}


def _by_id(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the alarm measures: metric math by variable, its one result by its formula; labels are for people."""
    queries = {query["id"]: query for query in inputs["metricQueries"]}
    result = queries.pop("result")
    assert result.keys() == {"id", "expression", "label", "returnData"}
    assert result["returnData"] is True
    return {"expression": result["expression"], **queries}


_NOT_MEASURE = {
    *("name", "alarmDescription", "comparisonOperator", "threshold", "datapointsToAlarm", "evaluationPeriods"),
    *("treatMissingData", "alarmActions", "okActions", "tags"),
}


@pytest.mark.parametrize("name", ALARMS)
def test_alarm(dev: Recording, name: str) -> None:
    """The alarm measures just this, compares it so, looks at so many periods, and tells the topic of its severity."""
    row, inputs = ALARMS[name], dev.inputs("MetricAlarm", name)
    measured = {key: value for key, value in inputs.items() if key not in _NOT_MEASURE}

    if isinstance(row.measures, Math):
        assert measured.keys() == {"metricQueries"}
        assert _by_id(measured) == _calculated(row.measures, _PERIOD)
    else:
        assert measured == _measured(row.measures, _PERIOD)
    assert (inputs["comparisonOperator"], inputs["threshold"]) == (row.comparison, row.threshold)
    assert (inputs["datapointsToAlarm"], inputs["evaluationPeriods"]) == row.span
    assert inputs["treatMissingData"] == row.missing
    assert inputs["alarmActions"] == inputs["okActions"] == [_TOPICS[row.severity]]
    assert inputs["name"] == f"IngestionLab-dev-{name}"


_WINDOWS = {f"{name}-{window}" for name in BURNS for window in ("long", "short")}


@pytest.mark.parametrize("name", BURNS)
def test_alarm_of_two_windows(dev: Recording, name: str) -> None:
    """It rings while both of its windows do, and only it tells somebody."""
    row, inputs = BURNS[name], dict(dev.inputs("CompositeAlarm", name))
    text = inputs.pop("alarmDescription")

    assert text.endswith(f" Runbook: ops/runbooks/{name.removeprefix('events-')}.md")
    assert inputs == {
        "alarmName": f"IngestionLab-dev-{name}",
        "alarmRule": f'ALARM("IngestionLab-dev-{name}-long") AND ALARM("IngestionLab-dev-{name}-short")',
        "alarmActions": [_TOPICS[row.severity]],
        "okActions": [_TOPICS[row.severity]],
        "tags": {"Project": "ingestion-lab", "Stack": "dev"},
    }
    for window, math, seconds in (("long", LONG, row.long), ("short", SHORT, row.short)):
        found = dev.inputs("MetricAlarm", f"{name}-{window}")
        assert _by_id(found) == _calculated(math, seconds)
        assert {key: found[key] for key in _NOT_MEASURE} == {
            "name": f"IngestionLab-dev-{name}-{window}",
            "alarmDescription": f"A window of {name.removeprefix('events-')}, which notifies.",
            "comparisonOperator": "GreaterThanThreshold",
            "threshold": row.threshold,
            "datapointsToAlarm": 1,
            "evaluationPeriods": 1,
            "treatMissingData": "notBreaching",
            "alarmActions": [],
            "okActions": [],
            "tags": {"Project": "ingestion-lab", "Stack": "dev"},
        }


@pytest.mark.parametrize("stack", ["local", "dev", "prod"])
def test_there_are_no_other_alarms(stack: str) -> None:
    """Every stack has exactly the alarms of the table, as far as the stack itself and events go."""
    recording = run_main(stack, {"pipelines": ["events"]})
    with_a_key = {"bus-unreadable"} if stack == "prod" else set[str]()

    assert {alarm.name for alarm in recording.of("MetricAlarm")} == set(ALARMS) | _WINDOWS | with_a_key
    assert {alarm.name for alarm in recording.of("CompositeAlarm")} == set(BURNS) | {"critical", "warning"}


def test_production_is_watched_as_dev_is(dev: Recording, prod: Recording) -> None:
    """The same measures, thresholds, periods and actions in both, of what both have."""

    def measured(alarm: Registered) -> Any:
        """All but what has the stack's name in it."""
        inputs = {key: value for key, value in alarm.inputs.items() if key not in {"name", "tags"}}
        return json.loads(json.dumps(inputs).replace("IngestionLab/prod", "IngestionLab/dev"))

    only_here = {"bus-unreadable", "control-errors"}  # a customer key; no failure mode
    for alarm in (one for one in prod.of("MetricAlarm") if one.name not in only_here):
        assert measured(alarm) == measured(dev.one("MetricAlarm", alarm.name))


def test_every_alarm_names_its_runbook() -> None:
    """The description ends in the runbook's path, below the configured address, and the file is there."""
    base = "https://git.example/lab/"
    for alarm in run_main("dev", {"runbookBaseUrl": base}).alarms():
        sentence, _, link = alarm.inputs["alarmDescription"].partition(" Runbook: ")
        assert sentence.endswith(".")
        assert link == f"{base}ops/runbooks/{alarm.name.removeprefix('events-')}.md"
        assert (ROOT / link.removeprefix(base)).is_file()


def test_without_a_breaker_nothing_watches_it() -> None:
    """With breakerHoldSeconds 0 no alarm, rule or graph asks for metrics that nobody sends."""
    recording = run_main("dev", {"breakerHoldSeconds": 0})
    delivery = recording.inputs("MetricAlarm", "events-event-delivery-failed")
    body = recording.inputs("Dashboard", "dashboard")["dashboardBody"]

    assert {alarm.name for alarm in recording.alarms()} == {*ALARMS, *BURNS} - {
        "events-breaker-errors",
        "events-breaker-open",
    }
    assert _by_id(delivery)["expression"] == "FILL(success, 0) + FILL(failure, 0)"
    assert "CircuitOpen" not in body


def test_configured_limits_are_deployed() -> None:
    """What the laptop's YAML says of `alarms` is in its alarms: periods of seconds, lower thresholds."""
    local = run_main("local", {"pipelines": ["events"]})
    thresholds = {
        alarm.name: (alarm.inputs["threshold"], alarm.inputs["datapointsToAlarm"], alarm.inputs["evaluationPeriods"])
        for alarm in local.of("MetricAlarm")
        if alarm.name not in _WINDOWS
    }
    assert thresholds == {name: (row.threshold, *row.span) for name, row in ALARMS.items()} | {
        "events-dlq-not-empty": (0, 2, 2),
        "events-dlq-oldest-age": (0, 2, 2),
        "events-queue-age": (15, 1, 2),
        "events-queue-backlog": (100, 2, 2),
        "events-queue-stalled": (0, 5, 5),
        "events-error-rate": (1, 2, 2),
        "events-retry-storm": (2, 2, 2),
        "events-worker-duration": (4000, 2, 2),
    }
    periods = {alarm.name: _periods(alarm.inputs) for alarm in local.of("MetricAlarm")}
    windows = {name: periods.pop(name) for name in _WINDOWS}
    assert set[int]().union(*periods.values()) == {5}
    assert windows == {
        "events-objective-fast-burn-long": {30},
        "events-objective-fast-burn-short": {5},
        "events-objective-slow-burn-long": {180},
        "events-objective-slow-burn-short": {30},
    }


@pytest.mark.parametrize("name", ["lake-committer-errors", "lake-committer-silent"])
def test_what_runs_each_minute_is_judged_by_the_minute(name: str) -> None:
    """With the laptop's periods of seconds an alarm would be over between two rounds that both fail."""
    local = run_main("local", {"pipelines": ["lake"], "lakeFormat": "iceberg", "glueDatabase": "lake"})
    assert _periods(local.one("MetricAlarm", name).inputs) == {60}


def _periods(inputs: Mapping[str, Any]) -> set[int]:
    queries = inputs.get("metricQueries", [])
    return {query["metric"]["period"] for query in queries if "metric" in query} or {inputs["period"]}


@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_sums_of_a_severity(dev: Recording, severity: str) -> None:
    """One composite alarm for each severity is in ALARM while any of its alarms is, and tells nobody twice."""
    inputs = dict(dev.inputs("CompositeAlarm", severity))
    rule = inputs.pop("alarmRule")

    assert inputs == {
        "alarmName": f"IngestionLab-dev-{severity}",
        "alarmDescription": f"Any {severity} alarm of the stack dev.",
        "tags": {"Project": "ingestion-lab", "Stack": "dev"},
    }
    assert set(rule.split(" OR ")) == {
        f'ALARM("IngestionLab-dev-{name}")' for name, row in (ALARMS | BURNS).items() if row.severity == severity
    }


def test_adopted_queues_are_watched_by_their_own_names() -> None:
    """The alarms of an existing queue ask for it by the name in its ARN."""
    url, arn = "https://sqs.eu-central-1.amazonaws.com/123456789012/", "arn:aws:sqs:eu-central-1:123456789012:"
    adopted = {
        "existingQueueUrl": f"{url}theirs",
        "existingQueueArn": f"{arn}theirs",
        "existingDlqUrl": f"{url}theirs-dlq",
        "existingDlqArn": f"{arn}theirs-dlq",
    }
    recording = run_main("dev", adopted)

    for name, queue in {"events-queue-stalled": "theirs", "events-dlq-not-empty": "theirs-dlq"}.items():
        queries = recording.inputs("MetricAlarm", name)["metricQueries"]
        asked = [query["metric"]["dimensions"] for query in queries if "metric" in query]
        assert asked == [{"QueueName": queue}] * len(asked) != []
