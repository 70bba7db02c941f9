"""The orders pipeline: HTTP to a bus, bus to a queue, queue to a table of orders."""

import json
from typing import ClassVar

import pulumi
from pulumi_aws import cloudwatch

from components.compute.function import InstrumentedFunctionArgs
from components.config import aws_limits
from components.config.access import Access
from components.messaging.queue_rule import QueueRule, QueueRuleArgs
from components.pipelines.base import Pipeline, PipelineArgs
from components.pipelines.worker_spec import WorkerSpec
from components.security import policies
from components.storage.orders_table import OrdersTable

_SOURCE = "myapp.orders"
_DETAIL_TYPE = "OrderCreated"


class OrdersPipeline(Pipeline):
    """Orders API, the bus's rule and archive, queue, worker and the table of orders."""

    ROUTES: ClassVar = {
        "POST /orders": Access.SUBMIT,
        "GET /orders": Access.READ,
        "GET /orders/{orderId}": Access.READ,
    }

    rule: QueueRule

    def __init__(self, name: str, args: PipelineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:pipelines:Orders", name, args, opts)
        self._orders = OrdersTable(f"{name}-table", args.shared.table_args, self.child)
        self.tables[name] = self._orders.table.name
        self.rule = self._rule()
        archive = self._archive()
        self._make_worker(self._worker_spec())
        self._make_producer("api", self._api_args())
        self.dead_letters[f"{name}-undelivered"] = self.rule.undelivered_of(self.queue)
        self.rules["order"] = self.rule.rule.name
        self._finish(
            {
                "tableName": self._orders.table.name,
                "undeliveredUrl": self.rule.undelivered.url,
                "ruleArn": self.rule.rule.arn,
                **({"archiveArn": archive.arn} if archive else {}),
            }
        )

    def _rule(self) -> QueueRule:
        args = QueueRuleArgs(
            bus_name=self.shared.bus.bus.name,
            source=_SOURCE,
            detail_type=_DETAIL_TYPE,
            kms_key_arn=self.shared.kms_key_arn,
        )
        return QueueRule(f"{self.name}-created", args, self.child)

    def _archive(self) -> cloudwatch.EventArchive | None:
        """Archive the events of orders for a replay. EventBridge archives no replayed event again."""
        days = self.shared.settings.archive_retention_days
        if not days:
            return None
        return cloudwatch.EventArchive(
            f"{self.name}-archive",
            description=f"{_DETAIL_TYPE} of {_SOURCE}, for lab orders replay",
            event_source_arn=self.shared.bus.bus.arn,
            event_pattern=json.dumps({"source": [_SOURCE], "detail-type": [_DETAIL_TYPE]}),
            retention_days=days,
            kms_key_identifier=self.shared.kms_key_arn,
            opts=self.child,
        )

    def _worker_spec(self) -> WorkerSpec:
        settings = self.shared.settings
        return WorkerSpec(
            handler="handlers.orders.worker.handler",
            event_source=_SOURCE,
            timeout_seconds=settings.orders_worker_timeout_seconds,
            batch_size=settings.orders_batch_size,
            batching_window_seconds=settings.max_batching_window_seconds,
            memory_mb=settings.worker_memory_mb,
            max_concurrency=settings.worker_max_concurrency,
            objective_seconds=settings.objective_seconds,
            environment={"ORDERS_TABLE_NAME": self._orders.table.name},
            statements=[policies.allow("Orders", ["dynamodb:PutItem"], self._orders.table.arn)],
        )

    def _api_args(self) -> InstrumentedFunctionArgs:
        shared, bus = self.shared, self.shared.bus.bus
        on_bus = ["events:PutEvents", *(["events:DescribeEventBus"] if self.serves_common_routes else [])]
        return InstrumentedFunctionArgs(
            handler="handlers.orders.api.handler",
            platform=shared.platform,
            timeout_seconds=aws_limits.API_TIMEOUT,
            memory_mb=shared.settings.ingest_memory_mb,
            environment={
                **self._environment(),
                "EVENT_BUS_NAME": bus.name,
                "ORDERS_TABLE_NAME": self._orders.table.name,
            },
            statements=[
                policies.allow("Bus", on_bus, bus.arn),
                policies.allow(
                    "State",
                    ["dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"],
                    shared.state_table.table.arn,
                ),
                policies.allow("Order", ["dynamodb:GetItem"], self._orders.table.arn),
                policies.allow("Orders", ["dynamodb:Query"], self._orders.index_arn),
                *shared.platform.table_key(),
                *shared.failure_statements(),
            ],
        )
