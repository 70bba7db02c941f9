"""Where each limit lies, in events a second, and which knob moves it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf
from typing import TYPE_CHECKING, TypeAlias

from ops.cost.paths import record_bytes
from ops.plan import figures
from ops.plan.model import Pollers, batch, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.plan.model import Load, Pipeline

Slots: TypeAlias = "Callable[[str, float, str], Limit]"

_WRITES = 2  # of an event: its claim and its outcome, each of the whole item


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit. `slots`: concurrent invocations that it allows; inf for one of another kind."""

    name: str
    rate: float  # events a second that are done, their retries included
    knob: str
    slots: float = inf
    door: bool = False  # it refuses events before the queue
    setting: str = ""  # the configuration key that is the limit, where there is one


def attempts(pipeline: Pipeline, load: Load) -> float:
    """How often an event is worked on before it is done or dead, on average."""
    good = sum(load.transient**count for count in range(min(pipeline.max_receive_count, 100)))
    return load.poison + (1 - load.poison) * good


def consumer(pipeline: Pipeline, load: Load) -> list[Limit]:
    """The limits of what takes events off the queue."""
    size = batch(pipeline, load)
    often = attempts(pipeline, load)
    each = size / seconds(load, size) / often if size else 0.0  # events a second of one concurrent invocation

    def slots(name: str, count: float, knob: str) -> Limit:
        return Limit(name=name, rate=count * each, knob=knob, slots=count)

    found = [
        *_mapping(pipeline, load, slots, often),
        slots("the account's concurrency", load.account_concurrency, "ask AWS for more"),
        *_services(pipeline, load, size, often),
    ]
    if pipeline.reserved_concurrency is not None:
        found.append(slots("workerReservedConcurrency", pipeline.reserved_concurrency, "raise it"))
    if pipeline.fifo and load.groups is not None:
        found.append(slots("groups of the FIFO queue", load.groups, "a finer groupBy"))
    return sorted(found, key=lambda limit: limit.rate)


def _mapping(pipeline: Pipeline, load: Load, slots: Slots, often: float) -> list[Limit]:
    if pipeline.pollers is None:
        knob = "set provisionedPollers" if pipeline.takes_pollers else "ask AWS for more"
        most = [slots("Lambda's default mode", figures.MAPPING_MOST.value, knob)]
        if pipeline.max_concurrency is not None:
            most.append(slots("workerMaxConcurrency", pipeline.max_concurrency, "raise it"))
        return most
    most_pollers, knob = pipeline.pollers.most, "raise their most"
    by_size = most_pollers * figures.POLLER_BYTES.value / load.size / often
    return [
        slots("pollers' invocations", most_pollers * figures.POLLER_INVOKES.value, knob),
        Limit(name="pollers' receives", rate=most_pollers * _by_polls(pipeline) / often, knob=knob),
        Limit(name="pollers' bytes", rate=by_size, knob=knob),
    ]


def _services(pipeline: Pipeline, load: Load, size: int, often: float) -> list[Limit]:
    flight = figures.IN_FLIGHT.value / seconds(load, size) / often if size else 0.0
    calls = pipeline.puts + often / min(figures.RECEIVE_BATCH.value, max(1, pipeline.batch_size))
    rate = figures.TABLE_MOST.value / writes(pipeline, load)
    return [
        Limit(name="writes to the table", rate=rate, knob="ask AWS for more"),
        Limit(name="messages in flight", rate=flight, knob="split the load over queues"),
        Limit(name="PutEvents to the bus", rate=figures.PUT_EVENTS.value / calls, knob="ask AWS for more"),
    ]


def writes(pipeline: Pipeline, load: Load) -> float:
    """Write units that the state table needs for an event, its retries included."""
    return _WRITES * ceil(record_bytes(load.size) / 1024) * attempts(pipeline, load)


def door(pipeline: Pipeline, load: Load) -> list[Limit]:
    """The limits of what lets events in; none where there is no API."""
    if pipeline.throttle_rate is None:
        return []
    ours = Limit(
        name="throttleRate of the API",
        rate=pipeline.throttle_rate * load.per_request,
        knob="raise it, or send batches",
        door=True,
        setting="throttleRate",
    )
    account = Limit(
        name="the account's requests",
        rate=figures.API_REQUESTS.value * load.per_request,
        knob="send batches, or ask AWS",
        door=True,
    )
    return sorted([ours, account], key=lambda limit: limit.rate)


def slots(pipeline: Pipeline, load: Load) -> int:
    """The most invocations at once."""
    return int(min(limit.slots for limit in consumer(pipeline, load)))


def ceiling(pipeline: Pipeline, load: Load) -> float:
    """Attempts a second that have room beside the number of invocations."""
    rates = (limit.rate for limit in consumer(pipeline, load) if limit.slots == inf)
    return min(rates) * attempts(pipeline, load)


def capacity(pipeline: Pipeline, load: Load) -> float:
    """Events a second that can be taken off the queue when all has scaled up."""
    return consumer(pipeline, load)[0].rate


def start(pipeline: Pipeline) -> int:
    """Invocations at once before anything has scaled."""
    if pipeline.pollers is not None:
        return pipeline.pollers.least * figures.POLLER_INVOKES.value
    return figures.MAPPING_START.value


def ramp(pipeline: Pipeline) -> float:
    """Invocations at once that are added in a second; a FIFO queue's follow its groups at once."""
    if pipeline.fifo and pipeline.pollers is None:
        return inf
    figure = figures.MAPPING_RAMP if pipeline.pollers is None else figures.POLLER_RAMP
    return min(figure.value / 60, figures.FUNCTION_RAMP.value / 10)


def polled(pipeline: Pipeline, load: Load, concurrency: float) -> float:
    """Events a second that the pollers of so many invocations can receive; inf where nothing is published."""
    if pipeline.pollers is None:
        return inf
    each = min(_by_polls(pipeline), figures.POLLER_BYTES.value / load.size)
    return concurrency / figures.POLLER_INVOKES.value * each


def _by_polls(pipeline: Pipeline) -> float:
    return figures.POLLER_POLLS.value * min(figures.RECEIVE_BATCH.value, pipeline.batch_size)


def pollers_for(pipeline: Pipeline, load: Load, rate: float) -> Pollers:
    """The pollers that get so many events a second done, half of them always ready; no more than AWS has."""
    rate *= attempts(pipeline, load)
    size = max(1, batch(pipeline, load))
    by_invokes = rate * seconds(load, size) / size / figures.POLLER_INVOKES.value
    by_polls = rate / _by_polls(pipeline)
    by_bytes = rate * load.size / figures.POLLER_BYTES.value
    most = ceil(max(by_invokes, by_polls, by_bytes, figures.POLLERS_LEAST.value))
    least = min(figures.POLLERS_LEAST_MOST.value, max(figures.POLLERS_LEAST.value, most // 2))
    return Pollers(least=least, most=min(most, figures.POLLERS_MOST.value))
