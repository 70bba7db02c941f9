"""The two functions as Lambda calls them, made from their environment."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from handlers.control.redrive.api import entry as api_entry
from handlers.control.redrive.run import entry as run_entry
from handlers.control.redrive.sqs.target import Target
from tests.gateway import http_event
from tests.handlers.control.redrive.conftest import DLQ, MAIN, Lab
from tests.handlers.fakes import FakeContext

ENVIRONMENT = {
    "ENVIRONMENT": "test",
    "CONTROL_TABLE_NAME": "control",
    "STATE_TABLE_NAME": "state",
    "RUNNER_FUNCTION_NAME": "redrive",
    "QUEUES": json.dumps({"events": {"queueUrl": MAIN, "dlqUrl": DLQ}}),
    "MAX_REDRIVES": "3",
    "AWS_DEFAULT_REGION": "eu-west-1",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A function's environment, and nothing made from another."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    api_entry.api.cache_clear()
    run_entry.runner.cache_clear()
    yield
    api_entry.api.cache_clear()
    run_entry.runner.cache_clear()


@pytest.mark.usefixtures("environment")
def test_the_runner_is_made_from_its_environment() -> None:
    """What it sends and receives is not repeated behind its back; a long poll fits into the read time-out."""
    runner = run_entry.runner()

    assert (runner.targets, runner.max_redrives) == ({"events": Target("events", MAIN, DLQ)}, 3)
    config: Any = runner.once.meta.config
    assert (config.retries["total_max_attempts"], config.read_timeout) == (1, 10)
    config = runner.sqs.meta.config
    assert (config.retries["total_max_attempts"], config.max_pool_connections) == (3, 24)


@pytest.mark.usefixtures("environment")
def test_the_api_receives_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that repeated a receive whose answer was lost would not show what that answer held, and not say so."""
    made: list[Any] = []
    monkeypatch.setattr(api_entry, "Services", lambda **services: made.append(services))
    api_entry.api()

    attempts = {name: made[0][name].meta.config.retries["total_max_attempts"] for name in ("sqs", "receiver")}
    assert attempts == {"sqs": 3, "receiver": 1}


@pytest.mark.usefixtures("environment")
def test_the_api_answers() -> None:
    """A request that needs nothing of AWS."""
    event = http_event("POST /redrive/start", '{"canary": -1}')

    assert api_entry.handler(event, FakeContext())["statusCode"] == 400


def test_each_invocation_begins_with_new_connections(lab: Lab) -> None:
    """Where a call is not repeated, one that was lost while Lambda froze the environment would cost a letter's fate."""
    lab.ask("GET /redrive/preview")
    assert lab.hub.closings == 1
    lab.tick()
    assert lab.hub.closings == 2


def test_the_schedule_and_the_start_invoke_the_same(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one for every run that waits, the other for its own."""
    runs = [lab.start(), lab.start(pipeline="ordered")]
    monkeypatch.setattr(run_entry, "runner", lambda: lab.runner)
    context = FakeContext(remaining_ms=900_000)

    assert run_entry.handler({"redriveId": runs[1]}, context) == {
        "runs": [{"redriveId": runs[1], "state": "SUCCEEDED"}]
    }
    assert run_entry.handler({"redriveId": "rd-none"}, context) == {"runs": []}
    assert run_entry.handler({}, context) == {"runs": [{"redriveId": runs[0], "state": "SUCCEEDED"}]}
