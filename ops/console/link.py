"""The way to one stack, which may go away and come back while pages are open."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any

from ops.cli import target
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.cli.target import Target

_LAPTOP_SECONDS = 1.0  # for so long what was found is taken for what there is: it is read from two files
_AWS_SECONDS = 600.0  # the Pulumi CLI takes seconds, and outputs change with a deployment only
_LOGIN = "renew them in a terminal (aws sso login, aws login, new keys)"
_EXPIRED = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "RequestExpired",
    "UnrecognizedClientException",
)
_REFUSED_SIGNATURE = re.compile(r"security token .* is (expired|invalid)", re.IGNORECASE)  # as API Gateway says it
_NO_CREDENTIALS = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "ProfileNotFound",
    "TokenRetrievalError",
    "SSOTokenLoadError",
    "UnauthorizedSSOTokenError",
    "LoginRefreshTokenExpired",
)


class Link:
    """Finds the stack, keeps its clients, and begins anew when something was lost."""

    def __init__(self, stack: str, find: Callable[[str], Target] = target.find) -> None:
        self.stack = stack
        self._find = find
        self._lock = threading.Lock()
        self._found: Target | None = None
        self._until = 0.0
        self._clients: dict[str, Any] = {}

    @property
    def target(self) -> Target:
        """The stack as it was found last.

        Raises:
            TargetError: it is not there.
        """
        with self._lock:
            if self._found is None or time.monotonic() > self._until:
                self._renew()
            return self._found  # type: ignore[return-value]  # _renew has set it

    def client(self, service: str) -> Any:  # noqa: ANN401 - one class per service
        """A client for a service of the stack, made once; safe for several threads.

        Raises:
            TargetError: the stack is not there.
        """
        found = self.target
        with self._lock:
            if service not in self._clients:
                self._clients[service] = found.client(service)
            return self._clients[service]

    def lose(self) -> None:
        """Begin anew with the next call: a client keeps the credentials and the address that it was made with.

        On AWS only credentials get lost, not where the stack is: that is not asked of the Pulumi CLI again.
        """
        with self._lock:
            if self._found is not None and self._found.emulator:
                self._found = None
            self._clients.clear()

    def _renew(self) -> None:
        before, self._found = self._found, None
        found = self._find(self.stack)
        if before is None or (found.api, found.emulator) != (before.api, before.emulator):
            self._clients.clear()
        self._found = found
        self._until = time.monotonic() + (_LAPTOP_SECONDS if found.emulator else _AWS_SECONDS)


def trouble(error: Exception) -> str | None:
    """What is in the way of reaching the stack, in words; None for an error of another kind."""
    name = type(error).__name__
    code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
    if code in _EXPIRED:
        return f"The AWS credentials have expired or are not valid: {_LOGIN}."
    if name in _NO_CREDENTIALS:
        return f"There are no valid AWS credentials here ({error}): {_LOGIN}."
    if _REFUSED_SIGNATURE.search(str(error)):
        return f"The AWS credentials have expired or are not valid: {_LOGIN}."
    if isinstance(error, LabError):
        return f"{str(error)[:1].upper()}{str(error)[1:]}."
    if isinstance(error, OSError):
        return f"The stack does not answer: {error}."
    return f"AWS: {error}." if type(error).__module__.startswith("botocore.") else None
