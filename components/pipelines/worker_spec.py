"""What is special about a pipeline's worker, what every worker needs, and the queue and consumer of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components.config.pollers import NO_POLLERS, Pollers
from components.messaging.bus import EventBus
from components.messaging.consumer import QueueConsumerArgs
from components.messaging.queue import ExistingQueue, ReliableQueue, ReliableQueueArgs
from components.security import policies
from components.shared_services import SharedServices
from components.storage.state_table import StateTable


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
    objective_seconds: int = 60
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
            senders_follow=True,
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


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerWiring:
    """What a function with a `Worker` of the handlers needs: its environment, and the permissions of its role.

    `pipeline` is the name in its metrics, events and dead letters, and the scope of its keys in the state table.
    `breaker_hold_seconds` is for how long it holds messages while its circuit breaker opens; 0 where it has none.
    `objective_seconds` is the time within which an event should succeed: metrics count who missed it.
    """

    pipeline: str
    queue: ReliableQueue
    state_table: StateTable
    bus: EventBus
    ttl_days: int = 7
    retry_backoff_base_seconds: int = 2
    retry_backoff_max_seconds: int = 300
    breaker_hold_seconds: int = 0
    objective_seconds: int = 60

    def environment(self) -> dict[str, pulumi.Input[str]]:
        """Return the variables that `WorkerEnv` reads, but for those that every function has."""
        return {
            "PIPELINE": self.pipeline,
            "TABLE_NAME": self.state_table.table.name,
            "TTL_DAYS": str(self.ttl_days),
            "QUEUE_URL": self.queue.queue_url,
            "DLQ_URL": self.queue.dlq_url,
            "EVENT_BUS_NAME": self.bus.bus.name,
            "MAX_RECEIVE_COUNT": str(self.queue.max_receive_count),
            "RETRY_BACKOFF_BASE_SECONDS": str(self.retry_backoff_base_seconds),
            "RETRY_BACKOFF_MAX_SECONDS": str(self.retry_backoff_max_seconds),
            "BREAKER_HOLD_SECONDS": str(self.breaker_hold_seconds),
            "OUTAGE_SECONDS": str(self.queue.outage_seconds),
            "OBJECTIVE_SECONDS": str(self.objective_seconds),
        }

    def statements(self) -> list[policies.Statement]:
        """Return the permissions, without those for a customer key (`FunctionPlatform.queue_key` and `table_key`)."""
        return [
            policies.allow("Queue", policies.RECEIVE, self.queue.queue_arn),
            policies.allow("DeadLetters", ["sqs:SendMessage"], self.queue.dlq_arn),
            policies.allow(
                "State",
                ["dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"],
                self.state_table.table.arn,
            ),
            policies.allow("Outcomes", ["events:PutEvents"], self.bus.bus.arn),
        ]
