"""Lambda entry point: the events API. 202 means that SQS has confirmed the message."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from handlers import clock, env, jsontext
from handlers.aws import clients
from handlers.aws.clients import AWS_ERRORS
from handlers.aws.sqs import MAX_BATCH_ENTRIES, Outgoing, SendReport, is_fifo, send_in_order, send_messages
from handlers.events.message import MAX_EVENT_BYTES, Submission, read
from handlers.faults import FaultSwitch, make_switch
from handlers.grouping import Grouping, sqs_id
from handlers.http.errors import HttpError
from handlers.http.request import Request
from handlers.http.router import Answer, answer, healthy, serve
from handlers.idempotency.claims import Claim, KeyRequest, Standing, Status, is_final, is_key
from handlers.idempotency.store import StateStore
from handlers.observability import LambdaContext, count, logger, start_invocation

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MAX_BATCH_EVENTS = 100
_CALLS_AT_ONCE = MAX_BATCH_EVENTS // MAX_BATCH_ENTRIES
_METRICS = {202: "Accepted", 503: "Unavailable"}  # the rest is Rejected
_JSON_FIELDS = ("payload", "result")


@dataclass(frozen=True, slots=True)
class Env:
    """What the function's environment must say."""

    environment: str
    pipeline: str
    queue_url: str
    table_name: str
    ttl_days: int
    powertools_service_name: str
    group_by: str = ""
    failure_mode_parameter: str = ""  # set only where the failure lab exists


class Api:
    """The routes of the events API."""

    def __init__(
        self,
        config: Env,
        *,
        sqs: "SQSClient",
        store: StateStore,
        faults: FaultSwitch | None = None,
        pool: Executor | None = None,
    ) -> None:
        self._config = config
        self._pool = pool  # for the calls of a batch, beside each other
        self._sqs = sqs
        self._store = store
        self._faults = faults
        self._ordered = is_fifo(config.queue_url)
        self._grouping = Grouping(config.group_by, ordered=self._ordered)
        self._endpoints = {
            "POST /events": self.post_event,
            "POST /events/batch": self.post_batch,
            "GET /events/{idempotencyKey}": self.get_event,
            "GET /health": self.get_health,
        }

    def handle(self, event: Mapping[str, Any]) -> Answer:
        """Answers one request."""
        return serve(Request.from_event(event), self._endpoints)

    def post_event(self, request: Request) -> Answer:
        """Queues one event: 202 `{idempotencyKey, messageId, statusUrl}`."""
        with self._counted() as statuses:
            body = request.json(max_bytes=MAX_EVENT_BYTES)
            one = read(body, request.headers.get("idempotency-key"), self._grouping)
            logger.append_keys(idempotencyKey=one.key)  # so that an event is found from its first line to its last
            outcome = self._submit([one], request)[0]
            if isinstance(outcome, HttpError):
                raise outcome
            statuses.append(202)
        status_url = f"{request.path.rstrip('/')}/{one.key}"
        return answer(202, {"idempotencyKey": one.key, "messageId": outcome, "statusUrl": status_url})

    def post_batch(self, request: Request) -> Answer:
        """Queues 1 to 100 events, each answered on its own; 202 all taken, 207 mixed, else 400 (503: none for now)."""
        with self._counted() as statuses:
            submitted = [self._read_or_refuse(item) for item in _items(request)]
            good = [one for one in submitted if isinstance(one, Submission)]
            sent = iter(self._submit(good, request))
            outcomes = [one if isinstance(one, HttpError) else next(sent) for one in submitted]
            statuses.extend(outcome.status if isinstance(outcome, HttpError) else 202 for outcome in outcomes)
        results = [
            _result(index, one, outcome) for index, (one, outcome) in enumerate(zip(submitted, outcomes, strict=True))
        ]
        refused = [outcome for outcome in outcomes if isinstance(outcome, HttpError)]
        body = {"accepted": len(results) - len(refused), "rejected": len(refused), "results": results}
        if not refused:
            return answer(202, body)
        if len(refused) < len(results):
            return answer(207, body)
        down = next((error for error in refused if error.status == 503), None)
        return answer(503, body, down.headers) if down else answer(400, body)

    def get_event(self, request: Request) -> Answer:
        """The state record of a key."""
        key = request.path_parameters.get("idempotencyKey", "")
        try:
            item = self._store.get(key) if is_key(key) else None
        except AWS_ERRORS as exc:
            raise HttpError.unavailable("the state table") from exc
        if item is None:
            raise HttpError(404, "NotFound", "there is no event with this key")
        return answer(200, _record(item))

    def get_health(self, _request: Request) -> Answer:
        """Whether an event could be queued now."""
        try:
            self._sqs.get_queue_attributes(QueueUrl=self._config.queue_url, AttributeNames=["QueueArn"])
        except AWS_ERRORS as exc:
            raise HttpError.unavailable("the queue") from exc
        return healthy(self._config.powertools_service_name, self._config.environment)

    @contextmanager
    def _counted(self) -> Iterator[list[int]]:
        """The metrics of a request: the block notes the status of each event, a refusal of all of them is one."""
        statuses: list[int] = []
        try:
            yield statuses
        except HttpError as exc:
            statuses.append(exc.status)
            raise
        finally:
            count(self._config.pipeline, Counter(_METRICS.get(status, "Rejected") for status in statuses))

    def _submit(self, submissions: Sequence[Submission], request: Request) -> list[str | HttpError]:
        """Queues submissions; each comes back as its message id or as the reason of its refusal."""
        refused = self._reserve(submissions)
        now = clock.iso(clock.now_ms())
        trace_header = os.environ.get("_X_AMZN_TRACE_ID", "")
        messages = [
            one.message(str(i), submitted_at=now, correlation_id=request.correlation_id, trace_header=trace_header)
            for i, one in enumerate(submissions)
            if i not in refused
        ]
        copies = [replace(m, id=f"{m.id}-copy") for m in messages if self._doubles(submissions[int(m.id)])]
        report = self._send(messages, copies)
        for index in [message.id for message in messages if message.id in report.failed]:
            code = report.failed[index]
            logger.error("message not queued", extra={"errorType": code})
            refused[int(index)] = HttpError.unavailable("the queue")
        return [refused.get(i) or report.sent[str(i)] for i in range(len(submissions))]

    def _read_or_refuse(self, item: jsontext.Json) -> Submission | HttpError:
        try:
            return read(item, grouping=self._grouping)
        except HttpError as exc:
            return exc

    def _send(self, messages: Sequence[Outgoing], copies: Sequence[Outgoing]) -> SendReport:
        """Sends messages and what the failure lab doubles; on a FIFO queue in order, each key once in five minutes."""
        if not self._ordered:
            return send_messages(self._sqs, self._config.queue_url, [*messages, *copies], pool=self._pool)
        again = [replace(copy, deduplication_id=sqs_id(f"{copy.deduplication_id} copy")) for copy in copies]
        return send_in_order(self._sqs, self._config.queue_url, [*messages, *again], pool=self._pool)

    def _doubles(self, one: Submission) -> bool:
        return self._faults is not None and self._faults.duplicates(one.payload)

    def _reserve(self, submissions: Sequence[Submission]) -> dict[int, HttpError]:
        """Binds the callers' own keys to their payloads; returns the refusals by index."""
        owners: dict[str, Submission] = {}
        for one in submissions:
            if one.key_given:
                owners.setdefault(one.key, one)
        if not owners:
            return {}
        claims = self._store.reserve([KeyRequest(one.key, one.checksum, "", one.body) for one in owners.values()])
        refusals = {
            i: _key_refusal(one, owners[one.key], claims[one.key])
            for i, one in enumerate(submissions)
            if one.key in owners
        }
        return {i: refusal for i, refusal in refusals.items() if refusal}


def _key_refusal(one: Submission, owner: Submission, claim: Claim) -> HttpError | None:
    if claim.error:
        logger.error("key not reserved", extra={"errorType": claim.error, "idempotencyKey": one.key})
        return HttpError.unavailable("the state table")
    if claim.standing is Standing.CONFLICT or one.checksum != owner.checksum:
        return HttpError(409, "IdempotencyConflictError", "this idempotency key was used with another payload")
    return None


def _items(request: Request) -> list[jsontext.Json]:
    body = request.json()
    if not isinstance(body, list) or not 1 <= len(body) <= MAX_BATCH_EVENTS:
        raise HttpError(400, "SchemaValidationError", f"send a JSON array of 1 to {MAX_BATCH_EVENTS} events")
    if "idempotency-key" in request.headers:
        raise HttpError(400, "SchemaValidationError", "a batch takes idempotencyKey in each event, not as a header")
    return body


def _result(index: int, one: Submission | HttpError, outcome: str | HttpError) -> jsontext.JsonObject:
    if isinstance(outcome, HttpError) or isinstance(one, HttpError):
        error = outcome if isinstance(outcome, HttpError) else one
        assert isinstance(error, HttpError)  # noqa: S101 - one of the two is
        return {"index": index, "status": error.status, **error.as_json()}
    return {"index": index, "status": 202, "idempotencyKey": one.key, "messageId": outcome}


def _record(item: Mapping[str, Any]) -> jsontext.JsonObject:
    """A state item as JSON: payload and result are JSON again, numbers are numbers; `final` is said of each.

    `nextAttemptAt` is said where an attempt is to follow.
    """
    given_up = item.get("final", {}).get("BOOL", True)
    plain: jsontext.JsonObject = {
        name: int(value["N"]) if "N" in value else value.get("S") for name, value in item.items()
    }
    plain["final"] = is_final(str(plain.get("status")), given_up=given_up)
    if plain["final"] or plain.get("status") != Status.FAILED:  # as `final`, the table has it of the last failure
        plain.pop("nextAttemptAt", None)
    for name in _JSON_FIELDS:
        if isinstance(text := plain.get(name), str):
            plain[name] = jsontext.load(text)
    return plain


@cache
def api() -> Api:
    """The API of this execution environment, made once."""
    config = env.load(Env, os.environ)
    store = StateStore(
        clients.client("dynamodb"), config.table_name, pipeline=config.pipeline, ttl_days=config.ttl_days
    )
    faults = make_switch(config.failure_mode_parameter)
    sqs = clients.client("sqs", connections=_CALLS_AT_ONCE)
    return Api(config, sqs=sqs, store=store, faults=faults, pool=ThreadPoolExecutor(_CALLS_AT_ONCE))


def handler(event: dict[str, Any], context: LambdaContext) -> Answer:
    """Answers one HTTP request."""
    start_invocation(context.aws_request_id)
    return api().handle(event)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the clients in Lambda's init phase, not in the first request
    api()
