"""Idempotency keys as messages have them, and as the state table keeps those of all pipelines: in a scope each.

A key of `events` is its partition key itself, as its API says. That API takes no key with a slash, so what begins with
a pipeline and a slash is that pipeline's; a key with one that comes onto the queue of `events` past the API gets a
scope, too.
"""

_UNSCOPED = "events"
MAX_KEY_BYTES = 1984  # of DynamoDB's 2,048, in UTF-8, so that there is room for a scope


def partition_key(pipeline: str, key: str) -> str:
    """What the state table has a pipeline's key under."""
    return key if pipeline == _UNSCOPED and "/" not in key else f"{pipeline}/{key}"
