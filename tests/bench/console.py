"""What the control room costs while it shows a drill: ``python -m tests.bench.console [--minutes 10] [--rate 50]``.

A stack of its own on the laptop, the console as `lab console` serves it, Chromium with the overview open. The load is
sent by the console's own load sender; one event in a hundred is poison, which the failure mode strikes all the while,
so that dead letters and alarms come. Prints every ten seconds the server's memory (resident; its peak as the kernel has
it) and processor time, and the page's own work: for how much of the time the overview's main thread had tasks, as
Chromium counts them, which is its share of one core. It needs a quiet machine: emulator and browser share its cores.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.ops.console.browser import Browser, browsing
from tests.ops.laptop import Laptop
from tests.ops.stack import free_port

_MEGABYTE = 1_000_000
_LOOK_SECONDS = 10.0


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

    def told(self) -> str:
        """As people read it, since the beginning."""
        seconds = time.monotonic() - self._began
        page = (self._tasks() - self._page) / seconds * 100
        used = (self._processor() - self._used) / seconds * 100
        now = self._server.memory_info().rss / _MEGABYTE
        server = f"{now:.0f} MB, peak {self.peak():.0f} MB, {used:.1f} % of a core"
        return f"{seconds:4.0f} s: server {server}; page {page:.1f} % of a core"

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


def _drill(server: psutil.Process, browser: Browser, seconds: float, rate: float) -> Iterator[str]:
    """Do it; what it has cost so far, every few seconds, and what has become of the events."""
    yield f"{seconds:g} s at {rate:g} events/s; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    tab = Browser(browser.page.context.new_page(), browser.url)
    browser.open("/")
    _poison(tab, seconds)
    account = _Account(server, browser)
    _send(tab, rate, seconds)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _LOOK_SECONDS))
        yield account.told()
    yield " ".join(tab.open("/load").locator("#live").inner_text().partition("Latency")[0].split())
    yield browser.page.locator(".tile", has_text="dead letters of events").inner_text()


def main() -> None:
    """Run the drill and print what it has cost."""
    parser = argparse.ArgumentParser(description="What the control room costs while it shows a drill.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=50)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _room(Path(folder)) as (server, browser):
        for line in _drill(server, browser, wanted.minutes * 60, wanted.rate):
            print(line, flush=True)  # noqa: T201 - its purpose


if __name__ == "__main__":
    main()
