"""The sender, against an API that answers as it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ops.cli import api as module
from ops.cli.events.sender import Plan, Refusal, Sender
from tests.ops.stack import free_port

Reply = tuple[int, Any]


class StubApi:
    """Answers calls from a list of functions of the posted body, the last one for ever."""

    def __init__(self) -> None:
        self.replies: list[Callable[[Any], Reply]] = []
        self.calls: list[tuple[str, Any]] = []
        self._lock = threading.Lock()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = stub.answer(self.path, body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """No lines on stderr."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/stage"

    def answer(self, path: str, body: Any) -> Reply:
        with self._lock:
            self.calls.append((path, body))
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return reply(body)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubApi]:
    """A running stub; retries come at once."""
    monkeypatch.setattr(module, "_BACKOFF_SECONDS", 0.001)
    stub = StubApi()
    thread = threading.Thread(target=stub.server.serve_forever, args=(0.01,))
    thread.start()
    yield stub
    stub.server.shutdown()
    thread.join()
    stub.server.server_close()


def _accepted(body: Any) -> Reply:
    if isinstance(body, dict):
        return 202, {"idempotencyKey": f"key-{body['n']}"}
    results = [{"index": i, "status": 202, "idempotencyKey": f"key-{e['n']}"} for i, e in enumerate(body)]
    return 202, {"accepted": len(body), "rejected": 0, "results": results}


def _mixed(statuses: dict[int, int]) -> Callable[[Any], Reply]:
    """The entries with these positions get these statuses, the others are accepted."""

    def reply(body: Any) -> Reply:
        answer = _accepted(body)[1]
        for result in answer["results"]:
            if (status := statuses.get(result["index"])) is not None:
                result.pop("idempotencyKey")
                result |= {"status": status, "errorType": "E", "error": "no", "details": ["/n is odd"]}
        answer["results"].reverse()  # the index counts, not the order
        return 207, answer

    return reply


def _events(count: int) -> list[dict[str, Any]]:
    return [{"n": number} for number in range(count)]


def test_batches(api: StubApi) -> None:
    """Events go out by the hundred, and every key comes back at its event's place."""
    api.replies = [_accepted]
    advanced: list[int] = []
    tally = Sender(api.url, Plan(batch=True, rate=0), advanced.append).send(_events(250))
    assert (tally.keys, tally.refused) == ({n: f"key-{n}" for n in range(250)}, [])
    assert sorted((path, len(body)) for path, body in api.calls) == [
        ("/stage/events/batch", 50),
        ("/stage/events/batch", 100),
        ("/stage/events/batch", 100),
    ]
    assert sorted(advanced) == [50, 100, 100]


def test_single(api: StubApi) -> None:
    """One call for each event."""
    api.replies = [_accepted]
    tally = Sender(api.url, Plan(batch=False, rate=0)).send(_events(3))
    assert tally.keys == {0: "key-0", 1: "key-1", 2: "key-2"}
    assert sorted(api.calls, key=str) == [("/stage/events", {"n": number}) for number in range(3)]


def test_only_what_failed_for_now_is_sent_again(api: StubApi) -> None:
    """Of a batch, the entries with 503 go out again alone; those refused for good do not."""
    api.replies = [_mixed({1: 503, 3: 400, 4: 429}), _mixed({0: 503}), _accepted]
    tally = Sender(api.url, Plan(batch=True, rate=0)).send(_events(5))
    assert [[event["n"] for event in body] for _, body in api.calls] == [[0, 1, 2, 3, 4], [1, 4], [1]]
    assert tally.keys == {0: "key-0", 1: "key-1", 2: "key-2", 4: "key-4"}
    assert tally.refused == [Refusal(3, 400, "E: no: /n is odd")]


def test_attempts_are_limited(api: StubApi) -> None:
    """What stays unavailable is given up after six tries."""
    api.replies = [lambda _: (503, {"errorType": "Unavailable", "error": "later"})]
    tally = Sender(api.url, Plan(batch=False, rate=0)).send(_events(1))
    assert (tally.keys, tally.refused) == ({}, [Refusal(0, 503, "Unavailable: later")])
    assert len(api.calls) == 6


def test_whole_call_refused(api: StubApi) -> None:
    """A refusal of the call itself is one of every event in it."""
    api.replies = [lambda _: (413, {"errorType": "TooLarge", "error": "too large"})]
    tally = Sender(api.url, Plan(batch=True, rate=0)).send(_events(2))
    assert tally.refused == [Refusal(0, 413, "TooLarge: too large"), Refusal(1, 413, "TooLarge: too large")]
    assert len(api.calls) == 1


def test_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody answers, each event is refused with the reason."""
    monkeypatch.setattr(module, "_BACKOFF_SECONDS", 0.001)
    tally = Sender(f"http://127.0.0.1:{free_port()}", Plan(batch=True, rate=0)).send(_events(1))
    assert [(refusal.index, refusal.status) for refusal in tally.refused] == [(0, 0)]
    assert "Connection refused" in tally.refused[0].reason


def test_turns_follow_the_rate(api: StubApi) -> None:
    """At a rate, the next turn comes later by a call's events; it is kept across connections."""
    api.replies = [_accepted]
    sender = Sender(api.url, Plan(batch=True, rate=10_000))
    sender.send(_events(100))
    first = sender._pace._next
    sender.send(_events(100))
    assert round(sender._pace._next - first, 6) >= 100 / 10_000


def test_interrupt(api: StubApi) -> None:
    """Ctrl-C ends the sending after the calls in flight; what was accepted until then is known."""

    def interrupt(_count: int) -> None:
        raise KeyboardInterrupt

    api.replies = [_accepted]
    sender = Sender(api.url, Plan(batch=False, rate=0), interrupt)
    with pytest.raises(KeyboardInterrupt):
        sender.send(_events(50))
    accepted = len(sender.tally.keys)
    assert 1 <= accepted < 50
    assert len(api.calls) == accepted
