"""The report of a run: one page that needs nothing else, and JUnit XML."""

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ops.gamedays import engine, plots, report, verdict
from ops.gamedays.engine import Outcome
from ops.gamedays.recording import Recording
from ops.gamedays.schema_break import GAMEDAY
from tests.ops.gamedays import falsified
from tests.ops.gamedays.made import good_run

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")


def outcome_of(recording: Recording) -> Outcome:
    """Judged."""
    return engine.Outcome(GAMEDAY, recording, verdict.judge(GAMEDAY, recording))


@pytest.fixture(scope="module")
def page() -> str:
    """The report of a good run: plots take a second."""
    return report.html(outcome_of(good_run()))


def test_it_needs_nothing_else(page: str) -> None:
    """No script, no style sheet, no picture and no font from anywhere; its plots are within it."""
    outside = re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?([^\"')>\s]+)", page)
    assert [one for one in outside if not one.startswith("#")] == []
    assert "<script" not in page
    assert page.count("<svg") == 1
    assert len(page) < 300_000


def test_it_tells_what_happened_and_why(page: str) -> None:
    """Hypothesis, each step, injection and repair, alarms, ledger, evidence, commands; all that a learner asks."""
    for text in (GAMEDAY.title, "PASSED", "injection", "repair", "events-dlq-not-empty", "lab failure reset --wait"):
        assert text in page
    for step in GAMEDAY.steps:
        assert step.title in page
    assert re.search(r"<td>final</td><td class=n>6</td><td class=n>6</td>(<td class=n>0</td>){3}", page)


def test_a_failed_run_says_so_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason beside it."""
    monkeypatch.setattr("ops.gamedays.plots.course", lambda *_: "<svg/>")
    recording, _ = falsified.falsifications(GAMEDAY, good_run())["message dropped"]
    (told,) = re.findall(r'<p class="verdict failed">(.*?)</p>', report.html(outcome_of(recording)))

    assert told.startswith("FAILED<br>the ledger comes out even: accepted 6 = succeeded 5")
    assert "are lost: neither SUCCEEDED nor dead-lettered" in told


def test_what_was_sent_is_no_markup() -> None:
    """Texts of a run stay texts."""
    recording = falsified.copied(
        good_run(), lambda line: line.update(group="<script>") if line["kind"] == "accepted" else None
    )

    assert "<script" not in report.html(outcome_of(recording))


def test_metrics_are_drawn_of_the_run_alone() -> None:
    """What was before the steady state belongs to whatever came before."""
    ages = [[995.0, 40.0], [999.0, 41.0], [1000.25, 1.0], [1005.0, 2.0]]
    recording = Recording([*good_run().lines, {"t": 1031.0, "kind": "series", "series": {"age": ages}}])

    assert plots._relative(recording, "age") == [(0.25, 1.0), (5.0, 2.0)]
    assert plots._relative(recording, "p99") == []


def test_junit() -> None:
    """A suite for the run, a case for each check, a failure with its evidence."""
    good = ET.fromstring(report.junit([outcome_of(good_run())]))  # noqa: S314 - made a line before
    bad = ET.fromstring(report.junit([outcome_of(falsified.miscounted(good_run()))]))  # noqa: S314

    assert [suite.attrib | {"time": ""} for suite in good] == [
        {"name": "schema-break", "tests": "14", "failures": "0", "errors": "0", "time": ""}
    ]
    (failed,) = bad.iterfind(".//failure/..")
    assert failed.attrib["name"] == falsified.COUNTS


def test_the_same_run_makes_the_same_page(page: str) -> None:
    """Nothing of the moment at which it is written is in it."""
    assert report.html(outcome_of(good_run())) == page


@pytest.mark.skipif(not _CHROMIUM, reason="no Chromium: apt-get install chromium")
def test_chromium_shows_it(page: str, tmp_path: Path) -> None:
    """The page as a browser has it: its plots have a size, the verdict stands in the title."""
    written = tmp_path / "report.html"
    probe = page.replace(
        "</body>",
        "<script>const b = document.querySelector('svg').getBoundingClientRect();"
        "document.title = [document.title, b.width > 600, b.height > 400].join('|')</script></body>",
    )
    written.write_text(probe, encoding="utf-8")
    words = [_CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    shown = subprocess.run(
        [*words, "--dump-dom", written.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )

    assert f"<title>{GAMEDAY.title}: PASSED: the hypothesis holds|true|true</title>" in shown.stdout
