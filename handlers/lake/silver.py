"""Good rows as Parquet: one file for each type and UTC date, the same bytes whenever the rows are the same."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from handlers.lake.model import EVENT_TIME

if TYPE_CHECKING:
    from datetime import date

CONTENT_TYPE = "application/vnd.apache.parquet"
_ROW_GROUP = 128 * 1024  # rows; a reader skips by them, and they bound what it holds
_COMPRESSION = "zstd"  # read by Athena, DuckDB and pyarrow; a third smaller than snappy at about its price
_LEVEL = 1
_SAMPLE = 4096  # rows


def key(kind: str, dt: str, digest: str, start: int, mark: str = "") -> str:
    """Where the rows of one type and date go, of the content that begins at `start`; `mark` is that of their file."""
    return f"silver/{kind}/dt={dt}/{digest}-{start:012d}{'-' * bool(mark)}{mark}.parquet"


def mark(content: bytes) -> str:
    """16 hex digits that tell a file from any other."""
    return hashlib.sha256(content).hexdigest()[:16]


def partitions(tables: Sequence[pa.Table]) -> Iterator[tuple[str, pa.Table]]:
    """The rows of one type by UTC date (`2026-01-31`), in order of date; within one they keep their order."""
    table = pa.concat_tables(tables)
    days = pc.cast(table[EVENT_TIME], pa.date32()).combine_chunks()
    counted: list[tuple[date, int]] = sorted(
        (one["values"], one["counts"]) for one in pc.value_counts(days).to_pylist()
    )
    if len(counted) == 1:
        yield counted[0][0].isoformat(), table
        return
    order, start = pc.array_sort_indices(days), 0  # it is stable
    table = table.combine_chunks()
    for day, rows in counted:
        yield day.isoformat(), table.take(order.slice(start, rows))
        start += rows


def encode(table: pa.Table) -> bytes:
    """The Parquet file of a table; the date is in its key and in no column."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression=_COMPRESSION,
        compression_level=_LEVEL,
        row_group_size=_ROW_GROUP,
        use_dictionary=_repeating(table),
        # A reader skips by bounds of numbers and times. Those of texts exclude nothing, since rows are not in their
        # order, and take as long as the columns' compression.
        write_statistics=[one.name for one in table.schema if not _is_text(one.type)],
    )
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _repeating(table: pa.Table) -> list[str]:
    """The text columns worth a dictionary; one of values that hardly repeat costs time and room."""
    sample = table.slice(0, _SAMPLE)
    texts = [field.name for field in table.schema if _is_text(field.type)]
    return [name for name in texts if 2 * pc.count_distinct(sample[name]).as_py() <= sample.num_rows]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind))
