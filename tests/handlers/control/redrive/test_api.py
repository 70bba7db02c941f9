"""The redrive API: one run at a time for each queue, progress and its pages, cancelling, and AWS out of reach."""

import io
import json
from typing import Any

import pytest

from handlers.control.redrive.run.record import Run, RunState
from tests.gateway import http_event
from tests.handlers.control.redrive.conftest import DLQ, MAIN, MINUTE_MS, Lab
from tests.handlers.control.redrive.fakes import refusal

START, CANCEL, LIST = "POST /redrive/start", "POST /redrive/cancel", "GET /redrive"
PREVIEW, SHOW = "GET /redrive/preview", "GET /redrive/{redriveId}"


def test_a_start_is_written_and_wakes_the_runner(lab: Lab) -> None:
    """202 with the id and where to look; the runner is invoked for that run and nothing else is done."""
    status, body = lab.ask(START, {"maxMessages": 100, "perMessageDelayJitter": 5})

    redrive_id = body["redriveId"]
    assert (status, body) == (
        202,
        {"redriveId": redrive_id, "state": "RUNNING", "statusUrl": f"/redrive/{redrive_id}"},
    )
    assert lab.functions.invoked == [
        {
            "FunctionName": "redrive",
            "InvocationType": "Event",
            "Payload": json.dumps({"redriveId": redrive_id}, separators=(",", ":")).encode(),
        }
    ]
    assert lab.ask(SHOW, redriveId=redrive_id)[1] == {
        "redriveId": redrive_id,
        "state": "RUNNING",
        "reason": "",
        "request": {
            "pipeline": "events",
            "maxMessages": 100,
            "errorType": None,
            "minAgeSeconds": 0,
            "perMessageDelayJitter": 5,
            "ratePerSecond": None,
            "canary": 0,
            "dryRun": False,
        },
        "requestedBy": None,
        "counts": {
            "examined": 0,
            "moved": 0,
            "skipped": 0,
            "failed": 0,
            "parked": 0,
            "uncertain": 0,
            "wouldMove": 0,
        },
        "reasons": {},
        "unseen": 0,
        "cancelRequested": False,
        "startedAt": "2027-01-15T08:00:00.000Z",
        "updatedAt": "2027-01-15T08:00:00.000Z",
        "finishedAt": None,
        "messages": [],
        "nextCursor": None,
    }


_SIGNED = {"iam": {"userArn": "arn:aws:sts::123456789012:assumed-role/operator/ann", "accessKey": "AKIA"}}
_TOKEN = {"jwt": {"claims": {"sub": "ann-1", "client_id": "app"}, "scopes": ["ingestion/operate"]}}


@pytest.mark.parametrize(
    ("authorizer", "requested_by"),
    [
        (_SIGNED, "arn:aws:sts::123456789012:assumed-role/operator/ann"),
        (_TOKEN, "ann-1"),
        ({"jwt": {"claims": {"client_id": "app"}}}, "app"),
        ({"lambda": {"keyName": "key-2"}}, "key-2"),
        ({"jwt": {"claims": {"sub": "\ud800\n" + "x" * 300}}}, "\\ud800\n" + "x" * 249),
        ({"jwt": {"claims": {"sub": 7}}, "iam": None}, None),
    ],
    ids=["signature", "token", "program", "key", "odd", "nobody"],
)
def test_the_record_says_who_started(
    lab: Lab, log_stream: io.StringIO, authorizer: dict[str, Any], requested_by: str | None
) -> None:
    """It is kept with the run, and stands in the lines of the requests, as does who cancels."""
    asked = lab.api.handle(http_event(START, "{}", authorizer=authorizer))
    redrive_id = json.loads(asked["body"])["redriveId"]
    lab.tick(redrive_id)
    cancelled = {"iam": {"userArn": "arn:aws:iam::123456789012:user/bob"}}
    lab.api.handle(http_event(CANCEL, json.dumps({"redriveId": redrive_id}), authorizer=cancelled))

    assert lab.ask(SHOW, redriveId=redrive_id)[1]["requestedBy"] == requested_by
    lines = [line for line in map(json.loads, log_stream.getvalue().splitlines()) if line["message"] == "request"]
    assert [(line["route"], line.get("requestedBy")) for line in lines] == [
        (START, requested_by),
        (CANCEL, "arn:aws:iam::123456789012:user/bob"),
        (SHOW, None),
    ]


def test_a_run_of_before_has_no_requester(lab: Lab) -> None:
    """Records that were written by an earlier version are read."""
    item = lab.run(lab.start()).as_item()
    del item["requestedBy"]

    assert Run.from_item("rd-1", item).as_json()["requestedBy"] is None


def test_a_runner_that_is_not_reached_comes_by_itself(lab: Lab) -> None:
    """The start stands; the next tick works on it."""
    lab.letter("k")

    def fail(name: str) -> None:
        if name == "invoke":
            raise refusal("TooManyRequestsException", 429)

    lab.hub.before = fail
    redrive_id = lab.start()
    lab.tick()

    assert (lab.run(redrive_id).state, lab.on(MAIN)) == ("SUCCEEDED", ["k"])


def test_two_starts_at_once(lab: Lab) -> None:
    """One gets the queue; the other a 409 that names it. Another pipeline's queue is free."""
    answers: list[tuple[int, Any]] = []

    def start_another(name: str) -> None:
        if name == "transact_write_items":
            lab.hub.before = lambda _name: None
            answers.append(lab.ask(START, {}))

    lab.hub.before = start_another
    status, body = lab.ask(START, {})

    (first,) = answers
    assert (first[0], status, body["errorType"]) == (202, 409, "RedriveAlreadyRunning")
    assert first[1]["redriveId"] in body["error"]
    assert len(lab.functions.invoked) == 1
    assert lab.ask(START, {"pipeline": "ordered"})[0] == 202


@pytest.mark.parametrize("route", [START, PREVIEW, SHOW, CANCEL])
def test_aws_failures_are_503(lab: Lab, route: str) -> None:
    """With Retry-After, and no word of what failed."""
    redrive_id = lab.start()

    def fail(_name: str) -> None:
        raise refusal("InternalServerError", 500)

    lab.hub.before = fail
    body = {"redriveId": redrive_id} if route == CANCEL else {}
    answer = lab.api.handle(http_event(route, json.dumps(body), path={"redriveId": redrive_id}))

    assert (answer["statusCode"], answer["headers"]["Retry-After"]) == (503, "5")
    assert json.loads(answer["body"]) == {
        "error": "the dead-letter queue or its records is not available",
        "errorType": "ServiceUnavailable",
        "details": [],
        "requestId": "r-1",
    }


def test_the_ledger_in_pages(lab: Lab) -> None:
    """Each entry once, in order, whatever the pages; the last has no cursor."""
    for i in range(40):
        lab.letter(f"k{i}")
    redrive_id = lab.go().redrive_id
    whole = lab.ask(SHOW, redriveId=redrive_id)[1]["messages"]
    assert (len(whole), whole[0].keys()) == (
        40,
        {"messageId", "idempotencyKey", "state", "reason", "errorType", "newMessageId"},
    )

    for size in (1, 7, 10, 11, 39, 40):
        pages: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            body = lab.ask(SHOW, query={"limit": str(size), **cursor}, redriveId=redrive_id)[1]
            pages += body["messages"]
            if not body["nextCursor"]:
                break
            assert len(body["messages"]) == size
            cursor = {"cursor": body["nextCursor"]}
        assert pages == whole


def test_a_cancel_stops_within_a_wave(lab: Lab) -> None:
    """Asked for while a wave is on its way: that wave ends, no other begins, and all that is left can be seen."""
    for i in range(60):
        lab.letter(f"k{i}")
    redrive_id = lab.start()
    answers = []

    def cancel(name: str) -> None:
        if name == "send_message_batch" and len(lab.sqs.sends) == 1:
            lab.hub.before = lambda _name: None
            answers.append(lab.ask(CANCEL, {"redriveId": redrive_id}))

    lab.hub.before = cancel
    lab.tick(redrive_id)

    assert answers == [(202, {"redriveId": redrive_id, "state": "RUNNING", "cancelRequested": True})]
    run = lab.run(redrive_id)
    assert (run.state, run.tally.states) == ("CANCELLED", {"MOVED": 11})
    assert (len(lab.on(MAIN)), len(lab.seen(DLQ))) == (11, 49)
    assert lab.ask(CANCEL, {"redriveId": redrive_id})[0] == 202
    assert lab.go().tally.states == {"MOVED": 49}


def test_a_cancel_of_a_run_that_nobody_works_on(lab: Lab) -> None:
    """The runner is woken, which ends it without moving anything."""
    lab.letter("k")
    redrive_id = lab.start()
    lab.functions.invoked.clear()

    assert lab.ask(CANCEL, {"redriveId": redrive_id})[0] == 202
    assert len(lab.functions.invoked) == 1
    lab.tick(redrive_id)

    assert (lab.run(redrive_id).state, lab.seen(DLQ)) == ("CANCELLED", ["k"])
    assert "receive_message" not in lab.hub.calls


def test_a_cancel_of_a_run_that_is_laid_down(lab: Lab) -> None:
    """It does not wait for the time at which the run would have gone on."""
    redrive_id = lab.start()
    run = lab.runs.take(redrive_id, "me")
    assert run
    lab.runs.release(run, after_seconds=60)
    lab.functions.invoked.clear()

    lab.ask(CANCEL, {"redriveId": redrive_id})
    assert len(lab.functions.invoked) == 1
    lab.tick(redrive_id)

    assert lab.run(redrive_id).state == "CANCELLED"


@pytest.mark.parametrize("event", [http_event(CANCEL, headers={}), http_event(CANCEL, "{}")], ids=["no body", "{}"])
def test_a_cancel_of_whatever_runs(lab: Lab, event: dict[str, Any]) -> None:
    """Without an id it is the one that runs: 404 where none does, 409 with their ids where several do."""

    def cancel() -> tuple[int, dict[str, Any]]:
        answer = lab.api.handle(event)
        return answer["statusCode"], json.loads(answer["body"])

    status, body = cancel()
    assert (status, body["errorType"], body["error"]) == (404, "NotFound", "no redrive runs")
    lab.go()
    assert cancel()[0] == 404

    first = lab.start()
    second = lab.start(pipeline="ordered")
    status, body = cancel()
    assert (status, body["errorType"]) == (409, "SeveralRedrivesRunning")
    assert body["error"] == f"several redrives run, name one: {', '.join(sorted((first, second)))}"

    lab.tick(first)
    assert cancel() == (202, {"redriveId": second, "state": "RUNNING", "cancelRequested": True})
    lab.tick(second)
    assert lab.run(second).state == "CANCELLED"


def test_the_list_of_runs(lab: Lab) -> None:
    """The newest first, without their ledgers; one that has not ended is among them, however old."""
    assert lab.ask(LIST) == (200, {"runs": []})
    old = lab.start(pipeline="ordered")
    ended = []
    for _ in range(3):
        lab.clock.advance(MINUTE_MS)
        ended.append(lab.go().redrive_id)

    status, body = lab.ask(LIST, query={"limit": "2"})
    assert (status, [run["redriveId"] for run in body["runs"]]) == (200, [*reversed(ended[1:]), old])
    assert [run["state"] for run in body["runs"]] == ["SUCCEEDED", "SUCCEEDED", "RUNNING"]
    shown = lab.ask("GET /redrive/{redriveId}", redriveId=ended[2])[1]
    assert body["runs"][0] == {name: value for name, value in shown.items() if name not in ("messages", "nextCursor")}
    assert len(lab.ask(LIST)[1]["runs"]) == 4


@pytest.mark.parametrize(
    ("query", "faults"),
    [
        ({"limit": "0"}, [("/limit", "must be an integer from 1 to 100")]),
        ({"limit": "101"}, [("/limit", "must be an integer from 1 to 100")]),
        ({"limit": "x", "all": ""}, [("/all", "is not known"), ("/limit", "must be an integer from 1 to 100")]),
    ],
)
def test_a_list_that_is_refused(lab: Lab, query: dict[str, str], faults: list[tuple[str, str]]) -> None:
    """400 with every fault."""
    status, body = lab.ask(LIST, query=query)
    assert (status, [(one["pointer"], one["message"]) for one in body["details"]]) == (400, faults)


def test_a_cancel_of_a_run_that_has_ended(lab: Lab) -> None:
    """409, also where it ends between the look and the cancel."""
    redrive_id = lab.go().redrive_id
    status, body = lab.ask(CANCEL, {"redriveId": redrive_id})
    assert (status, body["errorType"]) == (409, "RedriveFinished")

    redrive_id = lab.start()
    run = lab.runs.take(redrive_id, "me")
    assert run

    def finish(name: str) -> None:
        if name == "update_item":
            lab.hub.before = lambda _name: None
            lab.runs.finish(run, RunState.SUCCEEDED, "done")

    lab.hub.before = finish
    assert lab.ask(CANCEL, {"redriveId": redrive_id})[0] == 409
