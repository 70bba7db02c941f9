"""What the control room costs while it shows a drill.

``python -m tests.bench.console [--minutes 10] [--rate 50] [--json FILE]``

A stack of its own on the laptop, the console as `lab console` serves it, Chromium with the overview open. The load is
sent by the console's own load sender; one event in a hundred is poison, which the failure mode strikes all the while,
so that dead letters and alarms come. Prints every ten seconds the server's memory (resident; its peak as the kernel has
it) and processor time, and the page's own work: for how much of the time the overview's main thread had tasks, as
Chromium counts them, which is its share of one core. It needs a quiet machine: emulator and browser share its cores.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.bench.report import Row, conclude, json_file, row
from tests.ops.console.browser import Browser, browsing
from tests.ops.laptop import Laptop
from tests.ops.stack import free_port

_MEGABYTE = 1_000_000
_LOOK_SECONDS = 10.0
_BARS = {"server": "≤ 150 MB", "page": "≤ 25 %"}


@contextmanager
def _room(home: Path) -> Iterator[tuple[psutil.Process, Browser]]:
    """The console's process, and its pages in a browser."""
    laptop = Laptop(home, free_port())
    try:
        with laptop.start("up") as up:
            _, told = up.communicate(timeout=300)
        assert up.returncode == 0, told
        with laptop.start("console", "--port", str(free_port()), "--json") as server:
            assert server.stdout is not None
            try:
                url = json.loads("".join(iter(server.stdout.readline, "}\n")) + "}")["url"]
                with browsing(url, home / "profile") as browser:
                    yield psutil.Process(server.pid), browser
            finally:
                server.terminate()
                server.communicate(timeout=120)
    finally:
        laptop.lab("down")


class _Account:
    """What a drill has cost so far: Chromium's own account of the page, and the kernel's of the server."""

    def __init__(self, server: psutil.Process, browser: Browser) -> None:
        self._server = server
        self._session = browser.page.context.new_cdp_session(browser.page)
        self._session.send("Performance.enable")
        self._began, self._page, self._used = time.monotonic(), self._tasks(), self._processor()

    def looked(self) -> tuple[float, float, float]:
        """MB of the server that are resident, and percent of a core that the page and the server took on average."""
        seconds = time.monotonic() - self._began
        page = (self._tasks() - self._page) / seconds * 100
        used = (self._processor() - self._used) / seconds * 100
        return self._server.memory_info().rss / _MEGABYTE, page, used

    def peak(self) -> float:
        """MB of the server that were resident at most since its start."""
        lines = Path(f"/proc/{self._server.pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / _MEGABYTE

    def _tasks(self) -> float:
        """Seconds in which the page's main thread had something to do."""
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

    def _processor(self) -> float:
        times = self._server.cpu_times()
        return times.user + times.system


def _send(tab: Browser, rate: float, seconds: float) -> None:
    page = tab.open("/load")
    page.get_by_label("How many a second").fill(f"{rate:g}")
    page.get_by_label("For how many seconds").fill(f"{seconds:g}")
    page.get_by_label("Percent for the worker to refuse").fill("1")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("It has begun.").wait_for()


def _poison(tab: Browser, seconds: float) -> None:
    page = tab.open("/failure?mode=poison_payload&match=schemaVersion%3D2")
    page.get_by_label("For how many seconds").fill(f"{seconds:.0f}")
    page.get_by_role("button", name="Switch it on").click()
    page.get_by_text("poison_payload is switched on.").wait_for()


def _drill(server: psutil.Process, browser: Browser, seconds: float, rate: float) -> Iterator[Row]:
    """Do it, and say every few seconds what it costs; the whole, and what has become of the events, at the end."""
    tab = Browser(browser.page.context.new_page(), browser.url)
    browser.open("/")
    _poison(tab, seconds)
    account = _Account(server, browser)
    _send(tab, rate, seconds)
    looks = []
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _LOOK_SECONDS))
        looks.append(account.looked())
        memory, page, used = looks[-1]
        left = end - time.monotonic()
        print(f"{left:4.0f} s left: server {memory:.0f} MB, {used:.1f} %; page {page:.1f} %", flush=True)  # noqa: T201
    sent = " ".join(tab.open("/load").locator("#live").inner_text().partition("Latency")[0].split())
    letters = " ".join(browser.page.locator(".tile", has_text="dead letters of events").inner_text().split())
    memories, pages, servers = zip(*looks, strict=True)
    drill = f"{seconds / 60:g} minutes at {rate:g} events/s"
    yield row(
        f"{drill}: server, resident", memories, _BARS["server"], f"peak {account.peak():.0f} MB; {sent}; {letters}"
    )
    yield row(f"{drill}: the page's own work, share of one core", pages[-1:], _BARS["page"])
    yield row(f"{drill}: server, share of one core", servers[-1:], "≤ 100 %")


def main(arguments: Sequence[str]) -> int:
    """Run the drill and say what it has cost."""
    rest, file = json_file(arguments)
    parser = argparse.ArgumentParser(description="What the control room costs while it shows a drill.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=50)
    wanted = parser.parse_args(rest)
    with tempfile.TemporaryDirectory() as folder, _room(Path(folder)) as (server, browser):
        rows = list(_drill(server, browser, wanted.minutes * 60, wanted.rate))
    return conclude("console", rows, file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
