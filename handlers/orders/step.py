"""The business step of orders: the one function that an adopter replaces.

It may run more than once for an order (a crash before its outcome is written), never after it has SUCCEEDED. Raise a
`PermanentError` where trying again cannot help: the order is kept as FAILED and goes to the dead-letter queue. Raise a
`DownstreamError` where what the step depends on is out; anything else counts as transient, too.
"""

from handlers import jsontext


def process(order: jsontext.JsonObject) -> jsontext.Json:
    """Turns an order `{orderId, items: [{sku, qty}], …}` into its result, which the state record keeps."""
    items = order["items"]
    assert isinstance(items, list)  # noqa: S101 - the caller has validated it
    return {"positions": len(items)}
