"""Place an order, and see it and those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ops.console import calls
from ops.console.views import Desk, Form, act, fragment, live, page, show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

_LINES = 3  # items that the form has room for
_SHOWN = 20


def _show(desk: Desk, _: Request) -> Response:
    return page(desk, "orders.html", current="/orders", **_form({}), **_history(desk))


def _place(desk: Desk, _: Request, form: Form) -> Response:
    order, pointers = _order(form)
    key = form.get("key", "").strip()
    answer = calls.post(desk.link.target, "/orders", order, {"Idempotency-Key": key} if key else {})
    desk.reader.forget()
    if answer.status != 202:
        return fragment("_orders_form.html", sent=None, **_form(form, calls.refusals(answer, pointers)))
    return fragment("_orders_form.html", sent=answer.body["orderId"], **_form({}))


def _status(desk: Desk, request: Request) -> Response:
    order_id = request.query_params.get("id", "")
    order: dict[str, Any] = calls.find(desk.link.target, f"/orders/{quote(order_id, safe='')}") or {}
    return fragment("_order.html", order_id=order_id, order=order)


def _live(desk: Desk, request: Request) -> Response:
    return live(request, "_orders.html", **_history(desk))


def _history(desk: Desk) -> dict[str, object]:
    if "orders" not in desk.link.target.pipelines:
        return {"orders": None}
    answer = calls.get(desk.link.target, f"/orders?limit={_SHOWN}")
    calls.must_be(answer, 200)
    return {"orders": answer.body["orders"]}


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
]
