"""Every AWS call of the handlers failing in every way, and nothing lost: docs/faults.md is what this shows."""

import pytest

from tests.live import matrix
from tests.live.breaker_scenarios import BREAKER_SCENARIOS
from tests.live.control_scenarios import CONTROL_SCENARIOS
from tests.live.event_scenarios import EVENT_SCENARIOS, EventScenario
from tests.live.lake_scenarios import LAKE_SCENARIOS
from tests.live.ledger import Step
from tests.live.matrix import Scenario
from tests.live.order_scenarios import ORDER_SCENARIOS, Health
from tests.live.redrive_scenarios import REDRIVE_SCENARIOS
from tests.live.run_scenarios import RUN_SCENARIOS
from tests.live.stage import Stage


@pytest.mark.parametrize("scenario", EVENT_SCENARIOS, ids=lambda one: one.__name__)
def test_events(stage: Stage, monkeypatch: pytest.MonkeyPatch, scenario: type[EventScenario]) -> None:
    """Whatever fails, each event is SUCCEEDED or on the DLQ with its cause, once, and callers got 202 or 503."""
    rows, failures = matrix.run(stage, lambda on: scenario(on, Step.taken(on, monkeypatch)))

    assert not failures, "\n".join(failures)
    matrix.agree(rows)


@pytest.mark.parametrize("scenario", [*BREAKER_SCENARIOS, *CONTROL_SCENARIOS], ids=lambda one: one.__name__)
def test_control(stage: Stage, scenario: type[Scenario]) -> None:
    """Whatever fails: the breaker ends where it should, the switch says what was asked, alarms and keys get through."""
    rows, failures = matrix.run(stage, scenario)

    assert not failures, "\n".join(failures)
    matrix.agree(rows)


def test_the_document_is_whole() -> None:
    """What it says besides its rows is what the rows sum up to, and every scenario is in it."""
    control: list[type[Scenario]] = [*BREAKER_SCENARIOS, *CONTROL_SCENARIOS]
    redrive: list[type[Scenario]] = [*REDRIVE_SCENARIOS, *RUN_SCENARIOS]
    pipelines: list[type[Scenario]] = [*EVENT_SCENARIOS, *ORDER_SCENARIOS, Health, *LAKE_SCENARIOS]

    assert matrix.DOC.read_text() == matrix.table(matrix.documented())
    assert {tuple(row.split(" | ")[:2]) for row in matrix.documented()} == {
        (f"| {one.function}", one.name) for one in [*pipelines, *control, *redrive]
    }
