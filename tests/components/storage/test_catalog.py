"""The silver bucket as tables, whose columns come from the files of the types."""

from pathlib import Path

import pytest

from components.storage import types
from tests.components.recording import run_main, variables

_LAKE = {"pipelines": ["lake"]}


def test_catalog_has_a_table_for_each_type() -> None:
    """Where the configuration asks for one: columns as in the files, every day of the range without registering it."""
    recording = run_main("dev", _LAKE | {"glueDatabase": "lab"})
    table = recording.inputs("CatalogTable", "lake-catalog-tracking_events")
    place = "s3://id:lake-silver/silver/tracking_events/"

    assert recording.inputs("CatalogDatabase", "lake-catalog-database") == {
        "name": "lab",
        "description": "The lake of ingestion-lab, stack dev",
        "tags": {"Project": "ingestion-lab", "Stack": "dev"},
    }
    assert sorted(made.inputs["name"] for made in recording.of("CatalogTable")) == list(types.record_types())
    assert table == {
        "name": "tracking_events",
        "databaseName": "lab",
        "tableType": "EXTERNAL_TABLE",
        "parameters": {
            "EXTERNAL": "TRUE",
            "classification": "parquet",
            "projection.enabled": "true",
            "projection.dt.type": "date",
            "projection.dt.format": "yyyy-MM-dd",
            "projection.dt.range": "2020-01-01,NOW+7DAYS",
            "projection.dt.interval": "1",
            "projection.dt.interval.unit": "DAYS",
            "storage.location.template": place + "dt=${dt}/",
        },
        "partitionKeys": [{"name": "dt", "type": "date"}],
        "storageDescriptor": {
            "location": place,
            "inputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "outputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            "serDeInfo": {"serializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
            "columns": [
                {"name": "event_time", "type": "timestamp"},
                {"name": "shipment_id", "type": "string"},
                {"name": "status", "type": "string"},
                {"name": "city", "type": "string"},
            ],
        },
    }
    assert run_main("dev", _LAKE).of("CatalogTable") == []


def test_tables_look_for_days_from_the_configured_one_on() -> None:
    """A query without `dt` asks for each day that there may be, so there should not be tens of thousands of them."""
    recording = run_main("dev", _LAKE | {"glueDatabase": "lab", "lakeStartDate": "2026-03-01"})
    parameters = recording.inputs("CatalogTable", "lake-catalog-shipments")["parameters"]

    assert parameters["projection.dt.range"] == "2026-03-01,NOW+7DAYS"
    assert variables(recording, "lake-worker")["LAKE_START_DATE"] == "2026-03-01"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("COLUMNS = ()", "pets.py must have FIELDS, a tuple of fields"),
        ("FIELDS = tuple(all())", "pets.py must have FIELDS, a tuple of fields"),
        ("FIELDS = (Flag('tame'),)", r"each of FIELDS in pets.py must be one of .* with a name, got Flag\('tame'\)"),
        ("FIELDS = (Text(name),)", r"got Text\(name\)"),
        (
            "FIELDS = (Text('a'),)\nEXPECTATIONS = Expectations(unique=('a', 'event_time', 'b'))",
            "pets.py: something is expected of 'b', which is none of its fields",
        ),
        (
            "FIELDS = (Number('a'),)\nEXPECTATIONS = Expectations(fresh_hours=1, bounds={'a': (0, 1), 'B': (0, 1)})",
            "pets.py: something is expected of 'B', which is none of its fields",
        ),
    ],
)
def test_types_that_can_not_be_read_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """A catalog without a column that rows have would hide it: what can't be read off stops the program."""
    (tmp_path / "handlers" / "lake" / "schemas").mkdir(parents=True)
    (tmp_path / "handlers" / "lake" / "schemas" / "pets.py").write_text(text)

    with pytest.raises(ValueError, match=message):
        types.record_types(tmp_path)
