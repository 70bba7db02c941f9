"""AWS as an HTTP server in a process of its own, so that its work is not counted: each answer takes 5 ms.

botocore speaks to it as to AWS, sockets included; only TLS is missing. It knows the calls that the benches make, keeps
items as DynamoDB does (`FakeAws`), and tells how often each call was made.
"""

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.handlers.fakes import FakeAws

CALL_SECONDS = 0.005
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
}
_JSON = "application/x-amz-json-1.0"
_Answer = tuple[int, dict[str, Any]]


class _Aws:
    """The calls of the handlers, and those of Powertools' idempotency."""

    def __init__(self) -> None:
        self._fake = FakeAws()
        self._items: dict[str, dict[str, Any]] = {}
        self.calls: Counter[str] = Counter()
        self._known: dict[str, Callable[[dict[str, Any]], _Answer]] = {
            "PutItem": self._put_item,
            "UpdateItem": self._update_item,
            "DeleteItem": self._delete_item,
            "BatchExecuteStatement": lambda given: (200, self._fake.batch_execute_statement(**given)),
            "BatchGetItem": lambda given: (200, self._fake.batch_get_item(**given)),
            "PutEvents": lambda given: (200, self._fake.put_events(**given)),
            "SendMessage": lambda _: (200, {"MessageId": "m", "MD5OfMessageBody": "0"}),
            "SendMessageBatch": lambda given: (200, self._fake.send_message_batch(**given)),
            "ChangeMessageVisibilityBatch": lambda given: (200, self._fake.change_message_visibility_batch(**given)),
        }

    def answer(self, operation: str, given: dict[str, Any]) -> _Answer:
        """Status and body."""
        self.calls[operation] += 1
        return self._known[operation](given)

    def _put_item(self, given: dict[str, Any]) -> _Answer:
        """Powertools' claim: refused with the record where the key is done."""
        key = given["Item"]["id"]["S"]
        if key in self._items:
            refusal = {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "message": "no"}
            return 400, refusal | {"Item": self._items[key]}
        self._items[key] = given["Item"]
        return 200, {}

    def _update_item(self, given: dict[str, Any]) -> _Answer:
        """Powertools' completion."""
        values = given["ExpressionAttributeValues"]
        names = {"expiration": ":expiry", "status": ":status", "data": ":response_data"}
        self._items[given["Key"]["id"]["S"]] |= {name: values[value] for name, value in names.items()}
        return 200, {}

    def _delete_item(self, given: dict[str, Any]) -> _Answer:
        """Powertools' answer to a step that failed."""
        self._items.pop(given["Key"]["id"]["S"], None)
        return 200, {}


async def _serve(aws: _Aws, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: requests until it ends."""
    loop = asyncio.get_running_loop()
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            due = loop.time() + CALL_SECONDS
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            if first.startswith("GET"):
                status, found = 200, dict(aws.calls)
                aws.calls.clear()
            else:
                status, found = aws.answer(headers["x-amz-target"].rpartition(".")[2], json.loads(body))
                await asyncio.sleep(due - loop.time())
            content = json.dumps(found).encode()
            told = f"HTTP/1.1 {status} -\r\nContent-Type: {_JSON}\r\nContent-Length: {len(content)}\r\n\r\n"
            writer.write(told.encode() + content)
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        writer.close()


async def _main() -> None:
    aws = _Aws()
    server = await asyncio.start_server(lambda r, w: _serve(aws, r, w), "127.0.0.1", 0, limit=2**24)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)  # until whoever started it ends
    server.close()


@dataclass(frozen=True, slots=True)
class HttpAws:
    """The running server."""

    endpoint: str

    def calls(self) -> Counter[str]:
        """What was called since it was last asked."""
        with urllib.request.urlopen(self.endpoint) as answer:  # noqa: S310 - our own server
            return Counter(json.load(answer))


@contextmanager
def serving() -> Iterator[HttpAws]:
    """Starts it, and points this process's clients at it."""
    command = [sys.executable, "-m", "tests.bench.http_aws"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        endpoint = f"http://127.0.0.1:{int(process.stdout.readline())}"
        os.environ |= ENVIRONMENT | {"AWS_ENDPOINT_URL": endpoint}
        try:
            yield HttpAws(endpoint)
        finally:
            process.stdin.close()


if __name__ == "__main__":
    asyncio.run(_main())
