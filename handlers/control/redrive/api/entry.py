"""Lambda entry point: the redrive API."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

from handlers import env
from handlers.aws import clients
from handlers.aws.control_table import ControlTable
from handlers.control.forms import FORMS, READERS
from handlers.control.redrive.api.routes import Api, Services
from handlers.control.redrive.ledger import States
from handlers.control.redrive.run.store import Runs
from handlers.control.redrive.sqs import target
from handlers.http.router import Answer
from handlers.observability import LambdaContext, start_invocation


@dataclass(frozen=True, slots=True)
class Env:
    """What the function's environment must say. `queues`: see `target.parse`."""

    environment: str
    control_table_name: str
    state_table_name: str
    runner_function_name: str
    queues: str
    max_redrives: int


@cache
def api() -> Api:
    """The API of this execution environment, made once."""
    config = env.load(Env, os.environ)
    dynamodb = clients.client("dynamodb")
    services = Services(
        targets=target.parse(config.queues, FORMS, READERS),
        runs=Runs(ControlTable(dynamodb, config.control_table_name)),
        states=States(dynamodb, config.state_table_name),
        sqs=clients.parallel_client("sqs", attempts=3, read_timeout=3),
        receiver=clients.parallel_client("sqs", attempts=1, read_timeout=3),
        pool=ThreadPoolExecutor(clients.PARALLEL_CALLS),
        functions=clients.client("lambda"),
        runner_name=config.runner_function_name,
        max_redrives=config.max_redrives,
    )
    return Api(services)


def handler(event: dict[str, Any], context: LambdaContext) -> Answer:
    """Answers one HTTP request."""
    start_invocation(context.aws_request_id)
    return api().handle(event)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the clients in Lambda's init phase, not in the first request
    api()
