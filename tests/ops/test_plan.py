"""A plan holds what its figures say: nothing is lost in the sums, no limit is passed, known cases come out as known."""

import json
from dataclasses import replace
from math import ceil, inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.worker import trip_wire
from ops.plan import figures, limits, report
from ops.plan.model import Load, Pipeline, Pollers, batch, seconds, seconds_to_outlast, waits
from ops.plan.simulation import STEP, Course, simulate

_DEV = Pipeline(
    name="events",
    batch_size=10,
    window=2,
    timeout=30,
    visibility=182,
    max_receive_count=5,
    retention=4 * 86_400,
    backoff_base=2,
    backoff_max=300,
    outage=2730,
    breaker_hold=60,
    memory_mb=256,
    max_concurrency=2,
    throttle_rate=100,
)
_AT_ONCE = {"pause": 0, "probe": 0}  # a breaker that opens and closes with the outage

_pipelines = st.builds(
    replace,
    st.just(_DEV),
    batch_size=st.integers(1, 10),
    max_receive_count=st.integers(1, 6),
    breaker_hold=st.sampled_from([0, 60]),
    retention=st.sampled_from([900, 4 * 86_400]),
    max_concurrency=st.one_of(st.none(), st.integers(2, 1000)),
    pollers=st.one_of(st.none(), st.builds(Pollers, least=st.integers(2, 20), most=st.integers(20, 200))),
)
_loads = st.builds(
    Load,
    rate=st.floats(0.1, 1e6),
    worker_ms=st.floats(1, 5000),
    poison=st.floats(0, 1),
    transient=st.floats(0, 0.9),
    size=st.integers(1, 100_000),
    outage_at=st.sampled_from([0, 300]),
    outage=st.integers(0, 3600),
    redrive_rate=st.sampled_from([0.0, 50.0]),
)
_few = settings(max_examples=25, deadline=None)


@_few
@given(_pipelines, _loads)
def test_every_event_is_somewhere(pipeline: Pipeline, load: Load) -> None:
    """At the end of each step: done, dead, expired or waiting; and no more of anything than there can be."""
    for minute in simulate(pipeline, load, step=60, until=7200).minutes:
        there = minute.succeeded + minute.dead + minute.expired + minute.waiting
        assert there == pytest.approx(minute.arrived, rel=1e-9, abs=1e-3)
        assert min(minute.succeeded, minute.dead, minute.expired, minute.visible) >= 0
        assert minute.arrived == pytest.approx(load.rate * minute.minute * 60)


@_few
@given(_pipelines, _loads)
def test_no_limit_is_passed(pipeline: Pipeline, load: Load) -> None:
    """Whatever the load: invocations, and messages in flight."""
    course = simulate(pipeline, load, step=20, until=7200)

    for limit in limits.consumer(pipeline, load):
        assert course.most_concurrency <= limit.slots * (1 + 1e-9)
        assert course.succeeded <= limit.rate * limits.attempts(pipeline, load) * course.ends * (1 + 1e-9)
    assert course.most_flight <= figures.IN_FLIGHT.value * (1 + 1e-9)


@_few
@given(st.floats(1, 1000), st.floats(1, 3), st.integers(0, 3600), st.integers(0, 3600))
def test_more_load_and_a_longer_outage_are_never_better(rate: float, times: float, outage: int, longer: int) -> None:
    """For the backlog, its age and the time until it is worked off."""
    pipeline = replace(_DEV, max_concurrency=40)

    def run(rate: float, outage: int) -> Course:
        return simulate(pipeline, Load(rate=rate, worker_ms=50, outage=outage + STEP, **_AT_ONCE))

    def badness(course: Course) -> tuple[float, float, float]:
        return course.peak, course.oldest, inf if course.drained is None else course.drained

    less = badness(run(rate, outage))
    for more in (badness(run(rate * times, outage)), badness(run(rate, outage + longer))):
        assert all(b >= a * (1 - 1e-9) - STEP for a, b in zip(less, more, strict=True))


@_few
@given(st.floats(1, 1000), st.floats(1, 500), st.integers(2, 500), st.integers(0, 500), st.sampled_from([0, 1800]))
def test_more_invocations_are_never_worse(rate: float, worker_ms: float, most: int, more: int, outage: int) -> None:
    """For the backlog, its age and the time until it is worked off, with a breaker that opens with the outage."""
    load = Load(rate=rate, worker_ms=worker_ms, outage=outage, **_AT_ONCE)
    less, better = (simulate(replace(_DEV, max_concurrency=count), load) for count in (most, most + more))

    assert better.peak <= less.peak * (1 + 1e-9) + rate * STEP
    assert better.oldest <= less.oldest + STEP
    if less.drained is not None:
        assert better.drained is not None
        assert better.drained <= less.drained + 2 * STEP


@pytest.mark.parametrize("outage", [600, 3600, 7200])
def test_with_the_breaker_an_outage_costs_no_receives(outage: int) -> None:
    """However long it is; without one the same outage uses them up."""
    load = Load(rate=30, worker_ms=50, outage=outage, **_AT_ONCE)

    paused = simulate(_DEV, load)
    running = simulate(replace(_DEV, breaker_hold=0), load)

    assert (paused.failed_receives, paused.lost_good) == (0, 0)
    assert paused.receives == pytest.approx(paused.succeeded)
    assert running.failed_receives > 0


def test_until_the_pause_takes_hold_each_message_spends_one_receive() -> None:
    """What is received in those 30 seconds is handed back for longer than they last."""
    course = simulate(_DEV, Load(rate=30, worker_ms=50, outage=3600))

    assert course.failed_receives == pytest.approx(30 * 30)
    assert course.resumed == 600 + 3600 + 60
    assert course.lost_good == 0


def test_an_outage_longer_than_the_waits_kills_good_events_without_breaker() -> None:
    """Those that came early in it: a wait of 2,730 s before the last receive is not three hours."""
    load = Load(rate=1, worker_ms=50, outage=3 * 3600)

    course = simulate(replace(_DEV, breaker_hold=0), load)
    short = simulate(replace(_DEV, breaker_hold=0), replace(load, outage=1800))

    assert course.lost_good > 1000
    assert short.lost_good == 0


def test_the_backlog_of_an_outage_is_what_came_in_it() -> None:
    """Rate x outage, worked off in backlog / (capacity - rate)."""
    load = Load(rate=20, worker_ms=50, outage=3600, **_AT_ONCE)
    capacity = limits.capacity(_DEV, load)

    course = simulate(_DEV, load)

    assert capacity == pytest.approx(2 * 10 / 0.53)
    assert course.peak == pytest.approx(20 * 3600, rel=1e-3)
    assert course.oldest == 3600
    assert course.drained is not None
    assert course.drained - course.resumed == pytest.approx(20 * 3600 / (capacity - 20), abs=2 * STEP)


def test_a_stable_queue_is_as_busy_as_its_load() -> None:
    """Little's law: invocations at once = batches a second x seconds of a batch, and nothing is left waiting."""
    pipeline = replace(_DEV, batch_size=1, window=0, max_concurrency=50)
    load = Load(rate=100, worker_ms=70, batch_ms=30, account_concurrency=1000)

    course = simulate(pipeline, load)

    assert course.minutes[-1].concurrency == pytest.approx(100 * 0.1)
    assert course.minutes[-1].visible == 0
    assert course.invocations == pytest.approx(course.arrived)


@pytest.mark.parametrize(("batch_size", "worker_ms"), [(1, 70), (10, 50), (100, 20), (10, 2500)])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_invocations_are_as_busy_as_a_queue_with_constant_service_says(
    batch_size: int, worker_ms: float, share: float
) -> None:
    """M/D/c: below the capacity nothing is left, above it c invocations are busy all the time, and the rest grows."""
    pipeline = replace(_DEV, batch_size=batch_size, window=0, max_concurrency=5)
    load = Load(rate=1, worker_ms=worker_ms)
    capacity = 5 * batch_size / seconds(load, batch_size)

    below = simulate(pipeline, replace(load, rate=share * capacity)).minutes[-1]
    above = simulate(pipeline, replace(load, rate=capacity / share)).minutes[-1]

    assert limits.capacity(pipeline, load) == pytest.approx(capacity)
    assert share * capacity * worker_ms / 1000 <= below.concurrency <= 5 * (1 + 1e-9)
    assert below.waiting == pytest.approx(0, abs=1e-3)
    assert above.concurrency == pytest.approx(5)
    assert above.waiting == pytest.approx((capacity / share - capacity) * 3600, rel=1e-3)


def test_a_backlog_is_worked_off_by_the_pollers_receives() -> None:
    """Backlog / (capacity - rate), where the pollers' ten receives of ten messages a second are the capacity."""
    pipeline = replace(_DEV, max_concurrency=None, pollers=Pollers(least=4, most=4), throttle_rate=None)
    load = Load(rate=300, worker_ms=1, outage=3600, **_AT_ONCE)

    course = simulate(pipeline, load)

    assert course.drained is not None
    assert course.drained - course.resumed == pytest.approx(300 * 3600 / (400 - 300), abs=2 * STEP)


def test_what_waits_for_a_retry_fills_what_may_be_in_flight() -> None:
    """Without a breaker: SQS gives out no more than 120,000 that are neither deleted nor back."""
    course = simulate(replace(_DEV, breaker_hold=0, max_concurrency=1000), Load(rate=2000, worker_ms=1, outage=3600))

    assert course.most_flight == pytest.approx(figures.IN_FLIGHT.value)
    assert course.peak > 2000 * 1800


def test_what_waits_for_a_retry_is_kept_no_longer_than_the_rest() -> None:
    """SQS deletes a message after its retention, in flight or not."""
    pipeline = replace(_DEV, breaker_hold=0, retention=900)

    course = simulate(pipeline, Load(rate=1, worker_ms=1, outage=7200))

    assert course.oldest <= 900 + STEP
    assert course.expired > 0


def test_the_longest_outage_takes_no_more_steps_than_a_day() -> None:
    """A plan is to be there in seconds: what lasts long is looked at in minutes."""
    course = simulate(_DEV, Load(rate=10, worker_ms=50, outage=14 * 86_400))

    assert len(course.steps) < 86_400 / STEP * 1.5
    assert course.expired == pytest.approx(10 * (14 - 4) * 86_400, rel=1e-2)
    assert course.oldest == pytest.approx(4 * 86_400, abs=60)


@pytest.mark.parametrize(
    ("pollers", "wanted"),
    [(None, [305, 605, 905, 1205, 1250]), (Pollers(least=10, most=400), [1100, 2100, 3100, 4000, 4000])],
)
def test_invocations_are_added_at_the_published_pace(pollers: Pollers | None, wanted: list[int]) -> None:
    """While more waits than can be worked, up to the most of the mode."""
    pipeline = replace(_DEV, max_concurrency=None, pollers=pollers, batch_size=1, window=0)
    load = Load(rate=10_000, worker_ms=10_000, size=1, account_concurrency=100_000)

    minutes = simulate(pipeline, load, until=300 + STEP).minutes

    before = (300 if pollers is None else 1000) * STEP / 60  # the step under way
    least = [count - before for count in wanted]
    assert all(a <= minute.concurrency + 1e-6 <= b + 1e-3 for a, minute, b in zip(least, minutes, wanted, strict=True))


def test_groups_bound_a_fifo_queue() -> None:
    """No more invocations than groups."""
    load = Load(rate=1000, worker_ms=100, groups=7)

    assert limits.slots(replace(_DEV, fifo=True, max_concurrency=20), load) == 7


def test_pollers_are_bound_by_their_receives_where_batches_are_quick() -> None:
    """Ten polls of ten messages a second each, however short the invocations are."""
    pipeline = replace(_DEV, max_concurrency=None, pollers=Pollers(least=2, most=4))

    (first, *_) = limits.consumer(pipeline, Load(rate=1000, worker_ms=1))

    assert (first.name, first.rate) == ("pollers' receives", 400)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 10_000_000))
def test_the_waits_are_the_workers_own(count: int, most: int, outage: int) -> None:
    """Tools may not import the worker; the two say the same."""
    wanted = trip_wire.seconds_to_outlast(count, max_receive_count=most, outage_seconds=outage)

    assert seconds_to_outlast(count, max_receive_count=most, outage_seconds=outage) == wanted


def test_waits_are_spread_as_full_jitter_is() -> None:
    """Over 0 to base x 2^n, and not beyond the most; after a failure of the downstream never below what outlasts it."""
    assert waits(_DEV, 3, downstream=False) == [1.0, 3.0, 5.0, 7.0]
    assert waits(_DEV, 20, downstream=False) == [37.5, 112.5, 187.5, 262.5]
    assert waits(_DEV, 4, downstream=True) == [2730.0] * 4
    assert waits(replace(_DEV, breaker_hold=0), 1, downstream=True) == [0.25, 0.75, 1.25, 1.75]


def test_redrive_brings_all_dead_letters_back() -> None:
    """As new messages, once the backlog is worked off; poison that comes afterwards stays dead."""
    load = Load(rate=10, worker_ms=50, poison=0.1, outage=600, redrive_rate=20)

    course = simulate(_DEV, load)
    without = simulate(_DEV, replace(load, redrive_rate=0))

    assert course.drained == without.drained
    assert course.drained is not None
    assert course.redriven is not None
    letters = 10 * 0.1 * course.drained
    assert course.redriven - course.drained == pytest.approx(letters / 20, abs=2 * STEP)
    assert course.poison < without.poison


def test_what_outlives_the_retention_is_lost_and_told() -> None:
    """SQS deletes it without a word."""
    made = report.make(replace(_DEV, retention=1800), Load(rate=10, worker_ms=50, outage=7200))

    assert made.course.expired == pytest.approx(10 * (7200 + 60 - 1800), rel=0.02)
    assert any("are lost: the queue keeps them for 30 min only" in problem for problem in made.problems)


@pytest.mark.parametrize(
    ("pipeline", "load", "problem", "knob"),
    [
        (_DEV, Load(rate=20, worker_ms=50), "", "none is needed"),
        (_DEV, Load(rate=50, worker_ms=80, outage=10_800), "the backlog never ends", "workerMaxConcurrency 17"),
        (_DEV, Load(rate=20, worker_ms=40_000), "no event is ever done", "workerTimeoutSeconds 42 or more"),
        (
            replace(_DEV, name="orders"),
            Load(rate=20, worker_ms=40_000),
            "no event is ever done",
            "ordersWorkerTimeoutSeconds 42 or more",
        ),
        (_DEV, Load(rate=20, worker_ms=900_000), "no event is ever done", "a shorter step"),
        (replace(_DEV, max_concurrency=900), Load(rate=150, worker_ms=50), "get 429", "throttleRate 188"),
        (
            replace(_DEV, max_concurrency=900),
            Load(rate=12_000, worker_ms=50, size=500),
            "get 429",
            "send batches: 15,000 requests/s are more than an account has",
        ),
        (_DEV, Load(rate=150, worker_ms=50), "the backlog never ends", "workerMaxConcurrency 10; throttleRate 188"),
        (
            replace(_DEV, retention=7200, max_concurrency=20),
            Load(rate=10, worker_ms=50, outage=4 * 3600),
            "events are lost",
            "messageRetentionSeconds 21600",
        ),
        (replace(_DEV, reserved_concurrency=0), Load(rate=1, worker_ms=50), "lets 0 of 1 events/s", "raise it"),
        (
            replace(_DEV, name="lake", takes_pollers=False, throttle_rate=None),
            Load(rate=15_000, worker_ms=500, account_concurrency=50_000),
            "workerMaxConcurrency lets 3.98",
            "raise it",
        ),
        (
            replace(_DEV, throttle_rate=None),
            Load(rate=15_000, worker_ms=500, account_concurrency=50_000),
            "workerMaxConcurrency lets 3.98",
            "provisionedPollers 200 to 944",
        ),
        (
            replace(_DEV, throttle_rate=None),
            Load(rate=100_000, worker_ms=500, account_concurrency=500_000),
            "the backlog never ends",
            "provisionedPollers 200 to 6,288 (the configuration takes 2,000, as the Pulumi provider does)",
        ),
        (
            replace(_DEV, breaker_hold=0, max_concurrency=20),
            Load(rate=20, worker_ms=50, outage=10_800),
            "use up their 5 receives",
            "breakerHoldSeconds 60",
        ),
    ],
)
def test_problem_and_knob(pipeline: Pipeline, load: Load, problem: str, knob: str) -> None:
    """The plan says what goes wrong, and what to turn; and that knob is tried."""
    made = report.make(pipeline, load)

    assert any(problem in found for found in made.problems) or (not problem and not made.problems)
    assert made.knob.startswith(knob)
    if knob.startswith("workerMax"):
        assert made.variants[-1].name == knob.partition(";")[0]
        assert made.variants[-1].course.drained is not None


@pytest.mark.parametrize("rate", [10, 1000, 1_000_000])
@pytest.mark.parametrize("outage", [0, 10_800])
def test_a_plan_is_one_screen(rate: int, outage: int) -> None:
    """Of 80 columns and 40 lines, with every part."""
    load = Load(rate=rate, worker_ms=50, outage=outage, poison=0.01, transient=0.1, redrive_rate=100)
    lines = report.lines(report.make(_DEV, load), stack="dev")

    assert max(map(len, lines)) <= 80
    assert len(lines) <= 40
    heads = {line[:10].strip() for line in lines}
    assert {"Knob", "Limits", "Not known"} <= heads
    assert heads & {"Problem", "Happens"}


def test_programs_get_the_same() -> None:
    """Each variant with its minutes."""
    made = report.make(_DEV, Load(rate=20, worker_ms=50, outage=600))
    told: dict[str, Any] = json.loads(json.dumps(report.as_json(made, stack="dev")))

    assert [variant["name"] for variant in told["variants"]] == [
        "as configured",
        "without breaker",
        "pollers 2 to 2",
    ]
    assert told["variants"][0]["minutes"][0]["arrived"] == 20 * 60
    assert told["limits"][0] == {
        "name": "workerMaxConcurrency",
        "eventsPerSecond": pytest.approx(20 / 0.53),
        "knob": "raise it",
        "door": False,
    }


def test_a_knob_answers_its_problem() -> None:
    """With the keys set as they are named, the plan has no problem left."""
    load = Load(rate=150, worker_ms=50, outage=4 * 3600)
    made = report.make(replace(_DEV, retention=7200), load)

    assert made.settings == {"messageRetentionSeconds": 21_600, "workerMaxConcurrency": 40, "throttleRate": 188}
    turned = replace(_DEV, retention=21_600, max_concurrency=40, throttle_rate=188)
    assert report.make(turned, load).problems == ()
    told = " ".join(line.strip() for line in report.lines(made, stack="dev"))
    assert "--set messageRetentionSeconds=21600 --set workerMaxConcurrency=40 --set throttleRate=188 plans" in told


def test_what_is_lost_anyway_needs_no_invocations() -> None:
    """Of an outage that no retention outlasts, only what the queue has kept is to be worked off within the hour."""
    pipeline, load = replace(_DEV, max_concurrency=20), Load(rate=10, worker_ms=50, outage=14 * 86_400)
    course = Course(expired=1, drained=900_000)

    tuned, knob = report.advice(pipeline, load, course)

    kept = 10 * (1 + 4 * 24) * 0.53 / 10  # four days of events and what comes meanwhile, an hour long
    assert tuned == replace(pipeline, max_concurrency=ceil(kept))
    assert knob.startswith("no retention is long enough, SQS keeps a message for 14 d at most: hold events back; ")


def test_the_breaker_as_a_knob_is_told_by_its_name() -> None:
    """It is a variant anyway, and no other value of what is turned then."""
    made = report.make(replace(_DEV, breaker_hold=0, max_concurrency=20), Load(rate=20, worker_ms=50, outage=10_800))

    assert [variant.name for variant in made.variants][:2] == ["as configured", "with breaker"]
    assert len({variant.pipeline for variant in made.variants}) == len(made.variants)
    assert made.settings == {"breakerHoldSeconds": 60}


@pytest.mark.parametrize(("size", "units"), [(600, 1), (1024, 2), (4096, 5), (128 * 1024, 129), (1_048_576, 1)])
def test_a_record_keeps_the_payload_beside_its_own_fields(size: int, units: int) -> None:
    """Each of its two writes is paid, and limited, by the kilobyte; a payload over 128 KB is not kept in it."""
    assert limits.writes(_DEV, Load(rate=1, worker_ms=50, size=size)) == 2 * units


def test_an_invocation_has_no_more_than_six_megabytes() -> None:
    """A batch of large messages is never full."""
    load = Load(rate=1, worker_ms=50, size=1_048_576)

    assert batch(_DEV, load) == 5
    assert any("5 messages are the 6 MB" in note for note in report.make(_DEV, load).notes)


def test_orders_are_put_on_the_bus_one_by_one() -> None:
    """By the API, before the worker's own events, of which ten are a call."""
    (events, orders) = (
        next(limit.rate for limit in limits.consumer(one, Load(rate=1, worker_ms=1)) if "PutEvents" in limit.name)
        for one in (_DEV, replace(_DEV, name="orders", puts=1))
    )

    assert [events, orders] == pytest.approx([100_000, 10_000 / 1.1])


def test_rules_are_a_matter_where_an_event_matches_one() -> None:
    """Successes that nobody is told of reach no target, however many there are."""

    def is_told(targets: int) -> bool:
        notes = report.make(replace(_DEV, targets=targets), Load(rate=20_000, worker_ms=50)).notes
        return any("EventBridge delays events" in note for note in notes)

    assert [is_told(targets) for targets in (0, 1)] == [False, True]


def test_only_what_can_be_configured_is_tried() -> None:
    """The key provisionedPollers is of the events queue."""
    made = report.make(replace(_DEV, name="lake", takes_pollers=False), Load(rate=50, worker_ms=80))

    assert [variant.name for variant in made.variants] == ["as configured", "workerMaxConcurrency 6"]
    assert not any("provisionedPollers" in limit.knob for limit in made.limits)


def test_receives_are_told_of_what_is_over() -> None:
    """What still waits has cost none: of a queue that only grows each event that is done has cost one."""
    course = simulate(_DEV, Load(rate=500, worker_ms=50))

    assert course.receives_an_event == pytest.approx(1)
    assert simulate(_DEV, Load(rate=1, worker_ms=40_000)).receives_an_event == 0


def test_what_it_bears_is_asked_without_a_rate() -> None:
    """Four fifths of the first limit are planned, and that limit is told."""
    load = report.usual(_DEV, Load(rate=1, worker_ms=80))
    made = report.make(_DEV, load)

    assert load.rate == pytest.approx(0.8 * 20 / 0.83)
    assert made.bears.name == "workerMaxConcurrency"
    assert made.bears.rate == pytest.approx(20 / 0.83)
    assert made.problems == ()
    assert report.usual(_DEV, Load(rate=1, worker_ms=40_000)).rate == 0.01


def test_what_a_redrive_does_is_told() -> None:
    """How many go back, from when on and how long it takes; that there is nothing to go back, too."""

    def told(load: Load) -> str:
        return " ".join(" ".join(report.lines(report.make(_DEV, load), stack="dev")).split())

    load = Load(rate=10, worker_ms=50, poison=0.1, outage=600, redrive_rate=20)
    assert "dead letters go back, repaired, at 20 a second from" in told(load)
    assert "there is no dead letter to go back" in told(replace(load, poison=0))
    assert "none begins: the backlog is not worked off" in told(replace(load, rate=500))


def test_pollers_are_priced_by_the_hour() -> None:
    """The least of them are always there: 730 hours of 0.00925 dollars."""
    made = report.make(_DEV, Load(rate=100, worker_ms=500))

    told = " ".join(" ".join(report.lines(made, stack="dev")).split())
    assert "pollers 3 to 7: $20.26 to $47.27 a month more." in told


def test_lines_of_a_fifo_queue_fit_too() -> None:
    """80 columns, whichever limits are shown."""
    load = Load(rate=10, worker_ms=50, groups=1)

    assert max(map(len, report.lines(report.make(replace(_DEV, fifo=True, window=0), load), stack="dev"))) <= 80


def test_batches_that_do_not_fit_the_time_out_are_cut() -> None:
    """The worker hands back what it cannot end before its deadline."""
    load = Load(rate=1, worker_ms=4000)

    assert batch(_DEV, load) == 7
    assert seconds(load, 7) == pytest.approx(28.03)
    assert any("7 are worked" in note for note in report.make(_DEV, load).notes)


def test_each_figure_has_a_source_and_a_day() -> None:
    """And none stands twice."""
    assert len({(figure.what, figure.unit) for figure in figures.FIGURES}) == len(figures.FIGURES)
    for figure in figures.FIGURES:
        assert figure.source.startswith("https://")
        assert figure.looked_up.startswith("20")
        assert figure.value == ceil(figure.value) > 0
