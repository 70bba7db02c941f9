"""The events pipeline end to end on the emulator: real HTTP, real Lambda zips, IAM enforced."""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest

from ops.local import lambdas
from tests.pipelines.conftest import CONFIG
from tests.pipelines.lab import Lab, wait_for


def order(**more: Any) -> dict[str, Any]:
    """An order that no other test has posted."""
    return {"orderId": str(uuid4()), "amount": 42.5, **more}


def test_a_posted_event_succeeds_once(lab: Lab) -> None:
    """202, SUCCEEDED; the same POST again: same key, one record, attempts unchanged, one success event."""
    event = order()
    with lab.events() as ear:
        status, first = lab.post(event)
        record = lab.settled(first["idempotencyKey"])
        again, second = lab.post(event)
        marker = lab.post(order())[1]["idempotencyKey"]  # queued behind the duplicate, so the duplicate has been worked
        lab.settled(marker)
        wait_for("an empty queue", lambda: lab.depth(lab.outputs["MainQueueUrl"]) == 0)
        told = ear.wait(2)

    assert (status, again) == (202, 202)
    assert first["statusUrl"] == f"/events/{first['idempotencyKey']}"
    assert second["idempotencyKey"] == first["idempotencyKey"]
    assert second["messageId"] != first["messageId"]
    assert lab.record(first["idempotencyKey"]) == record
    assert (record["attempts"], record["payload"], record["messageId"]) == (1, event, first["messageId"])
    assert sorted(event["detail"]["idempotencyKey"] for event in told) == sorted([first["idempotencyKey"], marker])


def test_duplicates_in_one_batch_and_across_batches(lab: Lab) -> None:
    """100 events of which 50 differ: 50 records with one attempt each and 50 success events."""
    events = [order() for _ in range(50)]
    with lab.events() as ear:
        status, first = lab.call("POST", "/events/batch", [*events[:25], *events[:25], *events[25:]])
        keys = {result["idempotencyKey"] for result in first["results"]}
        lab.call("POST", "/events/batch", events)
        for key in keys:
            assert lab.settled(key)["attempts"] == 1
        wait_for("an empty queue", lambda: lab.depth(lab.outputs["MainQueueUrl"]) == 0)
        told = ear.wait(50)

    assert (status, first["accepted"], len(keys)) == (202, 75, 50)
    assert len(told) == len({event["detail"]["eventId"] for event in told}) == 50


def test_a_callers_key_is_bound_to_its_payload(lab: Lab) -> None:
    """The same key with another payload is 409, before and after the event has succeeded."""
    key, event = f"k-{uuid4()}", order()

    assert lab.post(event, idempotency_key=key)[0] == 202
    assert lab.post(order(), idempotency_key=key)[0] == 409
    assert lab.settled(key)["payload"] == event
    assert lab.post(order(), idempotency_key=key)[1]["errorType"] == "IdempotencyConflictError"
    assert lab.post(event, idempotency_key=key)[0] == 202


def test_a_poison_record_among_good_ones(lab: Lab) -> None:
    """Only it is dead-lettered, with its cause, on its first attempt; the good ones succeed on theirs."""
    good = [order() for _ in range(9)]
    poison = {"orderId": "poison", "amount": "a lot"}
    with lab.events() as ear:
        lab.enqueue([json.dumps(event) for event in (*good[:4], poison, *good[4:])])
        (letter,) = lab.dead_letters(1)
        told = ear.wait(9)
        (failure,) = ear.wait(1, "IngestionFailure")

    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert json.loads(letter["Body"]) == poison
    assert attributes == {
        "errorType": "SchemaValidationError",
        "errorMessage": "/amount must be a number, got string",
        "originalMessageId": attributes["originalMessageId"],
        "pipeline": "events",
        "failedAt": attributes["failedAt"],
    }
    assert failure["detail"]["errorType"] == "SchemaValidationError"
    assert failure["detail"]["messageId"] == attributes["originalMessageId"]
    assert {lab.record(event["detail"]["idempotencyKey"])["attempts"] for event in told} == {1}
    record = lab.record(failure["detail"]["idempotencyKey"])
    assert (record["status"], record["errorType"], record["attempts"]) == ("FAILED", "SchemaValidationError", 1)


def test_health_and_unknown_routes(lab: Lab) -> None:
    """The API's own answers, also where API Gateway alone would say something else."""
    assert lab.call("GET", "/health")[1]["environment"] == "local"
    assert lab.call("GET", "/events/unknown")[0] == 404
    assert lab.call("DELETE", "/events")[0] == 405
    assert lab.call("GET", "/nothing")[0] == 404


def test_a_worker_killed_in_the_middle_of_its_batch(lab: Lab) -> None:
    """Killed with its claims written and nothing else: the redelivery of the batch takes over and succeeds."""
    slow = {"mode": "slow_downstream", "match": {"slow": True}}
    lab.switch(json.dumps(slow))
    with lab.events() as ear:
        with lab.paused():
            keys = [lab.post(order(slow=i == 2))[1]["idempotencyKey"] for i in range(5)]
        for key in keys:
            lab.settled(key, status="INFLIGHT")
        lab.client("ssm").put_parameter(Name="/ingestion/failure_mode", Value="none", Type="String", Overwrite=True)
        killed = lambdas.kill(lab.emulator, "events-worker")
        records = [lab.settled(key, seconds=60) for key in keys]
        told = ear.wait(5)

    assert killed >= 1
    assert [record["attempts"] for record in records] == [2] * 5
    assert sorted(event["detail"]["idempotencyKey"] for event in told) == sorted(keys)


_COLD_START_SECONDS = 1.5


@contextmanager
def killing(lab: Lab) -> Iterator[list[int]]:
    """Kills one of the worker's processes after another, at random, for as long as the block runs; yields their pids.

    One at a time, and only those past their cold start: otherwise it is cold starts that are hit, and never a batch.
    """
    stop, killed = threading.Event(), list[int]()

    def run() -> None:
        while not stop.wait(random.uniform(0.02, 0.2)):  # noqa: S311 - chaos needs no secrecy
            running = lambdas.running(lab.emulator, "events-worker")
            if victims := [process for process in running if time.time() - process.create_time() > _COLD_START_SECONDS]:
                victim = random.choice(victims)  # noqa: S311
                victim.kill()
                killed.append(victim.pid)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def test_two_thousand_events_while_the_worker_is_killed_at_random(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """Every accepted event ends SUCCEEDED, exactly once: one record, one success event id each.

    The killing ends before the first visibility (12 s) does, so no message can be hit at each of its five deliveries.
    """
    accepted: dict[str, str] = {}
    with lab.events() as ear:
        with killing(lab) as killed:
            for _ in range(20):
                status, body = lab.call("POST", "/events/batch", [order() for _ in range(100)])
                assert status == 202
                accepted |= {result["idempotencyKey"]: result["messageId"] for result in body["results"]}
                time.sleep(0.4)  # events are to arrive for as long as the killing goes on
        told = ear.wait(2000, seconds=120)
        wait_for("an empty queue", lambda: lab.depth(lab.outputs["MainQueueUrl"]) == 0, seconds=60)
        told = ear.heard()

    by_key: dict[str, set[str]] = {}
    for event in told:
        by_key.setdefault(event["detail"]["idempotencyKey"], set()).add(event["detail"]["eventId"])
    table = lab.client("dynamodb").get_paginator("scan").paginate(TableName=lab.outputs["DynamoTableName"])
    items = {item["idempotencyKey"]["S"]: item for page in table for item in page["Items"]}
    mine = {key: items[key] for key in accepted if key in items}
    retried = sum(item["attempts"]["N"] != "1" for item in mine.values())
    with capsys.disabled():
        print(  # noqa: T201 - the figures are part of what the test shows
            f"\n  accepted {len(accepted)}, succeeded {sum(i['status']['S'] == 'SUCCEEDED' for i in mine.values())}, "
            f"worker processes killed {len(killed)}, records that needed another attempt {retried}, "
            f"success events {len(told)} with {len({e['detail']['eventId'] for e in told})} ids, "
            f"dead letters {lab.depth(lab.outputs['DlqUrl'])}"
        )
    assert killed
    assert len(accepted) == 2000
    assert {item["status"]["S"] for item in mine.values()} == {"SUCCEEDED"}
    assert len(mine) == 2000
    assert set(by_key) == set(accepted)
    assert all(len(ids) == 1 for ids in by_key.values())
    assert lab.depth(lab.outputs["DlqUrl"]) == 0


def test_a_changed_setting_tunes_the_running_stack(lab: Lab) -> None:
    """Batch size and timeout change in place; messages that wait are still there and are then worked."""
    with lab.paused():
        keys = [lab.post(order())[1]["idempotencyKey"] for _ in range(3)]
        changes = lab.deploy(**CONFIG | {"batchSize": 3, "workerTimeoutSeconds": 3}).changes
        depth = lab.depth(lab.outputs["MainQueueUrl"])
    (tuned,) = lab.client("lambda").list_event_source_mappings(FunctionName="events-worker")["EventSourceMappings"]
    timeout = lab.client("lambda").get_function_configuration(FunctionName="events-worker")["Timeout"]
    queue = lab.client("sqs").get_queue_attributes(
        QueueUrl=lab.outputs["MainQueueUrl"], AttributeNames=["VisibilityTimeout"]
    )

    assert (changes.created, changes.replaced, changes.deleted) == ([], [], [])
    assert (tuned["BatchSize"], timeout, queue["Attributes"]["VisibilityTimeout"]) == (3, 3, "18")
    assert depth == 3
    for key in keys:
        lab.settled(key)
    lab.deploy(**CONFIG)
