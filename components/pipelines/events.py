"""The events pipeline: HTTP to a queue, queue to a state record and an outcome event."""

import pulumi

from components.compute.function import InstrumentedFunctionArgs
from components.config.access import Access
from components.config.settings import Settings
from components.messaging.queue import ExistingQueue
from components.pipelines.base import API_TIMEOUT_SECONDS, Pipeline
from components.pipelines.worker_spec import Work
from components.security import policies
from components.shared_services import Foundation

_ROUTES = {
    "POST /events": Access.SUBMIT,
    "POST /events/batch": Access.SUBMIT,
    "GET /events/{idempotencyKey}": Access.READ,
}


class EventsPipeline(Pipeline):
    """Ingest function, queue, worker function and the topics that hear of each outcome."""

    def __init__(self, name: str, base: Foundation, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:pipelines:Events", name, base, opts)
        work = _work(base.settings)
        self.consume(work)
        self.front("ingest", self._ingest_args(), routes=_ROUTES)
        self.finish(work)

    def _ingest_args(self) -> InstrumentedFunctionArgs:
        return InstrumentedFunctionArgs(
            handler="handlers.events.ingest.handler",
            platform=self.base.platform,
            timeout_seconds=API_TIMEOUT_SECONDS,
            memory_mb=self.base.settings.ingest_memory_mb,
            environment=self.shared_environment(),
            statements=[
                policies.allow("Queue", ["sqs:GetQueueAttributes", "sqs:SendMessage"], self.queue.queue_arn),
                policies.allow(
                    "State",
                    ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PartiQLInsert"],
                    self.base.table.table.arn,
                ),
                *self.shared_statements(),
            ],
        )


def _work(settings: Settings) -> Work:
    return Work(
        handler="handlers.events.worker.handler",
        source="myapp.ingestion",
        timeout_seconds=settings.worker_timeout_seconds,
        batch_size=settings.batch_size,
        batching_window_seconds=settings.max_batching_window_seconds,
        memory_mb=settings.worker_memory_mb,
        max_concurrency=settings.worker_max_concurrency,
        reserved_concurrency=settings.worker_reserved_concurrency,
        visibility_seconds=settings.queue_visibility_seconds,
        existing_queue=_existing(settings.existing_queue_url, settings.existing_queue_arn),
        existing_dlq=_existing(settings.existing_dlq_url, settings.existing_dlq_arn),
    )


def _existing(url: str | None, arn: str | None) -> ExistingQueue | None:
    return ExistingQueue(url=url, arn=arn) if url and arn else None
