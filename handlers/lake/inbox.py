"""The queue of S3's notices: a message announces an object, seldom more, and is kept until all of them are ingested.

A message whose objects can't be ingested for good is a dead letter at once, with its cause. Any other failure is tried
again, after a while, until SQS itself moves the message.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handlers import clock
from handlers.aws import retry
from handlers.aws.sqs import change_visibility, send_messages
from handlers.deadline import seconds_to_work, time_limit
from handlers.errors import DownstreamError, IngestionError, PermanentError
from handlers.lake import notice
from handlers.lake.intake import Intake, Invocation, NotIngestedError, ObjectLeasedError
from handlers.observability import LambdaContext, logger
from handlers.worker import messages
from handlers.worker.messages import Message
from handlers.worker.trip_wire import seconds_to_outlast
from handlers.worker.worker import BatchResponse

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """Takes messages of a pipeline's notices. An attempt that failed is repeated after `retry_seconds` at the most."""

    pipeline: str
    queue_url: str
    dlq_url: str
    retry_seconds: int
    max_receive_count: int
    outage_seconds: int
    intake: Intake
    sqs: "SQSClient"

    def take(self, records: Iterable[Mapping[str, Any]], context: LambdaContext) -> BatchResponse:
        """Ingests what a batch announces; the answer names the messages that SQS is to keep."""
        kept: list[Message] = []
        letters: list[tuple[Message, IngestionError]] = []
        waits: dict[str, int] = {}
        for message in messages.unique(records, notice.FORM):
            error = self._failure(message, context)
            if isinstance(error, PermanentError):
                letters.append((message, error))
            elif error is not None:
                kept.append(message)
                waits[message.receipt] = self._wait(message, error)
        kept += self._dead_letter(letters)
        if waits and (refused := change_visibility(self.sqs, self.queue_url, waits)):
            logger.warning("visibility not changed", extra={"errorTypes": sorted(set(refused.values()))})
        return {"batchItemFailures": [{"itemIdentifier": message.id} for message in kept]}

    def _failure(self, message: Message, context: LambdaContext) -> IngestionError | None:
        """Why the message is not done with, None where it is; what is transient comes before what is permanent."""
        remaining = context.get_remaining_time_in_millis()
        try:
            if message.fault is not None:
                raise message.fault
            with time_limit(seconds_to_work(remaining)):
                is_last = message.receive_count >= self.max_receive_count  # SQS moves it at the next receive
                invocation = Invocation.of(message.id, remaining, is_last=is_last)
                self.intake.take_all(notice.read(message.payload, self.pipeline), invocation)
        except NotIngestedError as exc:
            return next((one for one in exc.failures if not isinstance(one, PermanentError)), exc.failures[0])
        except IngestionError as exc:
            logger.error("notice not taken", extra={"errorType": exc.error_type, "messageId": message.id})
            return exc
        return None

    def _wait(self, message: Message, error: IngestionError) -> int:
        """Seconds until the next attempt, jittered: long, because no circuit breaker spares the receives here."""
        if isinstance(error, ObjectLeasedError):
            return max(0, -(-(error.lease_until - clock.now_ms()) // 1000)) + 1
        half = self.retry_seconds / 2
        wait = round(half + retry.backoff_seconds(0, base=half, cap=half))
        if not isinstance(error, DownstreamError):
            return wait
        long = seconds_to_outlast(
            message.receive_count, max_receive_count=self.max_receive_count, outage_seconds=self.outage_seconds
        )
        return max(wait, long)

    def _dead_letter(self, letters: list[tuple[Message, IngestionError]]) -> list[Message]:
        """Sends dead letters; returns those that it could not send, which SQS itself moves in the end."""
        if not letters:
            return []
        now = clock.iso(clock.now_ms())
        report = send_messages(
            self.sqs, self.dlq_url, [message.dead_letter(error, now, self.pipeline) for message, error in letters]
        )
        for message, _ in letters:
            done = message.id not in report.failed
            logger.info("notice dead-lettered" if done else "notice kept", extra={"messageId": message.id})
        return [message for message, _ in letters if message.id in report.failed]
