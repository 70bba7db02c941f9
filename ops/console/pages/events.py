"""Send an event, and see what becomes of it."""

from __future__ import annotations

import json
import math
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ops.cli import records
from ops.console import calls
from ops.console.views import Desk, FieldError, Form, act, confirm, fragment, key_of, page, place, show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

_POINTERS = {"/orderId": "orderId", "/amount": "amount"}
_SETTLED = ("SUCCEEDED", "FAILED")


def _show(desk: Desk, _: Request) -> Response:
    return page(desk, "events.html", current="/events", recent=list(desk.events), **_form(_fresh()))


def _send(desk: Desk, _: Request, form: Form) -> Response:
    here = place(desk.link)
    try:
        confirm(desk, form)
        event, headers = _event(form), key_of(form)
    except FieldError as error:
        return fragment("_events_form.html", place=here, sent=None, **_form(form, {error.field: str(error)}))
    answer = calls.post(desk.link.target, "/events", event, headers)
    desk.reader.forget()
    if answer.status != 202:
        pointers = {"/idempotencyKey": "key"} if headers else {}
        pointers |= _POINTERS if form.get("kind") != "json" else {}
        return fragment("_events_form.html", place=here, sent=None, **_form(form, calls.refusals(answer, pointers)))
    what = event.get("orderId") or event.get("type") or "event"
    sent = {"key": answer.body["idempotencyKey"], "what": what, "message": answer.body.get("messageId", "")}
    desk.events.appendleft(sent)
    fresh = {**_fresh(), "kind": form.get("kind", "order")}
    return fragment("_events_form.html", place=here, sent=sent, **_form(fresh))


def _status(desk: Desk, request: Request) -> Response:
    key = request.query_params.get("key", "")
    record: dict[str, Any] = calls.find(desk.link.target, f"/events/{quote(key, safe='')}") or {}
    status = records.standing(record["status"], final=record["final"]) if record else "ON ITS WAY"
    what, message = (request.query_params.get(name, "") for name in ("what", "message"))
    settled = status in _SETTLED
    # A record keeps the message that was worked: another one with its key was dropped.
    repeated = status == "SUCCEEDED" and bool(message) and record.get("messageId") != message
    values = {"key": key, "what": what, "message": message, "repeated": repeated}
    return fragment("_event.html", status=status, record=record, settled=settled, **values)


def _event(form: Form) -> dict[str, Any]:
    """The event that was typed; what it must be like is the API's to say, as long as it is JSON."""
    if form.get("kind") == "json":
        try:
            event = json.loads(form.get("json", ""), parse_constant=_no_number)
        except ValueError as error:
            raise FieldError("json", f"This is not JSON: {error}") from None
        if not isinstance(event, dict):
            raise FieldError("json", "An event is a JSON object: {…}")
        return event
    try:
        amount = json.loads(form.get("amount", "").strip(), parse_constant=_no_number)
    except ValueError:
        raise FieldError("amount", "A number of 0 or more, as in 42.50") from None
    if isinstance(amount, float) and not math.isfinite(amount):
        raise FieldError("amount", "This is more than a number can be")
    return {"orderId": form.get("orderId", "").strip(), "amount": amount}


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _fresh() -> dict[str, str]:
    sample = {"source": "shop", "type": "ItemReturned", "payload": {"sku": "ABC-1"}}
    order = f"order-{uuid.uuid4().hex[:8]}"
    return {"kind": "order", "orderId": order, "amount": "42.50", "key": "", "json": json.dumps(sample, indent=2)}


def _form(values: Mapping[str, str], errors: Mapping[str, str] | None = None) -> dict[str, object]:
    return {"values": {**_fresh(), **values}, "errors": errors or {}}


ROUTES = [show("/events", _show), act("/events", _send), show("/events/status", _status)]
