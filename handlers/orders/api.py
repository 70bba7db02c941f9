"""Lambda entry point: the orders API. 202 means that EventBridge has confirmed the order's event."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from handlers import clock, env
from handlers.aws import clients, eventbridge
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.errors import Detail, SchemaValidationError
from handlers.faults import FaultSwitch, make_switch
from handlers.http.errors import HttpError
from handlers.http.request import Request
from handlers.http.router import Answer, answer, healthy, serve
from handlers.idempotency.claims import Standing
from handlers.idempotency.store import StateStore
from handlers.observability import LambdaContext, count, logger, start_invocation
from handlers.orders import model, store
from handlers.orders.event import Submission, read
from handlers.orders.store import Orders

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_MAX_LIMIT = 100
_DEFAULT_LIMIT = 20
_NUMBER = re.compile(r"[0-9]{1,9}")
_METRICS = {202: "Accepted", 503: "Unavailable"}  # the rest is Rejected


@dataclass(frozen=True, slots=True)
class Env:
    """What the function's environment must say."""

    environment: str
    pipeline: str
    event_bus_name: str
    orders_table_name: str
    table_name: str
    ttl_days: int
    powertools_service_name: str
    failure_mode_parameter: str = ""  # set only where the failure lab exists


class Api:
    """The routes of the orders API."""

    def __init__(
        self,
        config: Env,
        *,
        events: "EventBridgeClient",
        store: StateStore,
        orders: Orders,
        faults: FaultSwitch | None = None,
    ) -> None:
        self._config = config
        self._events = events
        self._store = store
        self._orders = orders
        self._faults = faults

    def handle(self, event: Mapping[str, Any]) -> Answer:
        """Answers one request."""
        return serve(
            Request.from_event(event),
            {
                "POST /orders": self.post_order,
                "GET /orders": self.get_orders,
                "GET /orders/{orderId}": self.get_order,
                "GET /health": self.get_health,
            },
        )

    def post_order(self, request: Request) -> Answer:
        """Publishes the event of one order: 202 `{orderId, eventId}`."""
        try:
            key = request.headers.get("idempotency-key")
            one = read(request.json(), key=key, created_at=clock.iso(clock.now_ms()))
            logger.append_keys(idempotencyKey=one.event_id)  # by which the worker's lines are found, too
            self._reserve(one)
            self._publish(one)
        except HttpError as exc:
            count(self._config.pipeline, {_METRICS.get(exc.status, "Rejected"): 1})
            raise
        count(self._config.pipeline, {_METRICS[202]: 1})
        return answer(202, {"orderId": one.order_id, "eventId": one.event_id})

    def get_order(self, request: Request) -> Answer:
        """One order, as PROCESSED or FAILED."""
        order_id = request.path_parameters.get("orderId", "")
        try:
            found = self._orders.get(order_id) if model.is_id(order_id) else None
        except AWS_ERRORS as exc:
            raise _unavailable("the orders table", exc) from exc
        if found is None:
            raise HttpError(404, "NotFound", "there is no order with this id that has been worked on")
        return answer(200, found)

    def get_orders(self, request: Request) -> Answer:
        """Orders, newest first: `{orders, nextToken}`; the token is null where there are no more."""
        limit, token = _page(request.query)
        try:
            page = self._orders.page(limit, token)
        except store.TokenError as exc:
            raise _refused("/nextToken", "must be a nextToken of this API, as it was given") from exc
        except AWS_ERRORS as exc:
            raise _unavailable("the orders table", exc) from exc
        return answer(200, {"orders": [*page.orders], "nextToken": page.token or None})

    def get_health(self, _request: Request) -> Answer:
        """Whether the bus can be reached now."""
        try:
            self._events.describe_event_bus(Name=self._config.event_bus_name)
        except AWS_ERRORS as exc:
            raise _unavailable("the event bus", exc) from exc
        return healthy(self._config.powertools_service_name, self._config.environment)

    def _reserve(self, one: Submission) -> None:
        """Binds the caller's own key to its order.

        Raises:
            HttpError: 409 where another order has it, 503 where the state table is not available.
        """
        if not one.key_given:
            return
        request = one.reservation()
        claim = self._store.reserve([request])[request.key]
        if claim.error:
            logger.error("key not reserved", extra={"errorType": claim.error})
            raise HttpError.unavailable("the state table")
        if claim.standing is Standing.CONFLICT:
            raise HttpError(409, "IdempotencyConflictError", "this idempotency key was used with another order")

    def _publish(self, one: Submission) -> None:
        copies = 2 if self._faults is not None and self._faults.duplicates(one.detail) else 1
        events = [one.event(str(number)) for number in range(copies)]
        if code := eventbridge.put(self._events, self._config.event_bus_name, events).get("0"):
            logger.error("order not published", extra={"errorType": code})
            raise HttpError.unavailable("the event bus")


def _page(query: Mapping[str, str]) -> tuple[int, str]:
    if unknown := sorted(query.keys() - {"limit", "nextToken"}):
        raise _refused(f"/{unknown[0][:128]}", "is not known; known are limit and nextToken")
    text = query.get("limit", str(_DEFAULT_LIMIT))
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= _MAX_LIMIT:
        raise _refused("/limit", f"must be a whole number from 1 to {_MAX_LIMIT}")
    return int(text), query.get("nextToken", "")


def _unavailable(what: str, error: Exception) -> HttpError:
    logger.error("not available", extra={"errorType": error_code(error)})
    return HttpError.unavailable(what)


def _refused(pointer: str, message: str) -> HttpError:
    return HttpError.invalid(SchemaValidationError(Detail(pointer, message)))


@cache
def api() -> Api:
    """The API of this execution environment, made once."""
    config = env.load(Env, os.environ)
    dynamodb = clients.client("dynamodb")
    return Api(
        config,
        events=clients.client("events"),
        store=StateStore(dynamodb, config.table_name, pipeline=config.pipeline, ttl_days=config.ttl_days),
        orders=Orders(dynamodb, config.orders_table_name),
        faults=make_switch(config.failure_mode_parameter),
    )


def handler(event: dict[str, Any], context: LambdaContext) -> Answer:
    """Answers one HTTP request."""
    start_invocation(context.aws_request_id)
    return api().handle(event)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the clients in Lambda's init phase, not in the first request
    api()
