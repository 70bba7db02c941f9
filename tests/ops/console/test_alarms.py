"""The alarms in the control room: which ring, and one of them with its history and its runbook."""

import re
from collections.abc import Iterator
from html import unescape

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


def test_those_that_ring_come_first_and_stay_there(console: Served, stack: WholeStack) -> None:
    """As the page was opened: nothing changes its place under one's eyes. What only sums up others says so."""
    stack.aws.sums["critical"] = "ALARM"
    text = console.get("/alarms").text
    order = ["critical", "events-dlq-not-empty", "events-backlog"]
    assert re.findall(r'id="alarm-([^"]+)"', text) == order
    assert "(1 more only sums up others)" in text
    assert text.count("· sums up others") == 1

    again = unescape(re.findall(r'hx-get="(/alarms/live[^"]+)"', text)[0])
    stack.aws.alarms = [stack.aws.ring("events-backlog", "ALARM"), stack.aws.ring("events-dlq-not-empty", "OK")]
    assert re.findall(r'id="alarm-([^"]+)"', console.get(again).text) == order


def test_an_alarm_leads_to_the_pages_that_do_its_job(console: Served) -> None:
    """Beside the commands of its runbook."""
    text = console.get("/alarms/events-dlq-not-empty").text
    assert '<a href="/letters?pipeline=events">Look at its dead letters, and redrive them</a>' in text
