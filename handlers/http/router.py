"""Routes to endpoints, JSON answers out, and one log line for each request."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from handlers import clock, jsontext
from handlers.http.errors import HttpError
from handlers.http.request import Request
from handlers.observability import logger

Answer = dict[str, Any]
Endpoint = Callable[[Request], Answer]


def answer(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    """An answer as API Gateway takes it."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", **(headers or {})},
        "body": jsontext.compact(dict(body)),
    }


def healthy(service: str, environment: str) -> Answer:
    """The answer of `GET /health` once what the API needs has been reached."""
    now = clock.iso(clock.now_ms())
    return answer(200, {"status": "healthy", "service": service, "environment": environment, "timestamp": now})


def refusal(error: HttpError, request_id: str) -> Answer:
    """The answer to a request that is refused."""
    return answer(error.status, {**error.as_json(), "requestId": request_id}, error.headers)


def serve(request: Request, endpoints: Mapping[str, Endpoint]) -> Answer:
    """Answers one request and logs the outcome in one line."""
    started = clock.now_ms()
    fields: dict[str, Any] = {"route": request.route, "correlationId": request.correlation_id}
    fields |= {"requestedBy": request.caller} if request.caller else {}
    try:
        reply = dispatch(request, endpoints)
    except HttpError as exc:
        reply = refusal(exc, request.request_id)
        fields["errorType"] = exc.error_type
    logger.info("request", extra=fields | {"status": reply["statusCode"], "latencyMs": clock.now_ms() - started})
    return reply


def dispatch(request: Request, endpoints: Mapping[str, Endpoint]) -> Answer:
    """Calls the endpoint of the request's route key; other paths are 404, other methods of a known path 405.

    A preflight, which arrives only where pages of another origin may call, is answered with what is allowed: browsers
    continue only after a 2xx. Its CORS headers are API Gateway's.

    Raises:
        HttpError: the route is unknown, or the endpoint refuses.
    """
    if endpoint := endpoints.get(request.route):
        return endpoint(request)
    allowed = sorted({route.split(" ")[0] for route in endpoints if _matches(route.split(" ")[1], request.path)})
    if request.route.startswith("OPTIONS "):
        return {"statusCode": 204, "headers": {"Allow": ", ".join(allowed)} if allowed else {}}
    if not allowed:
        raise HttpError(404, "NotFound", "there is no such route")
    raise HttpError(405, "MethodNotAllowed", f"use {' or '.join(allowed)}", headers={"Allow": ", ".join(allowed)})


def _matches(template: str, path: str) -> bool:
    pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template))
    return re.fullmatch(pattern, path) is not None
