"""A queue's worker in a function that some other tool deploys: SAM, CDK, Terraform, a zip by hand."""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from ingestion_lab.function import (
    BatchResponse,
    DownstreamError,
    Json,
    JsonObject,
    LambdaContext,
    PermanentError,
    Worker,
    WorkerEnv,
    client,
    load_env,
    make_worker,
)


class NoSuchRecipientError(PermanentError):
    """Trying again can't help: to the dead-letter queue at once, with this name as the cause."""


def send_mail(mail: JsonObject) -> Json:
    """The business step, a stand-in for a mail server."""
    match mail.get("to"):
        case str(to) if to.endswith("@shop.example"):
            return {"sentTo": to}
        case "slow@other.example":
            raise DownstreamError("the mail server does not answer")  # back to the queue, with a growing wait
        case other:
            raise NoSuchRecipientError(f"no mail can be sent to {other!r}")


@cache
def worker() -> Worker:
    """The worker of this execution environment, made once."""
    return make_worker(load_env(WorkerEnv, os.environ), "shop.mails", send_mail, dynamodb=client("dynamodb"))


def handler(event: Mapping[str, Any], context: LambdaContext) -> BatchResponse:
    """Works one batch."""
    return worker().handle(event, context)
