"""What becomes of one message of a batch, and what is still owed to it."""

from dataclasses import dataclass

from handlers.shared.claims import Completion, Lease, Status
from handlers.shared.errors import IngestionError
from handlers.shared.messages import Message
from handlers.shared.observability import logger

_MAX_ERROR_MESSAGE = 1024


@dataclass(slots=True)
class Outcome:
    """What became of one message, and what is still owed to it."""

    message: Message
    name: str
    lease: Lease | None = None
    result: str = ""
    error: IngestionError | None = None
    error_type: str = ""
    attempts: int = 0
    processed_at: str = ""
    visibility: int | None = None  # seconds until it shows again; None leaves it as it is
    retry: bool = False
    event: str = ""
    dead_letter: bool = False
    latency_ms: int = 0

    def undo(self, name: str, code: str) -> None:
        """What was to follow did not happen: SQS is to deliver the message again."""
        self.name, self.error_type, self.retry = name, code, True
        self.event, self.dead_letter = "", False

    @property
    def error_message(self) -> str:
        """What went wrong, at most 1,024 characters."""
        return str(self.error or "")[:_MAX_ERROR_MESSAGE]

    def completion(self, lease: Lease) -> Completion:
        """What the state table is to say."""
        if self.error is not None:
            return Completion(lease, Status.FAILED, error_type=self.error_type, error_message=self.error_message)
        status = Status.INFLIGHT if self.name == "handed_back" else Status.SUCCEEDED
        return Completion(lease, status, result=self.result)

    def log(self) -> None:
        """The one line that tells it."""
        fields = {
            "outcome": self.name,
            "idempotencyKey": self.message.key,
            "messageId": self.message.id,
            "correlationId": self.message.correlation_id,
            "processed": self.name == "succeeded",
            "attempts": self.attempts,
            "receiveCount": self.message.receive_count,
            "latencyMs": self.latency_ms,
        }
        if self.error_type:
            logger.error("record failed", extra=fields | {"errorType": self.error_type})
        else:
            logger.info("record done", extra=fields)
