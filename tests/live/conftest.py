"""One stage per test process."""

import io
from collections.abc import Iterator
from functools import partial

import pytest

from handlers.control.redrive.run import entry
from handlers.control.redrive.run.runner import Runner
from handlers.control.redrive.sqs import inbox
from handlers.observability import logger
from tests.live.stage import Stage, staged


@pytest.fixture(scope="session")
def whole_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The local stack, deployed once."""
    with staged(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture
def stage(whole_stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The stage with its queues and its wire empty; nobody waits for a queue that nobody fills."""
    monkeypatch.setattr(inbox, "_WAIT_SECONDS", 0)
    monkeypatch.setattr(logger, "stream", io.StringIO())
    monkeypatch.setattr(entry, "Runner", partial(Runner, pause=whole_stage.pause))
    whole_stage.reset()
    return whole_stage
