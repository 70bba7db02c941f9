"""The worker: an SQS batch in, exactly `{"batchItemFailures": [...]}` out.

For N new messages it makes one DynamoDB call to claim them, one to write their outcomes and ⌈N/10⌉ `PutEvents`.
The steps stand in an order from which a crash between any two of them ends right on redelivery:

    claim → business step → outcome → dead-letter queue → events → visibility → answer

An outcome that is written but not yet published is published by the redelivery of its message; a message is
acknowledged only after everything that it caused is confirmed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from handlers import clock, jsontext
from handlers.aws import clients, eventbridge
from handlers.aws.sqs import change_visibility, is_fifo
from handlers.deadline import seconds_to_work, time_limit
from handlers.errors import (
    DeadlineExceededError,
    DownstreamError,
    IngestionError,
    RecordedError,
    UnhandledError,
    WorkerDiedError,
)
from handlers.faults import FaultSwitch, make_switch
from handlers.idempotency.claims import Claim, KeyRequest, Lease, Standing, judge
from handlers.idempotency.store import StateStore
from handlers.observability import LambdaContext, logger, start_invocation
from handlers.worker import messages, turns
from handlers.worker.messages import Message
from handlers.worker.outcome import FAILURE, SUCCESS, Announce, Outcome, Settlement, failed, measure
from handlers.worker.trip_wire import TRIPPED, TripWire, is_downstream, may_be_held, seconds_to_outlast
from handlers.worker.turns import Turn

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

_LEAST_SECONDS = 0.001  # a timer of 0 would never go off
_LAST_WAIT_SECONDS = 2.0  # of a copy for the one that is at work; the rest of its batch waits with it
_LOOK_SECONDS = 0.25
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
    outage_seconds: int
    objective_seconds: int  # within which an accepted event should have succeeded
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
        self._ordered = is_fifo(config.queue_url)

    def handle(self, event: Mapping[str, Any], context: LambdaContext) -> BatchResponse:
        """Works one batch; the answer names the messages that SQS is to keep.

        `{"Records": […], "probe": true}` comes from the circuit breaker: it is worked while others are held.
        """
        start_invocation(context.aws_request_id)
        received = messages.unique(event["Records"], self._form)
        received = received if self._ordered else turns.most_received_first(received)
        probe = bool(event.get("probe"))
        outcomes = [] if probe else self._hold(received)
        held = {outcome.message.id for outcome in outcomes}
        if rest := [message for message in received if message.id not in held]:
            outcomes += self._work_all(rest, context, probe=probe)
        return {"batchItemFailures": [{"itemIdentifier": o.message.id} for o in outcomes if o.retry]}

    def _hold(self, received: Sequence[Message]) -> list[Outcome]:
        """Hands new messages back unworked while the breaker is asked to open.

        Of those that were received before the good ones are done with, and others get their longer wait.
        """
        if self._trip_wire is None or not (seconds := self._trip_wire.hold_seconds()):
            return []
        held, groups = [], set[str]()
        for message in received:
            behind = self._ordered and message.group_id in groups
            if behind or may_be_held(message.receive_count, self._config.max_receive_count):
                groups.add(message.group_id)
                held.append(Outcome(message, "held", retry=True, visibility=seconds))
        self._settle(held)
        return held

    def _work_all(self, received: Sequence[Message], context: LambdaContext, *, probe: bool) -> list[Outcome]:
        """Works everybody who is above suspicion and settles them; then suspects, each settled before the next."""
        remaining = context.get_remaining_time_in_millis()
        batch = _Batch(clock.now_ms() + remaining, time.monotonic() + seconds_to_work(remaining))
        claims = self._claim(received, batch.lease_until)
        self._put_off(received, claims)
        plan = turns.schedule(
            turns.turns(received, claims), ordered=self._ordered, max_receive_count=self._config.max_receive_count
        )
        outcomes = [self._take(turn, batch) for turn in plan.together]
        self._settle(outcomes, self._trip(outcomes, probe=probe))
        for turn in (turn for unit in plan.alone for turn in unit):
            outcome = self._take(turn, batch)
            self._settle([outcome], self._trip([outcome], probe=probe))
            self._block_behind(outcome, batch)  # settling may have failed
        return batch.outcomes

    def _put_off(self, received: Sequence[Message], claims: Mapping[str, Claim]) -> None:
        """Gives who may meet an outage at its last receive but one the long wait beforehand, should this worker die.

        Else it would come for the last time after the visibility time-out, and the outage would still be there.
        """
        last_but_one = self._config.max_receive_count - 1
        waits = {
            message.receipt: self._seconds_to_outlast(message)
            for message in received
            if message.receive_count == last_but_one and message.receipt and _has_met_an_outage(claims.get(message.key))
        }
        if waits and (refused := change_visibility(self._settlement.sqs, self._config.queue_url, waits)):
            logger.warning("visibility not changed", extra={"errorTypes": sorted(set(refused.values()))})

    def _seconds_to_outlast(self, message: Message) -> int:
        return seconds_to_outlast(
            message.receive_count,
            max_receive_count=self._config.max_receive_count,
            outage_seconds=self._config.outage_seconds,
        )

    def _settle(self, outcomes: Sequence[Outcome], also: Sequence[eventbridge.Event] = ()) -> None:
        self._settlement.settle(outcomes, also)
        for outcome in outcomes:
            outcome.log()
        measure(self._config.pipeline, outcomes, objective_seconds=self._config.objective_seconds)

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

    def _claim(self, received: Sequence[Message], lease_until: int) -> dict[str, Claim]:
        """Claims each key of a batch once, for the first message that has it; suspects are left for their turn."""
        firsts: dict[str, KeyRequest] = {}
        for message in received:
            if message.fault is None:
                firsts.setdefault(message.key, message.request())
        if not firsts:
            return {}
        return self._store.claim([*firsts.values()], lease_until=lease_until, spare_suspects=True)

    def _take(self, turn: Turn, batch: "_Batch") -> Outcome:
        outcome = self._outcome(turn, batch)
        batch.outcomes.append(outcome)
        self._block_behind(outcome, batch)
        return outcome

    def _block_behind(self, outcome: Outcome, batch: "_Batch") -> None:
        if outcome.retry and self._ordered:  # what follows in its group must wait for it
            batch.blocked.add(outcome.message.group_id)

    def _outcome(self, turn: Turn, batch: "_Batch") -> Outcome:
        message, claim = turn.message, turn.claim
        if message.group_id in batch.blocked:
            lease = claim.lease if claim and not turn.is_repeat else None
            return Outcome(message, "handed_back", lease, retry=True, visibility=0)
        if claim is None:
            assert message.fault is not None  # noqa: S101 - every message without a fault was claimed
            return self._failed(message, message.fault)
        return self._follow(message, claim, batch) if turn.is_repeat else self._lead(turn, claim, batch)

    def _lead(self, turn: Turn, claim: Claim, batch: "_Batch") -> Outcome:
        """The first message of a key in the batch: the one that is worked."""
        message, suspect = turn.message, turn.suspect
        if lapsed := turn.condemned(self._config.max_receive_count):
            return self._failed(message, WorkerDiedError(turn.deaths), lapsed)
        if claim.lease is None and suspect is None:
            claim = self._await_its_turn(message, claim, batch)
            return self._timed(message, claim.lease, batch) if claim.lease else self._not_ours(message, claim)
        if batch.seconds_left() <= 0:
            return self._too_late(turn, claim)
        if suspect:
            self._settlement.delete_last(batch.outcomes, self._config.max_receive_count)
            claim = self._store.take_over(message.request(), suspect, lease_until=batch.lease_until, deaths=turn.deaths)
        return self._timed(message, claim.lease, batch) if claim.lease else self._not_ours(message, claim)

    def _await_its_turn(self, message: Message, claim: Claim, batch: "_Batch") -> Claim:
        """At its last receive a copy waits for the one that is at work: handed back, it would be a dead letter."""
        if message.receive_count < self._config.max_receive_count:
            return claim
        until = time.monotonic() + min(batch.seconds_left(), _LAST_WAIT_SECONDS)
        while claim.standing is Standing.LIVE and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_SECONDS))
            claim = self._store.claim([message.request()], lease_until=batch.lease_until, spare_suspects=True)[
                message.key
            ]
        return claim

    def _too_late(self, turn: Turn, claim: Claim) -> Outcome:
        """Hands back who has no time left; at its last receive, after which SQS moves it, that is its cause."""
        if turn.message.receive_count >= self._config.max_receive_count:
            error = DeadlineExceededError("no time was left for it at its last receive")
            return self._failed(turn.message, error, claim.lease or turn.lapsed)
        wait = self._seconds_to_outlast(turn.message) if _has_met_an_outage(claim) else 0
        return Outcome(turn.message, "handed_back", claim.lease, retry=True, visibility=wait)

    def _timed(self, message: Message, lease: Lease, batch: "_Batch") -> Outcome:
        started = time.monotonic()
        outcome = self._attempt(message, lease, max(batch.seconds_left(), _LEAST_SECONDS))
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
        most = self._config.max_receive_count
        outcome = failed(
            message,
            error,
            lease,
            max_receive_count=most,
            backoff_base_seconds=self._config.retry_backoff_base_seconds,
            backoff_max_seconds=self._config.retry_backoff_max_seconds,
            ordered=self._ordered,
        )
        if outcome.retry and is_downstream(outcome):
            outcome.visibility = max(outcome.visibility or 0, self._seconds_to_outlast(message))
        return outcome

    def _not_ours(self, message: Message, claim: Claim) -> Outcome:
        record = claim.record
        if claim.standing is Standing.CONFLICT:
            return self._failed(message, message.conflict())
        if record is not None and claim.standing is Standing.BURIED:
            error = RecordedError(record.error_type, record.error_message)
            return Outcome(message, "redelivered", error=error, attempts=record.attempts, event=FAILURE, buried=True)
        if record is None or claim.standing not in (Standing.DONE, Standing.LIVE):
            return Outcome(message, "unclaimed", error_type=claim.error, retry=True)
        if claim.standing is Standing.LIVE:
            wait = max(-(-(record.lease_until - clock.now_ms()) // 1000), 0) + 1
            if _has_met_an_outage(claim):  # the other one meets it just now: back so soon, this one would, too
                wait = max(wait, self._seconds_to_outlast(message))
            return Outcome(message, "leased", retry=True, visibility=wait)
        outcome = Outcome(message, "duplicate", attempts=record.attempts, processed_at=record.processed_at)
        if message.is_same_as(record.message_id):  # its outcome was written, but perhaps never published
            outcome.name, outcome.event = "redelivered", SUCCESS
        return outcome

    def _follow(self, message: Message, claim: Claim, batch: "_Batch") -> Outcome:
        """A message whose key came earlier in the batch is judged by what that one met, or follows it."""
        record = claim.record
        if record is not None and claim.lease is None:  # the key is not ours, and says how this message stands to it
            now = clock.now_ms()
            standing = judge(record, message.request(), now_ms=now, lease_until=batch.lease_until)
            if standing in (Standing.CONFLICT, Standing.DONE, Standing.LIVE):
                return self._not_ours(message, Claim(None, standing, record))
        first = next((o for o in batch.outcomes if o.message.key == message.key and o.message.fault is None), None)
        if first is None:
            return Outcome(message, "handed_back", retry=True, visibility=0)
        same = first.message.checksum == message.checksum
        if first.lease is not None and not same:
            return self._failed(message, message.conflict())
        if same and first.name in ("succeeded", "duplicate", "redelivered"):
            return Outcome(message, "duplicate", lease=None, attempts=first.attempts)
        # Back at once it would take the key over before the first one's wait is up, and use up its own receives.
        wait = first.visibility if first.retry else 0
        if is_downstream(first):
            wait = max(wait or 0, self._seconds_to_outlast(message))
        return Outcome(message, "handed_back", retry=True, visibility=wait)


def _has_met_an_outage(claim: Claim | None) -> bool:
    """Whether the attempt before this one failed by the downstream, also by an adopter's own kind of that error."""
    return bool(claim and claim.record and claim.record.error_type in _names(DownstreamError))


def _names(error: type[Exception]) -> set[str]:
    return {error.__name__}.union(*map(_names, error.__subclasses__()))


@dataclass(slots=True)
class _Batch:
    """A batch at work. `lease_until` in ms since the epoch, `stop_at` in seconds of the monotonic clock."""

    lease_until: int
    stop_at: float
    outcomes: list[Outcome] = field(default_factory=list)
    blocked: set[str] = field(default_factory=set)  # message groups whose rest has to wait

    def seconds_left(self) -> float:
        """For business steps."""
        return self.stop_at - time.monotonic()


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
