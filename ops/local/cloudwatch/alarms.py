"""Evaluation of one metric alarm by CloudWatch's documented rules.

Sources, all in the CloudWatch user guide: "Evaluating an alarm" (M out of N), "How alarm state is evaluated when data
is missing" (evaluation range, the four treatments, premature transitions), "High-resolution alarms" (evaluated every
10 seconds, others every minute).
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from ops.local.cloudwatch import metric_math

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.local.cloudwatch.metrics import Metric, MetricStore, Series

_EXTRA_PERIODS = 2  # AWS keeps the rule to itself; in all its examples the range is 5 where 3 periods are evaluated
_HIGH_RESOLUTION, _REGULAR = 10, 60  # seconds between evaluations
_ALWAYS_IGNORES = "AWS/DynamoDB"  # PutMetricAlarm: alarms on it ignore missing data whatever they ask for

_COMPARISONS = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
COMPARISONS = frozenset(_COMPARISONS)


class State(StrEnum):
    """State of an alarm."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Missing(StrEnum):
    """What a period without data counts as."""

    MISSING = "missing"
    IGNORE = "ignore"
    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic of a metric, or where `expression` is given, math over those before it."""

    id: str
    metric: Metric | None = None
    statistic: str = ""
    expression: str = ""
    is_result: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Alarm:
    """A metric alarm, as it was deployed. `period` in seconds; `datapoints` of `periods` must breach."""

    name: str
    queries: Sequence[Statistic]
    period: int
    comparison: str
    threshold: float
    periods: int
    datapoints: int
    missing: Missing = Missing.MISSING

    @property
    def range(self) -> int:
        """How many periods an evaluation looks at: more than it evaluates, so that real data fills gaps."""
        return self.periods + _EXTRA_PERIODS

    @property
    def treatment(self) -> Missing:
        """What missing data counts as in the end."""
        namespaces = {query.metric.namespace for query in self.queries if query.metric}
        return Missing.IGNORE if namespaces == {_ALWAYS_IGNORES} else self.missing


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an evaluation says; no state means: as it was."""

    state: State | None
    reason: str = ""


def window_end(now: float, period: int) -> float:
    """End of the last period that is complete at `now`: evaluations are 10 s apart below a minute, else a minute.

    Periods that AWS does not offer (shorter than 10 s) are evaluated as often as they end.
    """
    step = _REGULAR if period >= _REGULAR else min(period, _HIGH_RESOLUTION)
    return now // step * step


def evaluate(alarm: Alarm, store: MetricStore, end: float) -> Verdict:
    """State of an alarm from the data before `end`.

    Raises:
        UnsupportedError: a statistic or an expression is not known on the laptop.
    """
    return judge(alarm, _result(alarm, store, end), end)


def judge(alarm: Alarm, series: Series, end: float) -> Verdict:
    """State of an alarm from the values of its evaluation range, oldest first."""
    breaches = _COMPARISONS[alarm.comparison][0]
    starts = [end - alarm.period * back for back in range(len(series), 0, -1)]
    there = [(at, value) for at, value in zip(starts, series, strict=True) if value is not None]
    evaluated = there[-alarm.periods :]
    breaching = sum(breaches(value, alarm.threshold) for _, value in evaluated)
    gaps = alarm.periods - len(evaluated)
    if not gaps or alarm.treatment in {Missing.BREACHING, Missing.NOT_BREACHING}:
        filled = gaps if alarm.treatment is Missing.BREACHING else 0
        state = State.ALARM if breaching + filled >= alarm.datapoints else State.OK
        return Verdict(state, _reason(alarm, state, evaluated, gaps))
    return _judge_gaps(alarm, evaluated, breaching, end)


def _judge_gaps(alarm: Alarm, evaluated: Sequence[tuple[float, float]], breaching: int, end: float) -> Verdict:
    """Too little data, and the gaps stay gaps (`missing`, `ignore`).

    Data of which some is good decides like any other. Data that is all bad decides once its oldest point is as old as
    the datapoints that an alarm takes: until then the next point may still be good.
    """
    gaps = alarm.periods - len(evaluated)
    all_bad = breaching == len(evaluated)
    if breaching >= alarm.datapoints or not all_bad:
        state = State.ALARM if breaching >= alarm.datapoints else State.OK
    elif alarm.treatment is Missing.IGNORE:
        return Verdict(None)
    elif evaluated and (end - evaluated[0][0]) / alarm.period >= alarm.datapoints:
        state = State.ALARM
    else:
        state = State.INSUFFICIENT_DATA
    return Verdict(state, _reason(alarm, state, evaluated, gaps))


def _result(alarm: Alarm, store: MetricStore, end: float) -> Series:
    series: dict[str, Series] = {}
    for query in alarm.queries:
        if query.metric:
            series[query.id] = store.series(query.metric, query.statistic, alarm.period, end, alarm.range)
    for query in alarm.queries:
        if query.expression:
            series[query.id] = metric_math.evaluate(query.expression, series)
    return next(series[query.id] for query in alarm.queries if query.is_result)


def _reason(alarm: Alarm, state: State, evaluated: Sequence[tuple[float, float]], gaps: int) -> str:
    """The values that made the state, as CloudWatch puts it; where none did, the gaps."""
    compare, words = _COMPARISONS[alarm.comparison]
    is_bad = state is State.ALARM
    shown = [(at, value) for at, value in evaluated if compare(value, alarm.threshold) is is_bad]
    if not shown or state is State.INSUFFICIENT_DATA:
        word = "Insufficient Data" if state is State.INSUFFICIENT_DATA else "Threshold Crossed"
        treated = "" if state is State.INSUFFICIENT_DATA else f" and treated as [{_WORDS[alarm.treatment]}]"
        return f"{word}: {_datapoints(gaps)} unknown{treated}."
    values = ", ".join(f"{value} ({_moment(at)})" for at, value in reversed(shown))
    needed = alarm.datapoints if is_bad else alarm.periods - alarm.datapoints + 1
    verb = "was" if len(shown) == 1 else "were"
    return (
        f"Threshold Crossed: {len(shown)} out of the last {alarm.periods} datapoints [{values}] {verb} "
        f"{'' if is_bad else 'not '}{words} the threshold ({alarm.threshold}) (minimum {needed} for {state}"
        f"{f'; {_datapoints(gaps)} unknown' if gaps else ''})."
    )


def _datapoints(count: int) -> str:
    return "1 datapoint was" if count == 1 else f"{count} datapoints were"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%d/%m/%y %H:%M:%S")


_WORDS = {
    Missing.BREACHING: "Breaching",
    Missing.NOT_BREACHING: "NonBreaching",
    Missing.IGNORE: "Ignore",
    Missing.MISSING: "Missing",
}
