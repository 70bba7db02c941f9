"""Silver as tables on a deployed lake, under the rights that the program grants."""

import json
from collections.abc import Iterator
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from ops.cli.main import app
from ops.local.deployer import deploy
from ops.local.emulator import Emulator
from tests.contract.blocks import blocks
from tests.pipelines.lab import ROOT, Lab
from tests.pipelines.lakes import Lake, lines, ready_events, shipment

_CATALOGS: dict[str, dict[str, str]] = {"glue": {"glueDatabase": "lake"}, "s3tables": {"lakeCatalog": "s3tables"}}
_PAGE = "iceberg.md: # "  # whose blocks are run


@pytest.fixture(scope="module", params=_CATALOGS)
def lake(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Lake]:
    """A stack with nothing but a lake whose silver is tables."""
    home = tmp_path_factory.mktemp("lake")
    config = {"pipelines": ["lake"], "lakeFormat": "iceberg", **_CATALOGS[request.param]}
    with Emulator.start(home) as emulator:
        made = deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=home / "local.json", config=config)
        yield Lake(Lab(emulator, home, made))


def _commit(lake: Lake) -> dict[str, Any]:
    """A round, as the rule starts one each minute; it may have done all there was."""
    answer = lake.lab.client("lambda").invoke(FunctionName=lake.lab.outputs["lake"]["committerFunctionName"])
    told: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, told
    return told


def _lab(lake: Lake, command: str) -> dict[str, Any]:
    """What a command of `lab lake` tells."""
    done = CliRunner().invoke(app, ["lake", command, "--json"], env={"LAB_HOME": str(lake.lab.home)})
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _read(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What another program reads that is written as docs/iceberg.md writes it: the names of its blocks."""
    names = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**names, "LAB_PORT": str(urlsplit(lake.lab.emulator.endpoint).port)}.items():
        monkeypatch.setenv(name, value)
    in_bucket = bool(lake.lab.client("s3tables").list_table_buckets()["tableBuckets"])
    texts = {one.first.removeprefix(_PAGE): one.text for one in blocks() if one.first.startswith(_PAGE)}
    read: dict[str, Any] = {}
    exec(texts["tables in a table bucket" if in_bucket else "tables in Glue's catalog"], read)  # noqa: S102 - our own documentation
    exec(texts["rows of now, and of a snapshot"], read)  # noqa: S102 - our own documentation
    return read


def test_what_was_ingested_becomes_part_of_its_table(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two days and a bad row: one commit, events after it, and a second round that finds nothing to do.

    Another program reads the rows as the documentation does and rewrites the files, as S3 Tables does by itself:
    nothing counts as missing.
    """
    rows = [shipment(1), shipment(2, day=2), shipment(3, day=2), shipment(4, weight_kg=-1)]
    with ready_events(lake) as told:
        done = lake.ingested(lake.put("bronze/shipments/a.jsonl", lines(rows)))
        _commit(lake)
        lake.until("both files are told of", lambda: {one["detail"]["key"] for one in told()} == {*done.files})
    assert _commit(lake) == {"noted": 0, "unfinished": 0, "committed": 0}

    found = _lab(lake, "table")
    (table,) = found["tables"]
    assert (found["noted"], table["type"], table["snapshots"], table["commit"]) == (0, "shipments", 1, "1")
    assert table["days"] == {"2026-03-01": {"files": 1, "rows": 1}, "2026-03-02": {"files": 1, "rows": 2}}
    assert (table["outside"], table["twice"]) == ([], [])
    assert done.quarantined == 1
    checked = _lab(lake, "check")
    assert (checked["problems"], checked["fine"], checked["files"]) == ({}, 1, {"silver": 3, "quarantine": 1})

    read = _read(lake, monkeypatch)
    read["table"].overwrite(read["rows"])
    again = _read(lake, monkeypatch)

    for rows in (read["rows"], again["rows"], again["rows_then"]):
        assert sorted(rows["shipment_id"].to_pylist()) == [f"S-{number:07}" for number in (1, 2, 3)]
    for days in (read["days"], again["days"], again["days_then"]):
        assert days.rows() == [(date(2026, 3, 1), 1), (date(2026, 3, 2), 2)]
    (table,) = _lab(lake, "table")["tables"]
    assert (table["rows"], table["outside"], table["snapshots"] > 1) == (3, [], True)
    assert _lab(lake, "check")["problems"] == {}
