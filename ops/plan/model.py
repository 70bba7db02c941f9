"""What is planned with: a pipeline as it is configured, and the load on it. Times in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from ops.plan import figures

PAUSE_SECONDS = 30  # from the first failures until nothing is received any more; AWS publishes no figure
PROBE_SECONDS = 60  # the breaker's tick: so much later than the downstream, at most, the consumer is back


@dataclass(frozen=True, slots=True, kw_only=True)
class Pollers:
    """Provisioned mode: the least and the most event pollers of a mapping."""

    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What the configuration says of a queue, its consumer and its worker; None is no such limit."""

    name: str
    batch_size: int
    window: int
    timeout: int
    visibility: int
    max_receive_count: int
    retention: int
    backoff_base: float
    backoff_max: float
    outage: int  # the longest one that messages are to outlast by waiting
    breaker_hold: int  # 0 is no breaker
    memory_mb: int
    max_concurrency: int | None = None
    reserved_concurrency: int | None = None
    pollers: Pollers | None = None
    fifo: bool = False
    throttle_rate: int | None = None  # requests a second that the API lets through; None is no API
    takes_pollers: bool = True  # its provisioned pollers can be configured
    targets: int = 0  # of EventBridge's rules that an event reaches when it succeeds
    puts: int = 0  # calls of PutEvents for an event before its worker sees it


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What comes, what becomes of it, and what the account has."""

    rate: float  # events a second that reach the queue
    worker_ms: float  # of one event
    batch_ms: float = 30  # of an invocation besides: claims, outcomes, events
    size: int = 1024  # bytes of a message
    poison: float = 0.0  # share of events that can never succeed
    transient: float = 0.0  # share of attempts that fail and are tried again
    outage_at: int = 600
    outage: int = 0
    lasts: int = 3600  # without an outage, how long to look
    groups: int | None = None  # of a FIFO queue, with messages
    per_request: float = 1.0  # events in a request to the API
    account_concurrency: int = 1000
    redrive_rate: float = 0.0  # dead letters a second that go back once the backlog is worked off
    pause: int = PAUSE_SECONDS
    probe: int = PROBE_SECONDS


def given(pipeline: Pipeline, load: Load) -> int:
    """Events that Lambda gives an invocation at most."""
    return min(pipeline.batch_size, max(1, figures.INVOCATION_BYTES.value // load.size))


def batch(pipeline: Pipeline, load: Load) -> int:
    """Events that an invocation can end before its time-out; the others of a full batch it hands back. 0: not one."""
    left = pipeline.timeout * 1000 - load.batch_ms
    most = given(pipeline, load)
    return max(0, min(most, floor(left / load.worker_ms) if load.worker_ms else most))


def seconds(load: Load, events: float) -> float:
    """How long an invocation with so many events takes."""
    return (load.batch_ms + events * load.worker_ms) / 1000


def seconds_to_outlast(receive_count: int, *, max_receive_count: int, outage_seconds: int) -> int:
    """The worker's own rule of that name (handlers.worker.trip_wire), which tools may not import; a test compares."""
    to_come = max_receive_count - 1 - receive_count
    if to_come < 0 or (receive_count == 1 and to_come):
        return 0
    wait: int = outage_seconds // 5**to_come
    return min(wait, 42_000)


def waits(pipeline: Pipeline, receive_count: int, *, downstream: bool) -> list[float]:
    """The waits after a failure, each of an equal share of the messages: full jitter, or long enough for an outage."""
    cap = min(pipeline.backoff_max, pipeline.backoff_base * 2 ** min(receive_count - 1, 63))
    least = 0
    if downstream:
        outlast = seconds_to_outlast(
            receive_count, max_receive_count=pipeline.max_receive_count, outage_seconds=pipeline.outage
        )
        least = max(outlast, pipeline.breaker_hold)
    return [max(float(least), cap * part / 8) for part in (1, 3, 5, 7)]
