"""Lambda entry point: the lake queue's consumer, which turns chunks into Parquet."""

import os
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

import pyarrow as pa

from handlers import env
from handlers.aws import clients
from handlers.grouping import Grouping
from handlers.lake.notes import Notes
from handlers.lake.output import AT_ONCE
from handlers.lake.ready import SOURCE
from handlers.lake.step import Transformer
from handlers.observability import LambdaContext
from handlers.worker.worker import BatchResponse, Worker, WorkerEnv, make_worker

_READ_TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(WorkerEnv):
    """What the function's environment must say."""

    bronze_bucket: str
    silver_bucket: str
    lake_start_date: str
    group_by: str = ""
    ledger_name: str = ""  # of tables; set only where files become part of them


def prepare() -> None:
    """Chooses who gives Arrow its memory: the default one holds a third more than is in use."""
    try:
        pool = pa.jemalloc_memory_pool()
    except NotImplementedError:  # this build of Arrow is without
        pool = pa.system_memory_pool()
    pa.set_memory_pool(pool)


@cache
def worker() -> Worker:
    """The worker of this execution environment, made once."""
    prepare()
    config = env.load(Env, os.environ)
    s3 = clients.client("s3", read_timeout=_READ_TIMEOUT_SECONDS, connections=AT_ONCE)
    dynamodb = clients.client("dynamodb")
    transformer = Transformer(
        s3,
        clients.client("sqs"),
        pipeline=config.pipeline,
        bronze_bucket=config.bronze_bucket,
        silver_bucket=config.silver_bucket,
        queue_url=config.queue_url,
        grouping=Grouping(config.group_by),
        start=date.fromisoformat(config.lake_start_date),
        notes=Notes(dynamodb, config.ledger_name) if config.ledger_name else None,
    )
    return make_worker(
        config,
        SOURCE,
        transformer.process,
        dynamodb=dynamodb,
        announce=transformer.announce,
    )


def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Works one SQS batch."""
    return worker().handle(event, context)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the clients in Lambda's init phase, not in the first batch
    worker()
