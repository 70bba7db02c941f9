"""What the lake's components and its handlers agree on: columns, days, prefixes."""

import pyarrow as pa
import pytest

from components.storage import catalog, lake_buckets, types
from handlers.lake import model, quarantine, schemas, silver, validate

_GLUE = {pa.string(): "string", pa.float64(): "double", pa.int64(): "bigint", pa.timestamp("us", "UTC"): "timestamp"}


@pytest.mark.parametrize("kind", sorted(schemas.types()))
def test_columns_of_the_catalog_are_those_of_the_files(kind: str) -> None:
    """The same names in the same order with the types that Glue has for Arrow's; a new type's too."""
    written = validate.silver_schema(schemas.types()[kind])

    assert list(types.record_types()[kind].items()) == [(field.name, _GLUE[field.type]) for field in written]


def test_catalog_has_every_type() -> None:
    """No type is written and can't be queried."""
    assert list(types.record_types()) == sorted(schemas.types())


def test_catalog_has_every_day_that_a_row_may_be_of() -> None:
    """No row is in the bucket and never found: both begin with the same setting and end as far ahead."""
    assert catalog.DAYS_AHEAD == model.DAYS_AHEAD


def test_files_go_where_the_worker_may_write_and_the_catalog_looks() -> None:
    """The prefixes of the grants and of the tables are those of the keys."""
    assert silver.key("shipments", "2026-01-31", "d", 0).startswith(
        f"{lake_buckets.SILVER_PREFIX}shipments/dt=2026-01-31/"
    )
    assert quarantine.key("shipments", "d", 0).startswith(lake_buckets.QUARANTINE_PREFIX)
