"""Every GameDay on the laptop, with its verdict; and the same runs made false, with theirs.

They wait most of their time, and those of a pipeline for each other, so two stacks have half of them each. The workers
have more time than the laptop's 5 s: what shares the machine with a test makes cold starts long, and a time-out is an
alarm that nobody expects.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ops.cli.target import Target
from ops.gamedays import catalogue, engine, runs, verdict
from ops.gamedays.engine import Outcome
from ops.gamedays.lanes import Lanes
from ops.gamedays.model import GameDay
from ops.local.cloudwatch import service
from ops.local.deployer import deploy
from ops.local.emulator import Emulator
from tests.ops.gamedays import falsified
from tests.pipelines.lab import ROOT, Lab

FIRST = ("schema-break", "random-failures", "duplicates", "slow-downstream", "broken-file")
SECOND = tuple(one.name for one in catalogue.ALL if one.name not in FIRST)
_CONFIG: dict[str, Any] = {"workerTimeoutSeconds": 8, "ordersWorkerTimeoutSeconds": 8}


@dataclass
class Field:
    """A stack that is broken on purpose, and what has come of it."""

    lab: Lab
    target: Target
    before: dict[str, Any] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """What GameDays change, as it is now."""
        functions, orders = self.lab.client("lambda"), self.lab.outputs["orders"]
        worker = functions.get_function_configuration(FunctionName="orders-worker")
        queue = self.lab.client("sqs").get_queue_attributes(QueueUrl=orders["queueUrl"], AttributeNames=["All"])
        rule = {"Rule": "orders-created", "EventBusName": self.lab.outputs["EventBusName"]}
        return {
            "code": worker["CodeSha256"],
            "timeout": worker["Timeout"],
            "visibility": queue["Attributes"]["VisibilityTimeout"],
            "policy": queue["Attributes"]["Policy"],
            "targets": self.lab.client("events").list_targets_by_rule(**rule)["Targets"],
            "concurrency": functions.get_function_concurrency(FunctionName="orders-api").get(
                "ReservedConcurrentExecutions"
            ),
        }

    def perform(self, gameday: GameDay) -> None:
        """Runs one, as `lab gameday run` does."""
        journal = runs.begin(self.lab.home, gameday, lambda _: None)
        neighbours = [other for other in catalogue.ALL if not other.claims & gameday.claims]
        self.outcomes[gameday.name] = engine.perform(gameday, self.target, journal, neighbours)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Runs `lab gameday` as people do."""
        command = (sys.executable, "-c", "from ops.cli.entry import main; main()", "gameday", *words)
        environment = os.environ | {"LAB_HOME": str(self.lab.home)}
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )


@contextmanager
def performed(home: Path, names: Sequence[str]) -> Iterator[Field]:
    """A stack on which these GameDays have been run, those of different pipelines at the same time."""
    with Emulator.start(home) as emulator:
        deployment = deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=home / "local.json", config=_CONFIG)
        service.ensure(emulator, home / "local.json")
        made = Field(Lab(emulator, home, deployment), Target("local", deployment.outputs, emulator))
        made.before = made.settings()
        Lanes([catalogue.named(name) for name in names], made.perform, lanes=3).run()
        yield made


class GameDays:
    """What is asked of each; a subclass says which, as a class so that its file has a stack of its own."""

    names: ClassVar[tuple[str, ...]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """A test for each."""
        if "outcome" in metafunc.fixturenames:
            metafunc.parametrize("name", self.names)

    @pytest.fixture(scope="class")
    @classmethod
    def field_(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
        """The stack, on which they have been run."""
        with performed(tmp_path_factory.mktemp("lab"), cls.names) as made:
            yield made

    @pytest.fixture
    def outcome(self, field_: Field, name: str) -> Outcome:
        """What has come of one."""
        return field_.outcomes[name]

    def test_its_hypothesis_holds(self, outcome: Outcome) -> None:
        """On the real program, the real functions and the real alarms."""
        assert [check for check in outcome.checks if not check.ok] == []
        assert outcome.passed

    def test_a_falsified_run_fails_for_its_reason(self, outcome: Outcome) -> None:
        """Alarm silenced, message dropped, event processed twice, success lost, count falsified, stray alarm."""
        reasons: dict[str, list[str]] = {}
        for what, (recording, reason) in falsified.falsifications(outcome.gameday, outcome.recording).items():
            failed = [check.name for check in verdict.judge(outcome.gameday, recording) if not check.ok]
            if reason not in failed:
                reasons[what] = failed

        assert reasons == {}

    def test_the_stack_is_as_it_was(self, field_: Field) -> None:
        """No fault, no rule and no queue of a GameDay is left; what was changed is as the program has it."""
        lab = field_.lab
        queues = lab.client("sqs").list_queues()["QueueUrls"]
        rules = lab.client("events").list_rules(EventBusName=lab.outputs["EventBusName"])["Rules"]

        assert [url for url in queues if "gameday" in url] == []
        assert [rule["Name"] for rule in rules if "gameday" in rule["Name"]] == []
        assert lab.call("GET", "/failure-mode")[1]["effective"] == "none"
        assert field_.settings() == field_.before
