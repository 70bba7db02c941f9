"""The lake's functions on the AWS in memory, and ways to say what went in and what came out."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from handlers import jsontext
from handlers.grouping import Grouping
from handlers.idempotency.store import StateStore
from handlers.lake import notice
from handlers.lake.intake import Env, Intake, Invocation
from handlers.lake.message import Chunk, Source, kind_of
from handlers.lake.step import Transformer
from handlers.worker.worker import BatchResponse, Worker, WorkerEnv
from tests.handlers.conftest import FakeClock, record
from tests.handlers.fakes import FakeContext
from tests.handlers.lake.fakes import BRONZE, SILVER, FakeLake

KEY = "bronze/shipments/day.jsonl"
SOURCE = "myapp.lake"
START = date(2020, 1, 1)
WORKER_ENV = WorkerEnv(
    environment="test",
    pipeline="lake",
    queue_url="https://lake",
    dlq_url="https://lake-dlq",
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


def shipment(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A good row."""
    return {
        "event_time": f"2026-01-31T12:00:{number % 60:02d}Z",
        "shipment_id": f"S-{number}",
        "origin": "Hamburg",
        "destination": "Roma",
        "carrier": "DHL",
        "weight_kg": number / 2,
    } | changes


def lines(*rows: Any) -> bytes:
    """JSON Lines; bytes are taken as they are."""
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


def chunk(content: bytes, key: str = KEY, *, replay: str = "", etag: str = "e", version_id: str = "") -> Chunk:
    """The whole of an object as one chunk."""
    kind = kind_of(key)
    assert kind is not None
    return Chunk(Source(BRONZE, key, version_id, etag, len(content), replay), kind, 0, len(content), 1)


@dataclass
class Lake:
    """Both functions, with S3 and SQS played by the test."""

    aws: FakeLake
    clock: FakeClock
    chunk_bytes: int = 1000
    remaining_ms: int = 30_000
    first_day: date = START
    group_by: str = ""

    def _store(self) -> StateStore:
        return StateStore(cast("Any", self.aws), "state", pipeline="lake", ttl_days=7)

    def intake(self) -> Intake:
        """The ingest function's inside."""
        client = cast("Any", self.aws)
        config = Env(
            environment="test",
            pipeline="lake",
            bronze_bucket=BRONZE,
            queue_url="https://lake",
            table_name="state",
            ttl_days=7,
            chunk_bytes=self.chunk_bytes,
            group_by=self.group_by,
        )
        return Intake(config, s3=client, sqs=client, store=self._store())

    def transformer(self) -> Transformer:
        """The business step."""
        client = cast("Any", self.aws)
        return Transformer(
            client,
            client,
            pipeline="lake",
            bronze_bucket=BRONZE,
            silver_bucket=SILVER,
            queue_url="https://lake",
            start=self.first_day,
            grouping=Grouping(self.group_by),
        )

    def worker(self) -> Worker:
        """The transform function's inside."""
        client, step = cast("Any", self.aws), self.transformer()
        return Worker(
            WORKER_ENV,
            SOURCE,
            store=self._store(),
            sqs=client,
            events=client,
            process=step.process,
            announce=step.announce,
        )

    def ingest(self, *records: dict[str, Any], request_id: str = "r-1") -> dict[str, int]:
        """One invocation of ingest."""
        invocation = Invocation(request_id=request_id, lease_until=self.clock.ms + self.remaining_ms)
        return self.intake().take_all(notice.read({"Records": list(records)}, "lake"), invocation)

    def transform(self, *records: dict[str, Any]) -> BatchResponse:
        """One invocation of transform."""
        return self.worker().handle({"Records": list(records)}, FakeContext(remaining_ms=self.remaining_ms))

    def deliveries(self) -> list[dict[str, Any]]:
        """The messages of the lake's queue as its consumer gets them."""
        return [delivery(sent) for sent in self.aws.sent if sent["QueueUrl"] == "https://lake"]

    def process(self, content: bytes, key: str = KEY, **options: Any) -> dict[str, Any]:
        """Puts an object and works it as one chunk; returns the result."""
        version = self.aws.upload(key, content)
        one = chunk(content, key, etag=version.etag, **options)
        return cast("dict[str, Any]", self.transformer().process(one.payload()))

    def quarantined(self) -> list[dict[str, Any]]:
        """Every quarantine entry, by line."""
        files = [text for key, text in self.aws.silver().items() if key.startswith("quarantine/")]
        entries = [json.loads(line) for text in files for line in text.splitlines()]
        return sorted(entries, key=lambda entry: entry["line"])

    def rows(self, kind: str = "shipments") -> list[dict[str, Any]]:
        """Every row of silver of a type, in the order of the keys."""
        files = {key: text for key, text in self.aws.silver().items() if key.startswith(f"silver/{kind}/")}
        return [row for key in sorted(files) for row in table(files[key]).to_pylist()]

    def told(self, detail_type: str) -> list[dict[str, Any]]:
        """The details of the events of a type."""
        return [json.loads(event["Detail"]) for event in self.aws.events if event["DetailType"] == detail_type]


def table(content: bytes) -> pa.Table:
    """A Parquet file's content."""
    return pq.read_table(io.BytesIO(content))


def delivery(sent: dict[str, Any], *, receive_count: int = 1) -> dict[str, Any]:
    """A sent message as Lambda gets it."""
    attributes = {
        name: {"dataType": value["DataType"], "stringValue": value["StringValue"]}
        for name, value in sent["MessageAttributes"].items()
    }
    body = sent["MessageBody"]
    return record(sent["MessageId"], None, body=body, attributes=attributes, receive_count=receive_count)


def created(version_id: str, etag: str, key: str = KEY, *, name: str = "ObjectCreated:Put") -> dict[str, Any]:
    """A record of S3's notification; the key is encoded as in a form."""
    encoded = key.replace("%", "%25").replace("+", "%2B").replace(" ", "+")
    return {
        "eventName": name,
        "responseElements": {"x-amz-request-id": "s3-request"},
        "s3": {"bucket": {"name": BRONZE}, "object": {"key": encoded, "versionId": version_id, "eTag": etag}},
    }


@pytest.fixture
def fake_lake() -> FakeLake:
    """An empty AWS with buckets."""
    return FakeLake()


@pytest.fixture
def lake(fake_lake: FakeLake, fake_clock: FakeClock) -> Lake:
    """The lake."""
    return Lake(fake_lake, fake_clock)


@pytest.fixture
def uploaded(lake: Lake) -> Callable[..., dict[str, Any]]:
    """Uploads an object and returns its notification."""

    def upload(
        content: bytes, key: str = KEY, *, stored: dict[str, Any] | None = None, **metadata: str
    ) -> dict[str, Any]:
        version = lake.aws.upload(key, content, stored=stored, **metadata)
        return created(version.version_id, version.etag, key)

    return upload


def as_json(text: str) -> jsontext.JsonObject:
    """A stored result or body."""
    value = jsontext.parse(text)
    assert isinstance(value, dict)
    return value
