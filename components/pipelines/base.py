"""What all pipelines share: a queue, its worker, the breaker between them, and the topics that hear of each outcome."""

from collections.abc import Mapping

import pulumi

from components import naming
from components.api.http_api import FunctionRoutes
from components.compute.function import InstrumentedFunction, InstrumentedFunctionArgs
from components.config.access import Access
from components.control.breaker import CircuitBreaker, CircuitBreakerArgs
from components.messaging.bus import OutcomeTopic, OutcomeTopicArgs
from components.messaging.consumer import QueueConsumer
from components.messaging.queue import DeadLetters, ReliableQueue
from components.observability.alarms.model import PipelineTargets
from components.pipelines.worker_spec import Work
from components.security import policies
from components.shared_services import Foundation

API_TIMEOUT_SECONDS = 29  # the API gives up after 30; until then the answer to a slow AWS is our own 503
_OUTCOMES = {"success": "IngestionSuccess", "failure": "IngestionFailure"}
_APIS = ("events", "orders")  # the pipelines with an API
_COMMON_ROUTES = {"GET /health": Access.OPEN, "$default": Access.SUBMIT}


class Pipeline(pulumi.ComponentResource):
    """The base of all pipelines.

    A pipeline's own `__init__` calls, in this order: `super().__init__`, `consume` (queue, worker, breaker, topics),
    `front` for each function that takes work in, and `finish`. What it has besides, it makes itself, under
    `self.child`. Whoever makes the redrive calls `limit_producers`.
    """

    queue: ReliableQueue
    worker: InstrumentedFunction
    watched: PipelineTargets

    def __init__(self, token: str, name: str, base: Foundation, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(token, name, None, opts)
        self.name = name
        self.base = base
        self.child = pulumi.ResourceOptions(parent=self)
        self.backend: FunctionRoutes | None = None
        self.functions: dict[str, InstrumentedFunction] = {}
        self.fronts: dict[str, InstrumentedFunction] = {}  # by role
        self.tables: dict[str, pulumi.Output[str]] = {}  # names, by role
        self.rules: dict[str, pulumi.Output[str]] = {}  # names of those on the bus, by role
        self.topics: dict[str, OutcomeTopic] = {}
        self.redrives: dict[str, DeadLetters] = {}  # what a redrive can be asked for, by its name there
        self.outputs: dict[str, pulumi.Output[str]] = {}
        self._senders: list[pulumi.Input[str]] = []
        self._delivering: list[pulumi.Input[str]] = []

    def limit_producers(self, redriver_arn: pulumi.Input[str]) -> None:
        """Closes the queues to all but the pipeline's own parts, the role that redrives and the operators."""
        senders = [*self._senders, redriver_arn, *self.base.settings.operator_role_arns]
        self.queue.limit_producers(queue=senders, dlq=[self.worker.role.arn], rules=self._delivering)

    def consume(self, work: Work) -> None:
        """Makes the queue, the worker that empties it, the breaker between them and the topics of the outcomes."""
        self.queue = ReliableQueue(self.name, work.queue_args(self.base), self.child)
        self.worker = InstrumentedFunction(f"{self.name}-worker", self._worker_args(work), self.child)
        consumer_args = work.consumer_args(self.base, self.queue.queue_arn, self.worker.function.arn)
        consumer = QueueConsumer(f"{self.name}-worker", consumer_args, self.child)
        breaker = self._breaker(work, consumer)
        self.functions[f"{self.name}-worker"] = self.worker
        self.functions |= {f"{self.name}-breaker": breaker.function} if breaker else {}
        self.topics = {role: self._topic(work, role, detail_type) for role, detail_type in _OUTCOMES.items()}
        self.rules |= {role: topic.rule.name for role, topic in self.topics.items()}
        self.rules |= {"trip": breaker.trip_rule.name} if breaker else {}
        self.redrives[self.name] = self.queue

    def front(
        self,
        role: str,
        args: InstrumentedFunctionArgs,
        *,
        routes: Mapping[str, Access] | None = None,
        sends: bool = True,
    ) -> InstrumentedFunction:
        """Makes a function that takes work in: `routes` of the API lead to it, and it may send to the queue."""
        name = f"{self.name}-{role}"
        made = InstrumentedFunction(name, args, self.child)
        self.fronts[role] = self.functions[name] = made
        if sends:
            self._senders.append(made.role.arn)
        if routes:
            self.backend = FunctionRoutes(name=name, function=made.function, routes={**routes, **self._common_routes})
        return made

    def let_deliver(self, rule_arn: pulumi.Input[str]) -> None:
        """Lets an EventBridge rule send to the queue."""
        self._delivering.append(rule_arn)

    def finish(
        self, work: Work, more: Mapping[str, pulumi.Output[str]] | None = None, *, undelivered: object | None = None
    ) -> None:
        """Says what there is to watch, and the outputs: the common ones, and these.

        `undelivered` is the name of the queue of what EventBridge could not deliver, where a rule fills the main queue.
        """
        self.watched = PipelineTargets(
            pipeline=self.name,
            queue=self.queue.queue_arn.apply(naming.of_arn),
            dlq=self.queue.dlq_arn.apply(naming.of_arn),
            fronts={role: made.function.name for role, made in self.fronts.items()},
            worker=self.worker.function.name,
            worker_timeout_seconds=work.timeout_seconds,
            bus=self.base.bus.bus.name,
            rules=self.rules,
            has_breaker=self.base.settings.breaker_hold_seconds > 0,
            undelivered=undelivered,
        )
        self.outputs = {
            "queueUrl": self.queue.queue_url,
            "dlqUrl": self.queue.dlq_url,
            **{f"{role}FunctionName": made.function.name for role, made in self.fronts.items()},
            "workerFunctionName": self.worker.function.name,
            "successTopicArn": self.topics["success"].topic.arn,
            "failureTopicArn": self.topics["failure"].topic.arn,
            **(more or {}),
        }
        self.register_outputs(self.outputs)

    def shared_environment(self) -> dict[str, pulumi.Input[str]]:
        """What worker and front have in common: the pipeline, its queue, the state table, the failure switch."""
        switch = self.base.failure_switch
        return {
            "PIPELINE": self.name,
            "QUEUE_URL": self.queue.queue_url,
            "TABLE_NAME": self.base.table.table.name,
            "TTL_DAYS": str(self.base.settings.ttl_days),
            **(switch.environment if switch else {}),
        }

    def shared_statements(self) -> list[policies.Statement]:
        """The keys of queues and tables, where they are the customer's, and the failure switch."""
        switch = self.base.failure_switch
        platform = self.base.platform
        return [*platform.queue_key(), *platform.table_key(), *([switch.reader] if switch else [])]

    @property
    def answers_for_all(self) -> bool:
        """Whether this is the first pipeline with an API, which answers the routes that every API has."""
        return self.name == next((name for name in _APIS if name in self.base.settings.pipelines), "")

    @property
    def _common_routes(self) -> Mapping[str, Access]:
        return _COMMON_ROUTES if self.answers_for_all else {}

    def _worker_args(self, work: Work) -> InstrumentedFunctionArgs:
        settings = self.base.settings
        return InstrumentedFunctionArgs(
            handler=work.handler,
            platform=self.base.platform,
            timeout_seconds=work.timeout_seconds,
            memory_mb=work.memory_mb,
            reserved_concurrency=work.reserved_concurrency,
            environment={
                **self.shared_environment(),
                "DLQ_URL": self.queue.dlq_url,
                "EVENT_BUS_NAME": self.base.bus.bus.name,
                "MAX_RECEIVE_COUNT": str(settings.max_receive_count),
                "RETRY_BACKOFF_BASE_SECONDS": str(settings.retry_backoff_base_seconds),
                "RETRY_BACKOFF_MAX_SECONDS": str(settings.retry_backoff_max_seconds),
                "BREAKER_HOLD_SECONDS": str(settings.breaker_hold_seconds),
                **work.environment,
            },
            statements=[*self._worker_statements(), *work.statements, *self.shared_statements()],
            layer_arns=work.layer_arns,
        )

    def _worker_statements(self) -> list[policies.Statement]:
        receive = [
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
        ]
        return [
            policies.allow("Queue", receive, self.queue.queue_arn),
            policies.allow("DeadLetters", ["sqs:SendMessage"], self.queue.dlq_arn),
            policies.allow(
                "State",
                ["dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"],
                self.base.table.table.arn,
            ),
            policies.allow("Outcomes", ["events:PutEvents"], self.base.bus.bus.arn),
        ]

    def _breaker(self, work: Work, consumer: QueueConsumer) -> CircuitBreaker | None:
        if not self.base.settings.breaker_hold_seconds:
            return None
        args = CircuitBreakerArgs(
            pipeline=self.name,
            event_source=work.source,
            platform=self.base.platform,
            control=self.base.control,
            table=self.base.table,
            bus=self.base.bus,
            mapping=consumer.mapping,
            worker=self.worker.function,
            worker_timeout_seconds=work.timeout_seconds,
        )
        return CircuitBreaker(f"{self.name}-breaker", args, self.child)

    def _topic(self, work: Work, role: str, detail_type: str) -> OutcomeTopic:
        shared = self.base.platform.args
        args = OutcomeTopicArgs(
            bus_name=self.base.bus.bus.name,
            source=work.source,
            detail_type=detail_type,
            pipeline=self.name,
            kms_key_arn=shared.kms_key_arn,
            tags=shared.tags,
        )
        return OutcomeTopic(f"{self.name}-{role}", args, self.child)
