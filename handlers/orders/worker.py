"""Lambda entry point: the orders queue's consumer. Its messages are events of EventBridge, idempotent by `eventId`."""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from handlers import env
from handlers.aws import clients
from handlers.observability import LambdaContext
from handlers.orders import message
from handlers.orders.fulfilment import Fulfilment, OrderFaults
from handlers.orders.step import process
from handlers.orders.store import Orders
from handlers.worker.worker import BatchResponse, Worker, WorkerEnv, make_worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(WorkerEnv):
    """What the function's environment must say."""

    orders_table_name: str


@cache
def worker() -> Worker:
    """The worker of this execution environment, made once."""
    config = env.load(Env, os.environ)
    dynamodb = clients.client("dynamodb")
    orders = Orders(dynamodb, config.orders_table_name)
    return make_worker(
        config,
        message.SOURCE,
        Fulfilment(orders, process),
        dynamodb=dynamodb,
        form=message.FORM,
        faults=lambda ssm, parameter: OrderFaults(ssm, parameter, orders),
    )


def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Works one SQS batch."""
    return worker().handle(event, context)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the clients in Lambda's init phase, not in the first batch
    worker()
