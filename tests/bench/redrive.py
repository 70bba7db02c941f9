"""What a redrive costs beside the loop that anybody would write: ``python -m tests.bench.redrive``.

1,000 dead letters go back to their queue, by the runner as it is deployed (ledger, state records and checks included,
rate limit off) and by a loop of receive 10, send 10, delete 10. Both speak through botocore to the same stand-in for
AWS, which answers each call after 5 ms; they take turns, and the ratio of a round is one of wall times. CPU is that of
the whole process, the stand-in's part of it included.
"""

import io
import json
import logging
import os
import statistics
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import botocore.session
from botocore.awsrequest import AWSResponse

from handlers import jsontext
from handlers.control.redrive.run import entry
from handlers.control.redrive.run.record import RedriveRequest, Run, RunState
from tests.bench.report import conclude, json_file, row

_LETTERS = 1000
_ROUNDS = 7
_CALL_SECONDS = 0.005
_BAR = "≥ 5 x"
_MAIN, _DLQ = "https://sqs.us-east-1.amazonaws.com/0/main", "https://sqs.us-east-1.amazonaws.com/0/dlq"
ENVIRONMENT = {
    "ENVIRONMENT": "bench",
    "CONTROL_TABLE_NAME": "control",
    "STATE_TABLE_NAME": "state",
    "QUEUES": json.dumps({"events": {"queueUrl": _MAIN, "dlqUrl": _DLQ}}),
    "MAX_REDRIVES": "3",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}
_HEADERS = {"content-type": "application/x-amz-json-1.0", "x-amzn-requestid": "0"}


def _letter(number: int) -> tuple[str, str, str]:
    """Key, message and state record of a letter, the last two as AWS's APIs write them."""
    key = f"order-{number:06d}"
    body = json.dumps({"orderId": key, "amount": 42.5, "currency": "EUR", "customer": "c" * 40})
    texts = {
        "idempotencyKey": key,
        "submittedAt": "2026-01-01T00:00:00.000Z",
        "correlationId": f"correlation-{number}",
        "errorType": "SchemaValidationError",
        "originalMessageId": f"original-{number}",
        "pipeline": "events",
        "failedAt": "2026-01-01T00:00:01.000Z",
        "errorMessage": "/amount: must be a number",
    }
    message = {
        "MessageId": f"message-{number:06d}",
        "ReceiptHandle": f"receipt-{number:06d}-" + "r" * 150,
        "Body": body,
        "Attributes": {"SentTimestamp": "1767225600000", "ApproximateReceiveCount": "1", "SenderId": "AIDA"},
        "MessageAttributes": {name: {"DataType": "String", "StringValue": text} for name, text in texts.items()},
    }
    record = {
        "idempotencyKey": {"S": key},
        "status": {"S": "FAILED"},
        "checksum": {"S": jsontext.checksum(json.loads(body))},
        "attempts": {"N": "1"},
        "messageId": {"S": f"original-{number}"},
        "expiresAt": {"N": "4102444800"},
        "errorType": {"S": "SchemaValidationError"},
        "errorMessage": {"S": "/amount: must be a number"},
    }
    return key, json.dumps(message), json.dumps(record)


_WORLD = [_letter(number) for number in range(_LETTERS)]
_RECORDS = {key: record for key, _, record in _WORLD}


class _Body(io.BytesIO):
    """As urllib3 has one."""

    def stream(self) -> Iterator[bytes]:
        """All of it."""
        yield self.read()


@dataclass
class Aws:
    """SQS and DynamoDB as far as both sides use them: a dead-letter queue, and what was done."""

    letters: deque[str] = field(default_factory=lambda: deque(message for _, message, _ in _WORLD))
    calls: Counter[str] = field(default_factory=Counter)
    items: dict[str, Any] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)  # message bodies
    deleted: set[str] = field(default_factory=set)  # receipt handles
    _lock: Lock = field(default_factory=Lock)

    def answer(self, request: Any, **_: object) -> AWSResponse:
        """In place of the network, see botocore's event `before-send`."""
        time.sleep(_CALL_SECONDS)
        operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        asked = json.loads(request.body)
        with self._lock:
            self.calls[operation] += 1
            text = getattr(self, f"_{operation}")(asked)
        made: Any = AWSResponse
        response: AWSResponse = made(request.url, 200, _HEADERS, _Body(text.encode()))
        return response

    def _ReceiveMessage(self, asked: Mapping[str, Any]) -> str:  # noqa: N802 - AWS's names
        count = min(asked["MaxNumberOfMessages"], len(self.letters))
        return f'{{"Messages": [{",".join(self.letters.popleft() for _ in range(count))}]}}' if count else "{}"

    def _SendMessageBatch(self, asked: Mapping[str, Any]) -> str:  # noqa: N802
        self.sent += [one["MessageBody"] for one in asked["Entries"]]
        done = [{"Id": one["Id"], "MessageId": "new", "MD5OfMessageBody": "0"} for one in asked["Entries"]]
        return json.dumps({"Successful": done, "Failed": []})

    def _DeleteMessageBatch(self, asked: Mapping[str, Any]) -> str:  # noqa: N802
        self.deleted.update(one["ReceiptHandle"] for one in asked["Entries"])
        return json.dumps({"Successful": [{"Id": one["Id"]} for one in asked["Entries"]], "Failed": []})

    def _GetQueueAttributes(self, asked: Mapping[str, Any]) -> str:  # noqa: N802
        return json.dumps({"Attributes": dict.fromkeys(asked["AttributeNames"], "0")})

    def _BatchGetItem(self, asked: Mapping[str, Any]) -> str:  # noqa: N802
        keys = asked["RequestItems"]["state"]["Keys"]
        found = ",".join(_RECORDS[key["idempotencyKey"]["S"]] for key in keys)
        return f'{{"Responses": {{"state": [{found}]}}, "UnprocessedKeys": {{}}}}'

    def _TransactWriteItems(self, asked: Mapping[str, Any]) -> str:  # noqa: N802
        for one in asked["TransactItems"]:
            if "Put" in one:
                self._PutItem(one["Put"])
        return "{}"

    def _PutItem(self, asked: Mapping[str, Any]) -> str:  # noqa: N802
        self.items[asked["Item"]["item"]["S"]] = asked["Item"]
        return "{}"

    def _UpdateItem(self, _: object) -> str:  # noqa: N802
        return "{}"

    def _GetItem(self, asked: Mapping[str, Any]) -> str:  # noqa: N802
        item = self.items.get(asked["Key"]["item"]["S"])
        return json.dumps({"Item": item} if item else {})

    def _Query(self, _: object) -> str:  # noqa: N802
        return json.dumps({"Items": []})


def _connect(client: Any, aws: Aws) -> None:
    client.meta.events.register("before-send", aws.answer, unique_id="bench")


def _runner(aws: Aws) -> Callable[[], None]:
    runner = entry.runner()
    for client in (runner.sqs, runner.once, runner.states._client):
        client.meta.events.unregister("before-send", unique_id="bench")
        _connect(client, aws)
    run = Run(redrive_id="r", dlq_url=_DLQ, request=RedriveRequest("events", _LETTERS), created_at=1767300000000)
    runner.runs.create(run)

    def work() -> None:
        ended = runner.handle({"redriveId": "r"}, lambda: 900.0)
        assert ended == {"runs": [{"redriveId": "r", "state": RunState.SUCCEEDED}]}, ended

    return work


def _loop(aws: Aws) -> Callable[[], None]:
    sqs: Any = botocore.session.get_session().create_client("sqs")
    _connect(sqs, aws)

    def work() -> None:
        while messages := sqs.receive_message(
            QueueUrl=_DLQ,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        ).get("Messages"):
            entries = [
                {"Id": str(i), "MessageBody": one["Body"], "MessageAttributes": one["MessageAttributes"]}
                for i, one in enumerate(messages)
            ]
            sent = {one["Id"] for one in sqs.send_message_batch(QueueUrl=_MAIN, Entries=entries)["Successful"]}
            gone = [
                {"Id": str(i), "ReceiptHandle": one["ReceiptHandle"]}
                for i, one in enumerate(messages)
                if str(i) in sent
            ]
            sqs.delete_message_batch(QueueUrl=_DLQ, Entries=gone)

    return work


_SIDES: dict[str, Callable[[Aws], Callable[[], None]]] = {"runner": _runner, "loop": _loop}


def _timed(side: str) -> tuple[float, float, Counter[str]]:
    """Wall and CPU seconds, and calls, of moving all letters."""
    aws = Aws()
    work = _SIDES[side](aws)
    aws.calls.clear()
    cpu, wall = time.process_time(), time.perf_counter()
    with Path(os.devnull).open("w", encoding="utf-8") as silence, redirect_stdout(silence):
        work()
    taken = time.perf_counter() - wall, time.process_time() - cpu
    assert (len(set(aws.sent)), len(aws.sent), len(aws.deleted)) == (_LETTERS, _LETTERS, _LETTERS)
    return *taken, aws.calls


def main(arguments: list[str]) -> int:
    """Take turns; see the module."""
    rest, file = json_file(arguments)
    os.environ |= ENVIRONMENT
    logging.disable(logging.ERROR)
    for side in _SIDES:  # what is made once is no part of it
        _timed(side)
    rounds = [{side: _timed(side) for side in _SIDES} for _ in range(int(rest[0]) if rest else _ROUNDS)]
    told = "; ".join(
        f"{side}: {statistics.median(one[side][0] for one in rounds) * 1000:.0f} ms, "
        f"{statistics.median(one[side][1] for one in rounds) * 1000 / _LETTERS:.2f} ms CPU a letter, "
        f"{rounds[0][side][2].total()} calls"
        for side in _SIDES
    )
    walls = [one["loop"][0] / one["runner"][0] for one in rounds]
    cpus = [one["loop"][1] / one["runner"][1] for one in rounds]
    rows = [
        row(f"{_LETTERS:,} letters, loop ÷ one runner, wall", walls, _BAR, told),
        row(f"{_LETTERS:,} letters, loop ÷ one runner, CPU", cpus),
    ]
    return conclude("redrive", rows, file, note=_NOTE)


_NOTE = """
Much of the runner's processor time is botocore's work for each of the three calls that ten letters take (signing,
hooks, endpoints), in threads that share one interpreter; the waits overlap already. Tried with effect: answers read as
JSON and not by botocore's parser, the room for a letter's attributes measured once. Without: no
garbage collection, shorter turns of the threads, fewer threads, deleting a wave before the next is looked up.
Worked by one thread, with calls that take no time, seven tenths of the runner's processor time are botocore's, for 350
calls where the loop makes 300, and a tenth is the stand-in's. That time alone is nearly a fifth of what the loop takes,
so the bar leaves no wait to any wave. Several runners on one run are not built (docs/redrive.md).
"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
