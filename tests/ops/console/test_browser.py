"""The control room in Chromium, over the laptop's stack."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.ops.console.browser import CHROMIUM, Browser, browsing
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
    """FAIL-ME: beside the form, and without a reload in the history."""
    page = room.open("/orders")
    page.get_by_label("SKU 1").fill("FAIL-ME")
    page.get_by_role("button", name="Place the order").click()
    page.locator("#sent .pill", has_text="FAILED").wait_for()

    assert "FailingSkuError: an item has the SKU FAIL-ME" in page.locator("#sent").inner_text()
    page.locator("td", has_text="FailingSkuError").wait_for()


def test_a_file_is_put_into_the_lake_and_looked_into(room: Browser, tmp_path: Path) -> None:
    """From the form to its rows: those in Parquet, and the bad one with its reason."""
    good = [{**_SHIPMENT, "shipment_id": f"S-{number}"} for number in range(3)]
    file = tmp_path / "day.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in [*good, {**_SHIPMENT, "weight_kg": "much"}]))
    page = room.open("/lake")
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Put it").click()
    page.locator("#sent .pill", has_text="DONE").wait_for()
    assert "4 rows = 3 in silver + 1 in quarantine" in page.locator("#sent").inner_text()
    page.locator("#objects + form + #live td", has_text="DONE").wait_for()

    page.get_by_label("File").set_input_files(file)
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
    """What the browser can tell is not sent; the rest is refused by the API, and told at the field."""
    page = room.open("/events")
    page.get_by_label("Amount").fill("much")
    page.get_by_role("button", name="Send").click()
    assert page.locator("#amount:invalid").count() == 1
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


def test_a_fault_is_switched_on_and_off(room: Browser) -> None:
    """With its end in sight."""
    page = room.open("/failure")
    page.get_by_label("duplicate_submit").check()
    page.get_by_role("button", name="Switch it on").click()
    page.locator("#live .pill", has_text="duplicate_submit").wait_for()
    assert "until 20" in page.locator("#live").inner_text()
    page.get_by_role("button", name="Switch everything off").click()
    page.locator("#live .pill", has_text="none").wait_for()


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
        room.show("console")
    page.locator(".tile.ok", has_text="failure mode").wait_for()

    assert page.evaluate("window.mark") == "the same page"
    assert room.shifts() < 0.01
    page = room.open("/alarms")
    page.locator("#alarm-events-dlq-not-empty.bad a").click()
    page.get_by_role("heading", name="dlq-not-empty", exact=True).wait_for()
    assert "lab redrive preview --pipeline events --stack local" in page.locator(".runbook").inner_text()


def test_dead_letters_are_brought_back(room: Browser, running: Laptop) -> None:
    """From the preview through a canary to an empty queue, without a terminal."""
    if not running.lab("redrive", "preview", "--json").stdout.count('"action": "move"'):
        with _poison(running):
            assert running.lab("send", "--count", "1", "--wait").exit_code == 1
    page = room.open("/letters?pipeline=events")
    assert page.locator("td", has_text="move it").count() >= 1
    page.get_by_role("button", name="Start").click()
    page.locator("#run .pill", has_text="SUCCEEDED").wait_for()
    page.locator("#run td", has_text="MOVED").first.wait_for()

    page = room.open("/letters?pipeline=events")
    assert page.locator("#groups").inner_text() == "0 on the queue, 0 of them match"


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
