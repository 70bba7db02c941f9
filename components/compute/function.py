"""A Lambda function with a role, a log group and traces of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, lambda_
from pulumi_aws import iam as aws_iam

from components import naming
from components.compute.platform import RUNTIME, FunctionPlatform
from components.config import aws_limits
from components.security import policies

_SERVICE_LEVELS = {"WARNING": "WARN", "CRITICAL": "FATAL"}  # Lambda's names where they differ from Python's


@dataclass(frozen=True, kw_only=True, slots=True)
class InstrumentedFunctionArgs:
    """What the caller decides. `statements` is all that the role may do besides logging and tracing."""

    handler: str
    platform: FunctionPlatform
    timeout_seconds: int
    memory_mb: int = 256
    environment: Mapping[str, pulumi.Input[str]]
    statements: Sequence[policies.Statement]
    reserved_concurrency: int | None = None
    layer_arns: Sequence[pulumi.Input[str]] = ()  # besides the platform's
    async_failure_queue_arn: pulumi.Input[str] | None = None  # set where the function is invoked asynchronously

    def __post_init__(self) -> None:
        if not 1 <= self.timeout_seconds <= aws_limits.MAX_TIMEOUT:
            raise ValueError(f"timeout_seconds must be 1-900, got {self.timeout_seconds}")


class InstrumentedFunction(pulumi.ComponentResource):
    """A function that can do what its statements say, and whose log group exists before its first line."""

    keeps_failed_invocations: bool
    function: lambda_.Function
    role: aws_iam.Role
    log_group: cloudwatch.LogGroup

    def __init__(self, name: str, args: InstrumentedFunctionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:compute:InstrumentedFunction", name, None, opts)
        self._name = name
        self._args = args
        self._platform = args.platform.args
        self.keeps_failed_invocations = args.async_failure_queue_arn is not None
        self.log_group = self._log_group()
        self.role = self._role()
        # What creates the function checks the role's rights (VPC, event source), so they come first; what deletes it or
        # takes it out of a VPC still needs them, so they go last.
        grants = [self._policy("policy", self._statements(self.log_group.arn))]
        if self._platform.subnet_ids:
            # apart from the others: these stay until an update has taken the function out of the VPC
            grants.append(self._policy("network", policies.NETWORK))
        self.function = self._function(self.log_group.name, grants)
        if args.async_failure_queue_arn is not None:
            self._keep_failed_invocations(args.async_failure_queue_arn)
        self.register_outputs({"function_name": self.function.name, "role_arn": self.role.arn})

    def _log_group(self) -> cloudwatch.LogGroup:
        return cloudwatch.LogGroup(
            f"{self._name}-logs",
            name=naming.function_log_group(pulumi.get_project(), pulumi.get_stack(), self._name),
            retention_in_days=self._platform.log_retention_days,
            kms_key_id=self._platform.kms_key_arn,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _role(self) -> aws_iam.Role:
        prefix = self._platform.iam_name_prefix
        return aws_iam.Role(
            f"{self._name}-role",
            name_prefix=naming.role_prefix(prefix, self._name) if prefix else None,
            assume_role_policy=pulumi.Output.json_dumps(policies.assumed_by_lambda()),
            permissions_boundary=self._platform.permissions_boundary_arn,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _policy(self, role: str, statements: Sequence[policies.Statement]) -> aws_iam.RolePolicy:
        return aws_iam.RolePolicy(
            f"{self._name}-{role}",
            role=self.role.name,
            policy=pulumi.Output.json_dumps(policies.document(statements)),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _statements(self, log_group_arn: pulumi.Output[str]) -> list[policies.Statement]:
        streams = pulumi.Output.format("{0}:*", log_group_arn)
        statements = [
            *self._args.statements,
            policies.allow("OwnLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], streams),
        ]
        if self._platform.tracing:
            statements.append(policies.TRACING)
        if self._args.async_failure_queue_arn is not None:
            statements.append(
                policies.allow("FailedInvocations", ["sqs:SendMessage"], self._args.async_failure_queue_arn)
            )
        return statements

    def _function(self, log_group_name: pulumi.Output[str], grants: Sequence[aws_iam.RolePolicy]) -> lambda_.Function:
        return lambda_.Function(
            self._name,
            runtime=RUNTIME,
            architectures=[self._platform.architecture],
            handler=self._args.handler,
            code=self._args.platform.code,
            layers=[self._args.platform.layer_arn, *self._args.layer_arns],
            role=self.role.arn,
            timeout=self._args.timeout_seconds,
            memory_size=self._args.memory_mb,
            environment={"variables": self._variables()},
            kms_key_arn=self._platform.kms_key_arn,  # of the environment; Lambda is given a grant by whoever deploys
            tracing_config={"mode": "Active" if self._platform.tracing else "PassThrough"},
            logging_config=self._logging(log_group_name),
            reserved_concurrent_executions=self._args.reserved_concurrency,
            vpc_config=self._vpc(),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(grants)),
        )

    def _variables(self) -> dict[str, pulumi.Input[str]]:
        return {
            "ENVIRONMENT": pulumi.get_stack(),
            "POWERTOOLS_SERVICE_NAME": pulumi.get_project(),
            "POWERTOOLS_LOG_LEVEL": self._platform.log_level,
            **self._args.environment,
        }

    def _logging(self, log_group_name: pulumi.Output[str]) -> lambda_.FunctionLoggingConfigArgs:
        level = self._platform.log_level
        return lambda_.FunctionLoggingConfigArgs(
            log_format="JSON",
            log_group=log_group_name,
            application_log_level=_SERVICE_LEVELS.get(level, level),
            system_log_level="WARN",  # START, END and REPORT of every invocation cost more than our own lines
        )

    def _vpc(self) -> lambda_.FunctionVpcConfigArgs | None:
        if not self._platform.subnet_ids:
            return None
        return lambda_.FunctionVpcConfigArgs(
            subnet_ids=list(self._platform.subnet_ids), security_group_ids=list(self._platform.security_group_ids)
        )

    def _keep_failed_invocations(self, queue_arn: pulumi.Input[str]) -> None:
        lambda_.FunctionEventInvokeConfig(
            f"{self._name}-async",
            function_name=self.function.name,
            destination_config={"on_failure": {"destination": queue_arn}},
            opts=pulumi.ResourceOptions(parent=self),
        )
