"""Rows of one type in Arrow: how they are parsed, and which of them are good, by columns."""

from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from handlers.lake.model import (
    EVENT_TIME,
    EVER,
    RECORD_TYPE,
    Field,
    Integer,
    RecordType,
    Text,
    Times,
    parse_time,
)

TIME = pa.timestamp("us", "UTC")
_NAIVE = pa.timestamp("us")
_ARROW_TYPES: dict[type[Field], pa.DataType] = {Text: pa.string(), Integer: pa.int64()}  # else a double


@cache
def parse_schema(kind: RecordType) -> pa.Schema:
    """What a row looks like while it is read; times are still text."""
    fields = [(field.name, _arrow_type(field)) for field in kind.fields]
    return pa.schema([(EVENT_TIME, pa.string()), *fields, (RECORD_TYPE, pa.string())])


@cache
def silver_schema(kind: RecordType) -> pa.Schema:
    """What a row looks like in silver: every column is there and is never null."""
    fields = [pa.field(field.name, _arrow_type(field), nullable=False) for field in kind.fields]
    return pa.schema([pa.field(EVENT_TIME, TIME, nullable=False), *fields])


def judge(table: pa.Table, kind: RecordType, limits: Times = EVER) -> tuple[pa.Table, pa.ChunkedArray]:
    """The rows as silver holds them, and for each whether it is good; those that are not have to be filtered out."""
    times = _times(table[EVENT_TIME])
    first, after = (pa.scalar(moment, TIME) for moment in (limits.first, limits.after))
    good = pc.and_(pc.greater_equal(times, first), pc.less(times, after))
    columns = [times]
    for field in kind.fields:
        column = table[field.name]
        good = pc.and_(good, _is_good(column, field))
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=silver_schema(kind)), pc.fill_null(good, fill_value=False)


def _arrow_type(field: Field) -> pa.DataType:
    return _ARROW_TYPES.get(type(field), pa.float64())


def _is_good(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray | pa.Scalar:
    """For each value, or for all at once, whether it lies within the field's limits; null where there is none."""
    if isinstance(field, Text):
        if _all_fit(column, field):
            return pa.scalar(value=True)
        size = pc.utf8_length(column)
        return pc.and_(pc.greater_equal(size, field.minimum), pc.less_equal(size, field.maximum))
    good = pc.is_finite(column)
    good = pc.if_else(pc.is_null(column), None, good)
    if field.minimum is not None:
        good = pc.and_(good, pc.greater_equal(column, field.minimum))
    if field.maximum is not None:
        good = pc.and_(good, pc.less_equal(column, field.maximum))
    return good


def _all_fit(column: pa.ChunkedArray, field: Text) -> bool:
    """Whether all texts fit even by their bytes, which are one to four a character: that is soon seen."""
    sizes = pc.min_max(pc.binary_length(column), min_count=1).as_py()
    few, many = sizes["min"], sizes["max"]
    return not column.null_count and few is not None and few > 4 * (field.minimum - 1) and many <= field.maximum


def _times(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as times in UTC; null where they are none.

    Arrow reads a column whose times are all of one kind; one that it does not take as a whole is read one by one.
    """
    for kind in (TIME, _NAIVE):
        try:
            return column.cast(kind).cast(TIME)
        except pa.ArrowInvalid:
            continue
    read = [None if text is None else parse_time(text) for text in column.to_pylist()]
    return pa.chunked_array([pa.array(read, TIME)])
