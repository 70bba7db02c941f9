"""What a batch costs the worker: ``python -m tests.bench.worker [ROUNDS] [--json FILE]``.

Beside it the same with Powertools as its documentation has it: `BatchProcessor`, `idempotent_function` with the
DynamoDB layer, one `PutEvents` a record, one line of its Logger a record. Both have the same business step and the same
records, in one process and in turn; AWS is an HTTP server in another one that takes 5 ms for each answer (`http_aws`),
so that all of botocore is in what is measured. Powertools has its default clients, ours are those of the function.

A round is some batches of each side. Records are new in every batch, except duplicates: one batch's again.
"""

import itertools
import json
import os
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from handlers import jsontext
from tests.bench.http_aws import HttpAws, serving
from tests.bench.report import Row, conclude, json_file, row
from tests.bench.sides import Times, in_turn, ratios, unheard
from tests.handlers.fakes import FakeContext

_ROUNDS, _BATCHES = 15, 4
_BARS = {  # wall, CPU
    "10 new": ("≥ 8.5 x", "≥ 8 x"),
    "1 new": ("≥ 1.1 x", "≥ 1.5 x"),
    "10 duplicates": ("≥ 5 x", "≥ 4 x"),
    "1 poison in 10": ("≥ 6.5 x", "≥ 6 x"),
}
ENVIRONMENT = {
    "ENVIRONMENT": "bench",
    "PIPELINE": "events",
    "QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/queue",
    "DLQ_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/dlq",
    "TABLE_NAME": "state",
    "EVENT_BUS_NAME": "bus",
    "TTL_DAYS": "7",
    "MAX_RECEIVE_COUNT": "5",
    "RETRY_BACKOFF_BASE_SECONDS": "2",
    "RETRY_BACKOFF_MAX_SECONDS": "300",
    "BREAKER_HOLD_SECONDS": "30",
    "OUTAGE_SECONDS": "2730",
    "OBJECTIVE_SECONDS": "60",
    "POWERTOOLS_SERVICE_NAME": "bench",
}
_numbers = itertools.count()
Handler = Callable[[dict[str, Any]], Any]


def _batch(kind: str) -> dict[str, Any]:
    """Records as ingest sends and Lambda delivers them."""
    size = 1 if kind.startswith("1 new") else 10
    return {"Records": [_record(f"{next(_numbers):08d}", poison="poison" in kind and i == 4) for i in range(size)]}


def _record(name: str, *, poison: bool) -> dict[str, Any]:
    payload: jsontext.JsonObject = {"orderId": name}
    if not poison:
        payload |= {"amount": 42.5, "customer": {"id": "C-17", "name": "Ada"}}
    key = jsontext.checksum(payload)  # no caller's own
    values = {"idempotencyKey": key, "submittedAt": "2026-01-01T00:00:00.000Z", "correlationId": f"c-{name}"}
    return {
        "messageId": name,
        "receiptHandle": f"receipt-{name}",
        "body": json.dumps(payload),
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1767225600000"},
        "messageAttributes": {
            what: {"dataType": "String", "stringValue": value, "stringListValues": [], "binaryListValues": []}
            for what, value in values.items()
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:queue",
        "awsRegion": "eu-west-1",
    }


def _ours() -> Handler:
    from handlers.events import worker  # noqa: PLC0415 - its clients find the server in the environment

    return lambda event: worker.handler(event, FakeContext())


def _powertools() -> Handler:
    """As the pages "Batch Processing" and "Idempotency" of its documentation combine the two."""
    import boto3  # noqa: PLC0415 - see above
    from aws_lambda_powertools import Logger  # noqa: PLC0415
    from aws_lambda_powertools.utilities.batch import (  # noqa: PLC0415
        BatchProcessor,
        EventType,
        process_partial_response,
    )
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord  # noqa: PLC0415
    from aws_lambda_powertools.utilities.idempotency import (  # noqa: PLC0415
        DynamoDBPersistenceLayer,
        IdempotencyConfig,
        idempotent_function,
    )

    from handlers.events.step import process  # noqa: PLC0415

    logger = Logger()
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    layer = DynamoDBPersistenceLayer(table_name="idempotency")
    config = IdempotencyConfig(event_key_jmespath="messageAttributes.idempotencyKey.stringValue")
    events = boto3.client("events")

    @idempotent_function(data_keyword_argument="record", config=config, persistence_store=layer)  # type: ignore[untyped-decorator]
    def record_handler(record: SQSRecord) -> Any:
        result = process(record.json_body)
        key = record.raw_event["messageAttributes"]["idempotencyKey"]["stringValue"]
        detail = json.dumps({"idempotencyKey": key, "messageId": record.message_id, "status": "SUCCEEDED"})
        entry = {"EventBusName": "bus", "Source": "bench", "DetailType": "IngestionSuccess", "Detail": detail}
        events.put_events(Entries=[entry])  # type: ignore[list-item]
        logger.info("record done", extra={"idempotencyKey": key, "messageId": record.message_id})
        return result

    @logger.inject_lambda_context
    def handler(event: dict[str, Any], context: Any) -> Any:
        config.register_lambda_context(context)
        return process_partial_response(
            event=event, record_handler=record_handler, processor=processor, context=context
        )

    context = SimpleNamespace(
        function_name="bench",
        memory_limit_in_mb=256,
        invoked_function_arn="arn",
        aws_request_id="request-1",
        get_remaining_time_in_millis=lambda: 30_000,
    )
    return lambda event: handler(event, context)


def _work(kind: str, handler: Handler, times: int) -> Callable[[], Any]:
    """One batch after the other, so many; they are made beforehand, since Lambda makes them, too."""
    batches = [_batch(kind) for _ in range(times)]
    if kind == "10 duplicates":
        handler(batches[0])
        batches = [
            {"Records": [one | {"messageId": f"again-{number}-{one['messageId']}"} for one in batches[0]["Records"]]}
            for number in range(times)
        ]
    given = iter(batches)
    return lambda: handler(next(given))


def _rows(aws: HttpAws, rounds: int) -> Iterator[Row]:
    sides = {"ours": _ours(), "powertools": _powertools()}
    times = (rounds + 1) * _BATCHES + 1  # a round that does not count, and one batch whose calls are counted
    for kind, bars in _BARS.items():
        works = {name: _work(kind, handler, times) for name, handler in sides.items()}
        calls = {name: _calls(aws, work) for name, work in works.items()}
        yield from _compared(kind, bars, in_turn(works, rounds=rounds, times=_BATCHES), calls)


def _calls(aws: HttpAws, work: Callable[[], Any]) -> Counter[str]:
    aws.calls()
    work()
    return aws.calls()


def _compared(
    kind: str, bars: tuple[str, str], times: dict[str, Times], calls: dict[str, Counter[str]]
) -> Iterator[Row]:
    ours, theirs = times["ours"], times["powertools"]
    made = f"{calls['ours'].total()} calls against {calls['powertools'].total()}"
    for what, bar, mine, other in (
        ("wall", bars[0], ours.wall, theirs.wall),
        ("CPU", bars[1], ours.cpu, theirs.cpu),
    ):
        medians = f"{statistics.median(mine) * 1000:.2f} ms against {statistics.median(other) * 1000:.2f}"
        yield row(f"{kind}, Powertools ÷ ours, {what}", ratios(other, mine), bar, f"{made}, {medians}")


def main(arguments: list[str]) -> int:
    """Prints the ratios; see the module."""
    rest, file = json_file(arguments)
    os.environ |= ENVIRONMENT
    with serving() as aws, unheard():
        rows = list(_rows(aws, int(rest[0]) if rest else _ROUNDS))
    return conclude("worker", rows, file, note=_NOTE)


_NOTE = """A batch of one is three calls on both sides, one after another, and nine tenths of our processor time are
botocore's and urllib3's: sockets and headers 45 % of a call, signing 17 %. Without validation, user agent and
Powertools' Logger, ours runs 8,500 Python functions where Powertools' runs 12,400. What would save more was not done: a
transport of our own, or `PutEvents` beside the write of the outcome, which could tell a success that is none."""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
