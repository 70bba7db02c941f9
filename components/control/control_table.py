"""What the functions of the control plane share: a table for their state and a queue for their failed invocations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import dynamodb, sqs

from components.config import aws_limits
from components.security import policies
from components.storage.state_table import encryption


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlPlaneArgs:
    """What the caller decides."""

    deletion_protected: bool = False
    kms_key_arn: pulumi.Input[str] | None = None
    tags: Mapping[str, str] | None = None


class ControlPlane(pulumi.ComponentResource):
    """Breakers, redrives and their ledgers in one on-demand table; invocations that failed for good in one queue.

    Call `limit_producers` once all functions are made: the queue's policy is made by it.
    """

    table: dynamodb.Table
    failures: sqs.Queue

    def __init__(self, name: str, args: ControlPlaneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:control:ControlPlane", name, None, opts)
        self._name = name
        child = pulumi.ResourceOptions(parent=self)
        self.table = dynamodb.Table(
            f"{name}-table",
            attributes=[{"name": "id", "type": "S"}, {"name": "item", "type": "S"}],
            hash_key="id",
            range_key="item",
            billing_mode="PAY_PER_REQUEST",
            ttl={"attribute_name": "expiresAt", "enabled": True},
            point_in_time_recovery={"enabled": True},  # a ledger tells what was moved: as dear as the events themselves
            server_side_encryption=encryption(args.kms_key_arn),
            deletion_protection_enabled=args.deletion_protected,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.deletion_protected),
        )
        self.failures = sqs.Queue(
            f"{name}-failures",
            message_retention_seconds=aws_limits.MAX_RETENTION,
            sqs_managed_sse_enabled=True if args.kms_key_arn is None else None,
            kms_master_key_id=args.kms_key_arn,
            tags=args.tags,
            opts=child,
        )
        self.register_outputs({"table_name": self.table.name})

    def limit_producers(self, role_arns: Sequence[pulumi.Input[str]]) -> None:
        """Closes the queue to plain HTTP and to all but these roles, in which Lambda puts failures there."""
        sqs.QueuePolicy(
            f"{self._name}-failures-policy",
            queue_url=self.failures.url,
            policy=pulumi.Output.json_dumps(policies.queue_policy(self.failures.arn, role_arns)),
            opts=pulumi.ResourceOptions(parent=self),
        )
