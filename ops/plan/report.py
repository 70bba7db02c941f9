"""A plan in words: what happens, when it is over, which limit binds, which knob helps, and what nobody knows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import ceil, inf
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from ops.cost import prices
from ops.cost.fixed import HOURS
from ops.cost.paths import Figure, Usage, per_million, record_bytes
from ops.plan import figures, limits
from ops.plan.model import batch, given, seconds
from ops.plan.simulation import LONGEST, Course, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ops.cost.paths import Shape
    from ops.plan.limits import Limit
    from ops.plan.model import Load, Pipeline, Pollers

_WIDTH = 80
_SHOWN = 6  # limits
_WANTED = 3600  # seconds in which a backlog is to be worked off
_SPARE = 1.25  # of what comes, where no backlog says how much is wanted
_HOLD = 60  # breakerHoldSeconds by default
_SOME = 0.5  # messages: less is nobody's
_LONGEST_KEPT = 14 * 86_400  # seconds, by SQS
_LONGEST_RUN = 900  # seconds, by Lambda
_SHARE = 0.8  # of what a pipeline bears, where no rate is given
_TIMEOUTS = {
    "events": "workerTimeoutSeconds",
    "orders": "ordersWorkerTimeoutSeconds",
    "lake": "lakeTransformTimeoutSeconds",
}

_LOOKED_UP = max(figure.looked_up for figure in figures.FIGURES)
UNKNOWN = (
    "how long the worker really takes: --worker-ms is yours, without cold starts;",
    "how soon AWS pauses or resumes a consumer, or takes pollers away;",
    f"other regions and your quotas: the figures are us-east-1's of {_LOOKED_UP};",
    "what the downstream bears when all of that runs.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A way in which it could be set up, and what happens then."""

    name: str
    pipeline: Pipeline
    course: Course


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The plan of a pipeline.

    `problems`: why the load can't be taken as it is set up; `notes`: what to mind; `settings`: the keys that help, with
    their values; `bears`: the limit that binds first, which is what the pipeline bears for long.
    """

    pipeline: Pipeline
    load: Load
    variants: tuple[Variant, ...]
    limits: tuple[Limit, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    bears: Limit
    knob: str
    settings: Mapping[str, int | Mapping[str, int]]
    dollars: float | None = None  # for a million events

    @property
    def course(self) -> Course:
        """What happens as it is set up."""
        return self.variants[0].course


def usual(pipeline: Pipeline, load: Load) -> Load:
    """The load at four fifths of what the pipeline bears, for whoever asks how much that is."""
    return replace(load, rate=max(_SHARE * _all_limits(pipeline, load)[0].rate, 0.01))


def _all_limits(pipeline: Pipeline, load: Load) -> list[Limit]:
    return sorted([*limits.consumer(pipeline, load), *limits.door(pipeline, load)], key=lambda limit: limit.rate)


def make(pipeline: Pipeline, load: Load, shape: Shape | None = None) -> Report:
    """Simulate the pipeline as it is, and in the ways that answer what would help; of a known shape, price it too."""
    course = simulate(pipeline, load)
    tuned, knob = advice(pipeline, load, course)
    ways = {
        way: name for name, way in [*_others(pipeline, load), *([(_label(pipeline, tuned), tuned)] if tuned else [])]
    }
    variants = [
        Variant(name="as configured", pipeline=pipeline, course=course),
        *(Variant(name=name, pipeline=way, course=simulate(way, load)) for way, name in ways.items()),
    ]
    found = _all_limits(pipeline, load)
    return Report(
        pipeline=pipeline,
        load=load,
        variants=tuple(variants),
        limits=tuple(found),
        problems=tuple(_problems(pipeline, load, course)),
        notes=tuple(_notes(pipeline, load)),
        bears=found[0],
        knob=knob,
        settings=_settings(pipeline, load, tuned),
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
        item_bytes=Figure(record_bytes(load.size)),
        events=Figure(load.per_request),
        a_month=Figure(load.rate * HOURS * 3600),
    )
    return per_million(pipeline.name, shape, usage)


def _others(pipeline: Pipeline, load: Load) -> list[tuple[str, Pipeline]]:
    found = []
    if load.outage:
        has = bool(pipeline.breaker_hold)
        name = "without breaker" if has else "with breaker"
        found.append((name, replace(pipeline, breaker_hold=0 if has else _HOLD)))
    if not pipeline.takes_pollers:
        return found
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


def _label(pipeline: Pipeline, tuned: Pipeline) -> str:
    """What is turned in it, as a row of the table has room for."""
    if tuned.breaker_hold != pipeline.breaker_hold:
        return "with breaker"
    if tuned.retention == pipeline.retention:
        return _name(tuned)
    alone = replace(pipeline, retention=tuned.retention) == tuned
    return f"retention {_duration(tuned.retention)}" if alone else "with the knobs below"


def _behind(pipeline: Pipeline, load: Load) -> int:
    """Seconds after which the consumer works again."""
    return load.outage + (load.probe if pipeline.breaker_hold else 0)


def _rate_wanted(pipeline: Pipeline, load: Load) -> float:
    """Events a second that have to be worked, so that what an outage has left on the queue is gone within the hour."""
    if not load.outage:
        return load.rate * _SPARE
    return load.rate * max(_SPARE, 1 + min(_behind(pipeline, load), pipeline.retention) / _WANTED)


def advice(pipeline: Pipeline, load: Load, course: Course) -> tuple[Pipeline | None, str]:
    """The knobs that help, and the pipeline with them turned; None where there is nothing to turn in it."""
    if not batch(pipeline, load):
        return None, _too_slow(pipeline, load)
    if course.lost_good >= _SOME and load.outage and not pipeline.breaker_hold:
        tuned = replace(pipeline, breaker_hold=_HOLD)
        return tuned, f"breakerHoldSeconds {_HOLD}: a paused consumer spends no receives"
    kept = _retention(pipeline, load, course)
    longer = replace(pipeline, retention=kept) if kept else pipeline
    faster, text = _faster(longer, load, course)
    texts = [text] if text else []
    if course.expired >= _SOME and load.outage:
        texts.insert(0, _keep(kept))
    texts += [_wider(limit, load) for limit in limits.door(pipeline, load)[:1] if limit.rate < load.rate]
    return faster or (longer if kept else None), "; ".join(texts) or "none is needed"


def _too_slow(pipeline: Pipeline, load: Load) -> str:
    alone = seconds(load, 1)
    if alone >= _LONGEST_RUN:
        return f"a shorter step: an event takes {_number(alone)} s, and Lambda ends what takes {_LONGEST_RUN} s"
    key = _TIMEOUTS.get(pipeline.name, "the worker's time-out")
    return f"{key} {ceil(alone) + 1} or more: an event alone takes {_number(alone)} s"


def _retention(pipeline: Pipeline, load: Load, course: Course) -> int:
    """Seconds for which messages have to be kept to outlast the outage; 0 where none is lost or SQS allows no more."""
    if course.expired < _SOME or not load.outage:
        return 0
    wanted = ceil((_behind(pipeline, load) + _WANTED) / 3600) * 3600
    return wanted if pipeline.retention < wanted <= _LONGEST_KEPT else 0


def _keep(kept: int) -> str:
    if kept:
        return f"messageRetentionSeconds {kept}"
    return f"no retention is long enough, SQS keeps a message for {_duration(_LONGEST_KEPT)} at most: hold events back"


def _wider(limit: Limit, load: Load) -> str:
    through = _through(load)
    if through > figures.API_REQUESTS.value:
        return f"send batches: {_number(through)} requests/s are more than an account has"
    return f"{limit.setting} {through}, or send batches" if limit.setting else limit.knob


def _through(load: Load) -> int:
    """Requests a second that have to get through the API, with what a rate needs to spare."""
    return ceil(load.rate * _SPARE / load.per_request)


def _settings(pipeline: Pipeline, load: Load, tuned: Pipeline | None) -> dict[str, int | Mapping[str, int]]:
    """What is turned, as configuration keys."""
    return dict(_turns(pipeline, load, tuned or pipeline))


def _turns(pipeline: Pipeline, load: Load, tuned: Pipeline) -> Iterator[tuple[str, int | Mapping[str, int]]]:
    if tuned.breaker_hold != pipeline.breaker_hold:
        yield "breakerHoldSeconds", tuned.breaker_hold
    if tuned.retention != pipeline.retention:
        yield "messageRetentionSeconds", tuned.retention
    if tuned.pollers is not None and tuned.pollers != pipeline.pollers:
        yield "provisionedPollers", {"minimum": tuned.pollers.least, "maximum": tuned.pollers.most}
    elif tuned.max_concurrency is not None and tuned.max_concurrency != pipeline.max_concurrency:
        yield "workerMaxConcurrency", tuned.max_concurrency
    if tuned.reserved_concurrency != pipeline.reserved_concurrency:
        yield "workerReservedConcurrency", tuned.reserved_concurrency or 0
    for limit in limits.door(pipeline, load)[:1]:
        if limit.setting and limit.rate < load.rate and _through(load) <= figures.API_REQUESTS.value:
            yield limit.setting, _through(load)


def _faster(pipeline: Pipeline, load: Load, course: Course) -> tuple[Pipeline | None, str]:
    """The pipeline with more invocations, and what is to be set for them; "" where there are enough."""
    size = batch(pipeline, load)
    wanted = _rate_wanted(pipeline, load)
    binding = limits.consumer(pipeline, load)[0]
    if binding.rate >= wanted or (load.outage and _is_soon(course)):
        return None, ""
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
    if pollers == pipeline.pollers or not pipeline.takes_pollers:
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
        f"{limit.name} lets {_number(limit.rate)} events/s in: {_number(load.rate - limit.rate)} events/s get 429"
        for limit in limits.door(pipeline, load)[:1]
        if limit.rate < load.rate
    ]
    return found


def _notes(pipeline: Pipeline, load: Load) -> list[str]:
    found = []
    fits, there = batch(pipeline, load), given(pipeline, load)
    if there < pipeline.batch_size:
        found.append(f"batches of {pipeline.batch_size} are never full: {there} messages are the 6 MB of an invocation")
    if 0 < fits < there:
        found.append(f"a batch of {there} does not fit the time-out: {fits} are worked, the rest waits")
    most = pipeline.max_concurrency or inf
    if pipeline.pollers is not None:
        most = pipeline.pollers.most * figures.POLLER_INVOKES.value
    if load.account_concurrency < most < inf:
        found.append("Lambda throttles what is polled beyond the account's concurrency, and that spends receives")
    writes = load.rate * limits.writes(pipeline, load)
    if writes > figures.TABLE_START.value:
        found.append(
            f"a new table takes {_number(figures.TABLE_START.value)} write units a second, and this is "
            f"{_number(writes)}: warm it up first"
        )
    if load.rate * pipeline.targets > figures.BUS_INVOCATIONS.value:
        found.append(f"EventBridge delays events: its rules reach {_number(figures.BUS_INVOCATIONS.value)} targets/s")
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
        *_wrapped("Bears", f"{_number(report.bears.rate)} events/s for long: {report.bears.name} binds first."),
        *_wrapped("Read", _READS),
        *_paragraphs(report),
        *_limits(report.limits, load),
        *_wrapped("Not known", " ".join(UNKNOWN)),
    ]


_READS = (
    "backlog: events that wait; oldest: how long. Done: the backlog is worked off, counted from the outage's end, "
    "without one from the beginning. Receives: of an event that is done or dead. Good dead: dead letters that could "
    "have succeeded. Running: invocations at the same time. <: less than the rate."
)
_COLUMNS = f"{'':<25} {'backlog':>8} {'oldest':>9} {'done':>9} {'receives':>8} {'good':>7} {'running':>7}"
_UNDER = f"{'':<25} {'at most':>8} {'waits':>9} {'after':>9} {'an event':>8} {'dead':>7} {'at most':>7}"


def _table(report: Report) -> list[str]:
    return [_COLUMNS, _UNDER, *(_row(variant, report.load) for variant in report.variants)]


def _row(variant: Variant, load: Load) -> str:
    course = variant.course
    receives = f"{course.receives_an_event:.2f}" if course.receives else "-"
    running = ceil(course.most_concurrency - 1e-6)
    return (
        f"{variant.name:<25} {_short(course.peak):>8} {_duration(course.oldest):>9} {_done(course, load):>9} "
        f"{receives:>8} {_short(course.lost_good):>7} {_short(running):>7}"
    )


def _done(course: Course, load: Load) -> str:
    if load.outage:
        return "never" if course.drained is None else _duration(course.drained - load.outage_at - load.outage)
    if course.caught_up is None:
        return "never"
    return "0 s" if course.peak < 1 else _duration(course.caught_up)


def _paragraphs(report: Report) -> list[str]:
    course, load, pipeline = report.course, report.load, report.pipeline
    found: list[str] = []
    if report.problems:
        found += [line for problem in report.problems for line in _wrapped("Problem", problem + ".")]
    else:
        found += _wrapped("Happens", _story(course, load, pipeline))
    found += [line for note in report.notes for line in _wrapped("Mind", note + ".")]
    if load.redrive_rate:
        found += _wrapped("Redrive", _redrive(course, load) + ".")
    found += _wrapped("Knob", report.knob + ".")
    if report.settings:
        found += _wrapped("Try", f"{_options(report.settings)} plans with it; to keep it: docs/reference.md.")
    return found + _cost(report)


def _options(settings: Mapping[str, int | Mapping[str, int]]) -> str:
    """As `--set` takes them, in a shell."""
    return " ".join(
        f"--set {key}={value}"
        if isinstance(value, int)
        else f"--set '{key}={{{', '.join(f'{part}: {number}' for part, number in value.items())}}}'"
        for key, value in settings.items()
    )


def _redrive(course: Course, load: Load) -> str:
    if course.drained is None:
        return "none begins: the backlog is not worked off"
    if course.letters < _SOME:
        return "there is no dead letter to go back"
    done = (
        "not over at the end"
        if course.redriven is None
        else f"over {_duration(course.redriven - course.drained)} later"
    )
    return (
        f"{_number(course.letters)} dead letters go back, repaired, at {_number(load.redrive_rate)} a second from "
        f"{_duration(course.drained)} after the beginning on; that is {done}"
    )


def _cost(report: Report) -> list[str]:
    found = []
    if report.dollars is not None:
        hourly = report.dollars * report.load.rate * 3600 / 1e6
        found.append(
            f"${report.dollars:.2f} a million events, ${_number(hourly)} an hour at this rate; without retries, and "
            "without what a stack costs before the first event (lab cost)."
        )
    found += [
        f"{variant.name}: {_monthly(pollers)} a month more."
        for variant in report.variants
        if (pollers := variant.pipeline.pollers)
    ]
    return _wrapped("Cost", " ".join(found)) if found else []


def _monthly(pollers: Pollers) -> str:
    """Dollars for a month: of the least, which are always there, and of the most."""
    found = [f"${prices.POLLER_HOUR.dollars * count * HOURS:,.2f}" for count in (pollers.least, pollers.most)]
    return " to ".join(dict.fromkeys(found))


def _story(course: Course, load: Load, pipeline: Pipeline) -> str:
    if not load.outage:
        count = ceil(course.most_concurrency - 1e-6)
        enough = f"{_number(count)} invocation{'s' if count > 1 else ''} at the same time"
        dead = (
            f" {_number(course.poison)} poison events are dead after {_duration(course.ends)}." if load.poison else ""
        )
        if course.peak < 1:
            return f"each event is worked as it comes, by {enough}.{dead}"
        caught = "never" if course.caught_up is None else f"after {_duration(course.caught_up)}"
        waits = f"up to {_number(course.peak)} events wait{' (in the redrive, too)' if load.redrive_rate else ''}"
        return f"{waits}; the queue is caught up with {caught}, by {enough}.{dead}"
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
        row = f"{head:<9} {mark}{_short(limit.rate):>8} events/s  {limit.name}: {limit.knob}"
        rows += wrap(row, _WIDTH, subsequent_indent=" " * 30)
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
        "bears": {"eventsPerSecond": report.bears.rate, "limit": report.bears.name},
        "knob": report.knob,
        "settings": report.settings,
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
    if value >= 1e7:
        return f"{value / 1e6:,.0f} million"
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
        return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} m" if minutes else f"{hours} h"
