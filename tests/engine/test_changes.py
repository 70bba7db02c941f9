"""Changes of the configuration of a running stack: what is updated, made and deleted, there and back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.project import Project, environment
from tests.engine.standin import Call, Cloud, served

_HOLDS_DATA = {"Bucket", "Key", "Queue", "Table"}
_ALL = {"pipelines[0]": "events", "pipelines[1]": "orders", "pipelines[2]": "lake"}


@pytest.fixture(scope="module")
def running(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The stack dev, deployed."""
    cloud = Cloud()
    with served(cloud) as port:
        project = Project(folder, environment(tmp_path_factory.mktemp("running"), port), cloud)
        project.reset_stack_files()
        project.pulumi("stack", "init", "dev")
        project.up()
        yield project


@pytest.mark.parametrize(
    ("settings", "updated"),
    [
        ({"batchSize": "25"}, {"EventSourceMapping": 1}),
        ({"logRetentionDays": "30"}, {"LogGroup": None}),
        ({"throttleRate": "50"}, {"Stage": 1}),
        ({"alarms.backlog": "500"}, {"MetricAlarm": 1}),
    ],
    ids=str,
)
def test_a_setting_updates_only_what_it_is_about(
    running: Project, settings: dict[str, str], updated: dict[str, int | None]
) -> None:
    """Nothing is made, replaced or deleted; None stands for any number."""
    calls = _changed(running, settings)

    assert {call.verb for call in calls} == {"update"}
    types = [_class(call) for call in calls]
    assert {name: None if updated.get(name, 0) is None else types.count(name) for name in types} == updated


def test_the_visibility_timeout_grows_before_the_function_s(running: Project) -> None:
    """In between, a message would be handed to a second worker while the first is at it."""
    order = [
        _class(call) for call in _changed(running, {"workerTimeoutSeconds": "60"}) if "timeout" in str(call).lower()
    ]

    assert order[:2] == ["Queue", "Function"]


@pytest.mark.parametrize(
    "settings",
    [
        {"failureInjection": "false"},
        {"breakerHoldSeconds": "0"},
        {"useKmsCmk": "true"},
        {"authMode": "jwt", "jwtIssuer": "https://login.example/", "jwtAudience[0]": "lab"},
        _ALL,
    ],
    ids=str,
)
def test_a_switch_goes_there_and_back(running: Project, settings: dict[str, str]) -> None:
    """What was there and holds data stays on the way there; the way back deletes just what the way there has made."""
    file = running.folder / "Pulumi.dev.yaml"
    before = file.read_text()
    there = _changed(running, settings)
    file.write_text(before)
    with running.cloud.watched() as back:
        running.up()

    assert [call for call in there if call.verb == "delete" and _class(call) in _HOLDS_DATA] == []
    assert _named(there, "create") == _named(back, "delete")
    assert _named(there, "delete") == _named(back, "create")
    assert running.up().counts.keys() == {"unchanged"}


def _changed(project: Project, settings: dict[str, str]) -> list[Call]:
    for key, value in settings.items():
        project.pulumi("config", "set", "--path", key, value)
    with project.cloud.watched() as calls:
        project.up()
    return calls


def _class(call: Call) -> str:
    return call.type.rpartition(":")[2]


def _named(calls: list[Call], verb: str) -> list[tuple[str, str]]:
    return sorted((call.type, call.name) for call in calls if call.verb == verb)
