"""A deployed function that runs in this process: its own environment, its own role, real clients, real HTTP."""

import importlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import botocore.session
import pytest
from botocore.config import Config
from botocore.retries.quota import RetryQuota

from handlers import clock
from handlers.aws import clients, retry
from handlers.worker import trip_wire
from tests.live.wire import REGION, Wire

_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AccessKeyId",
    "AWS_SECRET_ACCESS_KEY": "SecretAccessKey",
    "AWS_SESSION_TOKEN": "SessionToken",
}


@dataclass
class Clock:
    """The handlers' wall clock, which a test may put forward: leases lapse, nobody waits."""

    ahead_ms: int = 0

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def monotonic(self) -> float:
        """Seconds since whenever."""
        return time.monotonic() + self.ahead_ms / 1000

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        self.ahead_ms += round(seconds * 1000)


@dataclass(frozen=True)
class Context:
    """Lambda's context: the time that remains is real."""

    seconds: float
    aws_request_id: str
    _began: float = field(default_factory=time.monotonic)

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda would end the invocation."""
        return max(0, round((self._began + self.seconds - time.monotonic()) * 1000))


class _Session(botocore.session.Session):
    """Makes each client once: making them is most of a cold start, and the SDK's part in it is not under test."""

    def create_client(self, service_name: str, *arguments: Any, **options: Any) -> Any:
        made: dict[Any, Any] = self.__dict__.setdefault("made", {})
        config = options["config"].merge(Config(parameter_validation=True))  # every call is held to botocore's models
        kind = service_name, config.read_timeout, config.max_pool_connections, config.retries["total_max_attempts"]
        if kind not in made:
            made[kind] = super().create_client(service_name, *arguments, **{**options, "config": config})
        return made[kind]


class DiedError(BaseException):
    """The function's process has ended: no handler of exceptions sees it."""


class LiveFunction:
    """One deployed function. Like an execution environment of Lambda it stays warm between invocations."""

    _warm: dict[str, str] = {}  # noqa: RUF012 - which function each handler module holds the clients of

    def __init__(
        self, deployed: Mapping[str, Any], *, endpoint: str, credentials: Mapping[str, str], wire: Wire, now: Clock
    ) -> None:
        self.name: str = deployed["FunctionName"]
        self.role_arn: str = deployed["Role"]
        self.timeout_seconds: int = deployed["Timeout"]
        self.credentials = {name: credentials[given] for name, given in _CREDENTIALS.items()}
        self.environment = {
            **deployed["Environment"]["Variables"],
            **self.credentials,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": endpoint,
        }
        self._clock = now
        self._clients: dict[str, Any] = {}
        module, _, self._handler = deployed["Handler"].rpartition(".")
        self.module = importlib.import_module(module)
        with self._environment():
            self.session = _Session()
            self.session.get_credentials()  # from the environment, now
        wire.attach(self.session, self.name)

    def invoke(self, event: Any, request_id: str = "") -> Any:
        """Runs the handler once; both JSON, as Lambda hands them over. Raises what the handler raises.

        All attempts at an asynchronous invocation have one request id.
        """
        context = Context(self.timeout_seconds, request_id or str(uuid4()))
        with self._environment():
            if LiveFunction._warm.get(self.module.__name__) != self.name:
                self._start()
            handler = getattr(self.module, self._handler)
            return json.loads(json.dumps(handler(json.loads(json.dumps(event)), context)))

    def end(self) -> None:
        """Ends the execution environment: the next invocation is a cold start."""
        LiveFunction._warm.pop(self.module.__name__, None)

    def client(self, service: str) -> Any:
        """A client in the function's role, as the Lambda service has it; past the wire; made once."""
        if service not in self._clients:
            with self._environment():
                self._clients[service] = botocore.session.Session().create_client(service)
        return self._clients[service]

    def _start(self) -> None:
        for made_once in vars(self.module).values():
            if callable(clear := getattr(made_once, "cache_clear", None)):
                clear()
        LiveFunction._warm[self.module.__name__] = self.name

    @contextmanager
    def _environment(self) -> Iterator[None]:
        """The process as the function sees it: its variables, its session, no waiting between the SDK's attempts."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.delenv("AWS_PROFILE", raising=False)
            patch.setattr(clock, "now_ms", self._clock.now_ms)
            patch.setattr(trip_wire, "monotonic", self._clock.monotonic)
            patch.setattr(retry, "pause", lambda _seconds: None)
            patch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))
            # clients outlive cold starts here, so their budget of retries must as well
            patch.setattr(RetryQuota, "acquire", lambda _quota, _amount: True)
            if session := getattr(self, "session", None):
                patch.setattr(clients, "_session", lambda: session)
                patch.setattr(botocore.session, "get_session", lambda: session)
            yield
