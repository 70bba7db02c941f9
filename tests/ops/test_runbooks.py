"""Every command of the runbooks, run on the laptop in the situation that it is for; what it does is asserted.

Each test makes its situation itself. The last one says that no line is left out, which only a run of the whole file can
tell. What a line prints on AWS and the time that AWS takes for it are not shown here.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from ops.cli import runbook, up
from ops.cli.doctor import configuration
from ops.local.emulator import ROOT, Emulator
from tests.components.recording import EVERY_PIPELINE
from tests.ops.desk import Desk
from tests.ops.laptop import Laptop
from tests.ops.stack import free_port, wait_for

_SETTING = re.compile(r"# in Pulumi\.local\.yaml: ingestion-lab:(\w+): (\S+)")
_CONFIG = {
    "useKmsCmk": True,
    "workerTimeoutSeconds": 6,
    "ordersWorkerTimeoutSeconds": 6,
    "breakerHoldSeconds": 1,
    "lakeIngestTimeoutSeconds": 10,
    "lakeTransformTimeoutSeconds": 10,
    "retryBackoffBaseSeconds": 1,
    "retryBackoffMaxSeconds": 2,
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with a configuration of its own."""
    folder = tmp_path_factory.mktemp("program")
    for name in ("Pulumi.yaml", "Pulumi.local.yaml", "__main__.py"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("components", "handlers"):
        (folder / name).symlink_to(ROOT / name)
    _configure(folder, _CONFIG)
    return folder


def _configure(folder: Path, settings: dict[str, Any]) -> None:
    path = folder / "Pulumi.local.yaml"
    document = yaml.safe_load(path.read_text())
    document["config"] |= {f"ingestion-lab:{key}": value for key, value in settings.items()}
    path.write_text(yaml.safe_dump(document))


@pytest.fixture(scope="module")
def desk(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An operator at a stack that is up, in a folder of his own."""
    laptop = Laptop(tmp_path_factory.mktemp("home"), free_port())
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(up, "PROGRAM", program)
        patching.setattr(configuration, "PROGRAM", program)
        patching.chdir(tmp_path_factory.mktemp("desk"))
        done = laptop.lab("up")
        assert done.exit_code == 0, done.output
        emulator = Emulator.attach(laptop.home)
        assert emulator is not None
        yield Desk(laptop, emulator)
        laptop.lab("down")


@pytest.fixture(autouse=True)
def _nothing_of_another_test(desk: Desk) -> None:
    """No letter, notice or fault of a test that failed is left to the next one."""
    if json.loads(desk.lab("failure", "show", "--json"))["effective"] != "none":
        desk.lab("failure", "reset", "--wait")
    _empty(desk, "queueUrl", "dlqUrl", "noticesUrl", "noticesDlqUrl", "undeliveredUrl")


def _empty(desk: Desk, *names: str) -> None:
    """Nothing is on these queues of the pipelines that have them."""
    for url in (url for pipeline in EVERY_PIPELINE for name, url in _group(desk, pipeline).items() if name in names):
        if desk.depth(url):
            desk.client("sqs").purge_queue(QueueUrl=url)


def _group(desk: Desk, pipeline: str) -> dict[str, str]:
    found: dict[str, str] = desk.outputs[pipeline]
    return found


def _each(*names: str) -> list[str]:
    """These runbooks of each pipeline."""
    return [f"{pipeline}-{name}" for name in names for pipeline in EVERY_PIPELINE]


def _look(desk: Desk, *runbooks: str) -> None:
    for name in runbooks:
        desk.follow(name, "Look")


def _is_over(desk: Desk, *runbooks: str) -> None:
    """Nothing is left waiting on any queue; what the runbooks verify by is run, and leaves with 0."""
    for pipeline in EVERY_PIPELINE:
        group = _group(desk, pipeline)
        for name in ("noticesUrl", "queueUrl", "dlqUrl"):
            if name in group:
                desk.drained(group[name])
    for name in runbooks:
        desk.follow(name, "Verify")


def _come_through(desk: Desk) -> None:
    """The runbooks' probes of all pipelines: `--wait` leaves with 1 otherwise, and of the lake nothing is left."""
    for pipeline, words in (("events", "lab send"), ("orders", "orders send"), ("lake", "generate")):
        desk.follow(f"{pipeline}-poison-pill", "Verify", words)
    for pipeline in EVERY_PIPELINE:
        desk.drained(_group(desk, pipeline)["queueUrl"])
        assert desk.depth(_group(desk, pipeline)["dlqUrl"]) == 0


def test_poison(desk: Desk) -> None:
    """The cause is seen; a redrive before its end is stopped and can be cancelled, one after it brings all back."""
    letters = {pipeline: _group(desk, pipeline)["dlqUrl"] for pipeline in EVERY_PIPELINE}

    def are_back() -> bool:
        return {desk.depth(url) for url in letters.values()} == {3}

    desk.lab("failure", "set", "poison_payload", "--wait")
    for pipeline in EVERY_PIPELINE:
        desk.send(pipeline)
    wait_for(are_back, "the dead letters")
    for name in _each("poison-pill"):
        assert "SchemaValidationError" in desk.follow(name, "Look", "redrive preview")
    assert "SchemaValidationError" in desk.follow("events-error-rate", "Look", "failures-by-type")
    assert "poison_payload" in desk.follow("events-dlq-not-empty", "Look", "failure show")

    assert desk.lab("redrive", "start", "--pipeline", "events", "--canary", "1", code=1).startswith("STOPPED")
    assert "STOPPED" in desk.follow("events-redrive-gone-wrong", "Look", "redrive list")
    slow = ("--rate", "0.2", "--no-watch")
    started = [desk.lab("redrive", "start", "--pipeline", pipeline, *slow) for pipeline in EVERY_PIPELINE]
    desk.together(_each("redrive-gone-wrong"), "Act", "redrive cancel")
    runs = {one["redriveId"]: one["state"] for one in json.loads(desk.lab("redrive", "list", "--json"))["runs"]}
    assert [runs[one.strip()] for one in started] == ["CANCELLED"] * 3
    wait_for(are_back, "all letters")
    _look(desk, *_each("dlq-not-empty", "dlq-oldest-age", "error-rate", "poison-pill", "redrive-gone-wrong"))
    _look(desk, *_each("redrive-failed"))
    for name in _each("dlq-oldest-age"):
        assert len(json.loads(desk.follow(name, "Act", "--json"))["messages"]) == 3

    desk.follow("events-dlq-not-empty", "Act", "failure reset")
    desk.lab("failure", "reset", "--wait")
    for told in desk.together(_each("dlq-not-empty"), "Act", "redrive start"):
        assert told.startswith("SUCCEEDED")
    _is_over(desk, *_each("dlq-not-empty", "dlq-oldest-age", "error-rate", "redrive-gone-wrong", "redrive-failed"))


def test_letters_that_nobody_wants(desk: Desk) -> None:
    """Purged."""
    letters = [_group(desk, pipeline)["dlqUrl"] for pipeline in EVERY_PIPELINE]
    for url in letters:
        desk.put(url, "{}")
    for name in _each("poison-pill"):
        desk.follow(name, "Act", "redrive purge")

    assert [desk.depth(url) for url in letters] == [0, 0, 0]
    _is_over(desk, *_each("poison-pill"))


def test_paused(desk: Desk) -> None:
    """A consumer that is stopped by hand is seen, and started by hand."""
    for pipeline in EVERY_PIPELINE:
        group = _group(desk, pipeline)
        desk.client("lambda").invoke(FunctionName=group["breakerFunctionName"])  # notes that it is closed
        desk.follow(f"{pipeline}-downstream-outage", "Act", "--no-enabled")
        desk.send(pipeline)
    assert set(desk.status()["consumers"].values()) == {"Disabled"}
    for pipeline in EVERY_PIPELINE:
        queue = _group(desk, pipeline)["queueUrl"]
        wait_for(lambda queue=queue: desk.depth(queue) == 3, "the backlog")  # type: ignore[misc]
        for name in ("queue-stalled", "queue-age"):
            assert '"Disabled"' in desk.follow(f"{pipeline}-{name}", "Look", "list-event-source-mappings")
    _look(desk, *_each("queue-stalled", "queue-age", "queue-backlog", "backlog"))
    for name in _each("queue-stalled"):
        desk.follow(name, "Act", "--enabled")
    assert set(desk.status()["consumers"].values()) == {"Enabled"}
    _is_over(desk, *_each("queue-stalled", "queue-age", "queue-backlog", "backlog"))


def test_paused_ingest(desk: Desk) -> None:
    """The lake's, before which notices wait."""
    group = _group(desk, "lake")
    lambdas = desk.client("lambda")
    (mapping,) = lambdas.list_event_source_mappings(FunctionName=group["ingestFunctionName"])["EventSourceMappings"]
    lambdas.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    desk.send("lake")
    assert desk.depth(group["noticesUrl"]) == 3
    assert "Disabled" in desk.follow("lake-notices-stalled", "Look", "list-event-source-mappings")
    _look(desk, "lake-notices-stalled", "lake-notices-backlog")
    desk.follow("lake-notices-stalled", "Act", "--enabled")
    _is_over(desk, "lake-notices-stalled", "lake-notices-backlog")


def test_outage(desk: Desk) -> None:
    """The breakers open; after the repair a probe closes each at once, and nothing is a dead letter."""
    desk.lab("failure", "set", "downstream_outage", "--wait")
    for pipeline in EVERY_PIPELINE:
        desk.send(pipeline)
    wait_for(lambda: set(desk.status()["breakers"].values()) == {"OPEN"}, "the breakers")
    assert "DownstreamError" in desk.follow("events-downstream-outage", "Look", "failures-by-type")
    _look(desk, *_each("breaker-open", "downstream-outage"))
    desk.follow("events-breaker-open", "Act", "failure reset")
    desk.lab("failure", "reset", "--wait")

    def closed() -> bool:
        for name in _each("breaker-open"):
            desk.follow(name, "Act", "lambda invoke")
        found = desk.status()
        return (set(found["breakers"].values()), set(found["consumers"].values())) == ({"CLOSED"}, {"Enabled"})

    wait_for(closed, "the breakers closed")
    _empty(desk, "queueUrl")  # what waits for its next attempt: that it succeeds is shown by the GameDays
    _is_over(desk, *_each("breaker-open", "downstream-outage"))
    _come_through(desk)


@pytest.mark.parametrize("pipeline", EVERY_PIPELINE)
def test_record_that_is_wrong(desk: Desk, pipeline: str) -> None:
    """One of a worker that died and whose message is gone: it is found, forgotten, and done again."""
    table, dynamodb = desk.outputs["DynamoTableName"], desk.client("dynamodb")
    desk.send(pipeline, count=1)
    wait_for(lambda: bool(_done(desk, pipeline)), "a record of its own")
    key = next(iter(_done(desk, pipeline)))
    dynamodb.update_item(
        TableName=table,
        Key={"idempotencyKey": {"S": key}},
        UpdateExpression="SET #s = :s, leaseUntil = :past",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":s": {"S": "INFLIGHT"}, ":past": {"N": "1"}},
    )
    runbook = f"{pipeline}-idempotency-repair"
    assert f"{key}\t1\t" in desk.follow(runbook, "Look", "dynamodb scan", key)
    desk.follow(runbook, "Look", key=key)
    desk.follow(runbook, "Act", "get-item", key)
    assert json.loads(Path("event.jsonl").read_text())
    desk.follow(runbook, "Act", "delete-item", key)
    assert desk.follow(runbook, "Verify", "get-item", key) == "None\n"
    again = [line for line in desk.lines(runbook, "Act", key) if "aws" not in line and "redrive" not in line]
    for line in again:
        desk.run(line)
    wait_for(lambda: desk.follow(runbook, "Verify", "get-item", key) == "SUCCEEDED\n", "its outcome")
    desk.follow(runbook, "Verify", key=key)


def _done(desk: Desk, pipeline: str) -> dict[str, str]:
    """What a worker has processed, payloads by key; of the lake, chunks."""
    pages = desk.client("dynamodb").get_paginator("scan").paginate(TableName=desk.outputs["DynamoTableName"])
    return {
        item["idempotencyKey"]["S"]: item["payload"]["S"]
        for page in pages
        for item in page["Items"]
        if (item["pipeline"]["S"], item["status"]["S"]) == (pipeline, "SUCCEEDED")
        and ("start" in item["payload"]["S"] or pipeline != "lake")
    }


def test_undelivered(desk: Desk) -> None:
    """What EventBridge has put aside is brought to the queue."""
    group = _group(desk, "orders")
    at = "2026-01-02T00:00:00.000Z"
    detail = {"schemaVersion": "1.0", "eventId": str(uuid4()), "orderId": "o-1", "createdAt": at}
    event = {"version": "0", "id": str(uuid4()), "detail-type": "OrderCreated", "source": "myapp.orders", "time": at}
    event |= {"account": "000000000000", "region": "us-east-1", "resources": []}  # type: ignore[dict-item]
    body = json.dumps(event | {"detail": detail | {"items": [{"sku": "ABC-1", "qty": 1}]}})
    desk.put(group["undeliveredUrl"], body)
    assert "o-1" in desk.lab("redrive", "preview", "--pipeline", "orders-undelivered", "--json")
    desk.follow("orders-undelivered", "Look")
    assert desk.follow("orders-undelivered", "Act", "redrive start").startswith("SUCCEEDED")
    assert desk.depth(group["undeliveredUrl"]) == 0
    _is_over(desk, "orders-undelivered")
    assert json.loads(desk.lab("orders", "show", "o-1", "--json"))["status"] == "PROCESSED"


def test_dead_notices(desk: Desk) -> None:
    """They are redriven, or purged when they are of no more use; S3 can be asked to tell again."""
    group, bucket = _group(desk, "lake"), _group(desk, "lake")["bronzeBucket"]
    desk.send("lake", count=1)
    made = desk.client("s3").list_object_versions(Bucket=bucket, MaxKeys=1)["Versions"][0]
    # With its version, as S3 tells it of a bucket that has versions: ingest may read nothing else.
    known = {"key": made["Key"], "versionId": made["VersionId"], "size": made["Size"], "eTag": made["ETag"].strip('"')}
    notice = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}
    letter = json.dumps({"Records": [notice | {"s3": {"bucket": {"name": bucket}, "object": known}}]})
    desk.put(group["noticesDlqUrl"], letter)
    desk.follow("lake-notices-dead", "Look")
    assert desk.follow("lake-notices-dead", "Act", "redrive start").startswith("SUCCEEDED")
    desk.drained(group["noticesUrl"])
    desk.put(group["noticesDlqUrl"], letter)
    desk.follow("lake-notices-dead", "Act", "redrive purge")
    assert desk.depth(group["noticesDlqUrl"]) == 0
    for line in desk.lines("lake-notices-dead", "Act"):
        if "replay-copy" in line:
            desk.run(line)
    _is_over(desk, "lake-notices-dead")


def test_ignored_object(desk: Desk) -> None:
    """One whose name is not that of a lake object is read under the name that it should have had."""
    bucket, s3 = _group(desk, "lake")["bronzeBucket"], desk.client("s3")
    desk.lab("lake", "generate", "--type", "shipments", "--count", "1", "--output", "one.jsonl")
    s3.put_object(Bucket=bucket, Key="bronze/shipments/report.txt", Body=Path("one.jsonl").read_bytes())
    desk.follow("lake-objects-ignored", "Look")
    desk.follow("lake-objects-ignored", "Act")

    def is_read() -> bool:
        return any('"bronze/shipments/report.jsonl"' in payload for payload in _done(desk, "lake").values())

    wait_for(is_read, "its record")
    _is_over(desk, "lake-objects-ignored")


def test_failed_invocations(desk: Desk) -> None:
    """Seen whole, and deleted."""
    url = desk.outputs["ControlFailuresUrl"]
    desk.put(url, '{"requestContext":{"functionArn":"f"}}')
    assert "functionArn" in desk.follow("control-failures", "Look", "receive-message")
    desk.follow("control-failures", "Look")
    desk.follow("control-failures", "Act", "purge-queue")
    assert desk.depth(url) == 0
    desk.follow("control-failures", "Verify")


def test_key_that_was_disabled(desk: Desk) -> None:
    """Its deletion is cancelled and it is enabled; what nobody can read is deleted."""
    url, kms = desk.outputs["BusUnreadableUrl"], desk.client("kms")
    key = desk.client("events").describe_event_bus(Name=desk.outputs["EventBusName"])["KmsKeyIdentifier"]
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert "PendingDeletion" in desk.follow("bus-unreadable", "Look", "describe-key")
    desk.follow("bus-unreadable", "Look")
    desk.follow("bus-unreadable", "Act", "cancel-key-deletion")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    desk.follow("bus-unreadable", "Act", "enable-key")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    desk.put(url, "unreadable")
    desk.follow("bus-unreadable", "Act", "purge-queue")
    assert desk.depth(url) == 0
    _is_over(desk, "bus-unreadable")


def test_changed_by_hand(desk: Desk) -> None:
    """Settings of functions, a reservation, policies, rules, visibility: each is seen; one deployment restores all."""
    _look(desk, *_each("timeout-visibility", "throttling", "worker-duration"), "table-throttles")  # as they should be
    before = _settings(desk)
    _meddle(desk)
    assert before != _settings(desk)
    assert "HTTP/1.1 5" in desk.follow("api-5xx", "Look", "curl")
    assert '"ReservedConcurrentExecutions": 0' in desk.follow("events-throttles", "Look", "get-function-concurrency")
    assert '"DISABLED"' in desk.follow("events-event-delivery-failed", "Look", "list-rules")
    assert '"3"' in desk.follow("orders-timeout-visibility", "Look", "VisibilityTimeout")
    assert "Traceback (most recent call last):" in desk.follow("orders-worker-errors", "Look", "logs tail")
    changed = (
        *_each("worker-errors", "throttles", "event-delivery-failed", "breaker-errors", "subscriber-failed"),
        *("events-ingest-errors", "lake-ingest-errors", "orders-api-errors"),
        *("api-5xx", "control-errors", "notification-failed"),
    )
    _look(desk, *changed)

    desk.follow("api-5xx", "Act", "lab up --refresh")
    assert _settings(desk) == before
    _come_through(desk)
    _is_over(desk, *changed, *_each("timeout-visibility", "throttling", "worker-duration"), "table-throttles")


def _functions(desk: Desk) -> list[str]:
    roles = ("workerFunctionName", "breakerFunctionName", "ingestFunctionName", "apiFunctionName")
    groups = [_group(desk, pipeline) for pipeline in EVERY_PIPELINE]
    return [group[role] for group in groups for role in roles if role in group] + [desk.outputs["RedriveFunctionName"]]


def _meddle(desk: Desk) -> None:
    """Change what no hand should, and let it be felt."""
    functions, topic = desk.client("lambda"), _group(desk, "events")["successTopicArn"]
    for name in _functions(desk):
        functions.update_function_configuration(FunctionName=name, Timeout=1, Environment={"Variables": {}})
    for name in _functions(desk):
        functions.invoke(FunctionName=name, Payload=b"{}")
    functions.put_function_concurrency(
        FunctionName=_group(desk, "events")["workerFunctionName"], ReservedConcurrentExecutions=0
    )
    queue, lax = _group(desk, "orders")["queueUrl"], json.dumps({"Version": "2012-10-17", "Statement": []})
    desk.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "3", "Policy": lax})
    desk.client("events").disable_rule(Name="events-success", EventBusName=desk.outputs["EventBusName"])
    desk.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=lax)


def _settings(desk: Desk) -> list[Any]:
    """All that is meddled with."""
    functions, topic = desk.client("lambda"), {"TopicArn": _group(desk, "events")["successTopicArn"]}
    found = [functions.get_function_configuration(FunctionName=name) for name in _functions(desk)]
    worker = _group(desk, "events")["workerFunctionName"]
    queue = desk.client("sqs").get_queue_attributes(
        QueueUrl=_group(desk, "orders")["queueUrl"], AttributeNames=["VisibilityTimeout", "Policy"]
    )["Attributes"]
    rule = desk.client("events").describe_rule(Name="events-success", EventBusName=desk.outputs["EventBusName"])
    return [
        [(one["Timeout"], one["Environment"]["Variables"]) for one in found],
        functions.get_function_concurrency(FunctionName=worker).get("ReservedConcurrentExecutions"),
        (queue["VisibilityTimeout"], json.loads(queue["Policy"])),
        rule["State"],
        json.loads(desk.client("sns").get_topic_attributes(**topic)["Attributes"]["Policy"]),
    ]


def test_configuration(desk: Desk, program: Path) -> None:
    """Every key that a runbook sets, written where it says, is in force after the deployment that it says.

    With one of the values that runbooks give it: that each is one that the program takes is for the contract tests.
    """
    texts = [runbook.render(name, desk.place) for name in desk.place.files]
    wanted = {found[1]: found[2] for text in texts for found in _SETTING.finditer(text)}
    _configure(program, {key: int(value) for key, value in wanted.items()})
    desk.follow("events-backlog", "Act", "lab up")

    assert {key: str(_in_force(desk, key)) for key in wanted} == wanted


def _in_force(desk: Desk, key: str) -> object:
    """The value of a configuration key as it was deployed."""
    lambdas, worker = desk.client("lambda"), {name: f"{name}-worker" for name in EVERY_PIPELINE}

    def of(function: str, attribute: str) -> object:
        return lambdas.get_function_configuration(FunctionName=function)[attribute]

    def mapping(function: str) -> Any:
        return lambdas.list_event_source_mappings(FunctionName=function)["EventSourceMappings"][0]

    def variable(function: str, name: str) -> object:
        return lambdas.get_function_configuration(FunctionName=function)["Environment"]["Variables"][name]

    def queue(attribute: str) -> object:
        url = desk.outputs["MainQueueUrl"]
        return desk.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"][attribute]

    def stage() -> Any:
        api = desk.client("apigatewayv2").get_apis()["Items"][0]["ApiId"]
        return desk.client("apigatewayv2").get_stages(ApiId=api)["Items"][0]["DefaultRouteSettings"]

    found: dict[str, Callable[[], object]] = {
        "workerTimeoutSeconds": lambda: of(worker["events"], "Timeout"),
        "ordersWorkerTimeoutSeconds": lambda: of(worker["orders"], "Timeout"),
        "lakeTransformTimeoutSeconds": lambda: of(worker["lake"], "Timeout"),
        "lakeIngestTimeoutSeconds": lambda: of("lake-ingest", "Timeout"),
        "workerMemoryMb": lambda: of(worker["events"], "MemorySize"),
        "ingestMemoryMb": lambda: of("events-ingest", "MemorySize"),
        "lakeTransformMemoryMb": lambda: of(worker["lake"], "MemorySize"),
        "lakeIngestMemoryMb": lambda: of("lake-ingest", "MemorySize"),
        "batchSize": lambda: mapping(worker["events"])["BatchSize"],
        "ordersBatchSize": lambda: mapping(worker["orders"])["BatchSize"],
        "workerMaxConcurrency": lambda: mapping(worker["lake"])["ScalingConfig"]["MaximumConcurrency"],
        "lakeIngestMaxConcurrency": lambda: mapping("lake-ingest")["ScalingConfig"]["MaximumConcurrency"],
        "workerReservedConcurrency": lambda: lambdas.get_function_concurrency(FunctionName=worker["events"])[
            "ReservedConcurrentExecutions"
        ],
        "lakeChunkMebibytes": lambda: int(str(variable("lake-ingest", "CHUNK_BYTES"))) >> 20,
        "maxRedrives": lambda: variable(desk.outputs["RedriveFunctionName"], "MAX_REDRIVES"),
        "messageRetentionSeconds": lambda: queue("MessageRetentionPeriod"),
        "throttleRate": lambda: int(stage()["ThrottlingRateLimit"]),
    }
    return found[key]()


def test_no_line_is_left_out(desk: Desk, request: pytest.FixtureRequest) -> None:
    """Every line of every runbook of the stack has been run by one of the tests above."""
    tests = {name for name in globals() if name.startswith("test_")}
    if tests - {getattr(item, "originalname", "") for item in request.session.items}:
        pytest.skip("a part of the file ran")
    lines = {line for name in desk.place.files for line in desk.lines(name)}

    assert json.loads(desk.lab("runbook", "--json"))["runbooks"].keys() == desk.place.files.keys()
    assert desk.lab("runbook", "lake-backlog") == runbook.render("lake-backlog", desk.place)
    assert sorted(lines - desk.ran) == []
