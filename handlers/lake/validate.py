"""Rows of one type in Arrow: how they are parsed, and which of them are good, by columns."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal as Exact
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from handlers.lake.lift import lifted_name
from handlers.lake.model import (
    EVER,
    FIRST_DATE,
    LAST_YEAR,
    RECORD_TYPE,
    Boolean,
    Date,
    Decimal,
    Field,
    Integer,
    Json,
    List,
    Number,
    Object,
    RecordType,
    Text,
    Time,
    Times,
    parse_date,
    parse_time,
)

TIME = pa.timestamp("us", "UTC")
_NAIVE = pa.timestamp("us")
_DIGITS = 76  # so many of a number are read at most, and more than are kept: Arrow's reader does not see an overflow
_PLAIN: dict[type[Field], pa.DataType] = {
    Text: pa.string(),
    Number: pa.float64(),
    Integer: pa.int64(),
    Boolean: pa.bool_(),
    Date: pa.string(),
    Json: pa.string(),
}
# Texts that Arrow is sure to take for a time, with an offset or without: a column of others is read one by one.
_DAY = "(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
_MOMENT = rf"^(?:19[7-9][0-9]|20[0-9][0-9])-{_DAY}[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{{1,6}})?"
_WITHOUT_OFFSET = f"{_MOMENT}$"
_WITH_OFFSET = f"{_MOMENT}(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])$"


@cache
def parse_schema(kind: RecordType) -> pa.Schema:
    """What a row looks like while it is read; times are still text."""
    fields = [(lifted_name(one) if one.is_lifted else one.key, _parsed(one)) for one in (kind.time, *kind.fields)]
    return pa.schema([*fields, (RECORD_TYPE, pa.string())])


@cache
def silver_schema(kind: RecordType) -> pa.Schema:
    """What a row looks like in silver: every column is there, and is never null unless it is optional."""
    return pa.schema([_stored(one, nullable=one.optional) for one in (kind.time, *kind.fields)])


def judge(table: pa.Table, kind: RecordType, limits: Times = EVER) -> tuple[pa.Table, pa.Array]:
    """The rows as silver holds them, and for each whether it is good; those that are not have to be filtered out."""
    times = _times(_whole(table[0]), kind.time)
    first, after = (pa.scalar(moment, TIME) for moment in (limits.first, limits.after))
    good = pc.fill_null(pc.and_(pc.greater_equal(times, first), pc.less(times, after)), fill_value=False)
    columns = [times]
    for i, field in enumerate(kind.fields, 1):
        column, fits = _judge(_whole(table[i]), field)
        if fits is not None:
            good = pc.and_(good, fits)
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=silver_schema(kind)), good


def _parsed(field: Field) -> pa.DataType:
    match field:
        case Decimal(scale=scale):
            return pa.decimal256(_DIGITS, scale)
        case Time(form="iso"):
            return pa.string()
        case Time():
            return pa.decimal256(_DIGITS, field.scale)
        case List(of=of):
            return pa.list_(_parsed(of))
        case Object(fields=fields):
            return pa.struct([pa.field(one.key, _parsed(one)) for one in fields])
    return _PLAIN[type(field)]


def _stored(field: Field, *, nullable: bool = True) -> pa.Field:
    match field:
        case Decimal(precision=precision, scale=scale):
            kind = pa.decimal128(precision, scale)
        case Time():
            kind = TIME
        case Date():
            kind = pa.date32()
        case List(of=of):
            kind = pa.list_(pa.field("element", _stored(of).type))
        case Object(fields=fields):
            kind = pa.struct([_stored(one) for one in fields])
        case _:
            kind = _PLAIN[type(field)]
    return pa.field(field.name, kind, nullable=nullable)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    whole = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole


def _judge(column: pa.Array, field: Field) -> tuple[pa.Array, pa.Array | None]:
    """The column as silver holds it, and which values are good; None where all of them are."""
    typed, fits = _CHECKS[type(field)](column, field)
    if column.null_count == 0 and fits is None:
        return typed, None
    if fits is None:
        return typed, None if field.optional else column.is_valid()
    return typed, pc.if_else(column.is_valid(), pc.fill_null(fits, fill_value=False), field.optional)


# Each gives the column as silver holds it, and which values fit the limits, where there are any; what it says of nulls
# has no meaning.
def _text(column: pa.Array, field: Field) -> tuple[pa.Array, pa.Array | None]:
    assert isinstance(field, Text | Json)  # noqa: S101 - by _CHECKS
    minimum = field.minimum if isinstance(field, Text) else 0
    if _all_fit(column, minimum, field.maximum):
        return column, None
    size = pc.utf8_length(column)
    return column, pc.and_(pc.greater_equal(size, minimum), pc.less_equal(size, field.maximum))


def _all_fit(column: pa.Array, minimum: int, maximum: int) -> bool:
    """Whether all texts fit even by their bytes, which are one to four a character: that is soon seen."""
    sizes = pc.min_max(pc.binary_length(column)).as_py()
    few, many = sizes["min"], sizes["max"]
    return few is None or (few > 4 * (minimum - 1) and many <= maximum)


def _number(column: pa.Array, field: Field) -> tuple[pa.Array, pa.Array | None]:
    assert isinstance(field, Number | Integer)  # noqa: S101 - by _CHECKS
    return column, _within(column, field.minimum, field.maximum, [pc.is_finite(column)])


def _decimal(column: pa.Array, field: Field) -> tuple[pa.Array, pa.Array | None]:
    assert isinstance(field, Decimal)  # noqa: S101 - by _CHECKS
    bound = pa.scalar(Exact(10) ** (field.precision - field.scale), column.type)
    fits = pc.and_(pc.less(column, bound), pc.greater(column, pc.negate(bound)))
    kept = column if pc.all(fits).as_py() is not False else pc.if_else(fits, column, None)
    typed = kept.cast(pa.decimal128(field.precision, field.scale))
    exact = [
        None if limit is None else pa.scalar(Exact(limit), column.type) for limit in (field.minimum, field.maximum)
    ]
    return typed, _within(column, exact[0], exact[1], [fits])


def _within(
    column: pa.Array, minimum: float | pa.Scalar | None, maximum: float | pa.Scalar | None, also: list[pa.Array]
) -> pa.Array | None:
    checks = list(also)
    if minimum is not None:
        checks.append(pc.greater_equal(column, minimum))
    if maximum is not None:
        checks.append(pc.less_equal(column, maximum))
    failed = [check for check in checks if pc.all(check).as_py() is False]
    if not failed:
        return None
    fits = failed[0]
    for check in failed[1:]:
        fits = pc.and_(fits, check)
    return fits


def _as_it_is(column: pa.Array, _field: Field) -> tuple[pa.Array, pa.Array | None]:
    return column, None


def _date(column: pa.Array, _field: Field) -> tuple[pa.Array, pa.Array | None]:
    try:
        days = column.cast(pa.date32())
    except pa.ArrowInvalid:
        days = _one_by_one(column, parse_date, pa.date32())
    fits = pc.greater_equal(days, pa.scalar(FIRST_DATE, pa.date32()))
    return days, pc.and_(fits, pc.less_equal(days, pa.scalar(date.max, pa.date32())))


def _time(column: pa.Array, field: Field) -> tuple[pa.Array, pa.Array | None]:
    assert isinstance(field, Time)  # noqa: S101 - by _CHECKS
    times = _times(column, field)
    return times, pc.and_(
        pc.greater_equal(times, pa.scalar(EVER.first, TIME)), pc.less(times, pa.scalar(EVER.after, TIME))
    )


def _list(column: pa.Array, field: Field) -> tuple[pa.Array, pa.Array | None]:
    assert isinstance(field, List)  # noqa: S101 - by _CHECKS
    items, fits = _judge(column.values, field.of)
    typed = pa.ListArray.from_arrays(column.offsets, items, type=_stored(field).type, mask=column.is_null())
    few = pc.less_equal(pc.list_value_length(column), field.maximum)
    if fits is None:
        return typed, few
    parents = pc.list_parent_indices(column)
    bad = pc.unique(parents.filter(pc.invert(fits)))
    return typed, pc.and_(few, pc.invert(pc.is_in(_numbers(len(column), parents.type), value_set=bad)))


def _numbers(count: int, kind: pa.DataType) -> pa.Array:
    return pa.array(range(count), kind)


def _object(column: pa.Array, field: Field) -> tuple[pa.Array, pa.Array | None]:
    assert isinstance(field, Object)  # noqa: S101 - by _CHECKS
    columns, good = [], None
    for i, one in enumerate(field.fields):
        typed, fits = _judge(column.field(i), one)
        columns.append(typed)
        if fits is not None:
            good = fits if good is None else pc.and_(good, fits)
    kind = _stored(field).type
    return pa.StructArray.from_arrays(columns, fields=list(kind), mask=column.is_null()), good


_CHECKS: dict[type[Field], Callable[[pa.Array, Field], tuple[pa.Array, pa.Array | None]]] = {
    Text: _text,
    Json: _text,
    Number: _number,
    Integer: _number,
    Decimal: _decimal,
    Boolean: _as_it_is,
    Date: _date,
    Time: _time,
    List: _list,
    Object: _object,
}


def _times(column: pa.Array, field: Time) -> pa.Array:
    """What a row says as a time in UTC; null where it is none, or lies outside of the years."""
    if field.form != "iso":
        return _epochs(column, field)
    text = column.cast(pa.binary())
    sign = pc.binary_slice(text, -6, -5)
    signed = pc.or_(pc.equal(sign, b"+"), pc.equal(sign, b"-"))
    has_offset = pc.fill_null(pc.or_(pc.equal(pc.binary_slice(text, -1), b"Z"), signed), fill_value=False)
    kinds = [(has_offset, TIME), (pc.and_not(column.is_valid(), has_offset), _NAIVE)]
    try:  # a cast that fails takes as long as reading the whole block does, so the kind of each is found out before
        return _by_kind(column, kinds)
    except pa.ArrowInvalid:
        pass
    for i, pattern in enumerate((_WITH_OFFSET, _WITHOUT_OFFSET)):
        matched = pc.match_substring_regex(column, pattern)
        kinds[i] = (pc.fill_null(matched, fill_value=False), kinds[i][1])
    left = pc.and_not(column.is_valid(), pc.or_(kinds[0][0], kinds[1][0]))
    return pc.replace_with_mask(_by_kind(column, kinds), left, _one_by_one(column.filter(left), parse_time, TIME))


def _by_kind(column: pa.Array, kinds: list[tuple[pa.Array, pa.DataType]]) -> pa.Array:
    """Times whose kind is known; the others are null."""
    for mask, kind in kinds:
        if column.null_count == 0 and pc.all(mask).as_py():
            return column.cast(kind).cast(TIME)
    result = pa.nulls(len(column), TIME)
    for mask, kind in kinds:
        result = pc.replace_with_mask(result, mask, column.filter(mask).cast(kind).cast(TIME))
    return result


def _one_by_one(
    column: pa.Array, parse: Callable[[str], datetime | None] | Callable[[str], date | None], kind: pa.DataType
) -> pa.Array:
    return pa.array([None if text is None else parse(text) for text in column.to_pylist()], kind)


def _epochs(column: pa.Array, field: Time) -> pa.Array:
    """Decimals of (milli)seconds as moments, cut to microseconds."""
    last = Exact((LAST_YEAR + 2 - 1970) * 366 * 86_400) * (1000 if field.form == "ms" else 1)
    fits = pc.and_(
        pc.greater_equal(column, pa.scalar(Exact(0), column.type)), pc.less(column, pa.scalar(last, column.type))
    )
    kept = pc.if_else(fits, column, None).cast(pa.decimal128(38, field.scale))
    micros = kept.cast(pa.decimal128(38, field.scale - 3), safe=False)
    # the same numbers without their point, which no function of Arrow's gives
    whole = pa.Array.from_buffers(pa.decimal128(38, 0), len(micros), micros.buffers(), offset=micros.offset)
    return whole.cast(pa.int64()).cast(TIME)
