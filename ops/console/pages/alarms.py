"""Alarms: their state and history, and the runbook of each, filled in for the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from markdown_it import MarkdownIt

from ops.cli import alarms, runbook
from ops.console.views import Desk, live, page, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from ops.cli.alarms import AlarmState

_HISTORY = 20
_FIRST = 50  # as many names as an address bears
# What an alarm's runbook does with commands, by what its name has in it, and the page that does it.
_PAGES = (
    ("notices-dead", "/letters?pipeline={pipeline}-notices", "Look at its dead letters, and redrive them"),
    ("undelivered", "/letters?pipeline={pipeline}-undelivered", "Look at its dead letters, and redrive them"),
    ("dlq", "/letters?pipeline={pipeline}", "Look at its dead letters, and redrive them"),
    ("objects-ignored", "/lake", "Look at the lake's objects"),
    ("quality", "/lake", "Look at the lake's objects"),
    ("breaker", "/", "Look at the circuit breaker, its queue and its consumer"),
    ("queue", "/", "Look at the queue and its consumer"),
    ("backlog", "/", "Look at the queue and its consumer"),
)
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def _show(desk: Desk, _: Request) -> Response:
    first = [one.name for one in desk.reader.read().alarms if one.state == "ALARM"][:_FIRST]
    again = urlencode({"first": [name.removeprefix(_prefix(desk)) for name in first]}, doseq=True)
    return page(desk, "alarms.html", current="/alarms", again=again, **_values(desk, first))


def _live(desk: Desk, request: Request) -> Response:
    first = [_prefix(desk) + name for name in request.query_params.getlist("first")]
    return live(request, "_alarms.html", **_values(desk, first))


def _values(desk: Desk, first: Sequence[str]) -> dict[str, object]:
    """Those first that were in alarm when the page was opened: nothing changes its place under one's eyes."""
    alarms = sorted(desk.reader.read().alarms, key=lambda one: (one.name not in first, one.name))
    return {"alarms": alarms, "prefix": _prefix(desk)}


def _prefix(desk: Desk) -> str:
    return f"IngestionLab-{desk.link.stack}-"


def _one(desk: Desk, request: Request) -> Response:
    name = request.path_params["name"]
    stack = desk.link.stack
    found: AlarmState | None = next(
        (one for one in desk.reader.read().alarms if one.name == f"IngestionLab-{stack}-{name}"), None
    )
    if found is None:
        return page(desk, "missing.html", current="/alarms", what=f"alarm {name}", back="/alarms")
    text = runbook.render(name, runbook.here(desk.link.target)) if found.runbook else ""
    history = alarms.history(desk.link.client("cloudwatch"), found.name, _HISTORY)
    shown = {"history": history, "runbook": _MARKDOWN.render(text), "pages": _pages(name)}
    return page(desk, "alarm.html", current="/alarms", name=name, alarm=found, **shown)


def _pages(name: str) -> list[tuple[str, str]]:
    """The pages where one goes on from an alarm: their paths and what they are for."""
    pipeline = name.partition("-")[0]
    found = [(path.format(pipeline=pipeline), told) for word, path, told in _PAGES if word in name][:1]
    return [*found, ("/charts", "See its metrics"), ("/logs", "Read what the functions have logged")]


ROUTES = [show("/alarms", _show), show("/alarms/live", _live), show("/alarms/{name}", _one)]
