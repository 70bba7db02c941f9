"""The table that remembers what became of every event."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import dynamodb

_KEY = "idempotencyKey"
_EXPIRY = "expiresAt"  # epoch seconds; DynamoDB deletes up to days late, so readers check it too


@dataclass(frozen=True, kw_only=True, slots=True)
class StateTableArgs:
    """What the caller decides."""

    deletion_protected: bool = False
    kms_key_arn: pulumi.Input[str] | None = None
    tags: Mapping[str, str] | None = None


class StateTable(pulumi.ComponentResource):
    """An on-demand table by idempotency key, restorable to any second of the last 35 days."""

    table: dynamodb.Table

    def __init__(self, name: str, args: StateTableArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:storage:StateTable", name, None, opts)
        self.table = dynamodb.Table(
            name,
            attributes=[{"name": _KEY, "type": "S"}],
            hash_key=_KEY,
            billing_mode="PAY_PER_REQUEST",
            ttl={"attribute_name": _EXPIRY, "enabled": True},
            point_in_time_recovery={"enabled": True},
            server_side_encryption=encryption(args.kms_key_arn),
            deletion_protection_enabled=args.deletion_protected,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.deletion_protected),
        )
        self.register_outputs({"table_name": self.table.name})


def encryption(key_arn: pulumi.Input[str] | None) -> dynamodb.TableServerSideEncryptionArgs | None:
    """A table's encryption with the customer key, where there is one."""
    if key_arn is None:
        return None  # DynamoDB then encrypts with a key of its own
    return dynamodb.TableServerSideEncryptionArgs(enabled=True, kms_key_arn=key_arn)
