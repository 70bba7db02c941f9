"""Every AWS call of the orders pipeline failing in every way: no order is lost, and the table of orders agrees."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import matrix
from tests.live.order_book import OrderStep
from tests.live.order_scenarios import ORDER_SCENARIOS, Health, OrderScenario
from tests.live.stage import Stage, staged


@pytest.fixture
def telling(stage: Stage) -> Iterator[Stage]:
    """The stage whose bus puts orders into their queue."""
    stage.root("events").enable_rule(**_rule(stage))
    yield stage
    stage.root("events").disable_rule(**_rule(stage))


@pytest.mark.parametrize("scenario", ORDER_SCENARIOS, ids=lambda one: one.__name__)
def test_orders(telling: Stage, monkeypatch: pytest.MonkeyPatch, scenario: type[OrderScenario]) -> None:
    """Whatever fails, each order taken is PROCESSED or FAILED as its record says, and callers got 202 or 503."""
    rows, failures = matrix.run(telling, lambda on: scenario(on, OrderStep.taken(on, monkeypatch)))

    assert not failures, "\n".join(failures)
    matrix.agree(rows)


def test_health(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where orders are all that a stack has, their API says whether the bus can be reached."""
    with staged(tmp_path, pipelines=["orders"]) as stage:
        rows, failures = matrix.run(stage, lambda on: Health(on, OrderStep.taken(on, monkeypatch)))

    assert not failures, "\n".join(failures)
    matrix.agree(rows)


def _rule(stage: Stage) -> dict[str, str]:
    bus, name = stage.lab.outputs["orders"]["ruleArn"].split("/")[1:]
    return {"EventBusName": bus, "Name": name}
