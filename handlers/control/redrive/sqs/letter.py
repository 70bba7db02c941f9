"""A dead letter: what it is, its cause, and how it goes back."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from handlers.aws.sqs import Attribute, Outgoing, as_delivered, fits
from handlers.control.redrive.ledger import StateRecord
from handlers.worker import messages
from handlers.worker.messages import Message

if TYPE_CHECKING:
    from handlers.errors import IngestionError

UNKNOWN = "Unknown"
COUNT = "redriveCount"
_ORIGIN = "originalMessageId"
_ERROR_TYPE = "errorType"
_ERROR_MESSAGE = "errorMessage"


@dataclass(frozen=True, slots=True)
class Letter:
    """A received dead letter. `sent_at` in ms: when it was sent here, or to the main queue where SQS moved it.

    `counted` is how often it was redriven by our own books, where its attributes have no room for the count. `ordered`
    says that its queues are FIFO; on a standard queue a group has no order and a deduplication id is refused.
    """

    message: Message
    sent_at: int
    counted: int = 0
    ordered: bool = False

    @classmethod
    def from_api(
        cls, raw: Mapping[str, Any], form: messages.Form = messages.PLAIN, *, ordered: bool = False
    ) -> "Letter":
        """Reads a message as `ReceiveMessage` gives it, asked for all attributes of both kinds.

        `form` is that of its pipeline's messages, by which the worker reads the same body.
        """
        record = as_delivered(raw)
        # What a body says takes up to 26 times its size in memory, and is of no use here.
        message = replace(messages.read(record, form), payload={})
        return cls(message, int(record["attributes"]["SentTimestamp"]), ordered=ordered)

    @property
    def id(self) -> str:
        """SQS's id of the message on the dead-letter queue."""
        return self.message.id

    @property
    def redrive_count(self) -> int:
        """How often it has been redriven already."""
        text = self._text(COUNT)
        return max(self.counted, int(text) if text.isdecimal() and len(text) < 10 else 0)

    @property
    def carries_count(self) -> bool:
        """Whether the message for the main queue has room for the count."""
        return self._fitting() is not None

    @property
    def identity(self) -> str:
        """What it shares with itself after a redrive, whatever its attributes have room for."""
        return _digest(self.message.key, self.message.checksum)

    def error_type(self, record: StateRecord | None) -> str:
        """Its cause: the worker's attribute, else what the worker finds, else `Unknown`."""
        return self._text(_ERROR_TYPE) or self._found(record)[0] or UNKNOWN

    def error_message(self, record: StateRecord | None) -> str:
        """The error message; "" where there is none."""
        error_type, message = self._found(record)
        return self._text(_ERROR_MESSAGE) or (message if self._text(_ERROR_TYPE) in ("", error_type) else "")

    def _found(self, record: StateRecord | None) -> tuple[str, str]:
        """Type and message of an error that did not fit the letter, or that SQS knew nothing of.

        What is no payload, and what has another's key, the worker has no record of; it would find the same again.
        """
        error: IngestionError | None = self.message.fault
        if error is None and record is not None and record.checksum != self.message.checksum:
            error = self.message.conflict()
        if error is not None:
            return error.error_type, error.short_message
        return (record.error_type, record.error_message) if record else ("", "")

    def outgoing(self, *, redrive_id: str, delay_seconds: int = 0) -> Outgoing:
        """The message for the main queue: equal, and with its count.

        The id of a message that SQS itself moved is kept as `originalMessageId`, by which the worker knows a success
        whose event it has still to publish. What SQS has no room for is left out: the error message
        first, the count last; that is kept in the control table then.
        """
        fitting = self._fitting()
        return Outgoing(
            self.id,
            self.message.body,
            self.message.attributes if fitting is None else fitting,
            trace_header=self.message.trace_header,
            group_id=self.message.group_id,
            # The same for a repetition under one redrive, another under the next.
            deduplication_id=_digest(redrive_id, self.id) if self.ordered else "",
            delay_seconds=delay_seconds,
        )

    def _fitting(self) -> dict[str, Attribute] | None:
        """The attributes with the count, as many as there is room for; None where there is none for the count."""
        original = self.message.attributes
        counted = original | {COUNT: Attribute("Number", str(self.redrive_count + 1))}
        for choice in ({_ORIGIN: Attribute("String", self.id)} | counted, counted):
            if fits(self.message.body, choice):
                return choice
        lean = {name: value for name, value in counted.items() if name != _ERROR_MESSAGE}
        return lean if fits(self.message.body, lean) else None

    def _text(self, name: str) -> str:
        attribute = self.message.attributes.get(name)
        return attribute.value if attribute and isinstance(attribute.value, str) else ""


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
