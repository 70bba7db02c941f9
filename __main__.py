"""The whole program: settings, what the pipelines share, the pipelines, redrive, API, observability, outputs."""

import pulumi

from components.api.authorizers import make_doors
from components.api.http_api import HttpApi, HttpApiArgs
from components.config.reader import read_settings
from components.control.redrive import RedriveTool, RedriveToolArgs
from components.observability.observe import observe
from components.pipelines.base import Pipeline
from components.pipelines.events import EventsPipeline
from components.pipelines.lake import LakePipeline
from components.pipelines.orders import OrdersPipeline
from components.shared_services import lay_foundation

PIPELINES = {"events": EventsPipeline, "orders": OrdersPipeline, "lake": LakePipeline}
_TOLD = 32  # the exit code by which the engine knows that the error has been shown


def main() -> None:
    """Register everything."""
    settings = read_settings()
    foundation = lay_foundation(settings)
    pipelines: dict[str, Pipeline] = {name: PIPELINES[name](name, foundation) for name in settings.pipelines}
    redrive_args = RedriveToolArgs(
        platform=foundation.platform,
        control=foundation.control,
        table=foundation.table,
        queues={name: queue for pipeline in pipelines.values() for name, queue in pipeline.redrives.items()},
        max_redrives=settings.max_redrives,
    )
    redrive = RedriveTool("redrive", redrive_args)
    for pipeline in pipelines.values():
        pipeline.limit_producers(redrive.role_arn)
    doors = make_doors(settings, foundation.platform)
    api_args = HttpApiArgs(
        backends=[
            part.backend for part in (*pipelines.values(), redrive, foundation.failure_switch) if part and part.backend
        ],
        doors=doors,
        throttle_rate=settings.throttle_rate,
        throttle_burst=settings.throttle_burst,
        cors_origin=settings.cors_origin,
        log_retention_days=settings.log_retention_days,
        kms_key_arn=foundation.platform.args.kms_key_arn,
        tags=foundation.platform.args.tags,
    )
    api = HttpApi("ingestion-api", api_args)
    pack = observe(foundation, pipelines, redrive, api) if settings.observability_enabled else None
    foundation.control.limit_producers(foundation.platform.failing_roles)

    pulumi.export("ApiEndpoint", api.api.api_endpoint)
    pulumi.export("AuthMode", settings.auth_mode)
    pulumi.export("EventBusName", foundation.bus.bus.name)
    pulumi.export("MainQueueUrl", pipelines[settings.pipelines[0]].queue.queue_url)
    pulumi.export("DlqUrl", pipelines[settings.pipelines[0]].queue.dlq_url)
    pulumi.export("DynamoTableName", foundation.table.table.name)
    pulumi.export("ControlTableName", foundation.control.table.name)
    pulumi.export("RedriveFunctionName", redrive.function_name)
    if foundation.failure_switch:
        pulumi.export("FailureResetFunctionName", foundation.failure_switch.function_name)
    if pack:
        pulumi.export("DashboardUrl", pack.dashboard_url)
    for name, pipeline in pipelines.items():
        pulumi.export(name, pipeline.outputs)


try:
    main()
except pulumi.RunError as refusal:
    pulumi.log.error(str(refusal))
    raise SystemExit(_TOLD) from refusal
