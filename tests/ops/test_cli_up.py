"""`lab up` around the deployment: what it asks and says, with a deployment that is made up."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ops.cli import output, up
from ops.local import deployer
from ops.local.cloudwatch import service
from ops.local.deployer import Changes, DataLossError, Deployment
from ops.local.emulator import Emulator
from ops.local.files import locked
from tests.ops.laptop import Laptop

_LOST = ["aws:sqs/queue:Queue 'orders-dlq': 3 messages"]
_QUESTION = "what has left the program holds data:\n  aws:sqs/queue:Queue 'orders-dlq': 3 messages\n"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What each deployment was told about losing data; there is data to lose."""
    told: list[bool] = []

    def deploy(*_: object, lose_data: bool, **__: Any) -> Deployment:
        told.append(lose_data)
        if not lose_data:
            raise DataLossError(_LOST)
        return Deployment({"ApiEndpoint": "http://none", "AuthMode": "none", "DynamoTableName": "t"}, Changes())

    monkeypatch.setattr(deployer, "deploy", deploy)
    monkeypatch.setattr(Emulator, "attach", lambda home: Emulator(home, 1, 4566))
    monkeypatch.setattr(Emulator, "answers", lambda *_, **__: True)
    monkeypatch.setattr(service, "ensure", lambda *_: None)
    return told


@pytest.mark.parametrize("typed", ["n\n", ""], ids=["no", "nobody there"])
def test_data_is_kept(laptop: Laptop, told: list[bool], typed: str) -> None:
    """Without a yes nothing that holds data is deleted, and the mend is named."""
    done = laptop.lab("up", typed=typed)
    assert (done.exit_code, told) == (3, [False])
    assert _QUESTION in done.stderr
    assert "error: what has left the program holds data, and was kept: " in done.stderr
    assert done.stderr.endswith("delete it with its data: lab up --yes\n")


def test_data_is_deleted_after_a_yes(laptop: Laptop, told: list[bool]) -> None:
    """Asked with what would be lost."""
    done = laptop.lab("up", typed="y\n")
    assert (done.exit_code, told) == (0, [False, True]), done.stderr
    assert _QUESTION in done.stderr


def test_scripts_say_yes_beforehand(laptop: Laptop, told: list[bool]) -> None:
    """--yes asks nothing."""
    done = laptop.lab("up", "--yes")
    assert (done.exit_code, told) == (0, [True]), done.stderr
    assert "Delete" not in done.stderr


def test_another_port_than_the_running_one(laptop: Laptop, told: list[bool]) -> None:
    """LAB_PORT moves no cloud that runs, and it is said so; the port that it has is no news."""
    assert told == []
    moved = laptop.lab("up", "--yes", LAB_PORT="5001")
    assert "LAB_PORT=5001 is not used: to move there, lab down first\n" in moved.stderr
    assert "LAB_PORT" not in laptop.lab("up", "--yes", LAB_PORT="4566").stderr


def test_two_at_once(laptop: Laptop, told: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second says that it waits, and begins when the first is done."""
    at_work, waits = threading.Event(), threading.Event()
    say = output.say

    def first() -> None:
        with locked(laptop.home / "up.lock"):
            at_work.set()
            assert waits.wait(20)
            assert told == []

    def heard(message: str) -> None:
        say(message)
        if message.startswith("another lab up is at work"):
            waits.set()

    monkeypatch.setattr(output, "say", heard)
    with ThreadPoolExecutor() as pool:
        holder = pool.submit(first)
        assert at_work.wait(20)
        done = laptop.lab("up", "--yes")
        holder.result(20)
    assert (done.exit_code, told) == (0, [True]), done.stderr


def test_one_that_is_never_done(laptop: Laptop, told: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait has an end, with the file that tells who it is."""
    monkeypatch.setattr(up, "_WAIT_SECONDS", 0.0)
    with locked(laptop.home / "up.lock"):
        done = laptop.lab("up")
    assert (done.exit_code, told) == (1, [])
    assert done.stderr.endswith(f"error: {laptop.home / 'up.lock'} is locked by another process\n")
