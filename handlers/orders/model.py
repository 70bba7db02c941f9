"""What an order is: `{customerId?, orderId?, items: [{sku, qty}]}`, and nothing else.

Its event on the bus has a form of its own, so a field that is not known has nowhere to go: it is refused, not dropped.
"""

import re
from collections.abc import Iterable

from handlers import jsontext
from handlers.errors import Detail, SchemaValidationError

MAX_ITEMS = 10_000
MAX_QUANTITY = 1_000_000
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:@=+-]{0,127}")
_ID_LIMIT = "must have 1 to 128 characters of A-Z a-z 0-9 . _ ~ : @ = + - and begin with a letter or digit"


def validate(value: jsontext.Json) -> jsontext.JsonObject:
    """The order, where it is one; its quantities are integers.

    Raises:
        SchemaValidationError: it is not; every fault with its JSON pointer.
    """
    if not isinstance(value, dict):
        raise SchemaValidationError(Detail("", f"must be an object, got {jsontext.describe(value)}"))
    faults = [
        *_unknown(value, ("customerId", "orderId", "items"), ""),
        *_id_faults(value, "customerId"),
        *_id_faults(value, "orderId"),
        *_items_faults(value),
    ]
    if faults:
        raise SchemaValidationError(*faults)
    return {**value, "items": _plain(value["items"])}


def _plain(items: jsontext.Json) -> list[jsontext.Json]:
    """Valid items, each quantity as an integer: JSON knows 2.0 as one, too."""
    assert isinstance(items, list)  # noqa: S101 - they are valid
    return [{"sku": item["sku"], "qty": int(item["qty"])} for item in items]  # type: ignore[index,call-overload,arg-type]


def is_id(text: str) -> bool:
    """Whether a text can be an order's id."""
    return _ID.fullmatch(text) is not None


def _unknown(value: jsontext.JsonObject, known: Iterable[str], where: str) -> list[Detail]:
    names = sorted(value.keys() - set(known))
    return [Detail(f"{where}{jsontext.pointer(name)}", "is not known") for name in names]


def _id_faults(value: jsontext.JsonObject, name: str) -> list[Detail]:
    if name not in value:
        return []
    found = value[name]
    if not isinstance(found, str):
        return [Detail(f"/{name}", f"must be a string, got {jsontext.describe(found)}")]
    return [] if is_id(found) else [Detail(f"/{name}", _ID_LIMIT)]


def _items_faults(value: jsontext.JsonObject) -> list[Detail]:
    if "items" not in value:
        return [Detail("/items", "is required")]
    items = value["items"]
    if not isinstance(items, list):
        return [Detail("/items", f"must be an array, got {jsontext.describe(items)}")]
    if not 1 <= len(items) <= MAX_ITEMS:
        return [Detail("/items", f"must have 1 to {MAX_ITEMS} items, got {len(items)}")]
    return [fault for index, item in enumerate(items) for fault in _item_faults(item, f"/items/{index}")]


def _item_faults(item: jsontext.Json, where: str) -> list[Detail]:
    if not isinstance(item, dict):
        return [Detail(where, f"must be an object, got {jsontext.describe(item)}")]
    return _unknown(item, ("sku", "qty"), where) + _sku_faults(item, where) + _quantity_faults(item, where)


def _sku_faults(item: jsontext.JsonObject, where: str) -> list[Detail]:
    if "sku" not in item:
        return [Detail(f"{where}/sku", "is required")]
    sku = item["sku"]
    if not isinstance(sku, str):
        return [Detail(f"{where}/sku", f"must be a string, got {jsontext.describe(sku)}")]
    return [] if is_id(sku) else [Detail(f"{where}/sku", _ID_LIMIT)]


def _quantity_faults(item: jsontext.JsonObject, where: str) -> list[Detail]:
    if "qty" not in item:
        return [Detail(f"{where}/qty", "is required")]
    quantity = item["qty"]
    if isinstance(quantity, bool) or not isinstance(quantity, int | float):
        return [Detail(f"{where}/qty", f"must be a whole number, got {jsontext.describe(quantity)}")]
    if quantity != int(quantity):
        return [Detail(f"{where}/qty", "must be a whole number")]
    if not 1 <= quantity <= MAX_QUANTITY:
        return [Detail(f"{where}/qty", f"must be 1 to {MAX_QUANTITY}")]
    return []
