"""The load sender in the control room: what it is asked for is what the API gets; it can be watched and stopped."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest

from ops.cli.api import Identity
from ops.cli.events.sender import Plan
from ops.console.load import Load
from ops.load.scenario import Scenario
from tests.ops.console.served import FakeStack, Served, answering, found, serving
from tests.ops.stack import wait_for

_GROUP = {"workerFunctionName": "w", "queueUrl": "q"}
_FORM = {"pipeline": "events", "rate": "100", "duration": "60", "connections": "2"}


@pytest.fixture(scope="module")
def api() -> Iterator[FakeStack]:
    """A stack with an API that takes everything."""
    with answering(FakeStack(events=_GROUP, orders=_GROUP)) as running:
        yield running


@pytest.fixture
def stack(api: FakeStack) -> FakeStack:
    """The same, not asked yet."""
    api.asked.clear()
    api.answers = {("POST", "/events"): (202, {"idempotencyKey": "k"}), ("POST", "/orders"): (202, {"eventId": "e"})}
    api.outputs |= {"Production": False, "events": _GROUP, "orders": _GROUP}
    return api


@pytest.fixture
def console(stack: FakeStack) -> Iterator[Served]:
    """A console of it."""
    with serving(found(stack), "dev") as served:
        yield served


def _live(console: Served) -> str:
    return unescape(" ".join(console.get("/load/live").text.split()))


def _errors(text: str) -> dict[str, str]:
    return dict(re.findall(r'<p class="told error" id="([^"]+)-told">([^<]*)</p>', text))


def _sent(console: Served, stack: FakeStack, least: int, **form: str) -> int:
    """How many calls a load has made that was stopped after so many at least."""
    assert "It has begun." in console.post("/load/start", **_FORM | form).text
    wait_for(lambda: len(stack.asked) >= least, "the calls")
    console.post("/load/stop")
    wait_for(lambda: ">STOPPED<" in _live(console), "its end")
    return len(stack.asked)


def test_what_is_asked_for_is_sent(console: Served, stack: FakeStack) -> None:
    """Duplicates, poison and customers as in `lab send`; then counts, percentiles, answers."""
    assert "Nothing was sent yet" in _live(console)
    sent = _sent(console, stack, 40, duplicates="50", poison="100", groups="3")

    assert {path for _, path, _ in stack.asked} == {"/events"}
    bodies: list[Any] = [body for *_, body in stack.asked]
    assert {body["schemaVersion"] for body in bodies} == {"2"}
    assert {body["customerId"] for body in bodies} <= {f"customer-{number}" for number in range(3)}
    assert 1 < len({body["orderId"] for body in bodies}) < sent
    text = _live(console)
    assert "of 6,000</span>" in text
    assert f"<b>{sent:,}</b> accepted" in text
    assert f"<b>{sent - 1:,}</b> of them duplicates" in text  # by their keys, which this API makes alike
    assert '<th scope="col">p50</th><th scope="col">p90</th>' in text
    assert f"Answers: {sent:,} \u00d7 202." in text
    assert "Stop</button>" not in text


def test_orders(console: Served, stack: FakeStack) -> None:
    """Through their own route, one by one whatever the form says."""
    _sent(console, stack, 2, pipeline="orders", batch="on")

    assert {path for _, path, _ in stack.asked} == {"/orders"}


def test_its_end(stack: FakeStack) -> None:
    """Everything was sent; what was measured stays, and a second one may begin."""
    load = Load()
    for run in ("a", "b"):
        load.start(found(stack)("dev"), Scenario(run=run), Plan(batch=False, rate=0, connections=2), 5)
        wait_for(lambda: not load.is_live, "its end")
        progress = load.progress()
        assert progress is not None
        assert (progress.state, progress.taken, progress.accepted, progress.refused) == ("SENT", 5, 5, 0)
        assert (progress.answers, sum(calls for _, calls in progress.histogram)) == ({202: 5}, 5)


def test_an_end_that_comes_too_early_is_told(stack: FakeStack) -> None:
    """Its time was over before everything was sent: that is no success."""
    load = Load()
    load.start(found(stack)("dev"), Scenario(run="a"), Plan(batch=False, rate=1, connections=2, seconds=0), 1_025)
    wait_for(lambda: not load.is_live, "its end")
    progress = load.progress()
    assert progress is not None
    told = (progress.state, progress.error, progress.taken)
    assert told == ("STOPPED", "its time was over: 1,025 were not sent", 0)


def test_it_is_stopped(console: Served, stack: FakeStack) -> None:
    """One at a time; it goes on without a page, and is marked on all; what was sent until the stop is told."""
    assert "a load is being sent" not in console.get("/now").text
    console.post("/load/start", **_FORM | {"rate": "1", "duration": "3600"})
    wait_for(lambda: "<b>1</b> accepted" in _live(console), "the first")
    assert "a load is being sent" in console.get("/now").text
    assert "A load is being sent already: stop it first." in console.post("/load/start", **_FORM).text
    console.post("/load/stop")
    wait_for(lambda: ">STOPPED<" in _live(console), "its end")

    assert "of 3,600" in _live(console)
    assert len(stack.asked) <= 2
    assert "a load is being sent" not in console.get("/now").text


def test_what_is_refused_is_told(console: Served, stack: FakeStack) -> None:
    """With its reason, once for all that have the same."""
    stack.answers["POST", "/events"] = 400, {"errorType": "Odd", "error": "<no>"}
    sent = _sent(console, stack, 3)

    assert f"<b>{sent:,}</b> refused" in _live(console)
    assert f"{sent:,} refused: Odd: &lt;no&gt; (400)" in console.get("/load/live").text


def test_what_can_not_be_sent_fails_in_words(
    console: Served, stack: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is not there stops it at once."""
    monkeypatch.setattr(stack, "identity", Identity("apiKey", is_laptop=False, session=lambda: None), raising=False)
    monkeypatch.delenv("LAB_API_KEY", raising=False)
    console.post("/load/start", **_FORM)
    wait_for(lambda: ">FAILED<" in _live(console), "its end")

    assert "this stack's API asks for the API's key: export LAB_API_KEY=…" in _live(console)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"rate": ""}, "rate"),
        ({"rate": "0"}, "rate"),
        ({"rate": "501"}, "rate"),
        ({"rate": "nan"}, "rate"),
        ({"rate": "1e2"}, "rate"),
        ({"rate": "²"}, "rate"),
        ({"duration": "0.5"}, "duration"),
        ({"duration": "3601"}, "duration"),
        ({"rate": "500", "duration": "200.1"}, "duration"),
        ({"duplicates": "91"}, "duplicates"),
        ({"duplicates": "-1"}, "duplicates"),
        ({"poison": "101"}, "poison"),
        ({"groups": "10001"}, "groups"),
        ({"groups": "1.5"}, "groups"),
        ({"connections": "0"}, "connections"),
        ({"connections": "51"}, "connections"),
        ({"connections": ""}, "connections"),
    ],
)
def test_what_is_no_load_is_not_sent(console: Served, stack: FakeStack, form: dict[str, str], field: str) -> None:
    """The field says what it takes."""
    assert list(_errors(console.post("/load/start", **_FORM | form).text)) == [field]
    assert "Nothing was sent yet" in _live(console)
    assert stack.asked == []


def test_a_pipeline_that_is_not_there(console: Served, stack: FakeStack) -> None:
    """Neither offered nor taken."""
    del stack.outputs["orders"]
    assert 'value="orders"' not in console.get("/load").text
    assert "Choose one of these" in console.post("/load/start", **_FORM | {"pipeline": "orders"}).text
    del stack.outputs["events"]
    assert "neither an events nor an orders pipeline" in console.get("/load").text


def test_production_asks_for_its_name(console: Served, stack: FakeStack) -> None:
    """Load may cost it its callers."""
    stack.outputs["Production"] = True
    assert "Type the name of the stack: dev" in console.post("/load/start", **_FORM).text
    assert stack.asked == []
