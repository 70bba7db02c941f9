"""Deletions that fail: what has been sent must go, and must not be sent again."""

import pytest

from tests.handlers.control.redrive.conftest import DLQ, MAIN, Lab
from tests.handlers.control.redrive.histories import NAMES, check, letters


def test_a_failed_deletion_is_repeated(lab: Lab) -> None:
    """The message is sent already, so the letter must go."""
    redrive_id = letters(lab)
    twice = iter(["InternalError"] * 2)
    lab.sqs.entry_failures["DeleteMessageBatch"] = lambda entry: (
        next(twice, "") if "m3-" in entry["ReceiptHandle"] else ""
    )

    lab.tick(redrive_id)

    check(lab, redrive_id)
    assert (lab.run(redrive_id).state, lab.on(DLQ)) == ("SUCCEEDED", [])


@pytest.mark.parametrize("most", [100, 11])
def test_a_moved_letter_that_shows_again_is_deleted_not_sent(lab: Lab, most: int) -> None:
    """A deletion that fails for good interrupts the run; the tick goes on once SQS deletes again."""
    for name in NAMES:
        lab.letter(name)
    redrive_id = lab.start(maxMessages=most)
    lab.sqs.entry_failures["DeleteMessageBatch"] = lambda entry: (
        "InternalError" if "m3-" in entry["ReceiptHandle"] else ""
    )

    lab.tick(redrive_id)
    run = lab.run(redrive_id)
    assert (run.state, run.reason, run.lease_owner) == ("RUNNING", "DeleteMessageBatch: InternalError", "")
    assert "k2" in lab.seen(DLQ)

    lab.sqs.entry_failures.clear()
    lab.tick_until_ended(redrive_id)

    assert len(lab.sqs.sends) == len(lab.on(MAIN)) == min(most, 15)
    assert sorted(lab.on(MAIN) + lab.on(DLQ)) == sorted(NAMES)
    assert lab.run(redrive_id).state == "SUCCEEDED"


def test_a_cancel_waits_for_deletions(lab: Lab) -> None:
    """What a cancelled run has moved is gone before it ends, else the next run would move it again."""
    redrive_id = letters(lab)
    lab.sqs.entry_failures["DeleteMessageBatch"] = lambda entry: (
        "InternalError" if "m3-" in entry["ReceiptHandle"] else ""
    )

    def cancel(name: str) -> None:
        if name == "send_message_batch" and len(lab.sqs.sends) > 1:
            lab.hub.before = lambda _name: None
            lab.ask("POST /redrive/cancel", {"redriveId": redrive_id})

    lab.hub.before = cancel
    lab.tick(redrive_id)
    assert lab.run(redrive_id).state == "RUNNING"

    lab.sqs.entry_failures.clear()
    lab.tick_until_ended(redrive_id)

    check(lab, redrive_id)
    assert lab.run(redrive_id).state == "CANCELLED"
