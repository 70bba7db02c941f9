"""What the functions of the control plane share: a table for their state and a queue for their failed invocations."""

from collections.abc import Iterable
from dataclasses import dataclass

import pulumi
from pulumi_aws import dynamodb, sqs

from components.compute.function import InstrumentedFunction
from components.messaging.encrypted_queue import failure_queue
from components.security import policies
from components.storage.table import TableArgs, TableKeys, on_demand_table


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlPlaneArgs(TableArgs):
    """What the caller decides: of the table what `TableArgs` has.

    `senders_follow` says that the caller names later, with `limit_failure_senders`, who may send to the queue. Without
    it the queue is closed to plain HTTP at once, and IAM alone decides who sends.
    """

    senders_follow: bool = False


class ControlPlane(pulumi.ComponentResource):
    """A table of breakers, redrives and their ledgers, and a queue of invocations that failed for good."""

    table: dynamodb.Table
    failures: sqs.Queue

    def __init__(self, name: str, args: ControlPlaneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:control:ControlPlane", name, None, opts)
        self.name = name
        keys = TableKeys(hash_key="id", range_key="item", expiry="expiresAt")
        self.table = on_demand_table(f"{name}-table", keys, args, parent=self)
        self.failures = failure_queue(f"{name}-failures", kms_key_arn=args.kms_key_arn, parent=self)
        self._is_closed = False
        if not args.senders_follow:
            self.close(policies.document([policies.tls_only("sqs:*", self.failures.arn)]))
        self.register_outputs({"table_name": self.table.name})

    def close(self, policy: policies.Document) -> sqs.QueuePolicy:
        """Give the queue its policy.

        Raises:
            ValueError: it has one. A queue has one policy, and of two resources that set it the later one would win.
        """
        if self._is_closed:
            raise ValueError(f"the queue of {self.name} has its policy: make it with senders_follow=True")
        self._is_closed = True
        return sqs.QueuePolicy(
            f"{self.name}-failures-policy",
            queue_url=self.failures.url,
            policy=pulumi.Output.json_dumps(policy),
            opts=pulumi.ResourceOptions(parent=self),
        )


def limit_failure_senders(control: ControlPlane, functions: Iterable[InstrumentedFunction]) -> sqs.QueuePolicy:
    """Close the queue of failed invocations to plain HTTP, and to all roles but those of functions that fail into it.

    Lambda sends a failed invocation in the role of its function.

    Raises:
        ValueError: the control plane was not made with `senders_follow`, and its queue has its policy.
    """
    senders = [function.role.arn for function in functions if function.keeps_failed_invocations]
    return control.close(policies.queue_policy(control.failures.arn, senders))
