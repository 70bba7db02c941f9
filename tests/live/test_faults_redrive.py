"""Every AWS call of the redrive failing in every way: each letter is moved or still there, and the ledger knows."""

import pytest

from tests.live import matrix
from tests.live.ledger import Step
from tests.live.redrive_scenarios import REDRIVE_SCENARIOS, RedriveScenario
from tests.live.run_scenarios import RUN_SCENARIOS
from tests.live.stage import Stage


@pytest.mark.parametrize("scenario", [*REDRIVE_SCENARIOS, *RUN_SCENARIOS], ids=lambda one: one.__name__.lower())
def test_redrive(stage: Stage, monkeypatch: pytest.MonkeyPatch, scenario: type[RedriveScenario]) -> None:
    """Whatever fails, callers got their answer or 503, the run ends by itself, and its counts agree with the queues."""
    rows, failures = matrix.run(stage, lambda on: scenario(on, Step.taken(on, monkeypatch)))

    assert not failures, "\n".join(failures)
    matrix.agree(rows)
