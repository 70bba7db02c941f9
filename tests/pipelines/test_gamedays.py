"""Half of the GameDays, among them those that wait longest."""

from ops.gamedays import report
from tests.pipelines import gamedays
from tests.pipelines.gamedays import Field


class TestFirst(gamedays.GameDays):
    """On a stack of their own."""

    names = gamedays.FIRST

    def test_a_real_run_has_a_report(self, field_: Field) -> None:
        """With the plots of everything that was measured, and the verdict."""
        page = report.html(field_.outcomes["slow-downstream"])

        for text in ("PASSED: the hypothesis holds", "oldest message of the main queue", "worker died", "worker p95"):
            assert text in page
