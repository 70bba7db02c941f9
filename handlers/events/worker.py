"""Lambda entry point: the events queue's consumer."""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from handlers import env
from handlers.aws import clients
from handlers.events.step import process
from handlers.observability import LambdaContext
from handlers.worker.worker import BatchResponse, Worker, WorkerEnv, make_worker

SOURCE = "myapp.ingestion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(WorkerEnv):
    """What the function's environment must say."""


@cache
def worker() -> Worker:
    """The worker of this execution environment, made once."""
    return make_worker(env.load(Env, os.environ), SOURCE, process, dynamodb=clients.client("dynamodb"))


def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Works one SQS batch."""
    return worker().handle(event, context)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the clients in Lambda's init phase, not in the first batch
    worker()
