"""Both functions of the pipeline: the one that accepts invoices, and the worker of their queue."""

import json
import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from ingestion_lab.function import (
    Answer,
    Attribute,
    BatchResponse,
    HttpError,
    Json,
    JsonObject,
    LambdaContext,
    Outgoing,
    Request,
    Worker,
    WorkerEnv,
    answer,
    client,
    load_env,
    make_worker,
    send_messages,
    serve,
    start_invocation,
)

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@cache
def sqs() -> "SQSClient":
    """The client of this execution environment, made once."""
    made: SQSClient = client("sqs")
    return made


def accept(event: Mapping[str, Any], context: LambdaContext) -> Answer:
    """Answers 202 once SQS has the invoice; its number is its idempotency key."""
    start_invocation(context.aws_request_id)
    return serve(Request.from_event(event), {"POST /invoices": _post_invoice})


def _post_invoice(request: Request) -> Answer:
    invoice = request.json(max_bytes=64 * 1024)
    if not isinstance(invoice, dict) or not isinstance(number := invoice.get("number"), str):
        raise HttpError(400, "SchemaValidationError", "an invoice is an object with a number, a text")
    message = Outgoing(number, json.dumps(invoice), {"idempotencyKey": Attribute.text(number)})
    report = send_messages(sqs(), os.environ["QUEUE_URL"], [message])
    if report.failed:
        raise HttpError.unavailable("the queue")
    return answer(202, {"number": number})


def book(invoice: JsonObject) -> Json:
    """The business step."""
    return {"booked": invoice["number"]}


@cache
def worker() -> Worker:
    """The worker of this execution environment, made once."""
    return make_worker(load_env(WorkerEnv, os.environ), "billing.invoices", book, dynamodb=client("dynamodb"))


def work(event: Mapping[str, Any], context: LambdaContext) -> BatchResponse:
    """Works one batch."""
    return worker().handle(event, context)
