"""What this CloudWatch does not do, said rather than ignored."""

from __future__ import annotations

from ops.local.errors import LabError


class UnsupportedError(LabError):
    """A construct that CloudWatch may know and the laptop does not; the message names it."""
