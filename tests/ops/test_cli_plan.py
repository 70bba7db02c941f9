"""`lab plan`: the stack is read, options are understood, and the exit code says whether the load can be taken."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ops.cli.main import app
from ops.local import deployer
from ops.local.deployer import DeployError, Registered
from ops.plan.stack import pipelines

_ASKED = ("plan", "--rate", "20", "--worker-ms", "50")


def _registered(*pipelines: str, fifo: bool = False, most: int = 2) -> list[Registered]:
    """What a program of such pipelines would make, as far as a plan looks at it."""
    found = [
        Registered(
            "aws:apigatewayv2/stage:Stage",
            "stage",
            {"name": "$default", "defaultRouteSettings": {"throttlingRateLimit": 100.0}},
        )
    ]
    for name in pipelines:
        environment = {
            "PIPELINE": name,
            "MAX_RECEIVE_COUNT": "5",
            "RETRY_BACKOFF_BASE_SECONDS": "2",
            "RETRY_BACKOFF_MAX_SECONDS": "300",
            "OUTAGE_SECONDS": "2730",
            "OBJECTIVE_SECONDS": "60",
            "BREAKER_HOLD_SECONDS": "60",
        }
        function = {
            "handler": f"handlers.{name}.worker.handler",
            "timeout": 30.0,
            "memorySize": 256.0,
            "environment": {"variables": environment},
        }
        queue = {
            "visibilityTimeoutSeconds": 182.0,
            "messageRetentionSeconds": 345_600.0,
            "redrivePolicy": '{"maxReceiveCount": 5}',
            **({"fifoQueue": True} if fifo else {}),
        }
        mapping = {
            "functionName": f"arn:{name}-worker",
            "eventSourceArn": f"arn:{name}-queue",
            "batchSize": 10.0,
            "scalingConfig": {"maximumConcurrency": float(most)},
        }
        if name in {"events", "orders"}:
            producer = {"environment": {"variables": {"PIPELINE": name}}, "handler": f"handlers.{name}.ingest.handler"}
            found += [
                Registered("aws:lambda/function:Function", f"{name}-ingest", producer),
                Registered(
                    "aws:apigatewayv2/integration:Integration",
                    f"{name}-in",
                    {"integrationUri": f"invokeArn:{name}-ingest"},
                ),
            ]
        found += [
            Registered("aws:lambda/function:Function", f"{name}-worker", function),
            Registered("aws:sqs/queue:Queue", f"{name}-queue", queue),
            Registered("aws:lambda/eventSourceMapping:EventSourceMapping", f"{name}-mapping", mapping),
        ]
    return found


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[Registered]], list[tuple[str, Any]]]:
    """Stands for the stack's program: registers these, and notes for which stack and with which overrides."""

    def stand_in(registered: Sequence[Registered]) -> list[tuple[str, Any]]:
        asked: list[tuple[str, Any]] = []

        def rehearse(
            root: Path, stack: str, decrypt: Any = None, config: Mapping[str, object] | None = None
        ) -> Sequence[Registered]:
            assert (root / "Pulumi.yaml").exists()
            assert (decrypt is None) is (stack == "local")
            asked.append((stack, config))
            return registered

        monkeypatch.setattr(deployer, "rehearse", rehearse)
        return asked

    return stand_in


def _lab(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_a_load_that_can_be_taken(program: Any) -> None:
    """Of the first pipeline of the stack; nothing but the plan goes to stdout."""
    asked = program(_registered("orders", "events"))

    done = _lab(*_ASKED, "--stack", "dev")

    assert done.exit_code == 0
    assert asked == [("dev", {})]
    assert done.stdout.splitlines()[0] == "dev, events: 20 events/s of 1,024 bytes, 50 ms each"


def test_a_load_that_can_not(program: Any) -> None:
    """The exit code says so, for programs too."""
    program(_registered("events"))

    done = _lab(*_ASKED, "--outage", "3h", "--poison", "1.5%", "--transient", "2%", "--json", "--rate", "50")

    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert (told["load"]["outage"], told["load"]["poison"], told["load"]["transient"]) == (10_800, 0.015, 0.02)
    assert told["problems"]


def test_keys_as_if_they_were_set(program: Any) -> None:
    """The program itself gets them, as YAML has them, so that all that follows from them follows."""
    asked = program(_registered("events", most=40))

    done = _lab(*_ASKED, "--set", "workerMaxConcurrency=40", "--set", "pipelines=[events]")

    assert done.exit_code == 0
    assert asked == [("local", {"workerMaxConcurrency": 40, "pipelines": ["events"]})]


def test_another_pipeline(program: Any) -> None:
    """By its name; one that the stack does not have is told."""
    program(_registered("events", "lake"))

    assert _lab(*_ASKED, "--pipeline", "lake").stdout.startswith("local, lake: ")
    done = _lab(*_ASKED, "--pipeline", "orders")
    assert (done.exit_code, "has no pipeline orders: it has events, lake" in done.stderr) == (1, True)


def test_a_pipeline_of_ones_own(program: Any) -> None:
    """It is planned like the others, without a price; where none is named, one that ships comes first."""
    program(_registered("payments", "lake"))

    assert _lab(*_ASKED).stdout.startswith("local, lake: ")
    program(_registered("payments"))
    done = _lab(*_ASKED)
    assert (done.exit_code, done.stdout.partition(":")[0]) == (0, "local, payments")
    assert "a million events" not in done.stdout


def test_the_api_throttles_what_comes_by_it() -> None:
    """A pipeline of one's own that a rule or a bucket feeds has no rate of the API, as the lake has none."""
    found = pipelines(_registered("events", "orders", "lake", "payments"))

    assert {name: one.throttle_rate for name, one in found.items()} == {
        "events": 100,
        "orders": 100,
        "lake": None,
        "payments": None,
    }


def test_a_fifo_queue_needs_its_groups(program: Any) -> None:
    """Without them nobody knows how many invocations there can be."""
    program(_registered("events", fifo=True))

    done = _lab(*_ASKED)

    assert (done.exit_code, "how many, --groups" in done.stderr) == (2, True)
    assert _lab(*_ASKED, "--groups", "40").exit_code == 0


def test_groups_of_a_queue_that_has_none(program: Any) -> None:
    """They would change nothing, so that the answer would be another question's; how to ask it is told."""
    program(_registered("events"))

    done = _lab(*_ASKED, "--groups", "10")

    assert (done.exit_code, "--set queueType=fifo" in done.stderr) == (2, True)


def test_several_in_a_request_of_one(program: Any) -> None:
    """Orders come one by one: more would make the API's limit look wider than it is."""
    program(_registered("orders"))

    done = _lab(*_ASKED, "--per-request", "10")

    assert (done.exit_code, "a request to the API of orders has one" in done.stderr) == (2, True)


def test_how_much_it_bears(program: Any) -> None:
    """Without a rate: four fifths of what binds first are planned."""
    program(_registered("events"))

    done = _lab("plan", "--worker-ms", "80", "--json")

    told = json.loads(done.stdout)
    assert (done.exit_code, told["bears"]["limit"]) == (0, "workerMaxConcurrency")
    assert told["load"]["rate"] == pytest.approx(0.8 * told["bears"]["eventsPerSecond"])


@pytest.mark.parametrize(
    "words",
    [
        ("--outage", "soon"),
        ("--outage", "15d"),
        ("--poison", "1"),
        ("--poison", "101%"),
        ("--set", "batchSize"),
        ("--set", "batchSize=[1"),
        ("--set", "batchSize=1", "--set", "batchSize=2"),
        ("--batch-ms", "nan"),
        ("--redrive", "nan"),
        ("--rate", "0"),
    ],
    ids=" ".join,
)
def test_what_can_not_be_meant(program: Any, words: tuple[str, ...]) -> None:
    """Told before the program runs."""
    asked = program(_registered("events"))

    assert _lab(*_ASKED, *words).exit_code == 2
    assert asked == []


def test_what_the_program_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """In its own words."""

    def refuse(*_: Any) -> None:
        raise DeployError("batchSize must be 1 to 10000, got 0")

    monkeypatch.setattr(deployer, "rehearse", refuse)
    done = _lab(*_ASKED, "--set", "batchSize=0")

    assert (done.exit_code, "batchSize must be 1 to 10000, got 0" in done.stderr) == (1, True)
