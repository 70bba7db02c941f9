"""The whole program: settings, what the pipelines share, the pipelines, the API in front, the outputs."""

import pulumi

from components import naming, packaging
from components.encryption import CustomerKey, CustomerKeyArgs
from components.event_bus import EventBus, EventBusArgs
from components.function_platform import FunctionPlatform, FunctionPlatformArgs
from components.http_api import HttpApi, HttpApiArgs
from components.pipelines.events import EventsPipeline, EventsPipelineArgs
from components.settings import read_settings
from components.state_table import StateTable, StateTableArgs

PROJECT, STACK = pulumi.get_project(), pulumi.get_stack()
PIPELINES = {"events": EventsPipeline}

settings = read_settings()
tags = naming.stack_tags(PROJECT, STACK, settings.resource_tags, restricted=settings.tag_restricted)
key_args = CustomerKeyArgs(alias=settings.kms_alias or naming.key_alias(PROJECT, STACK), tags=tags)
key_arn = CustomerKey("ingestion", key_args).arn if settings.use_kms_cmk else None
platform_args = FunctionPlatformArgs(
    handlers_zip=packaging.handlers_zip(),
    layer_zip=packaging.layer_zip(settings.architecture),
    architecture=settings.architecture,
    log_level=settings.log_level,
    log_retention_days=settings.log_retention_days,
    tracing=settings.tracing,
    subnet_ids=settings.vpc_subnet_ids,
    security_group_ids=settings.vpc_security_group_ids,
    iam_name_prefix=settings.iam_name_prefix,
    permissions_boundary_arn=settings.permissions_boundary_arn,
    kms_key_arn=key_arn,
    tags=tags,
)
platform = FunctionPlatform("platform", platform_args)
table_args = StateTableArgs(deletion_protected=settings.is_production, kms_key_arn=key_arn, tags=tags)
table = StateTable("ingestion_state", table_args)
bus = EventBus("ingestion-bus", EventBusArgs(tags=tags))
pipeline_args = EventsPipelineArgs(settings=settings, platform=platform, table=table, bus=bus)
pipelines = {name: PIPELINES[name](name, pipeline_args) for name in settings.pipelines}
api_args = HttpApiArgs(
    backends=[pipeline.backend for pipeline in pipelines.values()],
    throttle_rate=settings.throttle_rate,
    throttle_burst=settings.throttle_burst,
    cors_origin=settings.cors_origin,
    log_retention_days=settings.log_retention_days,
    kms_key_arn=key_arn,
    tags=tags,
)
api = HttpApi("ingestion-api", api_args)

pulumi.export("ApiEndpoint", api.api.api_endpoint)
pulumi.export("EventBusName", bus.bus.name)
pulumi.export("MainQueueUrl", pipelines[settings.pipelines[0]].queue.queue_url)
pulumi.export("DlqUrl", pipelines[settings.pipelines[0]].queue.dlq_url)
pulumi.export("DynamoTableName", table.table.name)
for name, pipeline in pipelines.items():
    pulumi.export(name, pipeline.outputs)
