"""Composes the observability of a stack: what is watched, and who is notified."""

from collections.abc import Mapping
from typing import Protocol

import pulumi
from pulumi_aws import sns

from components import naming
from components.api.http_api import HttpApi
from components.compute.function import InstrumentedFunction
from components.control.backfill import Backfill
from components.messaging.queue import ReliableQueue
from components.messaging.queue_rule import QueueRule
from components.observability.alarms.model import PipelineTargets, StackTargets
from components.observability.notifications import Notifications, NotificationsArgs
from components.observability.pack import ObservabilityPack, ObservabilityPackArgs
from components.shared_services import SharedServices


class ObservedPipeline(Protocol):
    """What is watched of a pipeline; `rule` is there where EventBridge sends to the queue, `notices` where S3 does."""

    queue: ReliableQueue
    worker: InstrumentedFunction
    worker_timeout_seconds: int
    producers: dict[str, InstrumentedFunction]
    functions: dict[str, InstrumentedFunction]
    breaker: InstrumentedFunction | None
    gate: InstrumentedFunction | None
    committer: InstrumentedFunction | None
    backfill: Backfill | None
    tables: dict[str, pulumi.Output[str]]
    rules: dict[str, pulumi.Output[str]]
    topics: dict[str, sns.Topic]
    group_by: str

    @property
    def rule(self) -> QueueRule | None:
        """The rule that sends to the queue."""

    @property
    def notices(self) -> ReliableQueue | None:
        """The queue that the producer fetches its work from."""


def make_notifications(shared: SharedServices) -> Notifications:
    """Make the topics that alarms publish to, with the configured subscribers."""
    args = NotificationsArgs(
        platform=shared.platform,
        failures_queue_arn=shared.control.failures.arn,
        email=shared.settings.alarm_email,
        webhook_url=shared.settings.webhook_url,
    )
    return Notifications("alarms", args)


def observe(
    shared: SharedServices,
    pipelines: Mapping[str, ObservedPipeline],
    functions: Mapping[str, InstrumentedFunction],
    api: HttpApi,
    notifications: Notifications,
) -> ObservabilityPack:
    """Make everything that watches the stack. `functions` are all of the stack, by name."""
    args = ObservabilityPackArgs(
        limits=shared.settings.alarms,
        runbook_base_url=shared.settings.runbook_base_url,
        pipelines=[pipeline_targets(name, pipeline, shared) for name, pipeline in pipelines.items()],
        stack=StackTargets(
            api_id=api.api.id,
            tables=_tables(shared, pipelines),
            topics={severity: topic.name for severity, topic in notifications.topics.items()},
            functions=_unowned(functions, pipelines),
            failures=shared.control.failures.name,
            unreadable=shared.bus.unreadable.name if shared.bus.unreadable else None,
        ),
        worker_log_groups={name: pipeline.worker.log_group.name for name, pipeline in pipelines.items()},
        log_groups=[functions[name].log_group.name for name in sorted(functions)],
        topics=notifications.topics,
    )
    return ObservabilityPack("observability", args)


def pipeline_targets(name: str, pipeline: ObservedPipeline, shared: SharedServices) -> PipelineTargets:
    """Return what the alarms of one pipeline watch."""
    return PipelineTargets(
        pipeline=name,
        namespace=naming.metric_namespace(pulumi.get_stack()),
        queue=pipeline.queue.queue_arn.apply(naming.of_arn),
        dlq=pipeline.queue.dlq_arn.apply(naming.of_arn),
        producers={role: producer.function.name for role, producer in pipeline.producers.items()},
        worker=pipeline.worker.function.name,
        worker_timeout_seconds=pipeline.worker_timeout_seconds,
        bus=shared.bus.bus.name,
        rules=pipeline.rules,
        topics={role: topic.name for role, topic in pipeline.topics.items()},
        breaker=pipeline.breaker.function.name if pipeline.breaker else None,
        gate=pipeline.gate.function.name if pipeline.gate else None,
        committer=pipeline.committer.function.name if pipeline.committer else None,
        backfill=pipeline.backfill.machine.arn if pipeline.backfill else None,
        backfill_function=pipeline.backfill.function.function.name if pipeline.backfill else None,
        undelivered=pipeline.rule.undelivered.name if pipeline.rule else None,
        notices=pipeline.notices.queue_arn.apply(naming.of_arn) if pipeline.notices else None,
        notices_dlq=pipeline.notices.dlq_arn.apply(naming.of_arn) if pipeline.notices else None,
        notices_timeout_seconds=pipeline.notices.consumer_timeout_seconds if pipeline.notices else 0,
        is_grouped=bool(pipeline.group_by),
        is_fifo=pipeline.queue.is_fifo,
    )


def _tables(shared: SharedServices, pipelines: Mapping[str, ObservedPipeline]) -> Mapping[str, object]:
    tables = {"state": shared.state_table.table.name, "control": shared.control.table.name}
    for pipeline in pipelines.values():
        tables |= pipeline.tables
    return tables


def _unowned(
    functions: Mapping[str, InstrumentedFunction], pipelines: Mapping[str, ObservedPipeline]
) -> Mapping[str, object]:
    """The functions that no pipeline owns, under names that metric math takes for variables."""
    owned = {name for pipeline in pipelines.values() for name in pipeline.functions}
    return {name.replace("-", "_"): functions[name].function.name for name in sorted(functions) if name not in owned}
