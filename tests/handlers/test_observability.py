"""Embedded metrics, and the correlation id from the request to the event."""

import io
import json
import logging
from itertools import chain
from typing import Any, cast, get_args

import pytest

from handlers import observability
from handlers.events import ingest
from handlers.idempotency.store import StateStore
from handlers.observability import logger
from handlers.worker import outcome
from handlers.worker.worker import Worker
from tests.gateway import http_event
from tests.handlers.conftest import NOW_MS, FakeClock, Step, record
from tests.handlers.control.test_breaker import FAILED_EVENT, TICK, TRIP, FakeCloud, make_breaker
from tests.handlers.emf import embedded
from tests.handlers.fakes import FakeAws, FakeContext

ORDER = {"orderId": "123", "amount": 42.5}


@pytest.fixture
def api(fake_aws: FakeAws) -> ingest.Api:
    """The real API on the fake AWS."""
    client = cast("Any", fake_aws)
    env = ingest.Env("test", "events", "https://queue", "ingestion_state", 7, "ingestion-lab")
    return ingest.Api(env, sqs=client, store=StateStore(client, "ingestion_state", pipeline="events", ttl_days=7))


def request(path: str, body: Any, **headers: str) -> dict[str, Any]:
    """One request as API Gateway delivers it."""
    given = {"content-type": "application/json"} | {name.replace("_", "-"): v for name, v in headers.items()}
    if body is None:
        return http_event(f"GET {path}", headers=given)
    return http_event(f"POST {path}", json.dumps(body), headers=given)


def test_a_batch_is_one_line(worker: Worker, log_stream: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    """How many records ended how; the durations are those of the log lines of the records that ran."""
    batch = [
        record("m1", {"n": "a"}, key="k1"),
        record("m2", {"n": "b", "fail": "permanent"}, key="k2"),
        record("m3", {"n": "c", "fail": "transient"}, key="k3"),
        record("m4", {"n": "d", "fail": "transient", "times": 9}, key="k4", receive_count=5),
        record("m5", {"n": "a"}, key="k1"),
    ]

    worker.handle({"Records": batch}, FakeContext())

    lines = [json.loads(line) for line in log_stream.getvalue().splitlines()]
    assert embedded(capsys) == [
        {
            "pipeline": "events",
            "Succeeded": 1,
            "DeadLettered": 1,
            "Retried": 2,
            "Duplicates": 1,
            "RetriedAge": 0,
            "ProcessingLatency": [line["latencyMs"] for line in lines if line["outcome"] != "duplicate"],
            "Missed": [1, 0, 1],  # given up by SQS, in time, dead; one comes again, and one had been done
        }
    ]


def test_the_age_of_what_aws_leaves_out(
    worker: Worker, fake_clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """The oldest of those that go back and were received three times or more, in whole seconds since they were sent."""
    ages = {"m1": (3, 61_900, "transient"), "m2": (5, 60_000, "transient"), "m3": (2, 900_000, "transient")}
    batch = [
        record(name, {"n": name, "fail": fail, "times": 9}, key=name, receive_count=count, sent_ms=fake_clock.ms - age)
        for name, (count, age, fail) in ages.items()
    ]
    done = record("m4", {"n": "a"}, key="k4", receive_count=4, sent_ms=fake_clock.ms - 300_000)
    given_up = record("m5", {"n": "b", "fail": "permanent"}, key="k5", receive_count=4, sent_ms=1)

    worker.handle({"Records": [*batch, done, given_up]}, FakeContext())

    (line,) = embedded(capsys)
    assert line["RetriedAge"] == 61


@pytest.mark.parametrize("sent_ms", [NOW_MS + 5000, 0])
def test_an_age_is_never_invented(worker: Worker, sent_ms: int, capsys: pytest.CaptureFixture[str]) -> None:
    """SQS's clock may be ahead of ours, and the breaker's probe was never sent."""
    batch = [record("m1", {"n": "a", "fail": "transient"}, key="k1", receive_count=3, sent_ms=sent_ms)]

    worker.handle({"Records": batch}, FakeContext())

    assert [line.get("RetriedAge") for line in embedded(capsys)] == [0 if sent_ms else None]


@pytest.mark.parametrize(
    ("sent_ms", "payload", "attributes", "missed"),
    [
        (NOW_MS - 60_000, {"n": "a"}, {}, [0]),
        (NOW_MS - 60_001, {"n": "a"}, {}, [1]),
        (NOW_MS, {"n": "a", "fail": "permanent"}, {}, [1]),
        (NOW_MS, {"n": "a", "fail": "transient"}, {}, None),
        (0, {"n": "a"}, {}, None),
        (1, {"n": "a"}, {"redriveCount": {"dataType": "Number", "stringValue": "1"}}, None),
    ],
    ids=["just in time", "late", "dead", "comes again", "probe of the breaker", "redriven"],
)
def test_the_objective_is_met_or_missed_once(  # noqa: PLR0917
    worker: Worker,
    sent_ms: int,
    payload: Any,
    attributes: dict[str, dict[str, Any]],
    missed: list[int] | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By each event when it ends: of SUCCEEDED ones, those that were accepted more than `objective_seconds` before."""
    worker.handle({"Records": [record("m1", payload, key="k1", sent_ms=sent_ms, attributes=attributes)]}, FakeContext())

    assert [line.get("Missed") for line in embedded(capsys)] == [missed]


def test_records_that_did_not_run_have_no_duration(worker: Worker, capsys: pytest.CaptureFixture[str]) -> None:
    """A 0 among the durations would be a lie."""
    worker.handle({"Records": [record("m1", {"n": "a"}, key="k1")]}, FakeContext(remaining_ms=0))

    assert embedded(capsys) == [{"pipeline": "events", "HandedBack": 1}]


def test_every_outcome_counts() -> None:
    """An outcome without a metric would fail the batch that has it."""
    assert set(get_args(outcome.Name)) == outcome.METRICS.keys()


def test_a_batch_of_more_than_a_hundred_takes_more_lines(
    worker: Worker, step: Step, capsys: pytest.CaptureFixture[str]
) -> None:
    """CloudWatch takes at most 100 values of a metric from one line; none is left out."""
    worker.handle({"Records": [record(f"m{i}", {"n": f"n{i}"}, key=f"k{i}") for i in range(201)]}, FakeContext())

    first, *more = embedded(capsys)
    assert len(step.runs) == 201
    assert [len(line["ProcessingLatency"]) for line in (first, *more)] == [100, 100, 1]
    assert [set(line) for line in more] == [{"pipeline", "ProcessingLatency", "Missed"}] * 2
    assert sum(len(line["Missed"]) for line in (first, *more)) == 201
    assert first["Succeeded"] == 201


@pytest.mark.usefixtures("log_stream")
def test_nothing_to_tell_is_no_line(worker: Worker, api: ingest.Api, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty line would be paid for."""
    worker.handle({"Records": []}, FakeContext())
    api.handle(request("/health", None))

    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("level", ["WARNING", "ERROR"])
def test_a_quiet_stack_still_has_metrics(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], level: str
) -> None:
    """Lambda drops lines below the function's log level, and one that does not say its own counts as INFO."""
    monkeypatch.setattr(logger, "level", logging.getLevelName(level))

    observability.count("events", {"Accepted": 1})

    assert embedded(capsys) == [
        {"pipeline": "events", "Accepted": 1, "level": level, "timestamp": "2027-01-15T08:00:00.000Z"}
    ]


@pytest.mark.parametrize(
    ("path", "body", "counts"),
    [
        ("/events", ORDER, {"Accepted": 1}),
        ("/events", {"orderId": "1"}, {"Rejected": 1}),
        ("/events/batch", [ORDER, ORDER | {"amount": 2}, {"orderId": "1"}], {"Accepted": 2, "Rejected": 1}),
        ("/events/batch", [{"orderId": "1"}, {"orderId": "2"}], {"Rejected": 2}),
        ("/events/batch", [], {"Rejected": 1}),
    ],
)
def test_events_are_counted_as_they_are_answered(
    api: ingest.Api, capsys: pytest.CaptureFixture[str], path: str, body: Any, counts: dict[str, int]
) -> None:
    """Taken or refused; a request that is refused as a whole is one refusal."""
    api.handle(request(path, body))

    assert embedded(capsys) == [{"pipeline": "events", **counts}]


@pytest.mark.parametrize(
    ("path", "body", "counts"),
    [("/events", ORDER, {"Unavailable": 1}), ("/events/batch", [ORDER, {}], {"Unavailable": 1, "Rejected": 1})],
)
def test_events_that_could_not_be_queued(  # noqa: PLR0917
    api: ingest.Api, fake_aws: FakeAws, capsys: pytest.CaptureFixture[str], path: str, body: Any, counts: dict[str, int]
) -> None:
    """Refused for now: their callers are to come again."""
    fake_aws.entry_failures["SendMessageBatch"] = lambda _entry: "InternalError"

    api.handle(request(path, body))

    assert embedded(capsys) == [{"pipeline": "events", **counts}]


def test_the_breaker_tells_its_state_at_every_tick(capsys: pytest.CaptureFixture[str]) -> None:
    """1 while it is open, also half open; 0 while it is closed."""
    cloud = FakeCloud(event=FAILED_EVENT)
    breaker = make_breaker(cloud)

    breaker.handle(TICK, FakeContext())
    breaker.handle(TRIP, FakeContext())
    breaker.handle(TICK, FakeContext())
    cloud.healthy = True
    breaker.handle(TICK, FakeContext())

    assert embedded(capsys) == [{"pipeline": "events", "CircuitOpen": value} for value in (0, 1, 1, 0)]


def delivered(sent: dict[str, Any]) -> dict[str, Any]:
    """A message that was sent, as Lambda hands it to the worker."""
    attributes = {
        name: {"dataType": value["DataType"], "stringValue": value["StringValue"]}
        for name, value in sent["MessageAttributes"].items()
    }
    return record(sent["MessageId"], None, body=sent["MessageBody"], attributes=attributes)


@pytest.mark.parametrize("given", [{"x_correlation_id": "checkout-7"}, {}])
@pytest.mark.parametrize("step_fails", [False, True])
def test_one_correlation_id_from_the_request_to_the_event(  # noqa: PLR0917
    api: ingest.Api,
    worker: Worker,
    fake_aws: FakeAws,
    log_stream: io.StringIO,
    given: dict[str, str],
    step_fails: bool,  # noqa: FBT001
) -> None:
    """The caller's, else the request's: in the request's line, the message, the record's line and the bus event."""
    event = {"source": "shop", "type": "sale", "payload": {}, "n": "a"} | ({"fail": "permanent"} if step_fails else {})
    correlation_id = given.get("x_correlation_id", "r-1")

    api.handle(request("/events", event, **given))
    worker.handle({"Records": [delivered(sent) for sent in fake_aws.sent]}, FakeContext())

    lines = [json.loads(line) for line in log_stream.getvalue().splitlines()]
    details = [json.loads(entry["Detail"]) for entry in fake_aws.events]
    attributes = [sent["MessageAttributes"]["correlationId"]["StringValue"] for sent in fake_aws.sent]
    assert [line["message"] for line in lines] == ["request", "record failed" if step_fails else "record done"]
    assert attributes == [correlation_id] * (2 if step_fails else 1)  # the dead letter has it as well
    assert [found["correlationId"] for found in chain(lines, details)] == [correlation_id] * 3


def test_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Level, message, time and service, then what all lines of the invocation have, then its own; one for each."""
    own = observability.Logger("warning", "lab")  # as Powertools takes it, too
    own.append_keys(idempotencyKey="of the one before")
    own.clear_state()
    own.append_keys(requestId="r-1", redriveId="all")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3f;Parent=53995c3f;Sampled=1")

    own.info("not worth it")
    own.warning("odd", extra={"attempt": 2, "redriveId": "its own"})
    monkeypatch.delenv("_X_AMZN_TRACE_ID")
    own.error("wrong", extra={"error": ValueError("told as text")})

    common = {"timestamp": "2027-01-15T08:00:00.000Z", "service": "lab", "requestId": "r-1"}
    odd = {"level": "WARNING", "message": "odd", **common, "redriveId": "its own", "attempt": 2}
    wrong = {"level": "ERROR", "message": "wrong", **common, "redriveId": "all", "error": "told as text"}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [odd | {"xray_trace_id": "1-5759e988-bd862e3f"}, wrong]


def test_a_line_is_ascii(log_stream: io.StringIO) -> None:
    """No name that somebody else gave ends a line or reaches a terminal as a control; half an emoji is no error."""
    name = "a\n\u2028\x85\x9b31m\ud83d"
    logger.info("x", extra={"idempotencyKey": name})

    (line,) = log_stream.getvalue().splitlines()
    assert line.isascii()
    assert json.loads(line)["idempotencyKey"] == name
