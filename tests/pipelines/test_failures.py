"""The failure lab end to end: each fault hits whom it should, and is over when it is over."""

import json

from handlers import faults
from tests.pipelines.lab import Lab, orders, post_all, wait_for


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


def test_an_event_that_ends_its_worker_dies_alone(lab: Lab) -> None:
    """Among nine good ones, in one batch: it is the only dead letter and says why, the others succeed."""
    lab.switch(json.dumps({"mode": "crash", "match": {"kills": True}}))
    with lab.paused():
        good, (killer,) = post_all(lab, orders(9)), post_all(lab, orders(1, kills=True))

    (letter,) = lab.dead_letters(1, seconds=300)
    for key in good:
        lab.settled(key)

    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert (attributes["idempotencyKey"], attributes["errorType"]) == (killer, "WorkerDiedError")
    assert lab.record(killer)["status"] == "FAILED"
    wait_for("an empty queue", lambda: lab.depth(lab.outputs["MainQueueUrl"]) == 0)


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
