"""The dashboard as data: its body, as CloudWatch calls it. Values may be texts or outputs; the caller serializes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.observability.alarms import sources
from components.observability.alarms.model import Metric, PipelineTargets, StackTargets

Widget = Mapping[str, object]
Line = Sequence[object]

_COLUMNS = 24
_HEIGHT = 6
_PERCENTILES = ("p50", "p95", "p99")
_RECENT_ERRORS = (
    "fields @timestamp, @log, message, errorType, idempotencyKey, requestId",
    'filter level = "ERROR"',
    "sort @timestamp desc",
    "limit 20",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DashboardView:
    """What the dashboard shows; `namespace` is that of our own metrics, `recent_errors` the query of that name.

    Periods in seconds.
    """

    region: object
    namespace: str
    period_seconds: int
    alarm_arns: Sequence[object]
    pipelines: Sequence[PipelineTargets]
    stack: StackTargets
    recent_errors: object


def body(view: DashboardView) -> Mapping[str, object]:
    """The whole dashboard, in rows of equal height: alarms, the stack, each pipeline, errors."""
    rows = [[_alarms(view)], [*_api(view), *_tables(view)]]
    for pipeline in view.pipelines:
        rows += [_queues(view, pipeline), _functions(view, pipeline), _outcomes(view, pipeline)]
        rows.append([*_events(view, pipeline), *_control(view, pipeline)])
    rows.append([_errors_by_type(view), _recent_errors(view)])
    return {"start": "-PT3H", "periodOverride": "inherit", "widgets": _placed(rows)}


def recent_errors(log_groups: Sequence[str]) -> str:
    """The query for the latest lines of level ERROR in these log groups, as dashboards want it."""
    return " | ".join([*(f"SOURCE '{group}'" for group in log_groups), *_RECENT_ERRORS])


def _placed(rows: Sequence[Sequence[Widget]]) -> list[Widget]:
    return [
        {
            **widget,
            "x": column * (_COLUMNS // len(row)),
            "y": number * _HEIGHT,
            "width": _COLUMNS // len(row),
            "height": _HEIGHT,
        }
        for number, row in enumerate(rows)
        for column, widget in enumerate(row)
    ]


def _alarms(view: DashboardView) -> Widget:
    return {"type": "alarm", "properties": {"title": "Alarms", "alarms": list(view.alarm_arns)}}


def _api(view: DashboardView) -> list[Widget]:
    of = {"ApiId": view.stack.api_id}
    requests = [_line(Metric("AWS/ApiGateway", name, of, "Sum"), name) for name in ("Count", "4xx", "5xx")]
    latency = [_line(Metric("AWS/ApiGateway", "Latency", of, statistic), statistic) for statistic in _PERCENTILES]
    return [_graph(view, "API requests", requests), _graph(view, "API latency, ms", latency)]


def _tables(view: DashboardView) -> list[Widget]:
    throttles = sources.table_throttles(view.stack.tables)
    lines = [_line(metric, role.replace("_", " ")) for role, metric in throttles.items()]
    return [_graph(view, "DynamoDB throttles", lines)]


def _queues(view: DashboardView, of: PipelineTargets) -> list[Widget]:
    depths = {"Visible": "visible", "NotVisible": "in flight"}
    queues = {"queue": of.queue, "dead-letter queue": of.dlq}
    queues |= {"undelivered": of.undelivered} if of.undelivered is not None else {}
    queues |= {"notices": of.notices, "dead notices": of.notices_dlq} if of.notices is not None else {}
    graphs = [
        _graph(
            view,
            f"{of.pipeline}: {role}",
            [_line(sources.queue(f"ApproximateNumberOfMessages{kind}", name), label) for kind, label in depths.items()],
        )
        for role, name in queues.items()
    ]
    ages = [_line(sources.queue("ApproximateAgeOfOldestMessage", name), role) for role, name in queues.items()]
    oldest = _graph(view, f"{of.pipeline}: age of the oldest message, s", ages)
    return [*graphs, oldest, _drain(view, of), *_groups(view, of)]


def _drain(view: DashboardView, of: PipelineTargets) -> Widget:
    """Until the main queue is worked off, at the rates of each moment; there is no such time while it grows."""
    metrics = {
        **sources.in_queue(of.queue),
        "sent": sources.queue("NumberOfMessagesSent", of.queue, "Sum"),
        "deleted": sources.queue("NumberOfMessagesDeleted", of.queue, "Sum"),
    }
    # a division by 0 leaves the point out
    less = "FILL(deleted, 0) - FILL(sent, 0)"
    formula = f"(visible + hidden) * PERIOD(visible) / IF({less} > 0, {less}, 0) / 60"
    lines = [_hidden(metric, name) for name, metric in metrics.items()]
    return _graph(view, f"{of.pipeline}: time to drain, min", [[{"expression": formula, "label": "left"}], *lines])


def _groups(view: DashboardView, of: PipelineTargets) -> list[Widget]:
    """What SQS tells of groups: on a standard queue who is noisy and how the others fare, on a FIFO queue how many."""
    if not of.is_grouped:
        return []
    fair = {
        "NumberOfNoisyGroups": "noisy groups",
        "NumberOfMessagesVisibleInQuietGroups": "visible, quiet groups",
        "NumberOfMessagesNotVisibleInQuietGroups": "in flight, quiet groups",
        "AgeOfOldestMessageInQuietGroups": "age of the oldest, quiet groups, s",
    }
    names = {"NumberOfGroupsWithInflightMessages": "groups in flight"} if of.is_fifo else fair
    lines = [_line(sources.queue(f"Approximate{name}", of.queue), label) for name, label in names.items()]
    return [_graph(view, f"{of.pipeline}: groups", lines)]


def _functions(view: DashboardView, of: PipelineTargets) -> list[Widget]:
    functions = {**of.producers, "worker": of.worker}
    counts = [
        _line(sources.function(name, function), f"{role} {name.lower()}")
        for role, function in functions.items()
        for name in ("Invocations", "Errors", "Throttles")
    ]
    durations = [
        _graph(
            view,
            f"{of.pipeline}: duration of {role}, ms",
            [_line(sources.function("Duration", function, statistic), statistic) for statistic in _PERCENTILES],
        )
        for role, function in functions.items()
    ]
    return [_graph(view, f"{of.pipeline}: functions", counts), *durations]


def _outcomes(view: DashboardView, of: PipelineTargets) -> list[Widget]:
    taken = ("Accepted", "Rejected", "Unavailable")
    settled = ("Succeeded", "Duplicates", "DeadLettered", "Retried", "HandedBack", "Unsettled")
    latency = [_line(sources.own(of, "ProcessingLatency", p), p) for p in _PERCENTILES]
    return [
        _graph(view, f"{of.pipeline}: events taken", [_own(of, name) for name in taken]),
        _graph(view, f"{of.pipeline}: events settled", [_own(of, name) for name in settled]),
        _graph(view, f"{of.pipeline}: processing latency, ms", latency),
        _graph(
            view,
            f"{of.pipeline}: share that missed the objective",
            [_line(sources.own(of, "Missed", "Average"), "late or dead")],
        ),
    ]


def _events(view: DashboardView, of: PipelineTargets) -> list[Widget]:
    lines = [
        _line(Metric("AWS/Events", name, {"EventBusName": of.bus, "RuleName": rule}, "Sum"), f"{role} {label}")
        for role, rule in of.rules.items()
        for name, label in {"MatchedEvents": "matched", "FailedInvocations": "failed"}.items()
    ]
    return [_graph(view, f"{of.pipeline}: EventBridge", lines)]


def _control(view: DashboardView, of: PipelineTargets) -> list[Widget]:
    breaker = [_line(sources.own(of, "CircuitOpen", "Maximum"), "open")]
    redrive = [
        _line(sources.own(of, metric, "Sum", name), metric if name == of.pipeline else f"{name} {metric}")
        for name in of.redrives
        for metric in ("RedriveMoved", "RedriveStopped")
    ]
    graphs = [_graph(view, f"{of.pipeline}: redrive", redrive)]
    return [_graph(view, f"{of.pipeline}: circuit breaker", breaker), *graphs] if of.has_breaker else graphs


def _errors_by_type(view: DashboardView) -> Widget:
    # the types are not known before they occur, so they are searched for; alarms can't do that, dashboards can; a
    # namespace with other characters than letters and digits is quoted
    schema = f'{{"{view.namespace}",errorType}}'
    search = f"SEARCH('{schema} MetricName=\"RecordErrors\"', 'Sum', {view.period_seconds})"
    processed = _line(Metric(view.namespace, "RecordsProcessed", {}, "Sum"), "processed")
    return _graph(view, "Record errors by type", [[{"expression": search, "id": "errors"}], processed])


def _recent_errors(view: DashboardView) -> Widget:
    properties = {"title": "Recent errors", "region": view.region, "view": "table", "query": view.recent_errors}
    return {"type": "log", "properties": properties}


def _graph(view: DashboardView, title: str, lines: Sequence[Line]) -> Widget:
    properties = {
        "title": title,
        "region": view.region,
        "view": "timeSeries",
        "period": view.period_seconds,
        "metrics": list(lines),
    }
    return {"type": "metric", "properties": properties}


def _own(of: PipelineTargets, metric: str) -> Line:
    return _line(sources.own(of, metric, "Sum"), metric)


def _line(metric: Metric, label: str) -> Line:
    return [*_named(metric), {"stat": metric.statistic, "label": label}]


def _hidden(metric: Metric, variable: str) -> Line:
    """What an expression of the same graph reads."""
    return [*_named(metric), {"stat": metric.statistic, "id": variable, "visible": False}]


def _named(metric: Metric) -> Line:
    return [metric.namespace, metric.name, *(part for pair in metric.dimensions.items() for part in pair)]
