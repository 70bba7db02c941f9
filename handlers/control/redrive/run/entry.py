"""Lambda entry point: works on redrives. `POST /redrive/start` invokes it for one, a schedule every minute for all.

A run that its invocation does not end (the time is up, AWS fails, the process dies) is taken up by the next tick.
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

from handlers import env, jsontext
from handlers.aws.control_table import ControlTable
from handlers.control.redrive.ledger.states import States
from handlers.control.redrive.run.runner import Runner
from handlers.control.redrive.run.store import Runs
from handlers.control.redrive.sqs import clients, target
from handlers.errors import Detail, SchemaValidationError
from handlers.observability import LambdaContext, start_invocation

# A send that is given up too soon leaves its letters uncertain.
_PATIENCE_SECONDS = 10
_MAX_ID = 64


@dataclass(frozen=True, slots=True)
class Env:
    """What the function's environment must say. ``queues``: see `target.parse`."""

    environment: str
    control_table_name: str
    state_table_name: str
    queues: str
    max_redrives: int


def handle(event: Mapping[str, Any], seconds_left: Callable[[], float], runner: Runner) -> jsontext.JsonObject:
    """Works on the run that the event names, else on every run that waits; returns where they stand.

    Raises:
        SchemaValidationError: it names something that cannot be a run.
    """
    named = event.get("redriveId")
    if named is not None and not (isinstance(named, str) and len(named) <= _MAX_ID):
        raise SchemaValidationError(Detail("/redriveId", "must be the id of a redrive"))
    waiting = runner.runs.active() if named is None else [named]
    return {"runs": list(runner.resume(waiting, seconds_left))}


@cache
def runner() -> Runner:
    """The runner of this execution environment, made once."""
    config = env.load(Env, os.environ)
    dynamodb = clients.client("dynamodb", attempts=3, read_timeout=_PATIENCE_SECONDS)
    return Runner(
        targets=target.parse(config.queues),
        runs=Runs(ControlTable(dynamodb, config.control_table_name)),
        states=States(dynamodb, config.state_table_name),
        sqs=clients.client("sqs", attempts=3, read_timeout=_PATIENCE_SECONDS),
        once=clients.client("sqs", attempts=1, read_timeout=_PATIENCE_SECONDS),
        pool=ThreadPoolExecutor(clients.PARALLEL_CALLS),
        max_redrives=config.max_redrives,
    )


def handler(event: dict[str, Any], context: LambdaContext) -> jsontext.JsonObject:
    """Works on one run or on all that wait."""
    start_invocation(context.aws_request_id)
    return handle(event, lambda: context.get_remaining_time_in_millis() / 1000, runner())


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the clients in Lambda's init phase, not in the first run
    runner()
