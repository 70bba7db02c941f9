"""docs/benchmarks.md is what was measured, and a bench says truly whether a bar is reached."""

import json
from pathlib import Path

import pytest

from handlers import env
from handlers.control.redrive.run.entry import Env as RedriveEnv
from handlers.events.ingest import Env as IngestEnv
from handlers.events.worker import Env as WorkerEnv
from handlers.lake.ingest import Env as LakeIngestEnv
from handlers.lake.worker import Env as LakeWorkerEnv
from tests.bench import ingest, lake_transform, redrive, report, worker

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_was_measured() -> None:
    """No figure of it is typed by hand."""
    assert (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8") == report.render(report.read())


@pytest.mark.parametrize(
    ("values", "bar", "met"),
    [
        ([8.4, 8.5, 9.0], "≥ 8.5 x", True),
        ([8.4, 8.4, 9.0], "≥ 8.5 x", False),
        ([25.0], "≤ 25 ms", True),
        ([25.1], "≤ 25 ms", False),
        ([1.0], "", None),
    ],
)
def test_the_median_is_held_to_the_bar(values: list[float], bar: str, met: bool | None) -> None:  # noqa: FBT001
    """In the bar's own sense; without a bar there is nothing to reach."""
    assert report.row("one", values, bar).met is met


def test_a_bench_sets_what_its_function_asks_for() -> None:
    """A variable that a function gets anew would be missed when somebody measures, months later."""
    assert env.load(WorkerEnv, worker.ENVIRONMENT).pipeline == "events"
    assert env.load(IngestEnv, ingest.ENVIRONMENT).table_name == "state"
    assert env.load(LakeIngestEnv, lake_transform.ENVIRONMENT).bronze_bucket == "my-bronze"
    assert env.load(LakeWorkerEnv, lake_transform.ENVIRONMENT).silver_bucket == "my-silver"
    assert env.load(RedriveEnv, redrive.ENVIRONMENT).state_table_name == "state"


@pytest.mark.parametrize("bar", ["8.5", ">= 8 x", "≥ 8"])
def test_a_bar_that_cannot_be_read_is_refused(bar: str) -> None:
    """It would count as reached."""
    with pytest.raises(ValueError, match="a bar is such as"):
        report.row("one", [1.0], bar)


def test_a_missed_bar_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By how much, on the screen, by the exit code and in the page."""
    arguments, file = report.json_file(["3", "--json", str(tmp_path / "new" / "a.json"), "worker"])
    rows = [report.row("ten new", [7.0, 8.0, 9.0], "≥ 10 x", "3 calls"), report.row("one", [1.0, 2.0])]

    code = report.conclude("worker", rows, file, note="tried\n    this")

    assert file
    assert arguments == ["3", "worker"]
    assert code == 1
    assert capsys.readouterr().out == (
        "ten new: 8.00 x (7.00 to 9.00), bar ≥ 10 x, missed by 20%  3 calls\none: 1.50 x (1.00 to 2.00)\n"
    )
    page = report.render([json.loads(file.read_text(encoding="utf-8"))])
    assert "| ten new | 8.00 x | 7.00 to 9.00 | ≥ 10 x | missed by 20% | 3 calls |" in page
    assert "1 of 1 bars missed." in page
    assert "\ntried this\n" in page
