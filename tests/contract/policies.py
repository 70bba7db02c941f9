"""Every policy that the program registers, with ARNs as AWS gives them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from tests.components.recording import ACCOUNT, REGION, Recording, main_program, run, stack_config

_ARNS = {  # the end of a type token: what an ARN of it is, before the resource's name
    "dynamodb/table:Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/",
    "cloudwatch/eventArchive:EventArchive": f"arn:aws:events:{REGION}:{ACCOUNT}:archive/",
    "cloudwatch/eventBus:EventBus": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/",
    "cloudwatch/eventRule:EventRule": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/",
    "cloudwatch/logGroup:LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:",
    "iam/role:Role": f"arn:aws:iam::{ACCOUNT}:role/",
    "kms/key:Key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/",
    "lambda/eventSourceMapping:EventSourceMapping": f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:",
    "lambda/function:Function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:",
    "s3/bucket:Bucket": "arn:aws:s3:::",
    "sns/topic:Topic": f"arn:aws:sns:{REGION}:{ACCOUNT}:",
    "sqs/queue:Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:",
    "ssm/parameter:Parameter": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/",
}
ALL_PIPELINES = stack_config("local").get("pipelines", ["events"])
_NETWORK = {"vpcSubnetIds": ["subnet-0123456789abcdef0"], "vpcSecurityGroupIds": ["sg-0123456789abcdef0"]}
_TOLD = {"alarmEmail": "oncall@team.example", "webhookUrl": "https://hooks.example/"}
CONFIGURATIONS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "local": ("local", {}),
    "dev": ("dev", {}),
    "prod": ("prod", _TOLD),
    "prod, all pipelines, customer key, VPC": (
        "prod",
        {**_TOLD, **_NETWORK, "pipelines": ALL_PIPELINES, "useKmsCmk": True, "tracing": True},
    ),
    "an API key of our own, customer key": (
        "dev",
        {"authMode": "apiKey", "apiKey": "0123456789abcdefghij", "useKmsCmk": True},
    ),
    "an API key that others keep": (
        "dev",
        {
            "authMode": "apiKey",
            "apiKeySecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:api-AbCdEf",
            "pipelines": ALL_PIPELINES,
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """One document; ``on`` is the kind of what carries it, such as ``RolePolicy``."""

    on: str
    name: str
    document: str

    @property
    def statements(self) -> list[dict[str, Any]]:
        """Its statements, the actions and the resources always as lists."""
        found: list[dict[str, Any]] = json.loads(self.document)["Statement"]
        return [{**s, **{key: as_list(s[key]) for key in ("Action", "Resource") if key in s}} for s in found]


@dataclass
class AwsRecording(Recording):
    """A recording whose resources have ARNs of AWS's form; outputs are known."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """The resource as AWS would have made it."""
        made, outputs = super().new_resource(args)
        if prefix := _ARNS.get(args.typ.removeprefix("aws:")):
            outputs["arn"] = prefix + str(args.inputs.get("name", args.name)).removeprefix("/")
        outputs["executionArn"] = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{args.name}"
        return made, outputs


def record(configuration: str) -> AwsRecording:
    """What the program registers in one of the configurations."""
    stack, config = CONFIGURATIONS[configuration]
    recording = AwsRecording()
    run(main_program, stack=stack, config={**stack_config(stack), **config}, into=recording)
    return recording


def policies(recording: Recording) -> Iterator[Policy]:
    """Every policy document in an input, of whatever type the resource is."""
    for resource in recording.resources:
        for text in resource.inputs.values():
            if isinstance(text, str) and text.startswith('{"Version"'):
                yield Policy(resource.type.rpartition(":")[2], resource.name, text)


def as_list(value: Any) -> list[Any]:
    """IAM takes one or many."""
    return value if isinstance(value, list) else [value]
