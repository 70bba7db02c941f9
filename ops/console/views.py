"""What every page is made of: its templates, the head that says where one is, forms, and answers to trouble."""

from __future__ import annotations

import hashlib
import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from ops.cli.target import LOCAL
from ops.console import lake
from ops.console.link import Link, trouble
from ops.local.errors import LabError

if TYPE_CHECKING:
    from starlette.types import Message

    from ops.console.load import Load
    from ops.console.runner import Runner
    from ops.console.snapshot import Reader

FOLDER = Path(__file__).parent
_KEPT = 5  # of what was sent from here
_NUMBER = re.compile(r"[0-9]{1,12}([.][0-9]{1,12})?")
_MOST_BYTES = 2 * 1024 * 1024  # of a form: an event has at most 1 MiB
_OVERHEAD_BYTES = 64 * 1024  # of a form's other fields and of what parts them

Form: TypeAlias = Mapping[str, str]
Show: TypeAlias = "Callable[[Desk, Request], Response]"
Act: TypeAlias = "Callable[[Desk, Request, Form], Response]"
Take: TypeAlias = "Callable[[Desk, Request, Form, File | None], Response]"


@dataclass(frozen=True, slots=True)
class Desk:
    """What a page works with: the stack, how it stands, and what is at work for it here."""

    link: Link
    reader: Reader
    runner: Runner
    load: Load
    bronze: lake.Reader = field(default_factory=lake.Reader)
    # What was sent from here last, the newest first: a page that is come back to follows them as before.
    events: deque[dict[str, str]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    uploads: deque[lake.Upload] = field(default_factory=lambda: deque(maxlen=_KEPT))


@dataclass(frozen=True, slots=True)
class File:
    """What was chosen in a form, by the name that it has on that machine."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Where one is, for the head of each page."""

    stack: str
    region: str
    where: str
    is_production: bool
    pipelines: tuple[str, ...]
    look: int  # seconds between two looks of a page that is open
    metrics: int  # the same for what is made of metrics


class FieldError(ValueError):
    """What was typed into a field is not what it takes; the message says what it does take."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["moment"] = lambda at: f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    made.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return made


_TEMPLATES = _environment()


def place(link: Link) -> Place:
    """Where the stack is.

    Raises:
        TargetError: it is not there.
    """
    found = link.target
    # A stack from before there was this output might be one: better a question too many.
    is_production = bool(found.outputs.get("Production", found.stack != LOCAL))
    where = f"laptop, {found.emulator.endpoint}" if found.emulator else "AWS"
    look, metrics = (
        max(least, int(seconds)) for least, seconds in ((2, found.look_seconds), (10, found.metric_seconds))
    )
    return Place(found.stack, found.region, where, is_production, tuple(found.pipelines), look, metrics)


def page(desk: Desk, template: str, **values: object) -> Response:
    """A whole page."""
    text = _TEMPLATES.get_template(template).render(place=place(desk.link), stack=desk.link.stack, **values)
    return HTMLResponse(text)


def fragment(template: str, **values: object) -> Response:
    """A part of a page, in answer to one of its requests."""
    return HTMLResponse(_TEMPLATES.get_template(template).render(**values))


def live(request: Request, template: str, **values: object) -> Response:
    """A part of a page that asks for itself again and again; 204 where nothing has changed since its `seen`."""
    text = _TEMPLATES.get_template(template).render(**values)
    mark = hashlib.sha256(text.encode()).hexdigest()[:16]
    if request.query_params.get("seen") == mark:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return HTMLResponse(text, headers={"X-Seen": mark})


def show(path: str, work: Show) -> Route:
    """A route that only looks."""

    def endpoint(request: Request) -> Response:  # Starlette runs it in a thread
        desk: Desk = request.app.state.desk
        try:
            return work(desk, request)
        except Exception as error:  # noqa: BLE001 - what is not trouble with the stack is raised again
            return apology(desk, request, error)

    return Route(path, endpoint, methods=["GET"])


def act(path: str, work: Act) -> Route:
    """A route that changes something; takes a form."""

    async def endpoint(request: Request) -> Response:
        desk: Desk = request.app.state.desk
        body = await _body(request, _MOST_BYTES)
        if body is None:
            return _too_much(_MOST_BYTES)
        form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        try:
            return await run_in_threadpool(work, desk, request, form)
        except Exception as error:  # noqa: BLE001 - what is not trouble with the stack is raised again
            return apology(desk, request, error)

    return Route(path, endpoint, methods=["POST"])


def take(path: str, work: Take, most: int) -> Route:
    """A route that is given a file of up to so many bytes, beside the other fields of its form."""

    async def endpoint(request: Request) -> Response:
        desk: Desk = request.app.state.desk
        body = await _body(request, most + _OVERHEAD_BYTES)
        if body is None:
            return _too_much(most)

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async with Request(request.scope, receive).form(max_files=1, max_fields=20) as parts:
            form = {name: part for name, part in parts.items() if isinstance(part, str)}
            files = [File(one.filename or "", await one.read()) for one in parts.values() if not isinstance(one, str)]
        file = next((one for one in files if one.name), None)
        try:
            return await run_in_threadpool(work, desk, request, form, file)
        except Exception as error:  # noqa: BLE001 - what is not trouble with the stack is raised again
            return apology(desk, request, error)

    return Route(path, endpoint, methods=["POST"])


async def _body(request: Request, most: int) -> bytes | None:
    """What was sent; None where it is more than that, which is not read to its end."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return None
    return body


def _too_much(most: int) -> Response:
    """Said at the field by the page; what is sent is not read to its end."""
    text = f"This is more than the console takes: at most {most // 1024**2} MiB"
    return Response(text, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, media_type="text/plain")


def confirm(desk: Desk, form: Form) -> None:
    """Ask for the stack's name before a dangerous action on a production stack.

    Raises:
        FieldError: it was not typed.
    """
    here = place(desk.link)
    if here.is_production and form.get("confirm", "").strip() != here.stack:
        raise FieldError("confirm", f"This is production. Type the name of the stack: {here.stack}")


def key_of(form: Form) -> dict[str, str]:
    """The header with the idempotency key that was typed; none where none was.

    Raises:
        FieldError: no header can hold it. What else a key must be like is the API's to say.
    """
    key = form.get("key", "").strip()
    if not key.isascii() or not key.isprintable():
        raise FieldError("key", "Letters, digits and . _ ~ : @ = + -, beginning with a letter or digit")
    return {"Idempotency-Key": key} if key else {}


def whole(form: Form, field: str, least: int, most: int, default: int | None = None) -> int:
    """A whole number from a form.

    Raises:
        FieldError: it is none, or not between `least` and `most`.
    """
    text = form.get(field, "").strip()
    if not text and default is not None:
        return default
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise FieldError(field, f"A whole number from {least:,} to {most:,}")
    return int(text)


def number(form: Form, field: str, least: float, most: float, default: float | None = None) -> float:
    """A number from a form.

    Raises:
        FieldError: it is none, or not between `least` and `most`.
    """
    text = form.get(field, "").strip()
    if not text and default is not None:
        return default
    if not _NUMBER.fullmatch(text) or not least <= float(text) <= most:
        raise FieldError(field, f"A number from {least:,g} to {most:,g}")
    return float(text)


def apology(desk: Desk, request: Request, error: Exception) -> Response:
    """Trouble with the stack as an answer; any other error is raised again.

    A part of a page leaves what is shown there and says so in the page's bar; a whole page is replaced by one that
    waits until the stack is back.
    """
    told = trouble(error)
    if told is None:
        raise error
    if not isinstance(error, LabError):
        desk.link.lose()
    if request.headers.get("HX-Request"):
        return Response(told, HTTPStatus.SERVICE_UNAVAILABLE, media_type="text/plain")
    text = _TEMPLATES.get_template("trouble.html").render(place=None, stack=desk.link.stack, told=told, current="")
    return HTMLResponse(text, HTTPStatus.SERVICE_UNAVAILABLE)


def fields(values: Mapping[str, Any], error: FieldError | None = None) -> dict[str, Any]:
    """What a form is shown with again: what was typed, and what is wrong with it, by field."""
    return {"values": values, "errors": {error.field: str(error)} if error else {}}
