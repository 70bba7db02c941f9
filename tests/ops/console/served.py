"""The console at work on a port of its own, and a browser's requests to it without a browser."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import urlencode

import uvicorn

from ops.cli.api import Identity
from ops.cli.target import NotRunningError, Target
from ops.console import app, service
from ops.console.link import Link
from ops.console.runner import Runner
from ops.console.session import Session


@dataclass(frozen=True)
class Answer:
    """What the console said."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True)
class Served:
    """A running console."""

    session: Session

    def call(self, method: str, path: str, body: str | None = None, **headers: str | None) -> Answer:
        """A request with exactly these headers; `_` stands for `-`, None leaves one out."""
        content = body.encode() if body is not None else None
        return self.send(method, path, content, "application/x-www-form-urlencoded", **headers)

    def send(self, method: str, path: str, body: bytes | None, kind: str, **headers: str | None) -> Answer:
        """The same with a body of whatever kind."""
        connection = http.client.HTTPConnection("127.0.0.1", self.session.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            given = {"Host": f"127.0.0.1:{self.session.port}", "Cookie": self.cookie, **headers}
            if body is not None:
                given |= {"Content-Length": str(len(body)), "Content-Type": kind}
            for name, value in given.items():
                if value is not None:
                    connection.putheader(name.replace("_", "-"), value)
            connection.endheaders(body)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read().decode())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        """As a page's own request."""
        return self.call("GET", path)

    def post(self, path: str, **form: object) -> Answer:
        """As a page's own form, sent by htmx."""
        return self.call("POST", path, urlencode(form), Origin=self.origin, HX_Request="true")

    @property
    def origin(self) -> str:
        """As browsers name it."""
        return f"http://127.0.0.1:{self.session.port}"

    @property
    def cookie(self) -> str:
        """That of the session."""
        return f"{self.session.cookie}={self.session.secret}"


class FakeStack:
    """A stack on AWS that answers its API from a table: (method, path without query) -> answer or error."""

    stack = "dev"
    region = "eu-west-1"
    emulator = None
    look_seconds = metric_seconds = 0.0
    connections = 2
    counts_records = False
    has_logs_insights = True
    identity = Identity("none", is_laptop=True, session=lambda: None)
    api = "https://a1.execute-api.eu-west-1.amazonaws.com"

    def __init__(self, **outputs: Any) -> None:
        self.outputs: dict[str, Any] = {"ApiEndpoint": self.api, "Production": False, **outputs}
        self.answers: dict[tuple[str, str], Any] = {}
        self.clients: dict[str, Any] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.keys: list[str | None] = []  # that came with what was asked over HTTP

    @property
    def pipelines(self) -> dict[str, dict[str, str]]:
        """As `Target` has them."""
        return {name: group for name, group in self.outputs.items() if isinstance(group, dict)}

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """As `Target` does."""
        self.asked.append((method, path, body))
        answer = self.answers[method, path.partition("?")[0]]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, service: str) -> Any:
        """A fake of one."""
        return self.clients[service]


@contextmanager
def answering(stack: FakeStack) -> Iterator[FakeStack]:
    """The stack's API over HTTP while the block runs: its `answers` are pairs of status and body; 404 for others."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
            stack.asked.append((self.command, self.path, body))
            stack.keys.append(self.headers.get("Idempotency-Key"))
            status, answer = stack.answers.get((self.command, self.path.partition("?")[0]), (404, {"error": "none"}))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_GET = do_POST  # noqa: N815 - called by http.server

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stack.api = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield stack
        finally:
            server.shutdown()
            thread.join(60)


def nothing(_: str) -> Target:
    """What `find` does where nothing runs."""
    raise NotRunningError("the laptop's stack is down; start it with: lab up")


def found(stack: FakeStack) -> Callable[[str], Target]:
    """What `find` does where this stack is."""
    return lambda _: cast("Target", stack)


@contextmanager
def serving(find: Callable[[str], Target], stack: str = "local", runner: Runner | None = None) -> Iterator[Served]:
    """A console of this stack until the block ends."""
    listener = service.listen(0)
    session = Session(listener.getsockname()[1])
    made = app.make(Link(stack, find), session, runner)
    server = uvicorn.Server(uvicorn.Config(made, log_level="critical", lifespan="on", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < deadline, "the console did not start"
        time.sleep(0.01)
    try:
        yield Served(session)
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
