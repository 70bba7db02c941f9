"""Why a record failed: permanent (trying again cannot help) or transient (it can). The type decides, never a string."""

import os
import traceback
from dataclasses import dataclass
from pathlib import Path

# The folders of code that is deployed: that with this package in it, and Lambda's, where this package is in a layer.
_CODE = (str(Path(__file__).parents[__name__.count(".")]), os.environ.get("LAMBDA_TASK_ROOT", "/var/task"))
_HERE = __name__.rpartition(".")[0].replace(".", "/")
_NOT_THE_STEP = (f"{_HERE}/worker/", f"{_HERE}/deadline.py")  # what calls a step, and what interrupts it
_MAX_MESSAGE = 1024  # characters of an error message in a record or an event
_MAX_FRAMES = 10


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


class WorkerDiedError(PermanentError):
    """The worker's process ended again and again with the record in hand: memory, native code, a loop without end."""

    def __init__(self, deaths: int) -> None:
        times = "once" if deaths == 1 else f"{deaths} times"
        super().__init__(f"the worker's process ended {times} before the record was settled")


class RecordedError(PermanentError):
    """An error of an earlier attempt, as the state record has it."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self._type = error_type

    @property
    def error_type(self) -> str:
        """Its type at the time."""
        return self._type


class DownstreamError(TransientError):
    """Something that the business step depends on failed."""


class DeadlineExceededError(TransientError):
    """The business step was still running when the invocation had to wind up."""


class UnhandledError(TransientError):
    """The business step raised an error of another kind; a fix and a redrive may help, so its message is kept."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self._name = type(cause).__name__
        self.__traceback__ = cause.__traceback__

    @property
    def error_type(self) -> str:
        """The type that the business step raised."""
        return self._name


def trace(error: BaseException) -> list[str]:
    """Where in our own code a step failed or was interrupted: `file:line in function`, the innermost last.

    At most the last ten, without the packages it called and without what called it; no value is among them.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [(file, frame) for frame in frames if (file := _own_file(frame.filename))]
    steps = [
        f"{file}:{f.lineno} in {f.name}"
        for file, f in own
        if "site-packages" not in f.filename and not file.startswith(_NOT_THE_STEP)
    ]
    return steps[-_MAX_FRAMES:]


def _own_file(path: str) -> str:
    """The path within the folder of the code, of a file that is there."""
    return next((path[len(folder) + 1 :] for folder in _CODE if path.startswith(folder + os.sep)), "")
