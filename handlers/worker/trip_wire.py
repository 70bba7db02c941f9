"""What the worker does about an outage of the downstream: each message waits, and the breaker is asked to pause all.

An outage that all events meet is the breaker's. One execution environment decides from what it sees itself, with no
call and no shared counter. It asks the breaker to open by an event; the breaker (handlers.control.breaker) pauses the
queue's consumer. Until the pause takes hold, this environment hands messages back unworked.

An outage that only some events meet must not stop the others, so it is each message's own: the wait after a downstream
failure grows, so that no message uses up its receives before such an outage ends. An event that can never succeed uses
them up in the end, and goes to the dead-letter queue. So the breaker may err without a loss, both ways.
"""

from collections.abc import Sequence
from time import monotonic

from handlers.errors import DownstreamError
from handlers.worker.outcome import Outcome

TRIPPED = "CircuitTripped"
_THRESHOLD = 3  # downstream failures in a row; below every useful maxReceiveCount
_QUIET_SECONDS = 60.0  # without a success: only then does one message's trouble tell of the downstream
_RECEIVES_TO_HOLD = 2  # so that who was held has an attempt, and another one after the long wait
_GROWTH = 5  # of the wait, from one receive to the next
_LONGEST_WAIT = 42_000  # SQS counts its 12 hours from the receive, and the invocation has had up to 15 minutes of them


def is_downstream(outcome: Outcome) -> bool:
    """Whether the record failed because of what the business step depends on."""
    return isinstance(outcome.error, DownstreamError)


def may_be_held(receive_count: int, max_receive_count: int) -> bool:
    """Whether a message may be handed back unworked: once, at its first receive, where two more are left.

    It costs a receive as an attempt does, but is none, and the wait after an attempt grows.
    """
    return receive_count == 1 and max_receive_count > _RECEIVES_TO_HOLD


def seconds_to_outlast(receive_count: int, *, max_receive_count: int, outage_seconds: int) -> int:
    """How long a message whose downstream failed is to wait: before its last receive, as long as the longest outage.

    Each wait before that is a fifth of the next one. 0 leaves it to the usual backoff: after the first of several
    failures, for most are over at once, and after the last, which no wait follows.
    """
    waits_to_come = max_receive_count - 1 - receive_count
    if waits_to_come < 0 or (receive_count == 1 and waits_to_come):
        return 0
    wait: int = outage_seconds // _GROWTH**waits_to_come
    return min(wait, _LONGEST_WAIT)


class TripWire:
    """Trips at 3 downstream failures in a row, or where nothing has worked and a message is near its last receive.

    The second rule is for a trickle: one message that meets a new environment at every attempt.
    """

    def __init__(self, *, hold_seconds: int, max_receive_count: int) -> None:
        self.seconds = hold_seconds
        self._last_chances = max(max_receive_count - 2, 1)
        self._failures = 0
        self._held_until = 0.0
        self._answered_at = float("-inf")

    def hold_seconds(self) -> int:
        """For how long messages are to be handed back from now, 0 where work may go on."""
        left = self._held_until - monotonic()
        return max(1, round(left)) if left > 0 else 0

    def observe(self, outcomes: Sequence[Outcome]) -> bool:
        """Takes note of a batch; True where it shows that the breaker must open."""
        failed = [outcome for outcome in outcomes if is_downstream(outcome)]
        now = monotonic()
        if any(outcome.name == "succeeded" for outcome in outcomes):
            self._failures, self._held_until, self._answered_at = 0, 0.0, now
            return False
        self._failures += len(failed)
        trickles = now - self._answered_at >= _QUIET_SECONDS
        near_end = trickles and any(outcome.message.receive_count >= self._last_chances for outcome in failed)
        if not failed or (self._failures < _THRESHOLD and not near_end):
            return False
        self._held_until = now + self.seconds
        return True
