"""An EventBridge rule that invokes a function, by a schedule or for events on a bus."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, lambda_


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionRuleArgs:
    """What the caller decides: a schedule and its payload, or a pattern of events and their bus."""

    function: lambda_.Function
    description: str
    schedule: str | None = None
    pattern: Mapping[str, object] | None = None
    bus_name: pulumi.Input[str] | None = None
    payload: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        if (self.schedule is None) == (self.pattern is None):
            raise ValueError(f"give a schedule or a pattern, got {self.schedule!r} and {self.pattern!r}")
        if self.schedule is not None and self.bus_name is not None:
            raise ValueError(f"a schedule must be on the default bus; got {self.schedule!r} on another")


class FunctionRule(pulumi.ComponentResource):
    """An EventBridge rule that invokes one function, and the permission for exactly that rule."""

    rule: cloudwatch.EventRule

    def __init__(self, name: str, args: FunctionRuleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:control:RuleTrigger", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.rule = cloudwatch.EventRule(
            name,
            description=args.description,
            schedule_expression=args.schedule,
            event_pattern=json.dumps(args.pattern) if args.pattern else None,
            event_bus_name=args.bus_name,
            opts=child,
        )
        permission = lambda_.Permission(
            f"{name}-invocation",
            action="lambda:InvokeFunction",
            function=args.function.name,
            principal="events.amazonaws.com",
            source_arn=self.rule.arn,
            opts=child,
        )
        cloudwatch.EventTarget(
            f"{name}-target",
            event_bus_name=args.bus_name,
            rule=self.rule.name,
            target_id="function",
            arn=args.function.arn,
            input=json.dumps(args.payload) if args.payload is not None else None,
            # an event that comes before the permission is not delivered
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
        )
        self.register_outputs({"rule_arn": self.rule.arn})
