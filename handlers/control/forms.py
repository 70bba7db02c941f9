"""The form of each pipeline's messages: the one file of the control plane that knows pipelines by name.

A redrive has to find the same key and checksum in a letter as the pipeline's worker does. A pipeline that is not named
here has plain messages.
"""

from handlers.orders import message
from handlers.worker.messages import Form

# What EventBridge could not deliver to the orders queue has the form of that queue's messages.
FORMS: dict[str, Form] = {"orders": message.FORM, "orders-undelivered": message.FORM}
