"""What a stack costs: what a path is made of, what was measured, what a knob changes, and how `lab` tells it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.cli import cost, program, target
from ops.cost import knobs, meter, paths
from ops.cost.fixed import ITEMS, Resource
from ops.cost.paths import Figure, Function, Shape, Usage
from tests.components.configurations import FIXED
from tests.components.recording import run_main
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
        "record kept for 7 days": 0.048,
        "its point-in-time recovery": 0.039,
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


def test_an_event_priced_by_hand() -> None:
    """What AWS bills for a million, line by line: one at a time, and sent and worked in batches of a hundred.

    Of 500 bytes: 1.00 for a request, 0.20 for an invocation, 20 ms of 0.25 GB at 0.0000133334 a GB-second, 0.40 for a
    send; 2 x 0.40 for receive and delete, shared by ten; 0.20 and 100 ms of 0.5 GB at 0.0000166667, shared by a batch;
    2 x 0.625 for writes of 900 bytes; 1.00 for the event, 0.50 for the topic; 5 % of a trace at 5.00, 1,450 bytes of
    log at 0.50 a GB and 0.03 a month; 900 bytes for 7 days at 0.25 and 0.20 a GB and month.
    """
    logs = 500 + 450 + 500
    kept = 900 / 2**30 * 7 / 30.4 * 0.45 * 1e6
    log = logs / 2**30 * (0.5 + 0.03 * 14 / 30.4) * 1e6
    single = 1 + 0.2 + 0.02 * 0.25 * 13.3334 + 0.4 + 0.8 / 10 + (0.2 + 0.1 * 0.5 * 16.6667) / 10 + 1.25 + 1 + 0.5
    single += 0.05 * 5 * 1.1 + log + kept
    one = Usage.assumed("events", _SHAPE)
    assert paths.per_million("events", _SHAPE, one) == pytest.approx(single, rel=1e-6)

    log = (950 / 100 + 500) / 2**30 * (0.5 + 0.03 * 14 / 30.4) * 1e6
    batched = (1 + 0.2 + 0.2 * 0.25 * 13.3334) / 100 + 0.4 / 10 + 0.8 / 10 + (0.2 + 0.55 * 0.5 * 16.6667) / 100
    batched += 1.25 + 1 + 0.5 + 0.05 * 5 * 2 / 100 + log + kept
    hundred = replace(paths.together(one, 100), batch=Figure(100), worker_ms=paths.stretched(one, 100))
    assert paths.per_million("events", _SHAPE, hundred) == pytest.approx(batched, rel=1e-6)


@pytest.mark.parametrize(
    ("events", "batch", "dollars"),
    [
        (0, 10, 0.05 * 5 * 1.1),  # of how many is unknown: as if there were many
        (1_000_000, 1, 2 * 5.0),  # 0.38 a second: each is traced, the worker's batches of one too
        (2_628_000 * 20, 10, 5 * (1.95 / 20 + 1.05 / 20)),  # 20 a second: one of them and 5 % of 19; of two batches
    ],
)
def test_traces_of_a_trickle_are_all_recorded(events: int, batch: float, dollars: float) -> None:
    """X-Ray records the first request of each second, and 5 % of the others."""
    shape = replace(_SHAPE, windows={"events-worker": 2})
    usage = Usage.assumed("events", shape)
    usage = paths.of_a_month("events", shape, usage, events) if events else usage

    assert usage.batch.value == batch
    assert _dollars(shape, usage)["traces"] == pytest.approx(dollars, abs=1e-3)


def test_a_measured_batch_is_not_guessed() -> None:
    """However few events are asked for."""
    usage = replace(Usage.assumed("events", _SHAPE), batch=Figure(4, "measured"))

    assert paths.of_a_month("events", _SHAPE, usage, 1000).batch == Figure(4, "measured")


def test_a_request_of_more_than_512_kb_is_several() -> None:
    """The API counts them by size; the function is invoked once."""
    usage = replace(Usage.assumed("events", _SHAPE), message_bytes=Figure(600_000))
    found = _dollars(_SHAPE, usage)

    assert (found["request of the API"], found["API or ingest: invocation"]) == (2.0, 0.2)


def test_an_own_key_is_a_third_write() -> None:
    """Of the whole record: it is reserved, claimed and finished; the knob that would add it is gone."""
    usage = replace(Usage.assumed("events", _SHAPE), own_keys=Figure(1), item_bytes=Figure(paths.record_bytes(2048)))
    found = _dollars(_SHAPE, usage)

    assert (found["reservation of its own key"], found["claim and outcome"]) == (3 * 0.625, 6 * 0.625)
    assert not [one for one in knobs.changes(_resources("dev"), {"events": usage}) if "Idempotency" in one.knob]


def test_a_large_payload_is_not_in_the_record() -> None:
    """Up to 128 KB it is, beside the record's own fields."""
    assert paths.record_bytes(128 * 1024) == 128 * 1024 + paths.record_bytes(128 * 1024 + 1)


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
    assert found["full batches of 100 (batchSize)"].per_million.keys() == {"events", "orders"}
    assert found["provisionedPollers, 2 of them"].monthly == pytest.approx(2 * 730 * 0.00925)
    assert "groupBy on a standard queue" not in found
    plain, ordered = (
        {one.knob for one in knobs.changes(_resources(name), {"events": usages["events"]})}
        for name in ("dev", "FIFO on prod")
    )
    assert {"groupBy on a standard queue", "useKmsCmk: true"} <= plain - ordered
    assert {"queueType: fifo", "full batches of 100 (batchSize)"} <= plain - ordered


class FakeAws:
    """CloudWatch and DynamoDB of a stack: values by metric and dimension, and the records of its table."""

    def __init__(
        self,
        values: dict[tuple[str, str], float],
        items: list[dict[str, Any]],
        statuses: Mapping[str, str] = MappingProxyType({}),
        pages: int = 1,
        scans: int = 1,
    ) -> None:
        self.values = values
        self.items = items
        self.statuses = statuses  # of the last page, by metric
        self.pages = pages
        self.scanned = 0
        self.scans = scans

    def client(self, _service: str) -> "FakeAws":
        return self

    def get_metric_data(self, **given: Any) -> dict[str, Any]:
        assert (given["StartTime"], given["EndTime"]) == (_NOW - timedelta(hours=1), _NOW)
        page = int(given.get("NextToken", "1"))
        results = []
        for query in given["MetricDataQueries"]:
            assert query["MetricStat"]["Stat"] == "Sum"
            metric = query["MetricStat"]["Metric"]
            (dimension,) = metric["Dimensions"]
            value = self.values.get((metric["MetricName"], dimension["Value"]))
            status = self.statuses.get(metric["MetricName"], "Complete") if page == self.pages else "PartialData"
            values = [] if value is None else [value / self.pages]
            if self.pages > 1 and metric["MetricName"] == "Invocations":  # pages are not alike
                values = [each * self.pages for each in values if page == 1]
            results.append({"Id": query["Id"], "Values": values, "StatusCode": status})
        return {"MetricDataResults": results, **({"NextToken": str(page + 1)} if page < self.pages else {})}

    def scan(self, **given: Any) -> dict[str, Any]:
        assert given.pop("ExclusiveStartKey", self.scanned) == self.scanned
        assert given == {"TableName": "state", "Limit": 100}
        self.scanned += 1
        page = self.items[self.scanned - 1 :: self.scans] if self.scans > 1 else self.items
        return {"Items": page, **({"LastEvaluatedKey": self.scanned} if self.scanned < self.scans else {})}


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
        ("Duration", "events-worker-1"): 8 * 55.0,
        ("IncomingBytes", "/aws/lambda/ingestion-lab-dev-events-worker"): 20_000.0,
        ("IncomingBytes", "/aws/lambda/ingestion-lab-dev-events-ingest"): 8_000.0,
        ("IncomingBytes", "/aws/vendedlogs/ingestion-lab-dev-ingestion-api"): 9_000.0,
        ("Count", "abc"): 20.0,
    }
    items = [
        {"pipeline": {"S": "events"}, "payload": {"S": "{}"}},
        {"pipeline": {"S": "events"}},  # its payload was too large to be kept: it says nothing of messages
        {"pipeline": {"S": "orders"}},
    ]
    assumed = {"events": Usage.assumed("events", _SHAPE)}

    found = meter.measured(_place(FakeAws(values, items)), assumed, _NOW - timedelta(hours=1), _NOW)

    assert found.unread == []
    assert found.usages["events"] == replace(
        assumed["events"],
        batch=Figure(5, "measured"),
        worker_ms=Figure(55, "measured"),
        worker_log_bytes=Figure(500, "measured"),
        producer_log_bytes=Figure(400, "measured"),
        access_log_bytes=Figure(450, "measured"),
        item_bytes=Figure((len("pipelineeventspayload{}") + len("pipelineevents")) / 2, "measured"),
        message_bytes=Figure(2, "measured"),
    )


@pytest.mark.parametrize(("at", "scans", "is_found"), [(0, 9, 1), (4, 9, 5), (7, 9, 5)])
def test_records_are_looked_for_until_each_pipeline_has_some(at: int, scans: int, is_found: int) -> None:
    """In a table full of another's; after five pages it is enough, which costs a hundred read units or so."""
    items = [{"pipeline": {"S": "orders"}, "payload": {"S": "{}"}} for _ in range(scans)]
    items[at] = {"pipeline": {"S": "events"}, "payload": {"S": "{}"}}
    aws = FakeAws({}, items, scans=scans)

    found = meter.measured(_place(aws), {"events": Usage.assumed("events", _SHAPE)}, _NOW - timedelta(hours=1), _NOW)

    assert aws.scanned == is_found
    assert (found.usages["events"].message_bytes.origin == "measured") is (at < is_found)


def test_nothing_has_run() -> None:
    """No data is no measurement: what is assumed stays so, as it does for a pipeline that the stack does not have."""
    assumed = {name: Usage.assumed(name, _SHAPE) for name in ("events", "lake")}

    found = meter.measured(_place(FakeAws({}, [])), assumed, _NOW - timedelta(hours=1), _NOW)

    assert found == meter.Measured(assumed, [])


_RUNS = {("Duration", "events-worker-1"): 300.0, ("Invocations", "events-worker-1"): 6.0}


def test_what_cloudwatch_tells_in_pages_is_put_together() -> None:
    """A page has a part of the values; that it is one is no fault."""
    assumed = {"events": Usage.assumed("events", _SHAPE)}

    found = meter.measured(_place(FakeAws(_RUNS, [], pages=3)), assumed, _NOW - timedelta(hours=1), _NOW)

    assert found.unread == []
    assert found.usages["events"].worker_ms.origin == "measured"
    assert found.usages["events"].worker_ms.value == pytest.approx(50)


@pytest.mark.parametrize("status", ["PartialData", "InternalError", "Forbidden"])
def test_what_cloudwatch_does_not_tell_whole_is_not_measured(status: str) -> None:
    """A part of a sum is no sum: the figure stays assumed, and which metric it was is told."""
    assumed = {"events": Usage.assumed("events", _SHAPE)}
    aws = FakeAws(_RUNS, [], {"Duration": status})

    found = meter.measured(_place(aws), assumed, _NOW - timedelta(hours=1), _NOW)

    assert found.usages["events"].worker_ms == assumed["events"].worker_ms
    assert found.unread == [f"events worker Duration: {status}", f"events producer Duration: {status}"]


def test_runs_of_a_pipeline_without_a_path() -> None:
    """Of a pipeline that is somebody's own nothing is looked up, and the others are measured all the same."""
    place = _place(FakeAws(_RUNS, []))
    with_own = replace(place, pipelines={**place.pipelines, "payments": {"workerFunctionName": "payments-worker-1"}})

    found = meter.measured(with_own, {"events": Usage.assumed("events", _SHAPE)}, _NOW - timedelta(hours=1), _NOW)

    assert found.usages["events"].worker_ms == Figure(50, "measured")


def test_the_size_of_an_item() -> None:
    """Names and values: text by its bytes, numbers by their digits, flags one."""
    item = {"name": {"S": "süß"}, "n": {"N": "12345"}, "flag": {"BOOL": True}}

    assert meter.item_bytes(item) == 4 + 5 + 1 + 4 + 4 + 1


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Laptop:
    """`lab` on a machine where nothing runs."""

    def registered(stack: str, changes: Mapping[str, object] | None = None) -> list[Resource]:
        assert changes in (None, {}, {"tracing": False})
        return _resources("everything on dev" if stack == "dev" else stack)

    monkeypatch.setattr(program, "registered", registered)
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


def test_the_price_of_a_month(priced: Laptop) -> None:
    """Of so many events, of such a size and with own keys: what each pipeline's cost, and all with the fixed items."""
    asked = ("--events", "30000000", "--size", "2048", "--own-keys", "--per-request", "10", "--set", "tracing=false")
    shown = priced.lab("cost", "--stack", "dev", "--json", *asked)
    document = json.loads(shown.stdout)
    figures = {
        name: {key: one["value"] for key, one in found["figures"].items() if one["origin"] == "asked"}
        for name, found in document["pipelines"].items()
    }
    assert figures == {
        "events": {"message_bytes": 2048, "own_keys": 1, "events": 10, "a_month": 30_000_000},
        "orders": {"message_bytes": 2048, "own_keys": 1, "a_month": 30_000_000},
        "lake": {"a_month": 30_000_000},
    }
    assert document["pipelines"]["events"]["figures"]["item_bytes"]["value"] == 2448

    text = priced.lab("cost", "--stack", "dev", *asked, COLUMNS="80").stdout
    each = {name: found["total"] * 30 for name, found in document["pipelines"].items()}
    those = ", ".join(f"{name} ${dollars:,.2f}" for name, dollars in each.items())
    whole = sum(each.values()) + document["monthlyTotal"]
    end = f"30,000,000 events a month of each pipeline: {those}; with what comes before the first: ${whole:,.2f}."
    assert " ".join(text.split()).endswith(end)


def test_what_is_not_known_of_a_configuration(priced: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traces of unknown traffic, pollers that come and go, metrics that nothing names: told where they are a matter."""
    plain = json.loads(priced.lab("cost", "--stack", "dev", "--json").stdout)["unknown"]
    asked = json.loads(priced.lab("cost", "--stack", "dev", "--json", "--events", "1000").stdout)["unknown"]
    assert [line for line in plain if line not in asked] == [cost._UNKNOWN_MONTH]

    off = {"observabilityEnabled": False, "provisionedPollers": {"minimum": 2, "maximum": 3}, "tracing": False}
    monkeypatch.setattr(program, "registered", lambda *_: list(run_main("dev", off).resources))
    told = json.loads(priced.lab("cost", "--stack", "dev", "--json").stdout)
    assert [line for line in told["unknown"] if line not in plain] == [cost._UNKNOWN_POLLERS, cost._UNKNOWN_METRICS]
    assert {"item": "hour of a provisioned poller", "count": 1460, "dollars": pytest.approx(13.505)} in told["monthly"]


@pytest.mark.parametrize("words", [("--per-request", "10"), ("--size", "2048"), ("--own-keys",)], ids=" ".join)
def test_what_changes_nothing_is_refused(
    words: tuple[str, ...], priced: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stack of the lake alone has no callers: the answer would be another question's."""
    monkeypatch.setattr(program, "registered", lambda *_: list(run_main("dev", {"pipelines": ["lake"]}).resources))

    shown = priced.lab("cost", "--stack", "dev", *words)

    assert (shown.exit_code, "which stack dev has not" in shown.stderr) == (2, True)


class _Denied(Exception):  # noqa: N818 - named as botocore's would be
    """What botocore raises."""


_Denied.__module__ = "botocore.exceptions"


def test_runs_that_nobody_may_look_at(priced: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The price is made of assumptions, and says so; asked for by name, they are not replaced."""

    def deny(*_: object) -> None:
        raise _Denied("AccessDenied: cloudwatch:GetMetricData")

    monkeypatch.setattr(target, "find", lambda _: None)
    monkeypatch.setattr(cost, "_measured", deny)

    shown = priced.lab("cost", "--stack", "dev", "--json")
    refused = priced.lab("cost", "--stack", "dev", "--measured-on", "local")

    note = "nothing is measured: AccessDenied: cloudwatch:GetMetricData"
    assert (shown.exit_code, json.loads(shown.stdout)["runs"]) == (0, note)
    assert (refused.exit_code, refused.stdout) == (1, "")


def test_what_cloudwatch_has_not_told_is_shown(priced: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    """And that nothing has run is not said to be a measurement."""
    unread = ["requests: Forbidden"]
    monkeypatch.setattr(target, "find", lambda _: None)
    monkeypatch.setattr(cost, "_measured", lambda _found, _own, assumed, _hours: meter.Measured(assumed, unread))

    shown = " ".join(priced.lab("cost", "--stack", "dev", COLUMNS="80").stdout.split())

    assert "nothing is measured: no runs of stack dev in 24 h." in shown
    assert "CloudWatch has not told all, so that it is not counted as measured: requests: Forbidden." in shown


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
    monkeypatch.setattr(program, "registered", lambda *_: own + (_resources("everything on dev") * (stack == "dev")))
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
