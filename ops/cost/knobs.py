"""What a change of the configuration, or of how callers send, changes of the price."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ops.cost import fixed, paths, prices
from ops.cost.paths import Figure, Function, Shape, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ops.cost.fixed import Resource

_BATCH_OF_CALLER = 100  # what POST /events/batch takes
_LARGE_BATCH = 100
_BATCH_SIZES = {"events": "batchSize", "orders": "ordersBatchSize"}  # the lake's has no key
_POLLERS = 2  # the least that Lambda takes
_LARGE_EVENT = 4096
_LOG_LINE = 250


@dataclass(frozen=True, slots=True)
class Change:
    """What a knob changes: dollars each month, and dollars a million events of the pipelines that it touches."""

    knob: str
    monthly: float
    per_million: Mapping[str, float]


def changes(resources: Sequence[Resource], usages: Mapping[str, Usage]) -> list[Change]:
    """Each knob turned from where it stands, one at a time."""
    shape = Shape.of(resources)
    found = [Change(name, monthly, {}) for name, monthly in _monthly(resources)]
    for name, other in _shapes(shape):
        found.append(Change(name, 0.0, _differences(shape, other, usages, usages)))
    for name, change in _uses(shape).items():
        changed = {pipeline: change(pipeline, usage) for pipeline, usage in usages.items()}
        found.append(Change(name, 0.0, _differences(shape, shape, usages, changed)))
    with_keys = [name for name, usage in usages.items() if name != "lake" and not usage.own_keys.value]
    keys = {name: math.fsum(line.per_million for line in paths.own_key(usages[name])) for name in with_keys}
    found.append(Change("an Idempotency-Key on each event", 0.0, keys))
    return [one for one in found if one.monthly or one.per_million]


def _monthly(resources: Sequence[Resource]) -> Iterator[tuple[str, float]]:
    optional = sum(item.dollars(resources) for item in fixed.ITEMS if item.is_optional)
    if optional:
        yield "observabilityEnabled: false", -float(optional)
    (pollers,) = (item for item in fixed.ITEMS if item.price is prices.POLLER_HOUR)
    if there := pollers.dollars(resources):
        yield "provisionedPollers: {}", -float(there)
    elif any(one.name == "events-worker" for one in fixed.of(resources, "Function")):
        yield f"provisionedPollers, {_POLLERS} of them", float(pollers.price.dollars) * _POLLERS * fixed.HOURS
    key = float(prices.CUSTOMER_KEY.dollars)
    if fixed.of(resources, "Key"):
        yield "useKmsCmk: false", -key
    else:
        yield "useKmsCmk: true", key


def _shapes(shape: Shape) -> Iterator[tuple[str, Shape]]:
    """The knobs of the configuration, as they are called there."""
    yield f"tracing: {str(not shape.tracing).lower()}", replace(shape, tracing=not shape.tracing)
    for other in prices.GB_SECOND:
        if any(one.architecture != other for one in shape.functions.values()):
            yield f"architecture: {other}", _functions(shape, lambda one, to=other: replace(one, architecture=to))  # type: ignore[misc]
    yield "twice the memory, no quicker", _functions(shape, lambda one: replace(one, memory_mb=2 * one.memory_mb))
    yield "logRetentionDays: 90", replace(shape, log_days=90)
    yield "ttlDays: 30", replace(shape, ttl_days=30)
    if shape.archive_days:
        yield "archiveRetentionDays: 0", replace(shape, archive_days=0)
    if not shape.fifo & {"events"} and "events" in shape.pipelines:
        yield "queueType: fifo", replace(shape, fifo=shape.fifo | {"events"}, grouped=shape.grouped - {"events"})
        if "events" not in shape.grouped:
            yield "groupBy on a standard queue", replace(shape, grouped=shape.grouped | {"events"})
    told = frozenset(() if shape.told else shape.pipelines)
    yield f"publishSuccesses: {str(not shape.told).lower()}", replace(shape, told=told)


def _functions(shape: Shape, change: Callable[[Function], Function]) -> Shape:
    return replace(shape, functions={name: change(one) for name, one in shape.functions.items()})


def _uses(shape: Shape) -> Mapping[str, Callable[[str, Usage], Usage]]:
    """What depends on the traffic: fuller or emptier batches, callers that send many at once."""

    def batches(size: int) -> Callable[[str, Usage], Usage]:
        return lambda _, usage: replace(usage, batch=Figure(size), worker_ms=paths.stretched(usage, size))

    def full(pipeline: str, usage: Usage) -> Usage:
        if pipeline not in _BATCH_SIZES or pipeline in shape.fifo:  # a FIFO queue gives out ten at most
            return usage
        return batches(_LARGE_BATCH)(pipeline, usage)

    def together(pipeline: str, usage: Usage) -> Usage:
        return paths.together(usage, _BATCH_OF_CALLER) if pipeline == paths.TOGETHER else usage

    def large(pipeline: str, usage: Usage) -> Usage:
        """The record keeps the payload, and each of its writes is paid by the kilobyte."""
        if pipeline == "lake":  # whose messages name a part of an object
            return usage
        kept = usage.item_bytes.value + _LARGE_EVENT - usage.message_bytes.value
        return replace(usage, message_bytes=Figure(_LARGE_EVENT), item_bytes=Figure(kept))

    def telling(_: str, usage: Usage) -> Usage:
        return replace(usage, worker_log_bytes=Figure(usage.worker_log_bytes.value + _LOG_LINE))

    known: dict[str, Callable[[str, Usage], Usage]] = {
        "a trickle: batches of 1": batches(1),
        f"full batches of {_LARGE_BATCH} (batchSize)": full,
        f"events of {_LARGE_EVENT // 1024} KB": large,
        f"{_LOG_LINE} bytes more of log an event": telling,
    }
    if "events" in shape.pipelines:
        known[f"POST /events/batch with {_BATCH_OF_CALLER}"] = together
    return known


def _differences(old: Shape, new: Shape, before: Mapping[str, Usage], after: Mapping[str, Usage]) -> dict[str, float]:
    found = {
        name: paths.per_million(name, new, after[name]) - paths.per_million(name, old, before[name]) for name in before
    }
    return {name: change for name, change in found.items() if abs(change) >= 0.005}  # a cent is shown
