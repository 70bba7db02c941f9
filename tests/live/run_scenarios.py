"""What redrive's runner does."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

from tests.live.book import text
from tests.live.failing import Fault, Kind
from tests.live.ledger import Sent
from tests.live.redrive_scenarios import RUNNER, RedriveScenario

# What leaves letters of which nobody can tell: a send without a clear answer, a ledger that tells of sends which never
# came, or that can't be written after them.
_UNCERTAIN = {("SendMessageBatch", kind) for kind in set(Kind) - {Kind.THROTTLED, Kind.PARTIAL}}
_UNCERTAIN |= {("PutItem", kind) for kind in Kind}
_UNCERTAIN |= {("TransactWriteItems", kind) for kind in (Kind.TIMEOUT_AFTER, Kind.RESET_AFTER)}


@dataclass
class Running(RedriveScenario):
    """A run, which goes on with the schedule's ticks where its invocation could not end it."""

    function: ClassVar[str] = RUNNER
    name: ClassVar[str] = "a run"
    letters: ClassVar[int] = 5
    occurrences: ClassVar[int] = 2
    body: ClassVar[dict[str, Any]] = {"errorType": "DownstreamError"}
    raised: bool = False

    def prepare(self) -> None:
        """Started; one letter is not meant."""
        super().prepare()
        other = Sent.new()
        self.ledger.bury(other, error_type="SchemaValidationError")
        self.events.append(other)
        self.id = self.begin(self.body)

    def act(self) -> None:
        """The invocation that the start makes."""
        try:
            self.stage.function(RUNNER).invoke({"redriveId": self.id})
        except Exception:  # noqa: BLE001 - whatever it is, Lambda tries again
            self.raised = True

    def recover(self) -> None:
        """Lambda's own tries, then the ticks."""
        if self.raised:
            self.stage.invoke_async(RUNNER, {"redriveId": self.id})
        self.run = self.finish(self.id)

    def check(self, fault: Fault | None) -> None:
        """It has ended well: all letters moved, but for those of which nobody can tell."""
        assert self.run["state"] == "SUCCEEDED", self.run
        if fault is None or (fault.operation, fault.kind) not in _UNCERTAIN:
            assert self.run["counts"]["uncertain"] == 0
        self.settle(self.run)


class Canary(Running):
    """A run that waits for the outcome of its first letter; meanwhile the worker works."""

    name = "a run with a canary"
    letters, occurrences = 2, 1
    body: ClassVar[dict[str, Any]] = {"errorType": "DownstreamError", "canary": 1}

    def prepare(self) -> None:
        """Started."""
        super().prepare()
        self.stage.meanwhile = self.ledger.consumer.drain

    def settle(self, run: dict[str, Any]) -> None:
        """The worker ends what was moved; none of it is done twice."""
        self.ledger.consumer.drain()
        self.stage.show(self.ledger.dlq_url)
        left = {text(one, "idempotencyKey") for one in self.ledger.take(self.ledger.dlq_url)}
        told = {one["idempotencyKey"]: one["state"] for one in run["messages"]}
        assert {key for key, state in told.items() if state == "MOVED"} == {e.key for e in self.events} - left
        self.ledger.check([event for event in self.events if event.key not in left])
        runs = Counter(order for order, _ in self.step.runs)
        assert max(runs.values(), default=1) == 1


RUN_SCENARIOS: list[type[RedriveScenario]] = [Running, Canary]
