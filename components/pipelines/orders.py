"""The orders pipeline: HTTP to a bus, bus to a queue, queue to a table of orders."""

import json

import pulumi
from pulumi_aws import cloudwatch

from components.compute.function import InstrumentedFunctionArgs
from components.config.access import Access
from components.messaging.queue_rule import QueueRule, QueueRuleArgs
from components.pipelines.base import API_TIMEOUT_SECONDS, Pipeline
from components.pipelines.worker_spec import Work
from components.security import policies
from components.shared_services import Foundation
from components.storage.orders_table import OrdersTable, OrdersTableArgs

_SOURCE = "myapp.orders"
_DETAIL_TYPE = "OrderCreated"
_ROUTES = {
    "POST /orders": Access.SUBMIT,
    "GET /orders": Access.READ,
    "GET /orders/{orderId}": Access.READ,
}


class OrdersPipeline(Pipeline):
    """Orders API, the bus's rule and archive, queue, worker function and the table of orders."""

    def __init__(self, name: str, base: Foundation, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:pipelines:Orders", name, base, opts)
        self._orders = self._table()
        self._delivery = self._rule()
        archive = self._archive()
        work = self._work()
        self.consume(work)
        self.front("api", self._api_args(), routes=_ROUTES, sends=False)
        undelivered = self._delivery.undelivered
        self.redrives[f"{name}-undelivered"] = self._delivery.letters(self.queue)
        self.rules["order"] = self._delivery.rule.name
        self.let_deliver(self._delivery.rule.arn)
        more = {
            "tableName": self._orders.table.name,
            "undeliveredUrl": undelivered.url,
            "ruleArn": self._delivery.rule.arn,
            **({"archiveArn": archive.arn} if archive else {}),
        }
        self.finish(work, more, undelivered=undelivered.name)

    def limit_producers(self, redriver_arn: pulumi.Input[str]) -> None:
        """Closes the queues to all but those who have to send, and only then lets the rule deliver."""
        super().limit_producers(redriver_arn)
        self._delivery.deliver_to(self.queue)

    def _table(self) -> OrdersTable:
        shared = self.base.platform.args
        args = OrdersTableArgs(
            deletion_protected=self.base.settings.is_production, kms_key_arn=shared.kms_key_arn, tags=shared.tags
        )
        made = OrdersTable(f"{self.name}-table", args, self.child)
        self.tables[self.name] = made.table.name
        return made

    def _rule(self) -> QueueRule:
        shared = self.base.platform.args
        args = QueueRuleArgs(
            bus_name=self.base.bus.bus.name,
            source=_SOURCE,
            detail_type=_DETAIL_TYPE,
            kms_key_arn=shared.kms_key_arn,
            tags=shared.tags,
        )
        return QueueRule(f"{self.name}-created", args, self.child)

    def _archive(self) -> cloudwatch.EventArchive | None:
        """Keeps what was told of orders, to be told again; no replay is archived anew."""
        days = self.base.settings.archive_retention_days
        if not days:
            return None
        return cloudwatch.EventArchive(
            f"{self.name}-archive",
            description=f"{_DETAIL_TYPE} of {_SOURCE}, for lab orders replay",
            event_source_arn=self.base.bus.bus.arn,
            event_pattern=json.dumps({"source": [_SOURCE], "detail-type": [_DETAIL_TYPE]}),
            retention_days=days,
            kms_key_identifier=self.base.platform.args.kms_key_arn,
            opts=self.child,
        )

    def _work(self) -> Work:
        settings = self.base.settings
        return Work(
            handler="handlers.orders.worker.handler",
            source=_SOURCE,
            timeout_seconds=settings.orders_worker_timeout_seconds,
            batch_size=settings.orders_batch_size,
            batching_window_seconds=settings.max_batching_window_seconds,
            memory_mb=settings.worker_memory_mb,
            max_concurrency=settings.worker_max_concurrency,
            environment={"ORDERS_TABLE_NAME": self._orders.table.name},
            statements=[policies.allow("Orders", ["dynamodb:PutItem"], self._orders.table.arn)],
        )

    def _api_args(self) -> InstrumentedFunctionArgs:
        settings, bus = self.base.settings, self.base.bus.bus
        environment = self.shared_environment()
        del environment["QUEUE_URL"]  # the bus fills it
        on_bus = ["events:PutEvents", *(["events:DescribeEventBus"] if self.answers_for_all else [])]
        return InstrumentedFunctionArgs(
            handler="handlers.orders.api.handler",
            platform=self.base.platform,
            timeout_seconds=API_TIMEOUT_SECONDS,
            memory_mb=settings.ingest_memory_mb,
            environment={
                **environment,
                "EVENT_BUS_NAME": bus.name,
                "ORDERS_TABLE_NAME": self._orders.table.name,
            },
            statements=[
                policies.allow("Bus", on_bus, bus.arn),
                policies.allow("State", ["dynamodb:BatchGetItem", "dynamodb:PartiQLInsert"], self.base.table.table.arn),
                policies.allow("Order", ["dynamodb:GetItem"], self._orders.table.arn),
                policies.allow("Orders", ["dynamodb:Query"], self._orders.index_arn),
                *self.base.platform.table_key(),
                *([self.base.failure_switch.reader] if self.base.failure_switch else []),
            ],
        )
