"""What all functions of a stack have in common: code, libraries, limits that an organization sets, encryption."""

from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_aws import lambda_

from components.compute import packaging
from components.security import policies

RUNTIME = lambda_.Runtime(f"python{packaging.PYTHON_VERSION}")


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionPlatformArgs:
    """What the caller decides. Both zips are paths on the deploying machine."""

    handlers_zip: Path
    layer_zip: Path
    architecture: str = "arm64"
    log_level: str = "INFO"
    log_retention_days: int = 14
    tracing: bool = True
    subnet_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    iam_name_prefix: str = ""
    permissions_boundary_arn: str | None = None
    kms_key_arn: pulumi.Input[str] | None = None


class FunctionPlatform(pulumi.ComponentResource):
    """The layer of dependencies, and the settings that every function has in common."""

    args: FunctionPlatformArgs
    code: pulumi.Archive
    layer_arn: pulumi.Output[str]

    def __init__(self, name: str, args: FunctionPlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:compute:FunctionPlatform", name, None, opts)
        self.args = args
        self.code = pulumi.FileArchive(str(args.handlers_zip))
        self.layer_arn = self.layer("dependencies", args.layer_zip)
        self.register_outputs({"layer_arn": self.layer_arn})

    def layer(self, name: str, archive: Path) -> pulumi.Output[str]:
        """Publish libraries for functions of this platform, and return the ARN of the version."""
        return lambda_.LayerVersion(
            name,
            layer_name=f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}",
            code=pulumi.FileArchive(str(archive)),
            compatible_architectures=[self.args.architecture],
            compatible_runtimes=[RUNTIME],
            opts=pulumi.ResourceOptions(parent=self),
        ).arn

    def queue_key(self, *, sends: bool = True) -> list[policies.Statement]:
        """Return the permission to use the customer key through queues; nothing without a key."""
        return [] if self.args.kms_key_arn is None else [policies.use_key_of_queues(self.args.kms_key_arn, sends=sends)]

    def table_key(self) -> list[policies.Statement]:
        """Return the permission to use the customer key through tables; nothing without a key."""
        return [] if self.args.kms_key_arn is None else [policies.use_key_of_tables(self.args.kms_key_arn)]
