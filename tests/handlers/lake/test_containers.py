"""One and the same row fares alike in every container, and whatever comes in is in silver or in quarantine."""

import bz2
import gzip
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.lake import documents, lines, step, store
from handlers.lake.errors import UnreadableObjectError
from handlers.lake.intake import NotIngestedError
from tests.handlers.conftest import FakeClock
from tests.handlers.lake.conftest import Lake, created, shipment
from tests.handlers.lake.fakes import FakeLake

_GOOD = json.dumps(shipment(7), separators=(",", ":")).encode()
_TRACKING = {
    "record_type": "tracking_events",
    "event_time": "2026-01-31T12:00:00Z",
    "shipment_id": "S-1",
    "status": "sent",
    "city": "Røros",
}


def _with(fields: bytes) -> bytes:
    """The good row with more members behind its own."""
    return _GOOD[:-1] + b"," + fields + b"}"


def _without(name: str, fields: bytes = b"") -> bytes:
    """The good row with one member less, and others in its place."""
    row = shipment(7)
    del row[name]
    return json.dumps(row, separators=(",", ":")).encode()[:-1] + (b"," + fields if fields else b"") + b"}"


_ROWS = [
    _GOOD,
    json.dumps(shipment(1, origin="Malmö"), ensure_ascii=False).encode(),
    json.dumps(shipment(2, origin="Malmö")).encode(),
    json.dumps(_TRACKING).encode(),
    _GOOD.replace(b":", b" : ").replace(b"T12 : 00 : 07", b"T12:00:07"),
    *(_without("carrier", b'"carrier":' + value) for value in (b"null", b'""', b"7", b"{}", b"[]", b"true", b'"x" ')),
    *(_without("carrier", b'"carrier":"%s"' % text) for text in (b"},{", b"][", rb"\"}\"", rb"\\", rb"\ud83d\ude00")),
    *(_without("carrier", b'"carrier":"%s"' % text) for text in (rb"\ud800", rb"\ud800x", rb"\udc00\ud800", b"\xff")),
    *(
        _without("carrier", b'"carrier":"%s"' % text)
        for text in (b"\t", rb"\q", rb"\u12", b"x" * 257, b"\xc3\xa4" * 256)
    ),
    *(_without("weight_kg", b'"weight_kg":' + number) for number in (b"0", b"-0.0", b"-1", b"1e3", b"1E400", b"01")),
    *(_without("weight_kg", b'"weight_kg":' + number) for number in (b"NaN", b"Infinity", b"+1", b".5", b"5.", b"0x1")),
    *(_without("weight_kg", b'"weight_kg":' + number) for number in (b"9" * 40, b"0." + b"1" * 60, b'"7"', b"tru")),
    *(
        _without("event_time", b'"event_time":"%s"' % time)
        for time in (b"", b"2026-02-30", b"2026-01-31T12:00:00+01:00")
    ),
    _without("event_time"),
    _with(b'"carrier":"UPS"'),
    _with(b'"note":' + b"[" * 40 + b"]" * 40),
    _with(b'"note":{"a":[{"b":1},{"b":2}]}'),
    _with(b'"note":' + b"9" * 5000),
    _with(b'"note":01'),
    _with(b'"note"'),
    _with(b""),
    _with(b'"record_type":"unheard of"'),
    _with(b'"record_type":7'),
    b"{}",
    b"[]",
    b"[1]",
    b"null",
    b"true",
    b"17",
    b'"text"',
    b"nonsense",
    _GOOD + b" x",
    b"{'a':1}",
    b'{"a" 1}',
    b'{"a":[1}}',
]


def _array(rows: list[bytes]) -> bytes:
    return b"[" + b",".join(rows) + b"]"


def _pretty(rows: list[bytes]) -> bytes:
    """Over many lines; a row that is no JSON stays as it is, since its reason tells a column."""
    return b"[\n  " + b",\n  ".join(map(_spread, rows)) + b"\n]\n"


def _spread(row: bytes) -> bytes:
    try:
        is_object = isinstance(json.loads(row), dict)
    except ValueError:
        return row
    return row.replace(b"{", b"{\n    ", 1).removesuffix(b"}") + b"\r\n  }" if is_object and row != b"{}" else row


def _lines(rows: list[bytes]) -> bytes:
    return b"\n".join(rows) + b"\n"


def _joined(layout: Callable[[list[bytes]], bytes], pack: Callable[[bytes], bytes] = bytes) -> Callable[..., bytes]:
    """Two files put together, each with a byte order mark."""

    def join(rows: list[bytes]) -> bytes:
        half = len(rows) // 2
        return b"".join(pack(b"\xef\xbb\xbf" + layout(part)) for part in (rows[:half], rows[half:]))

    return join


def _zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packer:
        packer.write(content)
    return bytes(sink.getvalue())


_CONTAINERS: dict[str, tuple[str, Callable[[list[bytes]], bytes]]] = {
    "lines": ("a.jsonl", _lines),
    "lines in a .json": ("a.json", _lines),
    "lines with CRLF": ("a.ndjson", b"\r\n".join),
    "joined lines": ("a.jsonl", _joined(_lines)),
    "array": ("a.json", _array),
    "array in a .jsonl": ("a.jsonl", _array),
    "array without a suffix": ("a", _array),
    "pretty array": ("a.json", _pretty),
    "joined arrays": ("a.json", _joined(_array)),
    "joined pretty arrays": ("a.json", _joined(_pretty)),
    "Records": ("a.json", lambda rows: b'{"Records":' + _array(rows) + b',"next":null}'),
    "features": ("a.geojson", lambda rows: b'{"type": "FeatureCollection",\n"features":' + _pretty(rows) + b"}"),
    "gzip": ("a.jsonl.gz", lambda rows: gzip.compress(_lines(rows))),
    "gzip without its suffix": ("a.jsonl", lambda rows: gzip.compress(_lines(rows))),
    "gzip of an array": ("a.json.gz", lambda rows: gzip.compress(_array(rows))),
    "members": ("a.jsonl.gz", _joined(_lines, gzip.compress)),
    "zstd": ("a.jsonl.zst", lambda rows: _zstd(_lines(rows))),
    "zstd frames of arrays": ("a.json", _joined(_array, _zstd)),
    "bzip2": ("a.json.bz2", lambda rows: bz2.compress(_pretty(rows))),
}
Verdicts = tuple[list[Any], list[tuple[int, str, str]]]


def _work(key: str, content: bytes) -> Verdicts:
    """Silver's rows by type, and the bad ones by number."""
    lake = Lake(FakeLake(), FakeClock())
    result = lake.process(content, f"bronze/shipments/{key}")
    good = [row for kind in ("shipments", "tracking_events") for row in lake.rows(kind)]
    bad = _bad_rows(lake)
    assert result["rows"] == len(good) + len(bad)
    return good, bad


def _bad_rows(lake: Lake) -> list[tuple[int, str, str]]:
    """Each bad row with its number, also where short ones share an entry."""
    found = []
    for entry in lake.quarantined():
        for part in entry.get("lines", str(entry["line"])).split(","):
            first, _, last = part.partition("-")
            numbers = range(int(first), int(last or first) + 1)
            found += [(number, entry["errorType"], entry["reason"]) for number in numbers]
    return sorted(found)


@pytest.fixture(scope="module")
def expected() -> Verdicts:
    """What each row comes to by itself, in JSON Lines, behind one that is good."""
    good: list[Any] = []
    bad: list[tuple[int, str, str]] = []
    (first,), _ = _work("a.jsonl", _lines([_GOOD]))
    for number, row in enumerate(_ROWS, 1):
        some, others = _work("a.jsonl", _lines([_GOOD, row]))
        some.remove(first)
        good += some
        bad += [(number, error_type, reason) for _, error_type, reason in others]
    return sorted(good, key=str), bad


@pytest.mark.parametrize("name", _CONTAINERS)
def test_a_row_fares_alike_in_every_container(name: str, expected: Verdicts) -> None:
    """Sixty odd rows: which are good, why the others are not, and their numbers."""
    key, contain = _CONTAINERS[name]

    good, bad = _work(key, contain(_ROWS))

    assert (sorted(good, key=str), bad) == expected


def test_the_rows_of_the_table_are_of_all_kinds(expected: Verdicts) -> None:
    """Else the table would show little."""
    good, bad = expected

    assert len(_ROWS) >= 60
    assert len(good) >= 15
    assert len({reason for _, _, reason in bad}) >= 25
    assert {error_type for _, error_type, _ in bad} == {
        "SchemaValidationError",
        "MalformedRowError",
        "UnknownRecordTypeError",
    }


def test_objects_with_nothing_between_them_fare_alike(expected: Verdicts) -> None:
    """As Kinesis Firehose writes them; what is no object would end where nobody knows."""
    rows = [row for row in _ROWS if row.startswith(b"{") and row.endswith(b"}")]
    good, bad = _work("stream-1-2026-11-28-08-00-00-0a1b", b"".join(rows))

    assert sorted(good, key=str) == expected[0]
    reasons = {_ROWS[number - 1]: (error_type, reason) for number, error_type, reason in expected[1]}
    assert bad == [(number, *reasons[row]) for number, row in enumerate(rows, 1) if row in reasons]


# Properties of anything


_MUTATIONS = st.lists(
    st.tuples(st.integers(0, 10**6), st.sampled_from([b"", *(bytes([i]) for i in range(256))])), max_size=4
)


@st.composite
def _anything(draw: st.DrawFn) -> tuple[str, bytes]:
    """Some rows of the table in some container, some of whose bytes are lost or others."""
    rows = draw(st.lists(st.sampled_from(_ROWS), min_size=1, max_size=8))
    key, contain = _CONTAINERS[draw(st.sampled_from([*_CONTAINERS]))]
    content = contain(rows)
    for place, byte in draw(_MUTATIONS):
        at = place % len(content)
        content = content[:at] + byte + content[at + 1 :]
    return key, content


@settings(deadline=None, max_examples=150)
@given(_anything(), st.integers(20, 2000), st.sampled_from([7, 100, 10**6]))
def test_every_row_is_somewhere_and_a_redelivery_changes_nothing(
    anything: tuple[str, bytes], size: int, read_bytes: int
) -> None:
    """For any bytes, chunk size and arrival: rows in are silver and quarantine together, the same however they come."""
    key, content = f"bronze/shipments/{anything[0]}", anything[1] or b"\n"
    lake = Lake(FakeLake(), FakeClock(), chunk_bytes=size)
    whole = Lake(FakeLake(), FakeClock(), chunk_bytes=10**9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK_BYTES", 300)
        patch.setattr(lines, "_STEP", 100)
        patch.setattr(documents, "_STEP", 64)
        patch.setattr(step, "SLICE_BYTES", 500)
        patch.setattr(store, "READ_BYTES", read_bytes)
        some = _counted(lake, key, content)
    others = _counted(whole, key, content)

    assert some == others


def _counted(lake: Lake, key: str, content: bytes) -> tuple[int, list[Any], list[str]]:
    """How many rows there are, the good ones, and why the others are not, once and after a redelivery."""
    version = lake.aws.upload(key, content)
    try:
        lake.ingest(created(version.version_id, version.etag, key))
    except NotIngestedError as exc:
        if not isinstance(exc.failures[0], UnreadableObjectError):
            raise
        return 0, [], []
    chunks = [json.loads(message["body"]) for message in lake.deliveries()]
    try:
        results: Any = [lake.transformer().process(one) for one in chunks]
    except UnreadableObjectError:
        assert lake.aws.silver() == {}
        return 0, [], []
    files = lake.aws.silver()
    again = [lake.transformer().process(one) for one in chunks]
    assert (again, lake.aws.silver()) == (results, files)
    good = sorted((row for kind in ("shipments", "tracking_events") for row in lake.rows(kind)), key=str)
    bad = [reason for _, _, reason in _bad_rows(lake)]
    assert sum(one["rows"] for one in results) == len(good) + len(bad)
    return len(good) + len(bad), good, sorted(bad)
