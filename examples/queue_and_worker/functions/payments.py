"""The function: an SQS batch in, the messages to keep out."""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from ingestion_lab.function import (
    BatchResponse,
    Detail,
    Json,
    JsonObject,
    LambdaContext,
    SchemaValidationError,
    Worker,
    WorkerEnv,
    client,
    load_env,
    make_worker,
)


def pay(payment: JsonObject) -> Json:
    """The business step. What it returns is kept with the payment's key; what it raises says what becomes of it."""
    amount = payment.get("amountCents")
    if not isinstance(amount, int) or amount <= 0:
        raise SchemaValidationError(Detail("/amountCents", f"must be a positive integer, got {amount!r}"))
    return {"paidCents": amount}


@cache
def worker() -> Worker:
    """The worker of this execution environment, made once."""
    return make_worker(load_env(WorkerEnv, os.environ), "shop.payments", pay, dynamodb=client("dynamodb"))


def handler(event: Mapping[str, Any], context: LambdaContext) -> BatchResponse:
    """Works one batch."""
    return worker().handle(event, context)
