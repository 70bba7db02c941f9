"""botocore clients against a real server on loopback that forgets its connections while nobody looks."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from botocore.exceptions import BotoCoreError

from handlers.aws import clients

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
