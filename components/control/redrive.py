"""Redrive: moves dead letters of all pipelines of a stack back to their queues."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.api.http_api import FunctionRoutes
from components.compute.function import InstrumentedFunction, InstrumentedFunctionArgs
from components.compute.platform import FunctionPlatform
from components.config import aws_limits
from components.config.access import Access
from components.control.control_table import ControlPlane
from components.messaging.function_rule import FunctionRule, FunctionRuleArgs
from components.messaging.queue import DeadLetters
from components.security import policies
from components.storage.state_table import StateTable

_ROUTES = dict.fromkeys(
    (
        "GET /redrive",
        "GET /redrive/preview",
        "POST /redrive/start",
        "GET /redrive/{redriveId}",
        "POST /redrive/cancel",
    ),
    Access.OPERATE,
)
_API_MEMORY_MB = 512
_RUNNER_MEMORY_MB = 1024  # a wave is 80 messages of up to 1 MiB, held as received and as sent


@dataclass(frozen=True, kw_only=True, slots=True)
class RedriveToolArgs:
    """What the caller decides. `queues` are those of all pipelines, by the name that a request for a redrive gives."""

    platform: FunctionPlatform
    control: ControlPlane
    state_table: StateTable
    queues: Mapping[str, DeadLetters]
    max_redrives: int


class RedriveTool(pulumi.ComponentResource):
    """A function that answers the routes, and a runner that does what takes longer than an API may.

    The API invokes the runner, and so does a schedule every minute, to resume what was interrupted. It does not invoke
    itself. Its role (`role_arn`) has to be among the senders of every queue of `queues`.
    """

    backend: FunctionRoutes
    role_arn: pulumi.Output[str]
    function_name: pulumi.Output[str]
    functions: Mapping[str, InstrumentedFunction]

    def __init__(self, name: str, args: RedriveToolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:control:RedriveTool", name, None, opts)
        self._args = args
        child = pulumi.ResourceOptions(parent=self)
        runner = InstrumentedFunction(name, self._runner_args(), child)
        tick = FunctionRuleArgs(
            function=runner.function,
            description="Goes on with redrives that nobody works on",
            schedule="rate(1 minute)",
            payload={},
        )
        FunctionRule(f"{name}-tick", tick, child)
        api = InstrumentedFunction(f"{name}-api", self._api_args(runner), child)
        self.backend = FunctionRoutes(name=f"{name}-api", function=api.function, routes=_ROUTES)
        self.functions = {name: runner, f"{name}-api": api}
        self.role_arn = runner.role.arn
        self.function_name = runner.function.name
        self.register_outputs({"function_name": self.function_name})

    def _runner_args(self) -> InstrumentedFunctionArgs:
        receive = [
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
        ]
        write = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"]
        queues = list(dict.fromkeys(queue.queue_arn for queue in self._args.queues.values()))
        return InstrumentedFunctionArgs(
            handler="handlers.control.redrive.run.entry.handler",
            platform=self._args.platform,
            timeout_seconds=aws_limits.MAX_TIMEOUT,
            memory_mb=_RUNNER_MEMORY_MB,
            environment=self._environment(),
            statements=[
                *self._statements(receive, write),
                policies.allow("Queues", ["sqs:SendMessage"], queues),
                *self._args.platform.queue_key(),
            ],
            async_failure_queue_arn=self._args.control.failures.arn,
        )

    def _api_args(self, runner: InstrumentedFunction) -> InstrumentedFunctionArgs:
        look = ["sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
        write = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"]
        return InstrumentedFunctionArgs(
            handler="handlers.control.redrive.api.entry.handler",
            platform=self._args.platform,
            timeout_seconds=aws_limits.API_TIMEOUT,
            memory_mb=_API_MEMORY_MB,
            environment={**self._environment(), "RUNNER_FUNCTION_NAME": runner.function.name},
            statements=[
                *self._statements(look, write),
                policies.allow("Runner", ["lambda:InvokeFunction"], runner.function.arn),
                *self._args.platform.queue_key(sends=False),
            ],
        )

    def _environment(self) -> dict[str, pulumi.Input[str]]:
        queues = {
            pipeline: {"queueUrl": queue.queue_url, "dlqUrl": queue.dlq_url}
            for pipeline, queue in self._args.queues.items()
        }
        return {
            "CONTROL_TABLE_NAME": self._args.control.table.name,
            "STATE_TABLE_NAME": self._args.state_table.table.name,
            "QUEUES": pulumi.Output.json_dumps(queues),
            "MAX_REDRIVES": str(self._args.max_redrives),
        }

    def _statements(self, on_dead_letters: list[str], on_runs: list[str]) -> list[policies.Statement]:
        dlqs = [queue.dlq_arn for queue in self._args.queues.values()]
        return [
            policies.allow("DeadLetters", on_dead_letters, dlqs),
            policies.allow(
                "Runs", on_runs, self._args.control.table.arn
            ),  # in transactions each write asks for its own
            policies.allow("State", ["dynamodb:BatchGetItem"], self._args.state_table.table.arn),
            *self._args.platform.table_key(),
        ]
