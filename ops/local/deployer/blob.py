"""Content that a resource is made of."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Blob:
    """Content of an asset, or the zip of an archive."""

    content: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """Hex digest of the content."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def sha256_base64(self) -> str:
        """The digest as Lambda reports it."""
        return base64.b64encode(hashlib.sha256(self.content).digest()).decode()
