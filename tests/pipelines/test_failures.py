"""The failure lab and the circuit breaker end to end: each fault hits whom it should, and is over when it is over."""

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from handlers import faults
from tests.pipelines.conftest import CONFIG
from tests.pipelines.lab import Lab, wait_for


def post_all(lab: Lab, events: list[dict[str, Any]]) -> list[str]:
    """Posts events as batches; their keys."""
    keys = []
    for start in range(0, len(events), 100):
        status, body = lab.call("POST", "/events/batch", events[start : start + 100])
        assert status == 202
        keys += [result["idempotencyKey"] for result in body["results"]]
    return keys


def orders(count: int, **more: Any) -> list[dict[str, Any]]:
    """Orders that nobody has posted before."""
    return [{"orderId": str(uuid4()), "amount": 1, **more} for _ in range(count)]


def test_poison_payload_goes_to_the_dlq_with_its_cause(lab: Lab) -> None:
    """Exactly the events that match, on their first attempt; the others succeed."""
    lab.switch(json.dumps({"mode": "poison_payload", "match": {"bad": True}}))
    bad, good = post_all(lab, orders(12, bad=True)), post_all(lab, orders(12, bad=False))
    letters = lab.dead_letters(12)
    for key in good:
        assert lab.settled(key)["attempts"] == 1

    attributes = [
        {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()} for letter in letters
    ]
    assert sorted(a["idempotencyKey"] for a in attributes) == sorted(bad)
    assert {a["errorType"] for a in attributes} == {"SchemaValidationError"}
    assert {a["errorTypeCandidate"] for a in attributes} == {"Unknown"}
    assert {(lab.record(key)["status"], lab.record(key)["attempts"]) for key in bad} == {("FAILED", 1)}


def test_random_failures_are_those_that_were_predicted(lab: Lab) -> None:
    """Every record's number of attempts is known before it is posted; none differs."""
    keys = [f"p30-{i}" for i in range(100)]
    first_good = {key: next(a for a in range(1, 50) if not faults.fails(key, a, 30)) for key in keys}
    assert max(first_good.values()) <= 5  # with these keys no record uses up its receives
    assert len(set(first_good.values())) >= 4
    lab.switch("random_fail_p30")

    post_all(lab, [event | {"idempotencyKey": key} for key, event in zip(keys, orders(100), strict=True)])
    attempts = {key: lab.settled(key, seconds=90)["attempts"] for key in keys}

    assert attempts == first_good
    assert lab.depth(lab.outputs["DlqUrl"]) == 0


def test_duplicate_submit_makes_one_record_and_one_event_each(lab: Lab) -> None:
    """Twice the messages, but one record, one attempt and one success event for each payload."""
    lab.switch("duplicate_submit")
    with lab.events() as ear:
        keys = post_all(lab, orders(30))
        for key in keys:
            assert lab.settled(key)["attempts"] == 1
        wait_for("an empty queue", lambda: lab.depth(lab.outputs["MainQueueUrl"]) == 0)
        told = ear.wait(30)

    assert sorted(event["detail"]["idempotencyKey"] for event in told) == sorted(keys)


def test_slow_downstream_times_out_and_recovers(lab: Lab) -> None:
    """The function is ended by its time-out; after the visibility the message is delivered again and succeeds."""
    lab.switch("slow_downstream")
    (key,) = post_all(lab, orders(1))
    lab.settled(key, status="INFLIGHT")
    logs = lab.client("logs")

    def timed_out() -> bool:
        found = logs.filter_log_events(logGroupName="/aws/lambda/ingestion-lab-local-events-worker")["events"]
        return any("Task timed out" in line["message"] for line in found)

    wait_for("a time-out of the worker", timed_out)
    lab.switch("none")
    record = lab.settled(key, seconds=60)

    assert record["attempts"] == 2


def test_the_switch_by_its_routes(lab: Lab) -> None:
    """Set with an end, seen by the pipeline, ended by itself, reset by route and by invocation."""
    status, body = lab.call("POST", "/failure-mode", {"mode": "poison_payload", "ttlSeconds": 3600})
    assert (status, body["effective"]) == (200, "poison_payload")
    lab.restart("events-ingest", "events-worker")
    (key,) = post_all(lab, orders(1))
    assert lab.settled(key, status="FAILED")["errorType"] == "SchemaValidationError"
    assert lab.call("POST", "/failure-mode/reset")[1] == {"mode": "none", "effective": "none"}
    assert lab.call("POST", "/failure-mode", {"mode": "poison", "ttlSeconds": 0})[0] == 400

    expired = {"mode": "poison_payload", "expiresAt": "2020-01-01T00:00:00Z"}
    lab.switch(json.dumps(expired))
    assert lab.call("GET", "/failure-mode")[1]["effective"] == "none"
    (key,) = post_all(lab, orders(1))
    lab.settled(key)
    assert lab.invoke("failure-mode", {"onlyIfExpired": True}) == {"mode": "none", "reset": True}
    assert lab.client("ssm").get_parameter(Name="/ingestion/failure_mode")["Parameter"]["Value"] == "none"


@pytest.fixture
def short_lived(lab: Lab) -> Iterator[Lab]:
    """Three receives of a few seconds each: what a longer outage costs shows quickly."""
    yield lab
    lab.deploy(**CONFIG)


@pytest.mark.parametrize("hold", [10, 0], ids=["breaker", "no-breaker"])
def test_an_outage_longer_than_the_receives_last(short_lived: Lab, hold: int) -> None:
    """With the breaker 0 good messages are on the DLQ and all succeed afterwards; without it all are dead-lettered."""
    lab = short_lived
    lab.deploy(**CONFIG | {"workerTimeoutSeconds": 1, "maxReceiveCount": 3, "breakerHoldSeconds": hold})
    lab.switch("downstream_outage")
    keys = post_all(lab, orders(20))
    outage_ends = time.monotonic() + 3 * 6 + 1  # maxReceiveCount x visibility, and a little
    if hold:
        mapping = lab.client("lambda").list_event_source_mappings(FunctionName="events-worker")["EventSourceMappings"]
        paused = wait_for(
            "a paused consumer",
            lambda: lab.client("lambda").get_event_source_mapping(UUID=mapping[0]["UUID"])["State"] == "Disabled",
        )
        assert paused
        assert lab.invoke("events-breaker")["state"] == "OPEN"  # a probe during the outage
        breaker = {"id": {"S": "breaker#events"}, "item": {"S": "state"}}
        kept = lab.client("dynamodb").get_item(TableName=lab.outputs["ControlTableName"], Key=breaker)
        assert kept["Item"]["state"] == {"S": "OPEN"}  # what `lab status` shows
    wait_for("the end of the outage", lambda: time.monotonic() >= outage_ends, seconds=60)

    if not hold:
        assert len(lab.dead_letters(20, seconds=60)) == 20
        return
    lab.switch("none")
    assert lab.invoke("events-breaker") == {"state": "CLOSED", "probes": 0}
    for key in keys:
        lab.settled(key, seconds=60)
    assert lab.depth(lab.outputs["DlqUrl"]) == 0
