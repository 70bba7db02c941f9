"""What people look at: the dashboard, metric filters and saved queries; and that none of it is there when it is off."""

import json
import re
from collections import Counter
from typing import Any

import pytest

from components.observability.alarms import docs
from components.observability.dashboard import recent_errors
from tests.components.recording import EVERY_PIPELINE, REGION, ROOT, Recording, run_main

_OF_A_PIPELINE = f"^({'|'.join(EVERY_PIPELINE)})-"
_LOGS = "/aws/lambda/ingestion-lab-dev-"
_OBSERVABILITY = ("CompositeAlarm", "Dashboard", "LogMetricFilter", "MetricAlarm", "QueryDefinition")


def _body(recording: Recording) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(recording.inputs("Dashboard", "dashboard")["dashboardBody"])
    return body


def _lines(recording: Recording) -> dict[str, set[tuple[Any, ...]]]:
    """Title of each graph -> its metrics: namespace, name, dimensions, statistic."""
    graphs = [widget["properties"] for widget in _body(recording)["widgets"] if widget["type"] == "metric"]
    return {
        graph["title"]: {(*line[:-1], line[-1]["stat"]) for line in graph["metrics"] if "stat" in line[-1]}
        for graph in graphs
    }


def _of_queue(metric: str, queue: str) -> tuple[str, ...]:
    return ("AWS/SQS", metric, "QueueName", queue, "Maximum")


def _of_function(metric: str, function: str, statistic: str = "Sum") -> tuple[str, ...]:
    return ("AWS/Lambda", metric, "FunctionName", function, statistic)


def _own(metric: str, statistic: str = "Sum") -> tuple[str, ...]:
    return ("IngestionLab/dev", metric, "pipeline", "events", statistic)


def _of_api(metric: str, statistic: str = "Sum") -> tuple[str, ...]:
    return ("AWS/ApiGateway", metric, "ApiId", "id:ingestion-api", statistic)


def _of_rule(metric: str, rule: str) -> tuple[str, ...]:
    return ("AWS/Events", metric, "EventBusName", "ingestion-bus", "RuleName", rule, "Sum")


_PERCENTILES = ("p50", "p95", "p99")
_DEPTHS = ("ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible")
_GRAPHS = {
    "API requests": {_of_api("Count"), _of_api("4xx"), _of_api("5xx")},
    "API latency, ms": {_of_api("Latency", p) for p in _PERCENTILES},
    "DynamoDB throttles": {
        ("AWS/DynamoDB", f"{kind}ThrottleEvents", "TableName", table, "Sum")
        for kind in ("Read", "Write")
        for table in ("ingestion_state", "control-table")
    },
    "events: queue": {_of_queue(metric, "events-queue") for metric in _DEPTHS},
    "events: dead-letter queue": {_of_queue(metric, "events-dlq") for metric in _DEPTHS},
    "events: age of the oldest message, s": {
        _of_queue("ApproximateAgeOfOldestMessage", queue) for queue in ("events-queue", "events-dlq")
    },
    "events: functions": {
        _of_function(metric, function)
        for metric in ("Invocations", "Errors", "Throttles")
        for function in ("events-ingest", "events-worker")
    },
    "events: duration of ingest, ms": {_of_function("Duration", "events-ingest", p) for p in _PERCENTILES},
    "events: duration of worker, ms": {_of_function("Duration", "events-worker", p) for p in _PERCENTILES},
    "events: events taken": {_own(metric) for metric in ("Accepted", "Rejected", "Unavailable")},
    "events: events settled": {
        _own(metric) for metric in ("Succeeded", "Duplicates", "DeadLettered", "Retried", "HandedBack", "Unsettled")
    },
    "events: processing latency, ms": {_own("ProcessingLatency", p) for p in _PERCENTILES},
    "events: share that missed the objective": {_own("Missed", "Average")},
    "events: time to drain, min": {
        *(_of_queue(metric, "events-queue") for metric in _DEPTHS),
        *(("AWS/SQS", f"NumberOfMessages{what}", "QueueName", "events-queue", "Sum") for what in ("Sent", "Deleted")),
    },
    "events: EventBridge": {
        _of_rule(metric, rule)
        for metric in ("MatchedEvents", "FailedInvocations")
        for rule in ("events-success", "events-failure", "events-breaker-trip")
    },
    "events: circuit breaker": {_own("CircuitOpen", "Maximum")},
    "events: redrive": {_own("RedriveMoved"), _own("RedriveStopped")},
    "Record errors by type": {("IngestionLab/dev", "RecordsProcessed", "Sum")},
}


def test_dashboard_graphs(dev: Recording) -> None:
    """The dashboard draws exactly these metrics, each under the dimensions with which it is sent."""
    assert _lines(dev) == _GRAPHS


def test_dashboard_searches_for_errors_by_type(dev: Recording) -> None:
    """Error types are not known beforehand, so the graph of them searches for what there is."""
    (graph,) = [w for w in _body(dev)["widgets"] if w["properties"]["title"] == "Record errors by type"]

    assert graph["properties"]["metrics"][0] == [
        {
            "expression": "SEARCH('{\"IngestionLab/dev\",errorType} MetricName=\"RecordErrors\"', 'Sum', 60)",
            "id": "errors",
        }
    ]


def test_dashboard_tells_when_the_queue_is_worked_off(dev: Recording) -> None:
    """What waits, over what it gets less by in a second; what the formula reads is not drawn."""
    (graph,) = [w for w in _body(dev)["widgets"] if w["properties"].get("title") == "events: time to drain, min"]
    (formula,), *lines = graph["properties"]["metrics"]
    less = "FILL(deleted, 0) - FILL(sent, 0)"

    assert formula == {
        "expression": f"(visible + hidden) * PERIOD(visible) / IF({less} > 0, {less}, 0) / 60",
        "label": "left",
    }
    assert {line[-1]["id"]: line[-1]["visible"] for line in lines} == dict.fromkeys(
        ("visible", "hidden", "sent", "deleted"), False
    )


def test_dashboard_shows_every_alarm(dev: Recording) -> None:
    """Both sums and all alarms that notify are on it; the windows of one are not."""
    (widget,) = [widget for widget in _body(dev)["widgets"] if widget["type"] == "alarm"]
    alarms = {alarm.name for alarm in (*dev.alarms(), *dev.of("CompositeAlarm"))}

    assert Counter(widget["properties"]["alarms"]) == Counter(f"arn:{name}" for name in alarms)


def test_dashboard_shows_recent_errors_of_all_functions(dev: Recording) -> None:
    """The latest lines of level ERROR, whichever function wrote them."""
    (widget,) = [widget for widget in _body(dev)["widgets"] if widget["type"] == "log"]
    sources = " | ".join(f"SOURCE '{_LOGS}{name}'" for name in sorted(f.name for f in dev.of("Function")))

    assert widget["properties"] == {
        "title": "Recent errors",
        "region": REGION,
        "view": "table",
        "query": f"{sources} | fields @timestamp, @log, message, errorType, idempotencyKey, requestId "
        '| filter level = "ERROR" | sort @timestamp desc | limit 20',
    }


def test_dashboard_leaves_no_gap_and_no_overlap(dev: Recording) -> None:
    """The widgets of a row stand side by side within CloudWatch's 24 columns, the rows under one another."""
    cells = Counter(
        (x, y)
        for widget in _body(dev)["widgets"]
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    )
    rows = 1 + max(y for _, y in cells)

    assert cells == Counter({(x, y): 1 for x in range(24) for y in range(rows)})


def test_dashboard_is_called_after_the_stack(dev: Recording) -> None:
    """Its name is for people, its address is an output of the stack, its graphs have the alarms' period."""
    periods = {w["properties"]["period"] for w in _body(dev)["widgets"] if w["type"] == "metric"}

    assert dev.inputs("Dashboard", "dashboard")["dashboardName"] == "IngestionLab-dev"
    assert dev.outputs["DashboardUrl"] == (
        f"https://{REGION}.console.aws.amazon.com/cloudwatch/home?region={REGION}#dashboards/dashboard/IngestionLab-dev"
    )
    assert periods == {60}


def test_metric_filters(dev: Recording) -> None:
    """The worker's lines with an error type are counted by it, those of processed events with a 0 where there is none.

    What lines the patterns match is shown in tests/contract.
    """
    assert {made.name: made.inputs for made in dev.of("LogMetricFilter")} == {
        "events-record-errors": {
            "logGroupName": f"{_LOGS}events-worker",
            "pattern": '{ $.errorType = "*" }',
            "metricTransformation": {
                "name": "RecordErrors",
                "namespace": "IngestionLab/dev",
                "value": "1",
                "unit": "Count",
                "dimensions": {"errorType": "$.errorType"},
            },
        },
        "events-records-processed": {
            "logGroupName": f"{_LOGS}events-worker",
            "pattern": "{ $.processed IS TRUE }",
            "metricTransformation": {
                "name": "RecordsProcessed",
                "namespace": "IngestionLab/dev",
                "value": "1",
                "unit": "Count",
                "defaultValue": "0",
            },
        },
    }


_QUERIES = ("duplicates", "failures-by-type", "latency", "one-event", "redrive-audit", "slowest")


@pytest.mark.parametrize("name", _QUERIES)
def test_saved_queries_are_those_of_the_folder(dev: Recording, name: str) -> None:
    """Each file is a saved query over all functions' logs, in a folder of the stack's own."""
    assert dev.inputs("QueryDefinition", f"query-{name}") == {
        "name": f"ingestion-lab/dev/{name}",
        "queryString": (ROOT / "ops" / "queries" / f"{name}.txt").read_text().strip(),
        "logGroupNames": [f"{_LOGS}{function}" for function in sorted(f.name for f in dev.of("Function"))],
    }


def test_there_are_no_other_queries(dev: Recording) -> None:
    """Exactly these files are there, and exactly these are saved."""
    assert {made.name for made in dev.of("QueryDefinition")} == {f"query-{name}" for name in _QUERIES}
    assert {path.stem for path in (ROOT / "ops" / "queries").iterdir()} == set(_QUERIES)


@pytest.mark.parametrize("preview", [False, True], ids=["update", "preview"])
@pytest.mark.parametrize("stack", ["local", "dev"])
def test_off_means_that_nothing_of_it_is_there(stack: str, preview: bool) -> None:  # noqa: FBT001 - a parameter
    """With observabilityEnabled false the stack is what it is, less alarms, topics of theirs, dashboard and queries."""
    with_it, without = run_main(stack), run_main(stack, {"observabilityEnabled": False}, preview=preview)
    gone = with_it.names() - without.names()
    topics = {f"alarms-{severity}" for severity in ("critical", "warning")}

    assert without.names() < with_it.names()
    assert {name for type_, name in gone if type_.rpartition(":")[2] not in _OBSERVABILITY} == {
        "alarms",
        "observability",
        *topics,
        *(f"{topic}-policy" for topic in topics),
    }
    assert [r.name for r in without.resources if r.type.rpartition(":")[2] in _OBSERVABILITY] == []
    assert "DashboardUrl" not in without.outputs


def test_recent_errors_reads_all_groups_that_it_is_given() -> None:
    """One SOURCE for each log group, in front of the same query."""
    assert recent_errors(["/a", "/b"]).startswith("SOURCE '/a' | SOURCE '/b' | fields ")


def test_the_documented_alarms_are_those_of_the_catalogue() -> None:
    """docs/alarms.md is the catalogue in words, written by `python -m components.observability.alarms.docs`."""
    assert (ROOT / "docs" / "alarms.md").read_text() == docs.render()


def test_the_documented_alarms_are_all() -> None:
    """The document has one row for every alarm that is deployed, of whatever pipeline."""
    rows = [line.split("`")[1] for line in docs.render().splitlines() if line.startswith("| [`")]
    lake = {"lakeQualityGate": True, "lakeBackfill": True, "lakeFormat": "iceberg", "glueDatabase": "lake"}
    everything = {"pipelines": list(EVERY_PIPELINE), "useKmsCmk": True, **lake}
    deployed = run_main("dev", everything).alarms()

    assert Counter(rows) == Counter({re.sub(_OF_A_PIPELINE, "", alarm.name) for alarm in deployed})
