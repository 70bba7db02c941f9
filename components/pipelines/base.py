"""What all pipelines have in common: producers, a queue, its worker, a circuit breaker and topics of outcomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import pulumi

from components.api.http_api import FunctionRoutes
from components.compute.function import InstrumentedFunction, InstrumentedFunctionArgs
from components.config.access import Access
from components.control.backfill import Backfill
from components.control.breaker import CircuitBreaker, CircuitBreakerArgs
from components.messaging.bus import OutcomeTopic, OutcomeTopicArgs
from components.messaging.consumer import QueueConsumer
from components.messaging.queue import DeadLetters, ReliableQueue
from components.messaging.queue_access import QueueSenders, limit_senders
from components.messaging.queue_rule import QueueRule
from components.pipelines.worker_spec import WorkerSpec, WorkerWiring
from components.security import policies
from components.shared_services import SharedServices

if TYPE_CHECKING:
    from pulumi_aws import sns

COMMON_ROUTES = {"GET /health": Access.OPEN, "$default": Access.SUBMIT}
_OUTCOMES = {"success": "IngestionSuccess", "failure": "IngestionFailure"}


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineArgs:
    """What the caller decides. One pipeline of a stack serves the routes that every API has.

    `senders` are the roles and users that may send to the queues besides the pipeline's own functions; None where the
    caller tells them later, with `admit_senders`.
    """

    shared: SharedServices
    serves_common_routes: bool = False
    senders: Sequence[pulumi.Input[str]] | None = ()


class Pipeline(pulumi.ComponentResource):
    """The base of all pipelines.

    A pipeline's own `__init__` calls, in this order: `super().__init__`, `_make_worker` (queue, worker, breaker,
    topics), `_make_producer` for each function that accepts work, and `_finish`. What else it has, it makes itself, as
    children of `self.child`.
    """

    ROUTES: ClassVar[Mapping[str, Access]] = {}  # of the pipeline's own API, where it has one

    queue: ReliableQueue
    worker: InstrumentedFunction
    worker_timeout_seconds: int
    rule: QueueRule | None = None  # where EventBridge sends to the queue
    notices: ReliableQueue | None = None  # of what the producer fetches its work from, where it has a queue
    group_by: str = ""  # where in a message its group is
    breaker: InstrumentedFunction | None = None  # the circuit breaker's function
    gate: InstrumentedFunction | None = None  # that checks what the worker has written, where there is one
    committer: InstrumentedFunction | None = None  # that adds what the worker has written to tables, where there is one
    backfill: Backfill | None = None  # that announces again what was announced before, where there is one

    def __init__(self, token: str, name: str, args: PipelineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(token, name, None, opts)
        self.name = name
        self.shared = args.shared
        self.child = pulumi.ResourceOptions(parent=self)
        self.serves_common_routes = args.serves_common_routes
        self._senders = args.senders
        self.backend: FunctionRoutes | None = None
        self.functions: dict[str, InstrumentedFunction] = {}
        self.producers: dict[str, InstrumentedFunction] = {}  # functions that accept work, by role
        self.tables: dict[str, pulumi.Output[str]] = {}  # names, by role
        self.rules: dict[str, pulumi.Output[str]] = {}  # names of rules on the bus, by role
        self.topics: dict[str, sns.Topic] = {}  # of outcomes, by role
        self.dead_letters: dict[str, DeadLetters] = {}  # by the name that a request for a redrive gives
        self.outputs: dict[str, pulumi.Output[str]] = {}

    def senders(self, others: Sequence[pulumi.Input[str]]) -> QueueSenders:
        """Return who may send to the queues: the pipeline's own functions and rule, and these roles and users."""
        own = [] if self.rule else [producer.role.arn for producer in self.producers.values()]
        own += [self.breaker.role.arn] if self.breaker else []
        return QueueSenders(queue=[*own, *others], dlq=[self.worker.role.arn], rule=self.rule)

    def admit_senders(self, others: Sequence[pulumi.Input[str]]) -> None:
        """Close the pipeline's queues to all but its own senders, and these roles and users."""
        limit_senders(self.queue, self.senders(others))

    def _make_worker(self, spec: WorkerSpec) -> None:
        """Make the queue, its worker, the breaker between them and the topics of the outcomes."""
        self.queue = ReliableQueue(self.name, spec.queue_args(self.shared), self.child)
        self.worker_timeout_seconds = spec.timeout_seconds
        self.worker = InstrumentedFunction(f"{self.name}-worker", self._worker_args(spec), self.child)
        consumer_args = spec.consumer_args(self.shared, self.queue.queue_arn, self.worker.function.arn)
        consumer = QueueConsumer(f"{self.name}-worker", consumer_args, self.child)
        self.functions[f"{self.name}-worker"] = self.worker
        outcomes = {role: self._outcome(spec, role, detail_type) for role, detail_type in _OUTCOMES.items()}
        self.topics = {role: one.topic for role, one in outcomes.items() if one.topic}
        self.rules |= {role: one.rule.name for role, one in outcomes.items()}
        self.dead_letters[self.name] = self.queue.dead_letters()
        if self.shared.settings.has_breaker:
            breaker = self._breaker(spec, consumer)
            self.breaker = self.functions[f"{self.name}-breaker"] = breaker.function
            self.rules["trip"] = breaker.trip_rule.name

    def _make_producer(self, role: str, args: InstrumentedFunctionArgs) -> InstrumentedFunction:
        """Make a function that accepts work; the API's routes of the pipeline, where it has some, lead to it."""
        name = f"{self.name}-{role}"
        producer = InstrumentedFunction(name, args, self.child)
        self.producers[role] = self.functions[name] = producer
        if self.ROUTES:
            routes = {**self.ROUTES, **(COMMON_ROUTES if self.serves_common_routes else {})}
            self.backend = FunctionRoutes(name=name, function=producer.function, routes=routes)
        return producer

    def _finish(self, outputs: Mapping[str, pulumi.Output[str]] | None = None) -> None:
        """Close the queues where all senders are known, and register the outputs: every pipeline's, and these."""
        if self._senders is not None:
            self.admit_senders(self._senders)
        self.outputs = {
            "queueUrl": self.queue.queue_url,
            "dlqUrl": self.queue.dlq_url,
            **{f"{role}FunctionName": producer.function.name for role, producer in self.producers.items()},
            "workerFunctionName": self.worker.function.name,
            **({"breakerFunctionName": self.breaker.function.name} if self.breaker else {}),
            **({"gateFunctionName": self.gate.function.name} if self.gate else {}),
            **({"committerFunctionName": self.committer.function.name} if self.committer else {}),
            **({"backfillArn": self.backfill.machine.arn} if self.backfill else {}),
            **({"backfillFunctionName": self.backfill.function.function.name} if self.backfill else {}),
            **{f"{role}TopicArn": topic.arn for role, topic in self.topics.items()},
            **(outputs or {}),
        }
        self.register_outputs(self.outputs)

    def _environment(self) -> dict[str, pulumi.Input[str]]:
        """Return what worker and producers have in common: the pipeline, the state table, the failure switch."""
        return {
            "PIPELINE": self.name,
            "TABLE_NAME": self.shared.state_table.table.name,
            "TTL_DAYS": str(self.shared.settings.ttl_days),
            **self.shared.failure_environment(),
        }

    def _queue_statements(self) -> list[policies.Statement]:
        """Return what a function needs besides that uses queue and table: the customer key, the failure switch."""
        platform = self.shared.platform
        return [*platform.queue_key(), *platform.table_key(), *self.shared.failure_statements()]

    def _worker_args(self, spec: WorkerSpec) -> InstrumentedFunctionArgs:
        return InstrumentedFunctionArgs(
            handler=spec.handler,
            platform=self.shared.platform,
            timeout_seconds=spec.timeout_seconds,
            memory_mb=spec.memory_mb,
            reserved_concurrency=spec.reserved_concurrency,
            environment={**self._wiring(spec).environment(), **self.shared.failure_environment(), **spec.environment},
            statements=[*self._worker_statements(spec), *spec.statements, *self._queue_statements()],
            layer_arns=spec.layer_arns,
        )

    def _wiring(self, spec: WorkerSpec) -> WorkerWiring:
        settings = self.shared.settings
        return WorkerWiring(
            pipeline=self.name,
            queue=self.queue,
            state_table=self.shared.state_table,
            bus=self.shared.bus,
            ttl_days=settings.ttl_days,
            retry_backoff_base_seconds=settings.retry_backoff_base_seconds,
            retry_backoff_max_seconds=settings.retry_backoff_max_seconds,
            breaker_hold_seconds=settings.breaker_hold_seconds,
            objective_seconds=spec.objective_seconds,
        )

    def _worker_statements(self, spec: WorkerSpec) -> list[policies.Statement]:
        return self._wiring(spec).statements()

    def _breaker(self, spec: WorkerSpec, consumer: QueueConsumer) -> CircuitBreaker:
        args = CircuitBreakerArgs(
            pipeline=self.name,
            event_source=spec.event_source,
            platform=self.shared.platform,
            control=self.shared.control,
            state_table=self.shared.state_table,
            bus=self.shared.bus,
            queue=self.queue,
            max_receive_count=self.shared.settings.max_receive_count,
            mapping=consumer.mapping,
            worker=self.worker.function,
            worker_timeout_seconds=spec.timeout_seconds,
        )
        return CircuitBreaker(f"{self.name}-breaker", args, self.child)

    def _outcome(self, spec: WorkerSpec, role: str, detail_type: str) -> OutcomeTopic:
        args = OutcomeTopicArgs(
            bus_name=self.shared.bus.bus.name,
            source=spec.event_source,
            detail_type=detail_type,
            pipeline=self.name,
            publishes=role != "success" or self.shared.settings.publish_successes,
            kms_key_arn=self.shared.kms_key_arn,
        )
        return OutcomeTopic(f"{self.name}-{role}", args, self.child)
