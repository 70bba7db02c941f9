"""The table of orders, by id and newest first."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import dynamodb

from components.storage.state_table import encryption

_KEY = "orderId"
_INDEX = "newest"
_SHARD, _RANK = "historyShard", "createdAtId"  # the index's keys: one of a few shards, then time and id of the order


@dataclass(frozen=True, kw_only=True, slots=True)
class OrdersTableArgs:
    """What the caller decides."""

    deletion_protected: bool = False
    kms_key_arn: pulumi.Input[str] | None = None
    tags: Mapping[str, str] | None = None


class OrdersTable(pulumi.ComponentResource):
    """An on-demand table by order id, restorable to any second of the last 35 days. Nothing in it expires."""

    table: dynamodb.Table
    index_arn: pulumi.Output[str]

    def __init__(self, name: str, args: OrdersTableArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:storage:OrdersTable", name, None, opts)
        self.table = dynamodb.Table(
            name,
            attributes=[{"name": key, "type": "S"} for key in (_KEY, _SHARD, _RANK)],
            hash_key=_KEY,
            global_secondary_indexes=[
                {"name": _INDEX, "hash_key": _SHARD, "range_key": _RANK, "projection_type": "ALL"}
            ],
            billing_mode="PAY_PER_REQUEST",
            point_in_time_recovery={"enabled": True},
            server_side_encryption=encryption(args.kms_key_arn),
            deletion_protection_enabled=args.deletion_protected,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.deletion_protected),
        )
        self.index_arn = pulumi.Output.format("{0}/index/{1}", self.table.arn, _INDEX)
        self.register_outputs({"table_name": self.table.name})
