"""The customer key, which encrypts a stack's data at rest where the configuration asks for one."""

import json
from dataclasses import dataclass

import pulumi
from pulumi_aws import get_caller_identity, get_partition, get_region, kms

from components import naming
from components.security import policies
from components.security.key_policy import KeyOwner, key_policy

_DELETION_WINDOW_DAYS = 30  # KMS's maximum: what the key encrypted is lost with it


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomerKeyArgs:
    """What the caller decides."""

    alias: str
    table_buckets: bool = False  # whether it encrypts tables of S3 Tables, too


class CustomerKey(pulumi.ComponentResource):
    """A symmetric key that rotates yearly, with an alias and a policy that names only the services that use it."""

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: CustomerKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:security:CustomerKey", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = kms.Key(
            f"{name}-key",
            description=f"Data at rest of {pulumi.get_project()}, stack {pulumi.get_stack()}",
            enable_key_rotation=True,
            deletion_window_in_days=_DELETION_WINDOW_DAYS,
            policy=json.dumps(_policy(args)),
            opts=child,
        )
        kms.Alias(f"{name}-alias", name=args.alias, target_key_id=key.key_id, opts=child)
        self.arn = key.arn
        self.register_outputs({"arn": self.arn})


def _policy(args: CustomerKeyArgs) -> policies.Document:
    owner = KeyOwner(
        partition=get_partition().partition,
        region=get_region().region,
        account_id=get_caller_identity().account_id,
        log_groups=naming.log_group_patterns(pulumi.get_project(), pulumi.get_stack()),
        table_buckets=args.table_buckets,
    )
    return key_policy(owner)
