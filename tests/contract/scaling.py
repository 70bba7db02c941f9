"""What a rate asks of AWS, as `docs/scaling.md`: python -m tests.contract.scaling > docs/scaling.md."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

from ops.cost.paths import Shape
from ops.local.deployer import Registered
from ops.plan import figures, limits, report, stack
from ops.plan.model import PAUSE_SECONDS, PROBE_SECONDS, Load, Pipeline, batch, seconds
from ops.plan.simulation import STEP, simulate
from tests.bench import report as benchmarks
from tests.components.configurations import FIXED
from tests.components.recording import Registered as Recorded

_RATES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
_WORKER_MS = 50
_QUOTA = 100_000  # of Lambda, in the second table: its outage is not to be bound by what AWS raises on request
_HOURS = 3
_EXAMPLE = Load(rate=50, worker_ms=80, poison=0.01, outage=_HOURS * 3600)

_HEAD = """# How far it scales

Made by `python -m tests.contract.scaling` from the configuration of the stack `dev` and the figures below; a test
keeps page and code equal.

`lab plan` simulates a load on a stack as it is configured, before anything is deployed: what waits, how long, when it
is over, which limit binds, and which knob helps. It asks nobody and changes nothing. `--set KEY=VALUE` plans with
another value of a configuration key. It exits with 1 where the load can't be taken so, or good events would be lost.
Without `--rate` it plans four fifths of what the pipeline bears, and says how much that is.

```bash
lab plan --rate 20 --worker-ms 50 --outage 20m --poison 1% --set workerMaxConcurrency=10
```

"""
_METHOD = f"""
## How it is computed

Amounts of messages move in steps of {STEP} seconds, of up to a minute in an outage of more than seven hours: what the
invocations of that moment have room for is taken off the queue, oldest first, and is done, dead, or waits for its
retry. Nothing is drawn by chance, so one plan has one answer. An event simulation would have to move each message: ten
billion in three hours at a million a second.

- An invocation takes `--batch-ms`, and `--worker-ms` for each of its events; batches are as full as the backlog or the
  window makes them.
- An outage with the breaker: the worker fails for {PAUSE_SECONDS} s until the pause takes hold (an assumption), which
  spends one receive of what it takes then. The consumer is back {PROBE_SECONDS} s after the outage's end at the latest.
- An outage without it: each receive fails. The waits are the worker's own, so that a message outlasts three times
  `maxReceiveCount` x visibility. What waits for a retry is in flight for SQS, and ends at its limit.
- A state record keeps the payload beside its own fields, and is written twice (three times with a key of the caller's,
  which a plan leaves out), by the kilobyte: what a table takes, and what an event costs, follows its size.
- An invocation is given 6 MB of messages at most.
- Poison goes to the dead-letter queue at its first receive. A retry waits with full jitter.
- With `--redrive`, dead letters go back at that rate once the backlog is worked off, repaired.
- Invocations are taken away at the pace at which they are added: none is published.

## What it does not know

"""
_CLOSE = """
Groups of a FIFO queue bound the invocations, but that a group waits for each retry of its first message is not
simulated. Fair queues change who waits, not how many.
"""
_DRILL = """
## A drill beside its plan

`make bench BENCH=plan_drill` runs a drill on the laptop (a steady rate, an outage, the breaker), counts the queue every
second, and plans the same: as `lab plan` does, with what it assumes of the breaker, and with the breaker's times as
they were, which leaves the error of the rest.

"""


def resources() -> Sequence[Recorded]:
    """The stack `dev`."""
    (found,) = (configuration for configuration in FIXED if configuration.name == "dev")
    return found.recording().resources


def dev() -> Pipeline:
    """The events pipeline as it is there."""
    return stack.pipelines([Registered(one.type, one.name, one.inputs) for one in resources()])["events"]


def render() -> str:
    """The whole document."""
    pipeline = dev()
    example = report.lines(report.make(pipeline, _EXAMPLE, Shape.of(resources())), stack="dev")
    asked = f"lab plan --rate 50 --worker-ms 80 --poison 1% --outage {_HOURS}h --stack dev"
    parts = [
        _HEAD,
        f"An outage of {_HOURS} hours on `dev`, which is set up for a new account:\n\n```text\n$ {asked}\n",
        *(f"{line}\n" for line in example),
        "```\n",
        *_needs(pipeline),
        *_outages(pipeline),
        *_figures(),
        _METHOD,
        *(f"- {text.rstrip(';.')}\n" for text in report.UNKNOWN),
        _CLOSE,
        *_drill(),
    ]
    return "".join(parts)


def _needs(pipeline: Pipeline) -> Iterator[str]:
    size, each = pipeline.batch_size, seconds(Load(rate=1, worker_ms=_WORKER_MS), pipeline.batch_size)
    yield (
        f"\n## What a rate needs\n\nEvents of 1 KB that take {_WORKER_MS} ms each, in batches of {size} "
        f"({each:.2f} s an invocation), with a quarter to spare; they come\nto the API in batches of 100.\n\n"
        "| events/s | invocations at once | default mode | provisioned mode | beyond AWS's default quotas |\n"
        "|--:|--:|---|---|---|\n"
    )
    for rate in _RATES:
        load = Load(rate=rate * 1.25, worker_ms=_WORKER_MS, per_request=100)
        count = ceil(load.rate * each / size)
        pollers = limits.pollers_for(pipeline, load, load.rate)
        way = replace(pipeline, pollers=pollers, max_concurrency=None)
        yield (
            f"| {rate:,} | {count:,} | {_default(count)} | `provisionedPollers` {pollers.least:,} to {pollers.most:,} "
            f"| {_beyond(way, load)} |\n"
        )


def _default(count: int) -> str:
    if count <= figures.MAX_CONCURRENCY_MOST.value:
        return f"`workerMaxConcurrency` {max(count, figures.MAX_CONCURRENCY_LEAST.value):,}"
    return f"no: {figures.MAX_CONCURRENCY_MOST.value:,} is the most"


def _beyond(pipeline: Pipeline, load: Load) -> str:
    found = [
        limit.name
        for limit in [*limits.consumer(pipeline, load), *limits.door(pipeline, load)[1:]]
        if limit.rate < load.rate
    ]
    return ", ".join(found) or "nothing"


def _outages(pipeline: Pipeline) -> Iterator[str]:
    yield (
        f"\n## An outage of {_HOURS} hours\n\nThe same events, with room to work the backlog off within the hour that "
        f"follows, a Lambda quota of\n{_QUOTA:,}, and the table's default quota.\n\n"
        "| events/s | | waits at most | worked off after | receives an event | good events dead |\n"
        "|--:|---|--:|--:|--:|--:|\n"
    )
    for rate in _RATES[:4]:
        load = Load(rate=rate, worker_ms=_WORKER_MS, outage=_HOURS * 3600, account_concurrency=_QUOTA)
        pollers = limits.pollers_for(pipeline, load, rate * (_HOURS + 1.2))
        default = replace(pipeline, max_concurrency=_enough(pipeline, load, rate * (_HOURS + 1.2)))
        provisioned = replace(pipeline, pollers=pollers, max_concurrency=None)
        for name, way in (
            ("default mode", default),
            ("default mode, without breaker", replace(default, breaker_hold=0)),
            ("provisioned mode", provisioned),
        ):
            course = simulate(way, load)
            over = "never" if course.drained is None else f"{(course.drained - 600 - load.outage) / 60:,.0f} min"
            yield (
                f"| {rate:,} | {name} | {course.peak:,.0f} | {over} | {course.receives_an_event:.2f} "
                f"| {course.lost_good:,.0f} |\n"
            )


def _enough(pipeline: Pipeline, load: Load, rate: float) -> int:
    size = batch(pipeline, load)
    wanted = ceil(rate * seconds(load, size) / size)
    return min(max(wanted, figures.MAX_CONCURRENCY_LEAST.value), figures.MAX_CONCURRENCY_MOST.value)


def _drill() -> Iterator[str]:
    """What was counted, beside what was planned."""
    (found,) = (one for one in benchmarks.read() if one["name"] == "plan_drill")
    run, drill = found["run"], found["drill"]
    yield f"{_DRILL}On {run['date']}, {run['machine']}: {drill['told']}.\n\n"
    yield "| second | counted | planned | with the breaker's times |\n|--:|--:|--:|--:|\n"
    yield from (f"| {' | '.join(f'{number:,}' for number in line)} |\n" for line in drill["curve"])
    yield "\n| error | | |\n|---|--:|---|\n"
    yield from (f"| {one['what']} | {one['ratio']:.2f} | {one['detail']} |\n" for one in found["rows"])


def _figures() -> Iterator[str]:
    yield (
        "\n## AWS's published figures\n\nFrom `ops/plan/figures.py`, the only place that has them. AWS's pages were "
        "read as stored copies on the day given; *as stated*\nmarks what was not seen on a page of AWS's own.\n\n"
        "| what | figure | note | source |\n|---|--:|---|---|\n"
    )
    for figure in figures.FIGURES:
        name = figure.source.rstrip("/").rpartition("/")[2].removesuffix(".html")
        yield (
            f"| {figure.what} | {figure.value:,} {figure.unit} | {figure.note} "
            f"| [{name}]({figure.source}), {figure.looked_up} |\n"
        )


if __name__ == "__main__":
    sys.stdout.write(render())
