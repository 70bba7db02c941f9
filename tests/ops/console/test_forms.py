"""Forms: what is typed is sent as it was meant, and what is refused stands at its field."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.console.pages.failure import MODES
from tests.ops.console.served import FakeStack, Served, answering, found, serving

_GROUP = {"workerFunctionName": "w", "queueUrl": "q"}


@pytest.fixture(scope="module")
def stack() -> Iterator[FakeStack]:
    """One with an API."""
    made = FakeStack(events=_GROUP, orders=_GROUP, FailureResetFunctionName="failure-mode")
    with answering(made) as running:
        yield running


@pytest.fixture
def console(stack: FakeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A console of it; nothing was asked yet, and no GameDay runs."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    stack.asked.clear()
    stack.keys.clear()
    stack.answers.clear()
    stack.outputs["Production"] = False
    with serving(found(stack), "dev") as served:
        yield served


def _refused(*details: tuple[str, str]) -> Any:
    return 400, {"error": "not valid", "details": [{"pointer": at, "message": why} for at, why in details]}


def _errors(text: str) -> dict[str, str]:
    """What stands at which field, and that the field says so."""
    told = dict(re.findall(r'<p class="told error" id="([^"]+)-told">([^<]*)</p>', text))
    assert text.count('aria-invalid="true"') == len(told)
    return told


def test_an_event_is_sent_once_and_followed(console: Served, stack: FakeStack) -> None:
    """With the key that was typed; what becomes of it is asked until it is settled, and then no more."""
    stack.answers["POST", "/events"] = 202, {"idempotencyKey": "k/1"}
    answer = console.post("/events", kind="order", orderId=" o-1 ", amount="1.50", key="k/1")
    assert stack.asked == [("POST", "/events", {"orderId": "o-1", "amount": 1.5})]
    assert 'hx-get="/events/status?key=k/1&amp;what=o-1&amp;message="' in answer.text

    shown = []
    for record in (None, ("INFLIGHT", True), ("FAILED", False), ("FAILED", True), ("SUCCEEDED", True)):
        if record:
            body = {"status": record[0], "final": record[1], "errorType": "E", "errorMessage": "<b>"}
            stack.answers["GET", "/events/k%2F1"] = 200, body
        text = console.get("/events/status?key=k%2F1&what=o-1").text
        shown.append((re.findall(r'class="pill[^>]*>([^<]+)<', text)[0], 'hx-trigger="every' in text))
        assert "<b>:" not in text
    assert shown == [
        ("ON ITS WAY", True),
        ("INFLIGHT", True),
        ("RETRYING", True),
        ("FAILED", False),
        ("SUCCEEDED", False),
    ]


def test_what_was_sent_is_there_when_one_comes_back(console: Served, stack: FakeStack) -> None:
    """The last five, the newest first: each is followed as before; a page that is new to the console has none."""
    assert "/events/status" not in console.get("/events").text
    for number in range(6):
        stack.answers["POST", "/events"] = 202, {"idempotencyKey": f"k{number}"}
        console.post("/events", kind="order", orderId=f"o-{number}", amount="1")

    followed = re.findall(r'hx-get="/events/status\?key=(k\d)&amp;what=o-\d', console.get("/events").text)
    assert followed == ["k5", "k4", "k3", "k2", "k1"]


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"amount": "much"}, "amount"),
        ({"amount": ""}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "1e999"}, "amount"),
        ({"kind": "json", "json": "{"}, "json"),
        ({"kind": "json", "json": "[1]"}, "json"),
        ({"kind": "json", "json": '{"amount": Infinity}'}, "json"),
    ],
)
def test_what_is_no_event_is_not_sent(console: Served, stack: FakeStack, form: dict[str, str], field: str) -> None:
    """The field says why, and what was typed stands there again."""
    answer = console.post("/events", **{"kind": "order", "orderId": "kept", "amount": "1", **form})

    assert list(_errors(answer.text)) == [field]
    assert 'value="kept"' in answer.text
    assert stack.asked == []


def test_what_the_api_refuses_stands_at_its_field(console: Served, stack: FakeStack) -> None:
    """What belongs to no field of the form stands above it; so does a refusal without reasons."""
    stack.answers["POST", "/events"] = _refused(("/orderId", "is required"), ("/amount", "no"), ("/note", "what?"))
    answer = console.post("/events", kind="order", orderId="", amount="1")
    assert _errors(answer.text) == {"orderId": "is required", "amount": "no"}
    assert '<p class="refused" role="alert">/note what?</p>' in answer.text

    stack.answers["POST", "/events"] = 409, {"error": "another event has this key"}
    assert "another event has this key (409)" in console.post("/events", kind="order", orderId="o", amount="1").text


def test_an_order_is_placed_and_its_refusals_stand_at_its_lines(console: Served, stack: FakeStack) -> None:
    """Empty lines are none; a refused item is found in the line that it was typed in, as one that is half typed."""
    stack.answers["POST", "/orders"] = _refused(("/items/1/sku", "odd"), ("/customerId", "odd"), ("/items/2/sku", "no"))
    given = {"sku0": "A", "qty0": "2", "sku1": "", "qty1": "3", "sku2": "B", "qty2": "1000000", "customerId": "?"}
    answer = console.post("/orders", **given)
    assert _errors(answer.text) == {"sku1": "odd", "customerId": "odd", "sku2": "no"}
    items = [{"sku": "A", "qty": 2}, {"sku": "", "qty": 3}, {"sku": "B", "qty": 1_000_000}]
    assert stack.asked == [("POST", "/orders", {"customerId": "?", "items": items})]

    stack.answers["POST", "/orders"] = 202, {"orderId": "o-1", "eventId": "e-1"}
    assert 'hx-get="/orders/status?id=o-1&amp;event=e-1"' in console.post("/orders", sku0="A", qty0="2").text


@pytest.mark.parametrize("quantity", ["", "many", "-1", "0", "1000001", "1.5", "\u00b2"])
def test_a_quantity_is_refused_at_its_field(console: Served, stack: FakeStack, quantity: str) -> None:
    """Before anything is sent."""
    answer = console.post("/orders", sku0="A", qty0="1", sku2="B", qty2=quantity)
    assert _errors(answer.text) == {"qty2": "A whole number from 1 to 1,000,000"}
    assert stack.asked == []


@pytest.mark.parametrize(("path", "pointer"), [("/events", "/idempotencyKey"), ("/orders", "")])
def test_a_key_is_refused_at_its_field(console: Served, stack: FakeStack, path: str, pointer: str) -> None:
    """Whether the API says so, or no header can hold it."""
    form = {"orderId": "o", "amount": "1", "sku0": "A", "qty0": "1"}
    stack.answers["POST", path] = _refused((pointer, "too long"))
    assert _errors(console.post(path, **form, key="k" * 300).text) == {"key": "too long"}
    assert list(_errors(console.post(path, **form, key="\u20ac").text)) == ["key"]
    assert stack.keys == ["k" * 300]


def test_an_event_that_is_a_duplicate_is_called_so(console: Served, stack: FakeStack) -> None:
    """Its key has succeeded with another message than the one that was sent."""
    stack.answers["POST", "/events"] = 202, {"idempotencyKey": "k", "messageId": "m-2"}
    sent = console.post("/events", orderId="o", amount="1")
    assert "&amp;message=m-2" in sent.text
    for message, status, is_duplicate in (
        ("m-1", "SUCCEEDED", True),
        ("m-2", "SUCCEEDED", False),
        ("m-1", "FAILED", False),
    ):
        stack.answers["GET", "/events/k"] = 200, {"status": status, "final": True, "messageId": message}
        text = console.get("/events/status?key=k&what=o&message=m-2").text
        assert ("A duplicate" in text) is is_duplicate


@pytest.mark.parametrize("path", ["/events", "/load"])
def test_no_field_cuts_what_is_pasted(console: Served, path: str) -> None:
    """What is too long is refused with its limit; a browser would cut it without a word."""
    assert "maxlength" not in console.get(path).text


def test_a_fault_is_switched_on_for_a_while(console: Served, stack: FakeStack) -> None:
    """With a time-out, always; only for some events where the form says so."""
    stack.answers["POST", "/failure-mode"] = 200, {}
    console.post("/failure/set", mode="hang", ttl="60", match="orderId=a=b")
    assert stack.asked == [("POST", "/failure-mode", {"mode": "hang", "ttlSeconds": 60, "match": {"orderId": "a=b"}})]


def test_one_click_switches_nothing_on(console: Served, stack: FakeStack) -> None:
    """No fault is chosen at first."""
    text = console.post("/failure/set", ttl="300").text
    assert '<p class="told error">Choose one of these</p>' in text
    assert " checked" not in text
    assert stack.asked == []


def test_a_fault_that_is_on_is_shown_on_every_page(console: Served, stack: FakeStack) -> None:
    """With its end, and what leads to the switch; a link may have chosen the fault and its events already."""
    stack.answers["GET", "/failure-mode"] = {"effective": "none", "mode": "hang", "expiresAt": "2026-01-02T03:04:05Z"}
    assert "failure mode" not in console.get("/now").text
    for path in ("/events", "/load", "/gamedays"):
        assert 'hx-get="/now" hx-trigger="load, every 2s"' in console.get(path).text
    stack.answers["GET", "/failure-mode"] = {"effective": "hang", "mode": "hang", "expiresAt": "2026-01-02T03:04:05Z"}
    told = console.get("/now")
    assert '<a class="pill warn" href="/failure">failure mode hang until 2026-01-02T03:04:05Z</a>' in told.text
    assert console.get(f"/now?seen={told.headers['x-seen']}").status == 204
    del stack.answers["GET", "/failure-mode"]["expiresAt"]
    assert "failure mode hang until it is switched off" in console.get("/now").text
    assert {method for method, *_ in stack.asked} == {"GET"}


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"ttl": ""}, "ttl"),
        ({"ttl": "0"}, "ttl"),
        ({"ttl": "86401"}, "ttl"),
        ({"ttl": "²"}, "ttl"),
        ({"match": "x"}, "match"),
    ],
)
def test_a_fault_without_an_end_is_refused(console: Served, stack: FakeStack, form: dict[str, str], field: str) -> None:
    """At its field, and nothing is switched on."""
    answer = console.post("/failure/set", **{"mode": "hang", "ttl": "60", **form})

    assert list(_errors(answer.text)) == [field]
    assert stack.asked == []


def test_production_is_marked_and_asks_for_its_name(console: Served, stack: FakeStack) -> None:
    """A dangerous action there needs the stack's name typed; a stack that does not say what it is counts as one."""
    for told in (True, None):
        stack.outputs["Production"] = told
        if told is None:
            del stack.outputs["Production"]
        stack.asked.clear()
        assert "PRODUCTION" in console.get("/events").text
        for typed in ("", "prod", "local"):
            answer = console.post("/failure/set", mode="hang", ttl="60", confirm=typed)
            assert "Type the name of the stack" in answer.text
            assert list(_errors(answer.text)) == ["confirm"]
        for path, form in {"/events": {"amount": "1"}, "/orders": {"sku0": "A", "qty0": "1"}}.items():
            assert list(_errors(console.post(path, **form).text)) == ["confirm"]
        assert stack.asked == []
    stack.answers["POST", "/failure-mode"] = 200, {}
    console.post("/failure/set", mode="hang", ttl="60", confirm="dev")
    console.post("/events", orderId="o", amount="1", confirm="dev")
    assert [(method, path) for method, path, _ in stack.asked] == [("POST", "/failure-mode"), ("POST", "/events")]
    stack.outputs["Production"] = False
    assert "PRODUCTION" not in console.get("/events").text


def test_a_form_has_a_limit(console: Served) -> None:
    """What is larger than any event is not read to its end."""
    answer = console.post("/events", kind="json", json="x" * (2 * 1024 * 1024))
    assert (answer.status, answer.text) == (413, "This is more than the console takes: at most 2 MiB")


def test_every_fault_of_the_failure_lab_can_be_switched_on() -> None:
    """The page names them all."""
    from handlers import faults  # noqa: PLC0415 - of the stack's side

    offered = {mode.replace("p30", "pNN") for mode in MODES}
    assert offered == set(faults.MODES) - {faults.NONE}
