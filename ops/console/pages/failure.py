"""The failure lab: switch a fault on for a while, see which is on, switch it off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops.cli import target
from ops.console import calls
from ops.console.link import trouble
from ops.console.views import Desk, FieldError, Form, act, confirm, fragment, live, page, place, show, whole
from ops.gamedays import runs
from ops.gamedays.context import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

_LONGEST_SECONDS = 86_400
_POINTERS = {"/mode": "mode", "/ttlSeconds": "ttl", "/match": "match"}
MODES: Mapping[str, str] = {
    "poison_payload": "the worker refuses every event: dead letters",
    "slow_downstream": "the worker sleeps past its time-out: events are delivered again",
    "random_fail_p30": "30 % of the attempts fail, the rest go on",
    "duplicate_submit": "each event is sent twice under one key",
    "downstream_outage": "every call of the downstream fails: the circuit breaker opens",
    "crash": "the worker's process ends at once; meant for single events",
    "hang": "the worker never comes back; meant for single events",
}


def _show(desk: Desk, request: Request) -> Response:
    asked = {name: text for name, text in request.query_params.items() if name in ("mode", "match")}
    return page(desk, "failure.html", current="/failure", **_form(asked), **_values(desk))


def _live(desk: Desk, request: Request) -> Response:
    return live(request, "_failure.html", **_values(desk))


def _set(desk: Desk, _: Request, form: Form) -> Response:
    try:
        confirm(desk, form)
        seconds = whole(form, "ttl", 1, _LONGEST_SECONDS)
        body: dict[str, Any] = {"mode": form.get("mode", ""), "ttlSeconds": seconds}
        body |= _match(form.get("match", "").strip())
        _choose(body["mode"])
    except FieldError as error:
        return fragment("_failure_form.html", place=place(desk.link), **_form(form, {error.field: str(error)}))
    try:
        runs.spare(target.home(), desk.link.stack)
    except RefusedError as error:
        return fragment("_failure_form.html", place=place(desk.link), **_form(form, {"": trouble(error) or ""}))
    answer = calls.post(desk.link.target, "/failure-mode", body)
    desk.reader.forget()
    errors = calls.refusals(answer, _POINTERS) if answer.status >= 400 else {}
    done = "" if errors else body["mode"]
    return fragment("_failure_form.html", place=place(desk.link), **_form(form, errors, done))


def _choose(mode: str) -> None:
    """Nothing is chosen at first: one stray click breaks nothing.

    Raises:
        FieldError: nothing was.
    """
    if not mode:
        raise FieldError("mode", "Choose one of these")


def _match(text: str) -> dict[str, Any]:
    """Which events it is for, as the API takes it.

    Raises:
        FieldError: it is not FIELD=TEXT.
    """
    if not text:
        return {}
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise FieldError("match", "FIELD=TEXT, as in orderId=7")
    return {"match": {name.strip(): value.strip()}}


def _reset(desk: Desk, _: Request, __: Form) -> Response:
    desk.link.target.ask("POST", "/failure-mode/reset", {})
    desk.reader.forget()
    return fragment("_failure.html", **_values(desk))


def _values(desk: Desk) -> dict[str, object]:
    now = desk.reader.read()
    is_tried = runs.is_busy(target.home(), desk.link.stack)
    return {"failure": now.failure, "mode": now.mode, "is_tried": is_tried}


def _form(values: Mapping[str, str], errors: Mapping[str, str] | None = None, done: str = "") -> dict[str, Any]:
    fresh = {"mode": "", "ttl": "300", "match": ""}
    return {"values": {**fresh, **values}, "errors": errors or {}, "modes": MODES, "done": done}


ROUTES = [
    show("/failure", _show),
    show("/failure/live", _live),
    act("/failure/set", _set),
    act("/failure/reset", _reset),
]
