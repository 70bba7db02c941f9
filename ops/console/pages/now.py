"""What is on or at work now, in the head of every page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.console.snapshot import effective
from ops.console.views import Desk, live, show

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def _live(desk: Desk, request: Request) -> Response:
    failure = desk.reader.failure()
    return live(
        request,
        "_now.html",
        mode=effective(failure),
        until=str((failure or {}).get("expiresAt") or ""),
        run=desk.runner.running,
        load=desk.load.is_live,
    )


ROUTES = [show("/now", _live)]
