"""What all functions of a stack have in common: code, libraries, limits that an organization sets, encryption."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_aws import lambda_

from components import iam

RUNTIME = lambda_.Runtime.PYTHON3D13


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
    tags: Mapping[str, str] | None = None


class FunctionPlatform(pulumi.ComponentResource):
    """The dependency layer, and the settings that every function takes over."""

    args: FunctionPlatformArgs
    code: pulumi.Archive
    layer_arn: pulumi.Output[str]

    def __init__(self, name: str, args: FunctionPlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:compute:FunctionPlatform", name, None, opts)
        self.args = args
        self.code = pulumi.FileArchive(str(args.handlers_zip))
        layer = lambda_.LayerVersion(
            "dependencies",
            layer_name=f"{pulumi.get_project()}-{pulumi.get_stack()}-dependencies",
            code=pulumi.FileArchive(str(args.layer_zip)),
            compatible_architectures=[args.architecture],
            compatible_runtimes=[RUNTIME],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.layer_arn = layer.arn
        self.register_outputs({"layer_arn": self.layer_arn})

    def queue_key(self) -> list[iam.Statement]:
        """What a function needs besides to use encrypted queues; nothing without a customer key."""
        return [] if self.args.kms_key_arn is None else [iam.use_key_of_queues(self.args.kms_key_arn)]

    def table_key(self) -> list[iam.Statement]:
        """What a function needs besides to use encrypted tables; nothing without a customer key."""
        return [] if self.args.kms_key_arn is None else [iam.use_key_of_tables(self.args.kms_key_arn)]
