"""`lab lake backfill`: what is asked of Step Functions, and how its answers are told."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ops.cli.lake import jobs
from ops.cli.main import app

_MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:lake-backfill"
_RUN = _MACHINE.replace(":stateMachine:", ":execution:") + ":bf-1"
_KEYS = ("bronze/shipments/a.jsonl", "bronze/shipments/b.csv", "bronze/orders/c.jsonl")


class Cloud:
    """A stack with objects in bronze, and a Step Functions that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.status = "RUNNING"

    def client(self, _service: str) -> "Cloud":
        """Both."""
        return self

    def get_paginator(self, name: str) -> "Cloud":
        """Of objects, or of executions."""
        assert name in {"list_objects_v2", "list_executions"}
        return self

    def paginate(self, *, Prefix: str = "", **_: str) -> list[dict[str, Any]]:
        """One page of either."""
        day = datetime(2026, 1, 31, tzinfo=UTC)
        found = [
            {"Key": key, "ETag": '"e"', "Size": 10, "LastModified": day} for key in _KEYS if key.startswith(Prefix)
        ]
        return [{"Contents": found, "executions": [{"executionArn": _RUN}]}]

    def start_execution(self, **told: Any) -> None:
        """Keeps what it is told."""
        self.told.append(told | {"input": json.loads(told["input"])})

    def stop_execution(self, **told: Any) -> None:
        """Keeps what it is told."""
        self.told.append(told)

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:
        """The one that there is."""
        assert executionArn == _RUN
        asked = json.dumps({"prefix": "bronze/", "replay": "bf-0", "start": 0, "end": 1})
        return {
            "executionArn": _RUN,
            "name": "bf-1",
            "status": self.status,
            "startDate": datetime(2026, 1, 31, tzinfo=UTC),
            "input": asked,
            **({"cause": "too many failed"} if self.status == "FAILED" else {}),
        }

    def list_map_runs(self, *, executionArn: str) -> dict[str, Any]:
        """One."""
        assert executionArn == _RUN
        return {"mapRuns": [{"mapRunArn": "map"}]}

    def describe_map_run(self, *, mapRunArn: str) -> dict[str, Any]:
        """Two of three objects are done."""
        assert mapRunArn == "map"
        return {"itemCounts": {"total": 3, "succeeded": 2, "failed": 1}}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """A stack with a state machine for backfills."""
    made = Cloud()
    monkeypatch.setattr(jobs, "lake_of", lambda _: (made, {"bronzeBucket": "bronze", "backfillArn": _MACHINE}))
    return made


@pytest.fixture
def lab() -> Callable[..., Result]:
    """The command."""
    return lambda *words: CliRunner().invoke(app, ["lake", "backfill", *words])


def test_start(cloud: Cloud, lab: Callable[..., Result]) -> None:
    """Objects of the lake are counted first; the window, and an id where they are to be worked again, are handed on."""
    window = ["--type", "shipments", "--prefix", "a", "--start", "2026-01-01", "--end", "2026-02-01"]
    counted = json.loads(lab("start", *window, "--dry-run", "--json").stdout)
    assert (counted, cloud.told) == ({"dryRun": True, "objects": 1, "bytes": 10}, [])
    assert (lab("start", *window).exit_code, cloud.told) == (3, []), "nobody has said yes"

    plain = json.loads(lab("start", *window, "--yes", "--json").stdout)
    again = lab("start", "--again", "--yes").stdout.partition(":")[0]
    lab("start", "--again", "--id", "bf-0", "--yes")
    begin, end = (int(datetime(2026, month, 1, tzinfo=UTC).timestamp()) for month in (1, 2))
    first, second, third = cloud.told
    assert first == {
        "stateMachineArn": _MACHINE,
        "name": plain["execution"],
        "input": {"prefix": "bronze/shipments/a", "replay": "", "start": begin, "end": end},
    }
    assert (second["name"], second["input"]["replay"], second["input"]["start"]) == (again, again, 0)
    assert (second["input"]["prefix"], third["input"]["replay"]) == ("bronze/", "bf-0")
    assert third["name"] != "bf-0", "an execution's name is taken for ninety days"


def test_nothing_is_started_for_nothing(cloud: Cloud, lab: Callable[..., Result]) -> None:
    """Without an object there is nothing to do."""
    done = lab("start", "--type", "shipments", "--prefix", "b", "--yes")
    assert (done.exit_code, done.stdout, cloud.told) == (0, "would announce 0 objects, 0 bytes\n", [])


def test_status(cloud: Cloud, lab: Callable[..., Result]) -> None:
    """How far each has come; one that failed is told with its cause, and by the exit status."""
    (told,) = json.loads(lab("status", "--json").stdout)["backfills"]
    assert told == {
        "execution": "bf-1",
        "status": "RUNNING",
        "started": "2026-01-31T00:00:00+00:00",
        "prefix": "bronze/",
        "replayId": "bf-0",
        "objects": 3,
        "done": 2,
        "failed": 1,
        "cause": "",
    }
    assert "RUNNING" in lab("status", "bf-1").stdout
    cloud.status = "FAILED"
    failed = lab("status", "bf-1")
    assert (failed.exit_code, "bf-1: too many failed" in failed.stdout) == (1, True)


def test_stop(cloud: Cloud, lab: Callable[..., Result]) -> None:
    """By its name."""
    assert lab("stop", "bf-1").stdout == "bf-1 is stopped\n"
    assert cloud.told == [{"executionArn": _RUN}]


def test_refused(cloud: Cloud, lab: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be meant, and a stack that has no backfills."""
    assert lab("start", "--prefix", "a").exit_code == 2
    assert "--id is that of a backfill with --again" in lab("start", "--id", "bf-1").stderr
    monkeypatch.setattr(jobs, "lake_of", lambda _: (cloud, {"bronzeBucket": "bronze"}))
    refused = lab("status")
    assert (refused.exit_code, cloud.told) == (1, [])
