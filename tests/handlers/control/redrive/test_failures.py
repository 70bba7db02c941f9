"""AWS failing, wholly or in part, while a redrive runs: nothing is lost, nothing moved twice, and it goes on."""

from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from handlers.control.redrive.run.runner import MAX_STARTS
from tests.handlers.control.redrive.conftest import DLQ, MAIN, MINUTE_MS, Lab
from tests.handlers.control.redrive.fakes import Late, refusal
from tests.handlers.control.redrive.histories import NAMES, check, failing, letters, of

_CALLS = 40  # of a run of these in which nothing fails; a test shows it
LOST = ReadTimeoutError(endpoint_url="https://sqs")


@pytest.mark.parametrize("code", ["SenderIsWrong", "InternalError"])
def test_a_refused_entry_stays(lab: Lab, code: str) -> None:
    """The others of its batch are moved and deleted, exactly those; it is reported with SQS's code."""
    redrive_id = letters(lab)
    lab.sqs.entry_failures["SendMessageBatch"] = lambda entry: code if of("k3", "k9")(entry) else ""

    lab.tick(redrive_id)

    check(lab, redrive_id)
    assert sorted(lab.seen(DLQ)) == ["k3", "k9"]
    assert lab.outcomes(redrive_id)["k3"] == ("FAILED", code)
    run = lab.run(redrive_id)
    assert (run.state, run.tally.states, run.tally.reasons) == ("SUCCEEDED", {"MOVED": 13, "FAILED": 2}, {code: 2})


def test_an_entry_that_fails_once_is_sent(lab: Lab) -> None:
    """SQS's own failures pass."""
    redrive_id = letters(lab)
    once = iter(["InternalError"])
    lab.sqs.entry_failures["SendMessageBatch"] = lambda entry: next(once, "") if of("k3")(entry) else ""

    lab.tick(redrive_id)

    check(lab, redrive_id)
    assert len(lab.on(MAIN)) == 15


def test_a_send_whose_answer_is_lost_leaves_its_letters_uncertain(lab: Lab) -> None:
    """They may have been sent, so they are not sent again under this redrive; the next one moves them."""
    redrive_id = letters(lab)
    lab.hub.after = failing("send_message_batch", iter([LOST]))

    lab.tick(redrive_id)

    outcomes = lab.outcomes(redrive_id)
    assert outcomes["k0"] == ("UNCERTAIN", "ReadTimeoutError")
    assert [state for state, _ in outcomes.values()].count("MOVED") == 14
    assert (lab.on(MAIN).count("k0"), lab.seen(DLQ)) == (1, ["k0"])
    assert lab.run(redrive_id).state == "SUCCEEDED"

    assert lab.go().tally.states == {"MOVED": 1}


@pytest.mark.parametrize(
    "error", [refusal("ThrottlingException"), refusal("AccessDenied", 403), ConnectTimeoutError(endpoint_url="x")]
)
def test_a_send_that_was_certainly_not_taken_is_repeated(lab: Lab, error: Exception) -> None:
    """Two such answers in a row do not even interrupt the run."""
    redrive_id = letters(lab)
    lab.hub.before = failing("send_message_batch", iter([error, error]))

    lab.tick(redrive_id)

    check(lab, redrive_id)
    assert len(lab.on(MAIN)) == 15


def test_sends_that_are_never_taken_interrupt_the_run(lab: Lab) -> None:
    """Nothing of the wave was sent, so nothing stays in the ledger; all can be seen; the tick moves them later."""
    redrive_id = letters(lab)
    lab.hub.before = failing("send_message_batch", iter([refusal("AccessDenied", 403)] * 3))

    lab.tick(redrive_id)

    run = lab.run(redrive_id)
    assert (run.state, run.reason, lab.ledger(redrive_id)) == ("RUNNING", "SendMessageBatch: AccessDenied", [])
    assert len(lab.seen(DLQ)) == 15
    assert lab.tick() == {"runs": []}  # not before all that was in hand shows again by itself

    lab.clock.advance(MINUTE_MS)
    lab.tick()
    assert (lab.run(redrive_id).state, lab.run(redrive_id).starts, len(lab.on(MAIN))) == ("SUCCEEDED", 0, 15)


def test_a_run_that_gets_nothing_done_fails(lab: Lab) -> None:
    """After ten starts in a row, with the cause; its queue is free again."""
    redrive_id = letters(lab)

    def refuse(name: str) -> None:
        if name == "send_message_batch":
            raise refusal("AccessDenied", 403)

    lab.hub.before = refuse
    run = lab.tick_until_ended(redrive_id)

    assert (run.state, run.reason) == (
        "FAILED",
        f"{MAX_STARTS} invocations in a row made no progress: SendMessageBatch: AccessDenied",
    )
    assert len(lab.seen(DLQ)) == 15
    lab.hub.revive()
    assert lab.go().state == "SUCCEEDED"


def test_so_many_calls(lab: Lab) -> None:
    """As the next test fails one by one."""
    redrive_id = letters(lab)
    lab.hub.calls.clear()
    lab.tick(redrive_id)

    assert len(lab.hub.calls) == _CALLS


@pytest.mark.parametrize("answer", ["before", "after"])
@pytest.mark.parametrize("number", range(_CALLS))
def test_any_call_that_fails_once(lab: Lab, number: int, answer: str) -> None:
    """Refused or with its answer lost: the run ends, each letter is in one place or may be in both and is UNCERTAIN."""
    redrive_id = letters(lab)
    lab.hub.calls.clear()
    pending = iter([LOST])

    def fail(_name: str) -> None:
        if len(lab.hub.calls) == number + 1 and (error := next(pending, None)):
            raise error

    setattr(lab.hub, answer, fail)
    try:
        lab.tick(redrive_id)
    except ReadTimeoutError:
        assert number < 3  # before the run is taken, the invocation fails and is tried again
    lab.clock.advance(2 * MINUTE_MS)
    run = lab.tick_until_ended(redrive_id)

    sent = [entry["MessageAttributes"]["idempotencyKey"]["StringValue"] for entry in lab.sqs.sends]
    assert len(sent) == len(set(sent))
    assert set(sent) | set(lab.on(DLQ)) == set(NAMES)
    outcomes = lab.outcomes(redrive_id)
    assert {key for key, (state, _) in outcomes.items() if state == "UNCERTAIN"} == set(lab.on(DLQ))
    assert (run.state, run.tally.states.total()) == ("SUCCEEDED", 15)


def test_one_letter_that_sqs_refuses_with_its_batch(lab: Lab) -> None:
    """Where a whole call is refused for what one entry is, the others go without it."""
    redrive_id = letters(lab)
    send = lab.sqs.send_message_batch

    def refuse(*, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        if any(of("k7")(entry) for entry in Entries):
            raise refusal("InvalidMessageContents")
        return send(QueueUrl=QueueUrl, Entries=Entries)

    lab.sqs.send_message_batch = refuse  # type: ignore[method-assign]
    lab.tick(redrive_id)

    check(lab, redrive_id)
    assert lab.seen(DLQ) == ["k7"]
    assert lab.outcomes(redrive_id)["k7"] == ("FAILED", "InvalidMessageContents")


def test_unread_state_records_interrupt_the_run(lab: Lab) -> None:
    """A run does not guess what a record says: it waits for the table."""
    redrive_id = letters(lab)
    lab.hub.before = failing("batch_get_item", iter([refusal("ProvisionedThroughputExceededException")]))

    lab.tick(redrive_id)
    assert lab.run(redrive_id).reason == "BatchGetItem: ProvisionedThroughputExceededException"
    assert len(lab.seen(DLQ)) == 15

    lab.clock.advance(2 * MINUTE_MS)
    lab.tick()
    check(lab, redrive_id)
    assert len(lab.on(MAIN)) == 15


def test_what_was_begun_is_ended_when_a_run_is_interrupted(lab: Lab) -> None:
    """The outcome of the last wave is written, although its writing had only begun: its successor need not guess."""
    lab.pool = Late()
    redrive_id = letters(lab)
    answers = iter(["", "", refusal("ThrottlingException")])

    def fail(name: str) -> None:
        if name == "batch_get_item" and isinstance(answer := next(answers, ""), Exception):
            raise answer

    lab.hub.before = fail
    lab.tick(redrive_id)

    assert lab.run(redrive_id).reason == "BatchGetItem: ThrottlingException"
    assert {entry.state for entry in lab.ledger(redrive_id)} == {"MOVED"}
    assert len(lab.on(MAIN)) == len(lab.ledger(redrive_id)) == 11
