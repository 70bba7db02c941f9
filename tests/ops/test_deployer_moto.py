"""The deployer against moto, an emulator written by others: its parameters are checked a second time."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from ops.local.deployer import deploy
from ops.local.deployer.kinds import KINDS
from tests.ops.stack import FIXTURE

_WITHOUT: dict[str, object] = {"composite": False, "authorizers": False}  # no PutCompositeAlarm, no GetAuthorizers
_MISSING = {"aws:cloudwatch/compositeAlarm:CompositeAlarm", "aws:apigatewayv2/authorizer:Authorizer"}
_UNSEEN = ["aws:sqs/redriveAllowPolicy:RedriveAllowPolicy::dlq-allow"]  # moto takes this attribute and never shows it


@pytest.fixture
def endpoint() -> Iterator[str]:
    """URL of a moto server with nothing in it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_deployed_to_moto(endpoint: str, tmp_path: Path) -> None:
    """Every type but two is accepted, and found again by a second run; tuning is not shown: moto lacks most updates."""
    state_file = tmp_path / "moto.json"
    first = deploy(FIXTURE, "local", endpoint=endpoint, state_file=state_file, config=_WITHOUT).changes
    second = deploy(FIXTURE, "local", endpoint=endpoint, state_file=state_file, config=_WITHOUT).changes
    assert {key.partition("::")[0] for key in first.created} == set(KINDS) - _MISSING
    assert sorted([*second.unchanged, *_UNSEEN]) == sorted(first.created)
    assert (second.created, second.updated, second.replaced, second.deleted) == (_UNSEEN, [], [], [])
