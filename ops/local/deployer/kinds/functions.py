"""Lambda functions and layers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.deployer.aws import if_there
from ops.local.deployer.errors import DeployError
from ops.local.deployer.kinds.base import Kind, Resource, Seen, Settling, sync_tags
from ops.local.deployer.translate import Fields, Sub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.local.deployer.aws import Aws

_SETTLE_SECONDS = 60
_POLL_SECONDS = 0.1
_UNRESERVED = -1  # the provider's word for "no reservation"
_CODE = ("code", "architectures")
_LOGGING = {
    "logFormat": "LogFormat",
    "logGroup": "LogGroup",
    "applicationLogLevel": "ApplicationLogLevel",
    "systemLogLevel": "SystemLogLevel",
}
_VPC = {
    "subnetIds": "SubnetIds",
    "securityGroupIds": "SecurityGroupIds",
    "ipv6AllowedForDualStack": "Ipv6AllowedForDualStack",
}
_CONFIGURATION: dict[str, Any] = {  # AWS's defaults, for settings that the program no longer gives
    "Role": None,
    "Handler": None,
    "Runtime": None,
    "Description": "",
    "Timeout": 3,
    "MemorySize": 128,
    "Environment": {"Variables": {}},
    "Layers": [],
    "TracingConfig": {"Mode": "PassThrough"},
    "DeadLetterConfig": {"TargetArn": ""},
    "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
    "KMSKeyArn": "",
    "EphemeralStorage": {"Size": 512},
    "LoggingConfig": {"LogFormat": "Text"},
}


class Function(Settling, Seen):
    """aws:lambda/function:Function, from a zip."""

    fields: ClassVar[Fields] = {
        "name": "FunctionName",
        "code": "Code",
        "sourceCodeHash": "sourceCodeHash",  # the provider's trigger; here the content of the code is compared
        "architectures": "Architectures",
        "publish": "Publish",
        "role": "Role",
        "handler": "Handler",
        "runtime": "Runtime",
        "description": "Description",
        "timeout": "Timeout",
        "memorySize": "MemorySize",
        "environment": Sub("Environment", {"variables": "Variables"}),
        "layers": "Layers",
        "tracingConfig": Sub("TracingConfig", {"mode": "Mode"}),
        "deadLetterConfig": Sub("DeadLetterConfig", {"targetArn": "TargetArn"}),
        "vpcConfig": Sub("VpcConfig", _VPC),
        "kmsKeyArn": "KMSKeyArn",
        "ephemeralStorage": Sub("EphemeralStorage", {"size": "Size"}),
        "loggingConfig": Sub("LoggingConfig", _LOGGING),
        "reservedConcurrentExecutions": "ReservedConcurrentExecutions",
        "tags": "Tags",
    }
    fixed = frozenset({"name"})

    def find(self, it: Resource) -> str | None:
        """By name."""
        with if_there():
            return it.aws.lambda_.get_function_configuration(FunctionName=it.physical)["FunctionName"]
        return None

    def create(self, it: Resource) -> str:
        """With its concurrency."""
        given = it.pick("Architectures", "Publish", "Tags", *_CONFIGURATION)
        content: bytes = it.inputs["code"].content
        it.aws.lambda_.create_function(FunctionName=it.physical, Code={"ZipFile": content}, **given)
        self._reserve(it)
        return it.physical

    def update(self, it: Resource) -> None:
        """Code, settings, reservation, tags: each only where it changed."""
        if it.touches(*_CODE):
            content = it.inputs["code"].content
            it.aws.lambda_.update_function_code(
                FunctionName=it.id, ZipFile=content, **it.pick("Architectures", "Publish")
            )
            self.settle(it)  # before that Lambda refuses the next change
        it.aws.lambda_.update_function_configuration(FunctionName=it.id, **it.with_defaults(_CONFIGURATION))
        self._reserve(it)
        sync_lambda_tags(it, _arn(it.aws, it.id))

    def seen(self, it: Resource) -> Mapping[str, object]:
        """Its code, its settings, its reservation."""
        found = it.aws.lambda_.get_function_configuration(FunctionName=it.id)
        reserved = it.aws.lambda_.get_function_concurrency(FunctionName=it.id).get("ReservedConcurrentExecutions")
        shown = {name: value for name, value in found.items() if name in {"CodeSha256", *_CONFIGURATION}}
        return shown | {"ReservedConcurrentExecutions": reserved}

    def delete(self, it: Resource) -> None:
        """With all its versions."""
        with if_there():
            it.aws.lambda_.delete_function(FunctionName=it.id)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARNs, version and what the code is."""
        arn, code = _arn(it.aws, it.id), it.inputs["code"]
        version = "$LATEST"
        if it.inputs.get("publish"):
            versions = it.aws.lambda_.list_versions_by_function(FunctionName=it.id)["Versions"]
            version = versions[-1]["Version"]
        return super().outputs(it) | {
            "name": it.id,
            "arn": arn,
            "invokeArn": _invoke_arn(it.aws, arn),
            "qualifiedArn": f"{arn}:{version}",
            "qualifiedInvokeArn": _invoke_arn(it.aws, f"{arn}:{version}"),
            "version": version,
            "codeSha256": code.sha256_base64,
            "sourceCodeSize": len(code.content),
        }

    def settle(self, it: Resource) -> None:
        """Wait until Lambda has taken the last change; botocore's own waiters look once a second only.

        Raises:
            DeployError: Lambda could not, or did not in time; with its own reason.
        """
        deadline = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < deadline:
            now = it.aws.lambda_.get_function_configuration(FunctionName=it.id)
            state, last = now.get("State", "Active"), now.get("LastUpdateStatus", "Successful")
            if "Failed" in (state, last):
                raise DeployError(f"function {it.id!r}: {now.get('StateReason') or now.get('LastUpdateStatusReason')}")
            if state != "Pending" and last != "InProgress":
                return
            time.sleep(_POLL_SECONDS)
        raise DeployError(f"function {it.id!r} was not ready within {_SETTLE_SECONDS} s")

    def _reserve(self, it: Resource) -> None:
        reserved = it.inputs.get("reservedConcurrentExecutions", _UNRESERVED)
        if reserved != _UNRESERVED:
            it.aws.lambda_.put_function_concurrency(FunctionName=it.physical, ReservedConcurrentExecutions=reserved)
        elif (it.id and it.changed is None) or it.before.get(
            "reservedConcurrentExecutions", _UNRESERVED
        ) != _UNRESERVED:
            it.aws.lambda_.delete_function_concurrency(FunctionName=it.physical)


class LayerVersion(Kind):
    """aws:lambda/layerVersion:LayerVersion; versions are immutable, so every change publishes another one."""

    fields: ClassVar[Fields] = {
        "layerName": "LayerName",
        "code": "Code",
        "sourceCodeHash": "sourceCodeHash",
        "compatibleRuntimes": "CompatibleRuntimes",
        "compatibleArchitectures": "CompatibleArchitectures",
        "description": "Description",
        "licenseInfo": "LicenseInfo",
    }
    fixed = frozenset(fields)
    coexists = True

    def find(self, it: Resource) -> str | None:
        """By its recorded ARN, whose last part is the version."""
        if not it.id:
            return None
        with if_there():
            it.aws.lambda_.get_layer_version(LayerName=it.inputs["layerName"], VersionNumber=_version(it.id))
            return it.id
        return None

    def create(self, it: Resource) -> str:
        """Publish a version."""
        given = it.pick("CompatibleRuntimes", "CompatibleArchitectures", "Description", "LicenseInfo")
        content: bytes = it.inputs["code"].content
        made = it.aws.lambda_.publish_layer_version(
            LayerName=it.inputs["layerName"], Content={"ZipFile": content}, **given
        )
        return made["LayerVersionArn"]

    def update(self, it: Resource) -> None:
        """Never called with a change: all inputs are fixed."""

    def delete(self, it: Resource) -> None:
        """This version only."""
        with if_there():
            it.aws.lambda_.delete_layer_version(LayerName=it.inputs["layerName"], VersionNumber=_version(it.id))

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARNs, version and what the code is."""
        layer, _, version = it.id.rpartition(":")
        code = it.inputs["code"]
        return {
            "arn": it.id,
            "layerArn": layer,
            "version": version,
            "codeSha256": code.sha256_base64,
            "sourceCodeSize": len(code.content),
        }


def _version(layer_arn: str) -> int:
    return int(layer_arn.rpartition(":")[2])


def sync_lambda_tags(it: Resource, arn: str) -> None:
    """Set the tags of something of Lambda's that are new or other, remove those that are gone."""
    sync_tags(
        it,
        lambda tags: it.aws.lambda_.tag_resource(Resource=arn, Tags=tags),
        lambda keys: it.aws.lambda_.untag_resource(Resource=arn, TagKeys=keys),
    )


def _arn(aws: Aws, name: str) -> str:
    return f"arn:aws:lambda:{aws.region}:{aws.account}:function:{name}"


def _invoke_arn(aws: Aws, arn: str) -> str:
    return f"arn:aws:apigateway:{aws.region}:lambda:path/2015-03-31/functions/{arn}/invocations"
