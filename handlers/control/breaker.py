"""Lambda entry point: the circuit breaker of one pipeline. It alone changes the breaker's state.

A worker whose downstream fails asks for it by the event `CircuitTripped`. OPEN pauses the queue's consumer, so
that the queue, not the receive counts, takes the outage. Every tick probes with one real event: the one that failed,
invoked on the worker directly, which costs no receive and, being idempotent, does nothing twice. Once the downstream
answers, the consumer goes on.

States: CLOSED → OPEN → HALF_OPEN (a probe is under way, under a lease) → CLOSED or OPEN. Each write is conditional on
the version that was read, so of two invocations one probes and the other leaves. Opening writes the state before it
pauses, closing resumes before it writes, so a crash in between is mended by the next tick. Where the state can't be
read, the consumer runs: a breaker that has lost its state must not hold traffic.
"""

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from handlers import clock, env, jsontext
from handlers.aws import clients, eventbridge
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.aws.control_table import ConditionFailedError, ControlTable, Item, Key
from handlers.errors import Detail, SchemaValidationError
from handlers.observability import LambdaContext, count, logger, start_invocation
from handlers.worker.trip_wire import TRIPPED

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient

OPEN = "OPEN"
HALF_OPEN = "HALF_OPEN"
CLOSED = "CLOSED"
OPENED_EVENT = "CircuitOpened"
CLOSED_EVENT = "CircuitClosed"
_TRIP = ("idempotencyKey", "trippedAt")
_MAX_KEY_BYTES = 2048  # of a DynamoDB key


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


@dataclass(frozen=True, slots=True)
class State:
    """The breaker as it is kept. `changed_at` (last opened or closed) and `lease_until` (of a probe) in ms.

    `key` is the event that probes, `probes` counts those that failed.
    """

    name: str = CLOSED
    changed_at: int = 0
    key: str = ""
    probes: int = 0
    lease_until: int = 0
    version: int = 0


class LostRaceError(Exception):
    """Another invocation has changed the breaker since it was read: that one acts, this one leaves."""


class States:
    """The state of one pipeline's breaker in the control table, written by one invocation at a time."""

    def __init__(self, table: ControlTable, pipeline: str) -> None:
        self._table = table
        self._key = Key(f"breaker#{pipeline}", "state")

    def load(self) -> State:
        """The state as it is now; CLOSED where there is none yet.

        Raises:
            ClientError, BotoCoreError: DynamoDB failed.
        """
        item: dict[str, Any] | None = self._table.get(self._key)
        if item is None:
            return State()
        return State(item["state"], item["changedAt"], item["key"], item["probes"], item["leaseUntil"], item["version"])

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
            "mark": uuid.uuid4().hex,
        }
        try:
            self._table.write(
                self._table.put(self._key, values, {"version": state.version}, or_absent=True), mark="mark"
            )
        except ConditionFailedError as exc:
            raise LostRaceError from exc
        return saved


class Breaker:
    """Opens, probes and closes."""

    def __init__(
        self, config: Env, *, dynamodb: "DynamoDBClient", functions: "LambdaClient", events: "EventBridgeClient"
    ) -> None:
        self._config = config
        self._dynamodb = dynamodb
        self._states = States(ControlTable(dynamodb, config.control_table_name), config.pipeline)
        self._lambda = functions
        self._events = events

    def handle(self, event: Mapping[str, Any], context: LambdaContext) -> jsontext.JsonObject:
        """Opens on a trip, probes on anything else; returns the state that it leaves.

        Raises:
            ClientError, BotoCoreError: AWS failed, and this has to be tried again: Lambda does, or the next tick.
        """
        try:
            state = self._states.load()
        except AWS_ERRORS as exc:
            logger.error("breaker state not read, consumer left running", extra={"errorType": error_code(exc)})
            self._consume(enabled=True)
            if event.get("detail-type") == TRIPPED:
                raise  # a trip that seems to be done would not be repeated
            return {"state": "UNKNOWN"}
        try:
            if event.get("detail-type") == TRIPPED:
                state = self._open(state, *_trip(event))
            elif state.name != CLOSED and state.lease_until <= clock.now_ms():
                state = self._probe(state, clock.now_ms() + context.get_remaining_time_in_millis())
        except LostRaceError:
            return {"state": "CONTENDED"}
        # Once per tick, the 0 too: an alarm takes its absence for a breaker that does not run.
        count(self._config.pipeline, {"CircuitOpen": int(state.name != CLOSED)})
        return {"state": state.name, "probes": state.probes}

    def _open(self, state: State, key: str, tripped_at: int) -> State:
        if state.name != CLOSED:
            self._consume(enabled=False)  # the attempt that opened it may have died before this
            return state
        if tripped_at <= state.changed_at:
            return state  # the trip is older than the last change: its outage is over
        state = self._states.save(State(OPEN, clock.now_ms(), key, version=state.version))
        self._consume(enabled=False)
        self._publish(OPENED_EVENT, state)
        return state

    def _probe(self, state: State, lease_until: int) -> State:
        state = self._states.save(replace(state, name=HALF_OPEN, lease_until=lease_until))
        self._consume(enabled=False)
        if not self._answers(state.key):
            return self._states.save(replace(state, name=OPEN, probes=state.probes + 1, lease_until=0))
        self._consume(enabled=True)
        closed = self._states.save(State(CLOSED, clock.now_ms(), version=state.version))
        self._publish(CLOSED_EVENT, closed)
        return closed

    def _answers(self, key: str) -> bool:
        """Whether the worker gets the probing event through; without one that it could try, it is worth a try."""
        record = self._record(key)
        if record is None:
            return True
        answer = self._lambda.invoke(
            FunctionName=self._config.worker_function_name,
            Payload=jsontext.compact({"Records": [record], "probe": True}).encode(),
        )
        result = jsontext.parse(answer["Payload"].read())
        return not answer.get("FunctionError") and result == {"batchItemFailures": []}

    def _record(self, key: str) -> jsontext.JsonObject | None:
        """The failed event as SQS would deliver it, made of its state record."""
        answer = self._dynamodb.get_item(
            TableName=self._config.state_table_name, Key={"idempotencyKey": {"S": key}}, ConsistentRead=True
        )
        item = answer.get("Item", {})
        if "payload" not in item or item["status"]["S"] == "SUCCEEDED":
            return None
        return {
            "messageId": item["messageId"]["S"],
            "receiptHandle": "",
            "body": item["payload"]["S"],
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {"idempotencyKey": {"dataType": "String", "stringValue": key}},
        }

    def _consume(self, *, enabled: bool) -> None:
        """Pauses or resumes the queue's consumer."""
        self._lambda.update_event_source_mapping(UUID=self._config.event_source_mapping_id, Enabled=enabled)

    def _publish(self, detail_type: str, state: State) -> None:
        detail: jsontext.JsonObject = {"pipeline": self._config.pipeline, "at": clock.iso(state.changed_at)}
        event = eventbridge.Event(detail_type, self._config.event_source, detail_type, detail)
        failed = eventbridge.put(self._events, self._config.event_bus_name, [event])
        logger.warning(
            "breaker changed", extra={"state": state.name, "pipeline": self._config.pipeline} | _code(failed)
        )


def _trip(event: Mapping[str, Any]) -> tuple[str, int]:
    """The event that is to probe, and when its worker saw the downstream out.

    Raises:
        SchemaValidationError: the trip does not say, or names a key with which no probe could ever be made.
    """
    detail = event.get("detail")
    key, tripped_at = (detail.get(name) if isinstance(detail, dict) else None for name in _TRIP)
    if not isinstance(key, str) or not 1 <= len(key.encode("utf-8", "replace")) <= _MAX_KEY_BYTES:
        raise SchemaValidationError(Detail("/detail/idempotencyKey", f"must have 1 to {_MAX_KEY_BYTES} bytes"))
    if not isinstance(tripped_at, int) or isinstance(tripped_at, bool):
        raise SchemaValidationError(Detail("/detail/trippedAt", "must be milliseconds since the epoch"))
    return key, tripped_at


def _code(failed: Mapping[str, str]) -> dict[str, str]:
    return {"errorType": next(iter(failed.values()))} if failed else {}


@cache
def breaker() -> Breaker:
    """The breaker of this execution environment, made once."""
    config = env.load(Env, os.environ)
    # A probe runs the worker to its end: the answer may take as long as the worker's timeout.
    functions = clients.client("lambda", read_timeout=900)
    return Breaker(config, dynamodb=clients.client("dynamodb"), functions=functions, events=clients.client("events"))


def handler(event: dict[str, Any], context: LambdaContext) -> jsontext.JsonObject:
    """Opens on a trip, probes on a tick."""
    start_invocation(context.aws_request_id)
    return breaker().handle(event, context)
