"""What one more event costs on each pipeline's path: which calls it makes, how many of each, and at which price.

An event is one that succeeds at its first attempt, sent by itself under no key of its caller's. Of the lake it is an
object of one chunk with rows of one type and day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ops.cost import prices
from ops.cost.fixed import HOURS, of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ops.cost.fixed import Resource
    from ops.cost.prices import Price

Origin: TypeAlias = Literal["asked", "assumed", "configured", "measured"]

MILLION = 1_000_000
_GB = 1024**3
_DAYS = 30.4  # of a month
_TRACED = 0.05  # X-Ray's default rule: of what is beyond the first request of each second
_SECONDS = HOURS * 3600  # of a month
_REQUEST = 512 * 1024  # by which an HTTP API counts a request
_CHUNK = 64 * 1024  # by which SQS, SNS and EventBridge count a message
_WRITE = 1024
_RECORD = (
    400  # bytes of a state record beside the payload that it keeps, as the laptop's are: names, key, times, result
)
_KEPT = 128 * 1024  # bytes: a larger payload stays on its message only
_AT_ONCE = 10  # messages that one call of SQS sends, receives or deletes
# Whoever takes what is sent, by pipeline; the others are named after what they do.
PRODUCERS: Mapping[str, str] = MappingProxyType(
    {"events": "events-ingest", "orders": "orders-api", "lake": "lake-ingest"}
)

TOGETHER = "events"  # the pipeline whose callers can send several in a request


@dataclass(frozen=True, slots=True)
class Function:
    """What a function is paid by."""

    memory_mb: int
    architecture: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a configuration an event's price depends on. `batch_sizes` and `functions` are by function name."""

    pipelines: tuple[str, ...]
    functions: Mapping[str, Function]
    batch_sizes: Mapping[str, int]
    windows: Mapping[str, int] = field(default_factory=dict)  # seconds in which a batch is gathered, as the sizes
    fifo: frozenset[str] = frozenset()  # pipelines
    grouped: frozenset[str] = frozenset()  # pipelines whose messages of a standard queue have a group
    told: frozenset[str] = frozenset()  # pipelines whose successes a rule publishes to a topic
    tracing: bool = True
    asks_authorizer: bool = False
    log_days: int = 14
    ttl_days: int = 7
    archive_days: int = 0
    copies_files: bool = False  # silver's, into a table bucket

    @property
    def unpriced(self) -> list[str]:
        """Pipelines that are somebody's own: they have a worker, and no path here."""
        workers = (name.removesuffix("-worker") for name in self.batch_sizes if name.endswith("-worker"))
        return sorted({*workers} - {*self.pipelines})

    @classmethod
    def of(cls, resources: Sequence[Resource]) -> Shape:
        """As the program registers it."""
        functions = {one.name: one.inputs for one in of(resources, "Function")}
        pipelines = tuple(name for name, producer in PRODUCERS.items() if producer in functions)
        queues = {one.name: one.inputs for one in of(resources, "Queue")}
        mappings = [one.inputs for one in of(resources, "EventSourceMapping")]
        targets = {one.name for one in of(resources, "EventTarget")}
        archives = [one.inputs for one in of(resources, "EventArchive")]
        groups = [one.inputs for one in of(resources, "LogGroup")]
        fifo = frozenset(name for name in pipelines if queues.get(f"{name}-queue", {}).get("fifoQueue"))
        environments = {name: _environment(functions[PRODUCERS[name]]) for name in pipelines}
        return cls(
            pipelines=pipelines,
            functions={
                name: Function(int(one.get("memorySize") or 128), (one.get("architectures") or ["x86_64"])[0])
                for name, one in functions.items()
            },
            batch_sizes={str(one["functionName"]).removeprefix("arn:"): int(one["batchSize"]) for one in mappings},
            windows={
                str(one["functionName"]).removeprefix("arn:"): int(one.get("maximumBatchingWindowInSeconds") or 0)
                for one in mappings
            },
            fifo=fifo,
            grouped=frozenset(name for name in pipelines if environments[name].get("GROUP_BY") and name not in fifo),
            told=frozenset(name for name in pipelines if f"{name}-success-target" in targets),
            tracing=any((one.get("tracingConfig") or {}).get("mode") == "Active" for one in functions.values()),
            asks_authorizer=any(one.inputs.get("authorizerType") == "REQUEST" for one in of(resources, "Authorizer")),
            log_days=max((int(one.get("retentionInDays") or 0) for one in groups), default=0),
            ttl_days=max((int(one.get("TTL_DAYS", 0)) for one in environments.values()), default=0),
            archive_days=max((int(one.get("retentionDays") or 0) for one in archives), default=0),
            copies_files=any(of(resources, "TableBucket")),
        )


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of a run, and where it comes from."""

    value: float
    origin: Origin = "assumed"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run of a pipeline is like. Times in milliseconds an invocation, sizes in bytes.

    `events` are those of one request of the caller, `batch` the messages of one invocation of the worker, `files` those
    that a chunk of the lake is written to, `own_keys` the share of events with a key of their caller's, `a_month` how
    many events there are. 0 is for what a pipeline does not have, and for a month of which nothing is known.
    """

    batch: Figure
    producer_ms: Figure = field(default=Figure(20))
    worker_ms: Figure = field(default=Figure(100))
    message_bytes: Figure = field(default=Figure(500))
    item_bytes: Figure = field(default=Figure(900))
    producer_log_bytes: Figure = field(default=Figure(500))
    worker_log_bytes: Figure = field(default=Figure(500))
    access_log_bytes: Figure = field(default=Figure(450))
    events: Figure = field(default=Figure(1))
    files: Figure = field(default=Figure(1))
    own_keys: Figure = field(default=Figure(0))
    a_month: Figure = field(default=Figure(0))

    @classmethod
    def assumed(cls, pipeline: str, shape: Shape) -> Usage:
        """Before anything has run: full batches, a business step that takes no time."""
        batch = Figure(shape.batch_sizes.get(f"{pipeline}-worker", 1), "configured")
        if pipeline == "lake":
            return cls(
                batch,
                producer_ms=Figure(500),
                worker_ms=Figure(2000),
                item_bytes=Figure(1000),
                access_log_bytes=Figure(0),
            )
        return cls(batch, files=Figure(0))

    def figures(self) -> dict[str, Figure]:
        """By name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that an event is paid by: how many of the price's unit for one event."""

    name: str
    price: Price
    quantity: float

    @property
    def per_million(self) -> float:
        """Dollars for a million events."""
        return float(self.price.dollars) * self.quantity * MILLION


def lines(pipeline: str, shape: Shape, usage: Usage) -> list[Line]:
    """What an event of a pipeline is paid by."""
    keys = own_key(usage) if usage.own_keys.value else []
    found = [*_PATHS[pipeline](shape, usage), *keys, *_common(pipeline, shape, usage)]
    return [line for line in found if line.quantity]


def per_million(pipeline: str, shape: Shape, usage: Usage) -> float:
    """Dollars for a million events."""
    return math.fsum(line.per_million for line in lines(pipeline, shape, usage))  # sum() rounds by Python's version


def record_bytes(message_bytes: float) -> float:
    """Of the state record of a message: it keeps the payload, unless that is large."""
    return _RECORD + (message_bytes if message_bytes <= _KEPT else 0)


def own_key(usage: Usage) -> list[Line]:
    """What a key of the caller's adds: it is reserved; the worker's claim is an update then and no insert."""
    return [Line("reservation of its own key", prices.WRITE_UNIT, _units(usage.item_bytes.value, _WRITE))]


def stretched(usage: Usage, size: float) -> Figure:
    """The worker's time with another batch: half of it is taken to be the invocation's, half the messages'."""
    now, milliseconds = usage.batch.value, usage.worker_ms.value
    return Figure(milliseconds / 2 + milliseconds / 2 * size / now)


def together(usage: Usage, events: int, origin: Origin = "assumed") -> Usage:
    """With so many events in a request: they are sent ten at a time, up to ten times beside each other."""
    slower = Figure(usage.producer_ms.value * max(1, events / _AT_ONCE))
    return replace(usage, events=Figure(events, origin), producer_ms=slower)


def of_a_month(pipeline: str, shape: Shape, usage: Usage, events: int) -> Usage:
    """With so many events a month, evenly spread: where few come, a batch is what comes while it is gathered."""
    usage = replace(usage, a_month=Figure(events, "asked"))
    if usage.batch.origin != "configured":
        return usage
    window = max(1, shape.windows.get(f"{pipeline}-worker", 0))
    size = min(usage.batch.value, max(1.0, events / _SECONDS * window))
    if size == usage.batch.value:
        return usage
    return replace(usage, batch=Figure(size), worker_ms=stretched(usage, size))


def _traced(usage: Usage, times: float) -> float:
    """Traces for each event by a function that is invoked `times` for it, at X-Ray's default rule."""
    a_second = usage.a_month.value * times / _SECONDS
    if not a_second:  # unknown: so many that the first of each second is no matter
        return _TRACED * times
    return times * (1 if a_second <= 1 else (1 + _TRACED * (a_second - 1)) / a_second)


def _common(pipeline: str, shape: Shape, usage: Usage) -> Iterator[Line]:
    """From the queue on: what every worker does."""
    batch = usage.batch.value
    chunks = _units(usage.message_bytes.value, _CHUNK)
    fifo = pipeline in shape.fifo
    received = 2 * _calls(batch, usage.message_bytes.value)
    yield Line("receive and delete", prices.SQS_REQUEST[fifo], received)
    if pipeline in shape.grouped:
        sent = _calls(usage.events.value, usage.message_bytes.value)
        yield Line("group of the message", prices.FAIR_REQUEST, sent + received)
    yield from _invocation(f"{pipeline}-worker", "worker", shape, usage.worker_ms.value, 1 / batch)
    item = usage.item_bytes.value
    yield Line("claim and outcome", prices.WRITE_UNIT, 2 * _units(item, _WRITE))
    yield Line("event of the outcome", prices.CUSTOM_EVENT, chunks)
    if pipeline in shape.told:
        yield Line("publish to the success topic", prices.PUBLISH, chunks)
    if shape.tracing:
        yield Line("traces", prices.TRACE, _traced(usage, 1 / usage.events.value) + _traced(usage, 1 / batch))
    logs = usage.producer_log_bytes.value + usage.access_log_bytes.value
    logged = logs / usage.events.value + usage.worker_log_bytes.value
    yield Line("logs", prices.LOG_INGESTION, logged / _GB)
    yield Line(f"logs kept for {shape.log_days} days", prices.LOG_STORAGE, logged / _GB * shape.log_days / _DAYS)
    kept = item / _GB * shape.ttl_days / _DAYS
    yield Line(f"record kept for {shape.ttl_days} days", prices.ITEM_STORAGE, kept)
    yield Line("its point-in-time recovery", prices.ITEM_BACKUP, kept)


def _invocation(name: str, label: str, shape: Shape, milliseconds: float, times: float) -> Iterator[Line]:
    function = shape.functions[name]
    yield Line(f"{label}: invocation", prices.LAMBDA_REQUEST, times)
    seconds = milliseconds / 1000 * function.memory_mb / 1024 * times
    yield Line(f"{label}: time", prices.GB_SECOND[function.architecture], seconds)


def _request(pipeline: str, shape: Shape, usage: Usage) -> Iterator[Line]:
    """What a caller's request costs until the function has answered it."""
    times = 1 / usage.events.value
    sent = _units(usage.events.value * usage.message_bytes.value, _REQUEST)
    yield Line("request of the API", prices.API_REQUEST, times * sent)
    if shape.asks_authorizer:  # at the most: answers are cached by key
        yield Line("authorizer: invocation", prices.LAMBDA_REQUEST, times)
    yield from _invocation(PRODUCERS[pipeline], "API or ingest", shape, usage.producer_ms.value, times)


def _events(shape: Shape, usage: Usage) -> Iterator[Line]:
    yield from _request("events", shape, usage)
    sent = _calls(usage.events.value, usage.message_bytes.value)
    yield Line("send", prices.SQS_REQUEST["events" in shape.fifo], sent)


def _orders(shape: Shape, usage: Usage) -> Iterator[Line]:
    yield from _request("orders", shape, usage)
    message = usage.message_bytes.value
    chunks = _units(message, _CHUNK)
    yield Line("event of the order", prices.CUSTOM_EVENT, chunks)
    yield Line("send by EventBridge", prices.SQS_REQUEST["orders" in shape.fifo], chunks)
    if shape.archive_days:
        yield Line("archived event", prices.ARCHIVED, message / _GB)
        kept = message / _GB * shape.archive_days / _DAYS
        yield Line(f"archive kept for {shape.archive_days} days", prices.ARCHIVE_STORAGE, kept)
    yield Line("order and its index", prices.WRITE_UNIT, 2 * _units(message, _WRITE))


def _lake(shape: Shape, usage: Usage) -> Iterator[Line]:
    requests = prices.SQS_REQUEST[False]
    yield Line("notice of S3: send, receive, delete", requests, 3)
    yield from _invocation(PRODUCERS["lake"], "API or ingest", shape, usage.producer_ms.value, 1)
    yield Line("claim and outcome of the object", prices.WRITE_UNIT, 2 * _units(usage.item_bytes.value, _WRITE))
    yield Line("send of the chunk", requests, 1)
    yield Line("reads of the object", prices.S3_GET, 2)
    yield Line("files written", prices.S3_PUT, usage.files.value)
    if shape.copies_files:
        yield Line("reads of files for the table bucket", prices.S3_GET, usage.files.value)
        yield Line("copies into the table bucket", prices.S3_PUT, usage.files.value)
    yield Line("event of each file", prices.CUSTOM_EVENT, usage.files.value)


def _calls(together: float, size: float) -> float:
    """Requests of SQS for a message of `size` bytes where `together` are sent, received or deleted at a time."""
    messages = min(together, _AT_ONCE)
    return _units(messages * size, _CHUNK) / messages


def _environment(function: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (function.get("environment") or {}).get("variables") or {}
    return found


def _units(size: float, of_bytes: int) -> int:
    return max(1, math.ceil(size / of_bytes))


_PATHS: Mapping[str, Any] = MappingProxyType({"events": _events, "orders": _orders, "lake": _lake})
