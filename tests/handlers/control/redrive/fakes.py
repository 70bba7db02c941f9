"""A hub through which every AWS call goes, to fail or crash there, and what stands in for threads and for Lambda."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tests.handlers.fakes import Crash


def refusal(code: str, status: int = 400) -> ClientError:
    """A call that AWS answers with an error."""
    return ClientError(
        {"Error": {"Code": code, "Message": "made by a test"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "Call",
    )


@dataclass
class Hub:
    """Sees every call. ``before`` and ``after`` get its name and may raise; past a `Crash` the process is dead."""

    calls: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda _name: None
    after: Callable[[str], None] = lambda _name: None
    dead: bool = False
    closings: int = 0  # of idle connections
    lock: AbstractContextManager[Any] = field(default_factory=threading.RLock)

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        if self.dead:
            raise Crash
        self.calls.append(name)
        try:
            self.before(name)
            with self.lock:
                answer = work()
            self.after(name)
        except Crash:
            self.dead = True
            raise
        return answer

    def revive(self) -> None:
        """A new process, in which nothing goes wrong."""
        self.dead = False
        self.before = self.after = lambda _name: None


class Wire:
    """A client whose calls go through the hub."""

    def __init__(self, client: Any, hub: Hub) -> None:
        self._client = client
        self._hub = hub

    def close(self) -> None:
        """Drops its connections: no call, so nothing of AWS can fail."""
        self._hub.closings += 1

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda **arguments: self._hub.call(name, lambda: method(**arguments))


class Inline(Executor):
    """Runs what is submitted at once, so that calls have one order."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as exc:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(exc)
        return future


class Late(Executor):
    """Runs what is submitted only when its result is asked for, as a slow call would be."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        return _Late(lambda: fn(*args, **kwargs))


class _Late(Future[Any]):
    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self._work = work

    def result(self, timeout: float | None = None) -> Any:
        if not self.done():
            try:
                self.set_result(self._work())
            except Exception as exc:  # noqa: BLE001 - whoever asks for the result gets it
                self.set_exception(exc)
        return super().result(timeout)


@dataclass
class FakeFunctions:
    """Lambda: the invocations that it has taken."""

    invoked: list[dict[str, Any]] = field(default_factory=list)

    def invoke(self, **arguments: Any) -> dict[str, Any]:
        self.invoked.append(arguments)
        return {"StatusCode": 202}
