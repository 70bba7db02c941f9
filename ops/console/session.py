"""The secrets of one run of the console."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Session:
    """The secrets of one run of the console. `port` is where it listens."""

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))  # in the URL that is printed
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))  # in the cookie

    @property
    def url(self) -> str:
        """What to open."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    @property
    def hosts(self) -> frozenset[str]:
        """The names by which the console may be called."""
        return frozenset({f"127.0.0.1:{self.port}", f"localhost:{self.port}"})

    @property
    def cookie(self) -> str:
        """Name of the cookie: browsers tell hosts apart, not ports, so each console has one of its own."""
        return f"lab-console-{self.port}"
