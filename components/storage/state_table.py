"""The table that holds the state of every event."""

import pulumi
from pulumi_aws import dynamodb

from components.storage.table import TableArgs, TableKeys, on_demand_table

_KEY = "idempotencyKey"
_EXPIRY = "expiresAt"  # epoch seconds; DynamoDB deletes up to days late, so readers check it too


class StateTable(pulumi.ComponentResource):
    """A table by idempotency key, whose items expire."""

    table: dynamodb.Table

    def __init__(self, name: str, args: TableArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:storage:StateTable", name, None, opts)
        keys = TableKeys(hash_key=_KEY, expiry=_EXPIRY)
        self.table = on_demand_table(name, keys, args, parent=self)
        self.register_outputs({"table_name": self.table.name})
