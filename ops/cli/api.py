"""Calls of the deployed API: what it wants to see of its caller, one connection to it, and when to try again."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEY_VARIABLE = "LAB_API_KEY"
TOKEN_VARIABLE = "LAB_TOKEN"  # noqa: S105 - the variable's name
ATTEMPTS = 6

Proof = Literal["nothing", "key", "token", "signature"]

_OPEN = "/health"
_OPERATORS = ("/redrive", "/failure-mode")
ON_AWS = re.compile(r"https://[^/]+\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?(/|$)")
_TIMEOUT_SECONDS = 35  # API Gateway gives up after 30
_BACKOFF_SECONDS = 0.2
_BACKOFF_CAP_SECONDS = 5.0
_NO_ANSWER = 0
_TRANSIENT = frozenset({_NO_ANSWER, 429, 500, 502, 503, 504})


class ApiError(LabError):
    """The API refused a call; the message has its reasons."""


class CredentialsError(LabError):
    """The API wants to see something that is not there; the message says what to set."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered. `status` is 0 where there was no answer, `body` is None where it was not JSON."""

    status: int
    body: Any
    retry_after: float | None = None  # seconds

    @property
    def is_transient(self) -> bool:
        """Whether the same call may succeed later."""
        return is_transient(self.status)

    def pause(self, attempt: int) -> float:
        """Return the seconds to wait after this attempt: what the API asks for, plus exponential full jitter."""
        spread = min(_BACKOFF_CAP_SECONDS, _BACKOFF_SECONDS * 2**attempt)
        return (self.retry_after or 0.0) + random.uniform(0, spread)  # noqa: S311 - spreads load, guards nothing


def is_transient(status: int) -> bool:
    """Tell whether a call with this status (0: no answer) may succeed later."""
    return status in _TRANSIENT


def proof(mode: str, path: str, *, is_laptop: bool) -> Proof:
    """Return what a stack of this `authMode` wants to see at a path."""
    if path == _OPEN:
        return "nothing"
    if mode in ("jwt", "iam"):
        return "token" if mode == "jwt" else "signature"
    if path.startswith(_OPERATORS):
        return "nothing" if mode == "none" and is_laptop else "signature"
    return "key" if mode == "apiKey" else "nothing"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls a stack's API. `session` makes the AWS session with the caller's credentials."""

    mode: str
    is_laptop: bool
    session: Callable[[], Any]

    def headers(self, method: str, url: str, path: str, body: str | None) -> Mapping[str, str]:
        """Return the headers that prove it; `path` is the API's own, without query.

        Raises:
            CredentialsError: the environment does not hold what the API wants to see.
        """
        wanted = proof(self.mode, path, is_laptop=self.is_laptop)
        if wanted == "key":
            return {"x-api-key": _variable(KEY_VARIABLE, "the API's key")}
        if wanted == "token":
            return {"Authorization": f"Bearer {_variable(TOKEN_VARIABLE, 'a token of the issuer')}"}
        return _signature(self.session(), method, url, body) if wanted == "signature" else {}


class ApiClient:
    """One kept-alive connection; not for use by several threads. Without an identity it sends no credentials."""

    def __init__(self, base: str, identity: Identity | None = None) -> None:
        self._base = base
        self._identity = identity
        parts = urlsplit(base)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.netloc, timeout=_TIMEOUT_SECONDS)
        self._path = parts.path

    def get(self, path: str) -> Answer:
        """GET `path`.

        Raises:
            OSError: no answer.
            CredentialsError: the environment does not hold what the API wants to see.
        """
        return self._call("GET", path, None, {})

    def post(self, path: str, body: object, headers: dict[str, str] | None = None) -> Answer:
        """POST a JSON body to `path`.

        Raises:
            OSError: no answer; the API may have taken it all the same.
            CredentialsError: the environment does not hold what the API wants to see.
        """
        content = {"Content-Type": "application/json"} | (headers or {})
        return self._call("POST", path, json.dumps(body), content)

    def try_post(self, path: str, body: object, headers: dict[str, str] | None = None) -> Answer:
        """POST a JSON body to `path`; no answer is one with the status 0.

        Raises:
            CredentialsError: the environment does not hold what the API wants to see.
        """
        try:
            return self.post(path, body, headers)
        except OSError as error:
            return Answer(_NO_ANSWER, {"error": str(error)})

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Call the API and close the connection; returns its answer.

        Raises:
            ApiError: it refused, or its answer is no JSON object.
            OSError: no answer.
        """
        try:
            answer = self.get(path) if method == "GET" else self.post(path, body)
        finally:
            self.close()
        if answer.status >= 400 or not isinstance(answer.body, dict):
            raise ApiError(_refusal(answer))
        return answer.body

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _call(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
        if self._identity:
            shown = self._identity.headers(method, self._base + path, path.partition("?")[0], body)
            headers = {**headers, **shown}
        try:
            self._connection.request(method, self._path + path, body, headers)
            response = self._connection.getresponse()
            content = response.read()
        except (http.client.HTTPException, OSError) as error:
            self._connection.close()  # the next call opens another one
            raise OSError(f"{method} {path}: {error}") from error
        return Answer(response.status, _parsed(content), _seconds(response.getheader("Retry-After")))


def _variable(name: str, what: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise CredentialsError(f"this stack's API asks for {what}: export {name}=…")
    return value


def _signature(session: Any, method: str, url: str, body: str | None) -> Mapping[str, str]:  # noqa: ANN401 - botocore's
    from botocore.auth import SigV4Auth  # noqa: PLC0415 - takes as long as all the rest; most calls do without it
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415

    credentials = session.get_credentials()
    if credentials is None:
        raise CredentialsError("this stack's API asks for an AWS signature, and there are no AWS credentials here")
    on_aws = ON_AWS.match(url)
    region = on_aws[1] if on_aws else session.get_config_variable("region")
    if not region:
        raise CredentialsError("the AWS region of this stack's API is not known here: export AWS_REGION=…")
    request = AWSRequest(method, url, data=body)
    SigV4Auth(credentials.get_frozen_credentials(), "execute-api", region).add_auth(request)
    return dict(request.headers.items())


def _refusal(answer: Answer) -> str:
    body = answer.body if isinstance(answer.body, dict) else {}
    details = [
        f"{detail['pointer'].removeprefix('/')} {detail['message']}".strip() for detail in body.get("details", [])
    ]
    return "; ".join([f"{body.get('error') or body.get('message') or 'the API refused'} ({answer.status})", *details])


def _parsed(content: bytes) -> Any:  # noqa: ANN401 - as free as JSON
    try:
        return json.loads(content)
    except ValueError:
        return None


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdigit() else None
