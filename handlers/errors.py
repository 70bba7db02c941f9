"""Why a record failed: permanent (trying again cannot help) or transient (it can). The type decides, never a string."""

from dataclasses import dataclass

_MAX_MESSAGE = 1024  # characters of an error message in a record or an event


class IngestionError(Exception):
    """Anything that keeps a record from succeeding."""

    @property
    def error_type(self) -> str:
        """The name that logs, the state table, the DLQ and filters use."""
        return type(self).__name__

    @property
    def short_message(self) -> str:
        """What went wrong, at most 1,024 characters, as UTF-8 holds them (a step may quote half an emoji)."""
        return str(self)[:_MAX_MESSAGE].encode("utf-8", "replace").decode()


class PermanentError(IngestionError):
    """The same input will fail again: to the dead-letter queue on the first attempt."""


class TransientError(IngestionError):
    """A later attempt may succeed: back to the queue with a backoff."""


@dataclass(frozen=True, slots=True)
class Detail:
    """One fault of an input: where (an RFC 6901 JSON pointer, "" is the whole document) and what."""

    pointer: str
    message: str


class SchemaValidationError(PermanentError):
    """The input does not have the form that its schema asks for."""

    def __init__(self, *details: Detail) -> None:
        super().__init__("; ".join(f"{d.pointer or '(root)'} {d.message}" for d in details))
        self.details = details


class IdempotencyConflictError(PermanentError):
    """The idempotency key is bound to another payload."""


class DownstreamError(TransientError):
    """Something that the business step depends on failed."""


class DeadlineExceededError(TransientError):
    """The business step was still running when the invocation had to wind up."""


class UnhandledError(TransientError):
    """The business step raised an error of another kind; a fix and a redrive may help, so its message is kept."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self._name = type(cause).__name__

    @property
    def error_type(self) -> str:
        """The type that the business step raised."""
        return self._name
