"""What a stack costs: what a path is made of, what was measured, what a knob changes, and how `lab` tells it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.cli import program, target
from ops.cost import knobs, meter, paths
from ops.cost.fixed import ITEMS, Resource
from ops.cost.paths import Figure, Function, Shape, Usage
from tests.components.configurations import FIXED
from tests.ops.laptop import Laptop

_SHAPE = Shape(
    pipelines=("events",),
    functions={"events-ingest": Function(256, "arm64"), "events-worker": Function(512, "x86_64")},
    batch_sizes={"events-worker": 10},
    told=frozenset({"events"}),
)
_NOW = datetime(2026, 11, 28, tzinfo=UTC)


def _resources(name: str) -> list[Resource]:
    (found,) = [one for one in FIXED if one.name == name]
    return list(found.recording().resources)


def _dollars(shape: Shape, usage: Usage, pipeline: str = "events") -> dict[str, float]:
    return {line.name: round(line.per_million, 3) for line in paths.lines(pipeline, shape, usage)}


def test_the_shape_of_a_configuration() -> None:
    """Everything that a price depends on is read from what the program registers."""
    shape = Shape.of(_resources("everything on dev"))

    assert shape.pipelines == ("events", "orders", "lake")
    assert shape.functions["lake-worker"] == Function(1024, "arm64")
    assert {name: shape.batch_sizes[f"{name}-worker"] for name in shape.pipelines} == {
        "events": 10,
        "orders": 5,
        "lake": 2,
    }
    assert shape.fifo == frozenset()
    assert shape.grouped == {"events", "lake"}
    assert shape.told == {"events", "orders", "lake"}
    assert (shape.tracing, shape.asks_authorizer) == (True, True)
    assert (shape.log_days, shape.ttl_days, shape.archive_days) == (7, 7, 14)
    assert (shape.copies_files, Shape.of(_resources("everything on prod")).copies_files) == (False, True)
    assert Shape.of(_resources("FIFO on prod")).fifo == {"events"}
    assert not Shape.of(_resources("prod")).asks_authorizer


def test_a_table_bucket_gets_a_copy_of_each_file() -> None:
    """Which is a read and a put more."""
    copying = Shape.of(_resources("everything on prod"))
    usage = Usage.assumed("lake", copying)
    without = _dollars(replace(copying, copies_files=False), usage, "lake")

    assert dict(_dollars(copying, usage, "lake").items() - without.items()) == {
        "reads of files for the table bucket": 0.4,
        "copies into the table bucket": 5.0,
    }


def test_the_path_of_an_event() -> None:
    """Each call of it at its price; a batch shares what it shares."""
    assert _dollars(_SHAPE, Usage.assumed("events", _SHAPE)) == {
        "request of the API": 1.0,
        "API or ingest: invocation": 0.2,
        "API or ingest: time": 0.067,  # 20 ms x 256 MB of arm64
        "send": 0.4,
        "receive and delete": 0.08,
        "worker: invocation": 0.02,
        "worker: time": 0.083,  # 100 ms x 512 MB of x86_64 for ten
        "claim and outcome": 1.25,
        "event of the outcome": 1.0,
        "publish to the success topic": 0.5,
        "traces": 0.275,
        "logs": 0.675,
        "logs kept for 14 days": 0.019,
        "record kept for 7 days": 0.046,
        "its point-in-time recovery": 0.037,
    }


def test_what_sizes_change() -> None:
    """An item just over 1 KB doubles its writes, a message over 64 KB its requests, events and publishes."""
    usage = replace(Usage.assumed("events", _SHAPE), item_bytes=Figure(1025), message_bytes=Figure(64 * 1024 + 1))
    found = _dollars(_SHAPE, usage)

    assert found["claim and outcome"] == 2.5
    assert (found["event of the outcome"], found["publish to the success topic"]) == (2.0, 1.0)
    assert (found["send"], found["receive and delete"]) == (0.8, 0.88)


@given(size=st.integers(1, 1024 * 1024), batch=st.integers(1, 1000), together=st.integers(1, 100))
def test_sqs_is_billed_by_calls_and_by_bytes(size: int, batch: int, together: int) -> None:
    """Never less than the bytes of a message in chunks of 64 KB, nor than its share of a call, which takes ten."""
    usage = replace(
        Usage.assumed("events", _SHAPE), batch=Figure(batch), message_bytes=Figure(size), events=Figure(together)
    )
    found = {line.name: line.quantity for line in paths.lines("events", _SHAPE, usage)}

    assert found["send"] >= max(size / (64 * 1024), 1 / min(together, 10)) - 1e-9
    assert found["receive and delete"] >= 2 * max(size / (64 * 1024), 1 / min(batch, 10)) - 1e-9


def test_knobs() -> None:
    """Each turned from where it stands; what a configuration has not is no knob of it."""
    resources = _resources("everything on dev")
    shape = Shape.of(resources)
    usages = {name: Usage.assumed(name, shape) for name in shape.pipelines}
    found = {one.knob: one for one in knobs.changes(resources, usages)}

    assert (found["useKmsCmk: false"].monthly, found["useKmsCmk: false"].per_million) == (-1.0, {})
    optional = ("alarm metric", "composite alarm", "dashboard")  # functions print metrics all the same
    saved = sum(float(item.dollars(resources)) for item in ITEMS if item.name.startswith(optional))
    assert found["observabilityEnabled: false"].monthly == pytest.approx(-saved)
    assert {name: round(one, 3) for name, one in found["tracing: false"].per_million.items()} == {
        "events": -0.275,
        "orders": -0.3,
        "lake": -0.375,
    }
    assert found["publishSuccesses: false"].per_million == pytest.approx(dict.fromkeys(usages, -0.5))
    assert found["an Idempotency-Key on each event"].per_million == {"events": 0.625, "orders": 0.625}
    # A record of 4,296 bytes is five units in place of one at each of two writes, an order and its index are four each.
    more = (4096 - 500) * 1_000_000 / 1024**3  # GB, kept for a week with its backup; the archive has it for a fortnight
    kept, archived = more * 7 / 30.4 * (0.25 + 0.20), more * (0.10 + 14 / 30.4 * 0.023)
    assert found["events of 4 KB"].per_million == pytest.approx(
        {"events": 2 * 4 * 0.625 + kept, "orders": 2 * 4 * 0.625 + kept + 2 * 3 * 0.625 + archived}
    )
    line = 250 / 1024**3 * 1_000_000 * 0.5
    assert found["250 bytes more of log an event"].per_million == pytest.approx(
        dict.fromkeys(usages, line),
        rel=0.02,  # and its storage
    )
    assert found["POST /events/batch with 100"].per_million.keys() == {"events"}
    assert found["archiveRetentionDays: 0"].per_million.keys() == {"orders"}
    assert "groupBy on a standard queue" not in found
    plain, ordered = (
        {one.knob for one in knobs.changes(_resources(name), {"events": usages["events"]})}
        for name in ("dev", "FIFO on prod")
    )
    assert {"groupBy on a standard queue", "useKmsCmk: true"} <= plain - ordered
    assert "queueType: fifo" in plain - ordered


class FakeAws:
    """CloudWatch and DynamoDB of a stack: values by metric and dimension, and the records of its table."""

    def __init__(self, values: dict[tuple[str, str], float], items: list[dict[str, Any]]) -> None:
        self.values = values
        self.items = items

    def client(self, _service: str) -> "FakeAws":
        return self

    def get_metric_data(self, **given: Any) -> dict[str, Any]:
        assert (given["StartTime"], given["EndTime"]) == (_NOW - timedelta(hours=1), _NOW)
        results = []
        for query in given["MetricDataQueries"]:
            metric = query["MetricStat"]["Metric"]
            (dimension,) = metric["Dimensions"]
            value = self.values.get((metric["MetricName"], dimension["Value"]))
            results.append({"Id": query["Id"], "Values": [] if value is None else [value]})
        return {"MetricDataResults": results}

    def scan(self, **given: Any) -> dict[str, Any]:
        assert given == {"TableName": "state", "Limit": 100}
        return {"Items": self.items}


def _place(aws: FakeAws) -> meter.Place:
    outputs = {"DynamoTableName": "state", "ApiEndpoint": "https://abc.execute-api.eu-west-1.amazonaws.com"}
    group = {"workerFunctionName": "events-worker-1", "ingestFunctionName": "events-ingest-1"}
    return meter.Place("dev", aws.client, outputs, {"events": group}, _resources("dev"))


def test_what_a_run_was_like() -> None:
    """A batch by what its workers were given, logs by what they are of, records by the sizes of some."""
    values = {
        ("Succeeded", "events"): 36.0,
        ("Retried", "events"): 4.0,
        ("Invocations", "events-worker-1"): 8.0,
        ("Invocations", "events-ingest-1"): 20.0,
        ("Duration", "events-worker-1"): 55.0,
        ("IncomingBytes", "/aws/lambda/ingestion-lab-dev-events-worker"): 20_000.0,
        ("IncomingBytes", "/aws/lambda/ingestion-lab-dev-events-ingest"): 8_000.0,
        ("IncomingBytes", "/aws/vendedlogs/ingestion-lab-dev-ingestion-api"): 9_000.0,
        ("Count", "abc"): 20.0,
    }
    items = [{"pipeline": {"S": "events"}, "payload": {"S": "{}"}}, {"pipeline": {"S": "orders"}}]
    assumed = {"events": Usage.assumed("events", _SHAPE)}

    found = meter.measured(_place(FakeAws(values, items)), assumed, _NOW - timedelta(hours=1), _NOW)

    assert found["events"] == replace(
        assumed["events"],
        batch=Figure(5, "measured"),
        worker_ms=Figure(55, "measured"),
        worker_log_bytes=Figure(500, "measured"),
        producer_log_bytes=Figure(400, "measured"),
        access_log_bytes=Figure(450, "measured"),
        item_bytes=Figure(len("pipelineeventspayload{}"), "measured"),
        message_bytes=Figure(2, "measured"),
    )


def test_nothing_has_run() -> None:
    """No data is no measurement: what is assumed stays so, as it does for a pipeline that the stack does not have."""
    assumed = {name: Usage.assumed(name, _SHAPE) for name in ("events", "lake")}

    assert meter.measured(_place(FakeAws({}, [])), assumed, _NOW - timedelta(hours=1), _NOW) == assumed


def test_runs_of_a_pipeline_without_a_path() -> None:
    """Of a pipeline that is somebody's own nothing is looked up, and the others are measured all the same."""
    place = _place(FakeAws({("Duration", "events-worker-1"): 55.0}, []))
    with_own = replace(place, pipelines={**place.pipelines, "payments": {"workerFunctionName": "payments-worker-1"}})

    found = meter.measured(with_own, {"events": Usage.assumed("events", _SHAPE)}, _NOW - timedelta(hours=1), _NOW)

    assert found["events"].worker_ms == Figure(55, "measured")


def test_the_size_of_an_item() -> None:
    """Names and values: text by its bytes, numbers by their digits, flags one."""
    item = {"name": {"S": "süß"}, "n": {"N": "12345"}, "flag": {"BOOL": True}}

    assert meter.item_bytes(item) == 4 + 5 + 1 + 4 + 4 + 1


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Laptop:
    """`lab` on a machine where nothing runs."""
    monkeypatch.setattr(
        program, "registered", lambda stack: _resources("everything on dev" if stack == "dev" else stack)
    )
    monkeypatch.setattr(target, "_pulumi_outputs", _no_cli)
    return Laptop(tmp_path, 1)


def _no_cli(_stack: str) -> dict[str, Any]:
    raise target.TargetError("no Pulumi CLI")


def test_lab_cost(priced: Laptop) -> None:
    """As one document: totals are the sums of what they are of, and nothing passes for measured that is not."""
    shown = priced.lab("cost", "--stack", "dev", "--json")
    document = json.loads(shown.stdout)

    assert (shown.exit_code, document["runs"]) == (0, "nothing is measured: no Pulumi CLI")
    assert document["monthlyTotal"] == pytest.approx(sum(one["dollars"] for one in document["monthly"]))
    for found in document["pipelines"].values():
        assert found["total"] == pytest.approx(sum(one["dollars"] for one in found["perMillion"]))
        assert {figure["origin"] for figure in found["figures"].values()} == {"assumed", "configured"}
    assert document["unknown"]


def test_lab_cost_for_people(priced: Laptop) -> None:
    """Fits 80 columns, with three pipelines; what is not known is said, and the last line has the sums."""
    shown = priced.lab("cost", "--stack", "dev", COLUMNS="80")
    lines = shown.stdout.splitlines()

    assert max(map(len, lines)) <= 80
    assert "Not known, or not in it:" in lines
    assert [line for line in lines if line.startswith("│ in all")]
    assert "observabilityEnabled: false" in shown.stdout
    assert not [line for line in lines if line.startswith("│ knob   │")]  # a table for each row: it did not fit
    end = " ".join(lines[-2:])
    assert re.fullmatch(
        r".*In all \$\d+\.\d\d a month before the first event; a million events more: "
        r"events \$\d+\.\d\d, orders \$\d+\.\d\d, lake \$\d+\.\d\d\.",
        end,
    )


@dataclass(frozen=True)
class _Own:
    """A registration of a pipeline that is somebody's own."""

    type: str
    name: str
    inputs: Mapping[str, Any]


@pytest.mark.parametrize(
    ("stack", "others"), [("dev", r"events \$[\d.]+, orders \$[\d.]+, lake \$[\d.]+"), ("alone", "none known")]
)
def test_a_pipeline_without_a_path_is_told(
    stack: str, others: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One line says which and where its path would go; the pipelines that have one are priced, if there are some."""
    mapping = {"functionName": "arn:payments-worker", "eventSourceArn": "arn:payments-queue", "batchSize": 10}
    own: list[Resource] = [
        _Own("aws:lambda/function:Function", "payments-worker", {"memorySize": 256}),
        _Own("aws:lambda/eventSourceMapping:EventSourceMapping", "payments", mapping),
    ]
    monkeypatch.setattr(program, "registered", lambda _: own + (_resources("everything on dev") * (stack == "dev")))
    monkeypatch.setattr(target, "_pulumi_outputs", _no_cli)

    shown = Laptop(tmp_path, 1).lab("cost", "--stack", stack, COLUMNS="80")

    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines.count("- an event of payments: no path of it in ops/cost/paths.py") == 1
    assert re.search(rf"a million events more: {others}\.$", " ".join(lines))


def test_runs_of_a_stack_that_does_not_answer(priced: Laptop) -> None:
    """Asked for by name, they are not replaced by assumptions."""
    shown = priced.lab("cost", "--stack", "dev", "--measured-on", "local")

    assert (shown.exit_code, shown.stdout) == (1, "")
    assert shown.stderr.endswith("error: the laptop's stack is down; start it with: lab up\n")
