"""Every GameDay on the laptop, with its verdict; and the same runs made false, with theirs.

One stack for all, as `lab gameday run all` has it. The workers have more time than the laptop's 5 s: what shares the
machine with a test makes cold starts long, and a time-out is an alarm that nobody expects.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ops.cli.target import Target
from ops.gamedays import catalogue, engine, report, runs, verdict
from ops.gamedays.engine import Outcome
from ops.gamedays.journal import Journal
from ops.gamedays.lanes import Lanes
from ops.gamedays.model import GameDay
from ops.local.cloudwatch import service
from ops.local.deployer import deploy
from ops.local.emulator import Emulator
from tests.ops.gamedays import falsified
from tests.pipelines.lab import ROOT, Lab, wait_for

_CONFIG: dict[str, Any] = {"workerTimeoutSeconds": 8, "ordersWorkerTimeoutSeconds": 8}
_NAMES = [one.name for one in catalogue.ALL]


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


@pytest.fixture(scope="module")
def field_(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """The stack, on which all GameDays have been run, two at a time."""
    home = tmp_path_factory.mktemp("lab")
    with Emulator.start(home) as emulator:
        deployment = deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=home / "local.json", config=_CONFIG)
        service.ensure(emulator, home / "local.json")
        made = Field(Lab(emulator, home, deployment), Target("local", deployment.outputs, emulator))
        made.before = made.settings()
        Lanes(catalogue.ALL, made.perform).run()
        yield made


@pytest.mark.parametrize("name", _NAMES)
def test_its_hypothesis_holds(field_: Field, name: str) -> None:
    """On the real program, the real functions and the real alarms."""
    outcome = field_.outcomes[name]

    assert [check for check in outcome.checks if not check.ok] == []
    assert outcome.passed


@pytest.mark.parametrize("name", _NAMES)
def test_a_falsified_run_fails_for_its_reason(field_: Field, name: str) -> None:
    """Alarm silenced, message dropped, event processed twice, success lost, count falsified, stray alarm."""
    outcome = field_.outcomes[name]
    reasons: dict[str, list[str]] = {}
    for what, (recording, reason) in falsified.falsifications(outcome.gameday, outcome.recording).items():
        failed = [check.name for check in verdict.judge(outcome.gameday, recording) if not check.ok]
        if reason not in failed:
            reasons[what] = failed

    assert reasons == {}


def test_a_real_run_has_a_report(field_: Field) -> None:
    """With the plots of everything that was measured, and the verdict."""
    page = report.html(field_.outcomes["slow-downstream"])

    for text in ("PASSED: the hypothesis holds", "oldest message of the main queue", "worker died", "worker p95"):
        assert text in page


def test_the_stack_is_as_it_was(field_: Field) -> None:
    """No fault, no rule and no queue of a GameDay is left; what was changed is as the program has it."""
    lab = field_.lab
    queues = lab.client("sqs").list_queues()["QueueUrls"]
    rules = lab.client("events").list_rules(EventBusName=lab.outputs["EventBusName"])["Rules"]

    assert [url for url in queues if "gameday" in url] == []
    assert [rule["Name"] for rule in rules if "gameday" in rule["Name"]] == []
    assert lab.call("GET", "/failure-mode")[1]["effective"] == "none"
    assert field_.settings() == field_.before


def test_ctrl_c_rolls_back_and_the_run_goes_on_later(field_: Field) -> None:
    """The fault is off and nothing of the GameDay is left; --resume brings the run to its verdict."""
    lab = field_.lab
    process = field_.start("run", "duplicates")
    folder = runs.folder(lab.home)

    def injected() -> Path | None:
        latest = max(folder.glob("*-duplicates"))
        done = [line for line in Journal(latest).of("step") if line["state"] == "done"]
        return latest if done and not Journal(latest).is_over else None

    latest = wait_for("the injection", injected)
    assert latest is not None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)

    assert process.returncode == 130
    assert lab.call("GET", "/failure-mode")[1]["effective"] == "none"
    assert Journal(latest).outstanding() == []
    resumed = field_.start("run", "--resume", latest.name, "--json")
    shown, told = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, told
    assert json.loads(shown)["runs"][0]["run"] == latest.name
