"""Idempotency keys as callers may give them."""

import re

LIMIT = "must have 1 to 256 characters of A-Z a-z 0-9 . _ ~ : @ = + - and begin with a letter or digit"
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:@=+-]{0,255}")


def is_key(text: str) -> bool:
    """Whether a text can be an idempotency key."""
    return _KEY.fullmatch(text) is not None
