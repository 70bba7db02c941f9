"""The worker's half of the circuit breaker: it notices a downstream outage, and holds messages until the breaker acts.

One execution environment decides from what it sees itself, with no call and no shared counter. It asks the breaker to
open by an event; the breaker (handlers.control.breaker) pauses the queue's consumer. Until the pause takes hold, this
environment hands messages back unworked, far enough into the future that no receive count runs out.
"""

from collections.abc import Sequence
from time import monotonic

from handlers.errors import DownstreamError
from handlers.worker.outcome import Outcome

TRIPPED = "CircuitTripped"
_THRESHOLD = 3  # downstream failures in a row; below every useful maxReceiveCount


def is_downstream(outcome: Outcome) -> bool:
    """Whether the record failed because of what the business step depends on."""
    return isinstance(outcome.error, DownstreamError)


class TripWire:
    """Trips at 3 downstream failures in a row, or where nothing worked and a message is near its last receive.

    The second rule is for a trickle: one message that meets a new environment at every attempt.
    """

    def __init__(self, *, hold_seconds: int, max_receive_count: int) -> None:
        self.seconds = hold_seconds
        self._last_chances = max(max_receive_count - 2, 1)
        self._failures = 0
        self._held_until = 0.0

    def hold_seconds(self) -> int:
        """For how long messages are to be handed back from now, 0 where work may go on."""
        left = self._held_until - monotonic()
        return max(1, round(left)) if left > 0 else 0

    def observe(self, outcomes: Sequence[Outcome]) -> bool:
        """Takes note of a batch; True where it shows that the breaker must open."""
        failed = [outcome for outcome in outcomes if is_downstream(outcome)]
        if any(outcome.name == "succeeded" for outcome in outcomes):
            self._failures, self._held_until = 0, 0.0
            return False
        self._failures += len(failed)
        near_end = any(outcome.message.receive_count >= self._last_chances for outcome in failed)
        if not failed or (self._failures < _THRESHOLD and not near_end):
            return False
        self._held_until = monotonic() + self.seconds
        return True
