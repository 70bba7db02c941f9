"""The console's pages: one module each, with its routes; its templates have its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.console.pages import (
    alarms,
    charts,
    events,
    failure,
    gamedays,
    lake,
    letters,
    load,
    logs,
    now,
    orders,
    overview,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

ROUTES: Sequence[Route] = [
    *overview.ROUTES,
    *events.ROUTES,
    *orders.ROUTES,
    *lake.ROUTES,
    *letters.ROUTES,
    *alarms.ROUTES,
    *charts.ROUTES,
    *logs.ROUTES,
    *failure.ROUTES,
    *load.ROUTES,
    *gamedays.ROUTES,
    *now.ROUTES,
]
