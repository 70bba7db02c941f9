"""The worker's branches: what becomes of a record, in which calls, and what SQS is told."""

import io
import json
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from components.compute.packaging import ROOT
from handlers import clock, jsontext
from handlers.aws.eventbridge import Event
from handlers.events.worker import FORM
from handlers.idempotency.claims import Completion, KeyRequest, Lease, Status
from handlers.idempotency.store import StateStore
from handlers.worker.worker import Worker
from tests.handlers.conftest import BY_INGEST, DAY_MS, NOW_MS, SOURCE, WORKER_ENV, FakeClock, Step, failures, record
from tests.handlers.fakes import FakeAws, FakeContext, client_error


def status(aws: FakeAws, key: str) -> tuple[str, int]:
    """Status and attempts of a key."""
    return aws.items[key]["status"]["S"], int(aws.items[key]["attempts"]["N"])


def details(aws: FakeAws) -> list[dict[str, Any]]:
    """The details of the events on the bus."""
    return [json.loads(event["Detail"]) for event in aws.events]


def test_ten_new_messages_cost_three_calls(worker: Worker, fake_aws: FakeAws, step: Step) -> None:
    """A batch of 10 new messages: one claim, one completion, one PutEvents, nothing else."""
    batch = {"Records": [record(f"m{i}", {"n": f"n{i}"}, key=f"k{i}") for i in range(10)]}

    assert worker.handle(batch, FakeContext()) == failures()

    assert fake_aws.calls == ["BatchExecuteStatement", "BatchExecuteStatement", "PutEvents"]
    assert step.runs == [f"n{i}" for i in range(10)]
    assert {status(fake_aws, f"k{i}") for i in range(10)} == {("SUCCEEDED", 1)}


def test_ten_reserved_keys_cost_three_calls(worker: Worker, fake_aws: FakeAws, step: Step) -> None:
    """A key that ingest has reserved is taken over without being inserted in vain or read before."""
    requests = [KeyRequest(f"k{i}", jsontext.checksum({"n": f"n{i}"}), "", "{}") for i in range(10)]
    worker._store.reserve(requests)
    fake_aws.calls.clear()
    batch = {"Records": [record(f"m{i}", {"n": f"n{i}"}, key=f"k{i}", attributes=BY_INGEST) for i in range(10)]}

    assert worker.handle(batch, FakeContext(remaining_ms=5000)) == failures()

    assert fake_aws.calls == ["BatchExecuteStatement", "BatchExecuteStatement", "PutEvents"]
    assert step.runs == [f"n{i}" for i in range(10)]
    assert {status(fake_aws, f"k{i}") for i in range(10)} == {("SUCCEEDED", 1)}
    taken = fake_aws.items["k7"]
    assert (taken["messageId"], taken["leaseUntil"]) == ({"S": "m7"}, {"N": str(NOW_MS + 5000)})


def _nothing(_: Worker) -> None:
    """The key is new: whoever sent the message has reserved nothing."""


def _done(worker: Worker) -> None:
    worker.handle({"Records": [record("m0", {"n": "a"}, key="k1")]}, FakeContext())


def _failed(worker: Worker) -> None:
    _at_work(worker)
    worker._store.complete([Completion(Lease("k1", 1, NOW_MS + 7400), Status.FAILED, error_type="X")])


def _at_work(worker: Worker) -> None:
    worker._store.claim([KeyRequest("k1", jsontext.checksum({"n": "a"}), "m0", "{}")], lease_until=NOW_MS + 7400)


def _left_by_the_dead(worker: Worker) -> None:
    worker._store.claim([KeyRequest("k1", jsontext.checksum({"n": "a"}), "m0", "{}")], lease_until=NOW_MS - 1)


def _of_another_payload(worker: Worker) -> None:
    worker._store.reserve([KeyRequest("k1", jsontext.checksum({"n": "b"}), "", "{}")])


@pytest.mark.parametrize(
    "before", [_nothing, _done, _failed, _at_work, _left_by_the_dead, _of_another_payload], ids=lambda one: one.__name__
)
def test_a_key_that_only_looks_reserved_is_claimed_as_any_other(
    before: Callable[[Worker], None], step: Step, fake_clock: FakeClock
) -> None:
    """Whatever the key stands for: the same answer, records, letters and events as without that look."""
    ends = []
    for attributes in ({}, BY_INGEST):
        step.runs.clear()
        fake_clock.ms = NOW_MS
        aws = FakeAws()
        client = cast("Any", aws)
        store = StateStore(client, "ingestion_state", pipeline="events", ttl_days=7)
        worker = Worker(WORKER_ENV, SOURCE, store=store, sqs=client, events=client, process=step, form=FORM)
        before(worker)
        answer = worker.handle(
            {"Records": [record("m1", {"n": "a"}, key="k1", attributes=attributes)]}, FakeContext(remaining_ms=5000)
        )
        letters = [one["MessageAttributes"]["errorType"] for one in aws.sent]
        ends.append((answer, aws.items, aws.events, letters, aws.visibility, [*step.runs]))

    assert ends[0] == ends[1]


def test_a_reservation_that_has_expired_is_taken_all_the_same(
    worker: Worker, fake_aws: FakeAws, fake_clock: FakeClock, step: Step
) -> None:
    """The message waited longer than `ttlDays`; its payload is the reserved one, and the record lives on from now."""
    worker._store.reserve([_request()])
    fake_clock.advance(8 * DAY_MS)

    batch = {"Records": [record("m1", {"n": "a"}, key="k1", attributes=BY_INGEST)]}
    assert worker.handle(batch, FakeContext()) == failures()

    assert step.runs == ["a"]
    assert status(fake_aws, "k1") == ("SUCCEEDED", 1)
    assert fake_aws.items["k1"]["expiresAt"] == {"N": str((NOW_MS + 15 * DAY_MS) // 1000)}


def test_a_succeeded_record_holds_every_attribute(worker: Worker, fake_aws: FakeAws) -> None:
    """The state record after one success, attribute by attribute."""
    payload: jsontext.Json = {"n": "a"}
    worker.handle({"Records": [record("m1", payload, key="k1")]}, FakeContext(remaining_ms=5000))

    assert fake_aws.items == {
        "k1": {
            "idempotencyKey": {"S": "k1"},
            "status": {"S": "SUCCEEDED"},
            "checksum": {"S": jsontext.checksum({"n": "a"})},
            "firstSeenAt": {"S": "2027-01-15T08:00:00.000Z"},
            "processedAt": {"S": "2027-01-15T08:00:00.000Z"},
            "attempts": {"N": "1"},
            "expiresAt": {"N": str((NOW_MS + 7 * DAY_MS) // 1000)},
            "leaseUntil": {"N": str(NOW_MS + 5000)},
            "messageId": {"S": "m1"},
            "pipeline": {"S": "events"},
            "payload": {"S": json.dumps(payload)},
            "result": {"S": '{"did":"a"}'},
        }
    }


def test_the_success_event_names_the_outcome_and_not_the_payload(worker: Worker, fake_aws: FakeAws) -> None:
    """The one event of a success, whole."""
    correlation = {"correlationId": {"dataType": "String", "stringValue": "c-1"}}
    worker.handle({"Records": [record("m1", {"n": "a"}, key="k1", attributes=correlation)]}, FakeContext())

    (event,) = fake_aws.events
    assert (event["EventBusName"], event["Source"], event["DetailType"]) == (
        "bus",
        "myapp.ingestion",
        "IngestionSuccess",
    )
    (detail,) = details(fake_aws)
    assert detail == {
        "eventId": detail["eventId"],
        "pipeline": "events",
        "idempotencyKey": "k1",
        "checksum": jsontext.checksum({"n": "a"}),
        "messageId": "m1",
        "correlationId": "c-1",
        "attempts": 1,
        "status": "SUCCEEDED",
        "processedAt": "2027-01-15T08:00:00.000Z",
    }
    assert len(detail["eventId"]) == 32


def test_a_huge_correlation_id_is_cut(worker: Worker, fake_aws: FakeAws, log_stream: io.StringIO) -> None:
    """A sender to the queue may give an attribute of 1 MiB, which no event of EventBridge could hold."""
    correlation = {"correlationId": {"dataType": "String", "stringValue": "c" * 300_000}}
    worker.handle({"Records": [record("m1", {"n": "a"}, key="k1", attributes=correlation)]}, FakeContext())
    assert json.loads(fake_aws.events[0]["Detail"])["correlationId"] == "c" * 128
    assert "c" * 129 not in log_stream.getvalue()


def test_redelivery_of_the_message_that_succeeded_tells_the_same_event_again(
    worker: Worker, fake_aws: FakeAws, step: Step
) -> None:
    """Its event may have been lost in a crash, so it is told again under the same id; nothing is done twice."""
    for receive_count in (1, 2):
        batch = {"Records": [record("m1", {"n": "a"}, key="k1", receive_count=receive_count)]}
        assert worker.handle(batch, FakeContext()) == failures()

    first, second = details(fake_aws)
    assert first == second
    assert step.runs == ["a"]
    assert status(fake_aws, "k1") == ("SUCCEEDED", 1)


def test_a_true_duplicate_is_acknowledged_without_an_event(worker: Worker, fake_aws: FakeAws, step: Step) -> None:
    """Another message with the same key and payload: one run, one event, attempts unchanged."""
    worker.handle({"Records": [record("m1", {"n": "a"}, key="k1")]}, FakeContext())

    assert worker.handle({"Records": [record("m2", {"n": "a"}, key="k1")]}, FakeContext()) == failures()

    assert step.runs == ["a"]
    assert len(fake_aws.events) == 1
    assert status(fake_aws, "k1") == ("SUCCEEDED", 1)


def test_a_redriven_message_that_had_succeeded_tells_its_event(worker: Worker, fake_aws: FakeAws) -> None:
    """A redrive gives a new message id; `originalMessageId` shows that it is the message whose event is owed."""
    worker.handle({"Records": [record("m1", {"n": "a"}, key="k1")]}, FakeContext())
    original = {"originalMessageId": {"dataType": "String", "stringValue": "m1"}}

    worker.handle({"Records": [record("m9", {"n": "a"}, key="k1", attributes=original)]}, FakeContext())

    assert len({detail["eventId"] for detail in details(fake_aws)}) == 1
    assert len(fake_aws.events) == 2


def test_duplicates_inside_a_batch_are_claimed_once(worker: Worker, fake_aws: FakeAws, step: Step) -> None:
    """Three messages with one key in a batch: one statement, one run, one event, all acknowledged."""
    batch = {"Records": [record(f"m{i}", {"n": "a"}, key="k1") for i in range(3)]}

    assert worker.handle(batch, FakeContext()) == failures()

    assert step.runs == ["a"]
    assert len(fake_aws.events) == 1


def test_a_message_delivered_twice_in_a_batch_counts_once(worker: Worker, fake_aws: FakeAws, step: Step) -> None:
    """SQS may put the same message into a batch twice; the later receipt is used."""
    batch = {"Records": [record("m1", {"n": "a", "fail": "transient"}, key="k1", receive_count=i) for i in (1, 2)]}

    assert worker.handle(batch, FakeContext()) == failures("m1")

    assert step.runs == []
    assert list(fake_aws.visibility) == ["receipt-m1-2"]


def test_the_follower_of_a_failure_comes_back_with_it(worker: Worker, fake_aws: FakeAws) -> None:
    """A duplicate of a record that did not succeed is not acknowledged with it, nor tried before its wait is up."""
    batch = {"Records": [record(f"m{i}", {"n": "a", "fail": "transient"}, key="k1") for i in (1, 2)]}

    assert worker.handle(batch, FakeContext()) == failures("m1", "m2")
    assert fake_aws.visibility["receipt-m2-1"] == fake_aws.visibility["receipt-m1-1"]


def test_one_key_with_two_payloads_in_a_batch_is_a_conflict(worker: Worker, fake_aws: FakeAws, step: Step) -> None:
    """The first wins; the second is dead-lettered with its cause and touches no state."""
    batch = {"Records": [record("m1", {"n": "a"}, key="k1"), record("m2", {"n": "b"}, key="k1")]}

    assert worker.handle(batch, FakeContext()) == failures()

    assert step.runs == ["a"]
    assert status(fake_aws, "k1") == ("SUCCEEDED", 1)
    assert [letter["MessageAttributes"]["errorType"]["StringValue"] for letter in fake_aws.sent] == [
        "IdempotencyConflictError"
    ]


def test_a_key_bound_to_another_payload_is_a_conflict(worker: Worker, fake_aws: FakeAws, step: Step) -> None:
    """Across batches too, whatever the record's status."""
    worker.handle({"Records": [record("m1", {"n": "a"}, key="k1")]}, FakeContext())
    before = json.dumps(fake_aws.items)

    assert worker.handle({"Records": [record("m2", {"n": "b"}, key="k1")]}, FakeContext()) == failures()

    assert json.dumps(fake_aws.items) == before
    assert step.runs == ["a"]
    assert details(fake_aws)[-1]["errorType"] == "IdempotencyConflictError"


@pytest.mark.parametrize("state", ["SUCCEEDED", "INFLIGHT", "FAILED"])
def test_every_conflict_of_a_batch_is_dead_lettered_at_once(
    worker: Worker, fake_aws: FakeAws, step: Step, state: str
) -> None:
    """Where the first message of a key is a conflict, each other one is judged by the record, not by that first."""
    payload: jsontext.JsonObject = {"n": "a"}
    payload |= {} if state == "SUCCEEDED" else {"fail": "transient", "times": 2}
    worker.handle({"Records": [record("m1", payload, key="k1")]}, FakeContext())
    fake_aws.items["k1"]["status"] = {"S": state}
    step.runs.clear()
    fake_aws.visibility.clear()
    others = [record(f"c{i}", {"n": f"other {i % 2}"}, key="k1") for i in range(4)]

    answer = worker.handle({"Records": [*others, record("m2", payload, key="k1")]}, FakeContext())

    causes = [letter["MessageAttributes"]["errorType"]["StringValue"] for letter in fake_aws.sent]
    assert causes == ["IdempotencyConflictError"] * 4
    assert step.runs == []
    assert answer == (failures() if state == "SUCCEEDED" else failures("m2"))
    assert fake_aws.visibility == ({} if state == "SUCCEEDED" else {"receipt-m2-1": 31 if state == "INFLIGHT" else 0})


def test_a_permanent_error_is_dead_lettered_at_once_with_its_cause(worker: Worker, fake_aws: FakeAws) -> None:
    """The letter equals the message and says what failed, when and where; the message is acknowledged."""
    custom = {
        "raw": {"dataType": "Binary", "binaryValue": "AAEC"},
        "count": {"dataType": "Number.int", "stringValue": "7"},
    }
    poison = record("m1", {"n": "a", "fail": "permanent"}, key="k1", attributes=custom)
    poison["attributes"]["AWSTraceHeader"] = "Root=1-2-3"

    assert worker.handle({"Records": [poison]}, FakeContext()) == failures()

    (letter,) = fake_aws.sent
    text = {"DataType": "String"}
    assert letter == {
        "QueueUrl": "https://dlq",
        "MessageId": letter["MessageId"],
        "Id": "0",
        "MessageBody": poison["body"],
        "MessageAttributes": {
            "idempotencyKey": text | {"StringValue": "k1"},
            "raw": {"DataType": "Binary", "BinaryValue": b"\x00\x01\x02"},
            "count": {"DataType": "Number.int", "StringValue": "7"},
            "errorType": text | {"StringValue": "SchemaValidationError"},
            "originalMessageId": text | {"StringValue": "m1"},
            "pipeline": text | {"StringValue": "events"},
            "failedAt": text | {"StringValue": "2027-01-15T08:00:00.000Z"},
            "errorMessage": text | {"StringValue": "/n is poison"},
        },
        "MessageSystemAttributes": {"AWSTraceHeader": text | {"StringValue": "Root=1-2-3"}},
    }
    assert status(fake_aws, "k1") == ("FAILED", 1)
    assert fake_aws.items["k1"]["errorType"] == {"S": "SchemaValidationError"}
    assert fake_aws.items["k1"]["final"] == {"BOOL": True}
    assert details(fake_aws)[0]["deadLettered"] is True


def test_a_message_with_ten_attributes_keeps_them_all(worker: Worker, fake_aws: FakeAws) -> None:
    """SQS takes 10 attributes: the message's own come first, the cause fills what is left."""
    own = {f"a{i}": {"dataType": "String", "stringValue": str(i)} for i in range(8)}
    poison = record("m1", {"n": "a", "fail": "permanent"}, key="k1", attributes=own)

    worker.handle({"Records": [poison]}, FakeContext())

    assert set(fake_aws.sent[0]["MessageAttributes"]) == {*own, "idempotencyKey", "errorType"}


@pytest.mark.parametrize(
    ("room", "ours"), [(0, set()), (40, {"errorType"}), (100, {"errorType", "originalMessageId", "pipeline"})]
)
def test_the_letter_of_a_large_message_fits_sqs(worker: Worker, fake_aws: FakeAws, room: int, ours: set[str]) -> None:
    """A message of almost 1 MiB is dead-lettered with as much of its cause as there is room for; the record has it."""
    key = len("idempotencyKey") + len("String") + len("k1")
    poison: jsontext.JsonObject = {"n": "a", "fail": "permanent", "x": ""}
    poison["x"] = "x" * (1024 * 1024 - room - key - len(json.dumps(poison)))

    assert worker.handle({"Records": [record("m1", poison, key="k1")]}, FakeContext()) == failures()

    assert set(fake_aws.sent[0]["MessageAttributes"]) == {"idempotencyKey"} | ours
    assert fake_aws.items["k1"]["errorType"] == {"S": "SchemaValidationError"}


@pytest.mark.parametrize("receive_count", [1, 5])
def test_a_letter_is_not_told_before_it_is_sent(worker: Worker, fake_aws: FakeAws, receive_count: int) -> None:
    """Refused, it is no fact; at the last receive the failure is one, for SQS moves the message itself."""
    fake_aws.entry_failures["SendMessageBatch"] = lambda _entry: "InternalError"
    batch = {"Records": [record("m1", {"n": "a", "fail": "permanent"}, key="k1", receive_count=receive_count)]}

    assert worker.handle(batch, FakeContext()) == failures("m1")

    told = [(one["errorType"], one["deadLettered"]) for one in details(fake_aws)]
    assert told == ([("SchemaValidationError", False)] if receive_count == 5 else [])


def test_an_event_that_is_lost_after_its_letter_is_told_by_the_redelivery(
    worker: Worker, fake_aws: FakeAws, step: Step
) -> None:
    """Once, under the id that it would have had; the letter is not sent again and the step does not run."""
    poison = record("m1", {"n": "a", "fail": "permanent"}, key="k1")
    fake_aws.entry_failures["PutEvents"] = lambda _entry: "InternalFailure"
    assert worker.handle({"Records": [poison]}, FakeContext()) == failures("m1")
    ran: list[str] = []
    step.on_run = ran.append

    assert worker.handle({"Records": [poison]}, FakeContext()) == failures("m1")
    fake_aws.entry_failures.clear()
    assert worker.handle({"Records": [poison]}, FakeContext()) == failures()

    assert (len(fake_aws.sent), ran) == (1, [])
    (detail,) = details(fake_aws)
    assert detail == {
        "eventId": detail["eventId"],
        "pipeline": "events",
        "idempotencyKey": "k1",
        "checksum": detail["checksum"],
        "messageId": "m1",
        "correlationId": "",
        "attempts": 1,
        "status": "FAILED",
        "errorType": "SchemaValidationError",
        "errorMessage": "/n is poison",
        "deadLettered": True,
    }


def test_a_redriven_letter_whose_event_was_lost_is_worked(worker: Worker, fake_aws: FakeAws, step: Step) -> None:
    """It is another message; what its record says of the first one's letter does not hold for it."""
    fake_aws.entry_failures["PutEvents"] = lambda _entry: "InternalFailure"
    payload: jsontext.Json = {"n": "a", "fail": "transient", "times": 1}
    worker.handle({"Records": [record("m1", payload, key="k1")]}, FakeContext())
    fake_aws.items["k1"]["deadLetterOf"] = {"S": "m1"}
    fake_aws.entry_failures.clear()
    original = {"originalMessageId": {"dataType": "String", "stringValue": "m1"}}

    assert (
        worker.handle({"Records": [record("m9", payload, key="k1", attributes=original)]}, FakeContext()) == failures()
    )
    assert step.runs == ["a"]
    assert "deadLetterOf" not in fake_aws.items["k1"]


@pytest.mark.parametrize("noted", [True, False])
def test_a_letter_is_sent_once_however_its_event_fares(worker: Worker, fake_aws: FakeAws, noted: bool) -> None:  # noqa: FBT001 - a case
    """Without a record that could say so (no payload, a conflict, DynamoDB out) the message is done with."""
    worker.handle({"Records": [record("m0", {"n": "k"}, key="k")]}, FakeContext())
    fake_aws.entry_failures["PutEvents"] = lambda _entry: "InternalFailure"
    if not noted:
        fake_aws.entry_failures["BatchExecuteStatement"] = lambda one: (
            "InternalServerError" if 'deadLetterOf"=?' in one["Statement"] else ""
        )
    conflict, broken = record("m1", {"n": "other"}, key="k"), record("m2", None, body="{")
    batch = {"Records": [conflict, broken, record("m3", {"n": "a", "fail": "permanent"}, key="k3")]}

    assert worker.handle(batch, FakeContext()) == (failures("m3") if noted else failures())
    assert len(fake_aws.sent) == 3


@pytest.mark.parametrize("body", ["{", "[]", '"text"', "null", '{"a": NaN}', "[" * 100_000])
def test_a_body_that_is_no_payload_is_dead_lettered_without_a_record(
    worker: Worker, fake_aws: FakeAws, body: str
) -> None:
    """It stays as it is, among good records, and no state is written for it."""
    batch = {"Records": [record("m1", None, body=body), record("m2", {"n": "a"}, key="k2")]}

    assert worker.handle(batch, FakeContext()) == failures()

    assert [letter["MessageBody"] for letter in fake_aws.sent] == [body]
    assert set(fake_aws.items) == {"k2"}


def test_a_message_without_a_key_is_keyed_by_its_payload(worker: Worker, fake_aws: FakeAws) -> None:
    """Messages of other producers get the same key that ingest would have given."""
    worker.handle({"Records": [record("m1", {"n": "a"})]}, FakeContext())

    assert set(fake_aws.items) == {jsontext.checksum({"n": "a"})}


def test_a_transient_error_is_returned_with_a_backoff(worker: Worker, fake_aws: FakeAws) -> None:
    """Full jitter over base · 2^(receives-1), and the record says FAILED, not for good, with its cause meanwhile."""
    batch = {"Records": [record("m1", {"n": "a", "fail": "bug"}, key="k1", receive_count=3)]}

    assert worker.handle(batch, FakeContext()) == failures("m1")

    assert 0 <= fake_aws.visibility["receipt-m1-3"] <= 8
    assert status(fake_aws, "k1") == ("FAILED", 1)
    assert fake_aws.items["k1"]["errorType"] == {"S": "KeyError"}
    assert fake_aws.items["k1"]["final"] == {"BOOL": False}
    seconds = fake_aws.visibility["receipt-m1-3"]
    assert fake_aws.items["k1"]["nextAttemptAt"] == {"S": clock.iso(NOW_MS + 1000 * seconds)}
    assert fake_aws.events == []
    assert fake_aws.sent == []


def test_the_last_transient_failure_tells_a_failure_event(worker: Worker, fake_aws: FakeAws) -> None:
    """SQS moves the message after its last receive, so this is the last chance to tell."""
    batch = {"Records": [record("m1", {"n": "a", "fail": "transient", "times": 2}, key="k1", receive_count=4)]}
    assert worker.handle(batch, FakeContext()) == failures("m1")
    assert "nextAttemptAt" in fake_aws.items["k1"]
    batch = {"Records": [record("m1", {"n": "a", "fail": "transient", "times": 2}, key="k1", receive_count=5)]}

    assert worker.handle(batch, FakeContext()) == failures("m1")

    (detail,) = details(fake_aws)
    assert (detail["status"], detail["errorType"], detail["deadLettered"]) == ("FAILED", "DownstreamError", False)
    assert fake_aws.items["k1"]["final"] == {"BOOL": True}
    assert "nextAttemptAt" not in fake_aws.items["k1"]


def test_a_retry_takes_the_failed_record_over(worker: Worker, fake_aws: FakeAws, step: Step) -> None:
    """Attempts counts the claims; the error leaves the record with the success."""
    for receive_count in (1, 2):
        batch = {"Records": [record("m1", {"n": "a", "fail": "transient"}, key="k1", receive_count=receive_count)]}
        answer = worker.handle(batch, FakeContext())

    assert answer == failures()
    assert step.runs == ["a"]
    assert status(fake_aws, "k1") == ("SUCCEEDED", 2)
    assert not {"errorType", "errorMessage", "final", "nextAttemptAt"} & fake_aws.items["k1"].keys()


def test_a_bug_in_the_step_fails_only_its_record(worker: Worker, fake_aws: FakeAws, step: Step) -> None:
    """Whatever the adopter's code raises is that record's transient failure, by its own name."""
    batch = {"Records": [record("m1", {"n": "a", "fail": "bug"}, key="k1"), record("m2", {"n": "b"}, key="k2")]}

    assert worker.handle(batch, FakeContext()) == failures("m1")

    assert fake_aws.items["k1"]["errorType"] == {"S": "KeyError"}
    assert step.runs == ["b"]


def test_a_live_lease_is_waited_out(worker: Worker, fake_aws: FakeAws, fake_clock: FakeClock, step: Step) -> None:
    """Neither success nor a retry that burns itself out: the message shows again after the lease."""
    _inflight(worker, fake_aws, lease_ms=7400)

    assert worker.handle({"Records": [record("m2", {"n": "a"}, key="k1")]}, FakeContext()) == failures("m2")
    assert fake_aws.visibility == {"receipt-m2-1": 9}
    assert step.runs == []

    fake_clock.advance(7400)
    assert worker.handle({"Records": [record("m2", {"n": "a"}, key="k1")]}, FakeContext()) == failures()
    assert step.runs == ["a"]
    assert status(fake_aws, "k1") == ("SUCCEEDED", 2)


def test_a_lease_taken_with_no_time_left_still_expires(worker: Worker, fake_aws: FakeAws, step: Step) -> None:
    """An invocation that starts at its deadline hands the record back, free for the next one."""
    context = FakeContext(remaining_ms=0)

    assert worker.handle({"Records": [record("m1", {"n": "a"}, key="k1")]}, context) == failures("m1")
    assert status(fake_aws, "k1") == ("INFLIGHT", 1)
    assert step.runs == []

    assert worker.handle({"Records": [record("m1", {"n": "a"}, key="k1")]}, FakeContext()) == failures()
    assert status(fake_aws, "k1") == ("SUCCEEDED", 2)


def test_an_expired_record_is_forgotten(worker: Worker, fake_aws: FakeAws, fake_clock: FakeClock, step: Step) -> None:
    """TTL deletes late; past `expiresAt` the key is new, with another payload too."""
    worker.handle({"Records": [record("m1", {"n": "a"}, key="k1")]}, FakeContext())
    fake_clock.advance(7 * DAY_MS)

    assert worker.handle({"Records": [record("m2", {"n": "b"}, key="k1")]}, FakeContext()) == failures()

    assert step.runs == ["a", "b"]
    item = fake_aws.items["k1"]
    assert (item["checksum"]["S"], item["payload"]["S"]) == (jsontext.checksum({"n": "b"}), '{"n": "b"}')
    assert item["firstSeenAt"]["S"] == "2027-01-22T08:00:00.000Z"


@pytest.mark.parametrize("reserved", [False, True], ids=["new", "reserved"])
def test_a_lost_answer_to_a_claim_is_recognised_as_ours(
    worker: Worker, fake_aws: FakeAws, step: Step, *, reserved: bool
) -> None:
    """Botocore repeats a call whose answer was lost; the repetition meets our own claim, not a rival's."""
    once = iter([True])

    def repeat(name: str) -> None:
        if name == "BatchExecuteStatement" and next(once, False):
            store, until = worker._store, NOW_MS + 30_000
            claim = store._redeem(_request(), until) if reserved else store._insert(_request(), 1, until)
            store._table.write([claim])

    if reserved:
        worker._store.reserve([_request()])
    fake_aws.before = repeat

    batch = {"Records": [record("m1", {"n": "a"}, key="k1", attributes=BY_INGEST if reserved else {})]}
    assert worker.handle(batch, FakeContext()) == failures()
    assert step.runs == ["a"]
    assert status(fake_aws, "k1") == ("SUCCEEDED", 1)


@pytest.mark.parametrize("suspect", [False, True], ids=["reserved", "left by a dead worker"])
@pytest.mark.parametrize(
    ("rival", "answer", "visibility"),
    [
        ({"leaseUntil": {"N": str(NOW_MS + 7400)}}, failures("m2"), {"receipt-m2-1": 9}),
        ({"status": {"S": "SUCCEEDED"}, "messageId": {"S": "m1"}}, failures(), {}),
    ],
    ids=["works on it", "is done"],
)
def test_who_loses_the_race_for_a_key_sees_who_has_won(
    worker: Worker,
    fake_aws: FakeAws,
    step: Step,
    *,
    suspect: bool,
    rival: dict[str, Any],
    answer: object,
    visibility: dict[str, int],
) -> None:
    """Two deliveries of a key at once: the second waits for the first one's lease, not for its visibility."""
    if suspect:
        worker._store.claim([_request()], lease_until=NOW_MS - 1)
    else:
        worker._store.reserve([_request()])

    def overtake(name: str) -> None:
        if name == "BatchExecuteStatement" and fake_aws.calls.count("BatchGetItem") == 1:
            fake_aws.items["k1"] |= {"attempts": {"N": "2"}} | rival

    fake_aws.before = overtake

    assert worker.handle({"Records": [record("m2", {"n": "a"}, key="k1")]}, FakeContext()) == answer
    assert fake_aws.visibility == visibility
    assert step.runs == []


def test_an_owner_that_lost_its_lease_cannot_write_the_outcome(worker: Worker, fake_aws: FakeAws, step: Step) -> None:
    """The completion is fenced: who has been overtaken returns the message and tells nothing."""

    def overtake(_name: str) -> None:
        fake_aws.items["k1"] |= {"attempts": {"N": "2"}, "leaseUntil": {"N": str(NOW_MS + 60_000)}}

    step.on_run = overtake

    assert worker.handle({"Records": [record("m1", {"n": "a"}, key="k1")]}, FakeContext()) == failures("m1")
    assert status(fake_aws, "k1") == ("INFLIGHT", 2)
    assert fake_aws.events == []


def test_a_step_that_hangs_is_interrupted_and_the_rest_handed_back(
    worker: Worker, fake_aws: FakeAws, step: Step
) -> None:
    """Records that can't be finished before the deadline go back; those that were done are recorded."""
    step.on_run = lambda name: time.sleep(60) if name == "slow" else None
    names = ["a", "slow", "b", "c"]
    batch = {"Records": [record(f"m-{name}", {"n": name}, key=f"k-{name}") for name in names]}

    assert worker.handle(batch, FakeContext(remaining_ms=500)) == failures("m-slow", "m-b", "m-c")

    assert step.runs == ["a"]
    assert {name: status(fake_aws, f"k-{name}")[0] for name in names} == {
        "a": "SUCCEEDED",
        "slow": "FAILED",
        "b": "INFLIGHT",
        "c": "INFLIGHT",
    }
    assert fake_aws.items["k-slow"]["errorType"] == {"S": "DeadlineExceededError"}
    assert [fake_aws.items[f"k-{name}"]["leaseUntil"] for name in "bc"] == [{"N": "0"}] * 2
    assert [fake_aws.visibility[f"receipt-m-{name}-1"] for name in "bc"] == [0, 0]


def test_a_fifo_group_stops_at_its_first_failure(fifo_worker: Worker, fake_aws: FakeAws, step: Step) -> None:
    """What follows a failure in its message group is handed back as it is, bad or good; other groups go on."""
    fifo_worker.handle({"Records": [record("m0", {"n": "done"}, key="done", group="B")]}, FakeContext())
    step.runs.clear()
    fake_aws.visibility.clear()
    batch = {
        "Records": [
            record("m1", {"n": "a1", "fail": "transient"}, key="a1", group="A"),
            record("m2", None, body="{", group="A"),
            record("m3", {"n": "other"}, key="done", group="A"),
            record("m4", {"n": "a4"}, key="a4", group="A"),
            record("m5", {"n": "a1", "fail": "transient"}, key="a1", group="A"),
            record("m6", {"n": "b1"}, key="b1", group="B"),
        ]
    }

    assert fifo_worker.handle(batch, FakeContext()) == failures("m1", "m2", "m3", "m4", "m5")
    assert step.runs == ["b1"]
    assert fake_aws.sent == []
    assert [fake_aws.visibility[f"receipt-m{i}-1"] for i in (2, 3, 4, 5)] == [0] * 4


def test_dead_letters_of_a_fifo_group_arrive_in_their_order(fifo_worker: Worker, fake_aws: FakeAws) -> None:
    """One that SQS does not take keeps those behind it from the dead-letter queue, and nobody else's."""
    fake_aws.entry_failures["SendMessageBatch"] = lambda entry: (
        "InternalError" if '"a1"' in entry["MessageBody"] else ""
    )
    groups = {"a0": "A", "a1": "A", "b0": "B", "a2": "A", "b1": "B"}
    batch = {
        "Records": [
            record(f"m-{name}", {"n": name, "fail": "permanent"}, key=name, group=group)
            for name, group in groups.items()
        ]
    }

    assert fifo_worker.handle(batch, FakeContext()) == failures("m-a1", "m-a2")
    assert [json.loads(letter["MessageBody"])["n"] for letter in fake_aws.sent] == ["a0", "b0", "b1"]


def test_a_fifo_group_goes_on_behind_its_last_failure(fifo_worker: Worker, fake_aws: FakeAws, step: Step) -> None:
    """What was received behind it is at its last receive too: handed back, SQS would move it without an attempt."""
    failing: dict[str, Any] = {"n": "a1", "fail": "transient", "times": 9}
    batch = {
        "Records": [
            record("m1", failing, key="a1", group="A", receive_count=5),
            record("m2", {"n": "a2"}, key="a2", group="A", receive_count=5),
        ]
    }

    assert fifo_worker.handle(batch, FakeContext()) == failures()
    assert step.runs == ["a2"]
    (letter,) = fake_aws.sent
    assert letter["QueueUrl"] == "https://dlq.fifo"
    assert letter["MessageAttributes"]["errorType"]["StringValue"] == "DownstreamError"
    assert (fake_aws.items["a1"]["status"], fake_aws.items["a2"]["status"]) == ({"S": "FAILED"}, {"S": "SUCCEEDED"})


def test_a_dead_letter_is_deduplicated_by_its_message(fifo_worker: Worker, fake_aws: FakeAws) -> None:
    """Two letters of one event within five minutes are two: SQS would drop the second if it had the key's id."""
    batch = {"Records": [record(f"m{i}", {"n": "a", "fail": "permanent"}, key="a", group="A") for i in range(2)]}
    for one in batch["Records"]:
        one["attributes"]["MessageDeduplicationId"] = "a"

    for one in batch["Records"]:
        assert fifo_worker.handle({"Records": [one]}, FakeContext()) == failures()
    letters = [(letter["MessageGroupId"], letter["MessageDeduplicationId"]) for letter in fake_aws.sent]
    assert letters == [("A", "m0"), ("A", "m1")]


def test_groups_of_a_standard_queue_keep_no_order(worker: Worker, step: Step) -> None:
    """There a group is for fairness: a failure holds up nobody."""
    batch = {
        "Records": [
            record("m1", {"n": "a1", "fail": "transient"}, key="a1", group="A"),
            record("m2", {"n": "a2"}, key="a2", group="A"),
        ]
    }

    assert worker.handle(batch, FakeContext()) == failures("m1")
    assert step.runs == ["a2"]


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceeded", "ThrottlingError"])
def test_throttled_statements_are_tried_again(worker: Worker, fake_aws: FakeAws, code: str) -> None:
    """A 200 answer may throttle single statements: just those are repeated."""
    throttle = iter([code])
    fake_aws.entry_failures["BatchExecuteStatement"] = lambda s: (
        next(throttle, "") if s["Parameters"][0] == {"S": "k1"} else ""
    )
    batch = {"Records": [record(f"m{i}", {"n": f"n{i}"}, key=f"k{i}") for i in range(3)]}

    assert worker.handle(batch, FakeContext()) == failures()
    assert fake_aws.calls.count("BatchExecuteStatement") == 3


def test_a_claim_that_stays_throttled_is_returned(worker: Worker, fake_aws: FakeAws, step: Step) -> None:
    """Retries have a cap; the record comes back another time."""
    fake_aws.entry_failures["BatchExecuteStatement"] = lambda s: (
        "ThrottlingError" if s["Parameters"][0] == {"S": "k1"} else ""
    )
    batch = {"Records": [record(f"m{i}", {"n": f"n{i}"}, key=f"k{i}") for i in range(2)]}

    assert worker.handle(batch, FakeContext()) == failures("m1")
    assert step.runs == ["n0"]
    assert fake_aws.calls.count("BatchExecuteStatement") == 4


def test_keys_left_unprocessed_are_asked_for_again(worker: Worker, fake_aws: FakeAws) -> None:
    """BatchGetItem may leave keys; what stays unread is returned to the queue."""
    worker.handle({"Records": [record(f"m{i}", {"n": f"n{i}"}, key=f"k{i}") for i in range(2)]}, FakeContext())
    fake_aws.calls.clear()
    once = iter(["left"])
    fake_aws.entry_failures["BatchGetItem"] = lambda key: (
        next(once, "") if key == {"idempotencyKey": {"S": "k0"}} else ""
    )
    again = {"Records": [record(f"d{i}", {"n": f"n{i}"}, key=f"k{i}") for i in range(2)]}

    assert worker.handle(again, FakeContext()) == failures()
    assert fake_aws.calls == ["BatchExecuteStatement", "BatchGetItem", "BatchGetItem"]

    fake_aws.entry_failures["BatchGetItem"] = lambda _key: "left"
    assert worker.handle(again, FakeContext()) == failures("d0", "d1")


def test_events_that_the_bus_refuses_return_their_message(worker: Worker, fake_aws: FakeAws) -> None:
    """`FailedEntryCount` is looked at: the message comes back and its redelivery tells the event."""
    fake_aws.entry_failures["PutEvents"] = lambda entry: "InternalFailure" if '"k1"' in entry["Detail"] else ""
    batch = {"Records": [record(f"m{i}", {"n": f"n{i}"}, key=f"k{i}") for i in range(3)]}

    assert worker.handle(batch, FakeContext()) == failures("m1")
    assert status(fake_aws, "k1") == ("SUCCEEDED", 1)

    fake_aws.entry_failures.clear()
    assert (
        worker.handle({"Records": [record("m1", {"n": "n1"}, key="k1", receive_count=2)]}, FakeContext()) == failures()
    )
    assert sorted(detail["idempotencyKey"] for detail in details(fake_aws)) == ["k0", "k1", "k2"]


@pytest.mark.parametrize("code", ["SenderTooLong", "InternalError"])
def test_letters_that_the_dlq_refuses_return_their_message(worker: Worker, fake_aws: FakeAws, code: str) -> None:
    """A partial failure of the batch keeps exactly the unsent ones."""
    fake_aws.entry_failures["SendMessageBatch"] = lambda entry: code if '"n1"' in entry["MessageBody"] else ""
    batch = {"Records": [record(f"m{i}", {"n": f"n{i}", "fail": "permanent"}, key=f"k{i}") for i in range(3)]}

    assert worker.handle(batch, FakeContext()) == failures("m1")
    assert len(fake_aws.sent) == 2


def test_a_refused_visibility_loses_nothing(worker: Worker, fake_aws: FakeAws) -> None:
    """The message just shows again later."""
    fake_aws.entry_failures["ChangeMessageVisibilityBatch"] = lambda _entry: "InternalError"
    batch = {"Records": [record("m1", {"n": "a", "fail": "transient"}, key="k1")]}

    assert worker.handle(batch, FakeContext()) == failures("m1")


@pytest.mark.parametrize(
    "call", ["BatchExecuteStatement", "PutEvents", "SendMessageBatch", "ChangeMessageVisibilityBatch"]
)
def test_a_call_that_fails_as_a_whole_acknowledges_nothing_unsettled(
    worker: Worker, fake_aws: FakeAws, call: str
) -> None:
    """After the outage every record settles: once done, once told, once dead-lettered."""

    def refuse(name: str) -> None:
        if name == call:
            raise client_error("ServiceUnavailable")

    fake_aws.before = refuse
    names = {"good": {}, "bad": {"fail": "permanent"}, "late": {"fail": "transient"}}
    pending = {f"m-{name}": record(f"m-{name}", {"n": name, **more}, key=name) for name, more in names.items()}
    answer = worker.handle({"Records": list(pending.values())}, FakeContext())
    kept = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    fake_aws.before = lambda _name: None
    worker.handle({"Records": [pending[message_id] for message_id in kept]}, FakeContext())
    worker.handle({"Records": [pending["m-late"]]}, FakeContext())

    assert {key: item["status"]["S"] for key, item in fake_aws.items.items()} == {
        "good": "SUCCEEDED",
        "bad": "FAILED",
        "late": "SUCCEEDED",
    }
    assert {json.loads(letter["MessageBody"])["n"] for letter in fake_aws.sent} == {"bad"}
    assert {detail["idempotencyKey"] for detail in details(fake_aws)} == {"good", "bad", "late"}


def test_what_a_step_returns_is_announced_however_it_is_nested(fake_aws: FakeAws) -> None:
    """A result deeper than an event may be, or with a name twice, is no reason to fail its whole batch."""
    client, told = cast("Any", fake_aws), list[jsontext.Json]()
    results: dict[str, Any] = {"deep": json.loads("[" * 60 + "]" * 60), "twice": {1: "a", "1": "b"}}

    def announce(_payload: jsontext.JsonObject, result: jsontext.Json) -> list[Event]:
        told.append(result)
        return []

    store = StateStore(client, "ingestion_state", pipeline="events", ttl_days=7)
    worker = Worker(
        WORKER_ENV,
        SOURCE,
        store=store,
        sqs=client,
        events=client,
        process=lambda payload: results[str(payload["n"])],
        announce=announce,
    )
    batch = {"Records": [record(f"m-{name}", {"n": name}, key=name) for name in results]}

    assert worker.handle(batch, FakeContext()) == failures()
    assert told == [results["deep"], {"1": "b"}]
    assert {status(fake_aws, name) for name in results} == {("SUCCEEDED", 1)}


def test_a_huge_payload_or_result_is_left_out_of_the_record(worker: Worker, fake_aws: FakeAws) -> None:
    """An item holds 400 KB at most; the message keeps the payload, the checksum identifies it."""
    worker.handle({"Records": [record("m1", {"n": "a", "blob": "x" * 200_000}, key="k1")]}, FakeContext())

    assert "payload" not in fake_aws.items["k1"]
    assert status(fake_aws, "k1") == ("SUCCEEDED", 1)


def test_each_record_logs_one_line_without_its_payload(worker: Worker, log_stream: io.StringIO) -> None:
    """One JSON line per outcome, with the fields that filters and queries use, and never the payload."""
    batch = {
        "Records": [
            record("m1", {"n": "a", "card": "4111"}, key="k1"),
            record("m2", {"n": "b", "fail": "permanent", "card": "4111"}, key="k2"),
            record("m3", {"n": "c", "fail": "transient", "card": "4111"}, key="k3"),
        ]
    }

    worker.handle(batch, FakeContext())

    text = log_stream.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    fields = ("level", "requestId", "idempotencyKey", "outcome", "processed", "errorType")
    assert [[line.get(name) for name in fields] for line in lines] == [
        ["INFO", "request-1", "k1", "succeeded", True, None],
        ["ERROR", "request-1", "k2", "dead_lettered", False, "SchemaValidationError"],
        ["ERROR", "request-1", "k3", "retried", False, "DownstreamError"],
    ]
    assert all({"latencyMs", "attempts", "receiveCount", "messageId", "correlationId"} <= line.keys() for line in lines)
    assert "4111" not in text


def test_a_bug_in_the_step_is_logged_with_its_place(worker: Worker, log_stream: io.StringIO) -> None:
    """Type, message, file and line, on the line of the record; values of the payload are not quoted."""
    worker.handle({"Records": [record("m1", {"n": "a-name", "fail": "bug"}, key="k1")]}, FakeContext())

    (line,) = [json.loads(text) for text in log_stream.getvalue().splitlines()]
    assert (line["errorType"], line["errorMessage"]) == ("KeyError", "KeyError: '…'")
    assert _source(line["errorPlace"]) == "raise KeyError(name)"
    assert line["errorTrace"] == [f"{line['errorPlace']} in __call__"]


def test_a_step_without_an_end_is_logged_with_its_place(worker: Worker, step: Step, log_stream: io.StringIO) -> None:
    """Where it was when the time was up, from the outermost of its calls to the innermost."""

    def forever() -> None:
        while True:
            pass

    step.on_run = lambda _name: forever()

    worker.handle({"Records": [record("m1", {"n": "a"}, key="k1")]}, FakeContext(remaining_ms=100))

    (line,) = [json.loads(text) for text in log_stream.getvalue().splitlines()]
    assert (line["errorType"], _source(line["errorPlace"]) in ("while True:", "pass")) == (
        "DeadlineExceededError",
        True,
    )
    assert [frame.split(" in ")[1] for frame in line["errorTrace"]] == ["__call__", "<lambda>", "forever"]


def test_the_last_receive_of_a_copy_waits_for_the_one_at_work(
    worker: Worker, fake_aws: FakeAws, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is acknowledged as a duplicate; SQS would make a dead letter of it, and the event has succeeded."""
    _inflight(worker, fake_aws, lease_ms=20_000)

    def succeed(_seconds: float) -> None:
        succeeded = {"status": {"S": "SUCCEEDED"}, "processedAt": {"S": "2026-01-31T12:00:00.000Z"}}
        fake_aws.items["k1"] |= succeeded

    monkeypatch.setattr("handlers.worker.worker.time.sleep", succeed)
    copy = record("m2", {"n": "a"}, key="k1", receive_count=5)
    assert worker.handle({"Records": [copy]}, FakeContext()) == failures()
    assert step.runs == []
    assert fake_aws.sent == []


def test_the_last_receive_of_a_copy_is_its_turn_when_the_other_fails(
    worker: Worker, fake_aws: FakeAws, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is worked, as any message at its last receive."""
    _inflight(worker, fake_aws, lease_ms=20_000)

    def fail(_seconds: float) -> None:
        fake_aws.items["k1"] |= {"status": {"S": "FAILED"}, "errorType": {"S": "DownstreamError"}}

    monkeypatch.setattr("handlers.worker.worker.time.sleep", fail)
    copy = record("m2", {"n": "a"}, key="k1", receive_count=5)
    assert worker.handle({"Records": [copy]}, FakeContext()) == failures()
    assert step.runs == ["a"]
    assert fake_aws.items["k1"]["status"] == {"S": "SUCCEEDED"}


def test_a_copy_waits_no_longer_than_two_seconds(
    worker: Worker, fake_aws: FakeAws, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not at all while it has receives left."""
    _inflight(worker, fake_aws, lease_ms=20_000)
    now, slept = [0.0], list[float]()
    monkeypatch.setattr("handlers.worker.worker.time.monotonic", lambda: now[0])

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("handlers.worker.worker.time.sleep", sleep)
    for receives, waited in ((4, 0.0), (5, 2.0)):
        slept.clear()
        copy = record("m2", {"n": "a"}, key="k1", receive_count=receives)
        assert worker.handle({"Records": [copy]}, FakeContext()) == failures("m2")
        assert sum(slept) == waited
    assert step.runs == []


def test_the_rest_of_a_batch_does_not_wait_with_a_copy(
    worker: Worker, fake_aws: FakeAws, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can be worked has been by then."""
    _inflight(worker, fake_aws, lease_ms=20_000)
    done_before: list[list[str]] = []

    def succeed(_seconds: float) -> None:
        done_before.append([*step.runs])
        fake_aws.items["k1"] |= {"status": {"S": "SUCCEEDED"}, "processedAt": {"S": "2026-01-31T12:00:00.000Z"}}

    monkeypatch.setattr("handlers.worker.worker.time.sleep", succeed)
    batch = [record("m2", {"n": "a"}, key="k1", receive_count=5), record("m3", {"n": "b"}, key="k2")]
    assert worker.handle({"Records": batch}, FakeContext()) == failures()
    assert done_before == [["b"]]


def _source(place: str) -> str:
    file, _, number = place.partition(":")
    return (ROOT / file).read_text().splitlines()[int(number) - 1].strip()


def _request() -> KeyRequest:
    return KeyRequest("k1", jsontext.checksum({"n": "a"}), "m1", '{"n": "a"}')


def _inflight(worker: Worker, aws: FakeAws, *, lease_ms: int) -> None:
    """Leaves key k1 claimed by message m1, whose worker is still at it."""
    worker._store.claim([_request()], lease_until=NOW_MS + lease_ms)
    aws.calls.clear()
