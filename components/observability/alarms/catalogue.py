"""Every alarm, as data. `docs/alarms.md` is made from this list; each alarm has a runbook.

The alarms follow from what the deployed parts are called and from the configuration key `alarms`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypedDict

from components.config import aws_limits
from components.config.alarm_limits import AlarmLimits
from components.observability.alarms import sources
from components.observability.alarms.model import (
    CRITICAL,
    WARNING,
    Alarm,
    Burn,
    Expression,
    Metric,
    Missing,
    PipelineTargets,
    Source,
    Span,
    StackTargets,
    Window,
)

_IDLE_QUEUE = Missing("notBreaching", "SQS says nothing of a queue that nobody has used for six hours, so it is empty")
_NO_OLDEST = Missing("notBreaching", "neither SQS nor the worker reports an age where there is no message")
_NO_OUTCOME = Missing("notBreaching", "the worker reports when an event has come to its end, and none has")
_MINUTE, _HOUR = 60, 3600
_SILENT_MINUTES = 15  # of what is invoked each minute: a late metric or a deployment is no silence
# Google's SRE workbook, Alerting on SLOs: 2 per cent of a month's budget in an hour, 5 per cent in six hours.
_FAST_BURN, _SLOW_BURN = 14.4, 6
_SLOW_TIMES = 6  # as long as the fast one's windows
_FEWEST_MISSED = 10  # of a long window: of few events, one is a large share, and the dead-letter queue tells of it
_NOT_INVOKED = Missing("notBreaching", "Lambda reports only when it is invoked, and what is not invoked can't fail")
_NOBODY_INVOKES = Missing("breaching", "Lambda reports only when it is invoked, which is to be each minute")
_NO_REQUESTS = Missing("notBreaching", "API Gateway reports only when there are requests")
_NO_FAILURE = Missing("notBreaching", "AWS sends this metric only when something failed")
_NO_BATCH = Missing("notBreaching", "the worker reports with each batch, and without one nothing can have failed")
_SILENT_BREAKER = Missing(
    "ignore", "the breaker tells its state every minute; silence is no news, so the last one holds"
)
_SPELT = {"api": "API"}
_CALLER = "its caller got a 5xx"
_LEFT = {  # the effect of a producer that died, where not all have a caller: the lake's ingest has a queue
    "ingest": "its caller got a 5xx, or of the lake's, SQS delivers the notice again",
}
_NOTHING_IGNORED = Missing("notBreaching", "ingest counts what it ignores, which is seldom anything")
_NO_CHECK = Missing("notBreaching", "the gate reports a day that has failed; one that has passed is no news")
_NO_BACKFILL = Missing("notBreaching", "Step Functions reports when an execution ends, and backfills are rare")
_NO_RUN = Missing("notBreaching", "redrive reports when a run ends, which is rare")


def pipeline_alarms(of: PipelineTargets, limits: AlarmLimits) -> Sequence[Alarm]:
    """The alarms of one pipeline."""
    found = (
        *_dead_letters(of, limits),
        *_queue(of, limits),
        *(_notices(of, limits) if of.notices is not None else []),
        *_functions(of, limits),
        *(_gate(of) if of.gate is not None else []),
        *(_committer(of) if of.committer is not None else []),
        *(_backfill(of) if of.backfill is not None else []),
        *_outcomes(of, limits),
        *_objective(of, limits),
        *_control(of),
        Alarm(
            name="subscriber-failed",
            severity=WARNING,
            description="SNS gave up on telling somebody of an outcome: a subscriber did not hear of it.",
            source=_failed_notifications(of.topics),
            missing=_NO_FAILURE,
        ),
    )
    return _every(limits.period_seconds, found)


def stack_alarms(of: StackTargets, limits: AlarmLimits) -> Sequence[Alarm]:
    """The alarms of what the pipelines share."""
    found = (
        Alarm(
            name="api-5xx",
            severity=CRITICAL,
            description="The API answered a request with 5xx: a caller has to repeat it.",
            source=Metric("AWS/ApiGateway", "5xx", {"ApiId": of.api_id}, "Sum"),
            missing=_NO_REQUESTS,
        ),
        Alarm(
            name="table-throttles",
            severity=WARNING,
            description="DynamoDB refuses reads or writes for their rate: work is repeated and takes longer.",
            source=sources.total("throttled requests", sources.table_throttles(of.tables)),
            missing=_NO_FAILURE,
        ),
        Alarm(
            name="notification-failed",
            severity=WARNING,
            description="SNS gave up on telling somebody of an alarm: a subscriber did not hear of it.",
            source=_failed_notifications(of.topics),
            missing=_NO_FAILURE,
        ),
        Alarm(
            name="control-errors",
            severity=WARNING,
            description="A function that no pipeline owns died: redrive, its API, authorizer, webhook or failure mode.",
            source=sources.total(
                "errors", {role: sources.function("Errors", name) for role, name in of.functions.items()}
            ),
            missing=_NOT_INVOKED,
        ),
        Alarm(
            name="control-failures",
            severity=CRITICAL,
            description="Lambda gave up on an invocation whose caller does not wait for it, and has put it aside.",
            source=sources.letters(of.failures),
            missing=_IDLE_QUEUE,
        ),
    )
    unreadable = Alarm(
        name="bus-unreadable",
        severity=CRITICAL,
        description="EventBridge could not use the customer key for events on the bus, and has put them aside.",
        source=sources.letters(of.unreadable),
        missing=_IDLE_QUEUE,
    )
    return _every(limits.period_seconds, (*found, *([unreadable] if of.unreadable is not None else [])))


def _failed_notifications(topics: Mapping[str, object]) -> Source:
    """Failed deliveries of these topics. An alarm takes ten metrics at most, so each pipeline has one of its own."""
    return sources.total(
        "failed notifications",
        {
            role: Metric("AWS/SNS", "NumberOfNotificationsFailed", {"TopicName": topic}, "Sum")
            for role, topic in topics.items()
        },
    )


def _every(period_seconds: int, alarms: Sequence[Alarm]) -> Sequence[Alarm]:
    return tuple(replace(alarm, period_seconds=alarm.period_seconds or period_seconds) for alarm in alarms)


class _Lasting(TypedDict):
    """The fields of an alarm that say for how long."""

    span: Span
    period_seconds: int


def _lasting(seconds: int, limits: AlarmLimits) -> _Lasting:
    """Whatever lasts so long. An alarm whose periods are shorter than an hour looks back a day at most."""
    period = limits.period_seconds if seconds <= aws_limits.DAY else _HOUR
    return {"span": Span.all_of(-(-seconds // period)), "period_seconds": period}


def _dead_letters(of: PipelineTargets, limits: AlarmLimits) -> Sequence[Alarm]:
    undelivered = Alarm(
        name="undelivered",
        severity=CRITICAL,
        description="EventBridge could not deliver events to the main queue, and has put them aside.",
        source=sources.letters(of.undelivered),
        missing=_IDLE_QUEUE,
    )
    return (
        *([undelivered] if of.undelivered is not None else []),
        Alarm(
            name="dlq-not-empty",
            severity=CRITICAL,
            description="Letters are on the dead-letter queue now: events that were accepted are not processed.",
            source=sources.letters(of.dlq),
            threshold=limits.dlq_depth,
            span=Span.all_of(limits.evaluation_periods),
            missing=_IDLE_QUEUE,
        ),
        Alarm(
            name="dlq-oldest-age",
            severity=WARNING,
            description="Letters stay on the dead-letter queue: nobody acts, and SQS deletes them in the end.",
            # not SQS's age: it forgets a letter that three previews have received
            source=sources.letters(of.dlq),
            missing=_IDLE_QUEUE,
            **_lasting(limits.dlq_age_seconds, limits),
        ),
    )


def _queue(of: PipelineTargets, limits: AlarmLimits) -> Sequence[Alarm]:
    return (
        Alarm(
            name="queue-age",
            severity=CRITICAL,
            description="Events wait too long for the worker.",
            source=Expression(
                "IF(FILL(retried, 0) > FILL(age, 0), FILL(retried, 0), FILL(age, 0))",
                {
                    "age": sources.queue("ApproximateAgeOfOldestMessage", of.queue),
                    # SQS's age leaves out what was received three times or more; the worker tells of those it has
                    "retried": sources.own(of, "RetriedAge", "Maximum"),
                },
                "age of the oldest message",
            ),
            threshold=limits.queue_age_seconds,
            span=Span.any_of(limits.evaluation_periods),
            missing=_NO_OLDEST,
        ),
        Alarm(
            name="queue-backlog",
            severity=WARNING,
            description="More events come in than the worker gets through.",
            source=sources.queue("ApproximateNumberOfMessagesVisible", of.queue),
            threshold=limits.backlog,
            span=Span.all_of(limits.evaluation_periods),
            missing=_IDLE_QUEUE,
        ),
        Alarm(
            name="queue-stalled",
            severity=CRITICAL,
            description="Events wait or are tried again, and none is finished: the worker does not work at all.",
            source=_stalled(of.queue),
            missing=_IDLE_QUEUE,
            **_lasting(_quiet(of.worker_timeout_seconds, limits), limits),
        ),
    )


def _quiet(timeout_seconds: int, limits: AlarmLimits) -> int:
    """Seconds long enough for the oldest message to be too old, and for one batch to end."""
    return max(limits.queue_age_seconds, timeout_seconds) + limits.evaluation_periods * limits.period_seconds


def _stalled(queue: object) -> Source:
    return Expression(
        # SQS reports deletions only when there are some; without the filling the comparison would be missing
        "IF(visible + hidden > 0 AND FILL(deleted, 0) < 1, 1, 0)",
        {**sources.in_queue(queue), "deleted": sources.queue("NumberOfMessagesDeleted", queue, "Sum")},
        "messages and no deletion",
    )


def _notices(of: PipelineTargets, limits: AlarmLimits) -> Sequence[Alarm]:
    return (
        Alarm(
            name="notices-dead",
            severity=CRITICAL,
            description="Notices are on their dead-letter queue: objects that were uploaded are not ingested.",
            source=sources.letters(of.notices_dlq),
            threshold=limits.dlq_depth,
            span=Span.all_of(limits.evaluation_periods),
            missing=_IDLE_QUEUE,
        ),
        Alarm(
            name="notices-stalled",
            severity=CRITICAL,
            description="Objects wait or are tried again, and none is ingested: ingest does not work at all.",
            source=_stalled(of.notices),
            missing=_IDLE_QUEUE,
            **_lasting(_quiet(of.notices_timeout_seconds, limits), limits),
        ),
        Alarm(
            name="notices-backlog",
            severity=WARNING,
            description="More objects are uploaded than ingest gets through.",
            source=sources.queue("ApproximateNumberOfMessagesVisible", of.notices),
            threshold=limits.backlog,
            span=Span.all_of(limits.evaluation_periods),
            missing=_IDLE_QUEUE,
        ),
        Alarm(
            name="objects-ignored",
            severity=WARNING,
            description="Objects were uploaded whose names say that they are nothing for the lake: nobody reads them.",
            source=sources.own(of, "ObjectsIgnored", "Sum"),
            missing=_NOTHING_IGNORED,
        ),
    )


def _functions(of: PipelineTargets, limits: AlarmLimits) -> Sequence[Alarm]:
    functions = {**of.producers, "worker": of.worker}
    producers = [
        Alarm(
            name=f"{role}-errors",
            severity=CRITICAL,
            description=f"The {_SPELT.get(role, role)} function died instead of answering: {_LEFT.get(role, _CALLER)}.",
            source=sources.function("Errors", name),
            missing=_NOT_INVOKED,
        )
        for role, name in of.producers.items()
    ]
    return (
        *producers,
        Alarm(
            name="worker-errors",
            severity=WARNING,
            description="The worker died or timed out: a whole batch is delivered again and has spent a receive.",
            source=sources.function("Errors", of.worker),
            missing=_NOT_INVOKED,
        ),
        Alarm(
            name="throttles",
            severity=WARNING,
            description=f"Lambda refuses invocations of {' or '.join(functions)} for want of concurrency.",
            source=sources.total(
                "throttled invocations",
                {role: sources.function("Throttles", name) for role, name in functions.items()},
            ),
            missing=_NOT_INVOKED,
        ),
        Alarm(
            name="worker-duration",
            severity=WARNING,
            description="The slowest batches come near the worker's time-out, where they would start over.",
            source=sources.function("Duration", of.worker, "p99"),
            comparison="GreaterThanOrEqualToThreshold",
            threshold=of.worker_timeout_seconds * 10 * limits.duration_percent,  # ms: 1000 / 100 per cent
            span=Span.most_of(limits.evaluation_periods),
            missing=_NOT_INVOKED,
        ),
    )


def _gate(of: PipelineTargets) -> Sequence[Alarm]:
    return (
        Alarm(
            name="quality-failed",
            severity=WARNING,
            description="A day of silver is not what its type expects of it: it is marked, and where it was.",
            source=sources.own(of, "QualityFailed", "Sum"),
            missing=_NO_CHECK,
        ),
        Alarm(
            name="gate-errors",
            severity=WARNING,
            description="The quality gate could not check a day of silver, or died: the day has no verdict yet.",
            source=sources.function("Errors", of.gate),
            missing=_NOT_INVOKED,
        ),
    )


def _committer(of: PipelineTargets) -> Sequence[Alarm]:
    return (
        Alarm(
            name="committer-errors",
            severity=WARNING,
            description="The committer failed: chunks are done, and their tables' readers miss their rows.",
            source=sources.function("Errors", of.committer),
            missing=_NOT_INVOKED,
            period_seconds=_MINUTE,  # it is invoked each minute: between two rounds nothing is over
        ),
        Alarm(
            name="committer-silent",
            severity=WARNING,
            description="Nothing invokes the committer: what is written to silver does not become part of its tables.",
            source=sources.function("Invocations", of.committer),
            missing=_NOBODY_INVOKES,
            comparison="LessThanThreshold",
            threshold=1,
            span=Span.all_of(_SILENT_MINUTES),
            period_seconds=_MINUTE,
        ),
    )


def _backfill(of: PipelineTargets) -> Sequence[Alarm]:
    return (
        Alarm(
            name="backfill-failed",
            severity=WARNING,
            description="A backfill has ended before all of its objects were announced. What was announced is worked.",
            source=Metric("AWS/States", "ExecutionsFailed", {"StateMachineArn": of.backfill}, "Sum"),
            missing=_NO_BACKFILL,
        ),
        Alarm(
            name="backfill-errors",
            severity=WARNING,
            description="The function that announces a backfill's objects failed or died: Step Functions tries again.",
            source=sources.function("Errors", of.backfill_function),
            missing=_NOT_INVOKED,
        ),
    )


def _outcomes(of: PipelineTargets, limits: AlarmLimits) -> Sequence[Alarm]:
    failed = "FILL(dead, 0) + FILL(retried, 0)"
    done = f"FILL(succeeded, 0) + {failed}"
    counts = {"succeeded": "Succeeded", "dead": "DeadLettered", "retried": "Retried"}
    return (
        Alarm(
            name="error-rate",
            severity=WARNING,
            description="Too many attempts on events fail, for good or for now.",
            source=Expression(
                f"IF(({done}) > 0, 100 * ({failed}) / ({done}), 0)",
                {variable: sources.own(of, metric, "Sum") for variable, metric in counts.items()},
                "failed attempts, per cent",
            ),
            threshold=limits.error_rate_percent,
            span=Span.most_of(limits.evaluation_periods),
            missing=_NO_BATCH,
        ),
        Alarm(
            name="event-delivery-failed",
            severity=CRITICAL,
            description="EventBridge gave up on an event of this pipeline: nobody will deliver it again.",
            source=sources.total(
                "events not delivered",
                {
                    role: Metric("AWS/Events", "FailedInvocations", {"EventBusName": of.bus, "RuleName": rule}, "Sum")
                    for role, rule in of.rules.items()
                },
            ),
            missing=_NO_FAILURE,
        ),
    )


def _objective(of: PipelineTargets, limits: AlarmLimits) -> Sequence[Alarm]:
    """How fast what may miss the objective in a month is used up, and what events cost in attempts."""
    budget = 100 - limits.objective_percent
    long = limits.objective_window_seconds
    short = max(long // 12, limits.period_seconds)
    return (
        Alarm(
            name="objective-fast-burn",
            severity=CRITICAL,
            description="So many events are late or dead that the month's error budget would be gone in two days.",
            source=_burn(of, long, short),
            threshold=round(_FAST_BURN * budget, 4),
            missing=_NO_OUTCOME,
        ),
        Alarm(
            name="objective-slow-burn",
            severity=WARNING,
            description="More events are late or dead, for hours, than the objective allows: the month's won't be met.",
            source=_burn(of, _SLOW_TIMES * long, _SLOW_TIMES * short),
            threshold=round(_SLOW_BURN * budget, 4),
            missing=_NO_OUTCOME,
        ),
        Alarm(
            name="retry-storm",
            severity=WARNING,
            description="Each event takes several receives until it is finished: the worker mostly does work again.",
            source=Expression(
                "IF(FILL(deleted, 0) > 0, received / deleted, 0)",
                {
                    "received": sources.queue("NumberOfMessagesReceived", of.queue, "Sum"),
                    "deleted": sources.queue("NumberOfMessagesDeleted", of.queue, "Sum"),
                },
                "receives for each message that is finished",
            ),
            threshold=limits.attempts_per_event,
            span=Span.most_of(limits.evaluation_periods),
            missing=_IDLE_QUEUE,
        ),
    )


def _burn(of: PipelineTargets, long: int, short: int) -> Burn:
    """A window that shows that it matters, and a short one that shows that it has not ended yet."""
    share = Expression(
        f"IF(missed < {_FEWEST_MISSED}, 0, 100 * missed / ended)",
        {"missed": sources.own(of, "Missed", "Sum"), "ended": sources.own(of, "Missed", "SampleCount")},
        "events that missed the objective, per cent",
    )
    now = Expression("100 * missed", {"missed": sources.own(of, "Missed", "Average")}, share.label)
    return Burn({"long": Window(share, long), "short": Window(now, short)})


def _control(of: PipelineTargets) -> Sequence[Alarm]:
    breaker = Alarm(
        name="breaker-open",
        severity=CRITICAL,
        description="The downstream is out: the circuit breaker has paused the worker, and events wait in the queue.",
        source=sources.own(of, "CircuitOpen", "Maximum"),
        missing=_SILENT_BREAKER,
    )
    redrive = Alarm(
        name="redrive-failed",
        severity=WARNING,
        description="A redrive failed or was stopped by its canary: dead letters are still there.",
        source=sources.stopped_redrives(of),
        missing=_NO_RUN,
    )
    died = Alarm(
        name="breaker-errors",
        severity=WARNING,
        description="The circuit breaker's function died: it may neither pause the worker nor let it go on.",
        source=sources.function("Errors", of.breaker),
        missing=_NOT_INVOKED,
    )
    return (breaker, died, redrive) if of.has_breaker else (redrive,)
