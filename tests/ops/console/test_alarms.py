"""The alarms in the control room: which ring, and one of them with its history and its runbook."""

from collections.abc import Iterator

import pytest

from tests.ops.console.fakes import WholeStack, group
from tests.ops.console.served import Served, found, serving


@pytest.fixture
def stack() -> WholeStack:
    """One with two alarms, and one that sums them up."""
    made = WholeStack(events=group("events"))
    made.aws.alarms = [made.aws.ring("events-backlog", "OK"), made.aws.ring("events-dlq-not-empty", "ALARM")]
    return made


@pytest.fixture
def console(stack: WholeStack) -> Iterator[Served]:
    """A console of it."""
    with serving(found(stack), "dev") as served:
        yield served


@pytest.mark.parametrize("name", ["critical", "events-dlq-not-empty"])
def test_an_alarm_has_its_history(console: Served, name: str) -> None:
    """One that sums up others, too, which CloudWatch tells only who asks for that kind."""
    text = console.get(f"/alarms/{name}").text
    assert f"IngestionLab-dev-{name} has changed" in text
    assert "It has not changed" not in text
