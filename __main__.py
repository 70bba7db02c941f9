"""The whole program: settings, shared services, pipelines, redrive, API, observability, outputs."""

import pulumi

from components.api.http_api import make_api
from components.config.reader import read_settings
from components.control.control_table import limit_failure_senders
from components.control.redrive import RedriveTool, RedriveToolArgs
from components.observability.observe import make_notifications, observe
from components.pipelines.registry import make_pipelines
from components.security.protection import protect_data
from components.shared_services import make_shared_services
from components.tags import tag_resources


def main() -> None:
    """Register everything."""
    settings = read_settings()
    tag_resources(settings)
    if settings.keeps_data:
        protect_data()
    shared = make_shared_services(settings, senders_follow=True)
    pipelines = make_pipelines(shared)
    redrive_args = RedriveToolArgs(
        platform=shared.platform,
        control=shared.control,
        state_table=shared.state_table,
        queues={name: queue for pipeline in pipelines.values() for name, queue in pipeline.dead_letters.items()},
        max_redrives=settings.max_redrives,
    )
    redrive = RedriveTool("redrive", redrive_args)
    for pipeline in pipelines.values():
        pipeline.admit_senders([redrive.role_arn, *settings.operator_role_arns])
    backends = [pipeline.backend for pipeline in pipelines.values() if pipeline.backend]
    api = make_api(settings, shared.platform, [*backends, redrive.backend, *shared.backends])
    notifications = make_notifications(shared) if settings.observability_enabled else None
    functions = {name: function for pipeline in pipelines.values() for name, function in pipeline.functions.items()}
    functions = {**shared.functions, **functions, **redrive.functions, **api.functions}
    functions |= notifications.functions if notifications else {}
    limit_failure_senders(shared.control, functions.values())

    pulumi.export("ApiEndpoint", api.api.api_endpoint)
    pulumi.export("AuthMode", settings.auth_mode)
    pulumi.export("Production", settings.production)
    pulumi.export("EventBusName", shared.bus.bus.name)
    pulumi.export("MainQueueUrl", pipelines[settings.pipelines[0]].queue.queue_url)
    pulumi.export("DlqUrl", pipelines[settings.pipelines[0]].queue.dlq_url)
    pulumi.export("DynamoTableName", shared.state_table.table.name)
    pulumi.export("ControlTableName", shared.control.table.name)
    pulumi.export("ControlFailuresUrl", shared.control.failures.url)
    if shared.bus.unreadable:
        pulumi.export("BusUnreadableUrl", shared.bus.unreadable.url)
    pulumi.export("RedriveFunctionName", redrive.function_name)
    if shared.failure_switch:
        pulumi.export("FailureResetFunctionName", shared.failure_switch.function_name)
    if notifications:
        pulumi.export("DashboardUrl", observe(shared, pipelines, functions, api, notifications).dashboard_url)
    for name, pipeline in pipelines.items():
        pulumi.export(name, pipeline.outputs)


try:
    main()
except pulumi.RunError as refusal:
    pulumi.log.error(str(refusal))
    raise SystemExit(32) from refusal  # the exit code by which the engine knows that the error has been shown
