"""The sender, against an API that answers as it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ops.cli import api as module
from ops.cli.events.sender import Clock, Plan, Refusal, Sender
from ops.load.scenario import Item
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


def _events(count: int) -> list[Item]:
    return [Item({"n": number}) for number in range(count)]


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


class Stopwatch(Clock):
    """Time that passes only while somebody waits, or while the API answers."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = 100.0
        self.slow = list[float]()  # seconds that the next calls take

    def now(self) -> float:
        return self.moment

    def wait(self, seconds: float) -> bool:
        self.moment += seconds
        return self.stopped.is_set()

    def answer(self, body: Any) -> Reply:
        self.moment += self.slow.pop(0) if self.slow else 0.0
        return _accepted(body)


def test_latency_counts_from_when_a_call_was_due(api: StubApi) -> None:
    """One slow answer of three seconds is felt by the calls that were due meanwhile, as callers would feel it."""
    clock = Stopwatch()
    clock.slow = [0.25, 3.25]
    api.replies = [clock.answer]
    tally = Sender(api.url, Plan(batch=False, rate=1, connections=1), clock=clock).send(_events(6))
    assert tally.latencies == [0.25, 3.25, 2.25, 1.25, 0.25, 0.0]
    assert tally.latest == 2.25
    assert clock.moment == 105.0


def test_without_a_rate_latency_is_that_of_the_call(api: StubApi) -> None:
    """The next call begins when its turn comes."""
    clock = Stopwatch()
    clock.slow = [0.25, 3.25, 0.5]
    api.replies = [clock.answer]
    tally = Sender(api.url, Plan(batch=False, rate=0, connections=1), clock=clock).send(_events(3))
    assert (tally.latencies, tally.latest) == ([0.25, 3.25, 0.5], 0.0)


@pytest.mark.parametrize(("rate", "slow", "sent"), [(2.0, 0.0, 10), (2.0, 4.0, 2), (0.0, 1.5, 4)])
def test_a_duration_ends_it(api: StubApi, rate: float, slow: float, sent: int) -> None:
    """What was due in time and could not be sent in time is not sent, and what was sent is waited for."""
    clock = Stopwatch()
    clock.slow = [slow] * 50
    api.replies = [clock.answer]
    plan = Plan(batch=False, rate=rate, connections=1, seconds=5.0)
    tally = Sender(api.url, plan, clock=clock).send(_events(50))
    assert (len(api.calls), len(tally.keys), tally.taken) == (sent, sent, sent)


def test_a_rate_below_a_batch_sends_smaller_ones(api: StubApi) -> None:
    """A call a second at least: 30 events at 20 a second are no single burst."""
    clock = Stopwatch()
    api.replies = [clock.answer]
    Sender(api.url, Plan(batch=True, rate=20, connections=1), clock=clock).send(_events(30))
    assert ([len(body) for _, body in api.calls], clock.moment) == ([20, 10], 101.0)


def test_never_more_in_flight_than_said(api: StubApi) -> None:
    """And as many as that, where the API answers none before."""
    full = threading.Barrier(3)
    flying, most = [0], [0]
    lock = threading.Lock()

    def reply(body: Any) -> Reply:
        with lock:
            flying[0] += 1
            most[0] = max(most[0], flying[0])
        full.wait(20)
        with lock:
            flying[0] -= 1
        return _accepted(body)

    api.replies = [reply]
    tally = Sender(api.url, Plan(batch=False, rate=0, connections=3)).send(_events(9))
    assert (len(tally.keys), most) == (9, [3])


def test_attempts_are_one_call(api: StubApi) -> None:
    """Its latency ends with the last answer, all answers are counted, and an order goes under its own key."""
    api.replies = [lambda _: (503, None), lambda body: (202, {"eventId": f"event-{body['n']}"})]
    item = Item({"n": 1}, {"Idempotency-Key": "k"})
    tally = Sender(api.url, Plan(batch=False, rate=0, path="/orders")).send([item])
    assert (tally.keys, tally.statuses, len(tally.latencies)) == ({0: "event-1"}, {503: 1, 202: 1}, 1)
    assert [path for path, _ in api.calls] == ["/stage/orders"] * 2


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
