"""Lambda entry point: the events queue's consumer."""

import os
from functools import cache
from typing import Any

from handlers.events.process import process
from handlers.shared import aws, env
from handlers.shared.batch import BatchResponse, Worker
from handlers.shared.consumer import WorkerEnv as Env
from handlers.shared.consumer import make_worker
from handlers.shared.observability import LambdaContext

SOURCE = "myapp.ingestion"


@cache
def worker() -> Worker:
    """The worker of this execution environment, made once."""
    return make_worker(env.load(Env, os.environ), SOURCE, process, dynamodb=aws.client("dynamodb"))


def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Works one SQS batch."""
    return worker().handle(event, context)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the clients in Lambda's init phase, not in the first batch
    worker()
