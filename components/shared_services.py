"""What all pipelines of a stack stand on, made once from its settings."""

from dataclasses import dataclass

import pulumi

from components import naming
from components.compute import packaging
from components.compute.platform import FunctionPlatform, FunctionPlatformArgs
from components.config.settings import Settings
from components.control.control_table import ControlPlane, ControlPlaneArgs
from components.control.failure_switch import FailureSwitch, FailureSwitchArgs
from components.messaging.bus import EventBus, EventBusArgs
from components.security.customer_key import CustomerKey, CustomerKeyArgs
from components.storage.state_table import StateTable, StateTableArgs


@dataclass(frozen=True, kw_only=True, slots=True)
class Foundation:
    """The settings, and the components that pipelines share. The failure switch is there only where it is allowed."""

    settings: Settings
    platform: FunctionPlatform
    table: StateTable
    bus: EventBus
    control: ControlPlane
    failure_switch: FailureSwitch | None


def lay_foundation(settings: Settings) -> Foundation:
    """Makes what the pipelines share."""
    tags = naming.stack_tags(
        pulumi.get_project(), pulumi.get_stack(), settings.resource_tags, restricted=settings.tag_restricted
    )
    alias = settings.kms_alias or naming.key_alias(pulumi.get_project(), pulumi.get_stack())
    key_arn = CustomerKey("ingestion", CustomerKeyArgs(alias=alias, tags=tags)).arn if settings.use_kms_cmk else None
    platform = FunctionPlatform(
        "platform",
        FunctionPlatformArgs(
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
        ),
    )
    control = ControlPlane(
        "control", ControlPlaneArgs(deletion_protected=settings.is_production, kms_key_arn=key_arn, tags=tags)
    )
    return Foundation(
        settings=settings,
        platform=platform,
        table=StateTable(
            "ingestion_state",
            StateTableArgs(deletion_protected=settings.is_production, kms_key_arn=key_arn, tags=tags),
        ),
        bus=EventBus("ingestion-bus", EventBusArgs(kms_key_arn=key_arn, tags=tags)),
        control=control,
        failure_switch=_failure_switch(settings, platform, control) if settings.failure_injection else None,
    )


def _failure_switch(settings: Settings, platform: FunctionPlatform, control: ControlPlane) -> FailureSwitch:
    args = FailureSwitchArgs(
        platform=platform, parameter_name=settings.failure_mode_parameter, failures_queue_arn=control.failures.arn
    )
    return FailureSwitch("failure-mode", args)
