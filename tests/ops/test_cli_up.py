"""`lab up` around the deployment: what it asks and says, with a deployment that is made up."""

from typing import Any

import pytest

from ops.local import deployer
from ops.local.cloudwatch import service
from ops.local.deployer import Changes, DataLossError, Deployment
from ops.local.emulator import Emulator
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
    monkeypatch.setattr(Emulator, "attach", lambda home: Emulator(home, 1, 1))
    monkeypatch.setattr(Emulator, "answers", lambda *_, **__: True)
    monkeypatch.setattr(service, "ensure", lambda *_: None)
    return told


@pytest.mark.parametrize("typed", ["n\n", ""], ids=["no", "nobody there"])
def test_data_is_kept(laptop: Laptop, told: list[bool], typed: str) -> None:
    """Without a yes nothing that holds data is deleted, and the mend is named."""
    done = laptop.lab("up", typed=typed)
    assert (done.exit_code, told) == (1, [False])
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
