"""A run from start to end: what is moved, what stays and why, when it ends, and that nothing stays out of sight."""

import io
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from handlers.control.redrive import segment
from handlers.control.redrive.errors import LeaseLostError
from handlers.control.redrive.run import RunState
from tests.handlers.redrive.conftest import DLQ, MAIN, MINUTE_MS, Lab, text

DRAINED = "nothing new on the dead-letter queue"


def counts(**some: int) -> dict[str, int]:
    """All counts, 0 where not given."""
    names = ("examined", "moved", "skipped", "failed", "parked", "uncertain", "wouldMove")
    return {name: some.get(name, 0) for name in names}


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
    """Filters by type (looked up where SQS moved the letter) and by real age, parking, and what came after the start."""
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

    assert (run.state, run.reason) == ("SUCCEEDED", DRAINED)
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


def test_a_dry_run_touches_nothing(lab: Lab) -> None:
    """The ledger says what would happen; nothing is sent or deleted, and all can be seen again."""
    for i in range(14):
        lab.letter(f"k{i}", error="KeyError" if i % 2 else "DownstreamError")
    before = [(message.id, message.body, message.attributes) for message in lab.sqs.queues[DLQ]]

    run = lab.go(dryRun=True, errorType="KeyError", maxMessages=5, canary=2)

    assert run.state == "SUCCEEDED"
    assert run.tally.states == {"WOULD_MOVE": 5, "SKIPPED": 5}
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


def test_jitter_delays_each_message_on_its_own(lab: Lab) -> None:
    """From 0 to the given seconds, not all the same."""
    for i in range(60):
        lab.letter(f"k{i}")

    lab.go(perMessageDelayJitter=900)

    delays = [entry.get("DelaySeconds", 0) for entry in lab.sqs.sends]
    assert 0 <= min(delays) < max(delays) <= 900


def test_a_rate_is_kept(lab: Lab) -> None:
    """10 a second: one at once, then ten whenever a second's worth has come together."""
    for i in range(31):
        lab.letter(f"k{i}")
    started = lab.clock.ms

    lab.go(ratePerSecond=10)

    sent_after = [int(message.system["SentTimestamp"]) - started for message in lab.sqs.queues[MAIN]]
    assert sent_after == [0] + [1000] * 10 + [2000] * 10 + [3000] * 10


def test_a_slow_rate_keeps_its_lease(lab: Lab) -> None:
    """One message in 100 s: nobody else may take the run over while it waits."""
    for i in range(3):
        lab.letter(f"k{i}")
    others = []
    redrive_id = lab.start(ratePerSecond=0.01)
    lab.on_pause = lambda: others.append(lab.runs.take(redrive_id, "another"))

    lab.tick(redrive_id)

    assert (len(lab.on(MAIN)), set(others)) == (3, {None})
    assert len(others) > 30


def test_a_letter_that_comes_back_is_not_moved_again(lab: Lab) -> None:
    """What fails again under the same run stays for the next one: no ping-pong up to the limit of redrives."""
    for name in ("good", "bad"):
        lab.letter(name)
    redrive_id = lab.start(ratePerSecond=1)
    lab.on_pause = lambda: lab.work(fail="bad")

    lab.tick(redrive_id)
    lab.work(fail="bad")

    assert sorted(entry["MessageAttributes"]["idempotencyKey"]["StringValue"] for entry in lab.sqs.sends) == ["bad", "good"]
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


def test_when_the_time_is_up_the_next_tick_goes_on(lab: Lab) -> None:
    """Every letter is given back before the invocation ends, and the run takes up where it was."""
    for i in range(60):
        lab.letter(f"k{i}", error="KeyError" if i < 8 else "DownstreamError")
    redrive_id = lab.start(errorType="DownstreamError")
    budget = iter([900.0] * 9)
    lab.seconds_left = lambda: next(budget, 10.0)
    lab.tick(redrive_id)

    run = lab.run(redrive_id)
    assert (run.state, run.lease_owner, run.starts) == ("RUNNING", "", 0)
    assert 0 < len(lab.on(MAIN)) < 52
    assert len(lab.seen(DLQ)) == len(lab.on(DLQ)) == 60 - len(lab.on(MAIN))

    lab.seconds_left = lambda: 900.0
    assert lab.tick() == {"runs": [{"redriveId": redrive_id, "state": "SUCCEEDED"}]}
    assert lab.run(redrive_id).tally.as_json()["counts"] == counts(examined=60, moved=52, skipped=8)
    assert sorted(lab.on(MAIN)) == sorted(f"k{i}" for i in range(8, 60))


def test_a_tick_leaves_runs_that_are_worked_on(lab: Lab) -> None:
    """And takes them once the lease has lapsed."""
    redrive_id = lab.start()
    assert lab.runs.take(redrive_id, "another")

    assert lab.tick() == {"runs": []}
    lab.clock.advance(MINUTE_MS + MINUTE_MS // 2)
    assert lab.tick() == {"runs": [{"redriveId": redrive_id, "state": "SUCCEEDED"}]}


def test_who_has_lost_the_lease_changes_nothing(lab: Lab) -> None:
    """A runner that was away for too long leaves the run to the one that has it."""
    lab.letter("k")
    redrive_id = lab.start()
    old = lab.runs.take(redrive_id, "old")
    lab.clock.advance(2 * MINUTE_MS)
    new = lab.runs.take(redrive_id, "new")
    assert old
    assert new
    before = lab.run(redrive_id)

    for attempt in (
        lambda: lab.runs.beat(old),
        lambda: lab.runs.release(old, after_seconds=0),
        lambda: lab.runs.finish(old, RunState.FAILED, "lost"),
    ):
        with pytest.raises(LeaseLostError):
            attempt()
    assert lab.run(redrive_id) == before


@pytest.mark.parametrize("taken_at", ["transact_write_items", "batch_get_item", "put_item"])
def test_a_run_taken_over_in_the_middle_moves_nothing_twice(lab: Lab, taken_at: str) -> None:
    """The old runner wakes up after the new one has finished the run: it notices at its next write and leaves."""
    for i in range(5):
        lab.letter(f"k{i}")
    redrive_id = lab.start()
    asleep = iter([True])

    def sleep(name: str) -> None:
        if name == taken_at and next(asleep, False):
            lab.clock.advance(3 * MINUTE_MS)
            assert lab.tick() == {"runs": [{"redriveId": redrive_id, "state": "SUCCEEDED"}]}

    lab.hub.before = sleep
    lab.tick(redrive_id)

    sent = [entry["MessageAttributes"]["idempotencyKey"]["StringValue"] for entry in lab.sqs.sends]
    assert len(sent) == len(set(sent))
    assert sorted({*lab.on(MAIN), *lab.on(DLQ)}) == [f"k{i}" for i in range(5)]


def test_a_pipeline_that_is_gone_ends_its_run(lab: Lab) -> None:
    """A queue that was replaced while a run waited: FAILED, with its lock released."""
    redrive_id = lab.start()
    lab.targets = {"events": lab.targets["ordered"]}
    lab.tick()

    run = lab.run(redrive_id)
    assert (run.state, run.reason) == ("FAILED", "pipeline events has left this queue")
    assert lab.control_items() == {(f"redrive#{redrive_id}", "run")}


def test_a_run_looks_at_so_many_letters_at_most(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQS lets only so many be in hand; the reason says that there may be more."""
    monkeypatch.setattr(segment, "MAX_EXAMINED", 20)
    for i in range(60):
        lab.letter(f"k{i}")

    run = lab.go(errorType="KeyError")

    assert run.reason == "20 letters examined, start another run for the rest"
    assert len(lab.seen(DLQ)) == 60


def test_threads_change_nothing(lab: Lab) -> None:
    """As it runs in Lambda, with calls in parallel: each of 300 letters is moved once, in waves of up to 80."""
    for i in range(300):
        lab.letter(f"k{i}")
    with ThreadPoolExecutor(8) as pool:
        lab.pool = pool
        run = lab.go(maxMessages=1000)

    assert run.tally.as_json()["counts"] == counts(examined=300, moved=300)
    assert sorted(lab.on(MAIN)) == sorted(f"k{i}" for i in range(300))
    assert [len(wave.entries) for wave in lab.runs.waves(run.redrive_id)] == [1, 10, 20, 40, 80, 80, 69]


def test_a_finish_logs_one_line(lab: Lab, log_stream: io.StringIO) -> None:
    """With the counts, and no letter's content."""
    lab.letter("k", body='{"card": "4111"}')
    log_stream.truncate(0)
    log_stream.seek(0)
    run = lab.go()

    lines = [json.loads(line) for line in log_stream.getvalue().splitlines()]
    (line,) = [line for line in lines if line["message"] == "redrive finished"]
    fields = ("level", "redriveId", "pipeline", "state", "reason", "counts", "reasons")
    assert [line[name] for name in fields] == [
        "INFO",
        run.redrive_id,
        "events",
        "SUCCEEDED",
        DRAINED,
        counts(examined=1, moved=1),
        {},
    ]
    assert "4111" not in log_stream.getvalue()
