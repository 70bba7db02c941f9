"""FIFO queues: order within a group, deduplication, and groups that must wait."""

from collections import defaultdict
from concurrent.futures import Executor
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from tests.handlers.control.redrive.conftest import FIFO_DLQ, FIFO_MAIN, MINUTE_MS, Lab
from tests.handlers.control.redrive.fakes import Inline, Late

PIPELINE = {"pipeline": "ordered"}


def prepare(lab: Lab, groups: str, **options: Any) -> None:
    """A letter for each character: its group is the character, its key that and its place."""
    for i, group in enumerate(groups):
        lab.letter(f"{group}{i}", url=FIFO_DLQ, age_ms=60_000 - i, MessageGroupId=group, **options)


def by_group(keys: list[str]) -> dict[str, list[str]]:
    """Keys by group, in order."""
    groups: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        groups[key[0]].append(key)
    return groups


@pytest.mark.parametrize("pool", [Inline(), Late()])
def test_each_group_keeps_its_order(lab: Lab, pool: Executor) -> None:
    """Long groups and short ones, deletions that take their time; the group goes with the message."""
    lab.pool = pool
    prepare(lab, "abac" * 12 + "a" * 15)
    before = by_group(lab.on(FIFO_DLQ))

    run = lab.go(**PIPELINE)

    assert (run.state, run.tally.states) == ("SUCCEEDED", {"MOVED": 63})
    assert lab.hub.calls.count("update_item") == 3  # the lease, and the two waves at the end that brought nothing
    assert by_group(lab.on(FIFO_MAIN)) == before
    assert all(message.group == lab.on(FIFO_MAIN)[i][0] for i, message in enumerate(lab.sqs.queues[FIFO_MAIN]))


def test_skipped_letters_do_not_hold_up_their_group(lab: Lab) -> None:
    """They are given back at once; those behind them come with the next receive."""
    for i in range(25):
        error = "KeyError" if i < 5 else "DownstreamError"
        lab.letter(f"a{i:02}", url=FIFO_DLQ, age_ms=60_000 - i, MessageGroupId="a", error=error)

    run = lab.go(**PIPELINE, errorType="DownstreamError")

    assert lab.on(FIFO_MAIN) == [f"a{i:02}" for i in range(5, 25)]
    assert lab.seen(FIFO_DLQ) == [f"a{i:02}" for i in range(5)]
    assert run.tally.states == {"MOVED": 20, "SKIPPED": 5}


def test_nothing_passes_one_that_was_refused(lab: Lab) -> None:
    """The rest of its group stays behind it, other groups go on."""
    prepare(lab, "aaaabbbb")
    lab.sqs.entry_failures["SendMessageBatch"] = lambda entry: (
        "InternalError" if entry["MessageAttributes"]["idempotencyKey"]["StringValue"] == "a1" else ""
    )

    run = lab.go(**PIPELINE)

    assert by_group(lab.on(FIFO_MAIN)) == {"a": ["a0"], "b": ["b4", "b5", "b6", "b7"]}
    assert lab.seen(FIFO_DLQ) == ["a1", "a2", "a3"]
    outcomes = lab.outcomes(run.redrive_id)
    assert outcomes["a1"] == ("FAILED", "InternalError")
    assert outcomes["a2"] == outcomes["a3"] == ("SKIPPED", "GroupBlocked")


def test_nothing_passes_one_that_is_uncertain_not_even_after_a_crash(lab: Lab) -> None:
    """The ledger keeps the group, so the next invocation knows."""
    prepare(lab, "aaaa")
    redrive_id = lab.start(**PIPELINE)
    lost = iter([ReadTimeoutError(endpoint_url="https://sqs")])

    def lose(name: str) -> None:
        if name == "send_message_batch" and (error := next(lost, None)):
            lab.seconds_left = lambda: 0.0
            raise error

    lab.hub.after = lose
    lab.tick(redrive_id)
    assert lab.outcomes(redrive_id) == {"a0": ("UNCERTAIN", "ReadTimeoutError")}
    lab.hub.revive()
    lab.seconds_left = lambda: 900.0
    lab.clock.advance(2 * MINUTE_MS)
    lab.tick()

    assert lab.on(FIFO_MAIN) == ["a0"]
    assert lab.seen(FIFO_DLQ) == ["a0", "a1", "a2", "a3"]
    assert lab.run(redrive_id).tally.states == {"UNCERTAIN": 1, "SKIPPED": 3}


def test_a_new_redrive_is_no_repetition(lab: Lab) -> None:
    """The deduplication id is the redrive's, so a letter that failed again within five minutes is sent again."""
    prepare(lab, "a")
    lab.go(**PIPELINE)
    (first,) = lab.sqs.queues[FIFO_MAIN]
    lab.sqs.queues[FIFO_MAIN] = []
    lab.clock.advance(1000)
    lab.letter("a0", url=FIFO_DLQ, age_ms=10, MessageGroupId="a")
    lab.go(**PIPELINE)
    (second,) = lab.sqs.queues[FIFO_MAIN]

    assert first.system["MessageDeduplicationId"] != second.system["MessageDeduplicationId"]


def test_groups_of_a_standard_queue_hold_up_nobody(lab: Lab) -> None:
    """There they are for fairness: ten go with one call, one that SQS refuses alone stays, and the group is kept."""
    for i in range(10):
        lab.letter(f"a{i}", MessageGroupId="a")
    lab.sqs.entry_failures["SendMessageBatch"] = lambda entry: (
        "InternalError" if entry["MessageAttributes"]["idempotencyKey"]["StringValue"] == "a1" else ""
    )

    run = lab.go()

    assert run.tally.states == {"MOVED": 9, "FAILED": 1}
    assert lab.hub.calls.count("send_message_batch") == 4  # two waves, and what was refused is tried again twice
    assert {(sent["MessageGroupId"], "MessageDeduplicationId" in sent) for sent in lab.sqs.sends} == {("a", False)}


def test_a_preview_shows_the_heads_of_groups(lab: Lab) -> None:
    """SQS shows nothing of a group behind what is in hand, ten letters at most; the total tells of the others."""
    prepare(lab, "ab" * 6 + "c")

    status, body = lab.ask("GET /redrive/preview", query={"pipeline": "ordered"})

    shown = [message["idempotencyKey"] for message in body["messages"]]
    assert (status, shown) == (200, ["a0", "b1", "a2", "b3", "a4", "b5", "a6", "b7", "a8", "b9", "c12"])
    assert (body["dlqStats"]["totalMessages"], len(lab.seen(FIFO_DLQ))) == (13, 13)


def test_what_stands_behind_letters_that_stay_is_named(lab: Lab) -> None:
    """Ten of a group are skipped, and SQS shows none behind them; nobody has those in hand, so nobody waits."""
    for i in range(130):
        lab.letter(f"a{i:03}", url=FIFO_DLQ, age_ms=60_000 - i, MessageGroupId="a", error="KeyError")

    run = lab.go(**PIPELINE, errorType="DownstreamError")

    assert (run.unseen, run.tally.states) == (120, {"SKIPPED": 10})
    assert lab.pauses == []
