"""Dead letters in the control room: looked at, redriven, cancelled, downloaded, deleted."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from handlers.orders import event
from ops.cli import letters
from tests.ops.console.served import FakeStack, Served, answering, found, serving

_MESSAGE = "m-1"
_COUNTS = {"examined": 2, "moved": 1, "skipped": 0, "failed": 0, "parked": 0, "uncertain": 0, "wouldMove": 0}
_REQUEST = {"pipeline": "events", "maxMessages": 100, "dryRun": False}
_RUN = {
    "redriveId": "rd-1",
    "state": "RUNNING",
    "reason": "",
    "request": _REQUEST,
    "requestedBy": "ann",
    "counts": _COUNTS,
    "reasons": {"already SUCCEEDED": 1},
    "cancelRequested": False,
    "startedAt": "2026-01-02T03:04:05Z",
    "finishedAt": None,
}


class _Queue:
    """SQS with one letter on the dead-letter queue."""

    def __init__(self) -> None:
        self.letters = [
            {
                "MessageId": _MESSAGE,
                "ReceiptHandle": "r",
                "Body": '{"note": "<b>"}',
                "Attributes": {"ApproximateReceiveCount": "1"},
                "MessageAttributes": {"idempotencyKey": {"StringValue": "k-1", "DataType": "String"}},
            }
        ]
        self.handed_back = 0

    def receive_message(self, **_: object) -> Any:
        return {"Messages": [*self.letters]}

    def change_message_visibility_batch(self, QueueUrl: str, Entries: list[Any]) -> None:
        assert QueueUrl == "https://sqs/events-dlq"
        self.handed_back += len(Entries)

    def delete_message(self, QueueUrl: str, ReceiptHandle: str) -> None:
        assert (QueueUrl, ReceiptHandle) == ("https://sqs/events-dlq", "r")
        self.letters.clear()

    def get_queue_attributes(self, **_: object) -> Any:
        return {"Attributes": {"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0"}}


class _Table:
    """The state table with one record."""

    def get_item(self, TableName: str, Key: Any) -> Any:
        assert (TableName, Key) == ("state", {"idempotencyKey": {"S": "k-1"}})
        return {"Item": {"status": {"S": "FAILED"}, "attempts": {"N": "3"}}}


@pytest.fixture(scope="module")
def stack() -> Iterator[FakeStack]:
    """One with an API and a dead letter."""
    group = {"workerFunctionName": "w", "queueUrl": "q", "dlqUrl": "https://sqs/events-dlq"}
    with answering(FakeStack(events=group, DynamoTableName="state")) as running:
        yield running


@pytest.fixture
def console(stack: FakeStack) -> Iterator[Served]:
    """A console of it; nothing was asked yet."""
    stack.asked.clear()
    stack.answers.clear()
    stack.answers["GET", "/redrive"] = 200, {"runs": [_RUN]}
    stack.clients |= {"sqs": _Queue(), "dynamodb": _Table()}
    stack.outputs["Production"] = False
    with serving(found(stack), "dev") as served:
        yield served


def test_they_are_shown_by_cause_with_what_a_redrive_would_do(console: Served, stack: FakeStack) -> None:
    """Filtered as the address says; each leads to the letter itself."""
    stack.answers["GET", "/redrive/preview"] = (
        200,
        {
            "dlqStats": {"totalMessages": 1, "examined": 3, "matching": 2, "unseen": 1},
            "groups": [
                {
                    "errorType": "Odd",
                    "fingerprint": "Odd: <x>",
                    "count": 2,
                    "wouldMove": 1,
                    "wouldSkip": 1,
                    "reasons": {},
                }
            ],
            "messages": [
                {
                    "messageId": _MESSAGE,
                    "errorType": "Odd",
                    "errorMessage": None,
                    "ageSeconds": 7,
                    "redriveCount": 0,
                    "action": "skip",
                    "reason": "already SUCCEEDED",
                }
            ],
        },
    )
    text = console.get("/letters?pipeline=events&errorType=Odd&minAge=5").text

    assert stack.asked[0] == (
        "GET",
        "/redrive/preview?pipeline=events&maxMessages=50&minAgeSeconds=5&errorType=Odd",
        None,
    )
    assert "about 4 dead letters, 2 of the 3 seen match" in text
    assert "About 1 were not handed out: a redrive or another look has them in hand" in text
    assert "Letters, 1 of about 3</h3>" in text
    assert "may fail again" not in text
    assert "Odd: &lt;x&gt;" in text
    assert 'href="/letters/events/m-1"' in text
    assert "leave it: already SUCCEEDED" in text
    assert "2026-01-02 03:04:05 UTC, events: moved 1 of 2 examined, by ann" in text


def _preview(**stats: int) -> Any:
    return 200, {"dlqStats": stats, "groups": [], "messages": []}


def test_what_was_seen_counts(console: Served, stack: FakeStack) -> None:
    """Not what the queue estimates; what a look has left out is told, and why."""
    stack.answers["GET", "/redrive/preview"] = _preview(totalMessages=1, examined=2, matching=2, unseen=0)
    assert '<h2 id="groups">2 dead letters</h2>' in console.get("/letters").text
    stack.answers["GET", "/redrive/preview"] = _preview(totalMessages=119, examined=100, matching=100, unseen=19)
    text = console.get("/letters").text
    assert '<h2 id="groups">about 119 dead letters</h2>' in text
    assert "A look ends once it has seen 50 that match: about 19 more were not looked at" in text


def test_a_look_says_when_it_is_no_longer_true(console: Served, stack: FakeStack) -> None:
    """A redrive of this pipeline has ended since; it is not looked again, which would hide letters from others."""
    stack.answers["GET", "/redrive"] = 200, {"runs": [{**_RUN, "finishedAt": "2026-01-02T03:04:06Z"}]}
    end = 1767323046
    for at, pipeline, told in (
        (end - 1, "events", "A redrive has ended since"),
        (end + 1, "events", ""),
        (end - 1, "orders", ""),
    ):
        text = console.get(f"/letters/since?pipeline={pipeline}&at={at}").text.strip()
        assert text.partition(":")[0] == told
    stack.answers["GET", "/redrive"] = 200, {"runs": [_RUN]}
    assert not console.get("/letters/since?pipeline=events&at=1").text.strip()
    assert {path for _, path, _ in stack.asked} == {"/redrive?limit=10"}


def test_a_queue_that_is_not_there(console: Served, stack: FakeStack) -> None:
    """Is not taken for another."""
    for path in ("/letters?pipeline=zzz", "/letters/zzz/m-1"):
        assert "There is no dead-letter queue zzz." in console.get(path).text
    assert stack.asked == []


def test_a_fault_that_is_on_is_told_before_a_redrive(
    console: Served, stack: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is moved while it is on comes back."""
    stack.answers["GET", "/redrive/preview"] = _preview(totalMessages=1, examined=1, matching=1, unseen=0)
    monkeypatch.setitem(stack.outputs, "FailureResetFunctionName", "reset")
    stack.answers["GET", "/failure-mode"] = {"effective": "poison_payload"}
    text = console.get("/letters").text
    assert "1 dead letter</h2>" in text
    assert "poison_payload is on: what a redrive moves now may fail again" in text


def test_a_filter_that_is_none_is_refused_at_its_field(console: Served, stack: FakeStack) -> None:
    """Nothing is looked at."""
    text = console.get("/letters?minAge=old").text
    assert 'id="since-told">A whole number from 0 to 1,209,600' in text
    assert [path for _, path, _ in stack.asked] == ["/redrive?limit=10"]


def test_a_redrive_is_started_as_it_was_asked_for(console: Served, stack: FakeStack) -> None:
    """With rate, jitter and canary; its progress is shown at once. What is refused stands at its field."""
    stack.answers["POST", "/redrive/start"] = 202, {"redriveId": "rd-1"}
    form = {"pipeline": "events", "minAge": "5", "errorType": "Odd", "max": "9", "canary": "2", "rate": "0.5"}
    text = console.post("/letters/redrive", **form, jitter="3", dryRun="on").text
    assert 'hx-get="/redrives/rd-1/live"' in text
    assert stack.asked == [
        (
            "POST",
            "/redrive/start",
            {
                "pipeline": "events",
                "maxMessages": 9,
                "minAgeSeconds": 5,
                "perMessageDelayJitter": 3,
                "canary": 2,
                "dryRun": True,
                "errorType": "Odd",
                "ratePerSecond": 0.5,
            },
        )
    ]

    stack.answers["POST", "/redrive/start"] = 409, {"error": "another redrive runs"}
    assert "another redrive runs (409)" in console.post("/letters/redrive", **form).text
    for field, typed in {"max": "0", "canary": "101", "rate": "fast", "jitter": "901"}.items():
        assert f'id="{field}-told">' in console.post("/letters/redrive", **{**form, field: typed}).text
        assert 'aria-invalid="true"' in console.post("/letters/redrive", **{**form, field: typed}).text


def test_a_run_is_followed_and_cancelled(console: Served, stack: FakeStack) -> None:
    """With its ledger; one that has ended can't be cancelled any more."""
    key = "0123456789ab" + 52 * "c"
    entry = {"messageId": _MESSAGE, "idempotencyKey": key, "state": "MOVED", "reason": "", "errorType": "Odd"}
    stack.answers["GET", "/redrive/rd-1"] = 200, {**_RUN, "reason": f"failed: {key}", "messages": [entry]}
    text = console.get("/redrives/rd-1").text
    assert "1 not moved: already SUCCEEDED" in text
    assert "failed: 0123456789ab… " in text
    assert "<td>MOVED</td><td></td><td>Odd</td>" in text
    assert f'href="/logs?query=one-event&amp;key={key}"' in text
    assert "Ledger, the first 1 of 2</h3>" in text
    assert "Cancel it" in text
    assert "of them</a>" not in text

    stack.answers["POST", "/redrive/cancel"] = 202, {"redriveId": "rd-1"}
    stack.answers["GET", "/redrive/rd-1"] = 200, {**_RUN, "state": "CANCELLED", "messages": []}
    ended = console.post("/redrives/rd-1/cancel").text
    assert "Cancel it" not in ended
    assert 'href="/letters?pipeline=events"' in ended
    assert ("POST", "/redrive/cancel", {"redriveId": "rd-1"}) in stack.asked
    assert console.get("/redrives/rd-1/live").status == 200
    assert "no such redrive" in console.get("/redrives/rd-2").text


def test_a_ledger_has_pages(console: Served, stack: FakeStack) -> None:
    """By the API's own cursor, which a page that is open keeps; each leads back to the first."""
    entry = {"messageId": _MESSAGE, "idempotencyKey": "", "state": "MOVED", "reason": "", "errorType": "Odd"}
    stack.answers["GET", "/redrive/rd-1"] = 200, {**_RUN, "messages": [entry], "nextCursor": "2:7"}
    assert 'href="/redrives/rd-1?cursor=2%3A7">The next of them</a>' in console.get("/redrives/rd-1").text

    stack.answers["GET", "/redrive/rd-1"] = 200, {**_RUN, "messages": [entry], "nextCursor": None}
    text = console.get("/redrives/rd-1?cursor=2%3A7").text
    assert ("GET", "/redrive/rd-1?limit=100&cursor=2%3A7", None) in stack.asked
    assert "Ledger, 1 of 2</h3>" in text
    assert 'hx-get="/redrives/rd-1/live?cursor=2%3A7"' in text
    assert 'href="/redrives/rd-1">The first of them</a>' in text
    assert "The next of them" not in text


def test_a_look_may_see_more(console: Served, stack: FakeStack) -> None:
    """As many as the API looks at in one, by a link where not all was looked at; further looks keep to that."""
    stack.answers["GET", "/redrive/preview"] = _preview(totalMessages=60, examined=50, matching=50, unseen=10)
    text = console.get("/letters?pipeline=events").text
    more = "/letters?pipeline=events&amp;errorType=&amp;minAge=&amp;most=1000"
    assert f'<a href="{more}">Look at up to 1,000</a>' in text

    text = console.get(more.replace("&amp;", "&")).text
    assert any(path.endswith("maxMessages=1000&minAgeSeconds=0") for _, path, _ in stack.asked)
    assert f'<a href="{more}">Look again</a>' in text
    assert "Look at up to 1,000" not in text


@pytest.mark.parametrize("status", [403, 429, 500])
def test_what_the_api_does_not_say_is_not_taken_for_none(console: Served, stack: FakeStack, status: int) -> None:
    """Neither for no run, nor for one that is not there, nor for one that is cancelled."""
    answer = status, {"error": "not now"}
    told = f"The API refused: not now ({status})."
    stack.answers["GET", "/redrive"] = answer
    part = console.call("GET", "/letters/runs", HX_Request="true")
    assert (part.status, part.text) == (503, told)
    stack.answers["GET", "/redrive/rd-1"] = answer
    assert told in console.get("/redrives/rd-1").text
    stack.answers["POST", "/redrive/cancel"] = answer
    refused = console.post("/redrives/rd-1/cancel")
    assert (refused.status, refused.text) == (503, told)


def test_one_letter_whole_with_its_state_record(console: Served, stack: FakeStack) -> None:
    """It stays where it is; as a file it is what `lab redrive show --json` prints."""
    text = console.get("/letters/events/m-1").text
    assert "{&#34;note&#34;: &#34;&lt;b&gt;&#34;}" in text
    assert "&#34;attempts&#34;: &#34;3&#34;" in text
    assert 'href="/logs?query=one-event&amp;hours=24&amp;key=k-1"' in text
    file = console.get("/letters/events/m-1/file")
    assert file.headers["content-disposition"] == 'attachment; filename="events-m-1.json"'
    assert json.loads(file.text)["body"] == '{"note": "<b>"}'
    queue = stack.clients["sqs"]
    assert (len(queue.letters), queue.handed_back) == (1, 2)


@pytest.mark.parametrize("pipeline", ["orders", "orders-undelivered"])
def test_an_order_s_letter_has_the_record_of_its_event(pipeline: str) -> None:
    """EventBridge gives a message no key: it is the id in the event, for what was not delivered, too."""
    placed = event.read({"items": [{"sku": "A", "qty": 1}]}, key="k-1", created_at="2026-01-02T03:04:05Z")
    letter = {
        "MessageId": _MESSAGE,
        "ReceiptHandle": "r",
        "Body": placed.reservation().payload,
        "Attributes": {},
        "MessageAttributes": {"errorType": {"StringValue": "E", "DataType": "String"}},
    }
    assert letters.identity(pipeline, letter) == ("orders", placed.event_id)


def test_a_letter_is_deleted_only_by_who_is_sure(console: Served, stack: FakeStack) -> None:
    """On production who types the stack's name as well; then the page goes back to the others."""
    queue = stack.clients["sqs"]
    assert "say that you are sure" in console.post("/letters/events/m-1/delete").text
    stack.outputs["Production"] = True
    assert "Type the name of the stack" in console.post("/letters/events/m-1/delete", sure="on").text
    assert len(queue.letters) == 1
    done = console.post("/letters/events/m-1/delete", sure="on", confirm="dev")
    assert done.headers["hx-redirect"] == "/letters?pipeline=events"
    assert queue.letters == []
    for path in ("/letters/events/m-1", "/letters/events/m-1/file"):
        assert "This letter can't be shown" in console.get(path).text
    gone = console.post("/letters/events/m-1/delete", sure="on", confirm="dev")
    assert gone.status == 200
    assert "Nothing was deleted: there is no dead letter m-1" in gone.text


def test_a_redrive_of_production_asks_for_its_name(console: Served, stack: FakeStack) -> None:
    """And is not started without it."""
    stack.outputs["Production"] = True
    assert "Type the name of the stack: dev" in console.post("/letters/redrive", pipeline="events").text
    assert stack.asked == []
