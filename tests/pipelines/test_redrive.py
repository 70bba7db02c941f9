"""Redrive end to end: what an on-call engineer does at 3 a.m., by curl's requests, and what happens when it dies."""

from typing import Any
from uuid import uuid4

import pytest

from tests.pipelines.lab import Lab, wait_for
from tests.pipelines.redrives import finished


def orders(count: int) -> list[dict[str, Any]]:
    """Orders that nobody has posted before."""
    return [{"orderId": str(uuid4()), "amount": 1} for _ in range(count)]


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
        ("POST", "/redrive/cancel", {}, 404),
        ("POST", "/redrive/cancel", None, 404),
        ("GET", "/redrive?limit=0", None, 400),
    ],
)
def test_bad_requests(lab: Lab, method: str, path: str, body: Any, status: int) -> None:
    """4xx with the reason."""
    answer, refusal = lab.call(method, path, body)

    assert answer == status
    assert refusal["error"]
    assert refusal["requestId"]
