"""What an alarm is made of. Dimension values may be texts or Pulumi outputs; nothing here needs to know which."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple, Self, get_args

CRITICAL: Final = "critical"
WARNING: Final = "warning"
RUNBOOKS = "ops/runbooks"
Severity = Literal["critical", "warning"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
Treatment = Literal["breaching", "notBreaching", "ignore", "missing"]
Comparison = Literal["GreaterThanThreshold", "GreaterThanOrEqualToThreshold", "LessThanThreshold"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of CloudWatch, and the statistic (`Sum`, `Maximum`, `p99`) that makes one value of a period."""

    namespace: str
    name: str
    dimensions: Mapping[str, object]
    statistic: str

    @property
    def is_percentile(self) -> bool:
        """Whether the statistic is one that CloudWatch calls extended."""
        return self.statistic.startswith("p")


@dataclass(frozen=True, slots=True)
class Expression:
    """Metric math over named metrics; each name is a variable of the formula."""

    formula: str
    metrics: Mapping[str, Metric]
    label: str


class Window(NamedTuple):
    """What is looked at as a whole for so many seconds, up to now."""

    source: Metric | Expression
    seconds: int


@dataclass(frozen=True, slots=True)
class Burn:
    """One threshold for several windows, which all have to be over it: it goes on, and there is enough of it.

    All metrics of one alarm have one period, so each window is an alarm of its own, which notifies nobody, and a
    composite alarm fires while all of them do.
    """

    windows: Mapping[str, Window]


Source = Metric | Expression | Burn


@dataclass(frozen=True, slots=True)
class Missing:
    """What a period without data means, and why."""

    treatment: Treatment
    reason: str


class Span(NamedTuple):
    """How many of how many periods have to breach the threshold."""

    datapoints: int
    periods: int

    @classmethod
    def all_of(cls, periods: int) -> Self:
        """Every one of the periods: what passes by itself is nobody's business."""
        return cls(periods, periods)

    @classmethod
    def any_of(cls, periods: int) -> Self:
        """One of the periods: a value that is reported now and then holds from one report to the next."""
        return cls(1, periods)

    @classmethod
    def most_of(cls, periods: int) -> Self:
        """More than half of the periods: a value that jumps about is judged by its majority."""
        return cls(periods // 2 + 1, periods)


ONCE = Span(1, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Alarm:
    """One alarm. It fires when `span.datapoints` of the last `span.periods` values compare so with the threshold.

    Without `period_seconds` its periods are as long as those of the other alarms.
    """

    name: str
    severity: Severity
    description: str
    source: Source
    missing: Missing
    threshold: float = 0
    span: Span = ONCE  # what is counted here should not happen at all, or is a duration itself
    period_seconds: int = 0
    comparison: Comparison = "GreaterThanThreshold"

    @property
    def runbook(self) -> str:
        """Path of its runbook in the repository."""
        return f"{RUNBOOKS}/{self.name}.md"

    @property
    def windows(self) -> "Sequence[Alarm]":
        """The alarm of each window, where it has some."""
        windows = self.source.windows if isinstance(self.source, Burn) else {}
        return [
            replace(self, name=f"{self.name}-{name}", source=one.source, period_seconds=one.seconds)
            for name, one in windows.items()
        ]

    @property
    def metrics(self) -> Iterator[Metric]:
        """Every metric that it reads."""
        if isinstance(self.source, Burn):
            for window in self.windows:
                yield from window.metrics
        else:
            yield from [self.source] if isinstance(self.source, Metric) else self.source.metrics.values()


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineTargets:
    """What the alarms of one pipeline watch: names as AWS knows them.

    `namespace` is that of the metrics that the handlers emit. `producers` are the functions that accept work, `rules`
    those on the bus, `topics` those of outcomes, all by role.
    `breaker` is the circuit breaker's function, where there is one. `undelivered` is the queue of events that
    EventBridge could not deliver to the main queue, where it is EventBridge that sends to it. `notices` is the queue
    of what a producer fetches its work from, `notices_dlq` that of what it gave up, and `notices_timeout_seconds` its
    time-out, where it has one. `gate` is the function that checks what the worker has written, and `committer` the one
    that adds it to tables, where there is one.
    `backfill` is the ARN of the state machine that announces objects again, and `backfill_function` its function.
    `is_grouped` says that messages have groups, and `is_fifo` that those keep their order.
    """

    pipeline: str
    namespace: str
    queue: object
    dlq: object
    producers: Mapping[str, object]
    worker: object
    worker_timeout_seconds: int
    bus: object
    rules: Mapping[str, object]
    topics: Mapping[str, object]
    breaker: object | None = None
    undelivered: object | None = None
    notices: object | None = None
    notices_dlq: object | None = None
    notices_timeout_seconds: int = 0
    gate: object | None = None
    committer: object | None = None
    backfill: object | None = None
    backfill_function: object | None = None
    is_grouped: bool = False
    is_fifo: bool = False

    @property
    def has_breaker(self) -> bool:
        """Whether the worker is paused while the downstream is out."""
        return self.breaker is not None

    @property
    def redrives(self) -> Sequence[str]:
        """The names under which redrives of the pipeline emit their metrics."""
        others = {"undelivered": self.undelivered, "notices": self.notices_dlq}
        return (self.pipeline, *(f"{self.pipeline}-{name}" for name, queue in others.items() if queue is not None))


@dataclass(frozen=True, kw_only=True, slots=True)
class StackTargets:
    """What the alarms of a whole stack watch: names as AWS knows them, by role.

    `functions` are those that no pipeline owns, `failures` is the queue of their failed invocations, `unreadable` that
    of events for which the bus could not use the customer key, where there is one.
    """

    api_id: object
    tables: Mapping[str, object]
    topics: Mapping[str, object]
    functions: Mapping[str, object]
    failures: object
    unreadable: object | None = None
