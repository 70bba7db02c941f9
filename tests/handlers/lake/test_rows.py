"""Rows by columns: Arrow decides which are good, and a row never fares otherwise because of its neighbours."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pyarrow.json as pj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.lake import rows, schemas
from handlers.lake.lines import BadRow, Block
from handlers.lake.model import parse_time
from handlers.lake.rows import RowReader
from tests.handlers.lake.conftest import lines, shipment

TRACKING = {"event_time": "2026-01-31T12:00:00Z", "shipment_id": "S-1", "status": "in transit", "city": "Bergen"}
INVOICE = {
    "event_time": "2026-01-31T12:00:00Z",
    "invoice_id": "I-1",
    "sku": "A",
    "quantity": 3,
    "unit_price": 1.5,
    "line_total": 4.5,
}


def block(content: bytes, *, first_line: int = 1) -> Block:
    """The whole content."""
    return Block(content, first_line, 0, content.count(b"\n"))


def read(
    content: bytes, kind: str = "shipments", *, before: bytes = b""
) -> tuple[list[tuple[str, dict[str, Any]]], list[BadRow]]:
    """Good rows with their type, sorted, and bad rows, by a reader that has read something before."""
    reader = RowReader(kind, schemas.types())
    reader.read_whole(block(before))
    whole = reader.read_whole(block(content))
    parsed = [whole] if whole else list(reader.read_parts(block(content)))
    good = [(name, row) for one in parsed for name, table in one.tables for row in table.to_pylist()]
    return sorted(good, key=str), [row for one in parsed for row in one.bad]


def reasons(content: bytes, kind: str = "shipments") -> list[tuple[int, str, str]]:
    """The bad rows without what they said."""
    return [(row.line, row.error_type, row.reason) for row in read(content, kind)[1]]


def stored(row: dict[str, Any]) -> dict[str, Any]:
    """A good row as silver has it, where its time is UTC."""
    return row | {"event_time": datetime.fromisoformat(row["event_time"])}


def test_good_rows_are_read_at_once() -> None:
    """Types are those of the schema; extra fields are dropped; the record type may be said or not."""
    content = lines(shipment(1), shipment(2, extra={"a": [1]}), shipment(4, record_type="shipments"))
    whole = RowReader("shipments", schemas.types()).read_whole(block(content))
    assert whole

    ((kind, table),) = whole.tables
    assert kind == "shipments"
    assert [f"{f.name}: {f.type}{'' if f.nullable else ' not null'}" for f in table.schema] == [
        "event_time: timestamp[us, tz=UTC] not null",
        "shipment_id: string not null",
        "origin: string not null",
        "destination: string not null",
        "carrier: string not null",
        "weight_kg: double not null",
    ]
    assert table.to_pylist() == [stored(shipment(number)) for number in (1, 2, 4)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"carrier": None}, "/carrier is required"),
        ({"carrier": ""}, "/carrier must have 1 to 256 characters, got 0"),
        ({"carrier": "ä" * 257}, "/carrier must have 1 to 256 characters, got 257"),
        ({"carrier": 7}, "/carrier must be a string, got number"),
        ({"carrier": {"name": "DHL"}}, "/carrier must be a string, got object"),
        ({"weight_kg": "7"}, "/weight_kg must be a number, got string"),
        ({"weight_kg": True}, "/weight_kg must be a number, got boolean"),
        ({"weight_kg": -0.1}, "/weight_kg must be 0 or more"),
        ({"weight_kg": float("nan")}, "/weight_kg must be a finite number"),
        ({"weight_kg": float("inf")}, "/weight_kg must be a finite number"),
        ({"event_time": None}, "/event_time is required"),
        ({"event_time": 1769860800}, "/event_time must be a string, got number"),
        *(
            (
                {"event_time": text},
                "/event_time must be an ISO 8601 time from 1970 to 2099, such as 2026-01-31T12:00:00Z",
            )
            for text in ("", "yesterday", "2026-02-30T00:00:00Z", "1969-12-31T23:59:59Z", "2100-01-01T00:00:00Z")
        ),
        ({"record_type": 3}, "/record_type must be a string, got number"),
    ],
)
def test_a_bad_row_among_good_ones_is_told_with_its_reason(change: dict[str, Any], reason: str) -> None:
    """Its line and every fault; the rows around it are read."""
    good, bad = read(lines(shipment(1), shipment(2, **change), shipment(3)))

    assert good == [("shipments", stored(shipment(number))) for number in (1, 3)]
    assert [(row.line, row.error_type, row.reason) for row in bad] == [(2, "SchemaValidationError", reason)]
    assert bad[0].row == json.dumps(shipment(2, **change))[:1024]


@pytest.mark.parametrize(
    ("row", "error_type", "reason"),
    [
        (b"{", "SchemaValidationError", "is not JSON: Expecting property name enclosed in double quotes at column 2"),
        (b"nonsense", "SchemaValidationError", "is not JSON: Expecting value at column 1"),
        (b"[1]", "SchemaValidationError", "must be an object, got array"),
        (b"null", "SchemaValidationError", "must be an object, got null"),
        (b"{} {}", "SchemaValidationError", "is not JSON: Extra data at column 4"),
        (b"{} null {}", "SchemaValidationError", "is not JSON: Extra data at column 4"),
        (b"{}null{}", "SchemaValidationError", "is not JSON: Extra data at column 3"),
        (b'{"a": "\xff"}', "SchemaValidationError", "is not UTF-8: invalid byte 7"),
        (b'{"a": 01}', "SchemaValidationError", "is not JSON: Expecting ',' delimiter at column 8"),
        (b'{"a": "\t"}', "SchemaValidationError", "is not JSON: Invalid control character at at column 8"),
        (b'{"record_type": "unheard of"}', "UnknownRecordTypeError", "there is no record type 'unheard of'"),
    ],
)
@pytest.mark.parametrize("position", [0, 1, 2, 1500])
def test_a_malformed_row_harms_no_other(row: bytes, error_type: str, reason: str, position: int) -> None:
    """First, last, or in the middle of more rows than are tried together."""
    good = [shipment(number) for number in range(max(2, position + 100) if position > 2 else 2)]
    content = lines(*good[:position], row, *good[position:])

    assert reasons(content) == [(position + 1, error_type, reason)]
    assert len(read(content)[0]) == len(good)


def test_what_only_arrow_refuses_is_told_in_its_words() -> None:
    """A name that comes twice; Python's parser takes the last."""
    twice = json.dumps(shipment(2)).replace("}", ', "carrier": "UPS"}').encode()

    assert reasons(lines(shipment(1), twice)) == [
        (
            2,
            "MalformedRowError",
            "is not what Arrow reads: JSON parse error: Column(/carrier) was specified twice in row 0",
        )
    ]


def test_every_row_may_be_bad() -> None:
    """A thousand and more of them, in order."""
    content = lines(*(shipment(number, weight_kg="heavy") for number in range(1500)))

    assert [row.line for row in read(content)[1]] == list(range(1, 1501))
    assert read(content)[0] == []


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \n", b"\n\n", b"\n \t\r\n"])
@pytest.mark.parametrize("last", [b"", b"\n", b"\r\n"])
def test_line_ends_and_blank_lines_are_form(end: bytes, last: bytes) -> None:
    """CRLF, white space, blank lines, a last line without its newline: the rows are the same, numbers count lines."""
    content = end.join(json.dumps(row).encode() for row in (shipment(1), shipment(2), {})) + last

    good, bad = read(content)

    assert good == [("shipments", stored(shipment(number))) for number in (1, 2)]
    assert [row.line for row in bad] == [2 * end.count(b"\n") + 1]


def test_rows_with_the_same_fault_do_not_cost_a_parse_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that Arrow refuses shows what others have, in its block and in the next; what a good row has is no sign."""
    parses: list[int] = []
    read_json = pj.read_json

    def counted(data: Any, **options: Any) -> Any:
        parses.append(1)
        return read_json(data, **options)

    monkeypatch.setattr(pj, "read_json", counted)
    made = [shipment(number, **({"weight_kg": "heavy"} if number % 50 == 7 else {})) for number in range(3000)]
    heavy = [number + 1 for number in range(3000) if number % 50 == 7]
    why = "/weight_kg must be a number, got string"
    reader = RowReader("shipments", schemas.types())

    for expected in (2, 1):
        parsed = reader.read_whole(block(lines(*made)))
        assert parsed
        assert [(row.line, row.reason) for row in parsed.bad] == [(line, why) for line in heavy]
        ((_, table),) = parsed.tables
        assert table.to_pylist() == [stored(row) for row in made if row["weight_kg"] != "heavy"]
        assert len(parses) == expected
        parses.clear()

    made[100] = shipment(100, inner={"weight_kg": "heavy"})
    parsed = reader.read_whole(block(lines(*made)))
    assert parsed
    assert [row.line for row in parsed.bad] == heavy
    assert [table.num_rows for _, table in parsed.tables] == [3000 - len(heavy)]


def test_an_object_across_lines_is_as_many_bad_rows() -> None:
    """Arrow would read it, and a pair of objects on one line would make the count of rows agree."""
    pair = json.dumps(shipment(2)) + json.dumps(shipment(3))
    content = lines(shipment(1), json.dumps(shipment(9)).replace(", ", ",\n", 1).encode(), pair.encode())

    assert [(line, reason[:11]) for line, _, reason in reasons(content)] == [
        (2, "is not JSON"),
        (3, "is not JSON"),
        (4, "is not JSON"),
    ]


def test_the_rows_own_type_wins() -> None:
    """Types are mixed in one block; each row is read by its own schema, whatever the key said."""
    content = lines(
        shipment(1), TRACKING | {"record_type": "tracking_events"}, INVOICE | {"record_type": "invoice_lines"}, INVOICE
    )

    good, bad = read(content)

    assert good == [
        ("invoice_lines", stored(INVOICE)),
        ("shipments", stored(shipment(1))),
        ("tracking_events", stored(TRACKING)),
    ]
    assert [(row.line, row.reason.split(";")[0]) for row in bad] == [(4, "/shipment_id is required")]


def test_types_that_disagree_about_a_field_live_in_one_block() -> None:
    """`status` is a text here and a number that is dropped there."""
    content = lines(TRACKING, shipment(1, record_type="shipments", status=7), TRACKING)

    good, bad = read(content, "tracking_events")

    assert ([kind for kind, _ in good], bad) == (["shipments", "tracking_events", "tracking_events"], [])


@pytest.mark.parametrize("value", ["Inf", "-Inf", "1" * 5000], ids=["inf", "minus-inf", "long"])
def test_a_row_that_python_cannot_read_keeps_its_type(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow takes it where the field is dropped, and says its type, also where many neighbours are bad."""
    monkeypatch.setattr(rows, "_FEW", 2)
    dropped = f', "record_type": "tracking_events", "dropped": {value}}}'.encode()
    odd = json.dumps(TRACKING).encode()[:-1] + dropped + b"\n"
    good = [("tracking_events", stored(TRACKING))]

    assert read(odd) == (good, [])
    found, bad = read(odd + b"{}\n" * 5)
    assert (found, [row.line for row in bad]) == (good, [2, 3, 4, 5, 6])


@pytest.mark.parametrize("few", [1000, 0])
def test_a_row_of_no_type_that_python_cannot_read_is_bad(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not stop the others, and is told as any row of no type, or of one that it does not fit."""
    monkeypatch.setattr(rows, "_FEW", few)
    content = lines(b'{"a": Inf}', b'{"a": Inf, "record_type": "shipments"}', b'{"a": Inf, "record_type": 1}')

    unknown, unfit, malformed = reasons(content + lines(shipment(4, record_type="shipments")), "unheard_of")
    assert unknown == (1, "UnknownRecordTypeError", "there is no record type 'unheard_of'")
    assert unfit == (2, "MalformedRowError", "does not fit its schema")
    assert malformed[:2] == (3, "MalformedRowError")


def test_where_the_key_names_no_type_rows_must() -> None:
    """A row without one is bad; one with one is read."""
    content = lines(shipment(1), shipment(2, record_type="shipments"))

    good, bad = read(content, "letters")

    assert good == [("shipments", stored(shipment(2)))]
    assert [(row.line, row.reason) for row in bad] == [(1, "there is no record type 'letters'")]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31T00:30:00+02:00", "2026-01-30T22:30:00+00:00"),
        ("2026-01-31T12:00:00", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31", "2026-01-31T00:00:00+00:00"),
        ("2026-01-31T12:00:00z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31t12:00:00.5z", "2026-01-31T12:00:00.500+00:00"),
        ("20260131T120000Z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31T12:00:00.123456789Z", "2026-01-31T12:00:00.123456+00:00"),
    ],
)
@pytest.mark.parametrize("beside", ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00", "2026-W05"])
def test_times_are_stored_in_utc(text: str, utc: str, beside: str) -> None:
    """Without an offset they are UTC; finer than microseconds they are cut; other forms beside them change nothing."""
    good, bad = read(lines(shipment(1, event_time=text), shipment(2, event_time=beside)))

    assert bad == []
    assert {row["shipment_id"]: row["event_time"] for _, row in good}["S-1"] == datetime.fromisoformat(utc)


_DIGITS = st.integers(0, 70).map("{:02d}".format)
_TIMES = st.builds(
    "{}{}-{}-{}{}{}:{}{}{}{}".format,
    st.sampled_from(["", "-", "+"]),
    st.sampled_from(["0000", "1969", "1970", "2026", "2099", "2100", "9999"]),
    _DIGITS,
    _DIGITS,
    st.sampled_from(["T", " ", "t", ""]),
    _DIGITS,
    _DIGITS,
    st.just("") | _DIGITS.map(":{}".format),
    st.sampled_from(["", ".1", ".123456", ".1234567", ".", ",5"]),
    st.sampled_from(["", "Z", "z", "+00:00", "-23:59", "+24:00", "+0530", "+05", "UTC"]),
)
_ODD_TIMES = st.one_of(_TIMES, st.from_regex(r"\A20\d\d-[01]\d-[0-3]\d([T ][0-2]\d(:?[0-6]\d){0,2}(Z|[+-]\d\d)?)?\Z"))


@settings(max_examples=200, deadline=None)
@given(st.lists(_ODD_TIMES, min_size=1, max_size=4))
def test_arrow_and_python_read_the_same_times(texts: list[str]) -> None:
    """A time is good or bad by itself: which of the two readers looks at it depends on the times around it."""
    good, bad = read(lines(*(shipment(1, shipment_id=str(i), event_time=text) for i, text in enumerate(texts))))

    expected = {str(i): moment for i, text in enumerate(texts) if (moment := parse_time(text)) is not None}
    assert {row["shipment_id"]: row["event_time"] for _, row in good} == expected
    assert {row.line - 1 for row in bad} == {i for i, text in enumerate(texts) if str(i) not in expected}


_VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=3),
    st.just("x" * 257),
    st.just([]),
    st.just({}),
    st.sampled_from(["2026-01-31T12:00:00Z", "2026-01-31"]),
)
_ODD_ROW = st.one_of(
    st.builds(
        lambda name, value: shipment(1, **{name: value}), st.sampled_from([*shipment(), "record_type", "x"]), _VALUE
    ),
    st.builds(
        lambda name, value: INVOICE | {"record_type": "invoice_lines", name: value},
        st.sampled_from([*INVOICE, "x"]),
        _VALUE,
    ),
    st.sampled_from([TRACKING | {"record_type": "tracking_events"}, {}, shipment(1, record_type="none"), 3, "s", None]),
).map(lambda row: json.dumps(row).encode())
_MANGLED = st.builds(
    lambda row, at, put: row[: at % len(row)] + put + row[at % len(row) + 1 :],
    _ODD_ROW,
    st.integers(0, 300),
    st.sampled_from(
        [
            b"",
            b"}",
            b"{",
            b'"',
            b",",
            b"\xff",
            b"\\",
            b"NaN",
            b"Inf",
            b"\x00",
            b"\r",
            b"}{",
            b"1e999",
            b"null",
            b"}null{",
            b"\\ud800",
        ]
    ),
)
_GOOD_ROW = st.integers(1, 9).map(lambda number: json.dumps(shipment(number)).encode())


def _alone(texts: Iterable[bytes]) -> tuple[list[Any], list[Any]]:
    good, bad = [], []
    for number, text in enumerate(texts, 1):
        one_good, one_bad = read(text)
        good += one_good
        bad += [(number, row.error_type) for row in one_bad]
    return sorted(good, key=str), bad


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(_GOOD_ROW, _ODD_ROW, _MANGLED, st.binary(max_size=20)), max_size=8))
def test_a_row_is_judged_by_itself(texts: list[bytes]) -> None:
    """Good or bad, and as what, does not depend on the rows around it or before it; and none is lost or told twice."""
    texts = [text.replace(b"\n", b"") for text in texts]

    good, bad = read(b"\n".join(texts), before=b"\n".join(reversed(texts)))

    assert (good, [(row.line, row.error_type) for row in bad]) == _alone(texts)
    assert len(good) + len(bad) == len([text for text in texts if text.strip(b" \t\r")])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(_GOOD_ROW, _MANGLED), max_size=12), st.integers(1, 300))
def test_parts_of_a_block_know_their_place(texts: list[bytes], part: int) -> None:
    """Line numbers and rows are the same however small the parts are that a bad block is read by."""
    content = b"\n".join(text.replace(b"\n", b"") for text in texts)
    expected = read(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "_PART", part)
        patch.setattr(rows, "_FEW", -1 if part % 2 else 2)
        assert read(content) == expected


def test_offsets_of_parts_are_those_of_the_content(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice that begins with a part is named by it."""
    monkeypatch.setattr(rows, "_PART", 1)
    content = b"{}\n \n{}\n"

    parts = list(RowReader("shipments", {}).read_parts(Block(content, 7, 100, 3)))

    assert [(one.offset, [row.line for row in one.bad]) for one in parts] == [(100, [7]), (103, []), (105, [9])]


def test_times_read_by_arrow_are_in_range() -> None:
    """The first and the last microsecond that count."""
    texts = ["1970-01-01T00:00:00Z", "2099-12-31T23:59:59.999999Z"]

    good, _ = read(lines(*(shipment(1, event_time=text) for text in texts)))

    assert [row["event_time"] for _, row in good] == [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2099, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ]


def test_what_is_told_of_a_row_has_no_line_end() -> None:
    """Whoever finds it bad: a limit, Arrow's types, Arrow's words alone."""
    made = (shipment(1, weight_kg=-1), shipment(2, weight_kg="heavy"), shipment(3, carrier="\ud800"), shipment(4))
    texts = [json.dumps(row).encode() for row in made]

    for some in ([texts[0]], [texts[1]], [texts[2]], texts):
        _, bad = read(b"\r\n".join(some) + b"\r\n")
        assert [row.row.encode() for row in bad] == some[:3]
