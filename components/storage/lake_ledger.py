"""The table of what the lake's Iceberg tables have of chunks, and of chunks that wait for them."""

import pulumi
from pulumi_aws import dynamodb

from components.storage.table import TableArgs, TableKeys, on_demand_table

_SCOPE, _NAME = "scope", "name"


class LakeLedger(pulumi.ComponentResource):
    """A table by scope (a content's digest, or what all of a kind share) and name. Nothing in it expires."""

    table: dynamodb.Table

    def __init__(self, name: str, args: TableArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:storage:LakeLedger", name, None, opts)
        self.table = on_demand_table(name, TableKeys(hash_key=_SCOPE, range_key=_NAME), args, parent=self)
        self.register_outputs({"table_name": self.table.name})
