"""A person at the control room: Chromium, and what it must never complain of."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ops.local.emulator import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
PICTURES = ROOT / ".build" / "console"
WIDTHS = (390, 820, 1440)  # a phone, a tablet, a desk
STRANGER = "stranger.example"  # a name that leads to this machine
_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) if (!one.hadRecentInput) window.shifts.push(one.value);
}).observe({type: "layout-shift", buffered: true});
"""


@dataclass
class Browser:
    """One tab; `complaints` are what it wrote to its console: refused scripts and styles, failed loads, errors."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """A page of the control room."""
        self.page.goto(self.url.partition("/?")[0] + path)
        self.page.wait_for_selector("h1")
        return self.page

    def shifts(self) -> float:
        """How much of the page has moved without anybody's doing (CLS), since it was opened."""
        return float(self.page.evaluate("window.shifts.reduce((sum, one) => sum + one, 0)"))

    def faults(self, *rules: str) -> list[str]:
        """What axe-core finds that is serious or critical, by all its rules or by these."""
        from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - takes a moment

        options = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
        found = Axe().run(self.page, options=options).response["violations"]
        return [
            f"{one['id']}: {node['html'][:200]}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]

    def picture(self, name: str) -> None:
        """No page is wider than its window, at three widths; UPDATE_DOCS=1 leaves pictures for people to look at."""
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 900})
            assert self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{name} at {width}"
            if os.environ.get("UPDATE_DOCS"):
                PICTURES.mkdir(parents=True, exist_ok=True)
                self.page.screenshot(path=PICTURES / f"{name}-{width}.png", full_page=True)

    def show(self, name: str) -> None:
        """What the window shows, for the documentation where it names the picture: made anew with UPDATE_DOCS=1."""
        if os.environ.get("UPDATE_DOCS") and f"({name}.png)" in (ROOT / "docs" / "console.md").read_text(
            encoding="utf-8"
        ):
            self.page.set_viewport_size({"width": 1280, "height": 800})
            self.page.screenshot(path=ROOT / "docs" / f"{name}.png", caret="initial")
            self.page.evaluate("window.shifts = []")  # the window has moved it


@contextmanager
def browsing(url: str, profile: Path) -> Iterator[Browser]:
    """A browser in which the URL was opened."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - takes a moment

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", f"--host-resolver-rules=MAP {STRANGER} 127.0.0.1"],
            viewport={"width": 1440, "height": 900},
            reduced_motion="reduce",
        )
        try:
            chromium.set_default_timeout(120_000)
            page = chromium.pages[0]
            browser = Browser(page, url)
            page.add_init_script(_SHIFTS)
            page.on("console", lambda said: browser.complaints.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: browser.complaints.append(str(error)))
            page.goto(url)
            page.wait_for_selector("h1")
            yield browser
        finally:
            chromium.close()
