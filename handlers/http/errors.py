"""Refusals of requests: `{error, errorType, details[], requestId}`, which never hold what the caller sent."""

from collections.abc import Mapping
from typing import Any

from handlers.errors import Detail, SchemaValidationError

_RETRY_AFTER_SECONDS = 5
MAX_DETAILS = 20  # an answer must fit Lambda's 6 MB, however many faults an input has


class HttpError(Exception):
    """A refusal: what the caller gets instead of what was asked for."""

    def __init__(
        self,
        status: int,
        error_type: str,
        message: str,
        *details: Detail,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.details = details
        self.headers = dict(headers or {})

    @classmethod
    def invalid(cls, error: SchemaValidationError, status: int = 400) -> "HttpError":
        """The refusal of an input that does not fit its schema."""
        return cls(status, error.error_type, "the input is not valid", *error.details)

    @classmethod
    def unavailable(cls, what: str) -> "HttpError":
        """The refusal for now: the caller is to try again."""
        return cls(
            503, "ServiceUnavailable", f"{what} is not available", headers={"Retry-After": str(_RETRY_AFTER_SECONDS)}
        )

    def as_json(self) -> dict[str, Any]:
        """The refusal's part of a body."""
        details = [{"pointer": d.pointer, "message": d.message} for d in self.details[:MAX_DETAILS]]
        return {"error": str(self), "errorType": self.error_type, "details": details}
