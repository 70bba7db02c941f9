"""Every AWS call of the lake failing in every way: each row of an object ends in silver or in quarantine, once."""

import pytest

from tests.live import matrix
from tests.live.lake_scenarios import CHUNK_BYTES, LAKE_SCENARIOS
from tests.live.matrix import Scenario
from tests.live.stage import Stage


@pytest.mark.parametrize("scenario", LAKE_SCENARIOS, ids=lambda one: one.__name__)
def test_lake(stage: Stage, monkeypatch: pytest.MonkeyPatch, scenario: type[Scenario]) -> None:
    """Whatever fails, all rows of an object are there once, its records agree, and every file was told."""
    monkeypatch.setitem(stage.function("lake-ingest").environment, "CHUNK_BYTES", str(CHUNK_BYTES))
    rows, failures = matrix.run(stage, scenario)

    assert not failures, "\n".join(failures)
    matrix.agree(rows)
