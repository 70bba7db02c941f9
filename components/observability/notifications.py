"""The notifications of alarms: a topic for each severity, with e-mail and a webhook as subscribers."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import get_caller_identity_output, get_partition_output, get_region_output, lambda_, sns, ssm

from components.compute.function import InstrumentedFunction, InstrumentedFunctionArgs
from components.compute.platform import FunctionPlatform
from components.observability.alarms.model import SEVERITIES, Severity
from components.security import policies

_WEBHOOK = "alarm-webhook"
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class NotificationsArgs:
    """What the caller decides. Without an address there is no e-mail, without a URL (a secret) no webhook."""

    platform: FunctionPlatform
    failures_queue_arn: pulumi.Input[str]
    email: str | None = None
    webhook_url: str | None = None


class Notifications(pulumi.ComponentResource):
    """Topics to which this account's alarms publish, and their subscribers.

    Without a customer key the topics rest on SNS's own disk encryption: CloudWatch can't use the key `alias/aws/sns`.
    """

    topics: Mapping[Severity, sns.Topic]
    functions: Mapping[str, InstrumentedFunction]

    def __init__(self, name: str, args: NotificationsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:observability:Notifications", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.topics = {severity: self._topic(severity) for severity in SEVERITIES}
        if args.email is not None:
            self._mail(args.email)
        self.functions = {_WEBHOOK: self._forward(args.webhook_url)} if args.webhook_url is not None else {}
        self.register_outputs({severity: topic.arn for severity, topic in self.topics.items()})

    def _topic(self, severity: Severity) -> sns.Topic:
        shared = self._args.platform.args
        name = f"{self._name}-{severity}"
        topic = sns.Topic(name, kms_master_key_id=shared.kms_key_arn, opts=self._child)
        asked = pulumi.InvokeOutputOptions(parent=self)
        account = get_caller_identity_output(opts=asked).account_id
        alarms = pulumi.Output.format(
            "arn:{0}:cloudwatch:{1}:{2}:alarm:*",
            get_partition_output(opts=asked).partition,
            get_region_output(opts=asked).region,
            account,
        )
        sns.TopicPolicy(
            f"{name}-policy",
            arn=topic.arn,
            policy=pulumi.Output.json_dumps(policies.alarm_topic_policy(topic.arn, alarms, account)),
            opts=self._child,
        )
        return topic

    def _mail(self, address: str) -> None:
        for severity, topic in self.topics.items():
            sns.TopicSubscription(
                f"{self._name}-{severity}-email",
                topic=topic.arn,
                protocol="email",
                endpoint=address,
                opts=self._child,
            )

    def _forward(self, url: str) -> InstrumentedFunction:
        made = InstrumentedFunction(_WEBHOOK, self._webhook_args(self._secret(url)), self._child)
        for severity, topic in self.topics.items():
            name = f"{self._name}-{severity}-webhook"
            permission = lambda_.Permission(
                f"{name}-invocation",
                action="lambda:InvokeFunction",
                function=made.function.name,
                principal="sns.amazonaws.com",
                source_arn=topic.arn,
                opts=self._child,
            )
            sns.TopicSubscription(
                name,
                topic=topic.arn,
                protocol="lambda",
                endpoint=made.function.arn,
                # until the permission is there, Lambda refuses what SNS delivers
                opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
            )
        return made

    def _secret(self, url: str) -> ssm.Parameter:
        shared = self._args.platform.args
        return ssm.Parameter(
            f"{_WEBHOOK}-url",
            type=ssm.ParameterType.SECURE_STRING,
            value=pulumi.Output.secret(url),
            key_id=shared.kms_key_arn,
            opts=self._child,
        )

    def _webhook_args(self, secret: ssm.Parameter) -> InstrumentedFunctionArgs:
        platform = self._args.platform
        key = platform.args.kms_key_arn
        return InstrumentedFunctionArgs(
            handler="handlers.control.alarm_webhook.handler",
            platform=platform,
            timeout_seconds=_TIMEOUT_SECONDS,
            environment={"WEBHOOK_URL_PARAMETER": secret.name},
            statements=[
                policies.allow("WebhookUrl", ["ssm:GetParameter"], secret.arn),
                *([] if key is None else [policies.use_key_of_parameters(key)]),
                *platform.queue_key(),  # of its failed invocations
            ],
            async_failure_queue_arn=self._args.failures_queue_arn,
        )
