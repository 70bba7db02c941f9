"""The saved queries in the control room."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.ops.console.served import FakeStack, Served, found, serving


class _Logs:
    """Logs Insights on AWS, with two saved queries; whatever is asked, it answers one row."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def describe_query_definitions(self, queryDefinitionNamePrefix: str) -> Any:
        of = {"logGroupNames": ["/aws/lambda/a"]}
        texts = {"one-event": 'filter key = "KEY"', "slowest": "limit 1"}
        named = [{"name": queryDefinitionNamePrefix + name, "queryString": text, **of} for name, text in texts.items()]
        return {"queryDefinitions": named}

    def start_query(self, **given: Any) -> Any:
        self.asked.append((given["queryString"], given["endTime"] - given["startTime"]))
        return {"queryId": "q"}

    def get_query_results(self, queryId: str) -> Any:
        assert queryId == "q"
        row = [{"field": "@message", "value": "<i>said</i>"}, {"field": "@ptr", "value": "p"}]
        return {"status": "Complete", "results": [row]}


@pytest.fixture
def logs() -> _Logs:
    """Nothing was asked yet."""
    return _Logs()


@pytest.fixture
def console(logs: _Logs) -> Iterator[Served]:
    """A console of a stack on AWS with these logs."""
    stack = FakeStack(events={"workerFunctionName": "w"})
    stack.clients["logs"] = logs
    with serving(found(stack), "dev") as served:
        yield served


def test_one_event_is_followed_by_its_key(console: Served, logs: _Logs) -> None:
    """What was logged is no markup; the key can't end the query's text."""
    text = console.get("/logs?query=one-event&key=k%221&hours=2").text
    assert logs.asked == [('filter key = "k\\"1"', 7200)]
    assert "1 row<" in text
    assert "&lt;i&gt;said&lt;/i&gt;" in text
    assert "@ptr" not in text


def test_nothing_is_asked_before_somebody_asks(console: Served, logs: _Logs) -> None:
    """A query costs what it reads."""
    text = console.get("/logs").text
    assert 'id="query-told">what it looks for over all functions; with a key: one-event</p>' in text
    assert 'id="key-told">for one-event only</p>' in text
    assert logs.asked == []


def test_a_key_is_for_queries_about_one_event(console: Served, logs: _Logs) -> None:
    """Missing, it is asked for at its field; too much, it is left out."""
    assert 'id="key-told">This query is about one event' in console.get("/logs?query=one-event").text
    assert logs.asked == []
    console.get("/logs?query=slowest&key=left-over")
    assert logs.asked == [("limit 1", 3600)]


@pytest.mark.parametrize(("query", "field"), [("query=none", "query"), ("query=slowest&hours=0", "hours")])
def test_what_can_not_be_asked_is_refused_at_its_field(console: Served, logs: _Logs, query: str, field: str) -> None:
    """Nothing is asked."""
    assert f'class="told error" id="{field}-told"' in console.get(f"/logs?{query}").text
    assert logs.asked == []
