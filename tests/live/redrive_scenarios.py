"""What an operator does with redrive: looking at dead letters; starting, showing and cancelling runs."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.live.book import text
from tests.live.failing import Fault
from tests.live.ledger import Ledger, Sent, Step
from tests.live.matrix import Scenario

API = "redrive-api"
RUNNER = "redrive"
_LEASE_SECONDS = 100  # longer than that of a run, and than letters are out of sight
_TICKS = 5


@dataclass
class RedriveScenario(Scenario):
    """Some letters are on the DLQ."""

    step: Step
    letters: ClassVar[int] = 3
    events: list[Sent] = field(default_factory=list)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.stage, self.step)

    def prepare(self) -> None:
        """The letters."""
        self.events = [Sent.new() for _ in range(self.letters)]
        self.ledger.bury(*self.events)

    def show(self, redrive_id: str) -> dict[str, Any]:
        """A run with its ledger."""
        path, query = {"redriveId": redrive_id}, {"limit": "1000"}
        status, run = self.stage.call(API, "GET /redrive/{redriveId}", path=path, query=query)
        assert status == 200
        return run

    def begin(self, body: dict[str, Any]) -> str:
        """Starts a run, which nobody works on yet."""
        status, answer = self.stage.call(API, "POST /redrive/start", body)
        assert status == 202, answer
        self.stage.wire.invocations.clear()
        return str(answer["redriveId"])

    def finish(self, redrive_id: str) -> dict[str, Any]:
        """What the API's invocation and the schedule make of a run: it has ended within five ticks."""
        while self.stage.wire.invocations:
            self.stage.invoke_async(*self.stage.wire.invocations.pop(0))
        for _ in range(_TICKS):
            if (run := self.show(redrive_id))["state"] != "RUNNING":
                return run
            self.stage.clock.advance(_LEASE_SECONDS)
            self.stage.show(self.ledger.dlq_url)
            self.stage.invoke_async(RUNNER, {})
        return self.show(redrive_id)

    def settle(self, run: dict[str, Any]) -> None:
        """Every letter was moved or is still there, and the run's ledger and its counts say which."""
        self.stage.show(self.ledger.dlq_url)
        moved = Counter(text(one, "idempotencyKey") for one in self.ledger.take(self.ledger.queue_url))
        left = Counter(text(one, "idempotencyKey") for one in self.ledger.take(self.ledger.dlq_url))
        told = {one["idempotencyKey"]: one["state"] for one in run["messages"]}
        keys = {event.key for event in self.events}
        assert len(told) == len(run["messages"])
        assert told.keys() <= keys
        assert moved.keys() | left.keys() == keys
        assert max([*moved.values(), *left.values()]) == 1
        assert {key for key, state in told.items() if state == "MOVED"} == keys - left.keys()
        assert moved.keys() & left.keys() <= {key for key, state in told.items() if state == "UNCERTAIN"}
        counts = {name: number for name, number in run["counts"].items() if number and name != "examined"}
        assert counts == dict(Counter(state.lower() for state in told.values()))


@dataclass
class Asking(RedriveScenario):
    """An operator uses the API, and again after a 503."""

    function: ClassVar[str] = API
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    allowed: ClassVar[tuple[int, ...]] = (200, 503)

    def ask(self) -> tuple[int, dict[str, Any]]:
        """The request."""
        return self.stage.call(API, "GET /redrive/preview", query={"maxMessages": "20"})

    def act(self) -> None:
        """The first try."""
        self.answers.append(self.ask())
        assert self.answers[-1][0] in self.allowed, self.answers

    def recover(self) -> None:
        """The second, when every letter shows again."""
        if self.answers[0][0] == 503:
            self.stage.show(self.ledger.dlq_url)
            self.answers.append(self.ask())

    def check(self, fault: Fault | None) -> None:  # noqa: ARG002 - the same after every fault
        """It was answered, and every letter is still there."""
        assert self.answers[-1][0] == 200
        self.stage.show(self.ledger.dlq_url)
        left = Counter(text(one, "idempotencyKey") for one in self.ledger.take(self.ledger.dlq_url))
        assert left == Counter(event.key for event in self.events)


class Previewing(Asking):
    """A look at the letters."""

    name, occurrences = "preview", 2

    def check(self, fault: Fault | None) -> None:
        """Each was shown, once."""
        shown = [message["idempotencyKey"] for message in self.answers[-1][1]["messages"]]
        super().check(fault)
        assert sorted(shown) == sorted(event.key for event in self.events)


class Starting(Asking):
    """A start. After a 503 it may turn out that the run was made."""

    name = "start"
    allowed = (202, 503)

    def ask(self) -> tuple[int, dict[str, Any]]:
        """The request."""
        return self.stage.call(API, "POST /redrive/start", {"errorType": "DownstreamError", "maxMessages": 10})

    def check(self, fault: Fault | None) -> None:
        """There is one run, and it moves every letter."""
        status, answer = self.answers[-1]
        assert status == 202 or (status == 409 and len(self.answers) == 2 and fault is not None)
        redrive_id = answer["redriveId"] if status == 202 else answer["error"].split()[1]
        run = self.finish(redrive_id)
        assert (run["state"], run["counts"]["moved"]) == ("SUCCEEDED", self.letters)
        self.settle(run)


class Showing(Asking):
    """The ledger of a run that has ended."""

    name = "show"

    def prepare(self) -> None:
        """A dry run."""
        super().prepare()
        self.id = self.begin({"dryRun": True})
        self.stage.invoke_async(RUNNER, {"redriveId": self.id})

    def ask(self) -> tuple[int, dict[str, Any]]:
        """The request."""
        return self.stage.call(API, "GET /redrive/{redriveId}", path={"redriveId": self.id})

    def check(self, fault: Fault | None) -> None:
        """It says what would have been moved."""
        super().check(fault)
        assert {one["state"] for one in self.answers[-1][1]["messages"]} == {"WOULD_MOVE"}
        assert len(self.answers[-1][1]["messages"]) == self.letters


class Cancelling(Asking):
    """The end of a run that nobody works on yet."""

    name = "cancel"
    allowed = (202, 503)

    def prepare(self) -> None:
        """A run."""
        super().prepare()
        self.id = self.begin({})

    def ask(self) -> tuple[int, dict[str, Any]]:
        """The request."""
        return self.stage.call(API, "POST /redrive/cancel", {"redriveId": self.id})

    def check(self, fault: Fault | None) -> None:  # noqa: ARG002 - the same after every fault
        """It ends without having moved anything."""
        assert self.answers[-1][0] == 202
        run = self.finish(self.id)
        assert (run["state"], run["messages"]) == ("CANCELLED", [])
        self.settle(run)


REDRIVE_SCENARIOS: list[type[RedriveScenario]] = [Previewing, Starting, Showing, Cancelling]
