"""The second half of a batch: outcomes written, told, dead-lettered and timed, each for all records in one call."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handlers.shared import bus, clock, queue, schema
from handlers.shared.claims import Status
from handlers.shared.idempotency import StateStore
from handlers.shared.observability import logger
from handlers.shared.outcome import Outcome

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient


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
        self, settings: WorkerSettings, *, store: StateStore, sqs: "SQSClient", events: "EventBridgeClient"
    ) -> None:
        self._settings = settings
        self._store = store
        self._sqs = sqs
        self._events = events

    def settle(self, outcomes: Sequence[Outcome], also: Sequence[bus.Event] = ()) -> None:
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

    def _tell(self, outcomes: Sequence[Outcome], also: Sequence[bus.Event]) -> None:
        events = [*(self._event(o) for o in outcomes), *also]
        if not events:
            return
        failed = bus.put(self._events, self._settings.bus_name, events)
        for event in also:
            if code := failed.get(event.id):
                logger.error("event not told", extra={"errorType": code, "detailType": event.detail_type})
        for outcome in outcomes:
            if code := failed.get(outcome.message.id):
                outcome.undo("untold", code)

    def _event(self, outcome: Outcome) -> bus.Event:
        message, detail_type = outcome.message, outcome.event
        # A success is one fact however often it is told; each failed attempt is a fact of its own.
        fact: list[str | int] = [message.key, message.checksum, *([outcome.attempts] if outcome.error else [])]
        detail: schema.JsonObject = {
            "eventId": bus.event_id(detail_type, self._settings.pipeline, *fact),
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
        return bus.Event(message.id, self._settings.source, detail_type, detail)

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
