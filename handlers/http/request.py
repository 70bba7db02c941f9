"""Requests of the HTTP API (payload format 2.0), read without trust in what they hold."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handlers import jsontext
from handlers.errors import SchemaValidationError
from handlers.http.errors import HttpError

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:=@+-]{1,128}")
# A value of three bytes takes up to 26 times as much when parsed; more than this could exhaust a function's memory.
MAX_REQUEST_BYTES = 4 * 1024 * 1024
MAX_CONTROL_BYTES = 64 * 1024  # what an operator sends is a few fields
_CALLER_CHARACTERS = 256
_JSON_TYPE = re.compile(r"application/([a-z0-9.+-]+\+)?json\s*(;.*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Header names are lower case.

    `caller` is who API Gateway has found the caller to be: the ARN of who signed, the subject of a token or the name of
    a key (never the key); "" where nobody asked.
    """

    route: str
    path: str
    headers: Mapping[str, str]
    path_parameters: Mapping[str, str]
    query: Mapping[str, str]
    raw_body: str
    is_base64: bool
    request_id: str
    caller: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "Request":
        """Reads API Gateway's event; what is missing or of another type (a call by hand) is empty."""
        context = _mapping(event.get("requestContext"))
        return cls(
            route=_text(event.get("routeKey")),
            path=_text(event.get("rawPath")),
            headers={name.lower(): value for name, value in _texts(event.get("headers")).items()},
            path_parameters=_texts(event.get("pathParameters")),
            query=_texts(event.get("queryStringParameters")),
            raw_body=_text(event.get("body")),
            is_base64=event.get("isBase64Encoded") is True,
            request_id=_text(context.get("requestId")),
            caller=_caller(_mapping(context.get("authorizer"))),
        )

    @property
    def correlation_id(self) -> str:
        """The caller's `X-Correlation-Id` where it is a plain token, else the request's id."""
        given = self.headers.get("x-correlation-id", "")
        return given if _CORRELATION_ID.fullmatch(given) else self.request_id

    def json(self, *, max_bytes: int = MAX_REQUEST_BYTES) -> jsontext.Json:
        """The body.

        Raises:
            HttpError: 415 where it is not declared as JSON or is compressed, 413 where it is longer than
                `max_bytes`, 400 where it is no JSON.
        """
        if not _JSON_TYPE.fullmatch(self.headers.get("content-type", "").strip()):
            raise HttpError(415, "UnsupportedMediaType", "send Content-Type: application/json")
        if self.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise HttpError(415, "UnsupportedMediaType", "send the body without Content-Encoding")
        try:
            return jsontext.parse(self._body(max_bytes))
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


def _caller(found: Mapping[str, Any]) -> str:
    """Of what the authorizers say; printable, so that any log and any record takes it."""
    claims = _mapping(_mapping(found.get("jwt")).get("claims"))
    names = (
        _mapping(found.get("iam")).get("userArn"),
        claims.get("sub"),
        claims.get("client_id"),  # of a program's token that has no subject
        _mapping(found.get("lambda")).get("keyName"),
    )
    name = next(filter(None, map(_text, names)), "")
    return name.encode("ascii", "backslashreplace").decode()[:_CALLER_CHARACTERS]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> dict[str, str]:
    return {name: text for name, text in _mapping(value).items() if isinstance(text, str)}
