"""The wire between the handlers in this process and AWS: every request seen, and any of them failed.

It sits below botocore's retries (`before-send`), so a fault is what the SDK meets, and what the handler meets is what
the SDK makes of it. An asynchronous invocation is checked by AWS (as a dry run) and kept in ``invocations`` for the
test to run, because the function that it names is here.
"""

import json
import socket
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.httpsession import URLLib3Session

from tests.live import failing
from tests.live.failing import Fault, Kind

REGION = "us-east-1"
_RESIGNED = ("content-type", "x-amz-target", "x-amz-log-type", "x-amz-client-context")
_AT_ONCE: Any = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]  # as botocore's clients have it
# Names by which services sign, where they differ from the service id.
_SIGNING = {"eventbridge": "events", "secrets-manager": "secretsmanager"}


@dataclass(slots=True)
class Call:
    """One request. ``number`` counts the calls of an operation by a function, ``attempt`` the SDK's tries at one.

    ``service`` is botocore's service id (``sqs``, ``dynamodb``, ``eventbridge``), ``params`` are the caller's.
    """

    function: str
    service: str
    operation: str
    params: dict[str, Any]
    number: int
    attempt: int
    fault: Kind | None = None
    status: int = 0  # of AWS's answer, whether or not it arrived; 0 where there was none
    said: dict[str, Any] = field(default_factory=dict)  # that answer, where it is JSON

    def done(self, entries: str, answers: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """The entries of a batch call that AWS had before it, each with its answer."""
        given = self.params[entries][1:] if self.fault is Kind.PARTIAL else self.params[entries]
        return list(zip(given, self.said[answers], strict=True)) if self.said else []


@dataclass
class Wire:
    """``calls`` in the order in which they were sent; ``invocations`` are (function, payload) still to be run."""

    calls: list[Call] = field(default_factory=list)
    invocations: list[tuple[str, Any]] = field(default_factory=list)
    _faults: dict[str, Fault] = field(default_factory=dict)
    _ids: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _local: threading.local = field(default_factory=threading.local)
    _http: Any = field(default_factory=lambda: URLLib3Session(max_pool_connections=32, socket_options=_AT_ONCE))

    def clear(self) -> None:
        """Forgets all calls and faults."""
        self.calls.clear()
        self.invocations.clear()
        self._ids.clear()
        self._faults.clear()

    def inject(self, function: str, fault: Fault | None) -> None:
        """Fails calls of a function (None: none); they are counted from here."""
        for known in [key for key in self._ids if key[0] == function]:
            del self._ids[known]
        if fault:
            self._faults[function] = fault

    def calm(self) -> None:
        """Ends all faults."""
        self._faults.clear()

    def attach(self, session: Any, function: str) -> None:
        """Makes every client of a session speak through this wire, in a function's name."""
        session.register("before-parameter-build", self._keep_params)
        session.register("before-send", self._sender(session, function))

    def _keep_params(self, params: dict[str, Any], **_: Any) -> None:
        self._local.params = dict(params)  # the request is sent by the same thread

    def _sender(self, session: Any, function: str) -> Callable[..., Any]:
        def send(request: Any, event_name: str, **_: Any) -> Any:
            service, operation = event_name.split(".")[1:3]
            call = self._note(function, service, operation, request)
            return _Sending(self, session, request, call).send()

        return send

    def _note(self, function: str, service: str, operation: str, request: Any) -> Call:
        invocation_id = _text(request.headers["amz-sdk-invocation-id"])
        attempt = int(_text(request.headers["amz-sdk-request"]).split(";")[0].removeprefix("attempt="))
        with self._lock:
            known = self._ids[function, operation]
            if invocation_id not in known:
                known.append(invocation_id)
            number = known.index(invocation_id) + 1
            call = Call(function, service, operation, self._local.params, number, attempt)
            fault = self._faults.get(function)
            if fault and fault.operation == operation and fault.hits(number, attempt):
                call.fault = fault.kind
            self.calls.append(call)
        return call


@dataclass(frozen=True, slots=True)
class _Sending:
    """One request on its way."""

    wire: Wire
    session: Any
    request: Any
    call: Call

    def send(self) -> Any:
        """The answer that the SDK gets.

        Raises:
            HTTPClientError: it gets none.
        """
        url, service = self.request.url, self.call.service
        match self.call.fault:
            case Kind.THROTTLED:
                return failing.throttled(url, service)
            case Kind.BROKEN:
                return failing.broken(url, service)
            case Kind.TIMEOUT_BEFORE | Kind.TIMEOUT_AFTER:
                if self.call.fault is Kind.TIMEOUT_AFTER:
                    self._lose()
                raise ReadTimeoutError(endpoint_url=url)
            case Kind.RESET_BEFORE | Kind.RESET_AFTER:
                if self.call.fault is Kind.RESET_AFTER:
                    self._lose()
                raise ConnectionClosedError(endpoint_url=url)
            case Kind.PARTIAL:
                return self._in_part()
            case Kind.BROKEN_OFF:
                return failing.broken_off(self._carry_out())
            case None:
                return self._carry_out()

    def _lose(self) -> None:
        """Has the call carried out; nobody hears the answer."""
        _ = self._carry_out().content

    def _carry_out(self) -> Any:
        params = self.call.params
        if self.call.operation == "Invoke" and params.get("InvocationType") == "Event":
            return self._invoke_later(params)
        return self._transmit(self.request)

    def _transmit(self, request: Any) -> Any:
        reply = self.wire._http.send(request)
        self.call.status = reply.status_code
        if reply.status_code == 200 and self.request.headers.get("x-amz-target"):
            self.call.said = json.loads(reply.content or b"{}")
        return reply

    def _invoke_later(self, params: dict[str, Any]) -> Any:
        reply = self._transmit(self._signed(self.request.body, {"x-amz-invocation-type": "DryRun"}))
        if reply.status_code != 204:
            return reply
        self.wire.invocations.append((params["FunctionName"], json.loads(params["Payload"])))
        return failing.answer(self.request.url, 202, b"")

    def _in_part(self) -> Any:
        sent = json.loads(self.request.body)
        if self.call.operation == "TransactWriteItems":
            return failing.transaction_cancelled(self.request.url, sent)
        part = failing.first_fails(self.call.operation, sent)
        said: dict[str, Any] = {}
        if part.rest is not None:
            reply = self._transmit(self._signed(json.dumps(part.rest).encode(), {}))
            assert reply.status_code == 200, reply.text
            said = json.loads(reply.content)
        return failing.answer(self.request.url, 200, part.finish(said))

    def _signed(self, body: bytes, headers: dict[str, str]) -> Any:
        """The request with another body or other headers."""
        kept = {name: _text(self.request.headers[name]) for name in _RESIGNED if name in self.request.headers}
        fresh = AWSRequest(self.request.method, self.request.url, kept | headers, body)
        service = _SIGNING.get(self.call.service, self.call.service)
        credentials = self.session.get_credentials().get_frozen_credentials()
        SigV4Auth(credentials, service, REGION).add_auth(fresh)
        return fresh.prepare()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
