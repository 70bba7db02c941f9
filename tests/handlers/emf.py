"""The embedded metric lines that handlers print."""

import json
from typing import Any

import pytest

from tests.handlers.conftest import NOW_MS

_NO_METRICS = ("_aws", "pipeline", "level", "timestamp")


def embedded(capsys: pytest.CaptureFixture[str], *, now_ms: int = NOW_MS) -> list[dict[str, Any]]:
    """The metric lines since the last call, without their envelopes, which are checked; log lines are left out."""
    lines = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    return [_opened(line, now_ms) for line in lines if "_aws" in line]


def _opened(line: dict[str, Any], now_ms: int) -> dict[str, Any]:
    names = [name for name in line if name not in _NO_METRICS]
    units = {"ProcessingLatency": "Milliseconds", "RetriedAge": "Seconds"}
    metrics = [{"Name": name, "Unit": units.get(name, "Count")} for name in names]
    directive = {"Namespace": "IngestionLab/dev", "Dimensions": [["pipeline"]], "Metrics": metrics}
    assert line["_aws"] == {"Timestamp": now_ms, "CloudWatchMetrics": [directive]}
    return {name: value for name, value in line.items() if name != "_aws"}
