"""docs/iceberg.md has the figures that were measured."""

from tests.bench import lake_tables
from tests.contract import lake_figures


def test_the_page_has_what_was_measured() -> None:
    """No figure of it is typed by hand."""
    assert lake_figures.PAGE.read_text(encoding="utf-8") == lake_figures.written()


def test_the_bench_tells_growth_and_loss() -> None:
    """A bar is missed where a commit takes more than twice as long with twice the chunks, or a row is lost or twice."""
    half = lake_tables.Point(chunks=10, commits=1, cpu_ms=10, written=100, live=100)
    end = lake_tables.Point(chunks=20, commits=2, cpu_ms=21, written=400, live=200)
    assert [one.met for one in lake_tables.growth([half, end])] == [True, True, False]

    numbers = {"rows": 10, "in_table": 9, "different": 9, "quarantined": 1, "unreadable": 0}
    others = dict.fromkeys(("files", "files_twice", "snapshots", "rounds", "deaths", "met", "noted_again"), 0)
    expected = [({}, [True] * 3), ({"different": 8}, [False, False, True]), ({"unreadable": 1}, [True, True, False])]
    for change, met in expected:
        truth = lake_tables.Truth(**{**numbers, **others, **change})
        assert [one.met for one in lake_tables.exact(truth)] == met
