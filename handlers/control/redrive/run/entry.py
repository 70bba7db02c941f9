"""Lambda entry point: works on redrives. `POST /redrive/start` invokes it for one, a schedule every minute for all.

A run that its invocation does not end (the time is up, AWS fails, the process dies) is resumed by the next tick.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

from handlers import env, jsontext
from handlers.aws import clients
from handlers.aws.control_table import ControlTable
from handlers.control.forms import FORMS, READERS
from handlers.control.redrive.ledger import States
from handlers.control.redrive.run.runner import Runner
from handlers.control.redrive.run.store import Runs
from handlers.control.redrive.sqs import target
from handlers.observability import LambdaContext, start_invocation

# A send that is given up too soon leaves its letters uncertain.
_PATIENCE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Env:
    """What the function's environment must say. `queues`: see `target.parse`."""

    environment: str
    control_table_name: str
    state_table_name: str
    queues: str
    max_redrives: int


@cache
def runner() -> Runner:
    """The runner of this execution environment, made once."""
    config = env.load(Env, os.environ)
    dynamodb = clients.parallel_client("dynamodb", attempts=3, read_timeout=_PATIENCE_SECONDS)
    return Runner(
        targets=target.parse(config.queues, FORMS, READERS),
        runs=Runs(ControlTable(dynamodb, config.control_table_name)),
        states=States(dynamodb, config.state_table_name),
        sqs=clients.parallel_client("sqs", attempts=3, read_timeout=_PATIENCE_SECONDS),
        once=clients.parallel_client("sqs", attempts=1, read_timeout=_PATIENCE_SECONDS),
        pool=ThreadPoolExecutor(clients.PARALLEL_CALLS),
        max_redrives=config.max_redrives,
    )


def handler(event: dict[str, Any], context: LambdaContext) -> jsontext.JsonObject:
    """Works on one run or on all active ones."""
    start_invocation(context.aws_request_id)
    return runner().handle(event, lambda: context.get_remaining_time_in_millis() / 1000)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the clients in Lambda's init phase, not in the first run
    runner()
