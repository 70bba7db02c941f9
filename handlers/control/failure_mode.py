"""Lambda entry point: the failure switch. Its routes show and set it; a call without a route resets it.

`aws lambda invoke` with any payload sets `none`; the schedule sends `{"onlyIfExpired": true}`.
"""

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from handlers import clock, env, faults, jsontext
from handlers.aws import clients
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.errors import Detail, SchemaValidationError
from handlers.faults import Fault
from handlers.http.errors import HttpError
from handlers.http.request import MAX_CONTROL_BYTES, Request
from handlers.http.router import Answer, answer, serve
from handlers.observability import LambdaContext, logger, start_invocation

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

_MAX_TTL_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Env:
    """What the function's environment must say."""

    environment: str
    failure_mode_parameter: str


class Switch:
    """The failure switch's control."""

    def __init__(self, ssm: "SSMClient", parameter: str) -> None:
        self._ssm = ssm
        self._parameter = parameter
        self._endpoints = {
            "GET /failure-mode": self.show,
            "POST /failure-mode": self.set,
            "POST /failure-mode/reset": self.reset,
        }

    def handle(self, event: Any) -> Answer:  # noqa: ANN401 - whatever an operator invokes the function with
        """Answers a request, or resets the switch where the event is none."""
        if not isinstance(event, dict) or "routeKey" not in event:
            return self.clear(only_if_expired=isinstance(event, dict) and event.get("onlyIfExpired") is True)
        return serve(Request.from_event(event), self._endpoints)

    def show(self, _request: Request) -> Answer:
        """The switch as it is, and the mode in force."""
        return answer(200, _described(self._read()))

    def set(self, request: Request) -> Answer:
        """Sets a mode: `{mode, ttlSeconds?, match?}`."""
        try:
            fault = _wanted(jsontext.integral(request.json(max_bytes=MAX_CONTROL_BYTES)))
            value = fault.as_parameter()
        except SchemaValidationError as exc:
            raise HttpError.invalid(exc) from exc
        self._write(fault.mode, value)
        return answer(200, _described(fault))

    def reset(self, _request: Request) -> Answer:
        """Sets `none`."""
        self._write(faults.NONE, faults.NONE)
        return answer(200, _described(Fault()))

    def clear(self, *, only_if_expired: bool) -> jsontext.JsonObject:
        """Sets `none`; on the schedule only where a mode has expired.

        Raises:
            HttpError: SSM refused, so that the invocation fails and is tried again.
        """
        fault = self._read() if only_if_expired else None
        if fault and fault.effective(clock.now_ms()) == fault.mode:
            return {"mode": fault.mode, "reset": False}
        self._write(faults.NONE, faults.NONE)
        return {"mode": faults.NONE, "reset": True}

    def _read(self) -> Fault:
        try:
            return faults.parse(self._ssm.get_parameter(Name=self._parameter)["Parameter"]["Value"])
        except AWS_ERRORS as exc:
            logger.error("failure mode not read", extra={"errorType": error_code(exc)})
            raise HttpError.unavailable("the failure mode parameter") from exc
        except SchemaValidationError:
            return Fault()  # a value that can't be parsed is `none` in every function

    def _write(self, mode: str, value: str) -> None:
        try:
            self._ssm.put_parameter(Name=self._parameter, Value=value, Type="String", Overwrite=True)
        except AWS_ERRORS as exc:
            logger.error("failure mode not written", extra={"errorType": error_code(exc)})
            raise HttpError.unavailable("the failure mode parameter") from exc
        logger.info("failure mode set", extra={"mode": mode})


def _wanted(body: jsontext.Json) -> Fault:
    if not isinstance(body, dict):
        raise SchemaValidationError(Detail("", f"must be an object, got {jsontext.describe(body)}"))
    unknown = sorted(body.keys() - {"mode", "ttlSeconds", "match"})
    details = [Detail(jsontext.pointer(name), "is not known") for name in unknown]
    mode, ttl, match = body.get("mode"), body.get("ttlSeconds"), body.get("match", {})
    if not isinstance(mode, str) or not faults.is_mode(mode):
        details.append(Detail("/mode", f"must be one of {', '.join(faults.MODES)}"))
    if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, int) or not 1 <= ttl <= _MAX_TTL_SECONDS):
        details.append(Detail("/ttlSeconds", f"must be an integer from 1 to {_MAX_TTL_SECONDS}"))
    if not isinstance(match, dict):
        details.append(Detail("/match", f"must be an object, got {jsontext.describe(match)}"))
    if details:
        raise SchemaValidationError(*details)
    expires_at = clock.now_ms() + ttl * 1000 if isinstance(ttl, int) else 0
    return Fault(str(mode), expires_at, match if isinstance(match, dict) else {})


def _described(fault: Fault) -> jsontext.JsonObject:
    return fault.as_json() | {"effective": fault.effective(clock.now_ms())}


@cache
def switch() -> Switch:
    """The switch of this execution environment, made once."""
    return Switch(clients.client("ssm"), env.load(Env, os.environ).failure_mode_parameter)


def handler(event: Any, context: LambdaContext) -> Answer:  # noqa: ANN401 - see Switch.handle
    """Answers a request or resets the switch."""
    start_invocation(context.aws_request_id)
    return switch().handle(event)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the client in Lambda's init phase, not in the first request
    switch()
