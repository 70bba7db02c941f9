"""What every DynamoDB table of a stack has in common."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import dynamodb


@dataclass(frozen=True, kw_only=True, slots=True)
class TableArgs:
    """What the caller decides. DynamoDB refuses to delete a protected table."""

    deletion_protected: bool = False
    kms_key_arn: pulumi.Input[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TableKeys:
    """Names of attributes. Those of keys, and of the index's keys, are strings; `expiry` has epoch seconds."""

    hash_key: str
    range_key: str | None = None
    expiry: str | None = None
    index: tuple[str, str, str] | None = None  # its own name, its hash key, its range key

    @property
    def attributes(self) -> Sequence[str]:
        """All attributes of keys."""
        return [key for key in (self.hash_key, self.range_key, *(self.index or ())[1:]) if key is not None]


def on_demand_table(name: str, keys: TableKeys, args: TableArgs, *, parent: pulumi.Resource) -> dynamodb.Table:
    """Make an encrypted on-demand table, restorable to any second of the last 35 days.

    Without a customer key DynamoDB encrypts with a key of its own.
    """
    return dynamodb.Table(
        name,
        attributes=[{"name": key, "type": "S"} for key in keys.attributes],
        hash_key=keys.hash_key,
        range_key=keys.range_key,
        global_secondary_indexes=_indexes(keys),
        ttl=None if keys.expiry is None else {"attribute_name": keys.expiry, "enabled": True},
        billing_mode="PAY_PER_REQUEST",
        point_in_time_recovery={"enabled": True},
        server_side_encryption=None if args.kms_key_arn is None else {"enabled": True, "kms_key_arn": args.kms_key_arn},
        deletion_protection_enabled=args.deletion_protected,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _indexes(keys: TableKeys) -> list[dynamodb.TableGlobalSecondaryIndexArgsDict] | None:
    if keys.index is None:
        return None
    name, hash_key, range_key = keys.index
    return [{"name": name, "hash_key": hash_key, "range_key": range_key, "projection_type": "ALL"}]
