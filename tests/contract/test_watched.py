"""What is there is watched, and what watches fits into AWS's limits, in every kind of configuration."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.components.configurations import CONFIGURATIONS
from tests.components.recording import EVERY_PIPELINE, Recording, Registered, run_main

_ALL: Mapping[str, object] = {"pipelines": list(EVERY_PIPELINE)}
_OF_THE_LAKE: Mapping[str, object] = {
    "lakeQualityGate": True,
    "lakeBackfill": True,
    "lakeFormat": "iceberg",
    "glueDatabase": "lake",
}
_TOLD: Mapping[str, object] = {"webhookUrl": "https://hooks.example/T0/secret-part", "alarmEmail": "ops@example.com"}
_LONGEST: Mapping[str, object] = {
    "dlqAgeSeconds": 432_000,
    "queueAgeSeconds": 432_000,
    "periodSeconds": 3600,
    "evaluationPeriods": 24,
}
_CONFIGURATIONS: dict[str, tuple[str, Mapping[str, object]]] = {
    "dev": ("dev", {}),
    "prod": ("prod", {}),
    "local": ("local", {}),
    **{f"dev with {name}": ("dev", {"pipelines": [name]}) for name in EVERY_PIPELINE},
    "dev with all": ("dev", _ALL),
    "prod with all": ("prod", {**_ALL, **_TOLD}),
    "dev with everything on": ("dev", {**_ALL, **_TOLD, "useKmsCmk": True, "tracing": True, **_OF_THE_LAKE}),
    "dev with the longest ages": ("dev", {"alarms": _LONGEST}),
    "dev without breakers": ("dev", {**_ALL, "breakerHoldSeconds": 0}),
    **{one.name: (one.stack, one.config) for one in CONFIGURATIONS if one.whole.get("observabilityEnabled", True)},
}
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
_METRICS_PER_ALARM = 10
_CHILDREN_OF_COMPOSITE = 100
_COMPOSITE_RULE = 10_240
_ALARMS_PER_WIDGET = 100
_METRICS_PER_WIDGET = 500
_METRICS_PER_DASHBOARD = 2_500
_DASHBOARD_BODY = 1_000_000  # bytes
_DAY = 86_400
_HOUR = 3600
_ENVIRONMENT = 4_096  # bytes: Lambda, all variables of a function
_ROLE_POLICIES = 10_240  # characters but white space: IAM, all inline policies of a role
_TOPIC_POLICY = 30_720  # bytes: SNS
_UNRESERVED = 100  # Lambda: what must be left to the functions without a reservation
_DEFAULT_QUOTA = 1_000
_GENERATED = 50  # bytes by which a real ARN is longer than the recording's, at the least


def _queries(alarm: Registered) -> Iterator[Mapping[str, Any]]:
    parts = [query["metric"] for query in alarm.inputs.get("metricQueries", []) if "metric" in query]
    yield from parts or [alarm.inputs]


def _watched(recording: Recording, metric: str, dimension: str) -> set[str]:
    return {
        part["dimensions"][dimension]
        for alarm in recording.of("MetricAlarm")
        for part in _queries(alarm)
        if part["metricName"] == metric and dimension in part["dimensions"]
    }


def unwatched(recording: Recording) -> set[str]:
    """Functions whose errors, and queues whose messages no alarm looks at: those that wait, those that are received."""
    functions = {made.name for made in recording.of("Function")} - _watched(recording, "Errors", "FunctionName")
    waiting, received = (
        _watched(recording, f"ApproximateNumberOfMessages{which}", "QueueName") for which in ("Visible", "NotVisible")
    )
    return functions | ({made.name for made in recording.of("Queue")} - (waiting & received))


def too_much(recording: Recording) -> list[str]:
    """Everything that is over one of AWS's limits."""
    return [f"{what}: {size} > {limit}" for what, size, limit in _sizes(recording) if size > limit]


def _sizes(recording: Recording) -> Iterator[tuple[str, float, float]]:
    for alarm in recording.of("MetricAlarm"):
        parts = list(_queries(alarm))
        yield f"metrics of {alarm.name}", len(parts), _METRICS_PER_ALARM
        period = max(part["period"] for part in parts)
        longest = 7 * _DAY if period >= _HOUR else _DAY
        yield f"seconds of {alarm.name}", period * alarm.inputs["evaluationPeriods"], longest
    for composite in recording.of("CompositeAlarm"):
        rule = composite.inputs["alarmRule"]
        yield f"rule of {composite.name}", len(rule), _COMPOSITE_RULE
        yield f"children of {composite.name}", rule.count("ALARM("), _CHILDREN_OF_COMPOSITE
    yield from _dashboard_sizes(recording)
    for function in recording.of("Function"):
        variables = function.inputs.get("environment", {}).get("variables", {})
        generated = _GENERATED * sum("arn:" in value or "://" in value for value in variables.values())
        yield f"environment of {function.name}", len(json.dumps(variables)) + generated, _ENVIRONMENT
    reserved = [made.inputs.get("reservedConcurrentExecutions", 0) for made in recording.of("Function")]
    yield "reserved concurrency", sum(max(0, one) for one in reserved), _DEFAULT_QUOTA - _UNRESERVED
    for policy in recording.of("RolePolicy"):
        text = policy.inputs["policy"]
        size = len("".join(text.split())) + _GENERATED * text.count("arn:")
        yield f"policy of {policy.name}", size, _ROLE_POLICIES
    for policy in recording.of("TopicPolicy"):
        text = policy.inputs["policy"]
        yield f"policy of {policy.name}", len(text) + _GENERATED * text.count("arn:"), _TOPIC_POLICY


def _dashboard_sizes(recording: Recording) -> Iterator[tuple[str, float, float]]:
    for dashboard in recording.of("Dashboard"):
        text = dashboard.inputs["dashboardBody"]
        widgets = json.loads(text)["widgets"]
        lines = [len(widget["properties"].get("metrics", [])) for widget in widgets]
        yield "body of the dashboard", len(text) + _GENERATED * text.count("arn:"), _DASHBOARD_BODY
        yield "metrics of the dashboard", sum(lines), _METRICS_PER_DASHBOARD
        yield "metrics of a widget", max(lines), _METRICS_PER_WIDGET
        shown = [len(widget["properties"].get("alarms", [])) for widget in widgets]
        yield "alarms of a widget", max(shown), _ALARMS_PER_WIDGET


@pytest.fixture(scope="module")
def configured() -> dict[str, Recording]:
    """What each configuration registers."""
    return {name: run_main(stack, config) for name, (stack, config) in _CONFIGURATIONS.items()}


@pytest.mark.parametrize("name", _CONFIGURATIONS)
def test_every_queue_and_function_is_watched(configured: dict[str, Recording], name: str, record_property: Any) -> None:
    """Of each function an alarm counts the errors, of each queue alarms look at what waits and at what is received."""
    record_property("configurations walked", 1)
    for type_, plural in {"Function": "functions", "Queue": "queues", "MetricAlarm": "alarms"}.items():
        record_property(plural, len(configured[name].of(type_)))
    assert unwatched(configured[name]) == set()


@pytest.mark.parametrize("name", _CONFIGURATIONS)
def test_everything_is_within_the_limits(configured: dict[str, Recording], name: str, record_property: Any) -> None:
    """Alarms, dashboard, environments, policies and reserved concurrency are of a size that AWS accepts."""
    record_property("configurations walked", 1)
    record_property("sizes compared", len(list(_sizes(configured[name]))))
    assert too_much(configured[name]) == []


def _changed(recording: Recording, type_: str, name: str, **inputs: object) -> Recording:
    """The recording with other inputs of one resource; with none it is taken away."""
    one = recording.one(type_, name)
    others = [made for made in recording.resources if made is not one]
    changed = Recording()
    changed.resources = [*others, replace(one, inputs={**one.inputs, **inputs})] if inputs else others
    return changed


@pytest.mark.parametrize(
    ("alarm", "left"),
    [
        ("control-failures", {"control-failures"}),
        ("bus-unreadable", {"ingestion-bus-unreadable"}),
        ("events-breaker-errors", {"events-breaker"}),
        ("lake-notices-dead", {"lake-notices-dlq"}),
        ("lake-notices-stalled", {"lake-notices-queue"}),
        ("lake-gate-errors", {"lake-gate"}),
        ("lake-backfill-errors", {"lake-backfill"}),
        ("lake-committer-errors", {"lake-committer"}),
        ("control-errors", {"alarm-webhook", "failure-mode", "redrive", "redrive-api"}),
    ],
)
def test_what_nobody_watches_is_found(configured: dict[str, Recording], alarm: str, left: set[str]) -> None:
    """Without an alarm, the check names what it watched."""
    assert unwatched(_changed(configured["dev with everything on"], "MetricAlarm", alarm)) == left


def _many(count: int) -> list[dict[str, object]]:
    one = {"metricName": "Errors", "dimensions": {"FunctionName": "f"}, "period": 60}
    return [{"id": f"m{number}", "metric": one} for number in range(count)]


@pytest.mark.parametrize(
    ("type_", "name", "inputs", "what"),
    [
        ("MetricAlarm", "notification-failed", {"metricQueries": _many(11)}, "metrics of notification-failed"),
        ("MetricAlarm", "api-5xx", {"evaluationPeriods": 1441}, "seconds of api-5xx"),
        ("MetricAlarm", "api-5xx", {"period": 3600, "evaluationPeriods": 169}, "seconds of api-5xx"),
        ("CompositeAlarm", "critical", {"alarmRule": "ALARM(a)" * 101}, "children of critical"),
        ("CompositeAlarm", "critical", {"alarmRule": "a" * 10_241}, "rule of critical"),
        ("Function", "redrive", {"environment": {"variables": {"A": "a" * 4096}}}, "environment of redrive"),
        ("Function", "redrive", {"reservedConcurrentExecutions": 901}, "reserved concurrency"),
        ("RolePolicy", "redrive-policy", {"policy": "a" * 10_241}, "policy of redrive-policy"),
        ("TopicPolicy", "events-failure-policy", {"policy": "a" * 30_721}, "policy of events-failure-policy"),
        (
            "Dashboard",
            "dashboard",
            {"dashboardBody": json.dumps({"widgets": [{"properties": {"alarms": ["a"] * 101}}]})},
            "alarms of a widget",
        ),
        (
            "Dashboard",
            "dashboard",
            {"dashboardBody": json.dumps({"widgets": [{"properties": {"metrics": [[]] * 501}}]})},
            "metrics of a widget",
        ),
        (
            "Dashboard",
            "dashboard",
            {"dashboardBody": json.dumps({"widgets": [{"properties": {"metrics": [[]] * 417}}] * 6})},
            "metrics of the dashboard",
        ),
        (
            "Dashboard",
            "dashboard",
            {"dashboardBody": json.dumps({"widgets": [{"properties": {"markdown": "a" * 1_000_000}}]})},
            "body of the dashboard",
        ),
    ],
)
def test_what_is_too_much_is_found(
    configured: dict[str, Recording], type_: str, name: str, inputs: dict[str, object], what: str
) -> None:
    """One thing over its limit is told by name, and nothing else is."""
    found = too_much(_changed(configured["dev"], type_, name, **inputs))

    assert [one.partition(":")[0] for one in found] == [what]
