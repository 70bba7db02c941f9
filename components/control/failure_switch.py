"""Faults that can be switched on. It exists only where `failureInjection` is on."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import ssm

from components.api.http_api import FunctionRoutes
from components.compute.function import InstrumentedFunction, InstrumentedFunctionArgs
from components.compute.platform import FunctionPlatform
from components.config import aws_limits
from components.config.access import Access
from components.messaging.function_rule import FunctionRule, FunctionRuleArgs
from components.security import policies

_ROUTES = dict.fromkeys(("GET /failure-mode", "POST /failure-mode", "POST /failure-mode/reset"), Access.OPERATE)


@dataclass(frozen=True, kw_only=True, slots=True)
class FailureSwitchArgs:
    """What the caller decides."""

    platform: FunctionPlatform
    parameter_name: str
    failures_queue_arn: pulumi.Input[str]


class FailureSwitch(pulumi.ComponentResource):
    """The parameter that says which fault is on, and the function that sets, shows, expires and resets it."""

    backend: FunctionRoutes
    environment: Mapping[str, pulumi.Input[str]]  # of functions that obey the switch
    statement: policies.Statement  # of the same
    functions: Mapping[str, InstrumentedFunction]
    function_name: pulumi.Output[str]

    def __init__(self, name: str, args: FailureSwitchArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:control:FailureSwitch", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        parameter = ssm.Parameter(
            f"{name}-parameter",
            name=args.parameter_name,
            type=ssm.ParameterType.STRING,
            value="none",
            # drills change it; a deployment must not end one
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["value"]),
        )
        self.environment = {"FAILURE_MODE_PARAMETER": parameter.name}
        self.statement = policies.allow("FailureMode", ["ssm:GetParameter"], parameter.arn)
        function = InstrumentedFunction(
            name,
            InstrumentedFunctionArgs(
                handler="handlers.control.failure_mode.handler",
                platform=args.platform,
                timeout_seconds=aws_limits.API_TIMEOUT,
                environment=self.environment,
                statements=[
                    policies.allow("FailureMode", ["ssm:GetParameter", "ssm:PutParameter"], parameter.arn),
                    *args.platform.queue_key(),  # of its failed invocations
                ],
                async_failure_queue_arn=args.failures_queue_arn,
            ),
            child,
        )
        FunctionRule(
            f"{name}-expiry",
            FunctionRuleArgs(
                function=function.function,
                description="Sets the failure mode back to none when it has expired",
                schedule="rate(1 minute)",
                payload={"onlyIfExpired": True},
            ),
            child,
        )
        self.functions = {name: function}
        self.backend = FunctionRoutes(name=name, function=function.function, routes=_ROUTES)
        self.function_name = function.function.name
        self.register_outputs({"parameter": parameter.name})
