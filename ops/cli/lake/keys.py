"""Business keys that occur more than once in silver. They are counted in a temporary file, not in memory."""

from __future__ import annotations

import io
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.cli.lake import footers
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.cli.target import Target

_SCHEMA = "CREATE TABLE seen (value TEXT PRIMARY KEY, count INTEGER) WITHOUT ROWID"
_ADD = "INSERT INTO seen VALUES (?, ?) ON CONFLICT (value) DO UPDATE SET count = count + excluded.count"


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Rows that have a value in the field, its values, those of them that occur more than once, some with how often."""

    rows: int
    values: int
    repeated: int
    most: list[tuple[str, int]]


def duplicates(  # noqa: PLR0913 - which field of what, and how it is counted
    found: Target, bucket: str, record_type: str, field: str, *, file: str, limit: int, advance: Callable[[int], None]
) -> Duplicates:
    """Values of a field that several rows of a type share, on whatever days.

    Raises:
        LabError: a file can't be read, or has no such field.
    """
    s3 = found.client("s3")
    database = sqlite3.connect(file)
    database.execute(_SCHEMA)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"silver/{record_type}/")
    with ThreadPoolExecutor(found.connections) as pool:
        for page in pages:
            listed = [one["Key"] for one in page.get("Contents", [])]
            for counts in pool.map(lambda key: _values(s3, bucket, key, field), listed):
                database.executemany(_ADD, counts)
                advance(1)
    rows, values = database.execute("SELECT coalesce(sum(count), 0), count(*) FROM seen").fetchone()
    repeated = database.execute("SELECT count(*) FROM seen WHERE count > 1").fetchone()[0]
    most = "SELECT value, count FROM seen WHERE count > 1 ORDER BY count DESC, value LIMIT ?"
    shown = database.execute(most, (limit,)).fetchall()
    database.close()
    return Duplicates(rows, values, repeated, shown)


def _values(s3: Any, bucket: str, key: str, field: str) -> list[tuple[str, int]]:  # noqa: ANN401 - a boto3 client
    """How often each value occurs in a file; rows without one have no key that could be shared."""
    import pyarrow as pa  # noqa: PLC0415 - as `footers`

    try:
        file = footers.parquet().ParquetFile(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
        if field not in file.schema_arrow.names:
            raise LabError(f"{key} has no field {field!r}; it has {', '.join(file.schema_arrow.names)}")
        counted = file.read(columns=[field])[field].cast(pa.string()).drop_null().value_counts()
    except pa.ArrowException as error:
        raise LabError(f"{key} can't be read: {error}") from error
    return [(one["values"], one["counts"]) for one in counted.to_pylist()]
