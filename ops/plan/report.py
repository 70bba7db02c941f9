"""A plan in words: what happens, when it is over, which limit binds, which knob helps, and what nobody knows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import ceil, inf
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from ops.cost.paths import Figure, Usage, per_million
from ops.plan import figures, limits
from ops.plan.model import batch, seconds
from ops.plan.simulation import LONGEST, Course, simulate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.cost.paths import Shape
    from ops.plan.limits import Limit
    from ops.plan.model import Load, Pipeline

_WIDTH = 80
_SHOWN = 6  # limits
_WANTED = 3600  # seconds in which a backlog is to be worked off
_SPARE = 1.25  # of what comes, where no backlog says how much is wanted
_HOLD = 60  # breakerHoldSeconds by default
_SOME = 0.5  # messages: less is nobody's

_LOOKED_UP = max(figure.looked_up for figure in figures.FIGURES)
UNKNOWN = (
    "how long the worker really takes: --worker-ms is yours, cold starts are left out;",
    "how soon AWS pauses or resumes a consumer, or takes pollers away: not published;",
    f"other regions and your quotas: the figures are us-east-1's defaults of {_LOOKED_UP};",
    "what the downstream bears when the backlog is worked off at full concurrency.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A way in which it could be set up, and what happens then."""

    name: str
    pipeline: Pipeline
    course: Course


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The plan of a pipeline. `problems`: why the load can't be taken as it is set up; `notes`: what to mind."""

    pipeline: Pipeline
    load: Load
    variants: tuple[Variant, ...]
    limits: tuple[Limit, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    knob: str
    dollars: float | None = None  # for a million events

    @property
    def course(self) -> Course:
        """What happens as it is set up."""
        return self.variants[0].course


def make(pipeline: Pipeline, load: Load, shape: Shape | None = None) -> Report:
    """Simulate the pipeline as it is, and in the ways that answer what would help; of a known shape, price it too."""
    course = simulate(pipeline, load)
    tuned, knob = advice(pipeline, load, course)
    ways = {way: name for name, way in [*_others(pipeline, load), *([(_name(tuned), tuned)] if tuned else [])]}
    variants = [
        Variant(name="as configured", pipeline=pipeline, course=course),
        *(Variant(name=name, pipeline=way, course=simulate(way, load)) for way, name in ways.items()),
    ]
    found = sorted([*limits.consumer(pipeline, load), *limits.door(pipeline, load)], key=lambda limit: limit.rate)
    return Report(
        pipeline=pipeline,
        load=load,
        variants=tuple(variants),
        limits=tuple(found),
        problems=tuple(_problems(pipeline, load, course)),
        notes=tuple(_notes(pipeline, load)),
        knob=knob,
        dollars=_dollars(pipeline, load, course, shape) if shape and pipeline.name in shape.pipelines else None,
    )


def _dollars(pipeline: Pipeline, load: Load, course: Course, shape: Shape) -> float | None:
    """What a million events cost at the batches and times of the plan, each worked once; None where none is worked."""
    if not course.invocations:
        return None
    usage = replace(
        Usage.assumed(pipeline.name, shape),
        batch=Figure(course.receives / course.invocations),
        worker_ms=Figure(course.busy / course.invocations * 1000),
        message_bytes=Figure(load.size),
        item_bytes=Figure(load.size),
        events=Figure(load.per_request),
    )
    return per_million(pipeline.name, shape, usage)


def _others(pipeline: Pipeline, load: Load) -> list[tuple[str, Pipeline]]:
    found = []
    if load.outage:
        has = bool(pipeline.breaker_hold)
        name = "without breaker" if has else "with breaker"
        found.append((name, replace(pipeline, breaker_hold=0 if has else _HOLD)))
    if pipeline.pollers is None:
        pollers = limits.pollers_for(pipeline, load, _rate_wanted(pipeline, load))
        way = replace(pipeline, pollers=pollers, max_concurrency=None, reserved_concurrency=None)
        found.append((_name(way), way))
    else:
        found.append(("default mode", replace(pipeline, pollers=None)))
    return found


def _name(tuned: Pipeline) -> str:
    if tuned.pollers is not None:
        return f"pollers {tuned.pollers.least:,} to {tuned.pollers.most:,}"
    return f"workerMaxConcurrency {tuned.max_concurrency}"


def _rate_wanted(pipeline: Pipeline, load: Load) -> float:
    """Events a second that have to be worked, so that an outage's backlog is gone within the hour."""
    if not load.outage:
        return load.rate * _SPARE
    behind = load.outage + (load.probe if pipeline.breaker_hold else 0)
    return load.rate * max(_SPARE, 1 + behind / _WANTED)


def advice(pipeline: Pipeline, load: Load, course: Course) -> tuple[Pipeline | None, str]:
    """The knob that helps, and the pipeline with it turned; None where there is nothing to turn."""
    size = batch(pipeline, load)
    if not size:
        return None, f"raise the worker's time-out: an event alone takes {seconds(load, 1):.0f} s"
    if course.lost_good >= _SOME and load.outage and not pipeline.breaker_hold:
        return None, f"breakerHoldSeconds {_HOLD}: a paused consumer spends no receives"
    wanted = _rate_wanted(pipeline, load)
    binding = limits.consumer(pipeline, load)[0]
    if binding.rate >= wanted or (load.outage and _is_soon(course)):
        return None, "none is needed"
    if binding.slots == inf and pipeline.pollers is None:
        return None, f"{binding.knob}: {binding.name} ends at {_number(binding.rate)} events/s"
    busy = wanted * limits.attempts(pipeline, load) * seconds(load, size) / size
    count = max(ceil(busy), figures.MAX_CONCURRENCY_LEAST.value)
    tuned = _turned(pipeline, load, wanted, count)
    if tuned is None:
        return None, f"{binding.knob}: {binding.name} ends at {_number(binding.rate)} events/s"
    after = limits.consumer(tuned, load)[0]
    text = _name(tuned).replace("pollers", "provisionedPollers")
    if tuned.pollers and tuned.pollers.most > figures.PROVIDER_POLLERS:
        text += f" (the configuration takes {figures.PROVIDER_POLLERS:,}, as the Pulumi provider does)"
    if count > load.account_concurrency:
        text += f", and ask AWS for a Lambda quota of {_number(count)} and what your other functions need"
    elif after.rate < wanted:
        text += f"; {after.name} binds next, at {_number(after.rate)} events/s: {after.knob}"
    return tuned, text


def _is_soon(course: Course) -> bool:
    return course.drained is not None and course.drained - course.resumed <= _WANTED


def _turned(pipeline: Pipeline, load: Load, wanted: float, count: int) -> Pipeline | None:
    if pipeline.pollers is None and count <= figures.MAX_CONCURRENCY_MOST.value:
        if pipeline.max_concurrency is None or count <= pipeline.max_concurrency:
            return None
        reserved = pipeline.reserved_concurrency
        return replace(
            pipeline,
            max_concurrency=count,
            reserved_concurrency=None if reserved is None else max(reserved, count),
        )
    pollers = limits.pollers_for(pipeline, load, wanted)
    if pollers == pipeline.pollers:
        return None
    return replace(pipeline, pollers=pollers, max_concurrency=None, reserved_concurrency=None)


def _problems(pipeline: Pipeline, load: Load, course: Course) -> list[str]:
    if not batch(pipeline, load):
        return [f"no event is ever done: one takes {seconds(load, 1):.0f} s, the time-out is {pipeline.timeout} s"]
    found = []
    binding = limits.consumer(pipeline, load)[0]
    if binding.rate <= load.rate:
        more = (load.rate - binding.rate) * 3600
        found.append(
            f"the backlog never ends: {binding.name} lets {_number(binding.rate)} of {_number(load.rate)} events/s "
            f"through, so it grows by {_number(more)} an hour"
        )
    elif load.outage and course.drained is None:
        found.append(f"the backlog is not worked off {_duration(LONGEST)} after the outage")
    if course.lost_good >= _SOME:
        found.append(
            f"{_number(course.lost_good)} good events end on the dead-letter queue: they use up their "
            f"{pipeline.max_receive_count} receives; bring them back with lab redrive"
        )
    if course.expired >= _SOME:
        kept = _duration(pipeline.retention)
        found.append(f"{_number(course.expired)} events are lost: the queue keeps them for {kept} only")
    found += [
        f"{limit.name} lets {_number(limit.rate)} events/s in: {_number(load.rate - limit.rate)} get 429; {limit.knob}"
        for limit in limits.door(pipeline, load)[:1]
        if limit.rate < load.rate
    ]
    return found


def _notes(pipeline: Pipeline, load: Load) -> list[str]:
    found = []
    fits = batch(pipeline, load)
    if 0 < fits < pipeline.batch_size:
        found.append(f"a batch of {pipeline.batch_size} does not fit the time-out: {fits} are worked, the rest waits")
    most = pipeline.max_concurrency or inf
    if pipeline.pollers is not None:
        most = pipeline.pollers.most * figures.POLLER_INVOKES.value
    if load.account_concurrency < most < inf:
        found.append("Lambda throttles what is polled beyond the account's concurrency, and that spends receives")
    writes = limits.WRITES * max(1, ceil(load.size / 1024)) * load.rate * limits.attempts(pipeline, load)
    if writes > figures.TABLE_START.value:
        found.append(
            f"a new table takes {_number(figures.TABLE_START.value)} write units a second, and this is "
            f"{_number(writes)}: warm it up first"
        )
    if load.rate > figures.BUS_INVOCATIONS.value:
        found.append(f"outcome events are delayed: rules reach {_number(figures.BUS_INVOCATIONS.value)} targets/s")
    if pipeline.fifo:
        found.append("a group waits for each retry of its first message, which this does not show")
    return found


def lines(report: Report, *, stack: str) -> list[str]:
    """One screen of 80 columns."""
    pipeline, load = report.pipeline, report.load
    rate = f"{_number(load.rate)} events/s of {_number(load.size)} bytes, {_number(load.worker_ms)} ms each"
    shares = [
        f"{share * 100:.3g} % {what}" for share, what in ((load.poison, "poison"), (load.transient, "retried")) if share
    ]
    outage = [f"an outage of {_duration(load.outage)} after {_duration(load.outage_at)}"] if load.outage else []
    return [
        *wrap(f"{stack}, {pipeline.name}: " + ", ".join([rate, *shares, *outage]), _WIDTH),
        "",
        *_table(report),
        "",
        *_wrapped("Read", _READS),
        *_paragraphs(report),
        *_limits(report.limits, load),
        *_wrapped("Not known", " ".join(UNKNOWN)),
    ]


_READS = (
    "backlog and oldest: at their worst. Done: the backlog is worked off, counted from the outage's end, without one "
    "from the beginning. Receives: by SQS's count. Lost: good events that became dead letters. At once: invocations."
)
_COLUMNS = f"{'':<26} {'backlog':>11} {'oldest':>9} {'done':>9} {'receives':>8} {'lost':>7} {'at':>4}"
_UNDER = f"{'':<26} {'at most':>11} {'waits':>9} {'after':>9} {'an event':>8} {'good':>7} {'once':>4}"


def _table(report: Report) -> list[str]:
    return [_COLUMNS, _UNDER, *(_row(variant, report.load) for variant in report.variants)]


def _row(variant: Variant, load: Load) -> str:
    course = variant.course
    receives = f"{course.receives / course.arrived:.2f}" if course.arrived else "-"
    return (
        f"{variant.name:<26} {_short(course.peak):>11} {_duration(course.oldest):>9} {_done(course, load):>9} "
        f"{receives:>8} {_short(course.lost_good):>7} {_short(ceil(course.most_concurrency - 1e-6)):>4}"
    )


def _done(course: Course, load: Load) -> str:
    if load.outage:
        return "never" if course.drained is None else _duration(course.drained - load.outage_at - load.outage)
    if course.caught_up is None:
        return "never"
    return "at once" if course.peak < 1 else _duration(course.caught_up)


def _paragraphs(report: Report) -> list[str]:
    course, load, pipeline = report.course, report.load, report.pipeline
    found: list[str] = []
    if report.problems:
        found += [line for problem in report.problems for line in _wrapped("Problem", problem + ".")]
    else:
        found += _wrapped("Happens", _story(course, load, pipeline))
    found += [line for note in report.notes for line in _wrapped("Mind", note + ".")]
    if load.redrive_rate:
        done = "never" if course.redriven is None else f"{_duration(course.redriven)} after the beginning"
        found += _wrapped("Redrive", f"of {_number(load.redrive_rate)} letters/s is done {done}.")
    found += _wrapped("Knob", report.knob + ".")
    return found + _cost(report.dollars, load)


def _cost(dollars: float | None, load: Load) -> list[str]:
    if dollars is None:
        return []
    hourly = dollars * load.rate * 3600 / 1e6
    return _wrapped(
        "Cost",
        f"${dollars:.2f} a million events, ${_number(hourly)} an hour at this rate; retries, pollers and what a stack "
        "costs without events not counted: lab cost.",
    )


def _story(course: Course, load: Load, pipeline: Pipeline) -> str:
    if not load.outage:
        count = ceil(course.most_concurrency - 1e-6)
        enough = f"{_number(count)} invocation{'s' if count > 1 else ''} at once"
        if course.peak < 1:
            return f"each event is worked as it comes, by {enough}."
        caught = "never" if course.caught_up is None else f"after {_duration(course.caught_up)}"
        return f"up to {_number(course.peak)} events wait; the queue is caught up with {caught}, by {enough}."
    paused = "paused" if pipeline.breaker_hold else "left running"
    assert course.drained is not None  # noqa: S101 - else it is a problem
    fullest = max(course.minutes, key=lambda minute: minute.waiting).minute
    return (
        f"the consumer is {paused}; up to {_number(course.peak)} events wait, in minute {fullest}. It is over "
        f"{_duration(course.drained - load.outage_at - load.outage)} after the outage's end, and has cost "
        f"{_number(course.failed_receives)} receives. No good event is lost; {_number(course.poison)} poison ones are "
        f"on the dead-letter queue."
    )


def _limits(found: Sequence[Limit], load: Load) -> list[str]:
    rows = []
    for number, limit in enumerate(found[:_SHOWN]):
        head = "" if number else "Limits"
        mark = "<" if limit.rate <= load.rate else " "
        rows.append(f"{head:<9} {mark}{_short(limit.rate):>8} events/s  {limit.name}: {limit.knob}")
    return rows


def _wrapped(head: str, text: str) -> list[str]:
    return wrap(text, _WIDTH, initial_indent=f"{head:<9} ", subsequent_indent=" " * 10)


def as_json(report: Report, *, stack: str) -> dict[str, Any]:
    """The plan for programs: what was planned with, each variant with its minutes, the limits and the verdict."""
    return {
        "stack": stack,
        "pipeline": asdict(report.pipeline),
        "load": asdict(report.load),
        "problems": list(report.problems),
        "notes": list(report.notes),
        "knob": report.knob,
        "dollarsPerMillion": report.dollars,
        "limits": [
            {"name": limit.name, "eventsPerSecond": limit.rate, "knob": limit.knob, "door": limit.door}
            for limit in report.limits
        ],
        "variants": [
            {"name": variant.name, **{name: value for name, value in asdict(variant.course).items() if name != "steps"}}
            for variant in report.variants
        ],
        "unknown": list(UNKNOWN),
    }


def _number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if letter == 'k' else size):,.1f}{letter}"
    return _number(value)


def _duration(value: float) -> str:
    whole = round(value)
    if whole < 120:
        return f"{whole} s"
    minutes = round(whole / 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} m" if minutes else f"{hours} h"
