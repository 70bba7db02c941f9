"""What all pipelines of a stack use, made once from its settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components import naming
from components.api.http_api import FunctionRoutes
from components.compute import layers, packaging
from components.compute.function import InstrumentedFunction
from components.compute.platform import FunctionPlatform, FunctionPlatformArgs
from components.config.settings import Settings
from components.control.control_table import ControlPlane, ControlPlaneArgs
from components.control.failure_switch import FailureSwitch, FailureSwitchArgs
from components.messaging.bus import EventBus, EventBusArgs
from components.security import policies
from components.security.customer_key import CustomerKey, CustomerKeyArgs
from components.storage.state_table import StateTable
from components.storage.table import TableArgs


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedServices:
    """The settings, and the components that pipelines share; the failure switch only where it is allowed."""

    settings: Settings
    platform: FunctionPlatform
    table_args: TableArgs  # of every table of the stack
    state_table: StateTable
    bus: EventBus
    control: ControlPlane
    failure_switch: FailureSwitch | None

    @property
    def kms_key_arn(self) -> pulumi.Input[str] | None:
        """The stack's customer key, where there is one."""
        return self.platform.args.kms_key_arn

    @property
    def functions(self) -> Mapping[str, InstrumentedFunction]:
        """The functions that no pipeline owns, by name."""
        return self.failure_switch.functions if self.failure_switch else {}

    @property
    def backends(self) -> Sequence[FunctionRoutes]:
        """The routes of those functions."""
        return [self.failure_switch.backend] if self.failure_switch else []

    def failure_environment(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the environment of a function that obeys the failure switch; nothing where there is none."""
        return self.failure_switch.environment if self.failure_switch else {}

    def failure_statements(self) -> Sequence[policies.Statement]:
        """Return the permission that `failure_environment` needs."""
        return [self.failure_switch.statement] if self.failure_switch else []


def make_shared_services(
    settings: Settings, *, own_code: Path | None = None, senders_follow: bool = False
) -> SharedServices:
    """Make the components that pipelines share.

    `own_code` is a folder that is zipped beside the handlers. `senders_follow` says that the caller calls
    `limit_failure_senders` once it has all functions.
    """
    key_arn = _customer_key(settings) if settings.use_kms_cmk else None
    platform = _platform(settings, key_arn, own_code)
    table_args = TableArgs(deletion_protected=settings.keeps_data, kms_key_arn=key_arn)
    control_args = ControlPlaneArgs(
        deletion_protected=settings.keeps_data,
        kms_key_arn=key_arn,
        senders_follow=senders_follow,
    )
    control = ControlPlane("control", control_args)
    return SharedServices(
        settings=settings,
        platform=platform,
        table_args=table_args,
        state_table=StateTable("ingestion_state", table_args),
        bus=EventBus("ingestion-bus", EventBusArgs(kms_key_arn=key_arn)),
        control=control,
        failure_switch=_failure_switch(settings, platform, control) if settings.failure_injection else None,
    )


def _customer_key(settings: Settings) -> pulumi.Output[str]:
    alias = settings.kms_alias or naming.key_alias(pulumi.get_project(), pulumi.get_stack())
    args = CustomerKeyArgs(alias=alias, table_buckets=settings.has_table_bucket)
    return CustomerKey("ingestion", args).arn


def _platform(settings: Settings, key_arn: pulumi.Output[str] | None, own_code: Path | None) -> FunctionPlatform:
    args = FunctionPlatformArgs(
        handlers_zip=packaging.handlers_zip(own=own_code),
        layer_zip=layers.built(settings.architecture),
        architecture=settings.architecture,
        log_level=settings.log_level,
        log_retention_days=settings.log_retention_days,
        tracing=settings.tracing,
        subnet_ids=settings.vpc_subnet_ids,
        security_group_ids=settings.vpc_security_group_ids,
        iam_name_prefix=settings.iam_name_prefix,
        permissions_boundary_arn=settings.permissions_boundary_arn,
        kms_key_arn=key_arn,
    )
    return FunctionPlatform("platform", args)


def _failure_switch(settings: Settings, platform: FunctionPlatform, control: ControlPlane) -> FailureSwitch:
    args = FailureSwitchArgs(
        platform=platform,
        parameter_name=settings.failure_mode_parameter or naming.failure_mode_parameter(settings.stack),
        failures_queue_arn=control.failures.arn,
    )
    return FailureSwitch("failure-mode", args)
