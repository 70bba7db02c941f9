"""Silver as tables on a deployed lake, under the rights that the program grants."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.catalog.rest import RestCatalog
from typer.testing import CliRunner

from ops.cli.main import app
from ops.local.deployer import deploy
from ops.local.emulator import Emulator
from tests.pipelines.lab import ROOT, Lab
from tests.pipelines.lakes import Lake, lines, ready_events, shipment

_CATALOGS: dict[str, dict[str, str]] = {"glue": {"glueDatabase": "lake"}, "s3tables": {"lakeCatalog": "s3tables"}}


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


def _catalog(lake: Lake) -> Catalog:
    """The tables' catalog as another program has it: pyiceberg as it comes, with Arrow's S3."""
    endpoint = lake.lab.emulator.endpoint
    keys = {"client.access-key-id": "test", "client.secret-access-key": "test", "client.region": "us-east-1"}
    files = {"s3.endpoint": endpoint, "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO"}
    buckets = lake.lab.client("s3tables").list_table_buckets()["tableBuckets"]
    if not buckets:
        return GlueCatalog("other", **keys, **files, **{"glue.endpoint": endpoint})
    signed = {"rest.sigv4-enabled": "true", "rest.signing-name": "s3tables", "rest.signing-region": "us-east-1"}
    return RestCatalog("other", uri=f"{endpoint}/iceberg", warehouse=buckets[0]["arn"], **keys, **files, **signed)


def test_what_was_ingested_becomes_part_of_its_table(lake: Lake) -> None:
    """Two days and a bad row: one commit, events after it, and a second round that finds nothing to do.

    Another program reads the rows and rewrites the files, as S3 Tables does by itself: nothing counts as missing.
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

    there = _catalog(lake).load_table(("lake", "shipments"))
    read = there.scan().to_arrow()
    there.overwrite(read)

    assert sorted(read["shipment_id"].to_pylist()) == [f"S-{number:07}" for number in (1, 2, 3)]
    (table,) = _lab(lake, "table")["tables"]
    assert (table["rows"], table["outside"], table["snapshots"] > 1) == (3, [], True)
    assert _lab(lake, "check")["problems"] == {}
