"""The events pipeline: HTTP to a queue, queue to a state record and an outcome event."""

from collections.abc import Mapping

import pulumi

from components import iam, naming
from components.alarm_model import PipelineTargets
from components.circuit_breaker import CircuitBreaker, CircuitBreakerArgs
from components.event_bus import OutcomeTopic, OutcomeTopicArgs
from components.foundation import Foundation
from components.http_api import FunctionRoutes
from components.instrumented_function import InstrumentedFunction, InstrumentedFunctionArgs
from components.queue_consumer import QueueConsumer, QueueConsumerArgs
from components.reliable_queue import ExistingQueue, ReliableQueue, ReliableQueueArgs

_SOURCE = "myapp.ingestion"
_OUTCOMES = {"success": "IngestionSuccess", "failure": "IngestionFailure"}
_INGEST_TIMEOUT_SECONDS = 29  # the API gives up after 30; until then the answer to a slow AWS is our own 503
_ROUTES = ("POST /events", "POST /events/batch", "GET /events/{idempotencyKey}", "GET /health", "$default")


class EventsPipeline(pulumi.ComponentResource):
    """Ingest function, queue, worker function and the topics that hear of each outcome."""

    queue: ReliableQueue
    ingest: InstrumentedFunction
    worker: InstrumentedFunction
    backend: FunctionRoutes
    functions: Mapping[str, InstrumentedFunction]
    topics: Mapping[str, OutcomeTopic]
    watched: PipelineTargets
    outputs: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, base: Foundation, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:pipelines:Events", name, None, opts)
        self._name = name
        self._base = base
        self._child = pulumi.ResourceOptions(parent=self)
        self.queue = ReliableQueue(name, self._queue_args(), self._child)
        self.ingest = InstrumentedFunction(f"{name}-ingest", self._ingest_args(), self._child)
        self.worker = InstrumentedFunction(f"{name}-worker", self._worker_args(), self._child)
        consumer = QueueConsumer(f"{name}-worker", self._consumer_args(), self._child)
        breaker = self._breaker(consumer)
        self.functions = {f"{name}-ingest": self.ingest, f"{name}-worker": self.worker}
        self.functions |= {f"{name}-breaker": breaker.function} if breaker else {}
        self.topics = {outcome: self._topic(outcome, detail_type) for outcome, detail_type in _OUTCOMES.items()}
        self.watched = self._watched(breaker)
        self.backend = FunctionRoutes(name=f"{name}-ingest", function=self.ingest.function, routes=_ROUTES)
        self.outputs = {
            "queueUrl": self.queue.queue_url,
            "dlqUrl": self.queue.dlq_url,
            "ingestFunctionName": self.ingest.function.name,
            "workerFunctionName": self.worker.function.name,
            "successTopicArn": self.topics["success"].topic.arn,
            "failureTopicArn": self.topics["failure"].topic.arn,
        }
        self.register_outputs(self.outputs)

    def limit_producers(self, redriver_arn: pulumi.Input[str]) -> None:
        """Closes the queues to all but the pipeline's own functions and the role that redrives."""
        self.queue.limit_producers(queue=[self.ingest.role.arn, redriver_arn], dlq=[self.worker.role.arn])

    def _queue_args(self) -> ReliableQueueArgs:
        settings = self._base.settings
        return ReliableQueueArgs(
            consumer_timeout_seconds=settings.worker_timeout_seconds,
            batching_window_seconds=settings.max_batching_window_seconds,
            visibility_seconds=settings.queue_visibility_seconds,
            max_receive_count=settings.max_receive_count,
            retention_seconds=settings.message_retention_seconds,
            dlq_retention_seconds=settings.dlq_retention_seconds,
            kms_key_arn=self._base.platform.args.kms_key_arn,
            existing_queue=_existing(settings.existing_queue_url, settings.existing_queue_arn),
            existing_dlq=_existing(settings.existing_dlq_url, settings.existing_dlq_arn),
            tags=self._base.platform.args.tags,
        )

    def _ingest_args(self) -> InstrumentedFunctionArgs:
        return InstrumentedFunctionArgs(
            handler="handlers.events.ingest.handler",
            platform=self._base.platform,
            timeout_seconds=_INGEST_TIMEOUT_SECONDS,
            memory_mb=self._base.settings.ingest_memory_mb,
            environment=self._shared_environment(),
            statements=[
                iam.allow("Queue", ["sqs:GetQueueAttributes", "sqs:SendMessage"], self.queue.queue_arn),
                iam.allow(
                    "State",
                    ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PartiQLInsert"],
                    self._base.table.table.arn,
                ),
                *self._shared_statements(),
            ],
        )

    def _worker_args(self) -> InstrumentedFunctionArgs:
        settings = self._base.settings
        return InstrumentedFunctionArgs(
            handler="handlers.events.worker.handler",
            platform=self._base.platform,
            timeout_seconds=settings.worker_timeout_seconds,
            memory_mb=settings.worker_memory_mb,
            reserved_concurrency=settings.worker_reserved_concurrency,
            environment={
                **self._shared_environment(),
                "DLQ_URL": self.queue.dlq_url,
                "EVENT_BUS_NAME": self._base.bus.bus.name,
                "MAX_RECEIVE_COUNT": str(settings.max_receive_count),
                "RETRY_BACKOFF_BASE_SECONDS": str(settings.retry_backoff_base_seconds),
                "RETRY_BACKOFF_MAX_SECONDS": str(settings.retry_backoff_max_seconds),
                "BREAKER_HOLD_SECONDS": str(settings.breaker_hold_seconds),
            },
            statements=[*self._worker_statements(), *self._shared_statements()],
        )

    def _worker_statements(self) -> list[iam.Statement]:
        return [
            iam.allow(
                "Queue",
                [
                    "sqs:ChangeMessageVisibility",
                    "sqs:DeleteMessage",
                    "sqs:GetQueueAttributes",
                    "sqs:ReceiveMessage",
                ],
                self.queue.queue_arn,
            ),
            iam.allow("DeadLetters", ["sqs:SendMessage"], self.queue.dlq_arn),
            iam.allow(
                "State",
                ["dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"],
                self._base.table.table.arn,
            ),
            iam.allow("Outcomes", ["events:PutEvents"], self._base.bus.bus.arn),
        ]

    def _shared_environment(self) -> dict[str, pulumi.Input[str]]:
        return {
            "PIPELINE": self._name,
            "QUEUE_URL": self.queue.queue_url,
            "TABLE_NAME": self._base.table.table.name,
            "TTL_DAYS": str(self._base.settings.ttl_days),
            **(self._base.failure_switch.environment if self._base.failure_switch else {}),
        }

    def _shared_statements(self) -> list[iam.Statement]:
        switch = self._base.failure_switch
        platform = self._base.platform
        return [*platform.queue_key(), *platform.table_key(), *([switch.reader] if switch else [])]

    def _consumer_args(self) -> QueueConsumerArgs:
        settings = self._base.settings
        return QueueConsumerArgs(
            queue_arn=self.queue.queue_arn,
            function_arn=self.worker.function.arn,
            batch_size=settings.batch_size,
            batching_window_seconds=settings.max_batching_window_seconds,
            max_concurrency=settings.worker_max_concurrency,
            reserved_concurrency=settings.worker_reserved_concurrency,
            paused_by_breaker=settings.breaker_hold_seconds > 0,
            tags=self._base.platform.args.tags,
        )

    def _breaker(self, consumer: QueueConsumer) -> CircuitBreaker | None:
        if not self._base.settings.breaker_hold_seconds:
            return None
        args = CircuitBreakerArgs(
            pipeline=self._name,
            event_source=_SOURCE,
            platform=self._base.platform,
            control=self._base.control,
            table=self._base.table,
            bus=self._base.bus,
            mapping=consumer.mapping,
            worker=self.worker.function,
            worker_timeout_seconds=self._base.settings.worker_timeout_seconds,
        )
        return CircuitBreaker(f"{self._name}-breaker", args, self._child)

    def _watched(self, breaker: CircuitBreaker | None) -> PipelineTargets:
        rules = {outcome: topic.rule.name for outcome, topic in self.topics.items()}
        return PipelineTargets(
            pipeline=self._name,
            queue=self.queue.queue_arn.apply(naming.of_arn),
            dlq=self.queue.dlq_arn.apply(naming.of_arn),
            ingest=self.ingest.function.name,
            worker=self.worker.function.name,
            worker_timeout_seconds=self._base.settings.worker_timeout_seconds,
            bus=self._base.bus.bus.name,
            rules=rules | ({"trip": breaker.trip_rule.name} if breaker else {}),
            has_breaker=breaker is not None,
        )

    def _topic(self, outcome: str, detail_type: str) -> OutcomeTopic:
        shared = self._base.platform.args
        return OutcomeTopic(
            f"{self._name}-{outcome}",
            OutcomeTopicArgs(
                bus_name=self._base.bus.bus.name,
                source=_SOURCE,
                detail_type=detail_type,
                pipeline=self._name,
                kms_key_arn=shared.kms_key_arn,
                tags=shared.tags,
            ),
            self._child,
        )


def _existing(url: str | None, arn: str | None) -> ExistingQueue | None:
    return ExistingQueue(url=url, arn=arn) if url and arn else None
