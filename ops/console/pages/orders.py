"""Place an order, see it and those before it, and bring dead ones back."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from ops.cli import records
from ops.cli.orders import history
from ops.console import calls
from ops.console.views import Desk, FieldError, Form, act, confirm, fragment, key_of, live, page, place, show, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

_LINES = 3  # items that the form has room for
_MOST_ITEMS = 1_000_000  # of a line, as the API has it
_SHOWN = 20
_CANARY = 5  # so many first: what is not mended fails again with them alone
_MOST_MOVED = 1000
_SETTLED = ("SUCCEEDED", "SUPERSEDED", "FAILED")
_KINDS = {"PROCESSED": "ok", "SUCCEEDED": "ok", "FAILED": "bad", "RETRYING": "warn", "SUPERSEDED": "idle"}


def _show(desk: Desk, _: Request) -> Response:
    return page(desk, "orders.html", current="/orders", started="", **_form({}), **_standing(desk))


def _place(desk: Desk, _: Request, form: Form) -> Response:
    here = place(desk.link)
    try:
        confirm(desk, form)
        headers = key_of(form)
    except FieldError as error:
        return fragment("_orders_form.html", place=here, sent=None, **_form(form, {error.field: str(error)}))
    order, pointers, errors = _order(form)
    if errors:
        return fragment("_orders_form.html", place=here, sent=None, **_form(form, errors))
    pointers |= {"": "key"} if headers else {}
    if not headers and form.get("once"):  # sent twice, a form is one order
        headers = {"Idempotency-Key": form["once"]}
    answer = calls.post(desk.link.target, "/orders", order, headers)
    desk.reader.forget()
    if answer.status != 202:
        kept = {**form, "once": ""} if answer.status == HTTPStatus.CONFLICT else form  # that one is another order's now
        return fragment("_orders_form.html", place=here, sent=None, **_form(kept, calls.refusals(answer, pointers)))
    return fragment("_orders_form.html", place=here, sent=answer.body, **_form({}))


def _status(desk: Desk, request: Request) -> Response:
    """By the record of the event that was placed: the order itself may be that of an earlier or a later one."""
    of = request.query_params
    event_id, table = of.get("event", ""), desk.link.target.outputs["DynamoTableName"]
    record = records.one(desk.link.client("dynamodb"), table, "orders", event_id) or {}
    outcome = history.outcome(record) if record else "ON ITS WAY"
    values = {"order_id": of.get("id", ""), "event_id": event_id, "record": record, "outcome": outcome}
    return fragment("_order.html", kinds=_KINDS, settled=outcome in _SETTLED, **values)


def _live(desk: Desk, request: Request) -> Response:
    return live(request, "_orders.html", **_standing(desk))


def _one(desk: Desk, request: Request) -> Response:
    """One order: as it is now, and each of its events."""
    found, order_id = desk.link.target, request.query_params.get("id", "")
    order = _now(desk, order_id)
    versions = None
    if order_id and (found.counts_records or request.query_params.get("records")):
        versions = history.versions(desk.link.client("dynamodb"), found.outputs["DynamoTableName"], order_id)
    if order is None and not versions:
        return page(desk, "missing.html", current="/orders", what="such order that was worked on", back="/orders")
    asking = urlencode({"id": order_id, "records": 1})
    values = {"order_id": order_id, "order": order, "versions": versions, "asking": asking, "kinds": _KINDS}
    return page(desk, "order.html", current="/orders", **values)


def _redrive(desk: Desk, _: Request, form: Form) -> Response:
    """Bring the dead orders back, a few of them first."""
    here = place(desk.link)
    try:
        confirm(desk, form)
    except FieldError as error:
        return fragment("_orders_redrive.html", place=here, started="", errors={error.field: str(error)})
    body = {"pipeline": "orders", "maxMessages": _MOST_MOVED, "canary": _CANARY}
    answer = calls.post(desk.link.target, "/redrive/start", body)
    desk.reader.forget()
    errors = {"": "; ".join(calls.refusals(answer, {}).values())} if answer.status != 202 else {}
    started = _running(desk) if errors else str(answer.body["redriveId"])
    return fragment("_orders_redrive.html", place=here, started=started, errors=errors)


def _running(desk: Desk) -> str:
    """The redrive of orders that is at work; "" where none is."""
    answer = calls.get(desk.link.target, "/redrive?limit=10")
    runs = answer.body["runs"] if answer.status == HTTPStatus.OK else []
    mine = [one for one in runs if one["state"] == "RUNNING" and one["request"]["pipeline"] == "orders"]
    return str(mine[0]["redriveId"]) if mine else ""


def _now(desk: Desk, order_id: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = calls.find(desk.link.target, f"/orders/{quote(order_id, safe='')}")
    return found


def _standing(desk: Desk) -> dict[str, object]:
    if "orders" not in desk.link.target.pipelines:
        return {"orders": None}
    answer = calls.get(desk.link.target, f"/orders?limit={_SHOWN}")
    calls.must_be(answer, 200)
    now = desk.reader.read()
    counts = {role: (sum(depths.values()), depths) for role, depths in now.queues["orders"].items()}
    return {
        "orders": answer.body["orders"],
        "counts": counts,
        "consumer": now.consumers["orders"],
        "breaker": now.breakers["orders"],
        "kinds": _KINDS,
    }


def _order(form: Form) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """The order that was typed, the form's fields by their pointers into it, and what is wrong with its quantities.

    An empty line is none, unless there is no other.
    """
    pointers = {"/customerId": "customerId", "/orderId": "orderId", "/items": "sku0"}
    items: list[dict[str, Any]] = []
    errors: dict[str, str] = {}
    typed = [(form.get(f"sku{line}", "").strip(), form.get(f"qty{line}", "").strip()) for line in range(_LINES)]
    for line, (sku, quantity) in enumerate(typed):
        if sku or quantity or not any(map(any, typed)):
            pointers |= {f"/items/{len(items)}/sku": f"sku{line}", f"/items/{len(items)}/qty": f"qty{line}"}
            try:
                items.append({"sku": sku, "qty": whole({"qty": quantity}, "qty", 1, _MOST_ITEMS)})
            except FieldError as error:
                errors[f"qty{line}"] = str(error)
    given = {name: form.get(name, "").strip() for name in ("customerId", "orderId")}
    return {**{name: text for name, text in given.items() if text}, "items": items}, pointers, errors


def _form(values: Mapping[str, str], errors: Mapping[str, str] | None = None) -> dict[str, object]:
    lines = {f"{name}{line}": "" for line in range(_LINES) for name in ("sku", "qty")}
    fresh = {"customerId": "", "orderId": "", "key": "", **lines, "sku0": "ABC-1", "qty0": "1"}
    shown = {**fresh, **values, "once": values.get("once") or uuid.uuid4().hex}
    return {"values": shown, "errors": errors or {}, "lines": range(_LINES)}


ROUTES = [
    show("/orders", _show),
    act("/orders", _place),
    show("/orders/status", _status),
    show("/orders/live", _live),
    show("/orders/one", _one),
    act("/orders/redrive", _redrive),
]
