"""The types of rows that ship, and that a new one is one file."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.compute import packaging
from handlers.lake import schemas
from handlers.lake.model import Integer, Number, RecordType, Text
from handlers.lake.validate import silver_schema
from tests.components.recording import ROOT
from tests.handlers.lake.conftest import Lake, lines, table

_NEW = '''"""A reading of a thermometer."""

from handlers.lake.model import Integer, Number, Text

FIELDS = (Text("sensor", maximum=8), Number("celsius", minimum=-273.15, maximum=1000), Integer("channel"))
'''
_NAMES = "import sys; sys.path.insert(0, sys.argv[1]); from handlers.lake import schemas; print(*schemas.types())"


@pytest.fixture
def new_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A new file in the folder of the types."""
    (tmp_path / "readings.py").write_text(_NEW)
    monkeypatch.setattr(schemas, "__path__", [*schemas.__path__, str(tmp_path)])
    schemas.types.cache_clear()
    yield
    schemas.types.cache_clear()
    sys.modules.pop("handlers.lake.schemas.readings", None)


def test_the_types_that_ship() -> None:
    """Names, fields and limits; every type has `event_time` besides."""
    assert schemas.types() == {
        "invoice_lines": RecordType(
            "invoice_lines",
            (
                Text("invoice_id"),
                Text("sku"),
                Integer("quantity", minimum=0),
                Number("unit_price"),
                Number("line_total"),
            ),
        ),
        "shipments": RecordType(
            "shipments",
            (
                Text("shipment_id"),
                Text("origin"),
                Text("destination"),
                Text("carrier"),
                Number("weight_kg", minimum=0),
            ),
        ),
        "tracking_events": RecordType("tracking_events", (Text("shipment_id"), Text("status"), Text("city"))),
    }


@pytest.mark.usefixtures("new_type")
def test_a_new_type_is_one_file(lake: Lake) -> None:
    """It is found by itself; its rows are read, limited and written like any other's."""
    good = {"event_time": "2026-01-31T12:00:00Z", "sensor": "a", "celsius": 21, "channel": -4}
    content = lines(good, good | {"sensor": "too long a name"}, good | {"celsius": -300}, good | {"channel": 1.5})

    result = lake.process(content, "bronze/readings/a.jsonl")

    assert (result["silver"], result["quarantined"]) == (1, 3)
    assert table(lake.aws.silver()[result["files"][0]["key"]]).schema.equals(silver_schema(schemas.types()["readings"]))
    assert [entry["reason"] for entry in lake.quarantined()] == [
        "/sensor must have 1 to 8 characters, got 15",
        "/celsius must be -273.15 or more",
        "/channel must be an integer, got a fraction",
    ]


def test_types_are_found_in_the_deployed_zip_too(tmp_path: Path) -> None:
    """Unpacked, as Lambda has it, and imported from the zip itself."""
    archive = packaging.handlers_zip()
    zipfile.ZipFile(archive).extractall(tmp_path)

    for place in (tmp_path, archive):
        run = subprocess.run(
            [sys.executable, "-I", "-c", _NAMES, str(place)], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert run.stdout.split() == ["invoice_lines", "shipments", "tracking_events"]
