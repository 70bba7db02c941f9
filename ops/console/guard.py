"""Who may speak to the console: this machine's browser, from the console's own pages, with the session's secret.

A page on loopback can be reached by every other page that the browser shows, by other users of the machine and, through
a name that points to 127.0.0.1, by sites on the internet. So each request must name the console as its host, must not
come from another origin, and must carry a cookie that only the URL with the token gives.
"""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ops.console.session import Session

_POLICY = "Content-Security-Policy"
# Everything comes from the console itself and nothing is inline: neither scripts nor styles, nor a frame or a plug-in.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# For a report that brings its styles with it: no script, no form, no link out of it, nothing from anywhere, no origin.
# What is sandboxed can't be opened with an opener policy of its own (browsers refuse it).
SEALED = {
    _POLICY: (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "unsafe-none",
}
_HEADERS = {
    _POLICY: POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_SAFE = ("GET", "HEAD")
# Not a redirect: a cookie that is SameSite=Strict is not sent along one that began in another site's page.
_WELCOME = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">'
    '<link rel="icon" href="/static/icon.svg"><title>Control room</title>'
    '<p><a href="/">Go on to the control room</a></p></html>'
)


class Guard:
    """Refuses what is not for the console, and sets every answer's headers."""

    def __init__(self, app: ASGIApp, session: Session) -> None:
        self._app = app
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                is_sealed = headers.get(_POLICY) == SEALED[_POLICY]
                headers.update(_HEADERS | SEALED if is_sealed else _HEADERS)
            await send(message)

        asked, query = Headers(scope=scope), QueryParams(scope["query_string"])
        if refusal := self._refusal(scope["method"], asked):
            answer: ASGIApp = PlainTextResponse(f"{refusal}\n", HTTPStatus.FORBIDDEN)
        elif self._has_cookie(asked):
            answer = self._app
        elif scope["path"] == "/" and scope["method"] == "GET" and _equal(query.get("token", ""), self._session.token):
            answer = HTMLResponse(_WELCOME)
            answer.set_cookie(self._session.cookie, self._session.secret, httponly=True, samesite="strict")
        else:
            answer = PlainTextResponse(
                "This session is not known here. Open the URL that `lab console` or `make up` has printed.\n",
                HTTPStatus.UNAUTHORIZED,
            )
        await answer(scope, receive, guarded)

    def _refusal(self, method: str, headers: Headers) -> str:
        """Why the request is none of the console's own pages'; "" where it may be."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self._session.hosts:
            return "The console answers to its own address only."
        if origin is None and method not in _SAFE:
            return "A request that changes something must say where it comes from."
        if origin is not None and origin != f"http://{host}":
            return "The console takes requests from its own pages only."
        return ""

    def _has_cookie(self, headers: Headers) -> bool:
        given = cookie_parser(headers.get("cookie", "")).get(self._session.cookie, "")
        return _equal(given, self._session.secret)


def _equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
