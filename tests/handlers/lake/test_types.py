"""What fields may be: columns decide, words explain, and both agree on every value."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal as Exact
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.lake.expectations import Expectations, check
from handlers.lake.explain import explain
from handlers.lake.lines import BadRow, Block
from handlers.lake.model import (
    EVENT_TIME,
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
)
from handlers.lake.rows import RowReader
from handlers.lake.validate import silver_schema

_TIME = "2026-01-31T12:00:00Z"
_EVERY = RecordType(
    "every",
    (
        Text("text", maximum=5),
        Text("maybe", optional=True, maximum=3),
        Number("number", minimum=-5, optional=True),
        Number("loose", from_text=True, optional=True),
        Integer("whole", maximum=9, optional=True),
        Integer("loose_whole", from_text=True, optional=True, source="looseWhole"),
        Boolean("flag", optional=True),
        Date("day", optional=True),
        Time("moment", optional=True),
        Time("epoch", optional=True, form="ms"),
        Decimal("money", 9, 2, minimum=-100, optional=True),
        Json("raw", optional=True, maximum=30),
        List("tags", Text("tag", maximum=3), maximum=3, optional=True),
        List("grid", List("line", Integer("cell")), optional=True),
        Object("place", (Text("city"), Number("lat", optional=True), Date("since", optional=True)), optional=True),
        List("items", Object("item", (Decimal("price", 5, 2), Boolean("new", optional=True))), optional=True),
    ),
)
_TYPES = {"every": _EVERY, "seconds": RecordType("seconds", (Text("a"),), Time(EVENT_TIME, source="ts", form="s"))}
_GOOD = {"event_time": _TIME, "text": "a"}


def read(*lines: str, kind: str = "every") -> tuple[list[dict[str, Any]], list[BadRow]]:
    """Good rows and bad rows of lines."""
    content = "\n".join(lines).encode()
    reader = RowReader(kind, _TYPES)
    block = Block(content, 1, 0, content.count(b"\n"))
    whole = reader.read_whole(block)
    parsed = [whole] if whole else list(reader.read_parts(block))
    rows = [row for one in parsed for _, table in one.tables for row in table.to_pylist()]
    return rows, [row for one in parsed for row in one.bad]


def with_raw(name: str, raw: str) -> str:
    """A good row with one more field, written so."""
    return f"{json.dumps(_GOOD)[:-1]}, {json.dumps(name)}: {raw}}}"


@pytest.mark.parametrize(
    ("name", "raw", "column", "value"),
    [
        ("maybe", "null", "maybe", None),
        ("number", "-5", "number", -5.0),
        ("loose", '"1.5e1"', "loose", 15.0),
        ("loose", "2", "loose", 2.0),
        ("looseWhole", '"-12"', "loose_whole", -12),
        ("looseWhole", "7", "loose_whole", 7),
        ("flag", "false", "flag", False),
        ("day", '"2024-02-29"', "day", date(2024, 2, 29)),
        ("moment", '"2026-01-31T00:30:00.5+02:00"', "moment", datetime(2026, 1, 30, 22, 30, 0, 500_000, UTC)),
        ("epoch", "1769860800123.4567", "epoch", datetime(2026, 1, 31, 12, 0, 0, 123_456, UTC)),
        ("epoch", '"1769860800123"', "epoch", datetime(2026, 1, 31, 12, 0, 0, 123_000, UTC)),
        ("money", "12.5", "money", Exact("12.50")),
        ("money", '"12.500"', "money", Exact("12.50")),
        ("money", "0.1", "money", Exact("0.10")),
        ("money", "-100", "money", Exact("-100.00")),
        ("money", "9999999.99", "money", Exact("9999999.99")),
        ("raw", '{"a": [1.10, 2]}', "raw", '{"a": [1.10, 2]}'),
        ("raw", '"text"', "raw", '"text"'),
        ("raw", "null", "raw", None),
        ("tags", '["a", "bcd"]', "tags", ["a", "bcd"]),
        ("tags", "[]", "tags", []),
        ("grid", "[[1, 2], [], [3]]", "grid", [[1, 2], [], [3]]),
        ("place", '{"city": "Cork", "x": 1}', "place", {"city": "Cork", "lat": None, "since": None}),
        ("items", '[{"price": 1.5}]', "items", [{"price": Exact("1.50"), "new": None}]),
    ],
)
def test_values_as_silver_holds_them(name: str, raw: str, column: str, value: object) -> None:
    """Whatever stands beside them."""
    for others in ([], [json.dumps(_GOOD)], ['{"bad": 1}']):
        rows, bad = read(*others, with_raw(name, raw))
        assert len(bad) == len([one for one in others if "bad" in one])
        assert rows[-1][column] == value
        assert rows[-1]["event_time"] == datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "raw", "reason"),
    [
        ("maybe", '"long"', "/maybe must have 1 to 3 characters, got 4"),
        ("loose", '"007"', "/loose must be a number, got string"),
        ("loose", '" 7"', "/loose must be a number, got string"),
        ("loose", "[]", "/loose must be a number, got array"),
        ("looseWhole", '"1.0"', "/looseWhole must be an integer, got a fraction"),
        ("looseWhole", '"9223372036854775808"', "/looseWhole must fit 64 bits"),
        ("flag", "1", "/flag must be true or false, got number"),
        ("flag", '"true"', "/flag must be true or false, got string"),
        ("day", '"2026-02-29"', "/day must be a date from 1583 on, such as 2026-01-31"),
        ("day", '"20260131"', "/day must be a date from 1583 on, such as 2026-01-31"),
        ("day", '"1582-12-31"', "/day must be a date from 1583 on, such as 2026-01-31"),
        ("day", '"0000-01-01"', "/day must be a date from 1583 on, such as 2026-01-31"),
        ("moment", '"noon"', "/moment must be an ISO 8601 time from 1970 to 2099, such as 2026-01-31T12:00:00Z"),
        ("epoch", "-1", "/epoch must be a time from 1970 to 2099, in milliseconds"),
        ("epoch", "1e14", "/epoch must be a time from 1970 to 2099, in milliseconds"),
        ("epoch", '"soon"', "/epoch must be a number of milliseconds since 1970"),
        ("money", "12.345", "/money must have at most 2 digits behind the point, or it would be rounded"),
        ("money", "10000000", "/money must have at most 7 digits before the point"),
        ("money", "9" * 38, "/money must have at most 7 digits before the point"),
        ("money", "-100.01", "/money must be -100 or more"),
        ("money", '"12,50"', "/money must be a number, or a text of one, got another text"),
        ("money", "true", "/money must be a number, or a text of one, got boolean"),
        ("raw", json.dumps("x" * 30), "/raw must have at most 30 characters as JSON, got 32"),
        ("tags", '["a", "long"]', "/tags/1 must have 1 to 3 characters, got 4"),
        ("tags", '["a", null]', "/tags/1 is required"),
        ("tags", '["a", 1]', "/tags/1 must be a string, got number"),
        ("tags", '["a", "a", "a", "a"]', "/tags must have at most 3 items, got 4"),
        ("tags", '"a"', "/tags must be an array, got string"),
        ("grid", "[[1], [1.5]]", "/grid/1/0 must be an integer, got a fraction"),
        ("place", "[]", "/place must be an object, got array"),
        ("place", '{"lat": 1}', "/place/city is required"),
        ("place", '{"city": "a", "since": "x"}', "/place/since must be a date from 1583 on, such as 2026-01-31"),
        (
            "items",
            '[{"price": 1}, {"price": 1.005}]',
            "/items/1/price must have at most 2 digits behind the point, or it",
        ),
    ],
)
def test_values_that_are_bad(name: str, raw: str, reason: str) -> None:
    """With their pointer, wherever they are; the rows beside them are read."""
    rows, bad = read(json.dumps(_GOOD), with_raw(name, raw), json.dumps(_GOOD))

    assert [(row.line, row.error_type) for row in bad] == [(2, "SchemaValidationError")]
    assert bad[0].reason.startswith(reason)
    assert len(rows) == 2


def test_a_name_twice_is_bad_though_its_field_is_lifted() -> None:
    """Python's parser would take the last one, and nobody would know."""
    assert [row.error_type for row in read(with_raw("loose", '1, "loose": 2'))[1]] == ["MalformedRowError"]
    assert [row.error_type for row in read(with_raw("raw", '1, "raw": 2'))[1]] == ["MalformedRowError"]


def test_the_time_may_have_another_name_and_be_a_number() -> None:
    """It is `event_time` in silver all the same."""
    rows, bad = read('{"ts": 1769860800.25, "a": "x"}', '{"ts": "x", "a": "x"}', '{"event_time": 1}', kind="seconds")

    assert rows == [{"event_time": datetime(2026, 1, 31, 12, 0, 0, 250_000, UTC), "a": "x"}]
    assert [row.reason for row in bad] == [
        "/ts must be a number of seconds since 1970",
        "/ts is required; /a is required",
    ]


def test_the_columns_of_every_type() -> None:
    """Null is only where it may be; numbers behind a point are exact."""
    assert [f"{one.name} {one.type}{'' if one.nullable else ' not null'}" for one in silver_schema(_EVERY)] == [
        "event_time timestamp[us, tz=UTC] not null",
        "text string not null",
        "maybe string",
        "number double",
        "loose double",
        "whole int64",
        "loose_whole int64",
        "flag bool",
        "day date32[day]",
        "moment timestamp[us, tz=UTC]",
        "epoch timestamp[us, tz=UTC]",
        "money decimal128(9, 2)",
        "raw string",
        "tags list<element: string>",
        "grid list<element: list<element: int64>>",
        "place struct<city: string, lat: double, since: date32[day]>",
        "items list<element: struct<price: decimal128(5, 2), new: bool>>",
    ]


_SCALARS = st.one_of(
    st.sampled_from(["null", "true", "0", "-0", "1.0", "1e2", "1.005", "12.50", "99999999", "1769860800123", "-7.5"]),
    st.sampled_from(
        ['""', '"a"', '"abcd"', '"7"', '"-1.50"', '"+1"', '".5"', '"5."', '"1e2"', '"007"', '"1_0"', '" 1"']
    ),
    st.sampled_from(['"2026-01-31"', '"2026-02-30"', f'"{_TIME}"', '"2026-01-31T12:00:00z"', '"NaN"', '"é"', "1e-3"]),
    st.integers(-(10**40), 10**40).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map("{:f}".format),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
_RAW = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda all_: f"[{', '.join(all_)}]")
        | st.dictionaries(st.sampled_from(["city", "lat", "since", "price", "new"]), inner, max_size=3).map(
            lambda found: "{" + ", ".join(f'"{name}":{value}' for name, value in found.items()) + "}"
        )
    ),
    max_leaves=6,
)
_LINE = st.builds(with_raw, st.sampled_from([one.key for one in _EVERY.fields[1:]]), _RAW)


@settings(max_examples=200, deadline=None)
@given(st.lists(_LINE, min_size=1, max_size=5))
def test_columns_and_words_agree(lines: list[str]) -> None:
    """A row is bad by itself or not at all, and where it is, words say why, but for what only Arrow refuses."""
    rows, bad = read(*lines)

    assert len(rows) + len(bad) == len(lines)
    told = {row.line - 1: row for row in bad}
    for number, line in enumerate(lines):
        alone = read(line)
        assert len(alone[1]) == (number in told)
        found = explain(line.encode(), "every", _TYPES)
        assert bool(found.reason) <= (number in told)
        if number in told and not found.reason:
            assert told[number].reason.startswith("is not what Arrow reads")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((Text("dt"),), "'dt' is the lake's own"),
        ((Text("event_time"),), "'event_time' is the lake's own"),
        ((Text("record_type"),), "'record_type' is the lake's own"),
        ((Text("Record_Type"),), "'Record_Type' is the lake's own"),
        ((Text("a"), Text("a")), "'a' is there already as 'a', and readers ignore case"),
        ((Text("id"), Text("ID")), "'ID' is there already as 'id', and readers ignore case"),
        ((Text(""),), "'' can't be a column"),
        ((Text("a b"),), "'a b' can't be a column"),
        ((Text("a-b"),), "'a-b' can't be a column"),
        ((Text("1a"),), "'1a' can't be a column"),
        ((Text("größe"),), "'größe' can't be a column"),
        ((Text("a" * 129),), "can't be a column"),
        ((), "must have fields"),
        ((Object("o", (Text("a"), Text("A"))),), "type.o: 'A' is there already as 'a'"),
        ((List("l", Object("o", (Text("a:b"),))),), "type.l: 'a:b' can't be a column"),
    ],
)
def test_names_that_break_readers_are_refused(fields: tuple[Field, ...], message: str) -> None:
    """When the type is loaded: not by every chunk, and not by Athena weeks later."""
    with pytest.raises(ValueError, match=r"^type") as refusal:
        RecordType("type", fields)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RecordType("Orders", (Text("a"),)), "'Orders' can't be the name of a type"),
        (lambda: RecordType("t", (Text("a", source="ts"),), Time(EVENT_TIME, source="ts")), "t reads 'ts' twice"),
        (lambda: RecordType("t", (Text("a"),), Time("ts")), "TIME must be named event_time"),
        (lambda: RecordType("t", (Text("a", source="record_type"),)), "t reads 'record_type' twice"),
        (lambda: RecordType("t", (List("a", Json("b")),)), "'a' holds what only a row itself can have"),
        (lambda: RecordType("t", cast("Any", Text("a"))), "t: FIELDS must be a tuple, which takes a comma"),
        (lambda: RecordType("t", (cast("Any", "a"),)), "t: 'a' is no field"),
        (lambda: RecordType("t", (List("a", cast("Any", "b")),)), "t: 'b' is no field"),
        (
            lambda: RecordType("t", (Time("a", cast("Any", "us")),)),
            "t: a must have one of the forms iso, s, ms",
        ),
        (lambda: RecordType("t", (Object("a", (Text("b", 5, 2),)),)), "t.a: b takes nothing between 5 and 2"),
        (lambda: RecordType("t", (Text("a"),), rows_at="items"), "t: ROWS_AT must be empty or begin with a slash"),
        (lambda: Decimal("a", 39, 2), "a precision of 1 to 38 and a scale of 0 to that, got 39 and 2"),
        (lambda: Decimal("a", 2, 3), "a precision of 1 to 38 and a scale of 0 to that, got 2 and 3"),
    ],
)
def test_types_that_can_not_be_are_refused(make: Any, message: str) -> None:
    """By themselves, too."""
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Expectations(unique=("b",)), "something is expected of b, which is none of its fields"),
        (Expectations(bounds={"c": (0, 1)}), "something is expected of c, which is none of its fields"),
        (Expectations(unique="a"), "unique must be a tuple of different names, got 'a'"),  # type: ignore[arg-type]
        (Expectations(unique=("a", "a")), r"unique must be a tuple of different names, got \('a', 'a'\)"),
        (Expectations(unique=("many",)), "many is a list or an object, which can't be unique"),
        (Expectations(bounds={"a": (0, 1)}), "a is no number, which bounds are for"),
        (Expectations(bounds={"n": (2, 1)}), "n can't lie between 2 and 1"),
        (Expectations(quarantine_percent=101), "quarantine_percent must be 0 to 100, got 101"),
        (Expectations(fresh_hours=0), "fresh_hours must be more than 0, got 0"),
        ({"unique": ("a",)}, "EXPECTATIONS must be Expectations, got"),
    ],
)
def test_expectations_that_no_day_could_be_checked_by_are_refused(wanted: Any, message: str) -> None:
    """When the type is loaded, not when its first day is checked."""
    fields = (Text("a"), Number("n"), List("many", Text("x")))
    kind = RecordType("tried", fields)
    check(kind, Expectations(unique=("a", "event_time"), bounds={"n": (0, None)}, quarantine_percent=0, fresh_hours=1))
    with pytest.raises(ValueError, match=f"tried: {message}"):
        check(kind, wanted)
