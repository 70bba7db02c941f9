"""Redrive end to end: what an on-call engineer does at 3 a.m., by curl's requests, and what happens when it dies."""

import json
import time
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from ops.local import lambdas
from tests.pipelines.lab import Lab, wait_for


def orders(count: int) -> list[dict[str, Any]]:
    """Orders that nobody has posted before."""
    return [{"orderId": str(uuid4()), "amount": 1} for _ in range(count)]


def finished(lab: Lab, redrive_id: str, *, seconds: float = 60) -> dict[str, Any]:
    """The run once it has ended, with its whole ledger."""

    def probe() -> dict[str, Any]:
        run: dict[str, Any] = lab.call("GET", f"/redrive/{redrive_id}?limit=1000")[1]
        return {} if run["state"] == "RUNNING" else run

    run = wait_for(f"the end of {redrive_id}", probe, seconds=seconds)
    while run["nextCursor"]:
        page = lab.call("GET", f"/redrive/{redrive_id}?limit=1000&cursor={run['nextCursor']}")[1]
        run["messages"] += page["messages"]
        run["nextCursor"] = page["nextCursor"]
    return run


def poison(lab: Lab, count: int) -> list[str]:
    """Dead letters made by the failure mode, which is off again afterwards; their keys."""
    lab.switch("poison_payload")
    _, body = lab.call("POST", "/events/batch", orders(count))
    wait_for("the dead letters", lambda: lab.depth(lab.outputs["DlqUrl"]) == count)
    lab.switch("none")
    return [result["idempotencyKey"] for result in body["results"]]


def test_the_drill(lab: Lab) -> None:
    """Poison, preview lists exactly those and hands them back, start drains the DLQ, all succeed."""
    keys = poison(lab, 12)
    query = "/redrive/preview?errorType=SchemaValidationError&minAgeSeconds=0&maxMessages=20"
    first, second = lab.call("GET", query), lab.call("GET", query)
    status, started = lab.call("POST", "/redrive/start", {"maxMessages": 100, "perMessageDelayJitter": 2})
    run = finished(lab, started["redriveId"])
    records = [lab.settled(key) for key in keys]

    for answer in (first, second):
        assert answer[0] == 200
        assert sorted(message["idempotencyKey"] for message in answer[1]["messages"]) == sorted(keys)
        assert {message["errorType"] for message in answer[1]["messages"]} == {"SchemaValidationError"}
        assert answer[1]["dlqStats"]["totalMessages"] == 12
    assert status == 202
    assert (run["state"], run["counts"]["moved"], len(run["messages"])) == ("SUCCEEDED", 12, 12)
    assert {record["attempts"] for record in records} == {2}
    assert lab.depth(lab.outputs["DlqUrl"]) == 0


def test_filters_leave_the_others_where_they_are(lab: Lab) -> None:
    """Another error type and a minimum age move nothing, end, and give every letter back."""
    poison(lab, 2)
    other = lab.call("POST", "/redrive/start", {"errorType": "IdempotencyConflictError"})[1]["redriveId"]
    assert finished(lab, other)["counts"] | {"moved": 0} == finished(lab, other)["counts"]
    young = lab.call("POST", "/redrive/start", {"minAgeSeconds": 3600})[1]["redriveId"]
    run = finished(lab, young)

    assert (run["state"], run["counts"]["skipped"], run["reasons"]) == ("SUCCEEDED", 2, {"TooYoung": 2})
    assert len(lab.call("GET", "/redrive/preview")[1]["messages"]) == 2


def test_a_canary_that_fails_again_stops_the_run(lab: Lab) -> None:
    """The cause is still there: two are tried, the rest stays on the DLQ."""
    poison(lab, 6)
    lab.switch("poison_payload")
    redrive_id = lab.call("POST", "/redrive/start", {"canary": 2})[1]["redriveId"]
    run = finished(lab, redrive_id)
    lab.switch("none")

    assert (run["state"], run["counts"]["moved"]) == ("STOPPED", 2)
    assert "failed again" in run["reason"]
    wait_for("all six on the DLQ", lambda: lab.depth(lab.outputs["DlqUrl"]) == 6)


def test_two_starts_at_once(lab: Lab) -> None:
    """One runs, the other is told which."""
    poison(lab, 3)
    first = lab.call("POST", "/redrive/start", {"ratePerSecond": 1, "maxMessages": 3})
    second = lab.call("POST", "/redrive/start", {})

    assert (first[0], second[0]) == (202, 409)
    assert first[1]["redriveId"] in second[1]["error"]
    assert finished(lab, first[1]["redriveId"])["state"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/redrive/start", {"maxMessages": -1}, 400),
        ("POST", "/redrive/start", {"maxMessages": 10**9}, 400),
        ("POST", "/redrive/start", {"maxMessages": "ten"}, 400),
        ("POST", "/redrive/start", {"perMessageDelayJitter": 901}, 400),
        ("POST", "/redrive/start", {"pipeline": "nope"}, 400),
        ("POST", "/redrive/start", {"errorType": "NoSuchError"}, 400),
        ("POST", "/redrive/start", {"unknown": 1}, 400),
        ("POST", "/redrive/start", [], 400),
        ("GET", "/redrive/preview?maxMessages=-5", None, 400),
        ("GET", "/redrive/preview?minAgeSeconds=x", None, 400),
        ("GET", "/redrive/preview?pipeline=nope", None, 400),
        ("GET", "/redrive/rd-20260101000000-00000000", None, 404),
        ("GET", "/redrive/what", None, 404),
        ("POST", "/redrive/cancel", {"redriveId": "rd-20260101000000-00000000"}, 404),
        ("POST", "/redrive/cancel", {}, 400),
    ],
)
def test_bad_requests(lab: Lab, method: str, path: str, body: Any, status: int) -> None:
    """4xx with the reason."""
    answer, refusal = lab.call(method, path, body)

    assert answer == status
    assert refusal["error"]
    assert refusal["requestId"]


def letters(lab: Lab, count: int) -> list[str]:
    """That many dead letters put straight on the DLQ, with attributes of every type; their keys."""
    sqs, keys = lab.client("sqs", role="events-worker"), []
    for start in range(0, count, 10):
        entries = []
        for i in range(start, min(start + 10, count)):
            key = f"letter-{uuid4()}"
            keys.append(key)
            attributes = {
                "idempotencyKey": {"DataType": "String", "StringValue": key},
                "errorType": {"DataType": "String", "StringValue": "DownstreamError"},
                "originalMessageId": {"DataType": "String", "StringValue": f"m-{i}"},
                "raw": {"DataType": "Binary", "BinaryValue": bytes([i % 256, 0, 255])},
                "weight": {"DataType": "Number.float", "StringValue": f"{i}.5"},
            }
            body = json.dumps({"orderId": key, "amount": i})
            entries.append({"Id": str(i), "MessageBody": body, "MessageAttributes": attributes})
        answer = sqs.send_message_batch(QueueUrl=lab.outputs["DlqUrl"], Entries=entries)
        assert not answer.get("Failed")
    return keys


def test_five_thousand_letters_with_a_kill_a_cancel_and_a_restart(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """Killed in the middle and resumed by the tick, cancelled and started again: nothing lost, nothing moved twice.

    The main queue's consumer is paused, so that every message that was moved can be counted in the queue itself.
    """
    mapping = lab.client("lambda").list_event_source_mappings(FunctionName="events-worker")["EventSourceMappings"][0]
    lab.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        keys = letters(lab, 5000)
        runs = [lab.call("POST", "/redrive/start", {"maxMessages": 100_000})[1]["redriveId"]]
        wait_for("the middle of the run", lambda: _moved(lab, runs[0]) >= 500)
        killed = lambdas.kill(lab.emulator, "redrive")
        moved_then = _moved(lab, runs[0])
        # the tick takes it up again once the dead runner's lease has lapsed
        wait_for("the run going on", lambda: _tick(lab) and _moved(lab, runs[0]) > moved_then, seconds=150)
        assert lab.call("POST", "/redrive/cancel", {"redriveId": runs[0]})[0] in (202, 409)
        first = finished(lab, runs[0])
        runs.append(lab.call("POST", "/redrive/start", {"maxMessages": 100_000})[1]["redriveId"])
        second = finished(lab, runs[1], seconds=120)
        arrived = Counter(message["key"] for message in _drain(lab, lab.outputs["MainQueueUrl"]))
    finally:
        lab.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    twice = sum(count > 1 for count in arrived.values())
    by_run = [Counter(m["messageId"] for m in run["messages"] if m["state"] == "MOVED") for run in (first, second)]
    with capsys.disabled():
        print(  # noqa: T201 - the figures are part of what the test shows
            f"\n  letters {len(keys)}, runner processes killed {killed} after {moved_then} moved; "
            f"first run {first['state']} {first['counts']}; second run {second['state']} {second['counts']}; "
            f"arrived {len(arrived)}, lost {len(set(keys) - set(arrived))}, arrived twice {twice}, "
            f"left on the DLQ {lab.depth(lab.outputs['DlqUrl'])}"
        )
    assert killed >= 1
    assert set(arrived) == set(keys)
    assert second["state"] == "SUCCEEDED"
    assert all(max(moved.values(), default=0) <= 1 for moved in by_run)
    assert twice <= first["counts"]["uncertain"]
    assert lab.depth(lab.outputs["DlqUrl"]) == 0
    for run in (first, second):
        assert Counter(m["state"].lower() for m in run["messages"])["moved"] == run["counts"]["moved"]


def _moved(lab: Lab, redrive_id: str) -> int:
    return int(lab.call("GET", f"/redrive/{redrive_id}?limit=1")[1]["counts"]["moved"])


def _tick(lab: Lab) -> bool:
    """What the schedule does every minute."""
    lab.client("lambda").invoke(FunctionName="redrive", InvocationType="Event", Payload=b"{}")
    time.sleep(1)
    return True


def _drain(lab: Lab, url: str) -> list[dict[str, Any]]:
    """Every message of a queue: its key, after its attributes have been compared."""
    sqs, found = lab.client("sqs"), []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
        "Messages"
    ):
        for message in messages:
            body, attributes = json.loads(message["Body"]), message["MessageAttributes"]
            i = int(body["amount"])
            assert attributes["raw"] == {"DataType": "Binary", "BinaryValue": bytes([i % 256, 0, 255])}
            assert attributes["weight"] == {"DataType": "Number.float", "StringValue": f"{i}.5"}
            assert attributes["redriveCount"] == {"DataType": "Number", "StringValue": "1"}
            found.append({"key": attributes["idempotencyKey"]["StringValue"]})
        entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    return found
