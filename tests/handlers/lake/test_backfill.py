"""The replay function of a backfill: listed objects become notices that ingest works as S3's own."""

import json
from typing import Any, cast

import pytest

from handlers.aws import clients
from handlers.errors import DownstreamError
from handlers.lake import backfill, notice
from handlers.lake.backfill import Announcer, Asked, Listed
from handlers.lake.message import Kind
from handlers.lake.notice import Notice
from tests.handlers.fakes import FakeContext, client_error
from tests.handlers.lake.conftest import KEY, Lake, lines, shipment
from tests.handlers.lake.fakes import BRONZE

_ASKED: Asked = {"replay": "bf-1", "start": 100, "end": 200}


class Queues:
    """Two queues that say how much is in them, and take what is sent."""

    def __init__(self) -> None:
        self.counts = {"notices": (0, 0, 0), "chunks": (0, 0, 0)}
        self.sent: list[dict[str, Any]] = []
        self.refused: set[str] = set()
        self.is_down = False

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:
        """All three counts."""
        if self.is_down:
            raise client_error("ServiceUnavailable")
        return {"Attributes": dict(zip(AttributeNames, map(str, self.counts[QueueUrl]), strict=True))}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Takes all but those whose bodies have a refused text."""
        assert QueueUrl == "notices"
        bad = [one for one in Entries if any(text in one["MessageBody"] for text in self.refused)]
        self.sent += [one for one in Entries if one not in bad]
        return {
            "Successful": [{"Id": one["Id"], "MessageId": one["Id"]} for one in Entries if one not in bad],
            "Failed": [{"Id": one["Id"], "Code": "InvalidMessageContents", "SenderFault": True} for one in bad],
        }

    def announced(self) -> list[Notice]:
        """What ingest reads of it."""
        return [one for sent in self.sent for one in notice.read(json.loads(sent["MessageBody"]), "lake")]


@pytest.fixture
def queues() -> Queues:
    """Empty ones."""
    return Queues()


@pytest.fixture
def announcer(queues: Queues) -> Announcer:
    """One that stops at ten messages."""
    return Announcer(cast("Any", queues), bucket=BRONZE, notices_url="notices", queue_url="chunks", backlog=10)


def listed(key: str, modified: float = 100, storage: str = "STANDARD") -> Listed:
    """An object as Step Functions lists it."""
    return {"Key": key, "LastModified": modified, "StorageClass": storage}


def test_objects_become_notices(queues: Queues, announcer: Announcer) -> None:
    """Each object of the lake in the window, whatever its name; the others are left alone."""
    odd = "bronze/shipments/a b+ü%2F.jsonl"
    others = [
        listed("bronze/shipments/early.jsonl", 99.9),
        listed("bronze/shipments/late.jsonl", 200),
        listed("bronze/shipments/table.csv"),
        listed("bronze/shipments/cold.jsonl", storage="DEEP_ARCHIVE"),
    ]
    many = [listed(f"bronze/shipments/{i}.json", 199.9) for i in range(11)]

    assert announcer.take([listed(odd), *others, *many], _ASKED) == {"waiting": False}
    assert queues.announced() == [
        Notice(BRONZE, odd, Kind("shipments", "jsonl", "none"), "", "", "", "bf-1"),
        *(Notice(BRONZE, one["Key"], Kind("shipments", "json", "none"), "", "", "", "bf-1") for one in many),
    ]


@pytest.mark.parametrize("queue", ["notices", "chunks"])
def test_a_batch_waits_while_much_is_in_a_queue(queues: Queues, announcer: Announcer, queue: str) -> None:
    """Waiting, received and delayed ones count, of either queue; nothing of the batch is sent then."""
    queues.counts[queue] = (7, 1, 1)
    assert announcer.take([listed(KEY)], _ASKED) == {"waiting": False}
    queues.counts[queue] = (7, 2, 1)
    assert announcer.take([listed(KEY)], _ASKED) == {"waiting": True}
    assert len(queues.sent) == 1


def test_a_failure_is_one_of_the_batch(queues: Queues, announcer: Announcer) -> None:
    """So that Step Functions tries again: a notice that SQS refuses, a queue that says nothing."""
    queues.refused.add("bad")
    with pytest.raises(DownstreamError, match="SQS did not take 1 notices: InvalidMessageContents"):
        announcer.take([listed("bronze/shipments/bad.json"), listed(KEY)], _ASKED)
    queues.is_down = True
    with pytest.raises(DownstreamError, match="SQS did not say how much waits: ServiceUnavailable"):
        announcer.take([listed(KEY)], _ASKED)


def test_ingest_works_a_notice_of_a_backfill(lake: Lake, uploaded: Any) -> None:
    """The version that is there then, once for each id; without one, an object that is known is left alone."""
    lake.ingest(uploaded(lines(shipment(1))))
    before = len(lake.aws.sent)

    def announce(replay: str) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = json.loads(notice.announcement(BRONZE, KEY, replay))["Records"]
        return records

    assert lake.ingest(*announce("")) == {"objects": 0, "chunks": 0}
    assert [lake.ingest(*announce(one))["chunks"] for one in ("bf-1", "bf-1", "bf-2")] == [1, 0, 1]
    bodies = [json.loads(sent["MessageBody"]) for sent in lake.aws.sent[before:]]
    assert [(body["replay"], body["versionId"]) for body in bodies] == [("bf-1", "v1"), ("bf-2", "v1")]


def test_the_entry_point_takes_a_batch(monkeypatch: pytest.MonkeyPatch, queues: Queues) -> None:
    """As the state machine gives it; what a former attempt has told is no part of it."""
    made: dict[str, str] = {
        "ENVIRONMENT": "local",
        "PIPELINE": "lake",
        "BRONZE_BUCKET": BRONZE,
        "NOTICES_QUEUE_URL": "notices",
        "QUEUE_URL": "chunks",
        "BACKLOG": "10",
    }
    for name, value in made.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(clients, "client", lambda _: queues)
    backfill.announcer.cache_clear()
    event = {"Items": [listed(KEY)], "BatchInput": _ASKED, "told": {"waiting": True}}
    assert backfill.handler(event, cast("Any", FakeContext())) == {"waiting": False}
    assert [one.key for one in queues.announced()] == [KEY]
    backfill.announcer.cache_clear()
