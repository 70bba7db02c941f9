"""Lambda entry point: the circuit breaker of one pipeline. It alone changes the breaker's state.

A worker whose downstream fails asks for it by the event `CircuitTripped`. OPEN pauses the queue's consumer, so
that the queue, not the receive counts, takes the outage. Every tick probes with one real event, invoked on the worker
directly: the one that failed, from its state record, which costs no receive. Where the record does not have it (a
large payload), one message is taken from the queue, and a copy kept for the probes to come. Once an event has
succeeded, the consumer goes on. With nothing to try it stays paused: that is no answer, nor is an event that fails for
good.

It may be the event and not the downstream. So after 1, 2, 4, 8, 16, 24 … failed probes another message is taken to
probe with. Where another one succeeds, no trip is believed for five minutes: only some events meet this outage, and
each of their messages waits for itself (handlers.worker.trip_wire), so nothing is lost by it, and the others are not
stopped again and again.

What is taken from a FIFO queue cannot be sent anew, so one message is taken there, once. Where all of 16 probes have
failed, nobody can tell an outage from two bad events. So it closes without an answer, its consumer is the probe, and
for those five minutes each message waits for itself, bad ones come to their end, the groups of others go on. If it was
an outage, it opens again, and takes no other message, until a probe succeeds.

States: CLOSED → OPEN → HALF_OPEN (a probe is under way, under a lease) → CLOSED or OPEN. Each write is conditional on
the version that was read, so of two invocations one probes and the other leaves. Opening writes the state before it
pauses, closing resumes before it writes, so a crash in between is mended by the next tick.

The first tick of all writes CLOSED. So where there is no state it has been lost, and the consumer's own tells: paused
is OPEN. CLOSED and paused is what people have paused by hand; that is left to them. Where the state can't be read, the
consumer is left as it is.

Lambda changes a consumer in the background and refuses a second change until the first is through. So the consumer is
asked for its state before it is told anything, and waited for while another change is under way.
"""

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING, Any

from handlers import clock, env, jsontext
from handlers.aws import clients, eventbridge, retry
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.aws.control_table import ConditionFailedError, ControlTable, Item, Key
from handlers.aws.sqs import is_fifo
from handlers.control.forms import FORMS
from handlers.control.sample import NOWHERE, Copies, Kept, Queue, Sample
from handlers.errors import Detail, SchemaValidationError
from handlers.idempotency.claims import Status
from handlers.idempotency.keys import MAX_KEY_BYTES, partition_key
from handlers.observability import LambdaContext, count, logger, start_invocation
from handlers.worker import messages
from handlers.worker.trip_wire import TRIPPED

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

OPEN = "OPEN"
HALF_OPEN = "HALF_OPEN"
CLOSED = "CLOSED"
OPENED_EVENT = "CircuitOpened"
CLOSED_EVENT = "CircuitClosed"
_TRIP = ("idempotencyKey", "trippedAt")
# A state of the consumer that it is in or on the way to, so that nothing has to be said; in any other one there is.
_RUNNING = ("Enabled", "Enabling")
_PAUSED = ("Disabled", "Disabling")
_STEADY = ("Enabled", "Disabled")  # in every other state Lambda refuses a change
_REFUSED_MEANWHILE = ("ResourceInUseException", "ResourceConflictException")  # and the SDK does not repeat the call
_LOOKS = 20
_BETWEEN_LOOKS_SECONDS = 5.0  # at most
_LAST_LOOK_MS = 6_000  # before the invocation's end: a pause, and the call after it
_AFTER_A_PROBE_SECONDS = 30  # that a message stays out of sight for, should the invocation die
_PROBES_PER_EVENT = 8  # at most, before another is asked
_FIFO_PROBES = 16  # that fail before the queue's own consumer is the probe
_PARTIAL_MS = 5 * 60_000  # for which no trip is believed, for perhaps it is not everybody's outage


@dataclass(frozen=True, slots=True)
class Env:
    """What the function's environment must say."""

    environment: str
    pipeline: str
    event_source: str
    control_table_name: str
    state_table_name: str
    event_bus_name: str
    event_source_mapping_id: str
    worker_function_name: str
    queue_url: str
    max_receive_count: int


@dataclass(frozen=True, slots=True)
class State:
    """The breaker as it is kept. `changed_at` (last opened or closed) and `lease_until` (of a probe) in ms.

    `key` is the event that probes ("": another is to be found), `kept` where its copy is; `probes` counts those that
    failed, `replaced_at` is their count when another event took over last (0: none has). Trips up to `deaf_until` (ms)
    are not believed. `unanswered` is whether it closed last without a success (FIFO). `version` 0 was never written, or
    is lost.
    """

    name: str = CLOSED
    changed_at: int = 0
    key: str = ""
    probes: int = 0
    lease_until: int = 0
    version: int = 0
    kept: Kept = NOWHERE
    replaced_at: int = 0
    deaf_until: int = 0
    unanswered: bool = False

    def needs_another(self, *, fifo: bool) -> bool:
        """Whether it is time to ask another event: after 1, 2, 4, 8 failed probes, then after every eighth.

        Seldom, for it costs a receive; but not ever more seldom: a breaker that has been open for hours because of one
        event, with no other to ask, must not take hours to ask the first that comes.
        """
        if not self.probes or (fifo and (self.replaced_at or self.unanswered)):
            return False
        step = min(1 << (self.probes.bit_length() - 1), _PROBES_PER_EVENT)
        return self.replaced_at < self.probes - self.probes % step


class Verdict(Enum):
    """What a probe says of the downstream.

    NONE: the worker did not try the event, it was done or could not be read; or it failed for good, perhaps before it
    had come to the downstream.
    """

    ANSWERS = auto()
    FAILS = auto()
    NONE = auto()


class LostRaceError(Exception):
    """Another invocation has changed the breaker since it was read: that one acts, this one leaves."""


class ConsumerBusyError(Exception):
    """The consumer was still being changed when the time was up: Lambda tries again, and so does the next tick."""


class States:
    """The state of one pipeline's breaker in the control table, written by one invocation at a time."""

    def __init__(self, table: ControlTable, pipeline: str) -> None:
        self._table = table
        self._key = Key(partition(pipeline), "state")

    def load(self) -> State:
        """The state as it is now; of version 0 where there is none.

        Raises:
            ClientError, BotoCoreError: DynamoDB failed.
        """
        item: dict[str, Any] | None = self._table.get(self._key)
        if item is None:
            return State()
        return State(
            item["state"],
            item["changedAt"],
            item["key"],
            item["probes"],
            item["leaseUntil"],
            item["version"],
            Kept(item.get("keptId", ""), item.get("keptParts", 0)),
            item.get("replacedAt", 0),
            item.get("deafUntil", 0),
            item.get("unanswered", False),
        )

    def save(self, state: State) -> State:
        """Writes a state over the version that it was derived from, or where there is none (it was lost).

        Raises:
            LostRaceError: that version is no longer there.
        """
        saved = replace(state, version=state.version + 1)
        values: Item = {
            "state": saved.name,
            "changedAt": saved.changed_at,
            "key": saved.key,
            "probes": saved.probes,
            "leaseUntil": saved.lease_until,
            "version": saved.version,
            "keptId": saved.kept.id,
            "keptParts": saved.kept.parts,
            "replacedAt": saved.replaced_at,
            "deafUntil": saved.deaf_until,
            "unanswered": saved.unanswered,
            "mark": uuid.uuid4().hex,
        }
        try:
            self._table.write(
                self._table.put(self._key, values, {"version": state.version}, or_absent=True), mark="mark"
            )
        except ConditionFailedError as exc:
            raise LostRaceError from exc
        return saved


class Consumer:
    """The event source mapping that feeds the worker."""

    def __init__(self, client: "LambdaClient", mapping_id: str) -> None:
        self._lambda = client
        self._id = mapping_id

    def state(self) -> str:
        """Its state as Lambda names it.

        Raises:
            ClientError, BotoCoreError: Lambda failed.
        """
        return self._lambda.get_event_source_mapping(UUID=self._id)["State"]

    def run(self, context: LambdaContext) -> None:
        """Resumes it; see `_set`."""
        self._set(_RUNNING, context, enabled=True)

    def pause(self, context: LambdaContext) -> None:
        """Pauses it; see `_set`."""
        self._set(_PAUSED, context, enabled=False)

    def _set(self, good: tuple[str, str], context: LambdaContext, *, enabled: bool) -> None:
        """Makes sure that it is in a good state or on the way to it.

        Raises:
            ConsumerBusyError: something else was being done to it until the time was up.
            ClientError, BotoCoreError: Lambda failed.
        """
        state = ""
        for _ in retry.attempts(_LOOKS, base=1.0, cap=_BETWEEN_LOOKS_SECONDS):
            if context.get_remaining_time_in_millis() < _LAST_LOOK_MS:
                break
            state = self.state()
            if state in good or (state in _STEADY and self._change(enabled=enabled)):
                return
        raise ConsumerBusyError(f"the consumer was not set to {good[0]}, it was {state or 'not asked'}")

    def _change(self, *, enabled: bool) -> bool:
        """Whether Lambda has taken the change; not where another one has come between."""
        try:
            self._lambda.update_event_source_mapping(UUID=self._id, Enabled=enabled)
        except AWS_ERRORS as exc:
            if error_code(exc) not in _REFUSED_MEANWHILE:
                raise
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The clients. `functions` waits for a probe as long as it takes, `mappings` no longer than for any call."""

    dynamodb: "DynamoDBClient"
    functions: "LambdaClient"
    mappings: "LambdaClient"
    events: "EventBridgeClient"
    sqs: "SQSClient"


class Breaker:
    """Opens, probes and closes."""

    def __init__(self, config: Env, services: Services) -> None:
        self._config = config
        self._is_fifo = is_fifo(config.queue_url)
        self._dynamodb = services.dynamodb
        control = ControlTable(services.dynamodb, config.control_table_name)
        self._states = States(control, config.pipeline)
        self._copies = Copies(control, partition(config.pipeline))
        form = FORMS.get(config.pipeline, messages.PLAIN)
        self._queue = Queue(services.sqs, config.queue_url, max_receive_count=config.max_receive_count, form=form)
        self._consumer = Consumer(services.mappings, config.event_source_mapping_id)
        self._lambda = services.functions
        self._events = services.events

    def handle(self, event: Mapping[str, Any], context: LambdaContext) -> jsontext.JsonObject:
        """Opens on a trip, probes on anything else; returns the state that it leaves.

        Raises:
            ClientError, BotoCoreError, ConsumerBusyError: this has to be tried again: Lambda does, or the next tick.
        """
        try:
            state = self._states.load()
        except AWS_ERRORS as exc:
            logger.error("breaker state not read, consumer left as it is", extra={"errorType": error_code(exc)})
            raise
        try:
            if event.get("detail-type") == TRIPPED:
                state = self._open(state, *_trip(event), context)
            else:
                state = state if state.version else self._reconcile()
                if state.name != CLOSED and state.lease_until <= clock.now_ms():
                    state = self._probe(state, context)
        except LostRaceError:
            return {"state": "CONTENDED"}
        # Once per tick, the 0 too: an alarm takes its absence for a breaker that does not run.
        count(self._config.pipeline, {"CircuitOpen": int(state.name != CLOSED)})
        return {"state": state.name, "probes": state.probes}

    def _open(self, state: State, key: str, tripped_at: int, context: LambdaContext) -> State:
        if state.name != CLOSED:
            self._consumer.pause(context)  # the attempt that opened it may have died before this
            return state
        if tripped_at <= max(state.changed_at, state.deaf_until):
            return state  # the trip is older than the last change: its outage is over; or not everybody's
        state = self._states.save(State(OPEN, clock.now_ms(), key, version=state.version, unanswered=state.unanswered))
        self._consumer.pause(context)
        self._publish(OPENED_EVENT, state)
        return state

    def _reconcile(self) -> State:
        """The state where none is kept, as the consumer's own tells it."""
        consumer = self._consumer.state()
        if consumer in _RUNNING:
            return self._states.save(State())
        if consumer not in _PAUSED:
            return State()  # something is being done to it: the next tick will know
        logger.error("breaker state lost, taken for open: the consumer is paused", extra={"errorType": "StateLost"})
        return State(OPEN, clock.now_ms())

    def _probe(self, state: State, context: LambdaContext) -> State:
        lease_until = clock.now_ms() + context.get_remaining_time_in_millis()
        state = self._states.save(replace(state, name=HALF_OPEN, lease_until=lease_until))
        self._consumer.pause(context)
        verdict, state = self._verdict(state, context)
        if verdict is Verdict.FAILS:
            if self._is_fifo and state.probes + 1 >= _FIFO_PROBES:
                return self._close(state, context, answered=False)
            return self._states.save(replace(state, name=OPEN, probes=state.probes + 1, lease_until=0))
        if verdict is Verdict.NONE:  # the next tick finds another event
            logger.info("nothing to probe with", extra={"pipeline": self._config.pipeline})
            return self._states.save(replace(state, name=OPEN, key="", kept=NOWHERE, lease_until=0))
        return self._close(state, context, answered=True)

    def _close(self, state: State, context: LambdaContext, *, answered: bool) -> State:
        """Resumes the consumer, then writes it: a crash in between is mended by the next tick."""
        self._consumer.run(context)
        now = clock.now_ms()
        deaf_until = now + _PARTIAL_MS if state.replaced_at or not answered else 0
        closed = State(CLOSED, now, version=state.version, deaf_until=deaf_until, unanswered=not answered)
        closed = self._states.save(closed)
        self._publish(CLOSED_EVENT, closed)
        return closed

    def _verdict(self, state: State, context: LambdaContext) -> tuple[Verdict, State]:
        """What one probe says, and the state that knows its event."""
        item = self._item(state.key) if state.key else {}
        # It has got through since: in a probe whose end the breaker did not live to see.
        if _status(item) == Status.SUCCEEDED and item["processedAt"]["S"] >= clock.iso(state.changed_at):
            return Verdict.ANSWERS, state
        sample, state = self._sample(state, item, context)
        return (self._ask(sample) if sample else Verdict.NONE), state

    def _sample(self, state: State, item: Mapping[str, Any], context: LambdaContext) -> tuple[Sample | None, State]:
        """The event to probe with: a kept copy, else of its state record, else (or where it is time) of the queue."""
        found = self._copies.read(state.kept) or _recorded(state.key, item)
        if found and not state.needs_another(fifo=self._is_fifo):
            return found, state
        seconds = context.get_remaining_time_in_millis() // 1000 + _AFTER_A_PROBE_SECONDS
        taken = self._queue.take(seconds=seconds)
        if found and taken and taken.receipt and taken.key == state.key:  # no other one, and now out of sight
            taken = self._queue.take(seconds=seconds) or taken
        if taken is None:
            return found, state
        # Noted before it is tried: should this invocation die, the next one takes no other.
        kept = self._copies.keep(taken)
        return taken, self._states.save(replace(state, key=taken.key, kept=kept, replaced_at=state.probes))

    def _ask(self, sample: Sample) -> Verdict:
        """Has the worker try an event; that it has, and how it went, is told by the event's record."""
        before = _attempts(self._item(sample.key))
        answer = self._lambda.invoke(
            FunctionName=self._config.worker_function_name,
            Payload=jsontext.compact({"Records": [dict(sample.record)], "probe": True}).encode(),
        )
        if answer.get("FunctionError"):  # whatever it says then: a worker that dies says what Lambda makes of it
            return Verdict.FAILS
        if jsontext.load(answer["Payload"].read().decode()) != {"batchItemFailures": []}:
            return Verdict.FAILS
        if sample.receipt:
            self._queue.delete(sample)
        item = self._item(sample.key)
        return Verdict.ANSWERS if _status(item) == Status.SUCCEEDED and _attempts(item) > before else Verdict.NONE

    def _item(self, key: str) -> dict[str, Any]:
        """The state record of a key, {} where there is none."""
        place = {"idempotencyKey": {"S": partition_key(self._config.pipeline, key)}}
        answer = self._dynamodb.get_item(TableName=self._config.state_table_name, Key=place, ConsistentRead=True)
        return answer.get("Item", {})

    def _publish(self, detail_type: str, state: State) -> None:
        detail: jsontext.JsonObject = {"pipeline": self._config.pipeline, "at": clock.iso(state.changed_at)}
        event = eventbridge.Event(detail_type, self._config.event_source, detail_type, detail)
        failed = eventbridge.put(self._events, self._config.event_bus_name, [event])
        logger.warning(
            "breaker changed", extra={"state": state.name, "pipeline": self._config.pipeline} | _code(failed)
        )


def partition(pipeline: str) -> str:
    """Where a breaker's items are in the control table."""
    return f"breaker#{pipeline}"


def _status(item: Mapping[str, Any]) -> str:
    return str(item["status"]["S"]) if item else ""


def _attempts(item: Mapping[str, Any]) -> int:
    return int(item["attempts"]["N"]) if item else 0


def _recorded(key: str, item: Mapping[str, Any]) -> Sample | None:
    """A failed event as SQS would deliver it, made of its state record; None where that does not have it."""
    if "payload" not in item or _status(item) == Status.SUCCEEDED:
        return None
    if int(item["expiresAt"]["N"]) * 1000 <= clock.now_ms():
        return None
    record = {
        "messageId": item["messageId"]["S"],
        "receiptHandle": "",
        "body": item["payload"]["S"],
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {"idempotencyKey": {"dataType": "String", "stringValue": key}},
    }
    return Sample(key, record)


def _trip(event: Mapping[str, Any]) -> tuple[str, int]:
    """The event that is to probe, and when its worker saw the downstream out.

    Raises:
        SchemaValidationError: the trip does not say, or names a key with which no probe could ever be made.
    """
    detail = event.get("detail")
    key, tripped_at = (detail.get(name) if isinstance(detail, dict) else None for name in _TRIP)
    if not isinstance(key, str) or not 1 <= len(key.encode("utf-8", "replace")) <= MAX_KEY_BYTES:
        raise SchemaValidationError(Detail("/detail/idempotencyKey", f"must have 1 to {MAX_KEY_BYTES} bytes"))
    if not isinstance(tripped_at, int) or isinstance(tripped_at, bool):
        raise SchemaValidationError(Detail("/detail/trippedAt", "must be milliseconds since the epoch"))
    return key, tripped_at


def _code(failed: Mapping[str, str]) -> dict[str, str]:
    return {"errorType": next(iter(failed.values()))} if failed else {}


@cache
def breaker() -> Breaker:
    """The breaker of this execution environment, made once."""
    services = Services(
        dynamodb=clients.client("dynamodb"),
        # A probe runs the worker to its end: the answer may take as long as the worker's timeout.
        functions=clients.client("lambda", read_timeout=900),
        mappings=clients.client("lambda"),
        events=clients.client("events"),
        sqs=clients.client("sqs"),
    )
    return Breaker(env.load(Env, os.environ), services)


def handler(event: dict[str, Any], context: LambdaContext) -> jsontext.JsonObject:
    """Opens on a trip, probes on a tick."""
    start_invocation(context.aws_request_id)
    return breaker().handle(event, context)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the clients in Lambda's init phase, not in the first tick
    breaker()
