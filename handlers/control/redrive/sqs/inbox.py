"""The letters that this process has in hand: received in parallel, new once, and given back whatever happens."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.aws.sqs import MAX_BATCH_ENTRIES, change_visibility, delete_messages, is_fifo
from handlers.control.redrive.errors import InterruptedRedriveError
from handlers.control.redrive.sqs.letter import Letter
from handlers.worker import messages

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import MessageTypeDef, ReceiveMessageResultTypeDef

VISIBILITY_SECONDS = 60
_WAIT_SECONDS = 1  # a long poll asks every server of SQS, a short one only some; below the clients' read time-out
_LAST_BARREN = 2  # receives in a row that bring nothing new: whatever is left can't be seen now
_COUNTS: "tuple[QueueAttributeNameType, ...]" = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True, slots=True)
class Box:
    """A dead-letter queue and how to get at it.

    `receiver` is a client that does not repeat a receive: what a lost answer held would be out of sight unnoticed.
    `form` is that of the letters' bodies.
    """

    url: str
    sqs: "SQSClient"
    receiver: "SQSClient"
    pool: Executor
    form: messages.Form = messages.PLAIN

    def counts(self) -> "Counts":
        """How many letters there are, as SQS estimates it.

        Raises:
            ClientError, BotoCoreError: SQS failed.
        """
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(_COUNTS))["Attributes"]
        return Counts(*(int(found[name]) for name in _COUNTS))


@dataclass(frozen=True, slots=True)
class Counts:
    """Letters on a queue: those that a receive may bring, those that somebody has in hand, those that are delayed."""

    visible: int
    not_visible: int
    delayed: int

    @property
    def hidden(self) -> int:
        """Those that no receive brings now."""
        return self.not_visible + self.delayed

    @property
    def total(self) -> int:
        """All of them."""
        return self.visible + self.hidden


class Inbox:
    """Receives letters and remembers which it has in hand."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._receipts: dict[str, str] = {}
        self._seen: set[str] = set()
        self._barren = 0
        self._receiving: list[Future[ReceiveMessageResultTypeDef]] = []
        self._deleting: list[tuple[dict[str, str], Future[dict[str, str]]]] = []
        self._holding: list[Future[dict[str, str]]] = []

    @property
    def is_drained(self) -> bool:
        """Whether two receives in a row have brought nothing that was not in hand before."""
        return self._barren >= _LAST_BARREN

    def counts(self) -> Counts:
        """See `Box.counts`."""
        return self._box.counts()

    def start(self, limit: int) -> None:
        """Begins to receive up to `limit` letters."""
        for first in range(0, limit, MAX_BATCH_ENTRIES):
            count = min(MAX_BATCH_ENTRIES, limit - first)
            self._receiving.append(self._box.pool.submit(self._receive, count))

    def receive(self, limit: int) -> list[Letter]:
        """The letters whose receipt was begun, else up to `limit` more; each once, in the order of their arrival.

        Raises:
            InterruptedRedriveError: SQS refused a receive; what the others brought is in hand.
        """
        if not self._receiving:
            self.start(limit)
        received, refusal = self._collect()
        for message in received:
            self._receipts[message["MessageId"]] = message["ReceiptHandle"]
        if refusal:
            raise InterruptedRedriveError("ReceiveMessage", error_code(refusal)) from refusal
        unique = {message["MessageId"]: message for message in received}
        self._barren = 0 if unique.keys() - self._seen else self._barren + 1
        self._seen |= unique.keys()
        ordered = is_fifo(self._box.url)
        return [Letter.from_api(message, self._box.form, ordered=ordered) for message in unique.values()]

    @property
    def deleting(self) -> dict[str, str]:
        """The receipt handles of the letters whose deletion has begun, by message id."""
        return {one: receipt for chunk, _ in self._deleting for one, receipt in chunk.items()}

    def receipts(self, ids: Iterable[str]) -> dict[str, str]:
        """The receipt handles of those letters that are still in hand."""
        return {one: self._receipts[one] for one in ids if one in self._receipts}

    def hold(self, ids: Sequence[str], seconds: int) -> None:
        """Begins to keep letters out of sight for longer than they were received for."""
        self._holding += self._change_visibility(list(self.receipts(ids).values()), seconds)

    def delete(self, receipts: dict[str, str]) -> None:
        """Begins to delete letters, by their ids' receipt handles."""
        box, items = self._box, list(receipts.items())
        for first in range(0, len(items), MAX_BATCH_ENTRIES):
            chunk = dict(items[first : first + MAX_BATCH_ENTRIES])
            self._deleting.append((chunk, box.pool.submit(delete_messages, box.sqs, box.url, list(chunk.values()))))

    def settle(self) -> dict[str, str]:
        """Waits for what was begun with letters in hand; returns the refusals of deletions by receipt handle.

        A letter that could not be held any longer only shows again sooner.
        """
        deleting, self._deleting = self._deleting, []
        holding, self._holding = self._holding, []
        refused: dict[str, str] = {}
        for chunk, future in deleting:
            refused |= future.result()
            for one, receipt in chunk.items():
                if receipt not in refused and self._receipts.get(one) == receipt:  # not received anew meanwhile
                    del self._receipts[one]
        for kept in holding:
            kept.result()
        return refused

    def hand_back(self) -> bool:
        """Shows every letter in hand again at once; whether SQS took it for each."""
        received, refusal = self._collect()
        self._receipts |= {message["MessageId"]: message["ReceiptHandle"] for message in received}
        receipts, self._receipts = list(self._receipts.values()), {}
        refused = [future.result() for future in self._change_visibility(receipts, 0)]
        return refusal is None and not any(refused)

    def _collect(self) -> "tuple[list[MessageTypeDef], Exception | None]":
        """All that the receives under way bring, and what one of them raised."""
        receiving, self._receiving = self._receiving, []
        received: list[MessageTypeDef] = []
        refusal: Exception | None = None
        for future in receiving:
            try:
                received += future.result().get("Messages", [])
            except AWS_ERRORS as exc:
                refusal = exc
        return received, refusal

    def _receive(self, count: int) -> Any:  # noqa: ANN401 - the stub's type exists for the checker only
        return self._box.receiver.receive_message(
            QueueUrl=self._box.url,
            MaxNumberOfMessages=count,
            VisibilityTimeout=VISIBILITY_SECONDS,
            WaitTimeSeconds=_WAIT_SECONDS,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )

    def _change_visibility(self, receipts: Sequence[str], seconds: int) -> list[Future[dict[str, str]]]:
        box = self._box
        return [
            box.pool.submit(
                change_visibility,
                box.sqs,
                box.url,
                dict.fromkeys(receipts[first : first + MAX_BATCH_ENTRIES], seconds),
            )
            for first in range(0, len(receipts), MAX_BATCH_ENTRIES)
        ]
