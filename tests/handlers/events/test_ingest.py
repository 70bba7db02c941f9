"""The events API: what is accepted, what is refused and how, and that 202 means SQS has it."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, cast

import pytest

from handlers import clock, jsontext
from handlers.events.ingest import Api, Env
from handlers.events.message import MAX_EVENT_BYTES
from handlers.grouping import sqs_id
from handlers.http.request import MAX_REQUEST_BYTES
from handlers.idempotency.store import StateStore
from handlers.worker.worker import Worker
from tests.gateway import http_event
from tests.handlers.conftest import DAY_MS, FakeClock, Step, failures, record
from tests.handlers.fakes import FakeAws, FakeContext, client_error

ORDER = {"orderId": "123", "amount": 42.5}
ENVELOPE = {"source": "shop", "type": "created", "payload": {"a": 1}}
KEY = jsontext.checksum(cast("Any", ORDER))


@pytest.fixture
def api(fake_aws: FakeAws) -> Api:
    """The real API on the fake AWS."""
    client = cast("Any", fake_aws)
    env = Env("test", "events", "https://queue", "ingestion_state", 7, "ingestion-lab")
    return Api(env, sqs=client, store=StateStore(client, "ingestion_state", pipeline="events", ttl_days=7))


def call(
    api: Api,
    route: str,
    body: Any = None,
    *,
    raw: str | None = None,
    headers: dict[str, str] | None = None,
    base64_encoded: bool = False,
    key: str = "",
) -> tuple[int, Any, dict[str, str]]:
    """Sends one request as API Gateway delivers it; returns status, body and headers."""
    sent = None if route.startswith("GET ") else json.dumps(body) if raw is None else raw
    given = {"Content-Type": "application/json"} if headers is None else headers
    parameters = {"idempotencyKey": key} if "{" in route else None
    answer = api.handle(http_event(route, sent, path=parameters, headers=given, base64_encoded=base64_encoded))
    assert answer["headers"]["content-type"] == "application/json"
    return answer["statusCode"], json.loads(answer["body"]), answer["headers"]


def post(api: Api, body: Any, **headers: str) -> tuple[int, Any]:
    """Posts one event."""
    given = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return call(api, "POST /events", body, headers=given)[:2]


def test_an_order_is_queued_under_its_checksum(api: Api, fake_aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """One AWS call; the message carries the payload, the key, the time, the correlation id and the trace."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-2-3")

    status, body = post(api, ORDER, x_correlation_id="c-1")

    assert (status, body) == (202, {"idempotencyKey": KEY, "messageId": "sent-1", "statusUrl": f"/events/{KEY}"})
    assert fake_aws.calls == ["SendMessageBatch"]
    text = {"DataType": "String"}
    assert fake_aws.sent == [
        {
            "QueueUrl": "https://queue",
            "MessageId": "sent-1",
            "Id": "0",
            "MessageBody": '{"orderId":"123","amount":42.5}',
            "MessageAttributes": {
                "idempotencyKey": text | {"StringValue": KEY},
                "submittedAt": text | {"StringValue": "2027-01-15T08:00:00.000Z"},
                "errorTypeCandidate": text | {"StringValue": "Unknown"},
                "correlationId": text | {"StringValue": "c-1"},
            },
            "MessageSystemAttributes": {"AWSTraceHeader": text | {"StringValue": "Root=1-2-3"}},
        }
    ]


def test_form_does_not_change_the_key(api: Api) -> None:
    """Key order, white space and number spelling are form; extra fields are content."""
    same = call(api, "POST /events", raw='{ "amount": 42.50,\n "orderId": "123" }')[1]["idempotencyKey"]
    other = post(api, ORDER | {"note": "extra"})[1]["idempotencyKey"]

    assert same == KEY
    assert other != KEY


def test_a_base64_body_is_decoded(api: Api, fake_aws: FakeAws) -> None:
    """API Gateway encodes bodies of some content types."""
    raw = base64.b64encode(json.dumps(ORDER).encode()).decode()

    assert call(api, "POST /events", raw=raw, base64_encoded=True)[0] == 202
    assert fake_aws.sent[0]["MessageBody"] == '{"orderId":"123","amount":42.5}'


@pytest.mark.parametrize("where", ["header", "body"])
def test_the_callers_key_is_bound_to_its_payload(api: Api, fake_aws: FakeAws, where: str) -> None:
    """The same key with another payload is a 409 at once, before any worker has seen the first."""

    def send(event: dict[str, Any]) -> tuple[int, Any]:
        return (
            post(api, event, idempotency_key="k-1")
            if where == "header"
            else post(api, event | {"idempotencyKey": "k-1"})
        )

    assert send(ORDER)[0] == 202
    assert send(ORDER)[0] == 202
    status, refusal = send(ORDER | {"amount": 1})

    assert (status, refusal["errorType"]) == (409, "IdempotencyConflictError")
    assert [sent["MessageAttributes"]["idempotencyKey"]["StringValue"] for sent in fake_aws.sent] == ["k-1", "k-1"]
    assert [sent["MessageBody"] for sent in fake_aws.sent] == ['{"orderId":"123","amount":42.5}'] * 2
    assert fake_aws.items["k-1"]["attempts"] == {"N": "0"}


@pytest.mark.parametrize("key", ["", "k-1"], ids=["made by ingest", "the caller's own"])
def test_what_was_accepted_is_claimed_in_one_call(
    api: Api, worker: Worker, fake_aws: FakeAws, step: Step, key: str
) -> None:
    """Also under the caller's own key, which is reserved: nothing is inserted in vain or read before."""
    post(api, ORDER | {"n": "a"} | ({"idempotencyKey": key} if key else {}))
    (sent,) = fake_aws.sent
    attributes = {
        name: {"dataType": one["DataType"], "stringValue": one["StringValue"]}
        for name, one in sent["MessageAttributes"].items()
    }
    fake_aws.calls.clear()

    batch = {"Records": [record("sent-1", None, body=sent["MessageBody"], attributes=attributes)]}
    assert worker.handle(batch, FakeContext()) == failures()

    assert fake_aws.calls == ["BatchExecuteStatement", "BatchExecuteStatement", "PutEvents"]
    assert step.runs == ["a"]
    (kept,) = fake_aws.items.values()
    assert (kept["status"], kept["attempts"], kept["messageId"]) == ({"S": "SUCCEEDED"}, {"N": "1"}, {"S": "sent-1"})


def test_an_expired_key_is_bound_anew(api: Api, fake_aws: FakeAws, fake_clock: FakeClock) -> None:
    """A key is bound while its record lives: afterwards to whoever is first, even before TTL has deleted it."""
    post(api, ORDER, idempotency_key="k-1")
    fake_aws.items["k-1"] |= {"status": {"S": "FAILED"}, "attempts": {"N": "2"}, "errorType": {"S": "E"}}
    fake_clock.advance(7 * DAY_MS)

    answers = [post(api, event, idempotency_key="k-1")[0] for event in (ENVELOPE, ORDER, ENVELOPE)]

    assert answers == [202, 409, 202]
    assert fake_aws.items["k-1"] == {
        "idempotencyKey": {"S": "k-1"},
        "status": {"S": "INFLIGHT"},
        "checksum": {"S": jsontext.checksum(cast("Any", ENVELOPE))},
        "firstSeenAt": {"S": clock.iso(fake_clock.ms)},
        "attempts": {"N": "0"},
        "expiresAt": {"N": str((fake_clock.ms + 7 * DAY_MS) // 1000)},
        "leaseUntil": {"N": "0"},
        "messageId": {"S": ""},
        "pipeline": {"S": "events"},
        "payload": {"S": jsontext.compact(cast("Any", ENVELOPE))},
    }


@pytest.mark.parametrize(("mine", "status"), [(ENVELOPE, 202), (ORDER | {"amount": 1}, 409)])
def test_of_two_that_take_over_an_expired_key_one_wins(
    api: Api, fake_aws: FakeAws, fake_clock: FakeClock, mine: dict[str, Any], status: int
) -> None:
    """Between the look at the expired record and the write somebody else binds it: only its payload is good then."""
    post(api, ORDER, idempotency_key="k-1")
    fake_clock.advance(7 * DAY_MS)

    def overtake(name: str) -> None:
        if name == "BatchGetItem":
            fake_aws.after = lambda _name: None
            post(api, ENVELOPE, idempotency_key="k-1")

    fake_aws.after = overtake
    assert post(api, mine, idempotency_key="k-1")[0] == status
    assert fake_aws.items["k-1"]["checksum"] == {"S": jsontext.checksum(cast("Any", ENVELOPE))}


def test_an_expired_key_that_is_not_written_is_not_accepted(api: Api, fake_aws: FakeAws, fake_clock: FakeClock) -> None:
    """Nothing is queued under a key that is bound to something else."""
    post(api, ORDER, idempotency_key="k-1")
    fake_clock.advance(7 * DAY_MS)
    fake_aws.entry_failures["BatchExecuteStatement"] = lambda one: "Denied" if "UPDATE" in one["Statement"] else ""

    assert post(api, ENVELOPE, idempotency_key="k-1")[0] == 503
    assert len(fake_aws.sent) == 1


@pytest.mark.parametrize(
    ("event", "details"),
    [
        ([], [("", "must be an object, got array")]),
        (None, [("", "must be an object, got null")]),
        ({}, [("/orderId", "is required"), ("/amount", "is required")]),
        (
            {"orderId": 1, "amount": "2"},
            [("/orderId", "must be a string, got number"), ("/amount", "must be a number, got string")],
        ),
        (
            {"orderId": "", "amount": True},
            [("/orderId", "must have 1 to 256 characters, got 0"), ("/amount", "must be a number, got boolean")],
        ),
        ({"orderId": "1", "amount": -1}, [("/amount", "must be 0 or more")]),
        ({"source": "s"}, [("/type", "is required"), ("/payload", "is required")]),
        ({"source": "s", "type": "t", "payload": 1}, [("/payload", "must be an object, got number")]),
        (ORDER | {"idempotencyKey": 1}, [("/idempotencyKey", "must be a string, got number")]),
    ],
)
def test_an_event_that_is_none_is_refused_with_every_fault(
    api: Api,
    fake_aws: FakeAws,
    event: Any,
    details: list[tuple[str, str]],
) -> None:
    """400 with a JSON pointer each; nothing is queued."""
    status, refusal = post(api, event)

    assert status == 400
    assert refusal == {
        "error": "the input is not valid",
        "errorType": "SchemaValidationError",
        "details": [{"pointer": pointer, "message": message} for pointer, message in details],
        "requestId": "r-1",
    }
    assert fake_aws.calls == []


@pytest.mark.parametrize("key", ["", "-x", "a/b", "é", "a b", "x" * 257])
def test_a_malformed_key_is_refused(api: Api, key: str) -> None:
    """Keys are plain tokens, so that they fit a path, a table key and a log line."""
    status, refusal = post(api, ORDER | {"idempotencyKey": key})

    assert (status, refusal["details"][0]["pointer"]) == (400, "/idempotencyKey")


def test_two_different_keys_are_refused(api: Api) -> None:
    """Header and body may both name the key, but the same one."""
    assert post(api, ORDER | {"idempotencyKey": "a"}, idempotency_key="a")[0] == 202
    assert post(api, ORDER | {"idempotencyKey": "a"}, idempotency_key="b")[0] == 400


@pytest.mark.parametrize(
    "raw", ["", "{", '{"orderId": "1", "amount": NaN}', "[" * 5000, '{"orderId":"1","amount":1e999}']
)
def test_a_body_that_is_not_json_is_refused(api: Api, raw: str) -> None:
    """400, never a 5xx."""
    status, refusal, _ = call(api, "POST /events", raw=raw)

    assert (status, refusal["errorType"]) == (400, "SchemaValidationError")


def test_broken_base64_is_refused(api: Api) -> None:
    """As any other body that cannot be read."""
    assert call(api, "POST /events", raw="%%%", base64_encoded=True)[0] == 400


@pytest.mark.parametrize("headers", [{}, {"content-type": "text/plain"}, {"content-type": "application/jsonx"}])
def test_another_content_type_is_refused(api: Api, headers: dict[str, str]) -> None:
    """415 unless the body is declared as JSON."""
    assert call(api, "POST /events", ORDER, headers=headers)[0] == 415


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/cloudevents+json", "Application/JSON"]
)
def test_json_content_types_are_taken(api: Api, kind: str) -> None:
    """Parameters, suffixes and case do not matter."""
    assert call(api, "POST /events", ORDER, headers={"content-type": kind})[0] == 202


def test_an_event_too_large_for_sqs_is_refused(api: Api, fake_aws: FakeAws) -> None:
    """413 past what fits a message with its attributes; the largest that fits is sent."""
    frame = len(jsontext.compact(cast("Any", ORDER | {"blob": ""})))
    limit = 1024 * 1024 - 4096

    assert post(api, ORDER | {"blob": "x" * (limit - frame)})[0] == 202
    status, refusal = post(api, ORDER | {"blob": "x" * (limit - frame + 1)})

    assert (status, refusal["errorType"]) == (413, "PayloadTooLarge")
    assert len(fake_aws.sent) == 1


def test_a_queue_that_refuses_is_a_503_with_retry_after(api: Api, fake_aws: FakeAws) -> None:
    """202 means that SQS has confirmed the message, and nothing else does."""
    fake_aws.entry_failures["SendMessageBatch"] = lambda _entry: "InternalError"
    status, refusal, headers = call(api, "POST /events", ORDER)

    assert (status, refusal["errorType"], headers["Retry-After"]) == (503, "ServiceUnavailable", "5")


@pytest.mark.parametrize("name", ["SendMessageBatch", "BatchExecuteStatement"])
def test_an_aws_call_that_fails_is_a_503(api: Api, fake_aws: FakeAws, name: str) -> None:
    """Also where the key could not be reserved: then nothing is queued."""

    def refuse(called: str) -> None:
        if called == name:
            raise client_error("ThrottlingException")

    fake_aws.before = refuse

    assert post(api, ORDER, idempotency_key="k-1")[0] == 503
    assert fake_aws.sent == []


def batch(api: Api, events: Any) -> tuple[int, Any]:
    """Posts a batch."""
    return call(api, "POST /events/batch", events)[:2]


def test_a_batch_is_sent_ten_a_call(api: Api, fake_aws: FakeAws) -> None:
    """100 events are 10 SendMessageBatch calls, each event answered in its place."""
    events = [ORDER | {"orderId": str(i)} for i in range(100)]

    status, body = batch(api, events)

    assert (status, body["accepted"], body["rejected"]) == (202, 100, 0)
    assert fake_aws.calls == ["SendMessageBatch"] * 10
    assert [json.loads(sent["MessageBody"])["orderId"] for sent in fake_aws.sent] == [str(i) for i in range(100)]
    assert body["results"][7] == {
        "index": 7,
        "status": 202,
        "idempotencyKey": jsontext.checksum(cast("Any", events[7])),
        "messageId": "sent-8",
    }


def test_the_calls_of_a_batch_are_made_beside_each_other(fake_aws: FakeAws) -> None:
    """All ten are under way before one is answered; each event has its own outcome, refused calls and entries too."""
    all_are_here = Barrier(10, timeout=60)

    def begin(_name: str) -> None:
        if all_are_here.wait() == 3:
            raise client_error("InternalError")

    fake_aws.before = begin
    events = [ORDER | {"orderId": str(i)} for i in range(100)]
    client = cast("Any", fake_aws)
    env = Env("test", "events", "https://queue", "ingestion_state", 7, "ingestion-lab")
    store = StateStore(client, "ingestion_state", pipeline="events", ttl_days=7)
    fake_aws.entry_failures["SendMessageBatch"] = lambda entry: "SenderFault" if '"42"' in entry["MessageBody"] else ""
    with ThreadPoolExecutor(10) as pool:
        status, body = batch(Api(env, sqs=client, store=store, pool=pool), events)

    kept = {sent["MessageId"]: json.loads(sent["MessageBody"])["orderId"] for sent in fake_aws.sent}
    taken = [result for result in body["results"] if result["status"] == 202]
    refused = {result["index"] for result in body["results"] if result["status"] == 503}
    assert status == 207
    assert {result["messageId"]: str(result["index"]) for result in taken} == kept
    assert 42 in refused
    assert len(refused) in {10, 11}  # ten of the call that failed, and the entry where it was not among them


def test_large_events_are_cut_into_calls_by_size(api: Api, fake_aws: FakeAws) -> None:
    """A SendMessageBatch call takes 1 MiB, attributes included."""
    events = [ORDER | {"orderId": str(i), "blob": "x" * 400_000} for i in range(5)]

    assert batch(api, events)[0] == 202
    assert fake_aws.calls == ["SendMessageBatch"] * 3


def test_a_mixed_batch_answers_each_event(api: Api, fake_aws: FakeAws) -> None:
    """207: refused, conflicting and unsent events are told apart; the others are accepted."""
    fake_aws.entry_failures["SendMessageBatch"] = lambda entry: (
        "SenderFault" if '"down"' in entry["MessageBody"] else ""
    )
    events: list[Any] = [
        ORDER,
        {"orderId": "1"},
        ORDER | {"idempotencyKey": "k-1"},
        ENVELOPE | {"idempotencyKey": "k-1"},
        ORDER | {"idempotencyKey": "k-1"},
        ORDER | {"orderId": "down"},
        7,
    ]

    status, body = batch(api, events)

    assert (status, body["accepted"], body["rejected"]) == (207, 3, 4)
    assert [(r["index"], r["status"], r.get("errorType")) for r in body["results"]] == [
        (0, 202, None),
        (1, 400, "SchemaValidationError"),
        (2, 202, None),
        (3, 409, "IdempotencyConflictError"),
        (4, 202, None),
        (5, 503, "ServiceUnavailable"),
        (6, 400, "SchemaValidationError"),
    ]
    assert body["results"][1]["details"] == [{"pointer": "/amount", "message": "is required"}]
    assert len(fake_aws.sent) == 3


def test_a_batch_of_which_nothing_is_accepted(api: Api, fake_aws: FakeAws) -> None:
    """400 where the events are at fault, 503 where the queue is."""
    assert batch(api, [1, 2])[0] == 400
    fake_aws.entry_failures["SendMessageBatch"] = lambda _entry: "InternalError"
    status, _, headers = call(api, "POST /events/batch", [ORDER])

    assert (status, headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("body", [{}, [], [ORDER] * 101, "x"])
def test_a_batch_that_is_no_batch_is_refused(api: Api, body: Any) -> None:
    """1 to 100 events in an array."""
    assert batch(api, body)[0] == 400


def test_a_batch_has_no_key_of_its_own(api: Api) -> None:
    """A header key would bind a hundred payloads to one key; it is refused, not ignored."""
    headers = {"content-type": "application/json", "idempotency-key": "k"}

    assert call(api, "POST /events/batch", [ORDER], headers=headers)[0] == 400


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ('{"a":' * 60 + "1" + "}" * 60, {"a": ...}),
        ('{"1":1,"1":2}', {"1": 2}),
        ("[" * 300 + "]" * 300, "[" * 300 + "]" * 300),
        ("[" * 100_000 + "]" * 100_000, "[" * 100_000 + "]" * 100_000),
    ],
    ids=["deep", "a name twice", "deeper", "deepest"],
)
def test_whatever_the_step_returned_is_shown(api: Api, fake_aws: FakeAws, result: str, shown: Any) -> None:
    """Limits of input apply to input: a result that was stored is shown, where need be as its text."""
    checksum = jsontext.checksum({})
    texts = {"idempotencyKey": "k-1", "status": "SUCCEEDED", "checksum": checksum, "payload": "{}", "result": result}
    fake_aws.items["k-1"] = {name: {"S": text} for name, text in texts.items()} | {"expiresAt": {"N": "99999999999"}}

    status, body, _ = call(api, "GET /events/{idempotencyKey}", key="k-1")

    assert (status, body["payload"]) == (200, {})
    assert body["result"] == (json.loads(result) if shown == {"a": ...} else shown)


def test_the_state_record_is_json(api: Api, fake_aws: FakeAws) -> None:
    """Numbers are numbers, payload and result are JSON again."""
    post(api, ORDER, idempotency_key="k-1")
    fake_aws.items["k-1"]["result"] = {"S": '{"did":1.5}'}

    status, body, _ = call(api, "GET /events/{idempotencyKey}", key="k-1")

    assert (status, body["payload"], body["result"], body["attempts"]) == (200, ORDER, {"did": 1.5}, 0)


@pytest.mark.parametrize(
    ("status", "given_up", "final"),
    [
        ("INFLIGHT", None, False),
        ("INFLIGHT", True, False),  # taken up again after a redrive
        ("SUCCEEDED", None, True),
        ("FAILED", False, False),
        ("FAILED", True, True),
        ("FAILED", None, True),  # written before there was the attribute
    ],
)
def test_final_is_said_of_every_record(
    api: Api,
    fake_aws: FakeAws,
    *,
    status: str,
    given_up: bool | None,
    final: bool,
) -> None:
    """A failure that is tried again is told from one that is not, and when that will be."""
    post(api, ORDER, idempotency_key="k-1")
    at = "2027-01-15T08:45:00.000Z"
    fake_aws.items["k-1"] |= {"status": {"S": status}, "nextAttemptAt": {"S": at}}
    fake_aws.items["k-1"] |= {} if given_up is None else {"final": {"BOOL": given_up}}

    _, body, _ = call(api, "GET /events/{idempotencyKey}", key="k-1")

    assert (body["status"], body["final"]) == (status, final)
    assert body.get("nextAttemptAt") == (at if given_up is False else None)


@pytest.mark.parametrize("key", ["unknown", "", "a b", "../x"])
def test_an_unknown_key_is_a_404(api: Api, key: str) -> None:
    """Also one that can't be a key."""
    assert call(api, "GET /events/{idempotencyKey}", key=key)[0] == 404


def test_health_is_whether_an_event_could_be_queued(api: Api, fake_aws: FakeAws) -> None:
    """200 with the service's name, 503 when the queue can't be reached."""
    status, body, _ = call(api, "GET /health")
    assert (status, body) == (
        200,
        {
            "status": "healthy",
            "service": "ingestion-lab",
            "environment": "test",
            "timestamp": "2027-01-15T08:00:00.000Z",
        },
    )

    def refuse(_name: str) -> None:
        raise client_error("AccessDenied")

    fake_aws.before = refuse
    assert call(api, "GET /health")[0] == 503
    assert call(api, "GET /events/{idempotencyKey}", key="k-1")[0] == 503


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("DELETE", "/events", 405, "POST"),
        ("PUT", "/events/k-1", 405, "GET"),
        ("POST", "/health", 405, "GET"),
        ("GET", "/", 404, None),
        ("GET", "/events/a/b", 404, None),
    ],
)
def test_other_routes(api: Api, method: str, path: str, status: int, allow: str | None) -> None:
    """The `$default` route answers in the API's own form: 405 with `Allow` for a known path, else 404."""
    answer = api.handle(http_event("$default", url=path, method=method, headers={}))

    assert (answer["statusCode"], answer["headers"].get("Allow")) == (status, allow)
    assert json.loads(answer["body"]).keys() == {"error", "errorType", "details", "requestId"}


@pytest.mark.parametrize("key", ["", " ", "k" * 257, "\xe9"])
def test_a_key_header_that_is_no_key(api: Api, fake_aws: FakeAws, key: str) -> None:
    """400: a caller who means to give a key has none, and nothing is queued."""
    status, body = post(api, ORDER, idempotency_key=key)

    assert (status, body["details"][0]["pointer"], fake_aws.sent) == (400, "/idempotencyKey", [])
    assert post(api, ORDER | {"idempotencyKey": "k"}, idempotency_key=key)[0] == 400


def test_a_compressed_body_is_refused(api: Api) -> None:
    """415 that says so; `identity` is no compression."""
    status, body = post(api, ORDER, content_encoding="gzip")

    assert (status, body["error"]) == (415, "send the body without Content-Encoding")
    assert post(api, ORDER, content_encoding="Identity")[0] == 202


@pytest.mark.parametrize(
    ("route", "limit"),
    [("POST /events", MAX_EVENT_BYTES), ("POST /events/batch", MAX_REQUEST_BYTES)],
)
@pytest.mark.parametrize("base64_encoded", [False, True])
def test_a_body_over_the_routes_limit(
    api: Api,
    route: str,
    limit: int,
    base64_encoded: bool,  # noqa: FBT001 - a table of cases
) -> None:
    """413 with the limit, before anything is made of it; at the limit it is read."""

    def send(raw: str) -> tuple[int, Any]:
        sent = base64.b64encode(raw.encode()).decode() if base64_encoded else raw
        return call(api, route, raw=sent, base64_encoded=base64_encoded)[:2]

    status, body = send(" " * (limit + 1))
    assert (status, body["error"]) == (413, f"a body may have {limit} bytes here, got {limit + 1}")
    assert send(" " * limit)[0] == 400


def grouped(fake_aws: FakeAws, url: str) -> Api:
    """The API of a stack with groups."""
    client = cast("Any", fake_aws)
    env = Env("test", "events", url, "ingestion_state", 7, "ingestion-lab", "/customerId")
    return Api(env, sqs=client, store=StateStore(client, "ingestion_state", pipeline="events", ttl_days=7))


def ids(fake_aws: FakeAws) -> list[tuple[str, str]]:
    """The group and the deduplication id of each message."""
    return [(sent.get("MessageGroupId", ""), sent.get("MessageDeduplicationId", "")) for sent in fake_aws.sent]


def test_events_of_a_fair_queue_have_groups_and_no_deduplication(fake_aws: FakeAws) -> None:
    """What has no group is taken all the same; a standard queue refuses deduplication ids."""
    api = grouped(fake_aws, "https://queue")
    events = [ORDER | {"customerId": "a"}, ORDER | {"customerId": 7}, ORDER, ORDER | {"customerId": "two words"}]

    assert call(api, "POST /events/batch", events)[0] == 202
    assert ids(fake_aws) == [("a", ""), ("7", ""), ("", ""), (sqs_id("two words"), "")]
    assert fake_aws.calls == ["SendMessageBatch"]


def test_events_of_a_fifo_queue_are_sent_in_order_and_once(fake_aws: FakeAws) -> None:
    """Deduplication is by idempotency key; behind one that SQS did not take none of its group is sent."""
    api = grouped(fake_aws, "https://queue.fifo")
    groups = {"a1": "a", "a2": "a", "b1": "b", "a3": "a", "b" * 129: "b"}
    events = [ORDER | {"customerId": group, "idempotencyKey": key} for key, group in groups.items()]
    fake_aws.entry_failures["SendMessageBatch"] = lambda entry: (
        "InternalError" if entry["MessageDeduplicationId"] == "a2" else ""
    )
    status, body, _ = call(api, "POST /events/batch", events)

    assert (status, [result["status"] for result in body["results"]]) == (207, [202, 503, 202, 503, 202])
    assert ids(fake_aws) == [("a", "a1"), ("b", "b1"), ("b", sqs_id("b" * 129))]


def test_an_event_without_a_group_is_refused_where_order_counts(fake_aws: FakeAws) -> None:
    """400 with the pointer, alone and in a batch; nothing is bound to its key."""
    api = grouped(fake_aws, "https://queue.fifo")
    detail = {"pointer": "/customerId", "message": "is required: events keep their order within it"}
    status, alone = post(api, ORDER, idempotency_key="k")
    _, batch, _ = call(api, "POST /events/batch", [ORDER, ORDER | {"customerId": "a"}])

    assert (status, alone["errorType"], alone["details"]) == (400, "SchemaValidationError", [detail])
    assert [result["status"] for result in batch["results"]] == [400, 202]
    assert (batch["results"][0]["details"], "k" in fake_aws.items) == ([detail], False)


def test_a_doubled_message_passes_deduplication(fake_aws: FakeAws) -> None:
    """Else the drill `duplicate_submit` would show nothing on a FIFO queue."""

    class Doubles:
        def duplicates(self, _payload: jsontext.JsonObject) -> bool:
            return True

    client = cast("Any", fake_aws)
    env = Env("test", "events", "https://queue.fifo", "ingestion_state", 7, "ingestion-lab", "/customerId")
    store = StateStore(client, "ingestion_state", pipeline="events", ttl_days=7)
    api = Api(env, sqs=client, store=store, faults=cast("Any", Doubles()))

    assert post(api, ORDER | {"customerId": "a"}, idempotency_key="k")[0] == 202
    assert ids(fake_aws) == [("a", "k"), ("a", sqs_id("k copy"))]
