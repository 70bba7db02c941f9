"""The business step: the one function that an adopter replaces.

It may run more than once for an event (a crash before its outcome is written), never after it has SUCCEEDED.
Raise a `PermanentError` where trying again cannot help, a `TransientError` where it can; anything else counts as
transient. It is interrupted with `DeadlineExceededError` when the invocation's time is up.
"""

from handlers import jsontext
from handlers.events import model


def process(event: jsontext.JsonObject) -> jsontext.Json:
    """Turns an event into its result (any JSON value), which the state record keeps."""
    valid = model.validate(event)
    if "orderId" in valid:
        return {"kind": "order", "orderId": valid["orderId"], "amount": valid["amount"]}
    return {"kind": "envelope", "source": valid["source"], "type": valid["type"]}
