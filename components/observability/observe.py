"""Puts the observability of a stack together: what there is to watch, and who hears of it."""

from collections.abc import Mapping

from components.api.http_api import HttpApi
from components.compute.function import InstrumentedFunction
from components.control.redrive import RedriveTool
from components.observability.alarms.model import StackTargets
from components.observability.notifications import Notifications, NotificationsArgs
from components.observability.pack import ObservabilityPack, ObservabilityPackArgs
from components.pipelines.base import Pipeline
from components.shared_services import Foundation


def observe(
    base: Foundation, pipelines: Mapping[str, Pipeline], redrive: RedriveTool, api: HttpApi
) -> ObservabilityPack:
    """Makes the topics, and on them everything that watches the stack."""
    settings = base.settings
    notifications = Notifications(
        "alarms",
        NotificationsArgs(
            platform=base.platform,
            failures_queue_arn=base.control.failures.arn,
            email=settings.alarm_email,
            webhook_url=settings.webhook_url,
        ),
    )
    functions = {**_functions(base, pipelines, redrive, notifications), **api.functions}
    return ObservabilityPack(
        "observability",
        ObservabilityPackArgs(
            limits=settings.alarms,
            runbook_base_url=settings.runbook_base_url,
            pipelines=[pipeline.watched for pipeline in pipelines.values()],
            shared=StackTargets(
                api_id=api.api.id,
                tables=_tables(base, pipelines),
                topics=_topics(pipelines, notifications),
            ),
            worker_log_groups={name: pipeline.worker.log_group.name for name, pipeline in pipelines.items()},
            log_groups=[functions[name].log_group.name for name in sorted(functions)],
            topics=notifications.topics,
            tags=base.platform.args.tags,
        ),
    )


def _functions(
    base: Foundation, pipelines: Mapping[str, Pipeline], redrive: RedriveTool, notifications: Notifications
) -> Mapping[str, InstrumentedFunction]:
    found = dict(redrive.functions)
    for pipeline in pipelines.values():
        found |= pipeline.functions
    found |= {"alarm-webhook": notifications.webhook} if notifications.webhook else {}
    return found | ({"failure-mode": base.failure_switch.function} if base.failure_switch else {})


def _tables(base: Foundation, pipelines: Mapping[str, Pipeline]) -> Mapping[str, object]:
    found = {"state": base.table.table.name, "control": base.control.table.name}
    for pipeline in pipelines.values():
        found |= pipeline.tables
    return found


def _topics(pipelines: Mapping[str, Pipeline], notifications: Notifications) -> Mapping[str, object]:
    outcomes = {
        f"{name}_{outcome}": made.topic.name
        for name, pipeline in pipelines.items()
        for outcome, made in pipeline.topics.items()
    }
    return outcomes | {f"alarms_{severity}": topic.name for severity, topic in notifications.topics.items()}
