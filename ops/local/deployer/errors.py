"""What can go wrong while a program is deployed."""

from __future__ import annotations

from typing import ClassVar

from ops.local.errors import LabError


class DeployError(LabError):
    """The deployment can't go on; the message says what is wrong and, where it can, what to do."""


class DataLossError(DeployError):
    """What has left the program holds data; nothing of it was deleted."""

    is_refusal: ClassVar[bool] = True

    def __init__(self, lost: list[str]) -> None:
        super().__init__(
            f"what has left the program holds data, and was kept: {'; '.join(lost)}. Put it back into the"
            f" configuration, or delete it with its data: lab up --yes"
        )
        self.lost = lost  # what would be deleted, and what each of it holds
