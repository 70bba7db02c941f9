"""What is special about a pipeline's worker, and the queue and consumer that follow from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components.config.pollers import NO_POLLERS, Pollers
from components.messaging.consumer import QueueConsumerArgs
from components.messaging.queue import ExistingQueue, ReliableQueueArgs
from components.security import policies
from components.shared_services import SharedServices


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerSpec:
    """A pipeline's own worker and queue. Times in seconds; `event_source` is that of the events it publishes."""

    handler: str
    event_source: str
    timeout_seconds: int
    batch_size: int
    batching_window_seconds: int
    memory_mb: int
    max_concurrency: int
    objective_seconds: int
    pollers: Pollers = NO_POLLERS
    reserved_concurrency: int | None = None
    visibility_seconds: int | None = None
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    statements: Sequence[policies.Statement] = ()
    layer_arns: Sequence[pulumi.Input[str]] = ()
    fifo: bool = False
    existing_queue: ExistingQueue | None = None
    existing_dlq: ExistingQueue | None = None

    def queue_args(self, shared: SharedServices) -> ReliableQueueArgs:
        """Return the queue that suits the worker."""
        settings = shared.settings
        return ReliableQueueArgs(
            consumer_timeout_seconds=self.timeout_seconds,
            batching_window_seconds=self.batching_window_seconds,
            visibility_seconds=self.visibility_seconds,
            max_receive_count=settings.max_receive_count,
            retention_seconds=settings.message_retention_seconds,
            dlq_retention_seconds=settings.dlq_retention_seconds,
            fifo=self.fifo,
            kms_key_arn=shared.kms_key_arn,
            existing_queue=self.existing_queue,
            existing_dlq=self.existing_dlq,
        )

    def consumer_args(
        self, shared: SharedServices, queue_arn: pulumi.Input[str], worker_arn: pulumi.Input[str]
    ) -> QueueConsumerArgs:
        """Return the event source mapping between the queue and the worker."""
        return QueueConsumerArgs(
            queue_arn=queue_arn,
            function_arn=worker_arn,
            batch_size=self.batch_size,
            batching_window_seconds=self.batching_window_seconds,
            max_concurrency=self.max_concurrency,
            pollers=self.pollers,
            reserved_concurrency=self.reserved_concurrency,
            fifo=self.fifo,
            paused_by_breaker=shared.settings.has_breaker,
        )
