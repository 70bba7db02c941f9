"""What becomes of one message of a batch, and the second half of the batch: all that follows from the outcomes."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from handlers import clock, jsontext
from handlers.aws import eventbridge, retry
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.aws.sqs import change_visibility, delete_messages, is_fifo, send_in_order, send_messages
from handlers.errors import DeadlineExceededError, IngestionError, PermanentError, TransientError, UnhandledError, trace
from handlers.idempotency.claims import Completion, Lease, Status
from handlers.idempotency.store import StateStore
from handlers.observability import count, logger
from handlers.worker.messages import Message

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

# From a message's payload and its result to the events to publish beyond the success itself.
Announce = Callable[[jsontext.JsonObject, jsontext.Json], list[eventbridge.Event]]
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
RETRIED_AGE = "RetriedAge"
MISSED = "Missed"
_ENDS: frozenset[Name] = frozenset({"succeeded", "dead_lettered", "exhausted"})
POISON_RECEIVES = 3  # from so many receives on, SQS leaves a message out of its ApproximateAgeOfOldestMessage
SUCCESS = "IngestionSuccess"
FAILURE = "IngestionFailure"


@dataclass(slots=True)
class Outcome:
    """What became of one message, and what is still to follow from it."""

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
    dead_letter: bool = False  # one is to be sent
    buried: bool = False  # it has been
    is_last: bool = False  # SQS moves the message if it is not acknowledged now
    latency_ms: int | None = None  # of the business step; None where it did not run
    deleted: bool = False  # from the queue, before the batch has ended

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
            # A probe of the breaker is a copy: the message itself comes when it would have.
            waits = self.name == "retried" and self.visibility is not None and self.message.receipt
            return Completion(
                lease,
                Status.FAILED,
                error_type=self.error_type,
                error_message=self.error_message,
                final=self.name != "retried",
                next_attempt_at=clock.now_ms() + 1000 * (self.visibility or 0) if waits else None,
            )
        status = Status.INFLIGHT if self.name == "handed_back" else Status.SUCCEEDED
        return Completion(lease, status, result=self.result)

    def log(self) -> None:
        """Logs it, in one line."""
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
        if isinstance(self.error, TransientError):  # what is to be repaired; a dead letter has its cause with it
            fields["errorMessage"] = jsontext.without_values(self.error_message, self.message.payload)
        if isinstance(self.error, UnhandledError | DeadlineExceededError):  # a bug of the step's: what finds it
            frames = trace(self.error)
            fields |= {"errorPlace": frames[-1].partition(" ")[0] if frames else "", "errorTrace": frames}
        if self.error_type:
            logger.error("record failed", extra=fields | {"errorType": self.error_type})
        else:
            logger.info("record done", extra=fields)


def failed(  # noqa: PLR0913 - the limits come by name
    message: Message,
    error: IngestionError,
    lease: Lease | None,
    *,
    max_receive_count: int,
    backoff_base_seconds: float,
    backoff_max_seconds: float,
    ordered: bool = False,
) -> Outcome:
    """Decide between the dead-letter queue and another attempt.

    A permanent error is dead-lettered on its first attempt; that of a copy, which a probe of the breaker is, is left to
    the message itself, so that there is one letter. Any other is retried with backoff, until SQS itself moves
    the message at the receive after `max_receive_count`. On a FIFO queue (`ordered`) those that were received behind it
    have been received as often: they would be moved with it, untried, so it is dead-lettered at its last receive.
    """
    outcome = Outcome(message, "retried", lease, error=error, error_type=error.error_type, retry=True)
    outcome.attempts = lease.attempts if lease else 0
    if isinstance(error, PermanentError) and not message.receipt:
        return Outcome(message, "handed_back", lease, attempts=outcome.attempts)
    outcome.is_last = message.receive_count >= max_receive_count
    if isinstance(error, PermanentError) or (ordered and outcome.is_last):
        outcome.name, outcome.retry, outcome.dead_letter, outcome.event = "dead_lettered", False, True, FAILURE
        return outcome
    if outcome.is_last:
        outcome.name, outcome.event = "exhausted", FAILURE
    outcome.visibility = round(
        retry.backoff_seconds(message.receive_count - 1, base=backoff_base_seconds, cap=backoff_max_seconds)
    )
    return outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The second half of a batch: outcomes written, published, dead-lettered and timed, each for all in one call."""

    pipeline: str
    source: str
    queue_url: str
    dlq_url: str
    bus_name: str
    store: StateStore
    sqs: "SQSClient"
    events: "EventBridgeClient"
    announce: Announce | None = None

    def settle(self, outcomes: Sequence[Outcome], also: Sequence[eventbridge.Event] = ()) -> None:
        """Does all of it; what could not be done turns the outcome of its message into a retry.

        Events in `also` go out in the same call; one of those that fails is logged and not tried again.
        """
        self._write_outcomes([o for o in outcomes if o.lease is not None])
        self._dead_letter([o for o in outcomes if o.dead_letter])
        self._publish([o for o in outcomes if o.event], also)
        waits = {
            o.message.receipt: o.visibility
            for o in outcomes
            if o.retry and o.visibility is not None and o.message.receipt
        }
        if waits and (refused := change_visibility(self.sqs, self.queue_url, waits)):
            logger.warning("visibility not changed", extra={"errorTypes": sorted(set(refused.values()))})

    def delete_last(self, outcomes: Sequence[Outcome], max_receive_count: int) -> None:
        """Deletes what is done with and at its last receive, before a suspect is started.

        If the worker died, SQS would deliver the others again, but move these to the dead-letter queue.
        """
        last = [o for o in outcomes if not o.retry and not o.deleted and o.message.receive_count >= max_receive_count]
        if not last:
            return
        if refused := delete_messages(self.sqs, self.queue_url, [o.message.receipt for o in last]):
            logger.warning("message not deleted", extra={"errorTypes": sorted(set(refused.values()))})
        for outcome in last:
            outcome.deleted = True

    def _write_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        if not outcomes:
            return
        lost = self.store.complete([o.completion(o.lease) for o in outcomes if o.lease])
        written = clock.iso(clock.now_ms())
        for outcome in outcomes:
            outcome.processed_at = written
            if code := lost.get(outcome.message.key):
                outcome.undo("unrecorded", code)

    def _publish(self, outcomes: Sequence[Outcome], also: Sequence[eventbridge.Event]) -> None:
        due: dict[str, list[eventbridge.Event]] = {}
        for outcome in outcomes:
            try:
                due[outcome.message.id] = [self._event(outcome), *self._announcements(outcome)]
            except AWS_ERRORS as exc:
                outcome.undo("untold", error_code(exc))
        events = [*(event for more in due.values() for event in more), *also]
        if not events:
            return
        failed = eventbridge.put(self.events, self.bus_name, events)
        for event in also:
            if code := failed.get(event.id):
                logger.error("event not published", extra={"errorType": code, "detailType": event.detail_type})
        self._tell_again(
            {
                outcome.message.id: (outcome, codes[0])
                for outcome in outcomes
                if (codes := [failed[event.id] for event in due.get(outcome.message.id, ()) if event.id in failed])
            }
        )

    def _tell_again(self, untold: Mapping[str, tuple[Outcome, str]]) -> None:
        """Has SQS deliver again what could not be published.

        A message whose dead letter has been sent would be sent a second time, unless its record says so. One that has
        no record, because it is no payload or a conflict, is done with: its letter says all.
        """
        sent = {one: outcome for one, (outcome, _) in untold.items() if outcome.name == "dead_lettered"}
        leases = {one: outcome.lease for one, outcome in sent.items() if outcome.lease}
        unknown = {one: "" for one in sent if one not in leases} | (self.store.bury(leases) if leases else {})
        for one, (outcome, code) in untold.items():
            if one in unknown:
                fields = {"errorType": code, "detailType": outcome.event, "messageId": one}
                logger.error("event not published", extra=fields)
            else:
                outcome.undo("untold", code)

    def _announcements(self, outcome: Outcome) -> list[eventbridge.Event]:
        """What the pipeline adds to a success, made anew from the stored result where the message is redelivered.

        Raises:
            ClientError, BotoCoreError: that result could not be read.
        """
        if self.announce is None or outcome.error is not None:
            return []
        result = outcome.result or self.store.result(outcome.message.key)
        more = self.announce(outcome.message.payload, jsontext.load(result)) if result else []
        return [replace(event, id=f"{outcome.message.id}#{event.id}") for event in more]

    def _event(self, outcome: Outcome) -> eventbridge.Event:
        message, detail_type = outcome.message, outcome.event
        # A success is one fact however often it is published; each failed attempt is a fact of its own.
        fact: list[str | int] = [message.key, message.checksum, *([outcome.attempts] if outcome.error else [])]
        detail: jsontext.JsonObject = {
            "eventId": eventbridge.event_id(detail_type, self.pipeline, *fact),
            "pipeline": self.pipeline,
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
                "errorType": outcome.error.error_type,
                "errorMessage": outcome.error_message,
                "deadLettered": outcome.buried,
            }
        return eventbridge.Event(message.id, self.source, detail_type, detail)

    def _dead_letter(self, outcomes: Sequence[Outcome]) -> None:
        if not outcomes:
            return
        now = clock.iso(clock.now_ms())
        letters = [o.message.dead_letter(o.error, now, self.pipeline) for o in outcomes if o.error]
        send = send_in_order if is_fifo(self.dlq_url) else send_messages
        report = send(self.sqs, self.dlq_url, letters)
        for outcome in outcomes:
            if code := report.failed.get(outcome.message.id):
                # SQS itself moves it after the last receive, so a letter that can't be sent is late, not lost.
                outcome.undo("not_dead_lettered", code)
                outcome.event = FAILURE if outcome.is_last else ""
            else:
                outcome.buried = True


def missed(outcome: Outcome, now_ms: int, objective_seconds: int) -> int | None:
    """Whether an event that has ended missed the objective (1) or met it (0); None for what is no such end.

    No end is the probe of the breaker, a copy, and what was redriven: that was counted when it died.
    """
    message = outcome.message
    if outcome.name not in _ENDS or not message.sent_at or "redriveCount" in message.attributes:
        return None
    return int(outcome.name != "succeeded" or now_ms - message.sent_at > objective_seconds * 1000)


def measure(pipeline: str, outcomes: Sequence[Outcome], *, objective_seconds: int) -> None:
    """The metrics of a batch: how many records ended how, how long the business steps took, who missed the objective.

    And how old the oldest is of those that go back to the queue and that SQS's own metric leaves out.
    """
    now = clock.now_ms()
    ends = [missed(outcome, now, objective_seconds) for outcome in outcomes]
    latencies = [outcome.latency_ms for outcome in outcomes if outcome.latency_ms is not None]
    poison = [o.message for o in outcomes if o.retry and o.message.receive_count >= POISON_RECEIVES]
    back = [message.sent_at for message in poison if message.sent_at]
    count(
        pipeline,
        Counter(METRICS[outcome.name] for outcome in outcomes),
        milliseconds={LATENCY: latencies},
        each={MISSED: [end for end in ends if end is not None]},
        seconds={RETRIED_AGE: max(0, now - min(back)) // 1000} if back else {},
    )
