"""Dead letters, found, looked at and deleted with the operator's own rights to their queue."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from handlers.aws.sqs import as_delivered
from handlers.control.forms import FORMS, READERS
from handlers.worker import messages
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.cli.target import Target

_BATCH = 10  # what SQS hands out and takes at once
_HELD_SECONDS = 120  # how long what was received is out of others' sight, if nobody hands it back
_SEARCH_SECONDS = 60.0
_LAST_BARREN = 2  # receives in a row that bring nothing new: the queue has been gone through
_PAUSE_SECONDS = 0.25


class LetterError(LabError):
    """The dead letter or its queue can't be found."""


def queue_url(found: Target, pipeline: str) -> str:
    """URL of the dead-letter queue that a redrive of this pipeline empties.

    Raises:
        LetterError: there is none of this name.
    """
    urls = queues(found)
    if pipeline not in urls:
        raise LetterError(f"--pipeline must be one of {', '.join(urls)}, got {pipeline!r}")
    return urls[pipeline]


def queues(found: Target) -> dict[str, str]:
    """URLs of all dead-letter queues that a redrive can empty, by the name that it takes for each."""
    groups = found.pipelines
    urls = {name: group["dlqUrl"] for name, group in groups.items()}
    urls |= {f"{name}-undelivered": one["undeliveredUrl"] for name, one in groups.items() if "undeliveredUrl" in one}
    return urls | {f"{name}-notices": one["noticesDlqUrl"] for name, one in groups.items() if "noticesDlqUrl" in one}


def count(sqs: Any, url: str) -> int:  # noqa: ANN401 - a boto3 client, made by name
    """How many letters there are, those in somebody's hand included, as SQS estimates it."""
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))["Attributes"]
    return sum(int(found[name]) for name in names)


@contextmanager
def held(sqs: Any, url: str, message_id: str) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """A letter as ReceiveMessage gives it, in hand until the block ends; all that was received is handed back.

    Raises:
        LetterError: it was not among those that SQS handed out.
    """
    receipts: dict[str, str] = {}
    try:
        yield _search(sqs, url, message_id, receipts)
    finally:
        hand_back(sqs, url, receipts)


@contextmanager
def every(
    sqs: Any,  # noqa: ANN401
    url: str,
    *,
    within: float = _SEARCH_SECONDS,
    held_seconds: int = _HELD_SECONDS,
    wait_seconds: int = 1,
) -> Iterator[list[dict[str, Any]]]:
    """All letters as ReceiveMessage gives them, in hand until the block ends; then they are handed back.

    An empty answer is no proof of an empty queue: its count must agree, too.

    Raises:
        LetterError: within so many seconds SQS did not hand out as many as it counts.
    """
    receipts: dict[str, str] = {}
    found: list[dict[str, Any]] = []
    try:
        deadline, barren = time.monotonic() + within, 0
        for new in _passes(sqs, url, receipts, held_seconds, wait_seconds):
            found += new
            barren = 0 if new else barren + 1
            if barren < _LAST_BARREN:
                continue
            if len(found) >= (there := count(sqs, url)):
                break
            if time.monotonic() > deadline:
                raise LetterError(
                    f"SQS handed out {len(found)} of {there} letters of {url}: others are in the hand of a redrive or a"
                    " preview; run it again when that is over"
                )
            time.sleep(_PAUSE_SECONDS)
        yield found
    finally:
        hand_back(sqs, url, receipts)


def delete(sqs: Any, url: str, letter: dict[str, Any]) -> None:  # noqa: ANN401
    """Delete a letter that is held."""
    sqs.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])


def document(letter: dict[str, Any]) -> dict[str, Any]:
    """A letter whole, as people and programs are shown it."""
    given = letter.get("MessageAttributes", {}).items()
    return {
        "messageId": letter["MessageId"],
        "attributes": {name: value.get("StringValue", repr(value.get("BinaryValue"))) for name, value in given},
        "systemAttributes": letter["Attributes"],
        "body": letter["Body"],
    }


def identity(pipeline: str, letter: dict[str, Any]) -> tuple[str, str]:
    """The pipeline and the key of a letter's state record, as its worker finds them: not every letter carries a key."""
    return READERS.get(pipeline, pipeline), messages.read(as_delivered(letter), FORMS.get(pipeline)).key


def _search(sqs: Any, url: str, message_id: str, receipts: dict[str, str]) -> dict[str, Any]:  # noqa: ANN401
    deadline, barren = time.monotonic() + _SEARCH_SECONDS, 0
    for new in _passes(sqs, url, receipts, _HELD_SECONDS, wait_seconds=1):
        if letter := next((one for one in new if one["MessageId"] == message_id), None):
            return letter
        barren = 0 if new else barren + 1
        if barren >= _LAST_BARREN or time.monotonic() >= deadline:
            break
    raise LetterError(
        f"there is no dead letter {message_id} among the {len(receipts)} that SQS handed out, of about"
        f" {count(sqs, url)}; others may be in the hand of a redrive"
    )


def _passes(
    sqs: Any,  # noqa: ANN401
    url: str,
    receipts: dict[str, str],
    held_seconds: int,
    wait_seconds: int,
) -> Iterator[list[dict[str, Any]]]:
    """Receive without end; each time what is new. `receipts` is given the last one of every letter, by message id."""
    while True:
        answer = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=held_seconds,
            WaitTimeSeconds=wait_seconds,  # more than 0 asks all of SQS's servers
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        letters: list[dict[str, Any]] = answer.get("Messages", [])
        new = [one for one in letters if one["MessageId"] not in receipts]
        receipts |= {one["MessageId"]: one["ReceiptHandle"] for one in letters}
        yield new


def hand_back(sqs: Any, url: str, receipts: dict[str, str]) -> None:  # noqa: ANN401
    """Show them again at once; what SQS refuses, as of a letter that was deleted, shows by itself later."""
    handles = list(receipts.values())
    for first in range(0, len(handles), _BATCH):
        chunk = enumerate(handles[first : first + _BATCH])
        entries = [{"Id": str(n), "ReceiptHandle": handle, "VisibilityTimeout": 0} for n, handle in chunk]
        sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
