"""A run from start to end: what is moved, what stays and why, when it ends, and that nothing stays out of sight."""

from concurrent.futures import Executor
from typing import Any

import pytest

from tests.handlers.control.redrive.conftest import DLQ, MAIN, MINUTE_MS, Lab, counts, text
from tests.handlers.control.redrive.fakes import Inline, Late, refusal

DRAINED = "nothing new on the dead-letter queue"


def test_everything_is_moved(lab: Lab) -> None:
    """Letters of both kinds end on the main queue, the oldest of a wave first; the lock is gone, the ledger stays."""
    for i in range(30):
        lab.letter(f"k{i:02}", error="" if i % 2 else "DownstreamError", age_ms=1000 + i)

    run = lab.go()

    assert (run.state, run.reason) == ("SUCCEEDED", DRAINED)
    waves = ["k00"], [f"k{i:02}" for i in range(10, 0, -1)], [f"k{i:02}" for i in range(29, 10, -1)]
    assert lab.on(MAIN) == [key for wave in waves for key in wave]
    assert lab.on(DLQ) == []
    assert run.tally.as_json() == {"counts": counts(examined=30, moved=30), "reasons": {}}
    partition = f"redrive#{run.redrive_id}"
    assert lab.control_items() == {
        (partition, item) for item in ("run", "receipts", "wave#000001", "wave#000002", "wave#000003")
    }


def test_each_reason_to_stay(lab: Lab) -> None:
    """Filters by type (looked up where SQS moved the letter) and by real age; parking; what came after the start."""
    lab.letter("moved", age_ms=10_000)
    lab.letter("looked-up", error="", age_ms=10_000)
    lab.record("looked-up", errorType={"S": "DownstreamError"})
    lab.letter("done", age_ms=10_000)
    lab.record("done", "SUCCEEDED")
    lab.letter("other", error="KeyError", age_ms=10_000)
    lab.letter("young", age_ms=9_999)
    lab.letter("parked", age_ms=10_000, attributes={"redriveCount": {"DataType": "Number", "StringValue": "3"}})
    redrive_id = lab.start(errorType="DownstreamError", minAgeSeconds=10)
    lab.letter("late", age_ms=-1)
    lab.tick(redrive_id)

    assert lab.outcomes(redrive_id) == {
        "moved": ("MOVED", ""),
        "looked-up": ("MOVED", ""),
        "done": ("MOVED", "AlreadySucceeded"),
        "other": ("SKIPPED", "OtherErrorType"),
        "young": ("SKIPPED", "TooYoung"),
        "parked": ("PARKED", "MaxRedrives"),
        "late": ("SKIPPED", "ArrivedAfterStart"),
    }
    assert sorted(lab.on(MAIN)) == ["done", "looked-up", "moved"]
    assert sorted(lab.seen(DLQ)) == ["late", "other", "parked", "young"]
    assert lab.run(redrive_id).tally.as_json() == {
        "counts": counts(examined=7, moved=3, skipped=3, parked=1),
        "reasons": {
            "AlreadySucceeded": 1,
            "ArrivedAfterStart": 1,
            "MaxRedrives": 1,
            "OtherErrorType": 1,
            "TooYoung": 1,
        },
    }


def test_a_filter_that_matches_nothing_ends(lab: Lab) -> None:
    """Every letter is looked at once and shown again; the run does not go round."""
    for i in range(95):
        lab.letter(f"k{i}")

    run = lab.go(errorType="KeyError")

    assert (run.state, run.reason) == ("SUCCEEDED", f"{DRAINED}; 95 stay there, skipped")
    assert run.tally.as_json()["counts"] == counts(examined=95, skipped=95)
    assert len(lab.seen(DLQ)) == 95
    assert {message.receives for message in lab.sqs.queues[DLQ]} == {1}


def test_an_empty_queue_ends(lab: Lab) -> None:
    """There is nothing to do, and no wave in the ledger."""
    run = lab.go()

    assert (run.state, run.tally.as_json()["counts"], lab.ledger(run.redrive_id)) == ("SUCCEEDED", counts(), [])


@pytest.mark.parametrize("most", [1, 7, 11, 12, 31])
def test_max_messages_is_exact(lab: Lab, most: int) -> None:
    """Not one more is moved, whatever the waves, and the rest can be seen at once."""
    for i in range(40):
        lab.letter(f"k{i}")

    run = lab.go(maxMessages=most)

    assert (run.state, run.reason, len(lab.on(MAIN))) == ("SUCCEEDED", "maxMessages reached", most)
    assert len(lab.seen(DLQ)) == 40 - most


def test_skipped_letters_do_not_count_as_moved(lab: Lab) -> None:
    """`maxMessages` is about moves: letters that are left out do not use it up."""
    for i in range(30):
        lab.letter(f"k{i}", error="KeyError" if i < 25 else "DownstreamError")

    run = lab.go(maxMessages=5, errorType="DownstreamError")

    assert run.tally.as_json()["counts"] == counts(examined=30, moved=5, skipped=25)


def test_skipped_letters_that_stay_are_told(lab: Lab) -> None:
    """A run that has gone through the queue says that it is not empty for that."""
    for i in range(30):
        lab.letter(f"k{i}", error="KeyError" if i < 25 else "DownstreamError")

    run = lab.go(errorType="DownstreamError")

    assert (run.state, run.reason) == ("SUCCEEDED", f"{DRAINED}; 25 stay there, skipped")
    assert len(lab.seen(DLQ)) == 25


def test_a_dry_run_touches_nothing(lab: Lab) -> None:
    """The ledger says what would happen; nothing is sent or deleted, and all can be seen again."""
    for i in range(14):
        lab.letter(f"k{i}", error="KeyError" if i % 2 else "DownstreamError")
    before = [(message.id, message.body, message.attributes) for message in lab.sqs.queues[DLQ]]

    run = lab.go(dryRun=True, errorType="KeyError", maxMessages=5, canary=2)

    assert run.state == "SUCCEEDED"
    assert run.tally.states == {"WOULD_MOVE": 5, "SKIPPED": 5}
    assert [len(wave.entries) for wave in lab.runs.waves(run.redrive_id)] == [1, 5, 2, 1, 1]  # canaries are for moves
    assert (lab.on(MAIN), lab.sqs.sends) == ([], [])
    assert [(m.id, m.body, m.attributes) for m in lab.sqs.queues[DLQ]] == before
    assert len(lab.seen(DLQ)) == 14


def test_attributes_of_every_type_arrive_equal(lab: Lab) -> None:
    """Body, attributes, trace header; with the count one more and the id that the worker knows the letter by."""
    attributes = {
        "s": {"DataType": "String.json", "StringValue": "{}"},
        "n": {"DataType": "Number.float", "StringValue": "1.50"},
        "b": {"DataType": "Binary.gzip", "BinaryValue": b"\x00\xff"},
        "redriveCount": {"DataType": "Number", "StringValue": "1"},
    }
    message_id = lab.letter("k", error="", attributes=attributes, body=" [1,2", AWSTraceHeader="Root=1-2-3")

    lab.go()

    (message,) = lab.sqs.queues[MAIN]
    assert message.body == " [1,2"
    assert message.attributes == attributes | {
        "idempotencyKey": text("k"),
        "redriveCount": {"DataType": "Number", "StringValue": "2"},
        "originalMessageId": text(message_id),
    }
    assert message.system["AWSTraceHeader"] == "Root=1-2-3"


def test_a_letter_that_comes_back_is_not_moved_again(lab: Lab) -> None:
    """What fails again under the same run stays for the next one: no ping-pong up to the limit of redrives."""
    for name in ("good", "bad"):
        lab.letter(name)
    redrive_id = lab.start(ratePerSecond=1)
    lab.on_pause = lambda: lab.work(fail="bad")

    lab.tick(redrive_id)
    lab.work(fail="bad")

    assert sorted(entry["MessageAttributes"]["idempotencyKey"]["StringValue"] for entry in lab.sqs.sends) == [
        "bad",
        "good",
    ]
    assert lab.on(DLQ) == ["bad"]


def test_each_redrive_counts_until_a_letter_is_parked(lab: Lab) -> None:
    """The fourth run leaves it where it is."""
    lab.letter("bad")
    states = []
    for _ in range(4):
        run = lab.go()
        states.append(lab.outcomes(run.redrive_id)["bad"])
        lab.clock.advance(1000)
        lab.work(fail="bad")
        lab.clock.advance(1000)

    assert states == [("MOVED", "")] * 3 + [("PARKED", "MaxRedrives")]
    assert lab.on(DLQ) == ["bad"]


@pytest.mark.parametrize("pool", [Inline(), Late()])
def test_letters_that_keep_showing_again_are_sent_once(lab: Lab, pool: Executor) -> None:
    """Wave after wave brings what the last has moved and not yet deleted: it is deleted, by its latest receipt."""
    lab.pool = pool
    for i in range(60):
        lab.letter(f"k{i}")

    def show_again(name: str) -> None:
        if name == "send_message_batch":
            for message in lab.sqs.queues[DLQ]:
                message.visible_at = 0

    lab.hub.after = show_again
    run = lab.go()

    assert (sorted(lab.on(MAIN)), lab.on(DLQ)) == (sorted(f"k{i}" for i in range(60)), [])
    assert run.tally.states == {"MOVED": 60}


def test_foreign_letters_fit_into_the_ledger(lab: Lab) -> None:
    """Keys and types as long as they can be: an item holds 400 KB."""
    for i in range(140):
        lab.letter(f"{i}" + "\U0001f600" * 4000, error="\u00e9" * 4000, MessageGroupId="")

    assert lab.go(maxMessages=140).tally.states == {"MOVED": 140}


def test_a_duplicate_delivery_is_one_letter(lab: Lab) -> None:
    """A standard queue may hand a message out twice; it is sent once and deleted by its latest receipt."""
    lab.letter("k")
    redrive_id = lab.start()

    def show_again(name: str) -> None:
        if name == "send_message_batch":
            for message in lab.sqs.queues[DLQ]:
                message.visible_at = 0

    lab.hub.before = show_again
    lab.tick(redrive_id)

    assert (lab.on(MAIN), lab.on(DLQ)) == (["k"], [])
    assert lab.outcomes(redrive_id) == {"k": ("MOVED", "")}


def test_records_that_say_nothing(lab: Lab) -> None:
    """One that has expired but is not yet deleted: its letter is of Unknown. A key too long for the table has none."""
    long = "k" * 3000
    lab.letter("expired", error="")
    lab.record("expired", errorType={"S": "KeyError"}, expiresAt={"N": str(lab.clock.ms // 1000)})
    lab.letter(long, error="")

    run = lab.go(errorType="Unknown")

    assert lab.outcomes(run.redrive_id) == {"expired": ("MOVED", ""), long[:512]: ("SKIPPED", "OtherErrorType")}
    assert {entry.error_type for entry in lab.ledger(run.redrive_id)} == {"Unknown", "SchemaValidationError"}


def test_a_letter_without_room_for_its_count_is_parked_all_the_same(lab: Lab) -> None:
    """Ten attributes of the sender's: the control table counts, a preview tells, and each run counts once."""
    full = {f"a{i}": text("v") for i in range(9)}
    lab.letter("full", error="", attributes=full)
    lab.letter("other", error="")
    seen = []
    for _ in range(4):
        lab.clock.advance(MINUTE_MS)
        run = lab.go()
        seen.append(lab.outcomes(run.redrive_id).get("full"))
        for message in lab.sqs.queues[MAIN]:
            if "a0" in message.attributes:
                lab.sqs.put(DLQ, message.body, message.attributes)
        lab.sqs.queues[MAIN] = []

    assert seen == [("MOVED", ""), ("MOVED", ""), ("MOVED", ""), ("PARKED", "MaxRedrives")]
    _, shown = lab.ask("GET /redrive/preview")
    assert [(one["redriveCount"], one["action"]) for one in shown["messages"]] == [(3, "park")]


def test_a_run_that_resumes_counts_a_letter_once(lab: Lab) -> None:
    """The send was refused after the count was written: the same run's next attempt is the same redrive."""
    lab.letter("full", error="", attributes={f"a{i}": text("v") for i in range(9)})
    refused = iter([True])

    def refuse(name: str) -> None:
        if name == "send_message_batch" and next(refused, False):
            raise refusal("RequestThrottled", 400)

    lab.hub.before = refuse
    redrive_id = lab.start()
    run = lab.tick_until_ended(redrive_id)

    assert (run.state, lab.on(MAIN)) == ("SUCCEEDED", ["full"])
    items = lab.dynamodb.scan(TableName=lab.tables[0])["Items"]
    assert [item["count"]["N"] for item in items if item["id"]["S"].startswith("redrives#")] == ["1"]


# letters that others have in hand


def held(lab: Lab, *names: str, seconds: int, url: str = DLQ) -> None:
    """Somebody has received these letters, for so long."""
    for message in lab.sqs.queues[url]:
        if message.attributes["idempotencyKey"]["StringValue"] in names:
            message.receives, message.visible_at = 1, lab.clock.ms + seconds * 1000


@pytest.mark.parametrize("pool", [Inline(), Late()])
def test_letters_in_the_hands_of_a_preview_are_waited_for(lab: Lab, pool: Executor) -> None:
    """Receives that bring nothing are no empty queue: all are moved once they show again."""
    lab.pool = pool
    for i in range(48):
        lab.letter(f"k{i:02}")
    held(lab, *(f"k{i:02}" for i in range(1, 48)), seconds=60)

    run = lab.go()

    assert (run.state, run.reason, run.unseen, run.tally.states) == ("SUCCEEDED", DRAINED, 0, {"MOVED": 48})
    assert sum(lab.pauses) < 90


def test_letters_that_do_not_show_again_are_named(lab: Lab) -> None:
    """A reader keeps them for longer than anybody waits for: the run ends and says how many it has not seen."""
    for name in ("moved", "kept", "also"):
        lab.letter(name)
    lab.letter("other", error="KeyError")
    held(lab, "kept", "also", seconds=600)

    run = lab.go(errorType="DownstreamError")

    reason = "2 letters could not be seen: in other hands, or behind others of their group"
    assert (run.state, run.reason, run.unseen) == ("SUCCEEDED", reason, 2)
    assert run.tally.states == {"MOVED": 1, "SKIPPED": 1}
    assert 90 <= sum(lab.pauses) < 100
    assert lab.ask("GET /redrive/{redriveId}", redriveId=run.redrive_id)[1]["unseen"] == 2


def test_a_letter_that_shows_late_begins_the_wait_anew(lab: Lab) -> None:
    """Each is another reason to go on looking."""
    for seconds in (60, 120, 180):
        lab.letter(f"k{seconds}")
        held(lab, f"k{seconds}", seconds=seconds)

    run = lab.go()

    assert (run.reason, run.tally.states) == (DRAINED, {"MOVED": 3})


def test_counts_that_lag_behind_are_not_believed_for_ever(lab: Lab) -> None:
    """SQS's counts are estimates: where they tell of letters that nobody can receive, the run ends all the same."""
    lab.letter("a")
    real = lab.sqs.get_queue_attributes

    def lagging(**request: Any) -> dict[str, Any]:
        return {"Attributes": real(**request)["Attributes"] | {"ApproximateNumberOfMessages": "1"}}

    lab.sqs.get_queue_attributes = lagging  # type: ignore[method-assign]
    run = lab.go()

    assert (run.state, run.unseen, lab.on(MAIN)) == ("SUCCEEDED", 1, ["a"])
