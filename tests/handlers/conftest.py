"""What the handler tests share: a clock that stands still, no pauses, an AWS in memory and a worker on it."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from handlers import clock, jsontext
from handlers.aws import retry
from handlers.errors import Detail as ErrorDetail
from handlers.errors import DownstreamError, SchemaValidationError
from handlers.events.worker import FORM
from handlers.idempotency.store import StateStore
from handlers.observability import logger
from handlers.worker.worker import Worker, WorkerEnv
from tests.handlers.fakes import FakeAws

NOW_MS = 1_800_000_000_000
DAY_MS = 24 * 3600 * 1000


@dataclass
class FakeClock:
    """Time that moves only when told to."""

    ms: int = NOW_MS

    def advance(self, milliseconds: int) -> None:
        """Lets time pass."""
        self.ms += milliseconds


@pytest.fixture(autouse=True)
def fake_clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The handlers' wall clock; retries do not pause."""
    fake = FakeClock()
    monkeypatch.setattr(clock, "now_ms", lambda: fake.ms)
    monkeypatch.setattr(retry, "pause", lambda _seconds: None)
    return fake


@pytest.fixture(autouse=True)
def stack_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack that every function is told it belongs to."""
    monkeypatch.setenv("ENVIRONMENT", "dev")


@pytest.fixture
def fake_aws() -> FakeAws:
    """An empty AWS."""
    return FakeAws()


@pytest.fixture
def log_stream(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the handlers log, as Lambda would read it from stdout."""
    stream = io.StringIO()
    monkeypatch.setattr(logger, "stream", stream)
    return stream


@dataclass
class Step:
    """A business step that does what the payload says and remembers each time it ran to its end.

    ``{"fail": "permanent"}`` always fails for good; ``{"fail": "transient", "times": n}`` fails n times, then works;
    ``{"fail": "bug"}`` raises a KeyError. `on_run` is called before its effect, `on_done` after it.
    """

    runs: list[str] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    on_run: Callable[[str], None] = lambda _name: None
    on_done: Callable[[str], None] = lambda _name: None

    def __call__(self, event: jsontext.JsonObject) -> jsontext.Json:
        name = cast("str", event["n"])
        self.on_run(name)
        match event.get("fail"):
            case "permanent":
                raise SchemaValidationError(ErrorDetail("/n", "is poison"))
            case "transient" if self.failures.get(name, 0) < cast("int", event.get("times", 1)):
                self.failures[name] = self.failures.get(name, 0) + 1
                raise DownstreamError("not now")
            case "bug":
                raise KeyError(name)
        self.runs.append(name)
        self.on_done(name)
        return {"did": name}


@pytest.fixture
def step() -> Step:
    """The business step."""
    return Step()


SOURCE = "myapp.ingestion"
WORKER_ENV = WorkerEnv(
    environment="test",
    pipeline="events",
    queue_url="https://queue",
    dlq_url="https://dlq",
    event_bus_name="bus",
    max_receive_count=5,
    retry_backoff_base_seconds=2,
    retry_backoff_max_seconds=300,
    table_name="ingestion_state",
    ttl_days=7,
    breaker_hold_seconds=0,
    outage_seconds=2730,
    objective_seconds=60,
)


@pytest.fixture
def worker(fake_aws: FakeAws, step: Step) -> Worker:
    """The real worker on the fake AWS."""
    client = cast("Any", fake_aws)
    store = StateStore(client, "ingestion_state", pipeline="events", ttl_days=7)
    return Worker(WORKER_ENV, SOURCE, store=store, sqs=client, events=client, process=step, form=FORM)


@pytest.fixture
def fifo_worker(fake_aws: FakeAws, step: Step) -> Worker:
    """The same on a FIFO queue."""
    client = cast("Any", fake_aws)
    store = StateStore(client, "ingestion_state", pipeline="events", ttl_days=7)
    config = replace(WORKER_ENV, queue_url="https://queue.fifo", dlq_url="https://dlq.fifo")
    return Worker(config, SOURCE, store=store, sqs=client, events=client, process=step, form=FORM)


def record(
    message_id: str,
    payload: jsontext.Json,
    *,
    key: str = "",
    receive_count: int = 1,
    attributes: dict[str, dict[str, Any]] | None = None,
    body: str | None = None,
    group: str = "",
    sent_ms: int = NOW_MS,
) -> dict[str, Any]:
    """An SQS record as Lambda delivers it."""
    given = {"idempotencyKey": {"dataType": "String", "stringValue": key}} if key else {}
    system = {
        "ApproximateReceiveCount": str(receive_count),
        "SentTimestamp": str(sent_ms),
        **({"MessageGroupId": group} if group else {}),
    }
    return {
        "messageId": message_id,
        "receiptHandle": f"receipt-{message_id}-{receive_count}",
        "body": json.dumps(payload) if body is None else body,
        "attributes": system,
        "messageAttributes": given | (attributes or {}),
    }


BY_INGEST = {"submittedAt": {"dataType": "String", "stringValue": "2027-01-15T08:00:00.000Z"}}


def failures(*message_ids: str) -> dict[str, list[dict[str, str]]]:
    """The answer that returns exactly these messages."""
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in message_ids]}
