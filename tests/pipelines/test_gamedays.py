"""Half of the GameDays, among them those that wait longest."""

import re

import pytest

from ops.cli import gameday
from ops.gamedays import report
from tests.pipelines import gamedays
from tests.pipelines.gamedays import Field
from tests.pipelines.lab import ROOT


class TestFirst(gamedays.GameDays):
    """On a stack of their own."""

    names = gamedays.FIRST

    def test_a_real_run_has_a_report(self, field_: Field) -> None:
        """With the plots of everything that was measured, and the verdict."""
        page = report.html(field_.outcomes["slow-downstream"])

        for text in ("PASSED: the hypothesis holds", "oldest message of the main queue", "worker died", "worker p95"):
            assert text in page

    def test_the_tutorial_shows_the_verdict_of_a_run(self, field_: Field, capsys: pytest.CaptureFixture[str]) -> None:
        """Its last block has of `lab gameday run duplicates` what is printed of this run, in the same order."""
        gameday._show([field_.outcomes["duplicates"]], as_json=False, many=False)
        printed = capsys.readouterr().out.splitlines()
        tutorial = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
        (block,) = re.findall(r"^\$ lab gameday run duplicates\n(.*?)^```$", tutorial, re.DOTALL | re.MULTILINE)
        shown = [line for line in block.splitlines() if line.startswith(("ok ", "PASSED"))]

        assert shown[-1] == "PASSED: duplicates"
        assert shown == [line for line in printed if line in shown]
