"""A webhook on loopback: a real HTTP server that keeps what it is sent and answers as it is told to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG_UP = 0  # an answer that is none: the connection is closed


@dataclass
class Receiver:
    """``answers`` are the statuses of the next calls; then every call gets 200."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)  # method and path with query
    bodies: list[Any] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens; the path is as secret as a real one's."""
        return f"http://127.0.0.1:{self.port}/services/T0/s3cret?v=1"

    @property
    def alarms(self) -> list[dict[str, Any]]:
        """The alarms that it was told of, in order."""
        return [body["alarm"] for body in self.bodies]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """One that listens while the block runs."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/json"
            receiver.calls.append((self.command, self.path))
            receiver.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status = receiver.answers.pop(0) if receiver.answers else 200
            if status != HANG_UP:
                self.send_response(status)
                if status // 100 == 3:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
