"""HTTP API requests (payload format 2.0) in, JSON answers out, and every refusal in one form.

A refusal is ``{error, errorType, details[], requestId}``; it never holds what the caller sent.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from handlers.shared import clock, schema
from handlers.shared.errors import Detail, SchemaValidationError
from handlers.shared.observability import logger

Answer = dict[str, Any]

_RETRY_AFTER_SECONDS = 5
MAX_DETAILS = 20  # an answer must fit Lambda's 6 MB, however many faults an input has
_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:=@+-]{1,128}")
# A value of three bytes takes up to 26 times as much when parsed; more than this could exhaust a function's memory.
MAX_REQUEST_BYTES = 4 * 1024 * 1024
MAX_CONTROL_BYTES = 64 * 1024  # what an operator sends is a few fields
_JSON_TYPE = re.compile(r"application/([a-z0-9.+-]+\+)?json\s*(;.*)?", re.IGNORECASE)


class HttpError(Exception):
    """A refusal: what the caller gets instead of what was asked for."""

    def __init__(
        self,
        status: int,
        error_type: str,
        message: str,
        *details: Detail,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.details = details
        self.headers = dict(headers or {})

    @classmethod
    def invalid(cls, error: SchemaValidationError, status: int = 400) -> "HttpError":
        """The refusal of an input that does not fit its schema."""
        return cls(status, error.error_type, "the input is not valid", *error.details)

    @classmethod
    def unavailable(cls, what: str) -> "HttpError":
        """The refusal for now: the caller is to come again."""
        return cls(
            503, "ServiceUnavailable", f"{what} is not available", headers={"Retry-After": str(_RETRY_AFTER_SECONDS)}
        )

    def as_json(self) -> dict[str, Any]:
        """The refusal's part of a body."""
        details = [{"pointer": d.pointer, "message": d.message} for d in self.details[:MAX_DETAILS]]
        return {"error": str(self), "errorType": self.error_type, "details": details}


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Header names are lower case."""

    route: str
    method: str
    path: str
    headers: Mapping[str, str]
    path_parameters: Mapping[str, str]
    query: Mapping[str, str]
    raw_body: str
    is_base64: bool
    request_id: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "Request":
        """Reads API Gateway's event; what is missing or of another type (a call by hand) is empty."""
        context = _mapping(event.get("requestContext"))
        return cls(
            route=_text(event.get("routeKey")),
            method=_text(_mapping(context.get("http")).get("method")),
            path=_text(event.get("rawPath")),
            headers={name.lower(): value for name, value in _texts(event.get("headers")).items()},
            path_parameters=_texts(event.get("pathParameters")),
            query=_texts(event.get("queryStringParameters")),
            raw_body=_text(event.get("body")),
            is_base64=event.get("isBase64Encoded") is True,
            request_id=_text(context.get("requestId")),
        )

    @property
    def correlation_id(self) -> str:
        """The caller's `X-Correlation-Id` where it is a plain token, else the request's id."""
        given = self.headers.get("x-correlation-id", "")
        return given if _CORRELATION_ID.fullmatch(given) else self.request_id

    def json(self, *, max_bytes: int = MAX_REQUEST_BYTES) -> schema.Json:
        """The body.

        Raises:
            HttpError: 415 where it is not declared as JSON or is compressed, 413 where it is longer than
                ``max_bytes``, 400 where it is no JSON.
        """
        if not _JSON_TYPE.fullmatch(self.headers.get("content-type", "").strip()):
            raise HttpError(415, "UnsupportedMediaType", "send Content-Type: application/json")
        if self.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise HttpError(415, "UnsupportedMediaType", "send the body without Content-Encoding")
        try:
            return schema.parse(self._body(max_bytes))
        except SchemaValidationError as exc:
            raise HttpError.invalid(exc) from exc

    def _body(self, max_bytes: int) -> bytes:
        try:
            # A lone surrogate can't come from the network; it is left for the parser to refuse as no UTF-8.
            raw = self.raw_body.encode("utf-8", "surrogatepass")
            body = base64.b64decode(raw, validate=True) if self.is_base64 else raw
        except binascii.Error as exc:
            raise HttpError(400, "SchemaValidationError", "the body is not valid base64") from exc
        if len(body) > max_bytes:
            raise HttpError(413, "PayloadTooLarge", f"a body may have {max_bytes} bytes here, got {len(body)}")
        return body


Endpoint = Callable[[Request], Answer]


def answer(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    """An answer as API Gateway takes it."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", **(headers or {})},
        "body": schema.compact(dict(body)),
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
    try:
        reply = dispatch(request, endpoints)
    except HttpError as exc:
        reply = refusal(exc, request.request_id)
        fields["errorType"] = exc.error_type
    logger.info("request", extra=fields | {"status": reply["statusCode"], "latencyMs": clock.now_ms() - started})
    return reply


def dispatch(request: Request, endpoints: Mapping[str, Endpoint]) -> Answer:
    """Calls the endpoint of the request's route key; other paths are 404, other methods of a known path 405.

    A preflight, which comes here only where pages of another origin may call, is told what there is: browsers go on
    after a 2xx and nothing else. Its CORS headers are API Gateway's.

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


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> dict[str, str]:
    return {name: text for name, text in _mapping(value).items() if isinstance(text, str)}


def _matches(template: str, path: str) -> bool:
    pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template))
    return re.fullmatch(pattern, path) is not None
