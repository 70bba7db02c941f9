"""The circuit breaker of a pipeline: it pauses the consumer while the downstream is out."""

from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, lambda_

from components.compute.function import InstrumentedFunction, InstrumentedFunctionArgs
from components.compute.platform import FunctionPlatform
from components.config import aws_limits
from components.control.control_table import ControlPlane
from components.messaging.bus import EventBus
from components.messaging.function_rule import FunctionRule, FunctionRuleArgs
from components.messaging.queue import ReliableQueue
from components.security import policies
from components.storage.state_table import StateTable

_AROUND_A_PROBE_SECONDS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class CircuitBreakerArgs:
    """What the caller decides: the consumer that is paused, its queue, and the worker that is probed with one event."""

    pipeline: str
    event_source: str
    platform: FunctionPlatform
    control: ControlPlane
    state_table: StateTable
    bus: EventBus
    queue: ReliableQueue
    max_receive_count: int
    mapping: lambda_.EventSourceMapping
    worker: lambda_.Function
    worker_timeout_seconds: int


class CircuitBreaker(pulumi.ComponentResource):
    """A function that opens the circuit on the worker's `CircuitTripped`, probes every minute and closes it.

    Its role has to be among the senders of the queue: a message that it takes at its last receive, it sends anew.
    """

    function: InstrumentedFunction
    trip_rule: cloudwatch.EventRule

    def __init__(self, name: str, args: CircuitBreakerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:control:CircuitBreaker", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.function = InstrumentedFunction(name, _function_args(args), child)
        tick = FunctionRuleArgs(
            function=self.function.function,
            description=f"Lets the breaker of the pipeline {args.pipeline} probe while it is open",
            schedule="rate(1 minute)",
            payload={},
        )
        FunctionRule(f"{name}-tick", tick, child)
        trip = FunctionRuleArgs(
            function=self.function.function,
            description=f"Opens the breaker of the pipeline {args.pipeline}",
            pattern={
                "source": [args.event_source],
                "detail-type": ["CircuitTripped"],
                "detail": {"pipeline": [args.pipeline]},
            },
            bus_name=args.bus.bus.name,
        )
        self.trip_rule = FunctionRule(f"{name}-trip", trip, child).rule
        self.register_outputs({"function_name": self.function.function.name})


def _function_args(args: CircuitBreakerArgs) -> InstrumentedFunctionArgs:
    return InstrumentedFunctionArgs(
        handler="handlers.control.breaker.handler",
        platform=args.platform,
        timeout_seconds=min(args.worker_timeout_seconds + _AROUND_A_PROBE_SECONDS, aws_limits.MAX_TIMEOUT),
        environment={
            "PIPELINE": args.pipeline,
            "EVENT_SOURCE": args.event_source,
            "CONTROL_TABLE_NAME": args.control.table.name,
            "STATE_TABLE_NAME": args.state_table.table.name,
            "EVENT_BUS_NAME": args.bus.bus.name,
            "EVENT_SOURCE_MAPPING_ID": args.mapping.uuid,
            "WORKER_FUNCTION_NAME": args.worker.name,
            "QUEUE_URL": args.queue.queue_url,
            "MAX_RECEIVE_COUNT": str(args.max_receive_count),
        },
        statements=[
            policies.allow("Breaker", ["dynamodb:GetItem", "dynamodb:PutItem"], args.control.table.arn),
            policies.allow("FailedEvent", ["dynamodb:GetItem"], args.state_table.table.arn),
            policies.allow(
                "Consumer", ["lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping"], args.mapping.arn
            ),
            policies.allow("Probe", ["lambda:InvokeFunction"], args.worker.arn),
            policies.allow(
                "Sample", ["sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage"], args.queue.queue_arn
            ),
            policies.allow("Transitions", ["events:PutEvents"], args.bus.bus.arn),
            *args.platform.queue_key(),
            *args.platform.table_key(),
        ],
        async_failure_queue_arn=args.control.failures.arn,
    )
