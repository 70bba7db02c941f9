"""Faults that can be switched on: one SSM parameter says which, every function reads it at most every 5 s.

The parameter holds a mode (`poison_payload`) or JSON `{"mode": …, "expiresAt": RFC 3339, "match": {field: value}}`.
A fault is wrapped around the business step, never inside it. A parameter that can't be read or understood is `none`.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from handlers import clock, jsontext
from handlers.aws import clients
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.errors import Detail, DownstreamError, SchemaValidationError, TransientError
from handlers.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

NONE = "none"
_ANY_RANDOM = "random_fail_pNN"
MODES = (
    NONE,
    "poison_payload",
    "slow_downstream",
    _ANY_RANDOM,
    "duplicate_submit",
    "downstream_outage",
    "crash",
    "hang",
)
_RANDOM = re.compile(r"random_fail_p([0-9]{1,2}|100)")
_EPOCH = datetime.fromtimestamp(0, UTC)
MAX_PARAMETER = 4096  # characters that a standard SSM parameter holds
_CACHE_SECONDS = 5.0
_PAST_DEADLINE_SECONDS = 5.0
_HANG_SECONDS = 60.0


class RandomFaultError(TransientError):
    """The failure that `random_fail_pNN` makes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What the switch says. `expires_at` in ms since the epoch, 0 is never."""

    mode: str = NONE
    expires_at: int = 0
    match: Mapping[str, jsontext.Json] = field(default_factory=dict)

    def effective(self, now_ms: int) -> str:
        """The mode in force: `none` once it has expired."""
        return NONE if 0 < self.expires_at <= now_ms else self.mode

    def matches(self, payload: jsontext.JsonObject) -> bool:
        """Whether a record is meant: every field of `match` has the value named there."""
        return all(name in payload and payload[name] == value for name, value in self.match.items())

    def as_parameter(self) -> str:
        """The fault as the parameter holds it: the mode alone where there is no more to say.

        Raises:
            SchemaValidationError: it is longer than a parameter may be.
        """
        if not self.expires_at and not self.match:
            return self.mode
        # SSM takes no {{...}}, which it reads as the name of another parameter. In JSON {{ stands within strings only.
        value = jsontext.compact(self.as_json()).replace("{{", "\\u007b\\u007b")
        if len(value) > MAX_PARAMETER:
            message = f"makes a parameter of {len(value)} characters; SSM holds {MAX_PARAMETER}"
            raise SchemaValidationError(Detail("/match", message))
        return value

    def as_json(self) -> jsontext.JsonObject:
        """The fault as JSON; `expiresAt` and `match` where they are set."""
        expiry: jsontext.JsonObject = {"expiresAt": clock.iso(self.expires_at)} if self.expires_at else {}
        return {"mode": self.mode} | expiry | ({"match": dict(self.match)} if self.match else {})


def is_mode(text: str) -> bool:
    """Whether a text names a mode."""
    return (text in MODES and text != _ANY_RANDOM) or _RANDOM.fullmatch(text) is not None


def parse(value: str) -> Fault:
    """Reads the parameter's value.

    Raises:
        SchemaValidationError: it is neither a mode nor the JSON form of one.
    """
    if not value.lstrip().startswith("{"):
        return Fault(_mode(value.strip()))
    given = jsontext.parse(value)
    assert isinstance(given, dict)  # noqa: S101 - it begins with a brace
    if unknown := sorted(given.keys() - {"mode", "expiresAt", "match"}):
        raise SchemaValidationError(*(Detail(jsontext.pointer(name), "is not known") for name in unknown))
    match = given.get("match", {})
    if not isinstance(match, dict):
        raise SchemaValidationError(Detail("/match", f"must be an object, got {jsontext.describe(match)}"))
    return Fault(_mode(given.get("mode")), _expiry(given.get("expiresAt")), match)


def fails(key: str, attempt: int, percent: int) -> bool:
    """Whether `random_fail_pNN` fails this attempt at this key: the same answer for every caller."""
    digest = hashlib.sha256(f"{key}:{attempt}".encode()).digest()
    return int.from_bytes(digest[:8]) * 100 < percent << 64


class FaultSwitch:
    """The switch as one execution environment sees it."""

    def __init__(self, ssm: "SSMClient", parameter: str) -> None:
        self._ssm = ssm
        self._parameter = parameter
        self._read_at = float("-inf")
        self._fault = Fault()

    def current(self) -> Fault:
        """The fault in force, at most 5 s old."""
        if time.monotonic() - self._read_at >= _CACHE_SECONDS:
            self._fault = self._read()
            self._read_at = time.monotonic()
        mode = self._fault.effective(clock.now_ms())
        return self._fault if mode != NONE else Fault()

    def duplicates(self, payload: jsontext.JsonObject) -> bool:
        """Whether ingest is to send this event twice."""
        fault = self.current()
        return fault.mode == "duplicate_submit" and fault.matches(payload)

    def disturb(
        self,
        key: str,
        attempt: int,
        payload: jsontext.JsonObject,
        *,
        seconds_left: float,
        redriven: bool = False,  # noqa: ARG002 - for the faults of a pipeline's own
    ) -> None:
        """Fails or delays one attempt at one record, if it is meant.

        Raises:
            IngestionError: the failure that the mode makes.
        """
        fault = self.current()
        if fault.mode == NONE or not fault.matches(payload):
            return
        if fault.mode == "poison_payload":
            raise SchemaValidationError(Detail("", "was poisoned by the failure mode poison_payload"))
        if fault.mode == "downstream_outage":
            raise DownstreamError("the failure mode downstream_outage is on")
        if fault.mode == "slow_downstream":
            time.sleep(seconds_left + _PAST_DEADLINE_SECONDS)  # Lambda ends the invocation during this
        if fault.mode == "crash":
            os._exit(1)  # as the system ends a process that is out of memory: nothing is cleaned up, nobody is told
        while fault.mode == "hang":
            time.sleep(_HANG_SECONDS)  # no timer of ours runs here; Lambda ends the process at its time-out
        if (chance := _RANDOM.fullmatch(fault.mode)) and fails(key, attempt, int(chance[1])):
            raise RandomFaultError(f"the failure mode {fault.mode} fails attempt {attempt}")

    def _read(self) -> Fault:
        try:
            return parse(self._ssm.get_parameter(Name=self._parameter)["Parameter"]["Value"])
        except AWS_ERRORS as exc:
            logger.warning("failure mode not read, taken as none", extra={"errorType": error_code(exc)})
        except SchemaValidationError as exc:
            logger.warning("failure mode not understood, taken as none", extra={"errorType": exc.error_type})
        return Fault()


def make_switch(parameter: str, make: "Callable[[SSMClient, str], FaultSwitch]" = FaultSwitch) -> FaultSwitch | None:
    """The switch that a function's environment names by its parameter; None where there is no failure lab ("")."""
    return make(clients.client("ssm"), parameter) if parameter else None


def _mode(value: jsontext.Json) -> str:
    if isinstance(value, str) and is_mode(value):
        return value
    raise SchemaValidationError(Detail("/mode", f"must be one of {', '.join(MODES)}"))


def _expiry(value: jsontext.Json) -> int:
    if value is None:
        return 0
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        moment = moment and (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # the latter: its offset takes it out of the years 1 to 9999
        moment = None
    if moment is None:
        raise SchemaValidationError(Detail("/expiresAt", "must be an RFC 3339 time, such as 2030-01-31T12:00:00Z"))
    # A time before 1970 is long over; 0 would be never.
    return max(1, (moment - _EPOCH) // timedelta(milliseconds=1))
