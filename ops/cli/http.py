"""Calls of the deployed API."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ops.cli import output

if TYPE_CHECKING:
    from ops.cli.credentials import Identity
    from ops.cli.target import Target

_TIMEOUT_SECONDS = 35  # API Gateway gives up after 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said; `body` is None where it was not JSON."""

    status: int
    body: Any
    retry_after: float | None = None  # seconds


class ApiClient:
    """One kept-alive connection; not for use by several threads. Without an identity it shows nothing."""

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
            CredentialsError: the API asks for something that is not there.
        """
        return self._call("GET", path, None, {})

    def post(self, path: str, body: object, headers: dict[str, str] | None = None) -> Answer:
        """POST a JSON body to `path`.

        Raises:
            OSError: no answer; whether it was taken is not known.
            CredentialsError: the API asks for something that is not there.
        """
        content = {"Content-Type": "application/json"} | (headers or {})
        return self._call("POST", path, json.dumps(body), content)

    def close(self) -> None:
        """Give the connection back."""
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


def ask(found: Target, method: str, path: str, body: object = None) -> dict[str, Any]:
    """One call of a stack's API that is to succeed; a refusal is told with its reasons and ends the command.

    Raises:
        OSError: no answer.
    """
    client = ApiClient(found.api, found.identity)
    try:
        answer = client.get(path) if method == "GET" else client.post(path, body)
    finally:
        client.close()
    if answer.status >= 400 or not isinstance(answer.body, dict):
        output.fail(_refusal(answer))
    given: dict[str, Any] = answer.body
    return given


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
