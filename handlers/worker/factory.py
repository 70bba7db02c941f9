"""What makes a `Worker` of a function's environment, for every pipeline alike."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from handlers.aws import clients
from handlers.faults import FaultSwitch
from handlers.idempotency.store import StateStore
from handlers.worker import messages
from handlers.worker.finish import Announce, WorkerSettings
from handlers.worker.trip_wire import TripWire
from handlers.worker.worker import Process, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEnv:
    """What the environment of every worker must say. Backoff in seconds."""

    environment: str
    pipeline: str
    queue_url: str
    dlq_url: str
    table_name: str
    event_bus_name: str
    ttl_days: int
    max_receive_count: int
    retry_backoff_base_seconds: float
    retry_backoff_max_seconds: float
    breaker_hold_seconds: int
    failure_mode_parameter: str = ""  # set only where the failure lab exists


def make_worker(  # noqa: PLR0913 - what pipelines differ in
    config: WorkerEnv,
    source: str,
    process: Process,
    *,
    dynamodb: "DynamoDBClient",
    announce: Announce | None = None,
    form: messages.Form = messages.PLAIN,
    faults: "Callable[[SSMClient, str], FaultSwitch]" = FaultSwitch,
) -> Worker:
    """A worker with clients of its own; `source` is that of its events, `process` its business step."""
    settings = WorkerSettings(
        pipeline=config.pipeline,
        source=source,
        queue_url=config.queue_url,
        dlq_url=config.dlq_url,
        bus_name=config.event_bus_name,
        max_receive_count=config.max_receive_count,
        backoff_base_seconds=config.retry_backoff_base_seconds,
        backoff_max_seconds=config.retry_backoff_max_seconds,
    )
    hold, parameter = config.breaker_hold_seconds, config.failure_mode_parameter
    return Worker(
        settings,
        store=StateStore(dynamodb, config.table_name, pipeline=config.pipeline, ttl_days=config.ttl_days),
        sqs=clients.client("sqs"),
        events=clients.client("events"),
        process=process,
        announce=announce,
        trip_wire=TripWire(hold_seconds=hold, max_receive_count=config.max_receive_count) if hold else None,
        faults=faults(clients.client("ssm"), parameter) if parameter else None,
        form=form,
    )
