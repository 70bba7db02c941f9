"""A function that is called directly, and acts once for each key however often it is called."""

import json
import os
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from ingestion_lab.function import (
    Completion,
    KeyRequest,
    LambdaContext,
    Standing,
    StateStore,
    Status,
    checksum,
    client,
)


@cache
def store() -> StateStore:
    """The state table, in which the keys of this function are its own."""
    return StateStore(client("dynamodb"), os.environ["TABLE_NAME"], pipeline="refunds", ttl_days=7)


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Refunds once; a repetition gets what the first call got.

    Raises:
        RuntimeError: the caller is to try again later, or has used the key for another refund.
    """
    refund = {"orderId": event["orderId"], "amountCents": event["amountCents"]}
    request = KeyRequest(event["orderId"], checksum(refund), context.aws_request_id, json.dumps(refund))
    ends = round(time.time() * 1000) + context.get_remaining_time_in_millis()
    claim = store().claim([request], lease_until=ends)[request.key]
    if claim.lease is None:
        if claim.standing is Standing.DONE:
            stored: dict[str, Any] = json.loads(store().result(request.key))
            return stored
        raise RuntimeError(f"not refunded: {claim.error or claim.standing}")
    answer = {"refundedCents": refund["amountCents"]}  # the business step
    lost = store().complete([Completion(claim.lease, Status.SUCCEEDED, result=json.dumps(answer))])
    if lost:
        raise RuntimeError(f"refunded, and not written down: {lost[request.key]}")
    return answer
