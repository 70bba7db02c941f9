"""The events pipeline end to end on the emulator: real HTTP, real Lambda zips, IAM enforced."""

import json
from typing import Any
from uuid import uuid4

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
