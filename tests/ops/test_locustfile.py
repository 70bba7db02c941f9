"""The Locust file, on a stand-in for Locust, which is not installed for tests."""

import importlib
import json
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ops.cli import target
from ops.cli.api import Identity
from ops.load.scenario import Scenario


@pytest.fixture
def locustfile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, with what it takes from Locust."""
    locust: Any = ModuleType("locust")
    locust.HttpUser = type("HttpUser", (), {})
    locust.constant = lambda seconds: ("constant", seconds)
    locust.constant_throughput = lambda rate: ("throughput", rate)
    locust.task = lambda function: function
    locust.events = SimpleNamespace(init=SimpleNamespace(add_listener=lambda function: function))
    monkeypatch.setitem(sys.modules, "locust", locust)
    monkeypatch.setenv("LAB_PIPELINE", "orders")
    monkeypatch.setenv("LAB_GROUPS", "1")
    monkeypatch.delitem(sys.modules, "ops.load.locustfile", raising=False)
    yield importlib.import_module("ops.load.locustfile")
    sys.modules.pop("ops.load.locustfile", None)


def test_a_user_sends_the_orders_of_its_run(locustfile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the stack, with what its API wants to see; the next one has the next number."""
    monkeypatch.setenv("LAB_API_KEY", "secret")
    identity = Identity("apiKey", is_laptop=True, session=dict)
    monkeypatch.setattr(target, "find", lambda stack: SimpleNamespace(api=f"http://{stack}/x", identity=identity))
    environment = SimpleNamespace(host=None)
    locustfile.find(environment)
    assert environment.host == "http://local/x"

    user, sent = locustfile.Caller(), list[Any]()
    user.host = environment.host
    user.client = SimpleNamespace(post=lambda path, **given: sent.append((path, given)))
    user.on_start()
    user.send()
    user.send()

    scenario = Scenario(run=user._scenario.run, pipeline="orders", groups=1)
    assert user.wait_time == ("throughput", 1)
    assert [(path, json.loads(given["data"]), given["headers"], given["name"]) for path, given in sent] == [
        (
            "/orders",
            scenario.item(number).body,
            {
                "Content-Type": "application/json",
                "Idempotency-Key": f"{scenario.run}-{number}",
                "x-api-key": "secret",
            },
            "POST /orders",
        )
        for number in range(2)
    ]


def test_a_machine_that_knows_no_stack(locustfile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is told the URL, and by a variable what the API wants to see."""
    monkeypatch.setenv("LAB_AUTH_MODE", "none")
    locustfile.find(SimpleNamespace(host="https://api"))
    assert locustfile.Caller.identity.headers("POST", "https://api/events", "/events", "{}") == {}
