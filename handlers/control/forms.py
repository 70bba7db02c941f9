"""The form of each pipeline's messages, and whose keys: the one file of the control plane that names pipelines.

A redrive has to find the same key and checksum in a letter as the pipeline's worker does. A pipeline that is not named
here has plain messages, of its own.
"""

from handlers.lake import notice
from handlers.orders import message
from handlers.worker.messages import Form

# What EventBridge could not deliver to the orders queue has the form of that queue's messages.
FORMS: dict[str, Form] = {
    "orders": message.FORM,
    "orders-undelivered": message.FORM,
    "lake-notices": notice.FORM,
}

# By which pipeline's worker the letters will be read, where that is not the one that a redrive names.
READERS: dict[str, str] = {"orders-undelivered": "orders", "lake-notices": "lake"}
