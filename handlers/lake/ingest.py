"""Lambda entry point: the consumer of S3's notices. Each object is cut into chunks, each chunk becomes a message.

SQS delivers a notice at least once, and S3 announces at least once; what has been done by then is not done twice,
because the object's record and the chunks' keys prevent it.
"""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from handlers import env
from handlers.aws import clients
from handlers.deadline import seconds_to_work, time_limit
from handlers.faults import make_switch
from handlers.idempotency.store import StateStore
from handlers.lake import intake, notice
from handlers.lake.inbox import Inbox
from handlers.lake.intake import Intake, Invocation
from handlers.observability import LambdaContext, start_invocation
from handlers.worker.worker import BatchResponse

_READ_TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(intake.Env):
    """What the function's environment must say."""

    notices_queue_url: str
    notices_dlq_url: str
    retry_backoff_max_seconds: int
    max_receive_count: int
    outage_seconds: int


@cache
def inbox() -> Inbox:
    """What this execution environment ingests with, made once."""
    config = env.load(Env, os.environ)
    sqs = clients.client("sqs")
    return Inbox(
        pipeline=config.pipeline,
        queue_url=config.notices_queue_url,
        dlq_url=config.notices_dlq_url,
        retry_seconds=config.retry_backoff_max_seconds,
        max_receive_count=config.max_receive_count,
        outage_seconds=config.outage_seconds,
        sqs=sqs,
        intake=Intake(
            config,
            s3=clients.client("s3", read_timeout=_READ_TIMEOUT_SECONDS),
            sqs=sqs,
            store=StateStore(
                clients.client("dynamodb"), config.table_name, pipeline=config.pipeline, ttl_days=config.ttl_days
            ),
            faults=make_switch(config.failure_mode_parameter),
        ),
    )


def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Works one SQS batch, or one event of S3 itself."""
    start_invocation(context.aws_request_id)
    if any("s3" in record for record in event["Records"]):
        return _announced(event, context)
    return inbox().take(event["Records"], context)


def _announced(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Ingests what S3 invoked the function with before there was a queue; raises, so that Lambda repeats it."""
    remaining = context.get_remaining_time_in_millis()
    with time_limit(seconds_to_work(remaining)):
        announced = notice.read(event, inbox().pipeline)
        inbox().intake.take_all(announced, Invocation.of(context.aws_request_id, remaining))
    return {"batchItemFailures": []}


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the clients in Lambda's init phase, not in the first object
    inbox()
