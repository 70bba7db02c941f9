"""The pictures of the documentation are those of the program as it is."""

import itertools

import pytest

from tests.components.recording import EVERY_PIPELINE, run_main
from tests.contract import pictures

_MAIN_WAY = {
    "events": ["HTTP API", "events-ingest", "events-queue", "events-worker", "ingestion-bus"],
    "orders": ["HTTP API", "orders-api", "ingestion-bus", "orders-queue", "orders-worker", "orders-table"],
    "lake": ["lake-bronze", "lake-notices-queue", "lake-ingest", "lake-queue", "lake-worker", "lake-silver"],
}


def test_they_are_current() -> None:
    """`python -m tests.contract.pictures` writes them anew."""
    assert {path: path.read_text(encoding="utf-8") for path in pictures.FOLDER.glob("*.svg")} == pictures.render()


@pytest.mark.parametrize("pipeline", EVERY_PIPELINE)
def test_the_main_way_is_drawn(pipeline: str) -> None:
    """From where data comes in to where it ends, step by step, as it was registered."""
    _, ways = pictures.graph(run_main("dev", {"pipelines": list(EVERY_PIPELINE)}), pipeline)
    way = _MAIN_WAY[pipeline]

    assert [step for step in itertools.pairwise(way) if step not in ways] == []
