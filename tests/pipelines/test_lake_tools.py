"""`lab lake` on a deployed lake: rows made up, put into bronze, and replayed in both ways."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops.cli.main import app
from ops.local.deployer import deploy
from ops.local.emulator import Emulator
from tests.pipelines.lab import ROOT, Lab
from tests.pipelines.lakes import Lake, await_known, lines


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A stack with nothing but the lake, its quality gate and its backfill."""
    home = tmp_path_factory.mktemp("lake")
    config = {"pipelines": ["lake"], "lakeQualityGate": True, "lakeBackfill": True}
    with Emulator.start(home) as emulator:
        made = deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=home / "local.json", config=config)
        yield Lake(Lab(emulator, home, made))


def _lab(lake: Lake, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["lake", *arguments, "--json"], env={"LAB_HOME": str(lake.lab.home)})
    assert done.exit_code == code, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _written(lake: Lake) -> dict[str, int]:
    """How often the worker has written each file."""
    return lake.versions("silver/") | lake.versions("quarantine/")


def test_rows_are_made_up_worked_and_replayed(lake: Lake, tmp_path: Path) -> None:
    """Rows are counted as they were made; a copy adds nothing; with --again, copy and messages write each file anew."""
    file = tmp_path / "shipments.jsonl"
    arguments = ["--type", "shipments", "--count", "10000", "--bad-percent", "2", "--days", "2", "--output", str(file)]
    made = _lab(lake, "generate", *arguments)
    identity = lake.put("bronze/shipments/made up.jsonl", file.read_bytes())
    done = lake.ingested(identity)
    assert (done.silver, done.quarantined) == (10_000 - made["bad"], made["bad"])
    assert (len(done.chunks) > 1, made["bad"] > 0) == (True, True)
    keys = sorted({*done.files, *done.quarantine})
    assert _written(lake) == dict.fromkeys(keys, 1)

    # The lake knows the copy: were it worked again, each file would have one version more in the end.
    assert _lab(lake, "replay-copy", "--type", "shipments", "--yes")["objects"] == 1
    again = _lab(lake, "replay-copy", "--type", "shipments", "--again", "--yes")
    replayed = lake.ingested(f"{identity}~{again['replayId']}")
    assert (replayed.files, replayed.chunks) == (done.files, done.chunks)
    lake.until("each file twice", lambda: _written(lake) == dict.fromkeys(keys, 2))

    sent = _lab(lake, "replay-queue", "--type", "shipments", "--again")
    assert (sent["objects"], sent["messages"]) == (1, len(done.chunks))
    lake.until("each file three times", lambda: _written(lake) == dict.fromkeys(keys, 3))
    assert _lab(lake, "replay-queue", "--start", "2020-01-01", "--end", "2020-01-02")["messages"] == 0

    rows = {"silver": done.silver, "quarantine": done.quarantined}
    checked = _lab(lake, "check", "--count-source")
    assert (checked["records"], checked["files"], checked["sourceRows"]) == (rows, rows, 10_000)
    assert _lab(lake, "quarantine", "list")["rows"] == done.quarantined
    retried = _lab(lake, "quarantine", "retry", "--yes", code=1)  # they are as bad as before
    assert (retried["done"], retried["stillInQuarantine"], retried["silverGained"], retried["filesDeleted"]) == (
        retried["chunks"],
        done.quarantined,
        0,
        0,
    )
    assert _lab(lake, "check")["files"] == rows
    days = {key.partition("dt=")[2][:10] for key in done.files}
    lake.until("each day checked", lambda: set(lake.versions("gate/")) == {f"gate/shipments/dt={d}.json" for d in days})
    checked_before = {"days": [], "left": {"checked before": len(days)}}
    assert _lab(lake, "gate") == checked_before, "the function's verdicts are on the files as they are, and passed"
    compacted = _lab(lake, "compact", "--min-files", "1", "--quiet-minutes", "0")
    assert sum(day["rows"] for day in compacted["days"]) == done.silver


def test_a_row_for_each_of_many_days_becomes_further_messages(lake: Lake) -> None:
    """What makes more files than a message puts goes on in another: each row once, a file for each day, no letter."""
    first = date(2020, 1, 1)
    days = [str(first + timedelta(days=i)) for i in range(600)]
    rows = [
        {"event_time": f"{day}T12:00:00Z", "shipment_id": f"S-{day}", "status": "late", "city": "Bergen"}
        for day in days
    ]
    with _no_gate(lake):
        identity = lake.put("bronze/tracking_events/years.jsonl", lines(rows))
        done = lake.ingested(identity, seconds=240)

    assert sorted((chunk["silver"], chunk["quarantined"], chunk.get("parts", 0)) for chunk in done.chunks) == [
        (100, 0, 0),
        (500, 0, 1),
    ]
    assert sorted(key.split("/")[2] for key in done.files) == [f"dt={day}" for day in days]
    _lab(lake, "check", "--count-source")  # all of it agrees
    assert lake.lab.depth(lake.lab.outputs["lake"]["dlqUrl"]) == 0


def test_a_backfill_announces_what_is_there(lake: Lake) -> None:
    """Objects are worked anew under its id, over the same files; without an id those that are known are left alone."""
    rows = [{"event_time": "2026-03-01T12:00:00Z", "shipment_id": "S-1", "status": "late", "city": "Bergen"}]
    done = {}
    for name in ("a +ü.jsonl", "b.jsonl"):
        done[name] = lake.put(f"bronze/tracking_events/old/{name}", lines(rows))
    lake.put("bronze/tracking_events/old/none.csv", b"a,b")
    files = [file for identity in done.values() for file in lake.ingested(identity).files]
    where = ["--type", "tracking_events", "--prefix", "old/"]

    counted = _lab(lake, "backfill", "start", *where, "--dry-run")
    started = _lab(lake, "backfill", "start", *where, "--again", "--yes")
    again = [lake.ingested(f"{identity}~{started['replayId']}") for identity in done.values()]
    assert (counted["objects"], started["objects"], [one.silver for one in again]) == (2, 2, [1, 1])
    assert [file for one in again for file in one.files] == files

    def over(name: str) -> dict[str, Any]:
        (shown,) = _lab(lake, "backfill", "status", name)["backfills"]
        return shown if shown["status"] != "RUNNING" else {}

    lake.until("its end", lambda: over(started["execution"]))
    ended = over(started["execution"])
    assert (ended["status"], ended["done"], ended["objects"]) == ("SUCCEEDED", 3, 3)
    known = _lab(lake, "backfill", "start", *where, "--yes")
    assert known["replayId"] == ""
    lake.until("the end of the other", lambda: over(known["execution"]))
    for identity in done.values():
        await_known(lake, identity, times=1)
    assert [lake.versions(file)[file] for file in files] == [2, 2]


@contextmanager
def _no_gate(lake: Lake) -> Iterator[None]:
    """Without the rule that would start the gate's function for each file."""
    bus = lake.lab.outputs["EventBusName"]
    events = lake.lab.client("events")
    (rule,) = [one["Name"] for one in events.list_rules(EventBusName=bus)["Rules"] if "gate" in one["Name"]]
    events.disable_rule(Name=rule, EventBusName=bus)
    try:
        yield
    finally:
        events.enable_rule(Name=rule, EventBusName=bus)
