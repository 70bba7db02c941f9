"""A run in time: its rate and jitter, its lease, the end of an invocation, threads, and what it logs."""

import io
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from handlers.control.redrive.run import segment
from handlers.control.redrive.sqs.inbox import VISIBILITY_SECONDS
from tests.handlers.control.redrive.conftest import DLQ, MAIN, MINUTE_MS, Lab, counts


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


def test_letters_that_could_not_be_given_back_are_waited_for(lab: Lab) -> None:
    """The next tick must not find the queue empty because they are still out of sight."""
    for i in range(20):
        lab.letter(f"k{i}")
    redrive_id = lab.start(errorType="KeyError")
    budget = iter([900.0] * 4)
    lab.seconds_left = lambda: next(budget, 10.0)
    lab.sqs.entry_failures["ChangeMessageVisibilityBatch"] = lambda _entry: "InternalError"
    lab.tick(redrive_id)

    assert lab.run(redrive_id).lease_until == lab.clock.ms + MINUTE_MS
    assert lab.tick() == {"runs": []}


def test_a_slow_rate_spans_invocations(lab: Lab) -> None:
    """One message in 1,000 s, in invocations of 60 s: each waits its share, and waiting is not failing."""
    for i in range(3):
        lab.letter(f"k{i}")
    started = lab.clock.ms
    redrive_id = lab.start(ratePerSecond=0.001)
    while not lab.run(redrive_id).finished_at:
        ends = lab.clock.ms + MINUTE_MS
        lab.seconds_left = lambda ends=ends: (ends - lab.clock.ms) / 1000  # type: ignore[misc]
        lab.tick()
        assert lab.run(redrive_id).starts <= 1
        lab.clock.advance(1000)

    sent_after = [int(message.system["SentTimestamp"]) - started for message in lab.sqs.queues[MAIN]]
    assert [round(milliseconds, -5) for milliseconds in sent_after] == [0, 1_000_000, 2_000_000]
    assert sent_after[1] >= 1_000_000


def test_a_lease_outlives_what_is_received_under_it(lab: Lab) -> None:
    """Where reading the ledger took long, the lease is renewed first: a successor must see every letter again."""
    lab.letter("k")
    redrive_id = lab.start()
    leases = []

    def slow(name: str) -> None:
        if name == "query":
            lab.clock.advance(40_000)
        if name == "receive_message":
            leases.append(lab.run(redrive_id).lease_until - lab.clock.ms)

    lab.hub.before = slow
    lab.tick(redrive_id)

    assert min(leases) > VISIBILITY_SECONDS * 1000


def test_who_loses_the_lease_gives_its_letters_back(lab: Lab) -> None:
    """Those that it keeps out of sight for longer as well."""
    for i in range(15):
        lab.letter(f"k{i}")
    redrive_id = lab.start(errorType="KeyError")

    def sleep(name: str) -> None:
        if name == "transact_write_items" and lab.ledger(redrive_id):
            lab.hub.before = lambda _name: None
            lab.clock.advance(2 * MINUTE_MS)
            assert lab.runs.take(redrive_id, "another")

    lab.hub.before = sleep
    lab.tick(redrive_id)

    assert (lab.run(redrive_id).lease_owner, len(lab.seen(DLQ))) == ("another", 15)


def test_a_tick_leaves_runs_that_are_worked_on(lab: Lab) -> None:
    """And takes them once the lease has lapsed."""
    redrive_id = lab.start()
    assert lab.runs.take(redrive_id, "another")

    assert lab.tick() == {"runs": []}
    lab.clock.advance(MINUTE_MS + MINUTE_MS // 2)
    assert lab.tick() == {"runs": [{"redriveId": redrive_id, "state": "SUCCEEDED"}]}


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
    assert (run.state, run.reason) == ("FAILED", "pipeline events has another queue now")
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
    """As it runs in Lambda, with calls in parallel: each of 300 letters is moved once, in waves of up to 100."""
    for i in range(300):
        lab.letter(f"k{i}")
    with ThreadPoolExecutor(8) as pool:
        lab.pool = pool
        run = lab.go(maxMessages=1000)

    assert run.tally.as_json()["counts"] == counts(examined=300, moved=300)
    assert sorted(lab.on(MAIN)) == sorted(f"k{i}" for i in range(300))
    assert [len(wave.entries) for wave in lab.runs.waves(run.redrive_id)] == [1, 10, 20, 50, 100, 100, 19]


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
        "nothing new on the dead-letter queue",
        counts(examined=1, moved=1),
        {},
    ]
    assert "4111" not in log_stream.getvalue()
