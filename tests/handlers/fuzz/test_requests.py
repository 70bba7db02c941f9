"""Every API handler against odd and hostile requests: an answer in the one form, nothing half-accepted."""

import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import faults
from handlers.control.failure_mode import Switch
from handlers.events import ingest
from handlers.idempotency.store import StateStore
from tests.gateway import http_event
from tests.handlers.conftest import FakeClock
from tests.handlers.control.redrive.conftest import DLQ, Lab, make_lab
from tests.handlers.control.redrive.fake_dynamodb import FakeDynamoDB
from tests.handlers.control.test_failure_mode import PARAMETER, FakeSsm
from tests.handlers.fakes import FakeAws
from tests.handlers.fuzz.hostile import FUZZ, JSON, SECRET, TEXT, logged, objects, requests

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")  # inputs may be large

_EVENTS = ["POST /events", "POST /events/batch", "GET /events/{idempotencyKey}", "GET /health"]
_REDRIVE = [
    "GET /redrive",
    "GET /redrive/preview",
    "POST /redrive/start",
    "GET /redrive/{redriveId}",
    "POST /redrive/cancel",
]
_SWITCH = ["GET /failure-mode", "POST /failure-mode", "POST /failure-mode/reset"]
_EVENT = objects(
    {
        "orderId": st.just("1"),
        "amount": st.integers(0, 9),
        "idempotencyKey": st.sampled_from(["key-1", "key-2"]),
        "source": st.just("s"),
        "type": st.just("t"),
        "payload": st.just({"note": SECRET}),
    }
)
_ORDER = st.fixed_dictionaries({"orderId": st.just("1"), "amount": st.integers(0, 3), "note": JSON})
_ORDER_TYPES = st.sampled_from(["Unknown", "DownstreamError", "Strange"])
_FILTERS = {
    "pipeline": st.sampled_from(["events", "ordered"]),
    "errorType": _ORDER_TYPES,
    "filterErrorType": _ORDER_TYPES,
    "minAgeSeconds": st.integers(0, 9),
    "maxMessages": st.integers(1, 9),
}
_START = objects(
    _FILTERS
    | {
        "perMessageDelayJitter": st.integers(0, 900),
        "ratePerSecond": st.sampled_from([1, 0.001, 5e-324, 1e308]),
        "canary": st.integers(0, 5),
        "dryRun": st.booleans(),
        "redriveId": st.just("rd-20270115080000-00000000"),
    }
)
_MODE = objects(
    {
        "mode": st.sampled_from(["none", "poison_payload", "random_fail_p30", "random_fail_p٣"]),
        "ttlSeconds": st.integers(1, 86_400),
        "match": st.dictionaries(TEXT, JSON, max_size=3),
    }
)


def sound(answer: Any, *statuses: int) -> Any:
    """The body of an answer that API Gateway takes, with one of these statuses and, refused, in the one form."""
    assert answer.keys() == {"statusCode", "headers", "body"}
    assert answer["statusCode"] in statuses, answer
    assert answer["headers"]["content-type"] == "application/json"
    assert all(isinstance(value, str) and value.isprintable() for value in answer["headers"].values())
    assert answer["body"].isascii()
    assert len(answer["body"]) < 6_000_000
    body = json.loads(answer["body"])
    if "error" in body:
        assert body.keys() == {"error", "errorType", "details", "requestId"}
        assert len(body["details"]) <= 20
        assert all(detail.keys() == {"pointer", "message"} for detail in body["details"])
        assert SECRET not in json.dumps([body["error"], *(detail["message"] for detail in body["details"])])
        assert "Traceback" not in answer["body"]
        assert "/handlers/" not in answer["body"]
    return body


def events_api(aws: FakeAws) -> ingest.Api:
    """The events API on this AWS."""
    client = cast("Any", aws)
    store = StateStore(client, "ingestion_state", pipeline="events", ttl_days=7)
    return ingest.Api(ingest.Env("t", "events", "https://queue", "ingestion_state", 7, "s"), sqs=client, store=store)


@FUZZ
@given(
    requests(
        [*_EVENTS, "ANY /events", "$default", "PUT /events/batch"],
        _EVENT | _ORDER | st.lists(_EVENT | _ORDER, max_size=4) | st.just([{}] * 101),
        parameters={"idempotencyKey": st.just("key-1")},
    )
)
def test_events(event: dict[str, Any]) -> None:
    """As many messages as were accepted, each with the key that the caller was told; AWS works, so no 5xx."""
    aws = FakeAws()
    with logged() as lines:
        answer = events_api(aws).handle(event)

    body = sound(answer, 200, 202, 207, 400, 404, 405, 409, 413, 415)
    accepted = [body] if "messageId" in body else [r for r in body.get("results", []) if r["status"] == 202]
    assert [(m["MessageId"], m["MessageAttributes"]["idempotencyKey"]["StringValue"]) for m in aws.sent] == [
        (one["messageId"], one["idempotencyKey"]) for one in accepted
    ]
    assert (answer["statusCode"] in (202, 207)) == bool(accepted)
    assert [line["status"] for line in lines() if line["message"] == "request"] == [answer["statusCode"]]


@FUZZ
@given(
    requests(
        [*_REDRIVE, "ANY /redrive/start", "$default"],
        _START,
        query={name: right.map(str) for name, right in _FILTERS.items()}
        | {"limit": st.just("10"), "cursor": st.sampled_from(["1:0", "999999:999"])},
        parameters={"redriveId": st.just("rd-20270115080000-00000000")},
    )
)
def test_redrive(event: dict[str, Any]) -> None:
    """A run is begun exactly where 202 says so, and one that can end; every letter can be seen afterwards."""
    lab = make_lab(FakeClock(), FakeDynamoDB())
    lab.letter("a", body=json.dumps({"note": SECRET}))
    lab.letter("b", error="Strange", attributes={"odd": {"DataType": "String", "StringValue": "\x9b\u2028"}})
    with logged():
        answer = lab.api.handle(event)
        body = sound(answer, 200, 202, 400, 404, 405, 413, 415)
        assert lab.runs.active() == ([body["redriveId"]] if answer["statusCode"] == 202 else [])
        assert len(lab.seen(DLQ)) == 2
        if answer["statusCode"] == 202:
            assert lab.tick_until_ended(body["redriveId"]).state == "SUCCEEDED"


@FUZZ
@given(requests([*_SWITCH, "ANY /failure-mode", "$default"], _MODE))
def test_failure_mode(event: dict[str, Any]) -> None:
    """What is set is what was answered and what the functions read, and SSM holds it; a refusal changes nothing."""
    ssm = FakeSsm()
    ssm.value = "duplicate_submit"
    with logged():
        answer = Switch(cast("Any", ssm), PARAMETER).handle(event)
    if "routeKey" not in event:
        assert (answer, ssm.value) == ({"mode": "none", "reset": True}, "none")
        return
    body = sound(answer, 200, 400, 404, 405, 413, 415)
    assert 1 <= len(ssm.value) <= 4096
    assert "{{" not in ssm.value
    if answer["statusCode"] != 200:
        assert ssm.value == "duplicate_submit"
    else:
        assert faults.parse(ssm.value).as_json() == {name: body[name] for name in body if name != "effective"}


def _events(event: dict[str, Any]) -> Any:
    return events_api(FakeAws()).handle(event)


def _redrive(event: dict[str, Any]) -> Any:
    lab: Lab = make_lab(FakeClock(), FakeDynamoDB())
    return lab.api.handle(event)


def _switch(event: dict[str, Any]) -> Any:
    return Switch(cast("Any", FakeSsm()), PARAMETER).handle(event)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "\n"])
@pytest.mark.parametrize(
    ("handle", "path", "allowed"),
    [
        (_events, "/events", "POST"),
        (_events, "/events/batch", "GET, POST"),  # GET: the state of a key named batch
        (_events, "/events/key-1", "GET"),
        (_events, "/health", "GET"),
        (_redrive, "/redrive", "GET"),
        (_redrive, "/redrive/preview", "GET"),
        (_redrive, "/redrive/start", "GET, POST"),
        (_redrive, "/redrive/cancel", "GET, POST"),
        (_redrive, "/redrive/rd-1", "GET"),
        (_switch, "/failure-mode", "GET, POST"),
        (_switch, "/failure-mode/reset", "POST"),
    ],
)
def test_other_methods(method: str, handle: Callable[[dict[str, Any]], Any], path: str, allowed: str) -> None:
    """405 with `Allow`, by whichever route the request came; the allowed ones never get here."""
    if method in allowed.split(", "):
        return
    for route in (f"ANY {path}", "$default"):
        answer = handle(http_event(route, url=path, method=method, headers={}))
        assert sound(answer, 405)["errorType"] == "MethodNotAllowed"
        assert answer["headers"]["Allow"] == allowed
