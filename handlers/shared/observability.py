"""One JSON line per outcome (Powertools' Logger), with the same field names everywhere and never a payload."""

from typing import Protocol

from aws_lambda_powertools.logging.logger import Logger

# `location` and `sampling` say nothing that the constant message does not; leaving them out halves a line.
logger = Logger(location=None, use_rfc3339=True, utc=True)


class LambdaContext(Protocol):
    """What the handlers read of Lambda's context."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""


def start_invocation(request_id: str) -> None:
    """Gives every following line of this invocation its request id."""
    logger.clear_state()
    logger.append_keys(requestId=request_id)
