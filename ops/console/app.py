"""The console as a program: its pages behind the guard, and the server that runs it on loopback."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ops.console import views
from ops.console.guard import Guard
from ops.console.load import Load
from ops.console.pages import ROUTES
from ops.console.runner import Runner
from ops.console.snapshot import Reader

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from ops.console.link import Link
    from ops.console.session import Session


def make(link: Link, session: Session, runner: Runner | None = None) -> Starlette:
    """The console of a stack; at its end, what it has at work ends, too."""
    desk = views.Desk(link, Reader(link), runner or Runner(), Load())

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        yield
        if desk.runner.running:
            logging.getLogger("uvicorn.error").warning("rolling back the GameDay %s ...", desk.runner.running)
        desk.load.stop()
        await run_in_threadpool(desk.runner.close)

    static = Mount("/static", StaticFiles(directory=views.FOLDER / "static"))
    routes = [*ROUTES, Route("/ping", _ping), static]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, session=session)],
        exception_handlers={404: _missing, 500: _fault},
        lifespan=life,
    )
    app.state.desk = desk
    return app


def serve(link: Link, listener: socket.socket, session: Session) -> None:
    """Serve at a socket that listens already, until a signal ends it."""
    config = uvicorn.Config(make(link, session), log_level="warning", access_log=False, lifespan="on", ws="none")
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
