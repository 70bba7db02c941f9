"""Backfill: objects of a bucket that are there already are announced to a queue again, by Step Functions.

A distributed map lists the bucket, however many objects it has, and gives them in batches to a function, which sends
the notices. Nothing is copied, and nothing runs but while a backfill does.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import get_caller_identity_output, get_partition_output, sfn
from pulumi_aws import iam as aws_iam

from components import naming
from components.compute.function import InstrumentedFunction, InstrumentedFunctionArgs
from components.compute.platform import FunctionPlatform
from components.messaging.queue import ReliableQueue
from components.security import policies

_MAP = "Objects"  # also the label of the map's runs, which is part of their ARNs
_BATCH_OBJECTS = 100
_BATCH_BYTES = 200_000  # of 256 KiB that an execution takes: keys may have 1 KiB
_BATCHES_AT_ONCE = 4
_WAIT_SECONDS = 60  # where the queues are full; an execution, which takes 25,000 events, takes days of that
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class BackfillArgs:
    """What the caller decides.

    `handler` is the replay function's, which sends to `notices` while fewer than `backlog` messages wait there and in
    `queue`. `prefix` is where the objects are in the bucket.
    """

    platform: FunctionPlatform
    pipeline: str
    handler: str
    bucket: pulumi.Input[str]
    bucket_arn: pulumi.Input[str]
    prefix: str
    notices: ReliableQueue
    queue: ReliableQueue
    backlog: int


class Backfill(pulumi.ComponentResource):
    """A state machine, and the function that it invokes.

    The function's role has to be among the senders of `notices`.
    """

    function: InstrumentedFunction
    machine: sfn.StateMachine

    def __init__(self, name: str, args: BackfillArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:control:Backfill", name, None, opts)
        self._name = name
        self._args = args
        self._asks = pulumi.InvokeOutputOptions(parent=self)
        child = pulumi.ResourceOptions(parent=self)
        self.function = InstrumentedFunction(name, self._function_args(), child)
        role = self._role()
        self.machine = sfn.StateMachine(
            name,
            role_arn=role.arn,
            definition=pulumi.Output.json_dumps(
                definition(args.bucket, self.function.function.arn, get_partition_output(opts=self._asks).partition)
            ),
            type="STANDARD",
            tracing_configuration={"enabled": args.platform.args.tracing},
            opts=child,
        )
        # After the machine, whose ARN is in it: a map starts executions of the machine that it is in.
        aws_iam.RolePolicy(
            f"{name}-machine-policy",
            role=role.name,
            policy=pulumi.Output.json_dumps(policies.document(self._machine_statements())),
            opts=child,
        )
        self.register_outputs({"machine_arn": self.machine.arn})

    def _function_args(self) -> InstrumentedFunctionArgs:
        args = self._args
        return InstrumentedFunctionArgs(
            handler=args.handler,
            platform=args.platform,
            timeout_seconds=_TIMEOUT_SECONDS,
            environment={
                "PIPELINE": args.pipeline,
                "BRONZE_BUCKET": args.bucket,
                "NOTICES_QUEUE_URL": args.notices.queue_url,
                "QUEUE_URL": args.queue.queue_url,
                "BACKLOG": str(args.backlog),
            },
            statements=[
                policies.allow("Notices", ["sqs:SendMessage"], args.notices.queue_arn),
                policies.allow("Backlog", ["sqs:GetQueueAttributes"], [args.notices.queue_arn, args.queue.queue_arn]),
                *args.platform.queue_key(),
            ],
        )

    def _role(self) -> aws_iam.Role:
        platform = self._args.platform.args
        name = f"{self._name}-machine"
        account = get_caller_identity_output(opts=self._asks).account_id
        return aws_iam.Role(
            f"{name}-role",
            name_prefix=naming.role_prefix(platform.iam_name_prefix, name) if platform.iam_name_prefix else None,
            assume_role_policy=pulumi.Output.json_dumps(policies.assumed_by_states(account)),
            permissions_boundary=platform.permissions_boundary_arn,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _machine_statements(self) -> list[policies.Statement]:
        machine = self.machine.arn
        runs = machine.apply(lambda arn: arn.replace(":stateMachine:", ":execution:"))
        executions = [pulumi.Output.format("{0}:*", runs), pulumi.Output.format(f"{{0}}/{_MAP}:*", runs)]
        tracing = [policies.TRACING] if self._args.platform.args.tracing else []
        return [
            policies.list_under("Objects", self._args.bucket_arn, self._args.prefix),
            policies.allow("Batches", ["lambda:InvokeFunction"], self.function.function.arn),
            policies.allow("Run", ["states:StartExecution"], machine),
            policies.allow("Runs", ["states:DescribeExecution", "states:StopExecution"], executions),
            policies.allow("Redrive", ["states:RedriveExecution"], executions[1]),
            *tracing,
        ]


def definition(
    bucket: pulumi.Input[str], function_arn: pulumi.Input[str], partition: pulumi.Input[str]
) -> Mapping[str, object]:
    """The state machine. Its input is `{prefix, replay, start, end}`, see `handlers.lake.backfill`."""
    return {
        "Comment": "Announces the objects under a prefix to the lake's ingest",
        "StartAt": _MAP,
        "States": {
            _MAP: {
                "Type": "Map",
                "Label": _MAP,
                "ItemReader": {
                    "Resource": _integration(partition, "s3:listObjectsV2"),
                    "Parameters": {"Bucket": bucket, "Prefix.$": "$.prefix"},
                },
                "ItemSelector": {
                    name + ".$": f"$$.Map.Item.Value.{name}" for name in ("Key", "LastModified", "StorageClass")
                },
                "ItemBatcher": {
                    "MaxItemsPerBatch": _BATCH_OBJECTS,
                    "MaxInputBytesPerBatch": _BATCH_BYTES,
                    "BatchInput": {f"{name}.$": f"$.{name}" for name in ("replay", "start", "end")},
                },
                "MaxConcurrency": _BATCHES_AT_ONCE,
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    **_batch(function_arn, partition),
                },
                "ResultPath": None,
                "End": True,
            }
        },
    }


def _integration(partition: pulumi.Input[str], name: str) -> pulumi.Output[str]:
    return pulumi.Output.format("arn:{0}:states:::{1}", partition, name)


def _batch(function_arn: pulumi.Input[str], partition: pulumi.Input[str]) -> Mapping[str, object]:
    """What is done with a batch: announced, once there is room for it. What it gives is empty, as all of it is kept."""
    return {
        "StartAt": "Announce",
        "States": {
            "Announce": {
                "Type": "Task",
                "Resource": _integration(partition, "lambda:invoke"),
                "Parameters": {"FunctionName": function_arn, "Payload.$": "$"},
                "ResultSelector": {"waiting.$": "$.Payload.waiting"},
                "ResultPath": "$.told",
                "Retry": [
                    {
                        "ErrorEquals": ["States.ALL"],
                        "IntervalSeconds": 5,
                        "BackoffRate": 2,
                        "MaxAttempts": 7,  # eleven minutes
                        "JitterStrategy": "FULL",
                    }
                ],
                "Next": "Full",
            },
            "Full": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.told.waiting", "BooleanEquals": True, "Next": "Wait"}],
                "Default": "Announced",
            },
            "Wait": {"Type": "Wait", "Seconds": _WAIT_SECONDS, "Next": "Announce"},
            "Announced": {"Type": "Pass", "Result": {}, "End": True},
        },
    }
