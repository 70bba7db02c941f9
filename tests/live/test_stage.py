"""The harness itself: functions run here as deployed, the wire sees and fails what they send."""

import re
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from handlers.aws import sqs as queue
from tests.live import matrix
from tests.live.consumer import Consumer
from tests.live.event_scenarios import OneEvent
from tests.live.failing import Fault, Kind
from tests.live.ledger import Step
from tests.live.stage import Stage
from tests.pipelines.lab import ROOT


def order() -> dict[str, object]:
    """An order that nobody has posted before."""
    return {"orderId": str(uuid4()), "amount": 1}


def sent(stage: Stage) -> list[tuple[str, str, str]]:
    """What went over the wire."""
    return [(call.function, call.service, call.operation) for call in stage.wire.calls]


def test_an_event_goes_through_functions_that_run_here(stage: Stage) -> None:
    """Ingest answers 202 and the worker succeeds, by the calls that they make on AWS and no others."""
    worker = Consumer(stage, stage.function("events-worker"), stage.lab.outputs["MainQueueUrl"])
    status, answer = stage.call("events-ingest", "POST /events", order())
    worker.drain()

    assert status == 202
    path = {"idempotencyKey": answer["idempotencyKey"]}
    status, record = stage.call("events-ingest", "GET /events/{idempotencyKey}", path=path)
    assert (status, record["status"], record["attempts"]) == (200, "SUCCEEDED", 1)
    assert sent(stage) == [
        ("events-ingest", "ssm", "GetParameter"),
        ("events-ingest", "sqs", "SendMessageBatch"),
        ("events-worker", "dynamodb", "BatchExecuteStatement"),
        ("events-worker", "ssm", "GetParameter"),
        ("events-worker", "dynamodb", "BatchExecuteStatement"),
        ("events-worker", "eventbridge", "PutEvents"),
        ("events-ingest", "dynamodb", "GetItem"),
    ]


def test_a_function_is_bound_by_its_own_role(stage: Stage) -> None:
    """The worker's role may take from the main queue and may not send to it."""
    sqs = stage.function("events-worker").client("sqs")
    url = stage.lab.outputs["MainQueueUrl"]

    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    with pytest.raises(ClientError, match="AccessDenied"):
        sqs.send_message(QueueUrl=url, MessageBody="x")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Kind.THROTTLED, 0),
        (Kind.BROKEN, 0),
        (Kind.TIMEOUT_BEFORE, 0),
        (Kind.TIMEOUT_AFTER, 200),
        (Kind.RESET_BEFORE, 0),
        (Kind.RESET_AFTER, 200),
    ],
)
def test_the_sdk_rides_over_one_fault_and_not_over_all(stage: Stage, kind: Kind, status: int) -> None:
    """Once: a second attempt gets through. Always: three attempts, then the handler's own answer. `after` is done."""
    stage.wire.inject("events-ingest", Fault(kind, "SendMessageBatch"))
    assert stage.call("events-ingest", "POST /events", order())[0] == 202
    once = [(c.attempt, c.fault, c.status) for c in stage.wire.calls if c.operation == "SendMessageBatch"]
    stage.wire.clear()
    stage.wire.inject("events-ingest", Fault(kind, "SendMessageBatch", always=True))
    assert stage.call("events-ingest", "POST /events", order())[0] == 503
    always = [(c.attempt, c.fault, c.status) for c in stage.wire.calls]

    assert once == [(1, kind, status), (2, None, 200)]
    assert always == [(attempt, kind, status) for attempt in (1, 2, 3)]


def test_a_batch_fails_in_part(stage: Stage) -> None:
    """The first of three entries fails and the others are queued; the handler sends that one again."""
    stage.wire.inject("events-ingest", Fault(Kind.PARTIAL, "SendMessageBatch"))
    status, answer = stage.call("events-ingest", "POST /events/batch", [order() for _ in range(3)])

    assert (status, answer["accepted"]) == (202, 3)
    sends = [call for call in stage.wire.calls if call.operation == "SendMessageBatch"]
    assert [len(call.params["Entries"]) for call in sends] == [3, 1]
    assert [len(call.said["Successful"]) for call in sends] == [2, 1]
    assert stage.lab.depth(stage.lab.outputs["MainQueueUrl"]) == 3


def test_the_matrix_has_teeth(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that takes every entry for sent loses events, and the cases in which one was lost say so."""
    send_once = queue._send_once

    def careless(sqs: Any, url: str, batch: list[Any], report: queue.SendReport) -> list[Any]:
        send_once(sqs, url, batch, report)
        report.failed.clear()
        report.sent |= {message.id: "sent" for message in batch}
        return []

    monkeypatch.setattr(queue, "_send_once", careless)
    rows, failures = matrix.run(stage, lambda on: OneEvent(on, Step.taken(on, monkeypatch)))

    lost = {row.call: {kind: row.tried[kind] - row.survived[kind] for kind in row.tried} for row in rows}
    always_lost = dict.fromkeys((Kind.THROTTLED, Kind.BROKEN, Kind.RESET_BEFORE), 1)
    assert lost["SendMessageBatch"] == always_lost | {Kind.TIMEOUT_AFTER: 0, Kind.PARTIAL: 2}
    assert len(failures) == 5


def test_no_handler_tells_a_time_out_from_a_reset() -> None:
    """By any class that only one of the two is, or by its name: so the matrix need not have every call meet both."""
    apart = {one.__name__ for one in ReadTimeoutError.__mro__} ^ {one.__name__ for one in ConnectionClosedError.__mro__}
    handlers = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "handlers").rglob("*.py")}
    named = {(path, name) for path, text in handlers.items() for name in apart if re.search(rf"\b{name}\b", text)}

    assert {"ReadTimeoutError", "ConnectionClosedError", "TimeoutError"} <= apart
    assert named == {
        ("handlers/lake/unpack.py", "OSError"),  # of gzip, which reads what has been fetched
        (
            "handlers/lake/iceberg/tables.py",
            "OSError",
        ),  # of pyarrow, which reads likewise; and a commit's, all looked at again
        ("handlers/control/alarm_webhook.py", "OSError"),  # of the webhook, which is none of AWS's
    }
