"""botocore clients against a real server on loopback that forgets its connections while nobody looks."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from handlers.aws import clients
from handlers.aws.clients import AWS_ERRORS, error_code

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\n\r\n{}"
_RESET = struct.pack("ii", 1, 0)  # closing sends RST and no FIN, so the client's end looks open until it is used


class Forgetful:
    """Answers the first request of each connection; to the second it says that it knows no such connection."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    @staticmethod
    def _answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            request = b""
            while not request.endswith(b"}") and (part := connection.recv(65_536)):
                request += part  # the body may come apart from the headers
            connection.sendall(_ANSWER)
            connection.recv(1)  # the second request, or the client's end

    def close(self) -> None:
        """Accepts no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Forgetful]:
    """One that listens."""
    listening = Forgetful()
    yield listening
    listening.close()


@pytest.mark.parametrize("dropped", [False, True])
def test_a_connection_that_was_lost_in_a_freeze(
    monkeypatch: pytest.MonkeyPatch, server: Forgetful, *, dropped: bool
) -> None:
    """A client that repeats no call fails on it, unless it has dropped its connections before; then it calls anew."""
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    clients._session.cache_clear()
    client = clients.parallel_client("sqs", attempts=1, read_timeout=3)
    client.receive_message(QueueUrl=f"{server.url}/q")
    if dropped:
        clients.drop_connections(client)
        assert "Messages" not in client.receive_message(QueueUrl=f"{server.url}/q")
    else:
        with pytest.raises(BotoCoreError):
            client.receive_message(QueueUrl=f"{server.url}/q")
    clients._session.cache_clear()


_MESSAGES = {
    "Messages": [
        {
            "MessageId": "m",
            "ReceiptHandle": "r",
            "Body": "ä",
            "Attributes": {"SentTimestamp": "1"},
            "MessageAttributes": {
                "text": {"DataType": "String", "StringValue": "t"},
                "bytes": {"DataType": "Binary.x", "BinaryValue": "AP8="},
            },
        }
    ]
}
_ITEM = {"k": {"S": "a"}, "n": {"N": "1"}, "yes": {"BOOL": True}}
_ITEMS = {"Responses": {"t": [_ITEM]}, "UnprocessedKeys": {"t": {"Keys": [{"k": {"S": "b"}}]}}}
_SENT = {"Successful": [{"Id": "0", "MessageId": "m"}], "Failed": [{"Id": "1", "SenderFault": False, "Code": "c"}]}
_DELETED = _SENT | {"Successful": [{"Id": "0"}]}
_WRITTEN = {"Responses": [{"TableName": "t"}, {"Error": {"Code": "DuplicateItem", "Message": "there"}}]}
_PUT = {"FailedEntryCount": 1, "Entries": [{"EventId": "e"}, {"ErrorCode": "c", "ErrorMessage": "m"}]}
_REFUSAL = b'{"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "none"}'
_CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "ReceiveMessage": ("sqs", {"QueueUrl": "https://q"}),
    "SendMessageBatch": ("sqs", {"QueueUrl": "https://q", "Entries": []}),
    "DeleteMessageBatch": ("sqs", {"QueueUrl": "https://q", "Entries": []}),
    "ChangeMessageVisibilityBatch": ("sqs", {"QueueUrl": "https://q", "Entries": []}),
    "BatchGetItem": ("dynamodb", {"RequestItems": {"t": {"Keys": [{"k": {"S": "a"}}]}}}),
    "BatchExecuteStatement": ("dynamodb", {"Statements": [{"Statement": "s"}]}),
    "PutEvents": ("events", {"Entries": []}),
}


def _answered(client: Any, operation: str, status: int, body: bytes) -> Any:
    """What a call returns, or the type and the code of what it raises, where this is the answer to it."""
    made: Any = AWSResponse
    raw = SimpleNamespace(stream=lambda: iter([body]))
    answer = made("https://q", status, {"x-amzn-requestid": "1"}, raw)
    client.meta.events.register("before-send", lambda **_: answer)
    try:
        return client._make_api_call(operation, _CALLS[operation][1])
    except AWS_ERRORS as error:
        return type(error).__name__, error_code(error)


@pytest.mark.parametrize(
    ("operation", "status", "body"),
    [
        ("ReceiveMessage", 200, json.dumps(_MESSAGES).encode()),
        ("SendMessageBatch", 200, json.dumps(_SENT).encode()),
        ("DeleteMessageBatch", 200, json.dumps(_DELETED).encode()),
        ("ChangeMessageVisibilityBatch", 200, json.dumps(_DELETED).encode()),
        ("BatchGetItem", 200, json.dumps(_ITEMS).encode()),
        ("BatchExecuteStatement", 200, json.dumps(_WRITTEN).encode()),
        ("PutEvents", 200, json.dumps(_PUT).encode()),
        *((operation, *answer) for operation in _CALLS for answer in ((200, b"{}"), (200, b""), (400, _REFUSAL))),
        *((operation, 200, b"{") for operation in _CALLS),
    ],
)
def test_clients_read_as_botocore_does(
    monkeypatch: pytest.MonkeyPatch, operation: str, status: int, body: bytes
) -> None:
    """What they skip of botocore's reading changes nothing of an answer; what is none is the same error."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    service = _CALLS[operation][0]
    once: Any = {"mode": "standard", "total_max_attempts": 1}
    config = Config(parameter_validation=False, retries=once)
    usual = botocore.session.get_session().create_client(service, config=config)
    ours = clients.parallel_client(service, attempts=1, read_timeout=1)
    expected = _answered(usual, operation, status, body)
    assert _answered(ours, operation, status, body) == expected
    if status == 200 and len(body) > 2:
        assert (set(json.loads(body)) | {"ResponseMetadata"}) == set(expected)
