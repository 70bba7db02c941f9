"""The events pipeline: HTTP to a queue, queue to a state record and an outcome event."""

from typing import ClassVar

import pulumi

from components.compute.function import InstrumentedFunctionArgs
from components.config import aws_limits
from components.config.access import Access
from components.config.settings import Settings
from components.messaging.queue import ExistingQueue
from components.pipelines.base import Pipeline, PipelineArgs
from components.pipelines.worker_spec import WorkerSpec
from components.security import policies


class EventsPipeline(Pipeline):
    """Ingest function, queue, worker and the topics of the outcomes."""

    ROUTES: ClassVar = {
        "POST /events": Access.SUBMIT,
        "POST /events/batch": Access.SUBMIT,
        "GET /events/{idempotencyKey}": Access.READ,
    }

    def __init__(self, name: str, args: PipelineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:pipelines:Events", name, args, opts)
        self.group_by = args.shared.settings.group_by
        self._make_worker(_worker_spec(args.shared.settings))
        self._make_producer("ingest", self._ingest_args())
        self._finish()

    def _ingest_args(self) -> InstrumentedFunctionArgs:
        settings = self.shared.settings
        return InstrumentedFunctionArgs(
            handler="handlers.events.ingest.handler",
            platform=self.shared.platform,
            timeout_seconds=aws_limits.API_TIMEOUT,
            memory_mb=settings.ingest_memory_mb,
            environment={
                **self._environment(),
                "QUEUE_URL": self.queue.queue_url,
                **({"GROUP_BY": settings.group_by} if settings.group_by else {}),
            },
            statements=[
                policies.allow("Queue", ["sqs:GetQueueAttributes", "sqs:SendMessage"], self.queue.queue_arn),
                policies.allow(
                    "State",
                    [
                        "dynamodb:BatchGetItem",
                        "dynamodb:GetItem",
                        "dynamodb:PartiQLInsert",
                        "dynamodb:PartiQLUpdate",
                    ],
                    self.shared.state_table.table.arn,
                ),
                *self._queue_statements(),
            ],
        )


def _worker_spec(settings: Settings) -> WorkerSpec:
    return WorkerSpec(
        handler="handlers.events.worker.handler",
        event_source="myapp.ingestion",
        timeout_seconds=settings.worker_timeout_seconds,
        batch_size=settings.batch_size,
        batching_window_seconds=settings.batching_window_seconds,
        memory_mb=settings.worker_memory_mb,
        max_concurrency=settings.worker_max_concurrency,
        objective_seconds=settings.objective_seconds,
        pollers=settings.provisioned_pollers,
        reserved_concurrency=settings.worker_reserved_concurrency,
        visibility_seconds=settings.queue_visibility_seconds,
        fifo=settings.is_fifo,
        existing_queue=_existing(settings.existing_queue_url, settings.existing_queue_arn),
        existing_dlq=_existing(settings.existing_dlq_url, settings.existing_dlq_arn),
    )


def _existing(url: str | None, arn: str | None) -> ExistingQueue | None:
    return ExistingQueue(url=url, arn=arn) if url and arn else None
