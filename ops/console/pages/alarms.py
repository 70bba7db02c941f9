"""Alarms: their state and history, and the runbook of each, filled in for the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from ops.cli import alarms, runbook
from ops.console.views import Desk, live, page, show

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ops.cli.alarms import AlarmState

_HISTORY = 20
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def _show(desk: Desk, _: Request) -> Response:
    return page(desk, "alarms.html", current="/alarms", **_values(desk))


def _live(desk: Desk, request: Request) -> Response:
    return live(request, "_alarms.html", **_values(desk))


def _values(desk: Desk) -> dict[str, object]:
    return {"alarms": desk.reader.read().alarms, "prefix": f"IngestionLab-{desk.link.stack}-"}


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
    html = _MARKDOWN.render(text)
    return page(desk, "alarm.html", current="/alarms", name=name, alarm=found, history=history, runbook=html)


ROUTES = [show("/alarms", _show), show("/alarms/live", _live), show("/alarms/{name}", _one)]
