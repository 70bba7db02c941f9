"""What can go wrong while a program is deployed."""

from __future__ import annotations

from ops.local.errors import LabError


class DeployError(LabError):
    """The deployment can't go on; the message says what is wrong and, where it can, what to do."""
