"""The worker: an SQS batch in, exactly `{"batchItemFailures": [...]}` out.

For N new messages it makes one DynamoDB call to claim them, one to write their outcomes and ⌈N/10⌉ `PutEvents`.
The steps stand in an order from which a crash between any two of them ends right on redelivery:

    claim → business step → outcome → events → dead-letter queue → visibility → answer

An outcome that is written but not yet published is published by the redelivery of its message; a message is
acknowledged only after everything that it caused is confirmed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handlers import clock, jsontext
from handlers.aws import clients, eventbridge
from handlers.deadline import seconds_to_work, time_limit
from handlers.errors import IdempotencyConflictError, IngestionError, UnhandledError
from handlers.faults import FaultSwitch, make_switch
from handlers.idempotency.claims import Claim, KeyRequest, Lease, Standing
from handlers.idempotency.store import StateStore
from handlers.observability import LambdaContext, start_invocation
from handlers.worker import messages
from handlers.worker.messages import Message
from handlers.worker.outcome import SUCCESS, Announce, Outcome, Settlement, failed, measure
from handlers.worker.trip_wire import TRIPPED, TripWire, is_downstream

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

Process = Callable[[jsontext.JsonObject], jsontext.Json]
BatchResponse = dict[str, list[dict[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEnv:
    """What the environment of every worker must say. Backoff in seconds."""

    environment: str
    pipeline: str
    queue_url: str
    dlq_url: str
    table_name: str
    event_bus_name: str
    ttl_days: int
    max_receive_count: int
    retry_backoff_base_seconds: float
    retry_backoff_max_seconds: float
    breaker_hold_seconds: int
    failure_mode_parameter: str = ""  # set only where the failure lab exists


class Worker:
    """Works batches of one pipeline's queue; `source` is that of its events."""

    def __init__(  # noqa: PLR0913 - what a worker works with
        self,
        config: WorkerEnv,
        source: str,
        *,
        store: StateStore,
        sqs: "SQSClient",
        events: "EventBridgeClient",
        process: Process,
        faults: FaultSwitch | None = None,
        trip_wire: TripWire | None = None,
        form: messages.Form = messages.PLAIN,
        announce: Announce | None = None,
    ) -> None:
        self._config = config
        self._source = source
        self._store = store
        self._settlement = Settlement(
            pipeline=config.pipeline,
            source=source,
            queue_url=config.queue_url,
            dlq_url=config.dlq_url,
            bus_name=config.event_bus_name,
            store=store,
            sqs=sqs,
            events=events,
            announce=announce,
        )
        self._process = process
        self._faults = faults
        self._trip_wire = trip_wire
        self._form = form

    def handle(self, event: Mapping[str, Any], context: LambdaContext) -> BatchResponse:
        """Works one batch; the answer names the messages that SQS is to keep.

        `{"Records": […], "probe": true}` comes from the circuit breaker: it is worked while others are held.
        """
        start_invocation(context.aws_request_id)
        received = messages.unique(event["Records"], self._form)
        probe = bool(event.get("probe"))
        if self._trip_wire and not probe and (seconds := self._trip_wire.hold_seconds()):
            outcomes = [Outcome(message, "held", retry=True, visibility=seconds) for message in received]
            self._settlement.settle(outcomes)
        else:
            outcomes = self._work_all(received, context)
            self._settlement.settle(outcomes, self._trip(outcomes, probe=probe))
        for outcome in outcomes:
            outcome.log()
        measure(self._config.pipeline, outcomes)
        return {"batchItemFailures": [{"itemIdentifier": o.message.id} for o in outcomes if o.retry]}

    def _trip(self, outcomes: Sequence[Outcome], *, probe: bool) -> list[eventbridge.Event]:
        """The event that asks the circuit breaker to open, where the batch shows that the downstream is out."""
        if self._trip_wire is None or not self._trip_wire.observe(outcomes) or probe:
            return []
        key = next(o.message.key for o in outcomes if is_downstream(o))
        for outcome in filter(is_downstream, outcomes):
            outcome.visibility = max(outcome.visibility or 0, self._trip_wire.seconds)
        detail: jsontext.JsonObject = {
            "pipeline": self._config.pipeline,
            "idempotencyKey": key,
            "trippedAt": clock.now_ms(),
        }
        return [eventbridge.Event("trip", self._source, TRIPPED, detail)]

    def _work_all(self, received: Sequence[Message], context: LambdaContext) -> list[Outcome]:
        remaining = context.get_remaining_time_in_millis()
        lease_until = clock.now_ms() + remaining
        stop_at = time.monotonic() + seconds_to_work(remaining)
        firsts, repeats = messages.fold(received)
        outcomes = self._first_outcomes(firsts, lease_until=lease_until, stop_at=stop_at)
        return outcomes + [self._follow(message, outcomes) for message in repeats]

    def _first_outcomes(self, firsts: Sequence[Message], *, lease_until: int, stop_at: float) -> list[Outcome]:
        requests = [KeyRequest(m.key, m.checksum, m.id, m.body) for m in firsts if m.fault is None]
        claims = self._store.claim(requests, lease_until=lease_until) if requests else {}
        outcomes = []
        blocked: set[str] = set()
        for message in firsts:
            outcome = self._work(message, claims.get(message.key), blocked=message.group_id in blocked, stop_at=stop_at)
            outcomes.append(outcome)
            if outcome.retry and message.group_id:  # FIFO: what follows in its group must wait for it
                blocked.add(message.group_id)
        return outcomes

    def _work(self, message: Message, claim: Claim | None, *, blocked: bool, stop_at: float) -> Outcome:
        if message.fault is not None:
            return self._failed(message, message.fault)
        assert claim is not None  # noqa: S101 - every message without a fault was claimed
        if claim.lease is None:
            return self._not_ours(message, claim)
        if blocked or (seconds := stop_at - time.monotonic()) <= 0:
            return Outcome(message, "handed_back", claim.lease, retry=True, visibility=0)
        started = time.monotonic()
        outcome = self._attempt(message, claim.lease, seconds)
        outcome.latency_ms = round((time.monotonic() - started) * 1000)
        return outcome

    def _attempt(self, message: Message, lease: Lease, seconds: float) -> Outcome:
        try:
            if self._faults:
                redriven = "redriveCount" in message.attributes
                self._faults.disturb(
                    message.key, lease.attempts, message.payload, seconds_left=seconds, redriven=redriven
                )
            with time_limit(seconds):
                result = jsontext.compact(self._process(message.payload))
        except IngestionError as exc:
            return self._failed(message, exc, lease)
        except Exception as exc:  # noqa: BLE001 - the step is an adopter's: its bug must not fail the other records
            return self._failed(message, UnhandledError(exc), lease)
        return Outcome(message, "succeeded", lease, result=result, attempts=lease.attempts, event=SUCCESS)

    def _failed(self, message: Message, error: IngestionError, lease: Lease | None = None) -> Outcome:
        return failed(
            message,
            error,
            lease,
            max_receive_count=self._config.max_receive_count,
            backoff_base_seconds=self._config.retry_backoff_base_seconds,
            backoff_max_seconds=self._config.retry_backoff_max_seconds,
        )

    def _not_ours(self, message: Message, claim: Claim) -> Outcome:
        record = claim.record
        if claim.standing is Standing.CONFLICT:
            return self._failed(message, _conflict(message))
        if record is None or claim.standing not in (Standing.DONE, Standing.LIVE):
            return Outcome(message, "unclaimed", error_type=claim.error, retry=True)
        if claim.standing is Standing.LIVE:
            wait = -(-(record.lease_until - clock.now_ms()) // 1000)
            return Outcome(message, "leased", retry=True, visibility=max(wait, 0) + 1)
        outcome = Outcome(message, "duplicate", attempts=record.attempts, processed_at=record.processed_at)
        if message.is_same_as(record.message_id):  # its outcome was written, but perhaps never published
            outcome.name, outcome.event = "redelivered", SUCCESS
        return outcome

    def _follow(self, message: Message, outcomes: Sequence[Outcome]) -> Outcome:
        """A message whose key came earlier in the batch follows that one, or comes back to be judged on its own."""
        first = next(o for o in outcomes if o.message.key == message.key)
        same = first.message.checksum == message.checksum
        if first.lease is not None and not same:
            return self._failed(message, _conflict(message))
        if same and first.name in ("succeeded", "duplicate", "redelivered"):
            return Outcome(message, "duplicate", lease=None, attempts=first.attempts)
        return Outcome(message, "handed_back", retry=True, visibility=0)


def _conflict(message: Message) -> IdempotencyConflictError:
    return IdempotencyConflictError(f"key {message.key} is bound to another payload")


def make_worker(  # noqa: PLR0913 - what pipelines differ in
    config: WorkerEnv,
    source: str,
    process: Process,
    *,
    dynamodb: "DynamoDBClient",
    announce: Announce | None = None,
    form: messages.Form = messages.PLAIN,
    faults: "Callable[[SSMClient, str], FaultSwitch]" = FaultSwitch,
) -> Worker:
    """A worker with clients of its own; `source` is that of its events, `process` its business step."""
    hold = config.breaker_hold_seconds
    return Worker(
        config,
        source,
        store=StateStore(dynamodb, config.table_name, pipeline=config.pipeline, ttl_days=config.ttl_days),
        sqs=clients.client("sqs"),
        events=clients.client("events"),
        process=process,
        announce=announce,
        trip_wire=TripWire(hold_seconds=hold, max_receive_count=config.max_receive_count) if hold else None,
        faults=make_switch(config.failure_mode_parameter, faults),
        form=form,
    )
