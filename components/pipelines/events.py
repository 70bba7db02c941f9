"""The events pipeline: HTTP to a queue, queue to a state record and an outcome event."""

from dataclasses import dataclass

import pulumi

from components import iam
from components.event_bus import EventBus, OutcomeTopic, OutcomeTopicArgs
from components.function_platform import FunctionPlatform
from components.http_api import FunctionRoutes
from components.instrumented_function import InstrumentedFunction, InstrumentedFunctionArgs
from components.queue_consumer import QueueConsumer, QueueConsumerArgs
from components.reliable_queue import ExistingQueue, ReliableQueue, ReliableQueueArgs
from components.settings import Settings
from components.state_table import StateTable

_SOURCE = "myapp.ingestion"
_INGEST_TIMEOUT_SECONDS = 29  # the API gives up after 30; until then the answer to a slow AWS is our own 503
_ROUTES = ("POST /events", "POST /events/batch", "GET /events/{idempotencyKey}", "GET /health", "$default")


@dataclass(frozen=True, kw_only=True, slots=True)
class EventsPipelineArgs:
    """What the pipeline shares with the rest of the stack."""

    settings: Settings
    platform: FunctionPlatform
    table: StateTable
    bus: EventBus


class EventsPipeline(pulumi.ComponentResource):
    """Ingest function, queue, worker function and the topics that hear of each outcome."""

    queue: ReliableQueue
    ingest: InstrumentedFunction
    worker: InstrumentedFunction
    backend: FunctionRoutes
    outputs: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: EventsPipelineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:pipelines:Events", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.queue = ReliableQueue(name, self._queue_args(), self._child)
        self.ingest = InstrumentedFunction(f"{name}-ingest", self._ingest_args(), self._child)
        self.worker = InstrumentedFunction(f"{name}-worker", self._worker_args(), self._child)
        self.queue.limit_producers(queue=[self.ingest.role.arn], dlq=[self.worker.role.arn])
        QueueConsumer(f"{name}-worker", self._consumer_args(), self._child)
        self.backend = FunctionRoutes(name=f"{name}-ingest", function=self.ingest.function, routes=_ROUTES)
        self.outputs = {
            "queueUrl": self.queue.queue_url,
            "dlqUrl": self.queue.dlq_url,
            "ingestFunctionName": self.ingest.function.name,
            "workerFunctionName": self.worker.function.name,
            "successTopicArn": self._topic("success", "IngestionSuccess").topic.arn,
            "failureTopicArn": self._topic("failure", "IngestionFailure").topic.arn,
        }
        self.register_outputs(self.outputs)

    def _queue_args(self) -> ReliableQueueArgs:
        settings = self._args.settings
        return ReliableQueueArgs(
            consumer_timeout_seconds=settings.worker_timeout_seconds,
            batching_window_seconds=settings.max_batching_window_seconds,
            visibility_seconds=settings.queue_visibility_seconds,
            max_receive_count=settings.max_receive_count,
            retention_seconds=settings.message_retention_seconds,
            dlq_retention_seconds=settings.dlq_retention_seconds,
            kms_key_arn=self._args.platform.args.kms_key_arn,
            existing_queue=_existing(settings.existing_queue_url, settings.existing_queue_arn),
            existing_dlq=_existing(settings.existing_dlq_url, settings.existing_dlq_arn),
            tags=self._args.platform.args.tags,
        )

    def _ingest_args(self) -> InstrumentedFunctionArgs:
        return InstrumentedFunctionArgs(
            handler="handlers.events.ingest.handler",
            platform=self._args.platform,
            timeout_seconds=_INGEST_TIMEOUT_SECONDS,
            memory_mb=self._args.settings.ingest_memory_mb,
            environment=self._shared_environment(),
            statements=[
                iam.allow("Queue", ["sqs:GetQueueAttributes", "sqs:SendMessage"], self.queue.queue_arn),
                iam.allow(
                    "State",
                    [
                        "dynamodb:BatchGetItem",
                        "dynamodb:GetItem",
                        "dynamodb:PartiQLInsert",
                        "dynamodb:PartiQLUpdate",
                    ],
                    self._args.table.table.arn,
                ),
                *self._key_statements(),
            ],
        )

    def _worker_args(self) -> InstrumentedFunctionArgs:
        settings = self._args.settings
        return InstrumentedFunctionArgs(
            handler="handlers.events.worker.handler",
            platform=self._args.platform,
            timeout_seconds=settings.worker_timeout_seconds,
            memory_mb=settings.worker_memory_mb,
            reserved_concurrency=settings.worker_reserved_concurrency,
            environment={
                **self._shared_environment(),
                "DLQ_URL": self.queue.dlq_url,
                "EVENT_BUS_NAME": self._args.bus.bus.name,
                "MAX_RECEIVE_COUNT": str(settings.max_receive_count),
                "RETRY_BACKOFF_BASE_SECONDS": str(settings.retry_backoff_base_seconds),
                "RETRY_BACKOFF_MAX_SECONDS": str(settings.retry_backoff_max_seconds),
            },
            statements=[*self._worker_statements(), *self._key_statements()],
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
                self._args.table.table.arn,
            ),
            iam.allow("Outcomes", ["events:PutEvents"], self._args.bus.bus.arn),
        ]

    def _shared_environment(self) -> dict[str, pulumi.Input[str]]:
        return {
            "PIPELINE": self._name,
            "QUEUE_URL": self.queue.queue_url,
            "TABLE_NAME": self._args.table.table.name,
            "TTL_DAYS": str(self._args.settings.ttl_days),
        }

    def _key_statements(self) -> list[iam.Statement]:
        key_arn = self._args.platform.args.kms_key_arn
        return [] if key_arn is None else iam.use_key(key_arn)

    def _consumer_args(self) -> QueueConsumerArgs:
        settings = self._args.settings
        return QueueConsumerArgs(
            queue_arn=self.queue.queue_arn,
            function_arn=self.worker.function.arn,
            batch_size=settings.batch_size,
            batching_window_seconds=settings.max_batching_window_seconds,
            max_concurrency=settings.worker_max_concurrency,
            reserved_concurrency=settings.worker_reserved_concurrency,
            tags=self._args.platform.args.tags,
        )

    def _topic(self, outcome: str, detail_type: str) -> OutcomeTopic:
        shared = self._args.platform.args
        return OutcomeTopic(
            f"{self._name}-{outcome}",
            OutcomeTopicArgs(
                bus_name=self._args.bus.bus.name,
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
