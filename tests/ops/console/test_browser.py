"""The control room in Chromium, over the laptop's stack."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page

from tests.ops.console.browser import CHROMIUM, STRANGER, Browser, browsing
from tests.ops.laptop import Laptop
from tests.ops.stack import free_port

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")
_SHIPMENT = {
    "event_time": "2026-01-31T12:00:00Z",
    "shipment_id": "S-1",
    "origin": "Cork",
    "destination": "Porto",
    "carrier": "DHL",
    "weight_kg": 2.5,
}
_PAGES = {
    "overview": "/",
    "events": "/events",
    "orders": "/orders",
    "lake": "/lake",
    "letters": "/letters",
    "logs": "/logs?query=failures-by-type",
    "charts": "/charts",
    "alarms": "/alarms",
    "alarm": "/alarms/events-dlq-not-empty",
    "failure": "/failure",
    "load": "/load",
    "gamedays": "/gamedays",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """A laptop with the stack up."""
    laptop = Laptop(tmp_path_factory.mktemp("home"), free_port())
    _up(laptop)
    yield laptop
    assert laptop.lab("down").exit_code == 0


@pytest.fixture(scope="module")
def room(running: Laptop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Its control room, opened. It stays small, and the browser never complains of it: nothing breaks its policy."""
    with running.start("console", "--port", str(free_port()), "--json") as server:
        assert server.stdout is not None
        try:
            url = json.loads("".join(iter(server.stdout.readline, "}\n")) + "}")["url"]
            with browsing(url, tmp_path_factory.mktemp("profile")) as browser:
                yield browser
                assert browser.complaints == []
            assert psutil.Process(server.pid).memory_info().rss < 150_000_000
        finally:
            server.terminate()
            server.communicate(timeout=60)


def _up(laptop: Laptop) -> None:
    with laptop.start("up") as run:
        _, told = run.communicate(timeout=300)
    assert run.returncode == 0, told


@contextmanager
def _poison(running: Laptop) -> Iterator[None]:
    assert running.lab("failure", "set", "poison_payload", "--ttl", "300", "--wait").exit_code == 0
    try:
        yield
    finally:
        assert running.lab("failure", "reset", "--wait").exit_code == 0


def test_an_event_is_followed_until_it_has_succeeded(room: Browser) -> None:
    """By the keyboard alone: from the form to its state record."""
    page = room.open("/events")
    page.get_by_label("Order id").fill("by-hand")
    page.keyboard.press("Enter")
    page.locator("#sent .pill", has_text="SUCCEEDED").wait_for()
    assert page.get_by_label("Order id").input_value().startswith("order-")  # the form is ready for the next one,
    assert page.locator("#orderId:focus").count() == 1  # and who types goes on typing
    page.get_by_text("State record of by-hand").click()

    assert '"orderId": "by-hand"' in page.locator("#sent pre").inner_text()


def test_an_order_fails_with_its_cause(room: Browser) -> None:
    """FAIL-ME: beside the form, and without a reload in the history; a double click is one order."""
    page = room.open("/orders")
    page.get_by_label("SKU 1").fill("FAIL-ME")
    page.get_by_role("button", name="Place the order").dblclick()
    page.locator("#sent .pill", has_text="FAILED").wait_for()
    assert page.locator("#sent li").count() == 1

    assert "FailingSkuError: an item has the SKU FAIL-ME" in page.locator("#sent").inner_text()
    page.locator("td", has_text="FailingSkuError").wait_for()


def test_a_file_is_put_into_the_lake_and_looked_into(room: Browser, tmp_path: Path) -> None:
    """From the form to its rows: those in Parquet, and the bad one with its reason."""
    good = [{**_SHIPMENT, "shipment_id": f"S-{number}"} for number in range(3)]
    file = tmp_path / "day.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in [*good, {**_SHIPMENT, "weight_kg": "much"}]))
    page = room.open("/lake")
    page.get_by_label("File:").set_input_files(file)
    page.get_by_role("button", name="Put it").click()
    page.locator("#sent .pill", has_text="DONE").wait_for()
    assert "4 rows = 3 in silver + 1 in quarantine" in page.locator("#sent").inner_text()
    page.locator("#objects + form + #live td", has_text="DONE").wait_for()

    page.get_by_label("File:").set_input_files(file)
    page.get_by_role("button", name="Put it").click()
    page.locator("#file[aria-invalid]").wait_for()
    assert (
        page.locator("#file-told").inner_text() == "bronze/shipments/day.jsonl is there already: give it another name"
    )

    page.get_by_role("link", name="Its files and bad rows").click()
    page.get_by_role("button", name="Count them").click()
    page.locator(".pill", has_text="4 rows in the object = 3 in silver + 1 in quarantine").wait_for()
    assert room.faults() == []
    room.picture("lake-object")
    room.show("console-lake-object")
    page.get_by_role("link", name="quarantine/shipments/").click()
    page.locator("td", has_text="/weight_kg must be a number, got string").wait_for()
    page.go_back()
    page.get_by_role("link", name="silver/shipments/").click()
    page.locator("td", has_text="S-2").wait_for()
    assert room.faults() == []
    room.picture("lake-file")


def test_bad_input_is_refused_at_its_field(room: Browser) -> None:
    """By the console or by the API, in words at the field."""
    page = room.open("/events")
    page.get_by_label("Amount").fill("much")
    page.get_by_role("button", name="Send").click()
    page.locator("#amount[aria-invalid]").wait_for()
    page.get_by_label("Amount").fill("1")
    page.get_by_label("Order id").fill("")
    page.get_by_role("button", name="Send").click()
    page.locator("#orderId[aria-invalid]").wait_for()
    assert page.locator("#orderId-told").inner_text() == "must have 1 to 256 characters, got 0"
    page.get_by_label("any JSON").check()
    page.get_by_role("textbox", name="JSON").fill("{")
    page.get_by_role("button", name="Send").click()
    page.locator("#json-told.error").wait_for()

    page = room.open("/orders")
    page.get_by_label("Quantity 1").fill("0")
    page.get_by_role("button", name="Place the order").click()
    page.locator("#qty0[aria-invalid]").wait_for()

    page = room.open("/failure")
    page.get_by_label("For how many seconds").fill("0")
    page.get_by_role("button", name="Switch it on").click()
    page.locator("#ttl[aria-invalid]").wait_for()

    page = room.open("/letters?pipeline=events")
    page.get_by_label("How many at most").fill("0")
    page.get_by_role("button", name="Start").click()
    page.locator("#max[aria-invalid]").wait_for()
    page.get_by_label("At least so many seconds old").fill("old")
    page.get_by_role("button", name="Look").click()
    page.locator("#since[aria-invalid]").wait_for()

    page = room.open("/logs")
    page.get_by_label("Over so many hours").fill("0")
    page.get_by_role("button", name="Ask").click()
    page.locator("#hours[aria-invalid]").wait_for()

    page = room.open("/load")
    page.get_by_label("How many a second").fill("501")
    page.get_by_role("button", name="Send").click()
    page.locator("#rate[aria-invalid]").wait_for()
    page.get_by_label("How many a second").fill("500")
    page.get_by_label("For how many seconds").fill("3600")
    page.get_by_role("button", name="Send").click()
    page.locator("#duration[aria-invalid]").wait_for()

    page = room.open("/gamedays")
    page.get_by_role("button", name="Run it").click()
    page.locator("#form .error", has_text="Choose one of these").wait_for()


def test_a_fault_is_switched_on_and_off(room: Browser) -> None:
    """With its end in sight."""
    page = room.open("/failure")
    page.get_by_label("duplicate_submit").check()
    page.get_by_role("button", name="Switch it on").click()
    page.locator("#live .pill", has_text="duplicate_submit").wait_for()
    assert "until 20" in page.locator("#live").inner_text()
    page.get_by_role("button", name="Switch everything off").click()
    page.locator("#live .pill", has_text="none").wait_for()


def _run_gameday(room: Browser) -> Page:
    """Start the quickest; the page of its run, once it has broken something."""
    page = room.open("/gamedays")
    page.locator("[value=duplicates]").check()
    page.get_by_role("button", name="Run it").click()
    page.wait_for_url("**/gamedays/2*")
    page.locator(".phases .now", has_text="inject").wait_for()
    page.locator("#now a", has_text="failure mode duplicate_submit until 20").wait_for()  # on every page
    return page


def test_a_gameday_is_stopped_and_rolled_back(room: Browser) -> None:
    """It needs no page, and bears no other beside it, which is told at the form; then nothing is broken any more."""
    path = _run_gameday(room).url
    page = room.open("/gamedays")
    page.locator("[value=duplicates]").check()
    page.get_by_role("button", name="Run it").click()
    page.locator("#form .refused", has_text="runs; one at a time").wait_for()
    page.goto(path)
    page.get_by_role("button", name="Abort and roll back").click()
    page.locator(".pill.warn[role=status]", has_text="STOPPED").wait_for()

    assert "somebody has stopped it" in page.locator("#live").inner_text()
    assert "rolled back: failure mode" in page.locator("#live").inner_text()
    page.locator("#now a").wait_for(state="detached")
    page.get_by_role("link", name="Open the report").wait_for()


def test_a_gameday_proves_its_hypothesis(room: Browser) -> None:
    """Its phases, ledger and verdict come without a reload; its report opens, shut in, with nothing left out."""
    page = _run_gameday(room)
    page.evaluate("window.mark = 'the same page'")
    page.locator(".pill.ok[role=status]", has_text="PASSED").wait_for()

    assert page.evaluate("window.mark") == "the same page"
    assert page.locator(".phases li:not(.done)").count() == 0
    assert page.locator("tr", has_text="final").inner_text().split() == ["final", "30", "30", "0", "0", "0"]
    page.get_by_role("link", name="Open the report").wait_for()
    assert room.faults() == []
    room.picture("gameday")
    room.show("console-gameday")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_role("link", name="Open the report").click()
    page.get_by_text("PASSED: the hypothesis holds").wait_for()
    assert page.evaluate("getComputedStyle(document.querySelector('.verdict')).borderLeftStyle") == "solid"
    page.go_back()
    room.open("/gamedays")
    assert page.locator(".outcome .pill").all_inner_texts()[:2] == ["PASSED", "STOPPED"]


def test_load_is_sent_and_stopped(room: Browser) -> None:
    """With its counts and percentiles as it goes; every page says that it is being sent."""
    page = room.open("/load")
    page.get_by_label("How many a second").fill("20")
    page.get_by_label("For how many seconds").fill("3600")
    page.get_by_role("button", name="Send").click()
    page.locator("#live th", has_text="p99").first.wait_for()
    page.locator("#now a", has_text="a load is being sent").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator("#live .pill", has_text="STOPPED").wait_for()
    page.locator("#now a").wait_for(state="detached")

    assert "0 refused" in page.locator("#live").inner_text()
    assert room.faults() == []
    room.picture("load-sent")
    room.show("console-load-sent")


def test_a_drill_is_seen_without_a_reload_and_without_a_jolt(room: Browser, running: Laptop) -> None:
    """A dead letter and its alarm turn up in the picture that is open; nothing on the page moves."""
    page = room.open("/")
    page.evaluate("window.mark = 'the same page'")
    with _poison(running):
        page.locator(".tile.warn", has_text="poison_payload").wait_for()
        assert running.lab("send", "--count", "1", "--wait").exit_code == 1
        page.locator(".tile.bad", has_text="dead letters of events").wait_for()
        page.locator(".box.bad .name", has_text="events-dlq").wait_for()
        page.locator(".tile.bad", has_text="alarm").wait_for()
        assert room.shifts() < 0.01
        room.show("console")
    page.locator(".tile.ok", has_text="failure mode").wait_for()

    assert page.evaluate("window.mark") == "the same page"
    assert room.shifts() < 0.01
    page = room.open("/alarms")
    page.locator("#alarm-events-dlq-not-empty.bad a").click()
    page.get_by_role("heading", name="dlq-not-empty", exact=True).wait_for()
    assert "lab redrive preview --pipeline events --stack local" in page.locator(".runbook").inner_text()


def test_dead_letters_are_brought_back(room: Browser, running: Laptop) -> None:
    """From the preview through a cancelled redrive and a canary to an empty queue, without a terminal."""
    if running.lab("redrive", "preview", "--json").stdout.count('"action": "move"') < 2:
        with _poison(running):
            assert running.lab("send", "--count", "2", "--wait").exit_code == 1
    page = room.open("/letters?pipeline=events")
    assert page.locator("td", has_text="move it").count() >= 2
    room.show("console-dead-letters")
    page.get_by_label("Canary").fill("0")
    page.get_by_label("Letters a second at most").fill("0.001")
    page.get_by_role("button", name="Start").click()
    page.locator("#run .pill", has_text="RUNNING").wait_for()
    page.locator("#run").get_by_role("button", name="Cancel it").click()
    page.locator("#run .pill", has_text="CANCELLED").wait_for()

    page = room.open("/letters?pipeline=events")
    assert page.locator("td", has_text="move it").count() >= 1
    page.get_by_role("button", name="Start").click()
    page.locator("#run .pill", has_text="SUCCEEDED").wait_for()
    page.locator("#run td", has_text="MOVED").first.wait_for()

    page.get_by_role("link", name="Look at what is left").click()
    assert page.locator("#groups").inner_text() == "No dead letter"


@contextmanager
def _neighbour() -> Iterator[str]:
    """Another site of this machine: to browsers the same site with another origin, so its requests have the cookie."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join(60)


def test_other_sites_get_nothing(room: Browser) -> None:
    """In the very browser that has the cookie: neither another origin, nor another name of this machine."""
    base, _, token = room.url.partition("/?")
    page = room.page.context.new_page()
    try:
        with _neighbour() as neighbour:
            page.goto(neighbour)
            get = "url => fetch(url, {mode: 'no-cors', credentials: 'include'}).then(() => 'had', () => 'shut out')"
            assert page.evaluate(get, f"{base}/") == "shut out"
            page.set_content(f'<form method="post" action="{base}/failure/reset"><button>Win</button></form>')
            with page.expect_navigation() as posted:
                page.get_by_role("button").click()
            assert posted.value.status == 403
            assert posted.value.request.all_headers()["cookie"].startswith("lab-console-")
        stranger = page.goto(f"{base.replace('127.0.0.1', STRANGER)}/?{token}")
        assert stranger is not None
        assert stranger.status == 403
        assert page.locator("body").inner_text().strip() == "The console answers to its own address only."
    finally:
        page.close()


def test_without_its_token_it_shows_nothing(room: Browser) -> None:
    """Neither without the cookie, nor with a wrong token; the page that was open says what to do."""
    base = room.url.partition("/?")[0]
    context = room.page.context
    page, cookies = context.new_page(), context.cookies()
    room.open("/")
    context.clear_cookies()
    try:
        for path in ("/", "/?token=wrong", "/letters"):
            answer = page.goto(f"{base}{path}")
            assert answer is not None
            assert answer.status == 401
        room.page.locator("#bar", has_text="This session is over").wait_for()
    finally:
        context.add_cookies(cookies)  # type: ignore[arg-type]  # as they came
        page.close()
    room.page.locator("#bar").wait_for(state="hidden")
    room.complaints[:] = [one for one in room.complaints if "401" not in one]


@pytest.mark.parametrize("name", _PAGES)
def test_everybody_can_use_it(room: Browser, name: str) -> None:
    """In light and in dark, axe-core finds nothing serious; at no width does the page itself scroll sideways."""
    page = room.open(_PAGES[name])
    page.emulate_media(color_scheme="dark")
    assert room.faults("color-contrast") == []
    page.emulate_media(color_scheme="light")
    assert room.faults() == []
    room.picture(name)
    room.show(f"console-{name}")


def test_the_stack_is_stopped_and_started_again(room: Browser, running: Laptop) -> None:
    """It says so, keeps what was seen, and goes on by itself with the new one; a page opened meanwhile waits for it."""
    page = room.open("/")
    other = page.context.new_page()
    try:
        assert running.lab("down").exit_code == 0
        page.locator("#bar", has_text="The laptop's stack is down; start it with: lab up.").wait_for()
        assert page.locator(".box .name", has_text="events-dlq").count() == 1
        other.goto(page.url)
        other.get_by_role("heading", name="The stack can't be reached").wait_for()
        _up(running)
        page.locator("#bar").wait_for(state="hidden")
        other.get_by_role("heading", name="Overview").wait_for()
    finally:
        other.close()
    room.complaints[:] = [one for one in room.complaints if "503" not in one]
