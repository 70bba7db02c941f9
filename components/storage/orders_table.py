"""The table of orders, by id and newest first."""

import pulumi
from pulumi_aws import dynamodb

from components.storage.table import TableArgs, TableKeys, on_demand_table

_KEY = "orderId"
_INDEX = "newest"
_SHARD, _RANK = "historyShard", "createdAtId"  # the index's keys: one of a few shards, then time and id of the order


class OrdersTable(pulumi.ComponentResource):
    """A table by order id, with an index by creation time. Nothing in it expires."""

    table: dynamodb.Table
    index_arn: pulumi.Output[str]

    def __init__(self, name: str, args: TableArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:storage:OrdersTable", name, None, opts)
        keys = TableKeys(hash_key=_KEY, index=(_INDEX, _SHARD, _RANK))
        self.table = on_demand_table(name, keys, args, parent=self)
        self.index_arn = pulumi.Output.format("{0}/index/{1}", self.table.arn, _INDEX)
        self.register_outputs({"table_name": self.table.name})
