"""The second half of a batch: outcomes written, told, dead-lettered and timed, each for all records in one call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from handlers import clock, jsontext
from handlers.aws import eventbridge
from handlers.aws import sqs as queue
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.idempotency.claims import Status
from handlers.idempotency.store import StateStore
from handlers.observability import logger
from handlers.worker.outcome import Outcome

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient


# From a message's payload and its result to what the bus is to hear beyond the success itself.
Announce = Callable[[jsontext.JsonObject, jsontext.Json], list[eventbridge.Event]]


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerSettings:
    """What the stack decides. Backoff in seconds."""

    pipeline: str
    source: str
    queue_url: str
    dlq_url: str
    bus_name: str
    max_receive_count: int
    backoff_base_seconds: float
    backoff_max_seconds: float


class Settlement:
    """What is still owed after the business steps have run."""

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        store: StateStore,
        sqs: "SQSClient",
        events: "EventBridgeClient",
        announce: Announce | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._sqs = sqs
        self._events = events
        self._announce = announce

    def settle(self, outcomes: Sequence[Outcome], also: Sequence[eventbridge.Event] = ()) -> None:
        """Does all of it; what could not be done turns the outcome of its message into a retry.

        Events in ``also`` go out in the same call; one of those that fails is logged and not tried again.
        """
        self._write_outcomes([o for o in outcomes if o.lease is not None])
        self._tell([o for o in outcomes if o.event], also)
        self._dead_letter([o for o in outcomes if o.dead_letter])
        waits = {o.message.receipt: o.visibility for o in outcomes if o.retry and o.visibility is not None}
        if waits and (refused := queue.change_visibility(self._sqs, self._settings.queue_url, waits)):
            logger.warning("visibility not changed", extra={"errorTypes": sorted(set(refused.values()))})

    def _write_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        if not outcomes:
            return
        lost = self._store.complete([o.completion(o.lease) for o in outcomes if o.lease])
        written = clock.iso(clock.now_ms())
        for outcome in outcomes:
            outcome.processed_at = written
            if code := lost.get(outcome.message.key):
                outcome.undo("unrecorded", code)

    def _tell(self, outcomes: Sequence[Outcome], also: Sequence[eventbridge.Event]) -> None:
        owed: dict[str, list[eventbridge.Event]] = {}
        for outcome in outcomes:
            try:
                owed[outcome.message.id] = [self._event(outcome), *self._announcements(outcome)]
            except AWS_ERRORS as exc:
                outcome.undo("untold", error_code(exc))
        events = [*(event for more in owed.values() for event in more), *also]
        if not events:
            return
        failed = eventbridge.put(self._events, self._settings.bus_name, events)
        for event in also:
            if code := failed.get(event.id):
                logger.error("event not told", extra={"errorType": code, "detailType": event.detail_type})
        for outcome in outcomes:
            if codes := [failed[event.id] for event in owed.get(outcome.message.id, ()) if event.id in failed]:
                outcome.undo("untold", codes[0])

    def _announcements(self, outcome: Outcome) -> list[eventbridge.Event]:
        """What the pipeline adds to a success, made anew from the stored result where the message is redelivered.

        Raises:
            ClientError, BotoCoreError: that result could not be read.
        """
        if self._announce is None or outcome.error is not None:
            return []
        result = outcome.result or self._store.result(outcome.message.key)
        more = self._announce(outcome.message.payload, jsontext.parse(result)) if result else []
        return [replace(event, id=f"{outcome.message.id}#{event.id}") for event in more]

    def _event(self, outcome: Outcome) -> eventbridge.Event:
        message, detail_type = outcome.message, outcome.event
        # A success is one fact however often it is told; each failed attempt is a fact of its own.
        fact: list[str | int] = [message.key, message.checksum, *([outcome.attempts] if outcome.error else [])]
        detail: jsontext.JsonObject = {
            "eventId": eventbridge.event_id(detail_type, self._settings.pipeline, *fact),
            "pipeline": self._settings.pipeline,
            "idempotencyKey": message.key,
            "checksum": message.checksum,
            "messageId": message.id,
            "correlationId": message.correlation_id,
            "attempts": outcome.attempts,
        }
        if outcome.error is None:
            detail |= {"status": Status.SUCCEEDED, "processedAt": outcome.processed_at}
        else:
            detail |= {
                "status": Status.FAILED,
                "errorType": outcome.error_type,
                "errorMessage": outcome.error_message,
                "deadLettered": outcome.dead_letter,
            }
        return eventbridge.Event(message.id, self._settings.source, detail_type, detail)

    def _dead_letter(self, outcomes: Sequence[Outcome]) -> None:
        if not outcomes:
            return
        now = clock.iso(clock.now_ms())
        letters = [o.message.dead_letter(o.error, now, self._settings.pipeline) for o in outcomes if o.error]
        report = queue.send(self._sqs, self._settings.dlq_url, letters)
        for outcome in outcomes:
            if code := report.failed.get(outcome.message.id):
                # SQS itself moves it after the last receive, so a letter that can't be sent is late, not lost.
                outcome.undo("not_dead_lettered", code)
