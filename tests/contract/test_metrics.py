"""Every metric that something waits for is sent by somebody: by AWS, as its documentation says, or by our code.

What our code sends is found by running the handlers (tests/contract/log_set.py) and reading their lines as CloudWatch
does, embedded metrics and the deployed metric filters alike.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from handlers import observability
from handlers.worker import outcome
from ops.local.cloudwatch import definitions, log_metrics
from ops.local.cloudwatch.logs import LogEvent
from ops.local.cloudwatch.sources import queues
from tests.components.recording import Recording, run_main, variables
from tests.contract.aws_metrics import AWS_METRICS, POISON_RECEIVES
from tests.contract.log_set import PREFIX

_SEARCH = re.compile(r"SEARCH\('\{\"([^\"]+)\",?([^}]*)\} MetricName=\"(\w+)\"'")


class Used(NamedTuple):
    """A metric: where it is, what it is called, by what it is told apart."""

    namespace: str
    name: str
    dimensions: frozenset[str]


_PROGRAMS: dict[str, tuple[str, dict[str, object]]] = {
    **{stack: (stack, {}) for stack in ("local", "dev", "prod")},
    "gate": ("local", {"lakeQualityGate": True, "lakeBackfill": True}),
    "tables": ("local", {"lakeFormat": "iceberg", "glueDatabase": "lake"}),
}


@pytest.fixture(scope="module", params=_PROGRAMS)
def program(request: pytest.FixtureRequest) -> Recording:
    """The program as a stack's YAML configures it, and with what only a configuration of one's own brings."""
    return run_main(*_PROGRAMS[request.param])


def _of_alarms(program: Recording) -> Iterator[Used]:
    for alarm in program.of("MetricAlarm"):
        inputs = alarm.inputs
        parts = [query["metric"] for query in inputs.get("metricQueries", []) if "metric" in query]
        for part in parts or [inputs]:
            yield Used(part["namespace"], part["metricName"], frozenset(part.get("dimensions", {})))


def _of_widgets(program: Recording) -> Iterator[Used]:
    for widget in _widgets(program):
        for line in widget["properties"].get("metrics", []):
            if isinstance(line[0], dict):
                for namespace, dimensions, name in _SEARCH.findall(line[0]["expression"]):
                    yield Used(namespace, name, frozenset(dimensions.split(",")))
            else:
                namespace, name, *rest = [part for part in line if not isinstance(part, dict)]
                yield Used(namespace, name, frozenset(rest[::2]))


def _widgets(program: Recording) -> list[dict[str, Any]]:
    (dashboard,) = program.of("Dashboard")
    widgets: list[dict[str, Any]] = json.loads(dashboard.inputs["dashboardBody"])["widgets"]
    return widgets


def _filters(program: Recording) -> dict[str, Mapping[str, Any]]:
    return {f.name: f.inputs for f in program.of("LogMetricFilter")}


def _sent(program: Recording, log_set: list[LogEvent]) -> Counter[Used]:
    """What our code sends on that morning where all who speak are deployed, and how often."""
    deployed = {PREFIX + function.name for function in program.of("Function")}
    log_set = [event for event in log_set if event.group in deployed]
    data = [datum for event in log_set for datum in log_metrics.embedded(event.message)]
    for inputs in _filters(program).values():
        group = PREFIX + inputs["logGroupName"].rpartition(f"ingestion-lab-{_stack(program)}-")[2]
        data += definitions.metric_filter({**inputs, "logGroupName": group}).data(log_set)
    own = {"IngestionLab/dev": f"IngestionLab/{_stack(program)}"}  # where the morning was
    return Counter(
        Used(
            own.get(datum.metric.namespace, datum.metric.namespace),
            datum.metric.name,
            frozenset(name for name, _ in datum.metric.dimensions),
        )
        for datum in data
    )


def _stack(program: Recording) -> str:
    (dashboard,) = program.of("Dashboard")
    return str(dashboard.inputs["dashboardName"]).removeprefix("IngestionLab-")


def test_every_metric_in_use_is_sent_by_somebody(program: Recording, log_set: list[LogEvent]) -> None:
    """Namespace, name and the exact set of dimensions: an alarm on anything else would never fire."""
    of_aws = {Used(*metric, dimensions) for metric, (dimensions, _) in AWS_METRICS.items()}

    assert {*_of_alarms(program), *_of_widgets(program)} - of_aws - _sent(program, log_set).keys() == set()


def test_functions_send_to_the_namespace_of_their_stack(
    program: Recording, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a function makes of its environment is where alarms, dashboard and filters look."""
    monkeypatch.setenv("ENVIRONMENT", variables(program, "events-worker")["ENVIRONMENT"])
    observability.count("events", {"Succeeded": 1})
    (datum,) = log_metrics.embedded(capsys.readouterr().out)

    made = {inputs["metricTransformation"]["namespace"] for inputs in _filters(program).values()}
    assert made == {datum.metric.namespace} == {f"IngestionLab/{_stack(program)}"}


def test_every_metric_of_ours_is_in_use(program: Recording, log_set: list[LogEvent]) -> None:
    """Each is paid for, so each is looked at."""
    assert _sent(program, log_set).keys() - {*_of_alarms(program), *_of_widgets(program)} == set()


def test_every_metric_of_the_list_is_in_use(program: Recording) -> None:
    """The list holds nothing that the program does not rest on: as it is, with fair or FIFO groups, or a backfill."""
    backfilled = run_main(*_PROGRAMS["gate"])
    grouped = [run_main("dev", {"groupBy": "/a", "queueType": kind}) for kind in ("standard", "fifo")]
    shown = [used for one in (program, *grouped) for used in _of_widgets(one)]
    in_use = {(used.namespace, used.name) for used in (*_of_alarms(program), *_of_alarms(backfilled), *shown)}

    assert AWS_METRICS.keys() - in_use == set()


def test_who_leaves_out_what() -> None:
    """The worker tells the age of just those messages that SQS leaves out of its own, and so does the laptop's SQS."""
    assert (outcome.POISON_RECEIVES, queues.POISON_RECEIVES) == (POISON_RECEIVES, POISON_RECEIVES)


def test_metrics_of_ours_count_what_happened(log_set: list[LogEvent]) -> None:
    """The sums over the morning are those of its story."""
    sums: Counter[str] = Counter()
    for event in log_set:
        for datum in log_metrics.embedded(event.message):
            pipeline = "lake" if datum.metric.name in {"ObjectsIgnored", "QualityFailed"} else "events"
            assert datum.metric.dimensions == (("pipeline", pipeline),)
            sums[datum.metric.name] += int(datum.point.value) * datum.point.count

    assert sums == {
        "Accepted": 3,
        "Rejected": 1,
        "Unavailable": 1,
        "Succeeded": 2,
        "Duplicates": 2,
        "DeadLettered": 1,
        "Retried": 5,
        "HandedBack": 3,
        "Unsettled": 4,
        "ProcessingLatency": 12 + 100 + 40,
        "RetriedAge": 60,
        "Missed": 2,
        "CircuitOpen": 2,
        "ObjectsIgnored": 1,
        "QualityFailed": 1,
        "RedriveMoved": 2,
        "RedriveStopped": 1,
    }


def test_widgets_refer_to_what_there_is(program: Recording) -> None:
    """The alarms that are shown are those that notify or sum up, and the logs that are searched the functions'."""
    (shown,) = [widget["properties"]["alarms"] for widget in _widgets(program) if widget["type"] == "alarm"]
    made = {f"arn:{alarm.name}" for alarm in (*program.alarms(), *program.of("CompositeAlarm"))}
    (query,) = [widget["properties"]["query"] for widget in _widgets(program) if widget["type"] == "log"]
    groups = {one.inputs["name"] for one in program.of("LogGroup") if one.inputs["name"].startswith("/aws/lambda/")}

    assert set(shown) == made
    assert set(re.findall(r"SOURCE '([^']+)'", query)) == groups


def test_record_errors_are_the_failures_of_records(log_set: list[LogEvent]) -> None:
    """The pattern matches the worker's lines that say what failed, and no other line of any function but refusals."""
    matches = definitions.metric_filter(_filters(run_main("dev"))["events-record-errors"]).matches
    lines = [
        (event.group.removeprefix(PREFIX), json.loads(event.message)) for event in log_set if matches(event.message)
    ]

    found = Counter((function, line.get("outcome"), line["errorType"]) for function, line in lines)
    assert found == {
        ("events-worker", "dead_lettered", "SchemaValidationError"): 1,
        ("events-worker", "retried", "DownstreamError"): 4,
        ("events-worker", "exhausted", "KeyError"): 1,
        ("events-worker", "unclaimed", "InternalServerError"): 1,
        ("events-worker", "unrecorded", "InternalServerError"): 1,
        ("events-worker", "untold", "InternalServerError"): 1,
        ("events-worker", "not_dead_lettered", "InternalServerError"): 1,
        ("events-ingest", None, "NotFound"): 1,
        ("events-ingest", None, "InternalServerError"): 1,
        ("events-ingest", None, "ServiceUnavailable"): 1,
    }


def test_records_processed_are_the_records_that_succeeded(log_set: list[LogEvent]) -> None:
    """Once for each, and for no duplicate, redelivery or failure."""
    matches = definitions.metric_filter(_filters(run_main("dev"))["events-records-processed"]).matches

    lines = [json.loads(event.message) for event in log_set if matches(event.message)]
    assert [(line["outcome"], line["processed"]) for line in lines] == [("succeeded", True)] * 2


@pytest.mark.parametrize("name", ["events-record-errors", "events-records-processed"])
def test_filters_listen_to_the_worker(program: Recording, name: str) -> None:
    """The log group is the one that the worker writes to, so what other functions say is not counted."""
    logging = program.inputs("Function", "events-worker")["loggingConfig"]

    assert _filters(program)[name]["logGroupName"] == logging["logGroup"]


def test_chatter_and_metric_lines_match_no_filter(log_set: list[LogEvent]) -> None:
    """Neither Lambda's own lines nor embedded metrics are taken for records."""
    others = [event.message for event in log_set if not event.message.startswith('{"level"')]
    patterns = [definitions.metric_filter(inputs).matches for inputs in _filters(run_main("dev")).values()]

    assert len(others) > 60
    assert [text for text in others for matches in patterns if matches(text)] == []


def test_a_wrong_name_would_be_found(log_set: list[LogEvent]) -> None:
    """The test above can fail: a metric of REST APIs, a dimension too few, or a misspelt one is nobody's."""
    wrong = [
        Used("AWS/ApiGateway", "5XXError", frozenset({"ApiId"})),
        Used("AWS/Events", "FailedInvocations", frozenset({"RuleName"})),
        Used("IngestionLab/dev", "Retries", frozenset({"pipeline"})),
        Used("IngestionLab/dev", "Retried", frozenset()),
        Used("IngestionLab/dev-eu", "Retried", frozenset({"pipeline"})),
    ]
    sent = _sent(run_main("dev"), log_set)
    of_aws = {Used(*metric, dimensions) for metric, (dimensions, _) in AWS_METRICS.items()}

    assert [used for used in wrong if used in of_aws or used in sent] == []
