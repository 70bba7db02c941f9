"""A stack in memory: what a GameDay changes can be seen, and what it is to find can be set."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from ops.gamedays import changes, engine
from ops.gamedays.ledger import Facts, Letter, Record, Told


@dataclass
class FakeTarget:
    """Where it is."""

    stack: str = "local"
    life: int = 1
    outputs: dict[str, Any] = field(default_factory=lambda: {"FailureResetFunctionName": "failure-mode"})
    pipelines: dict[str, dict[str, str]] = field(default_factory=lambda: {"events": {}})
    look_seconds: float = 0.01
    emulator: Any = field(default_factory=lambda: SimpleNamespace(endpoint="http://127.0.0.1:1"))


@dataclass
class FakeStack:
    """The stack itself."""

    target: FakeTarget = field(default_factory=FakeTarget)
    pipeline: str = "events"
    group: dict[str, str] = field(default_factory=dict)
    is_laptop: bool = True
    patience: float = 0.01
    period: float = 0.0
    mode: str = "none"
    deaf_until: float = 0.0
    firing: set[str] = field(default_factory=set)
    found: Facts = field(default_factory=Facts)
    log: list[str] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)  # what the captures hear next
    looked: list[list[Told]] = field(default_factory=list)  # what the facts were made of
    open: set[str] = field(default_factory=set)  # queues that capture

    def alarms(self) -> dict[str, str]:
        names = {"events-dlq-not-empty", "events-worker-errors", *self.firing}
        return {name: "ALARM" if name in self.firing else "OK" for name in names}

    def depths(self) -> dict[str, dict[str, int]]:
        return {"main": self.depth(), "dlq": self.depth()}

    def depth(self, _role: str = "main") -> dict[str, int]:
        return {"visible": 0, "hidden": 0, "delayed": 0}

    def consumer(self) -> dict[str, str]:
        return {"State": "Enabled"}

    def breaker(self) -> str:
        return "CLOSED"

    def breaker_deaf_until(self) -> float:
        return self.deaf_until

    def failure_mode(self) -> str:
        return self.mode

    def capture(self, name: str) -> str:
        self.log.append("capture")
        self.open.add(f"https://sqs/{name}")
        return f"https://sqs/{name}"

    def heard(self, url: str) -> list[Told]:
        assert url in self.open, "the queue does not exist"
        heard, self.told = self.told, []
        return heard

    def revert(self, what: str, data: dict[str, Any]) -> None:
        """What `changes.revert` does to it."""
        self.log.append(f"undo {what}")
        if what == "capture":
            self.open.remove(f"https://sqs/{data['name']}")

    def records(self, _ids: Collection[str]) -> dict[str, Record]:
        return dict(self.found.records)

    def facts(self, _ids: Collection[str], told: Sequence[Told], _disposed: Sequence[Letter] = ()) -> Facts:
        self.looked.append(list(told))
        return self.found

    def series(self, _since: float, _until: float) -> dict[str, Any]:
        return {}


def replace_stack(monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    """The stack that the engine finds from now on; what takes a change back is noted in its log."""
    stack = FakeStack()
    monkeypatch.setattr(engine, "Stack", lambda _target, _pipeline: stack)
    monkeypatch.setattr(changes, "revert", lambda _stack, _folder, what, data: stack.revert(what, data))
    return stack
