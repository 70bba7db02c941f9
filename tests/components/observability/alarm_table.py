"""Every alarm of the dev stack, number by number, by the logical name of its resource."""

from collections.abc import Mapping
from typing import NamedTuple

_QUEUE = {"QueueName": "events-queue"}
_DLQ = {"QueueName": "events-dlq"}
_INGEST = {"FunctionName": "events-ingest"}
_WORKER = {"FunctionName": "events-worker"}
_PIPELINE = {"pipeline": "events"}
_TABLES = {"state": "ingestion_state", "control": "control-table"}
_OVER = "GreaterThanThreshold"
_AT_LEAST = "GreaterThanOrEqualToThreshold"

Of = tuple[str, str, Mapping[str, str], str]  # namespace, metric, dimensions, statistic


class Math(NamedTuple):
    """A formula and what its variables are."""

    formula: str
    of: Mapping[str, Of]


class Row(NamedTuple):
    """What an alarm has to be. `span`: datapoints that have to breach, periods that are looked at."""

    severity: str
    measures: Of | Math
    comparison: str
    threshold: float
    span: tuple[int, int]
    missing: str


def _events(rule: str) -> Of:
    return ("AWS/Events", "FailedInvocations", {"EventBusName": "ingestion-bus", "RuleName": rule}, "Sum")


def _sns(topic: str) -> Of:
    return ("AWS/SNS", "NumberOfNotificationsFailed", {"TopicName": topic}, "Sum")


def _table(metric: str, role: str) -> Of:
    return ("AWS/DynamoDB", metric, {"TableName": _TABLES[role]}, "Sum")


def _own(metric: str) -> Of:
    return ("IngestionLab/dev", metric, _PIPELINE, "Sum")


def _held(queue: Mapping[str, str]) -> Mapping[str, Of]:
    return {
        "visible": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", queue, "Maximum"),
        "hidden": ("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", queue, "Maximum"),
    }


def _letters(queue: Mapping[str, str]) -> Math:
    return Math("visible + hidden", _held(queue))


ALARMS = {
    "events-dlq-not-empty": Row(
        "critical",
        _letters(_DLQ),
        *(_OVER, 0, (5, 5), "notBreaching"),
    ),
    "events-dlq-oldest-age": Row(
        "warning",
        _letters(_DLQ),
        *(_OVER, 0, (5, 5), "notBreaching"),
    ),
    "events-queue-age": Row(
        "critical",
        Math(
            "IF(FILL(retried, 0) > FILL(age, 0), FILL(retried, 0), FILL(age, 0))",
            {
                "age": ("AWS/SQS", "ApproximateAgeOfOldestMessage", _QUEUE, "Maximum"),
                "retried": ("IngestionLab/dev", "RetriedAge", _PIPELINE, "Maximum"),
            },
        ),
        *(_OVER, 300, (1, 5), "notBreaching"),
    ),
    "events-queue-backlog": Row(
        "warning",
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", _QUEUE, "Maximum"),
        *(_OVER, 1000, (5, 5), "notBreaching"),
    ),
    "events-queue-stalled": Row(
        "critical",
        Math(
            "IF(visible + hidden > 0 AND FILL(deleted, 0) < 1, 1, 0)",
            {**_held(_QUEUE), "deleted": ("AWS/SQS", "NumberOfMessagesDeleted", _QUEUE, "Sum")},
        ),
        *(_OVER, 0, (10, 10), "notBreaching"),
    ),
    "events-ingest-errors": Row("critical", ("AWS/Lambda", "Errors", _INGEST, "Sum"), _OVER, 0, (1, 1), "notBreaching"),
    "events-worker-errors": Row("warning", ("AWS/Lambda", "Errors", _WORKER, "Sum"), _OVER, 0, (1, 1), "notBreaching"),
    "events-error-rate": Row(
        "warning",
        Math(
            "IF((FILL(succeeded, 0) + FILL(dead, 0) + FILL(retried, 0)) > 0, "
            "100 * (FILL(dead, 0) + FILL(retried, 0)) / (FILL(succeeded, 0) + FILL(dead, 0) + FILL(retried, 0)), 0)",
            {"succeeded": _own("Succeeded"), "dead": _own("DeadLettered"), "retried": _own("Retried")},
        ),
        *(_OVER, 1, (3, 5), "notBreaching"),
    ),
    "events-retry-storm": Row(
        "warning",
        Math(
            "IF(FILL(deleted, 0) > 0, received / deleted, 0)",
            {
                "received": ("AWS/SQS", "NumberOfMessagesReceived", _QUEUE, "Sum"),
                "deleted": ("AWS/SQS", "NumberOfMessagesDeleted", _QUEUE, "Sum"),
            },
        ),
        *(_OVER, 2, (3, 5), "notBreaching"),
    ),
    "events-throttles": Row(
        "warning",
        Math(
            "FILL(ingest, 0) + FILL(worker, 0)",
            {
                "ingest": ("AWS/Lambda", "Throttles", _INGEST, "Sum"),
                "worker": ("AWS/Lambda", "Throttles", _WORKER, "Sum"),
            },
        ),
        *(_OVER, 0, (1, 1), "notBreaching"),
    ),
    "events-worker-duration": Row(
        "warning", ("AWS/Lambda", "Duration", _WORKER, "p99"), _AT_LEAST, 24_000, (3, 5), "notBreaching"
    ),
    "events-event-delivery-failed": Row(
        "critical",
        Math(
            "FILL(success, 0) + FILL(failure, 0) + FILL(trip, 0)",
            {
                "success": _events("events-success"),
                "failure": _events("events-failure"),
                "trip": _events("events-breaker-trip"),
            },
        ),
        *(_OVER, 0, (1, 1), "notBreaching"),
    ),
    "events-breaker-open": Row(
        "critical", ("IngestionLab/dev", "CircuitOpen", _PIPELINE, "Maximum"), _OVER, 0, (1, 1), "ignore"
    ),
    "events-redrive-failed": Row("warning", _own("RedriveStopped"), _OVER, 0, (1, 1), "notBreaching"),
    "api-5xx": Row(
        "critical", ("AWS/ApiGateway", "5xx", {"ApiId": "id:ingestion-api"}, "Sum"), _OVER, 0, (1, 1), "notBreaching"
    ),
    "table-throttles": Row(
        "warning",
        Math(
            "FILL(state_reads, 0) + FILL(state_writes, 0) + FILL(control_reads, 0) + FILL(control_writes, 0)",
            {
                "state_reads": _table("ReadThrottleEvents", "state"),
                "state_writes": _table("WriteThrottleEvents", "state"),
                "control_reads": _table("ReadThrottleEvents", "control"),
                "control_writes": _table("WriteThrottleEvents", "control"),
            },
        ),
        *(_OVER, 0, (1, 1), "notBreaching"),
    ),
    "notification-failed": Row(
        "warning",
        Math(
            "FILL(critical, 0) + FILL(warning, 0)",
            {"critical": _sns("alarms-critical"), "warning": _sns("alarms-warning")},
        ),
        *(_OVER, 0, (1, 1), "notBreaching"),
    ),
    "events-subscriber-failed": Row(
        "warning",
        Math(
            "FILL(failure, 0)",
            {"failure": _sns("events-failure")},
        ),
        *(_OVER, 0, (1, 1), "notBreaching"),
    ),
    "events-breaker-errors": Row(
        "warning",
        ("AWS/Lambda", "Errors", {"FunctionName": "events-breaker"}, "Sum"),
        *(_OVER, 0, (1, 1), "notBreaching"),
    ),
    "control-errors": Row(
        "warning",
        Math(
            "FILL(failure_mode, 0) + FILL(redrive, 0) + FILL(redrive_api, 0)",
            {
                "failure_mode": ("AWS/Lambda", "Errors", {"FunctionName": "failure-mode"}, "Sum"),
                "redrive": ("AWS/Lambda", "Errors", {"FunctionName": "redrive"}, "Sum"),
                "redrive_api": ("AWS/Lambda", "Errors", {"FunctionName": "redrive-api"}, "Sum"),
            },
        ),
        *(_OVER, 0, (1, 1), "notBreaching"),
    ),
    "control-failures": Row(
        "critical",
        _letters({"QueueName": "control-failures"}),
        *(_OVER, 0, (1, 1), "notBreaching"),
    ),
}


class Burn(NamedTuple):
    """What an alarm of two windows has to be: threshold in per cent, windows in seconds."""

    severity: str
    threshold: float
    long: int
    short: int


BURNS = {
    "events-objective-fast-burn": Burn("critical", 1.44, 3600, 300),
    "events-objective-slow-burn": Burn("warning", 0.6, 21_600, 1800),
}
LONG = Math(
    "IF(missed < 10, 0, 100 * missed / ended)",
    {"missed": _own("Missed"), "ended": (*_own("Missed")[:3], "SampleCount")},
)
SHORT = Math("100 * missed", {"missed": (*_own("Missed")[:3], "Average")})
