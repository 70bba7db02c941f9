"""The deployed dashboard, drawn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ops.console import charts
from ops.console.views import Desk, live, page, show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

SPANS: Mapping[str, timedelta] = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "3h": timedelta(hours=3),
    "1d": timedelta(days=1),
}
_FIRST = "1h"


def _show(desk: Desk, request: Request) -> Response:
    return page(desk, "charts.html", current="/charts", spans=list(SPANS), **_values(desk, request))


def _live(desk: Desk, request: Request) -> Response:
    return live(request, "_charts.html", **_values(desk, request))


def _values(desk: Desk, request: Request) -> dict[str, object]:
    span = request.query_params.get("span", _FIRST)
    span = span if span in SPANS else _FIRST
    client = desk.link.client("cloudwatch")
    # on the minute: within one, the same charts are the same text
    until = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    shown = charts.widgets(client, desk.link.stack)
    has_expressions = desk.link.target.emulator is None
    drawn = charts.read(client, shown, until, SPANS[span], has_expressions=has_expressions)
    axis = [until - SPANS[span] * part for part in (1, 0.5, 0)]
    return {
        "charts": drawn,
        "axis": axis,
        "span": span,
        "width": charts.WIDTH,
        "height": charts.HEIGHT,
        "told": charts.told,
    }


ROUTES = [show("/charts", _show), show("/charts/live", _live)]
