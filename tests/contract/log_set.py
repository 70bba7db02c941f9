"""What the handlers really say: each function's lines of one made-up morning, every kind of outcome among them.

The handlers are the real ones on the fakes of tests/handlers; only time is made up, so that every line is known.
"""

import io
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from handlers import clock
from handlers.aws import retry
from handlers.control.alarm_webhook import Env as WebhookEnv
from handlers.control.alarm_webhook import Forwarder
from handlers.events import ingest
from handlers.idempotency.claims import KeyRequest
from handlers.idempotency.store import StateStore
from handlers.jsontext import JsonObject, checksum
from handlers.lake import gate, notice, quality
from handlers.lake.partition import Partition
from handlers.observability import logger, start_invocation
from handlers.worker import trip_wire as breaker
from handlers.worker.trip_wire import TripWire
from handlers.worker.worker import Worker
from ops.local.cloudwatch.logs import LogEvent
from tests.gateway import http_event
from tests.handlers.conftest import NOW_MS, SOURCE, WORKER_ENV, FakeClock, Step, record
from tests.handlers.control.redrive.conftest import Lab as Redrive
from tests.handlers.control.redrive.conftest import make_lab
from tests.handlers.control.redrive.fake_dynamodb import FakeDynamoDB
from tests.handlers.control.test_breaker import FAILED_EVENT, TICK, TRIP, FakeCloud, make_breaker
from tests.handlers.fakes import FakeAws, FakeContext
from tests.handlers.lake.conftest import created
from tests.receiver import receiving

PREFIX = "/aws/lambda/ingestion-lab-dev-"
OPERATOR = "arn:aws:iam::123456789012:user/ann"
MINUTE_MS = 60_000


@dataclass
class Recorder(io.TextIOBase):
    """Where all lines go; each keeps the moment of its writing and the function that spoke."""

    now: FakeClock
    events: list[LogEvent] = field(default_factory=list)
    function: str = ""
    _begun: str = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            number = str(len(self.events))
            self.events.append(LogEvent(PREFIX + self.function, "s", self.now.ms, line, self.now.ms, number))
        return len(text)


@dataclass
class Morning:
    """The functions, at work one after the other."""

    now: FakeClock
    recorder: Recorder
    aws: FakeAws = field(default_factory=FakeAws)
    step: Step = field(default_factory=Step)
    durations: dict[str, int] = field(default_factory=dict)
    _invocations: int = 0

    def __post_init__(self) -> None:
        client = cast("Any", self.aws)
        self.store = StateStore(client, "state", pipeline="events", ttl_days=7)
        env = ingest.Env("dev", "events", "https://queue", "state", 7, "ingestion-lab")
        self.api = ingest.Api(env, sqs=client, store=self.store)
        self.step.on_run = lambda name: self.now.advance(self.durations.get(name, 0))

    @contextmanager
    def speaking(self, function: str) -> Iterator[FakeContext]:
        """An invocation of a function, with the lines that Lambda adds."""
        self._invocations += 1
        context = FakeContext(f"r-{self._invocations}")
        self.recorder.function = function
        self.recorder.write(f"START RequestId: {context.aws_request_id} Version: $LATEST\n")
        start_invocation(context.aws_request_id)
        yield context
        self.recorder.write(f"REPORT RequestId: {context.aws_request_id}\tDuration: 12.34 ms\n")

    def asks(self, method: str, path: str, body: Any = None, *, correlation_id: str = "c-0") -> list[dict[str, Any]]:
        """A request to the API; returns the messages that it has put into the queue, as the worker gets them."""
        before = len(self.aws.sent)
        with self.speaking("events-ingest"):
            headers = {"content-type": "application/json", "x-correlation-id": correlation_id}
            route, sent = f"{method} {path}", None if body is None else json.dumps(body)
            self.api.handle(http_event(route, sent, headers=headers, request_id="api-1"))
        return [_delivered(sent) for sent in self.aws.sent[before:]]

    def works(self, *records: dict[str, Any], remaining_ms: int = 30_000, trip_wire: TripWire | None = None) -> None:
        """A batch for the worker."""
        client = cast("Any", self.aws)
        worker = Worker(
            WORKER_ENV, SOURCE, store=self.store, sqs=client, events=client, process=self.step, trip_wire=trip_wire
        )
        with self.speaking("events-worker") as context:
            context.remaining_ms = remaining_ms
            worker.handle({"Records": list(records)}, context)

    def refusing(self, call: str, code: str, *, only: str = "") -> None:
        """From now on AWS refuses the entries of a call; an empty code ends it."""
        self.aws.entry_failures = {call: lambda entry: code if only in json.dumps(entry) else ""} if code else {}


def morning(monkeypatch: pytest.MonkeyPatch) -> list[LogEvent]:
    """All lines of it, in order."""
    now = FakeClock()
    recorder = Recorder(now)
    monkeypatch.setenv("ENVIRONMENT", "dev")
    monkeypatch.setattr(clock, "now_ms", lambda: now.ms)
    monkeypatch.setattr(retry, "pause", lambda _seconds: None)
    monkeypatch.setattr(time, "monotonic", lambda: now.ms / 1000)
    monkeypatch.setattr(breaker, "monotonic", lambda: now.ms / 1000)
    monkeypatch.setattr(logger, "stream", recorder)
    monkeypatch.setattr(sys, "stdout", recorder)
    day = Morning(now, recorder)
    _good_events(day)
    _failures(day)
    _what_aws_refuses(day)
    _outage(day)
    _redrive(day)
    _alarm(day)
    _foreign_object(day)
    _failed_day(day)
    return recorder.events


def _good_events(day: Morning) -> None:
    """08:00: two events; one delivered again, sent again, and asked for by a wrong name."""
    day.durations = {"a": 12, "b": 100}
    first = day.asks("POST", "/events", _order("a"), correlation_id="c-1")
    day.works(*first)
    day.works(*first)
    second = day.asks("POST", "/events/batch", [_order("a"), _order("b"), {"n": "no order"}], correlation_id="c-2")
    day.works(*second)
    day.asks("GET", "/nowhere")


def _failures(day: Morning) -> None:
    """08:01: poison, a failure that passes, one that does not, a batch out of time, and a key that another has."""
    day.now.ms = NOW_MS + MINUTE_MS
    day.durations = {"late": 40}
    day.works(record("m1", {"n": "poison", "fail": "permanent"}, key="poison"))
    day.works(record("m2", {"n": "late", "fail": "transient"}, key="late"))
    day.works(record("m3", {"n": "bug", "fail": "bug"}, key="bug", receive_count=5))
    day.works(record("m4", {"n": "slow"}, key="slow"), remaining_ms=0)
    payload: JsonObject = {"n": "mine"}
    day.store.claim([KeyRequest("mine", checksum(payload), "m0", json.dumps(payload))], lease_until=day.now.ms + 5000)
    day.works(record("m5", payload, key="mine"))


def _what_aws_refuses(day: Morning) -> None:
    """08:02: each batch call refuses an entry, and the queue one of the API's."""
    day.now.ms = NOW_MS + 2 * MINUTE_MS
    for call, only, name, failure in (
        ("BatchExecuteStatement", "INSERT", "unclaimed", ""),
        ("BatchExecuteStatement", "UPDATE", "unrecorded", ""),
        ("PutEvents", "", "untold", ""),
        ("SendMessageBatch", "", "unsent", "permanent"),
    ):
        day.refusing(call, "InternalServerError", only=only)
        day.works(record(f"m-{name}", {"n": name, "fail": failure}, key=name))
    day.asks("POST", "/events", _order("c"), correlation_id="c-3")
    day.refusing("", "")


def _outage(day: Morning) -> None:
    """08:06: the downstream is out; the worker trips and holds, the breaker opens, probes and closes."""
    day.now.ms = NOW_MS + 6 * MINUTE_MS
    wire = TripWire(hold_seconds=10, max_receive_count=5)
    day.works(*(record(f"d{i}", {"n": f"d{i}", "fail": "transient"}, key=f"d{i}") for i in range(3)), trip_wire=wire)
    day.works(record("d9", {"n": "d9"}, key="d9"), trip_wire=wire)
    cloud = FakeCloud(event=FAILED_EVENT)
    guard = make_breaker(cloud)
    trip = TRIP | {"detail": {"pipeline": "events", "idempotencyKey": "k1", "trippedAt": day.now.ms}}
    for event, healthy in ((trip, False), (TICK, False), (TICK, True)):
        cloud.healthy = healthy
        with day.speaking("events-breaker") as context:
            guard.handle(event, context)


def _redrive(day: Morning) -> None:
    """08:07: two letters are moved; then a run whose queue is gone."""
    day.now.ms = NOW_MS + 7 * MINUTE_MS
    lab: Redrive = make_lab(day.now, FakeDynamoDB())
    for name in ("k1", "k2"):
        lab.letter(name)
    for targets in (lab.targets, {"events": lab.targets["ordered"]}):
        with day.speaking("redrive-api"):
            lab.api.handle(http_event("POST /redrive/start", "{}", authorizer={"iam": {"userArn": OPERATOR}}))
        lab.targets = targets
        with day.speaking("redrive"):
            lab.tick()


def _alarm(day: Morning) -> None:
    """08:08: an alarm is passed on."""
    day.now.ms = NOW_MS + 8 * MINUTE_MS
    with receiving() as webhook, day.speaking("alarm-webhook") as context:
        ssm: Any = type("Ssm", (), {"get_parameter": lambda *_, **__: {"Parameter": {"Value": webhook.url}}})()
        message = json.dumps({"AlarmName": "IngestionLab-dev-events-dlq-not-empty", "NewStateValue": "ALARM"})
        sns = {"MessageId": "n", "TopicArn": "arn:aws:sns:r:a:alarms-critical", "Message": message}
        Forwarder(WebhookEnv("dev", "/p"), ssm).handle({"Records": [{"Sns": sns}]}, context)


def _foreign_object(day: Morning) -> None:
    """08:09: somebody uploads what the lake does not read."""
    day.now.ms = NOW_MS + 9 * MINUTE_MS
    with day.speaking("lake-ingest"):
        notice.read({"Records": [created("v1", "e", "bronze/shipments/report.csv")]}, "lake")


def _failed_day(day: Morning) -> None:
    """08:09: a day of silver has a shipment twice."""

    class Silver:
        def get_paginator(self, _operation: str) -> Any:
            return self

        def paginate(self, **_: str) -> list[dict[str, Any]]:
            key = "silver/shipments/dt=2026-01-31/0-0.parquet"
            return [{"Contents": [{"Key": key, "ETag": "e", "Size": 1, "LastModified": datetime.now(UTC)}]}]

    class Gate:
        def verdict(self, _partition: Partition) -> None:
            return None

        def check(self, it: Partition, *_: object, **__: object) -> quality.Verdict:
            return quality.Verdict(it.type, it.dt, it.inputs, 2, ("1 rows repeat the shipment_id of another",), "now")

        def tell(self, *_: object) -> None:
            return

    with day.speaking("lake-gate"):
        keeper = gate.Keeper(cast("Any", Silver()), cast("Any", Gate()), pipeline="lake", bucket="silver")
        keeper.take({"detail": {"type": "shipments", "dt": "2026-01-31"}})


def _order(name: str) -> dict[str, Any]:
    return {"orderId": name, "amount": 1, "n": name}


def _delivered(sent: dict[str, Any]) -> dict[str, Any]:
    attributes = {
        name: {"dataType": value["DataType"], "stringValue": value["StringValue"]}
        for name, value in sent["MessageAttributes"].items()
    }
    return record(sent["MessageId"], None, body=sent["MessageBody"], attributes=attributes)
