"""What becomes of one message of a batch, and what is still owed to it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from handlers.errors import IngestionError
from handlers.idempotency.claims import Completion, Lease, Status
from handlers.observability import count, logger
from handlers.worker.messages import Message

Name = Literal[
    "succeeded",
    "duplicate",
    "redelivered",
    "dead_lettered",
    "retried",
    "exhausted",
    "handed_back",
    "leased",
    "held",
    "unclaimed",
    "unrecorded",
    "untold",
    "not_dead_lettered",
]
# The metric that counts a record, by its outcome.
METRICS: dict[Name, str] = {
    "succeeded": "Succeeded",
    "duplicate": "Duplicates",
    "redelivered": "Duplicates",
    "dead_lettered": "DeadLettered",
    "retried": "Retried",
    "exhausted": "Retried",
    "handed_back": "HandedBack",
    "leased": "HandedBack",
    "held": "HandedBack",
    "unclaimed": "Unsettled",
    "unrecorded": "Unsettled",
    "untold": "Unsettled",
    "not_dead_lettered": "Unsettled",
}
LATENCY = "ProcessingLatency"


@dataclass(slots=True)
class Outcome:
    """What became of one message, and what is still owed to it."""

    message: Message
    name: Name
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
    latency_ms: int | None = None  # of the business step; None where it did not run

    def undo(self, name: Name, code: str) -> None:
        """What was to follow did not happen: SQS is to deliver the message again."""
        self.name, self.error_type, self.retry = name, code, True
        self.event, self.dead_letter = "", False

    @property
    def error_message(self) -> str:
        """What went wrong, "" where nothing did."""
        return self.error.short_message if self.error else ""

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
            "latencyMs": self.latency_ms or 0,
        }
        if self.error_type:
            logger.error("record failed", extra=fields | {"errorType": self.error_type})
        else:
            logger.info("record done", extra=fields)


def measure(pipeline: str, outcomes: Sequence[Outcome]) -> None:
    """The metrics of a batch: how many records ended how, and how long the business steps took."""
    latencies = [outcome.latency_ms for outcome in outcomes if outcome.latency_ms is not None]
    count(pipeline, Counter(METRICS[outcome.name] for outcome in outcomes), milliseconds={LATENCY: latencies})
