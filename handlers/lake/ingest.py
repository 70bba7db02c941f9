"""Lambda entry point: S3 announces objects, each is cut into chunks, each chunk becomes a message.

S3 invokes it asynchronously and at least once. Every failure is raised, so that Lambda invokes it again and in the end
sends the event to the on-failure destination; what has been done by then is not done twice, because the object's record
and the chunks' keys prevent it.
"""

import os
from functools import cache
from typing import Any

from handlers import clock, env
from handlers.aws import clients
from handlers.deadline import seconds_to_work, time_limit
from handlers.faults import make_switch
from handlers.idempotency.store import StateStore
from handlers.lake import notice
from handlers.lake.intake import Env, Intake, Invocation
from handlers.observability import LambdaContext, start_invocation

_READ_TIMEOUT_SECONDS = 20


@cache
def intake() -> Intake:
    """What this execution environment ingests with, made once."""
    config = env.load(Env, os.environ)
    return Intake(
        config,
        s3=clients.client("s3", read_timeout=_READ_TIMEOUT_SECONDS),
        sqs=clients.client("sqs"),
        store=StateStore(
            clients.client("dynamodb"), config.table_name, pipeline=config.pipeline, ttl_days=config.ttl_days
        ),
        faults=make_switch(config.failure_mode_parameter),
    )


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Ingests the objects that one S3 event announces; returns how many `{objects, chunks}` were new."""
    start_invocation(context.aws_request_id)
    remaining = context.get_remaining_time_in_millis()
    invocation = Invocation(
        request_id=context.aws_request_id,
        lease_until=clock.now_ms() + remaining,
        trace_header=os.environ.get("_X_AMZN_TRACE_ID", ""),
    )
    with time_limit(seconds_to_work(remaining)):
        return intake().take_all(notice.read(event), invocation)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the clients in Lambda's init phase, not in the first object
    intake()
