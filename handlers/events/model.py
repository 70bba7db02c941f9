"""What an event is: an order or an envelope. Fields beyond those named here are kept as they came.

Adding a kind of event is a function here and a line in `validate`.
"""

from handlers import jsontext
from handlers.errors import Detail, SchemaValidationError

_MAX_TEXT = 256
_ENVELOPE_FIELDS = ("source", "type", "payload")


def validate(value: jsontext.Json) -> jsontext.JsonObject:
    """The event, where it is one: an order `{orderId, amount}` or an envelope `{source, type, payload}`.

    Raises:
        SchemaValidationError: it is not; every fault with its JSON pointer.
    """
    if not isinstance(value, dict):
        raise SchemaValidationError(Detail("", f"must be an object, got {jsontext.describe(value)}"))
    is_order = "orderId" in value or "amount" in value or not any(name in value for name in _ENVELOPE_FIELDS)
    faults = _order_faults(value) if is_order else _envelope_faults(value)
    if faults:
        raise SchemaValidationError(*faults)
    return value


def _order_faults(value: jsontext.JsonObject) -> list[Detail]:
    return _text_faults(value, "orderId") + _amount_faults(value)


def _envelope_faults(value: jsontext.JsonObject) -> list[Detail]:
    return _text_faults(value, "source") + _text_faults(value, "type") + _payload_faults(value)


def _text_faults(value: jsontext.JsonObject, name: str) -> list[Detail]:
    if name not in value:
        return [Detail(f"/{name}", "is required")]
    text = value[name]
    if not isinstance(text, str):
        return [Detail(f"/{name}", f"must be a string, got {jsontext.describe(text)}")]
    if not 1 <= len(text) <= _MAX_TEXT:
        return [Detail(f"/{name}", f"must have 1 to {_MAX_TEXT} characters, got {len(text)}")]
    return []


def _amount_faults(value: jsontext.JsonObject) -> list[Detail]:
    if "amount" not in value:
        return [Detail("/amount", "is required")]
    amount = value["amount"]
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        return [Detail("/amount", f"must be a number, got {jsontext.describe(amount)}")]
    return [Detail("/amount", "must be 0 or more")] if amount < 0 else []


def _payload_faults(value: jsontext.JsonObject) -> list[Detail]:
    if "payload" not in value:
        return [Detail("/payload", "is required")]
    payload = value["payload"]
    if not isinstance(payload, dict):
        return [Detail("/payload", f"must be an object, got {jsontext.describe(payload)}")]
    return []
