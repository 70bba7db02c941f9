"""What can go wrong in a way that is told in one sentence."""

from __future__ import annotations

from typing import ClassVar


class LabError(RuntimeError):
    """Something expected is in the way; the message says what and, where it can, what to do."""

    is_refusal: ClassVar[bool] = False  # whether a safety rule forbids it, rather than that it has failed
