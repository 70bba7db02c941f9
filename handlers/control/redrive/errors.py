"""Why a run does not simply go on."""


class RedriveError(Exception):
    """Anything that keeps a run from going on now."""


class InterruptedRedriveError(RedriveError):
    """AWS refused or failed a call, retries included. Nothing is lost: the next tick resumes the run."""

    def __init__(self, operation: str, code: str) -> None:
        super().__init__(f"{operation}: {code}")
        self.code = code


class LeaseLostError(RedriveError):
    """Another invocation works on the run, or it has ended: this one writes nothing more."""


class CancelRequestedError(RedriveError):
    """An operator has asked the run to stop."""


class AlreadyRunningError(RedriveError):
    """The dead-letter queue has a run."""

    def __init__(self, redrive_id: str) -> None:
        super().__init__(f"redrive {redrive_id} is running on this dead-letter queue")
        self.redrive_id = redrive_id
