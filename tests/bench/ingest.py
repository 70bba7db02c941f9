"""What ingest adds to the bare SDK: ``python -m tests.bench.ingest [ROUNDS] [--json FILE]``.

Beside each request the call of the SDK that it comes to, with boto3's default client: one `SendMessage` with the same
body and attributes, and for a batch of 100 ten `SendMessageBatch` in a row. The caller's own key is bound to its
payload by a call to DynamoDB first, and is held to one `SendMessage`, too. One process, in turn; AWS is an HTTP server
in another one that takes 5 ms for each answer (`http_aws`).
"""

import itertools
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tests.bench.http_aws import HttpAws, serving
from tests.bench.report import Row, conclude, json_file, row
from tests.bench.sides import in_turn, ratios, unheard
from tests.gateway import http_event
from tests.handlers.fakes import FakeContext

_ROUNDS, _REQUESTS = 15, 10
_URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/queue"
_BARS = {"single": "≤ 1.2 x", "own key": "≤ 2 x", "batch of 100": "≤ 1.3 x"}
_BATCH_BAR = "≤ 25 ms"
ENVIRONMENT = {
    "ENVIRONMENT": "bench",
    "PIPELINE": "events",
    "QUEUE_URL": _URL,
    "TABLE_NAME": "state",
    "TTL_DAYS": "7",
    "POWERTOOLS_SERVICE_NAME": "bench",
}
_numbers = itertools.count()
Work = Callable[[], Any]


def _order() -> dict[str, Any]:
    return {"orderId": f"{next(_numbers):08d}", "amount": 42.5, "customer": {"id": "C-17", "name": "Ada"}}


def _request(kind: str) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    if kind == "batch of 100":
        return http_event("POST /events/batch", json.dumps([_order() for _ in range(100)]), headers=headers)
    if kind == "own key":
        headers["idempotency-key"] = f"key-{next(_numbers)}"
    return http_event("POST /events", json.dumps(_order()), headers=headers)


def _ours(kind: str) -> Work:
    from handlers.events import ingest  # noqa: PLC0415 - its clients find the server in the environment

    requests = itertools.cycle([_request(kind) for _ in range(200)])

    def work() -> None:
        answer = ingest.handler(next(requests), FakeContext())
        assert answer["statusCode"] == 202, answer

    return work


def _bare(kind: str) -> Work:
    import boto3  # noqa: PLC0415 - see above

    sqs = boto3.client("sqs")
    body = json.dumps(_order())
    values = {"idempotencyKey": "a" * 64, "submittedAt": "2026-01-01T00:00:00.000Z", "correlationId": "request-1"}
    values["errorTypeCandidate"] = "Unknown"
    attributes: Any = {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}
    if kind != "batch of 100":
        return lambda: sqs.send_message(QueueUrl=_URL, MessageBody=body, MessageAttributes=attributes)
    entries: Any = [{"Id": str(i), "MessageBody": body, "MessageAttributes": attributes} for i in range(10)]

    def batch() -> None:
        for _ in range(10):
            sqs.send_message_batch(QueueUrl=_URL, Entries=entries)

    return batch


def _rows(aws: HttpAws, rounds: int) -> Iterator[Row]:
    for kind, bar in _BARS.items():
        works = {"ours": _ours(kind), "bare": _bare(kind)}
        calls = {}
        for name, work in works.items():
            aws.calls()
            work()
            calls[name] = aws.calls().total()
        times = in_turn(works, rounds=rounds, times=_REQUESTS)
        ours, bare = times["ours"], times["bare"]
        told = f"{calls['ours']} calls against {calls['bare']}, {ours.told()} against {bare.told()}"
        yield row(f"{kind}, ours ÷ bare SDK, CPU", ratios(ours.cpu, bare.cpu), bar, told)
    walls = [seconds * 1000 for seconds in ours.wall]
    told = f"bare SDK {statistics.median(bare.wall) * 1000:.1f} ms"
    yield row("batch of 100, wall at 5 ms a call", walls, _BATCH_BAR, told)


def main(arguments: list[str]) -> int:
    """Prints the ratios; see the module."""
    rest, file = json_file(arguments)
    os.environ |= ENVIRONMENT
    with serving() as aws, unheard():
        rows = list(_rows(aws, int(rest[0]) if rest else _ROUNDS))
    return conclude("ingest", rows, file, note=_NOTE)


_NOTE = """An event under the caller's own key is two calls beside one. Ingest's own part of a request is a twentieth;
the rest is botocore's. The ten calls of a batch of 100 are made beside each other: its wall time is its processor time
and one call's wait: it doubles where another process has the other half of the processors."""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
