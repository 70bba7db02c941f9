"""The console as a program: its pages behind the guard, and the server that runs it on loopback."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ops.console import views
from ops.console.guard import Guard, Session
from ops.console.pages import ROUTES
from ops.console.snapshot import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from ops.console.link import Link

HOST = "127.0.0.1"
_TRIES = 20  # ports, one after the other


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


def listen(wanted: int) -> socket.socket:
    """A socket on loopback: at this port, or at the first free one after it.

    Raises:
        OSError: none of them is free.
    """
    for port in range(wanted, wanted + _TRIES):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            listener.close()
            continue
        return listener
    raise OSError(f"none of the ports {wanted} to {wanted + _TRIES - 1} is free")


def serve(link: Link, wanted: int, opened: Callable[[Session], None]) -> None:
    """Serve until a signal ends it; `opened` hears where."""
    with closing(listen(wanted)) as listener:
        session = Session(listener.getsockname()[1])
        config = uvicorn.Config(make(link, session), log_level="warning", access_log=False, lifespan="off", ws="none")
        opened(session)
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
