"""Place an order, see it and those before it, and bring dead ones back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from ops.cli import records
from ops.cli.orders import history
from ops.console import calls
from ops.console.views import Desk, FieldError, Form, act, confirm, fragment, live, page, place, show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

_LINES = 3  # items that the form has room for
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
    except FieldError as error:
        return fragment("_orders_form.html", place=here, sent=None, **_form(form, {error.field: str(error)}))
    order, pointers = _order(form)
    key = form.get("key", "").strip()
    answer = calls.post(desk.link.target, "/orders", order, {"Idempotency-Key": key} if key else {})
    desk.reader.forget()
    if answer.status != 202:
        return fragment("_orders_form.html", place=here, sent=None, **_form(form, calls.refusals(answer, pointers)))
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
    started = "" if errors else str(answer.body["redriveId"])
    return fragment("_orders_redrive.html", place=here, started=started, errors=errors)


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


def _order(form: Form) -> tuple[dict[str, Any], Mapping[str, str]]:
    """The order that was typed, and the form's fields by their pointers into it; an empty line is none."""
    pointers = {"/customerId": "customerId", "/orderId": "orderId", "/items": "sku0"}
    items: list[dict[str, Any]] = []
    for line in range(_LINES):
        sku, quantity = form.get(f"sku{line}", "").strip(), form.get(f"qty{line}", "").strip()
        if sku or (line == 0 and not items):
            pointers |= {f"/items/{len(items)}/sku": f"sku{line}", f"/items/{len(items)}/qty": f"qty{line}"}
            is_number = quantity.isascii() and quantity.isdigit()
            items.append({"sku": sku, "qty": int(quantity) if is_number else quantity})
    given = {name: form.get(name, "").strip() for name in ("customerId", "orderId")}
    return {**{name: text for name, text in given.items() if text}, "items": items}, pointers


def _form(values: Mapping[str, str], errors: Mapping[str, str] | None = None) -> dict[str, object]:
    lines = {f"{name}{line}": "" for line in range(_LINES) for name in ("sku", "qty")}
    fresh = {"customerId": "", "orderId": "", "key": "", **lines, "sku0": "ABC-1", "qty0": "1"}
    return {"values": {**fresh, **values}, "errors": errors or {}, "lines": range(_LINES)}


ROUTES = [
    show("/orders", _show),
    act("/orders", _place),
    show("/orders/status", _status),
    show("/orders/live", _live),
    show("/orders/one", _one),
    act("/orders/redrive", _redrive),
]
