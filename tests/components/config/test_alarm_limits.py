"""What the configuration key `alarms` does to the catalogue, and what the catalogue never does."""

import re
from dataclasses import replace
from typing import Any

import pytest

from components.config.alarm_limits import AlarmLimits
from components.observability.alarms.catalogue import pipeline_alarms, stack_alarms
from components.observability.alarms.docs import SHARED, TARGETS
from components.observability.alarms.model import Alarm, Burn, Expression, Span


def _with(**limits: float) -> dict[str, Alarm]:
    """The catalogue at these limits."""
    chosen = replace(AlarmLimits(), **limits)  # type: ignore[arg-type]
    found = (*pipeline_alarms(TARGETS, chosen), *stack_alarms(SHARED, chosen))
    return {alarm.name: alarm for alarm in found}


_JUDGED_BY_SEVERAL_PERIODS = ("dlq-not-empty", "queue-backlog", "error-rate", "worker-duration", "retry-storm")
_EVERY_TWO_MINUTES = {"period_seconds": 120}


def _windows(pace: str, times: int) -> Burn:
    """Those of two hours and of ten minutes, so many times as long."""
    source = _with()[f"objective-{pace}-burn"].source
    assert isinstance(source, Burn)
    seconds = {"long": 7200 * times, "short": 600 * times}
    return Burn({name: one._replace(seconds=seconds[name]) for name, one in source.windows.items()})


@pytest.mark.parametrize(
    ("limit", "value", "changed"),
    [
        ("dlq_depth", 3, {"dlq-not-empty": {"threshold": 3}}),
        ("dlq_age_seconds", 61, {"dlq-oldest-age": {"span": Span(2, 2)}}),
        ("dlq_age_seconds", 86_400, {"dlq-oldest-age": {"span": Span(1440, 1440)}}),
        ("dlq_age_seconds", 86_401, {"dlq-oldest-age": {"span": Span(25, 25), "period_seconds": 3600}}),
        ("queue_age_seconds", 60, {"queue-age": {"threshold": 60}, "queue-stalled": {"span": Span(6, 6)}}),
        ("backlog", 50, {"queue-backlog": {"threshold": 50}}),
        ("error_rate_percent", 2.5, {"error-rate": {"threshold": 2.5}}),
        ("attempts_per_event", 1.5, {"retry-storm": {"threshold": 1.5}}),
        (
            "objective_percent",
            95,
            {"objective-fast-burn": {"threshold": 72}, "objective-slow-burn": {"threshold": 30}},
        ),
        (
            "objective_window_seconds",
            7200,
            {
                f"objective-{pace}-burn": {"source": _windows(pace, times)}
                for pace, times in {"fast": 1, "slow": 6}.items()
            },
        ),
        ("duration_percent", 50, {"worker-duration": {"threshold": 15_000}}),
        (
            "evaluation_periods",
            2,
            {name: {"span": Span(2, 2)} for name in _JUDGED_BY_SEVERAL_PERIODS}
            | {"queue-age": {"span": Span(1, 2)}, "queue-stalled": {"span": Span(7, 7)}},
        ),
        (
            "period_seconds",
            120,
            dict.fromkeys(_with(), _EVERY_TWO_MINUTES)
            | {"dlq-oldest-age": {**_EVERY_TWO_MINUTES, "span": Span(3, 3)}}  # of 300 seconds
            | {"queue-stalled": {**_EVERY_TWO_MINUTES, "span": Span(8, 8)}},  # of 300 seconds and five periods
        ),
    ],
)
def test_each_limit_reaches_its_alarms_only(limit: str, value: float, changed: dict[str, dict[str, Any]]) -> None:
    """Each key of `alarms` changes what it is about, and leaves every other alarm, and every other number, alone."""
    before, after = _with(), _with(**{limit: value})

    assert after == {name: replace(alarm, **changed.get(name, {})) for name, alarm in before.items()}


def test_duration_follows_the_time_out() -> None:
    """The worker is slow at 80 % of whatever time-out it has."""
    slower = {
        alarm.name: alarm for alarm in pipeline_alarms(replace(TARGETS, worker_timeout_seconds=60), AlarmLimits())
    }

    assert slower["worker-duration"].threshold == 48_000


def test_one_batch_is_no_standstill() -> None:
    """A worker that may take longer than messages may wait has a whole batch's time before nothing is finished."""
    slow = {alarm.name: alarm for alarm in pipeline_alarms(replace(TARGETS, worker_timeout_seconds=900), AlarmLimits())}

    assert slow["queue-stalled"].span == Span(20, 20)


@pytest.mark.parametrize("periods", range(1, 25))
def test_most_is_more_than_half(periods: int) -> None:
    """Of any number of periods, fewer than `most_of` asks for leave at least as many that are well."""
    datapoints, of = Span.most_of(periods)

    assert of == periods
    assert 2 * (datapoints - 1) <= periods < 2 * datapoints


_CALCULATED = {
    one.name: one.source
    for alarm in _with().values()
    for one in (alarm, *alarm.windows)
    if isinstance(one.source, Expression)
}


@pytest.mark.parametrize("name", _CALCULATED)
def test_formulas_use_what_they_are_given(name: str) -> None:
    """Each variable of a formula is one of its metrics and the other way round, called as CloudWatch allows."""
    source = _CALCULATED[name]
    functions = {"FILL", "IF", "AND"}

    assert set(re.findall(r"[A-Za-z_]\w*", source.formula)) - functions == set(source.metrics)
    assert [variable for variable in source.metrics if not re.fullmatch(r"[a-z][A-Za-z0-9_]*", variable)] == []
    assert len(source.metrics) <= 10  # CloudWatch takes no more in an alarm
