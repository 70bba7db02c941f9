"""Lambda entry point: the events queue's consumer."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from handlers import env
from handlers.aws import clients
from handlers.aws.sqs import Attribute
from handlers.events.step import process
from handlers.observability import LambdaContext
from handlers.worker import messages
from handlers.worker.worker import BatchResponse, Worker, WorkerEnv, make_worker

SOURCE = "myapp.ingestion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(WorkerEnv):
    """What the function's environment must say."""


def _is_callers_own(key: str, checksum: str, attributes: Mapping[str, Attribute]) -> bool:
    """Whether ingest has sent a caller's own key, which it has reserved then; a sender past ingest reserves none."""
    return key != checksum and "submittedAt" in attributes


FORM = replace(messages.PLAIN, binds=_is_callers_own)


@cache
def worker() -> Worker:
    """The worker of this execution environment, made once."""
    return make_worker(env.load(Env, os.environ), SOURCE, process, dynamodb=clients.client("dynamodb"), form=FORM)


def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Works one SQS batch."""
    return worker().handle(event, context)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the clients in Lambda's init phase, not in the first batch
    worker()
