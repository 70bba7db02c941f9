"""The console as a program: its pages behind the guard, and the server that runs it on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ops.console import views
from ops.console.guard import Guard
from ops.console.pages import ROUTES
from ops.console.snapshot import Reader

if TYPE_CHECKING:
    import socket

    from starlette.requests import Request

    from ops.console.link import Link
    from ops.console.session import Session


def make(link: Link, session: Session) -> Starlette:
    """The console of a stack."""
    static = Mount("/static", StaticFiles(directory=views.FOLDER / "static"))
    routes = [*ROUTES, Route("/ping", _ping), static]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, session=session)],
        exception_handlers={404: _missing, 500: _fault},
    )
    app.state.desk = views.Desk(link, Reader(link))
    return app


def serve(link: Link, listener: socket.socket, session: Session) -> None:
    """Serve at a socket that listens already, until a signal ends it."""
    config = uvicorn.Config(make(link, session), log_level="warning", access_log=False, lifespan="off", ws="none")
    uvicorn.Server(config).run(sockets=[listener])


def _ping(request: Request) -> Response:
    desk: views.Desk = request.app.state.desk
    try:
        desk.reader.read()
    except Exception as error:  # noqa: BLE001 - told, or raised again
        return views.apology(desk, request, error)
    return Response(status_code=204)


def _missing(request: Request, _: Exception) -> Response:
    return HTMLResponse(views.fragment("nowhere.html", path=request.url.path).body, 404)


def _fault(_: Request, __: Exception) -> Response:
    return HTMLResponse("The console has failed; its terminal says why.", 500)
