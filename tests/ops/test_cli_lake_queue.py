"""`lab lake replay-queue` on the laptop's cloud: the messages of ingest, each once, and what SQS may refuse."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from handlers.aws import retry
from handlers.grouping import Grouping
from handlers.lake import ingest
from ops.cli import target
from ops.cli.lake.bronze import Item
from ops.cli.lake.replay import Sender
from ops.cli.lake.runs import Outcome
from ops.cli.timing import Pace
from ops.local.emulator import Emulator
from tests.handlers.lake.fakes import BRONZE, FakeLake
from tests.ops.lake_stage import CHUNK_BYTES, LINES, Stage, interrupt_at, report_of, set_up
from tests.ops.stack import client


@pytest.fixture
def stage(emulator: Emulator) -> Stage:
    """An empty lake."""
    return set_up(emulator)


def test_queued_messages_are_those_of_ingest(stage: Stage, ingested: Callable[[list[str]], None]) -> None:
    """For objects of each form: the same bodies and keys as the deployed handler sends when S3 announces them."""
    keys = [
        stage.put("shipments/a.jsonl", LINES),
        stage.put("shipments/b ü.json", b"[]"),
        stage.put("tracking_events/c.ndjson.gz", b"gz", Metadata={"replay": "rp-0"}),
        stage.put("invoice_lines/empty.jsonl", b""),
    ]
    ingested(keys)
    expected = [_content(message) for message in stage.messages()]
    done = stage.lab("replay-queue", "--json")

    assert done.exit_code == 0, done.stderr
    told = report_of(done)
    assert (told["objects"], told["messages"], len(expected)) == (4, 6, 6)
    messages = stage.messages()
    assert [_content(message) for message in messages] == expected
    assert {message["MessageAttributes"]["correlationId"]["StringValue"] for message in messages} == {told["replayId"]}


def _content(message: dict[str, Any]) -> tuple[str, str, list[str]]:
    attributes = message["MessageAttributes"]
    return message["Body"], attributes["idempotencyKey"]["StringValue"], sorted(attributes)


@pytest.fixture
def ingested(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[list[str]], None]]:
    """Has the ingest handler work on objects, in this process."""
    dynamodb = client(stage.emulator, "dynamodb")
    dynamodb.create_table(
        TableName="state",
        KeySchema=[{"AttributeName": "idempotencyKey", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "idempotencyKey", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    environment = {
        "ENVIRONMENT": "local",
        "PIPELINE": "lake",
        "QUEUE_URL": stage.queue,
        "TABLE_NAME": "state",
        "TTL_DAYS": "7",
        "BRONZE_BUCKET": "lab-bronze",
        "CHUNK_BYTES": str(CHUNK_BYTES),
        "NOTICES_QUEUE_URL": stage.queue,
        "NOTICES_DLQ_URL": stage.queue,
        "RETRY_BACKOFF_MAX_SECONDS": "300",
        "MAX_RECEIVE_COUNT": "5",
        "OUTAGE_SECONDS": "27000",
        "AWS_ENDPOINT_URL": stage.emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, text in environment.items():
        monkeypatch.setenv(name, text)

    class Context:
        aws_request_id = "r-1"

        def get_remaining_time_in_millis(self) -> int:
            return 30_000

    def work(keys: list[str]) -> None:
        records = [
            {
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": stage.bucket}, "object": {"key": key.replace(" ", "+")}},
            }
            for key in keys
        ]
        context: Any = Context()
        ingest.handler({"Records": records}, context)

    ingest.inbox.cache_clear()
    yield work
    ingest.inbox.cache_clear()


def test_queued_again(stage: Stage) -> None:
    """With --again every message has the id of the replay, in its body and in its key."""
    stage.put("shipments/a.jsonl", LINES)
    told = report_of(stage.lab("replay-queue", "--again", "--json"))

    messages = stage.messages()
    assert {json.loads(message["Body"])["replay"] for message in messages} == {told["replayId"]}
    keys = [message["MessageAttributes"]["idempotencyKey"]["StringValue"] for message in messages]
    assert (len(keys), all(f"~{told['replayId']}/" in key for key in keys)) == (4, True)


def test_queued_messages_have_the_group_of_ingest() -> None:
    """The message of each chunk is in the group that `lakeGroupBy` leads to."""
    lake = FakeLake()
    version = lake.upload("bronze/shipments/a.jsonl", LINES)
    sender = Sender(lake, lake, BRONZE, "https://lake", CHUNK_BYTES, "", "rp-1", Pace(0), Grouping("/type"))
    assert sender(Item("bronze/shipments/a.jsonl", version.etag, len(LINES))).messages == 4
    assert [sent["MessageGroupId"] for sent in lake.sent] == ["shipments"] * 4


class PartialSqs:
    """Fails the last entry of a call as long as `fails` says so of the number of entries."""

    def __init__(self, sqs: Any, fails: Callable[[int], bool], code: str = "InternalError") -> None:
        self._sqs = sqs
        self._fails = fails
        self._code = code

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        failed = []
        if self._fails(len(Entries)):
            failed = [{"Id": Entries.pop()["Id"], "Code": self._code, "SenderFault": False}]
        answer: dict[str, Any] = (
            self._sqs.send_message_batch(QueueUrl=QueueUrl, Entries=Entries) if Entries else {"Successful": []}
        )
        return answer | {"Failed": failed}


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once."""
    monkeypatch.setattr(retry, "pause", lambda _: None)


def _sqs(monkeypatch: pytest.MonkeyPatch, fake: Any) -> None:
    real = target.Target.client
    monkeypatch.setattr(target.Target, "client", lambda self, name: fake if name == "sqs" else real(self, name))


@pytest.mark.usefixtures("no_pauses")
def test_entry_that_fails_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It alone is sent again: every message arrives, and none twice."""
    stage.put("shipments/a.jsonl", LINES)
    _sqs(monkeypatch, PartialSqs(stage.sqs, lambda entries: entries > 1))
    done = report_of(stage.lab("replay-queue", "--json"))

    keys = [message["MessageAttributes"]["idempotencyKey"]["StringValue"] for message in stage.messages()]
    assert (done["messages"], len(keys), len(set(keys))) == (4, 4, 4)


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("InternalError", ""),
        ("AccessDenied", " (the queue takes messages from named producers only: operatorRoleArns)"),
    ],
)
def test_entry_that_keeps_failing(stage: Stage, monkeypatch: pytest.MonkeyPatch, code: str, hint: str) -> None:
    """The object is not done: it is told how much of it is missing, and the same command sends it again."""
    stage.put("shipments/a.jsonl", b"{}\n")
    stage.put("shipments/b.jsonl", LINES)
    allowed = iter([False, *[True] * 9])
    with monkeypatch.context() as patch:
        _sqs(patch, PartialSqs(stage.sqs, lambda _: next(allowed), code))
        refused = stage.lab("replay-queue")
    assert refused.exit_code == 1
    told = f"error: SQS did not take 1 of 4 messages of bronze/shipments/b.jsonl: {code}{hint}\n"
    assert refused.stderr.endswith(told)
    assert len(stage.messages()) == 1 + 3

    rest = report_of(stage.lab("replay-queue", "--json"))
    assert (rest["objects"], rest["messages"], rest["resumed"]) == (2, 5, True)
    assert len(stage.messages()) == 4


def test_interrupted_queueing_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The objects that were done are not sent again."""
    for name in "abc":
        stage.put(f"shipments/{name}.jsonl", b"{}\n")
    with monkeypatch.context() as patch:
        interrupt_at(patch, Sender, 2)
        assert stage.lab("replay-queue").exit_code == 130
    assert len(stage.messages()) == 1

    assert report_of(stage.lab("replay-queue", "--json"))["messages"] == 3
    assert [json.loads(message["Body"])["key"][-7:] for message in stage.messages()] == ["b.jsonl", "c.jsonl"]


def test_object_that_goes_while_it_is_replayed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is skipped with its reason."""
    stage.put("shipments/a.jsonl")
    send = Sender.__call__

    def deleted(self: Sender, item: Item) -> Outcome:
        stage.s3.delete_object(Bucket=stage.bucket, Key=item.key)
        return send(self, item)

    monkeypatch.setattr(Sender, "__call__", deleted)
    done = stage.lab("replay-queue", "--json")
    assert (done.exit_code, report_of(done)["skipped"], stage.messages()) == (1, {"is gone": 1}, [])
