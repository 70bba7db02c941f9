"""How the control room behaves under one's eyes and hands: in Chromium, over a stack that is made up."""

from collections.abc import Iterator

import pytest

from tests.ops.console.browser import CHROMIUM, Browser, browsing
from tests.ops.console.fakes import WholeStack, group
from tests.ops.console.served import answering, found, serving
from tests.ops.console.test_link import client_error

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")
_FOCUSED = "document.activeElement.getAttribute('href') || document.activeElement.type"
_STOP = """(() => {
  const at = document.activeElement, place = at.getBoundingClientRect();
  const seen = place.top >= 0 && place.bottom <= innerHeight && place.width > 0;
  return {name: at.name || at.id, seen, ring: getComputedStyle(at).outlineStyle !== "none"};
})()"""
_ALARMS = ("events-backlog", "events-dlq-not-empty", "events-worker-errors", "orders-queue-age")


@pytest.fixture(scope="module")
def stack() -> Iterator[WholeStack]:
    """A stack on AWS, and its API."""
    made = WholeStack(events=group("events"), orders=group("orders"), FailureResetFunctionName="f")
    with answering(made) as running:
        assert isinstance(running, WholeStack)
        _calm(running)
        yield running


@pytest.fixture(scope="module")
def room(stack: WholeStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Its control room, opened."""
    with (
        serving(found(stack), "dev") as served,
        browsing(served.session.url, tmp_path_factory.mktemp("profile")) as browser,
    ):
        yield browser


@pytest.fixture(autouse=True)
def calm(stack: WholeStack) -> None:
    """Nothing is wrong at first."""
    _calm(stack)


def _calm(stack: WholeStack) -> None:
    """Nothing is wrong."""
    stack.outputs["Production"] = False
    stack.aws.error = None
    stack.aws.depths.clear()
    stack.aws.alarms = [stack.aws.ring(name, "OK") for name in _ALARMS]
    stack.answers["GET", "/failure-mode"] = {"effective": "none"}
    stack.answers["GET", "/orders"] = 200, {"orders": []}
    stack.answers["GET", "/redrive"] = 200, {"runs": []}
    preview = {
        "dlqStats": {"totalMessages": 0, "examined": 0, "matching": 0, "unseen": 0},
        "groups": [],
        "messages": [],
    }
    stack.answers["GET", "/redrive/preview"] = 200, preview


def _go_wrong(stack: WholeStack) -> None:
    """Dead letters, alarms, a fault and an order, all at once."""
    stack.aws.depths |= {"https://sqs/events-dlq": 12_345, "https://sqs/orders-dlq": 3, "https://sqs/orders-queue": 70}
    stack.aws.alarms = [stack.aws.ring(name, "ALARM" if "dlq" in name else "OK") for name in _ALARMS]
    stack.answers["GET", "/failure-mode"] = {"effective": "downstream_outage", "expiresAt": "2026-01-02T00:00:00Z"}
    order = {"orderId": "o-1", "status": "PROCESSED", "createdAt": "2026-01-02", "items": [{"sku": "A", "qty": 2}]}
    stack.answers["GET", "/orders"] = 200, {"orders": [order]}
    request = {"pipeline": "events", "dryRun": False}
    times = {"startedAt": "2026-01-02T03:04:05Z", "finishedAt": None}
    run = {"redriveId": "rd-1", "state": "RUNNING", "counts": {"moved": 1, "examined": 2}, "request": request}
    stack.answers["GET", "/redrive"] = 200, {"runs": [run | {"requestedBy": "", "reason": ""} | times]}


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/", ".tile.bad"),
        ("/alarms", ".alarm.bad"),
        ("/orders", ".tile.bad"),
        ("/failure", "#live .pill.warn"),
        ("/letters", "text=moved 1 of 2"),
    ],
)
def test_what_changes_moves_nothing(room: Browser, stack: WholeStack, path: str, seen: str, width: int) -> None:
    """Everything goes wrong under one's eyes: nothing jumps, and what had the keyboard's focus still has it."""
    room.page.set_viewport_size({"width": width, "height": 900})
    page = room.open(path)
    page.locator("main a, main button").first.focus()
    focused = page.evaluate(_FOCUSED)
    _go_wrong(stack)
    page.locator(seen).first.wait_for()

    assert room.shifts() < 0.01
    assert page.evaluate(_FOCUSED) == focused


def test_all_of_it_is_reached_by_the_keyboard(room: Browser, stack: WholeStack) -> None:
    """In the order in which it is read, always in sight, past the head by one key; a refused field is gone to."""
    stack.outputs["Production"] = True
    page = room.open("/events")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "kind"

    stops = [page.evaluate(_STOP)]
    while stops[-1]["name"] != "submit":
        page.keyboard.press("Tab")
        stops.append(page.evaluate(_STOP))
    assert [stop["name"] for stop in stops] == ["kind", "orderId", "amount", "key", "confirm", "submit"]
    assert all(stop["seen"] and stop["ring"] for stop in stops)

    page.keyboard.press("Enter")
    page.locator("#confirm[aria-invalid]:focus").wait_for()


def test_production_can_not_be_overlooked(room: Browser, stack: WholeStack) -> None:
    """Its mark is on every page, and axe-core can read it, in light and in dark."""
    stack.outputs["Production"] = True
    for path in ("/", "/letters", "/lake", "/orders", "/failure"):
        page = room.open(path)
        head = page.locator("header.production").inner_text()
        assert [word in head for word in ("dev", "eu-west-1", "AWS", "PRODUCTION")] == [True] * 4
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        assert room.faults() == []


def test_credentials_that_expire_are_told_and_taken_up_again(room: Browser, stack: WholeStack) -> None:
    """What was seen last stays, dimmed, under a bar; a page opened meanwhile waits; both go on with new credentials."""
    page = room.open("/")
    other = page.context.new_page()
    try:
        stack.aws.error = client_error("ExpiredTokenException")
        page.locator("#bar", has_text="The AWS credentials have expired or are not valid").wait_for()
        assert page.locator("body.stale .tile").count() > 1
        other.goto(page.url)
        other.get_by_role("heading", name="The stack can't be reached").wait_for()
        stack.aws.error = None
        page.locator("#bar").wait_for(state="hidden")
        other.get_by_role("heading", name="Overview").wait_for()
    finally:
        other.close()
