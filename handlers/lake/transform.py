"""Lambda entry point: the lake queue's consumer, which turns chunks into Parquet."""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from handlers.lake.process import SOURCE, Transformer
from handlers.shared import aws, env
from handlers.shared.batch import BatchResponse, Worker
from handlers.shared.breaker import TripWire
from handlers.shared.faults import FaultSwitch
from handlers.shared.idempotency import StateStore
from handlers.shared.observability import LambdaContext
from handlers.shared.settlement import WorkerSettings

_READ_TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Env:
    """What the function's environment must say. Backoff in seconds."""

    environment: str
    pipeline: str
    queue_url: str
    dlq_url: str
    table_name: str
    event_bus_name: str
    bronze_bucket: str
    silver_bucket: str
    ttl_days: int
    max_receive_count: int
    retry_backoff_base_seconds: float
    retry_backoff_max_seconds: float
    breaker_hold_seconds: int
    failure_mode_parameter: str = ""  # set only where the failure lab exists


@cache
def worker() -> Worker:
    """The worker of this execution environment, made once."""
    config = env.load(Env, os.environ)
    settings = WorkerSettings(
        pipeline=config.pipeline,
        source=SOURCE,
        queue_url=config.queue_url,
        dlq_url=config.dlq_url,
        bus_name=config.event_bus_name,
        max_receive_count=config.max_receive_count,
        backoff_base_seconds=config.retry_backoff_base_seconds,
        backoff_max_seconds=config.retry_backoff_max_seconds,
    )
    s3 = aws.client("s3", read_timeout=_READ_TIMEOUT_SECONDS)
    transformer = Transformer(
        s3, pipeline=config.pipeline, bronze_bucket=config.bronze_bucket, silver_bucket=config.silver_bucket
    )
    hold, parameter = config.breaker_hold_seconds, config.failure_mode_parameter
    return Worker(
        settings,
        store=StateStore(aws.client("dynamodb"), config.table_name, pipeline=config.pipeline, ttl_days=config.ttl_days),
        sqs=aws.client("sqs"),
        events=aws.client("events"),
        process=transformer.process,
        announce=transformer.announce,
        trip_wire=TripWire(hold_seconds=hold, max_receive_count=config.max_receive_count) if hold else None,
        faults=FaultSwitch(aws.client("ssm"), parameter) if parameter else None,
    )


def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Works one SQS batch."""
    return worker().handle(event, context)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the clients in Lambda's init phase, not in the first batch
    worker()
