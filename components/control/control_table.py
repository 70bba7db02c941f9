"""What the functions of the control plane share: a table for their state and a queue for their failed invocations."""

from collections.abc import Iterable

import pulumi
from pulumi_aws import dynamodb, sqs

from components.compute.function import InstrumentedFunction
from components.messaging.encrypted_queue import failure_queue
from components.security import policies
from components.storage.table import TableArgs, TableKeys, on_demand_table


class ControlPlane(pulumi.ComponentResource):
    """A table of breakers, redrives and their ledgers, and a queue of invocations that failed for good.

    The queue's policy is a resource of its own, `limit_failure_senders`: it names roles that are made later.
    """

    table: dynamodb.Table
    failures: sqs.Queue

    def __init__(self, name: str, args: TableArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:control:ControlPlane", name, None, opts)
        self.name = name
        keys = TableKeys(hash_key="id", range_key="item", expiry="expiresAt")
        self.table = on_demand_table(f"{name}-table", keys, args, parent=self)
        self.failures = failure_queue(f"{name}-failures", kms_key_arn=args.kms_key_arn, parent=self)
        self.register_outputs({"table_name": self.table.name})


def limit_failure_senders(control: ControlPlane, functions: Iterable[InstrumentedFunction]) -> sqs.QueuePolicy:
    """Close the queue of failed invocations to plain HTTP, and to all roles but those of functions that fail into it.

    Lambda sends a failed invocation in the role of its function.
    """
    senders = [function.role.arn for function in functions if function.keeps_failed_invocations]
    return sqs.QueuePolicy(
        f"{control.name}-failures-policy",
        queue_url=control.failures.url,
        policy=pulumi.Output.json_dumps(policies.queue_policy(control.failures.arn, senders)),
        opts=pulumi.ResourceOptions(parent=control),
    )
