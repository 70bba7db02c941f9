"""The metrics of alarms and dashboard, with the dimensions under which they are emitted."""

from collections.abc import Mapping

from components.observability.alarms.model import Expression, Metric, PipelineTargets, Source


def queue(metric: str, name: object, statistic: str = "Maximum") -> Metric:
    """A metric of a queue. Nearly all are gauges, of which the worst value in a period counts."""
    return Metric("AWS/SQS", metric, {"QueueName": name}, statistic)


def in_queue(name: object) -> Mapping[str, Metric]:
    """The messages of a queue: those that wait, and those that somebody has received."""
    return {
        "visible": queue("ApproximateNumberOfMessagesVisible", name),
        "hidden": queue("ApproximateNumberOfMessagesNotVisible", name),
    }


def letters(name: object) -> Expression:
    """All messages of a queue that nobody consumes, those included that a preview, a redrive or an operator holds."""
    return Expression("visible + hidden", in_queue(name), "messages, received ones included")


def function(metric: str, name: object, statistic: str = "Sum") -> Metric:
    """A metric of a function."""
    return Metric("AWS/Lambda", metric, {"FunctionName": name}, statistic)


def own(of: PipelineTargets, metric: str, statistic: str, name: str = "") -> Metric:
    """A metric that the handlers emit; `name` is that of a redrive of other queues than the pipeline's own."""
    return Metric(of.namespace, metric, {"pipeline": name or of.pipeline}, statistic)


def table_throttles(tables: Mapping[str, object]) -> Mapping[str, Metric]:
    """Throttled reads and writes of tables, by role of the table. Indexes have metrics of their own."""
    return {
        f"{role}_{kind.lower()}s": Metric("AWS/DynamoDB", f"{kind}ThrottleEvents", {"TableName": table}, "Sum")
        for role, table in tables.items()
        for kind in ("Read", "Write")
    }


def total(label: str, metrics: Mapping[str, Metric]) -> Expression:
    """The sum of metrics that are emitted only when they are not zero."""
    return Expression(" + ".join(f"FILL({variable}, 0)" for variable in metrics), metrics, label)


def stopped_redrives(of: PipelineTargets) -> Source:
    """Stopped redrives of the pipeline's dead letters, and of its undelivered events or its notices."""
    letters, *others = (own(of, "RedriveStopped", "Sum", name) for name in of.redrives)
    if not others:
        return letters
    named = (name.rpartition("-")[2] for name in of.redrives[1:])
    return total("stopped redrives", {"letters": letters, **dict(zip(named, others, strict=True))})
