"""The lake in the control room: what became of objects, uploads, looks into silver and quarantine."""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

import pytest

from handlers.lake.lines import BadRow
from handlers.lake.message import Chunk, Kind, Part, Place, Source
from handlers.lake.quarantine import Entries
from ops.cli.lake.ledger import DONE, ChunkRecord, ObjectRecord
from ops.console import lake as lakes
from ops.console import peek
from ops.console.pages.lake import MOST_BYTES
from tests.ops.console.fakes import WholeStack, group
from tests.ops.console.served import Answer, FakeStack, Served, found, serving
from tests.ops.lake_work import Lake, lines, shipment

_SIZE = 20
_PART = Part(Place(0, "t", "2026-01-01"), 1, 1)


def _object(status: str, chunks: int = 0, error: str = "") -> ObjectRecord:
    return ObjectRecord("b/bronze/t/a#e", "bronze/t/a", "e", status, chunks, error)


def _chunk(  # each field that decides
    start: int,
    end: int,
    status: str = DONE,
    *,
    at: str = "1",
    replay: str = "",
    silver: int = 0,
    bad: int = 0,
    part: Part | None = None,
    parts: int = 0,
) -> ChunkRecord:
    source = Source("b", "bronze/t/a", "", "e", _SIZE, replay)
    chunk = Chunk(source, Kind("t", "any", "none"), start, end, 1, part)
    error = "" if status == DONE else "E: why"
    name = f"silver/{replay or 'first'}-{start}{'-part' if part else ''}"
    return ChunkRecord(chunk.key, chunk, status, at, silver, bad, {name: silver}, ("q",) * bool(bad), parts, error)


_TAKEN = [_object(DONE, 2)]


@pytest.mark.parametrize(
    ("objects", "chunks", "word", "rows"),
    [
        ([], [], "NO RECORD", (0, 0)),
        ([_object("INFLIGHT")], [], "INGESTING", (0, 0)),
        ([_object("RETRYING", error="E: why")], [], "RETRYING", (0, 0)),
        ([_object("FAILED", error="E: why")], [], "FAILED", (0, 0)),
        ([_object(DONE, 0)], [], "DONE", (0, 0)),  # an empty object
        (_TAKEN, [], "WORKING", (0, 0)),
        (_TAKEN, [_chunk(0, 10, silver=3)], "WORKING", (3, 0)),
        (_TAKEN, [_chunk(0, 10, silver=3), _chunk(10, 20, "INFLIGHT")], "WORKING", (3, 0)),
        (_TAKEN, [_chunk(0, 10, silver=3), _chunk(10, 20, "RETRYING")], "RETRYING", (3, 0)),
        (_TAKEN, [_chunk(0, 10, "FAILED"), _chunk(10, 20, silver=4)], "FAILED", (4, 0)),
        (_TAKEN, [_chunk(0, 10, silver=3, bad=1), _chunk(10, 20, silver=4)], "DONE", (7, 1)),
        (_TAKEN, [_chunk(10, 20, silver=4)], "WORKING", (4, 0)),
        # what was worked again counts as it was worked last; one that failed has been mended by that
        ([_object(DONE, 1)], [_chunk(0, 20, bad=5), _chunk(0, 20, at="2", replay="r", silver=5)], "DONE", (5, 0)),
        (
            [_object(DONE, 1)],
            [_chunk(0, 20, silver=5), _chunk(0, 20, "INFLIGHT", at="", replay="r")],
            "WORKING",
            (5, 0),
        ),
        ([_object(DONE, 1)], [_chunk(0, 20, "FAILED"), _chunk(0, 20, at="2", replay="r", silver=5)], "DONE", (5, 0)),
        ([_object(DONE, 1)], [_chunk(0, 20, "FAILED", at="2", replay="r"), _chunk(0, 20, silver=5)], "FAILED", (5, 0)),
        # a chunk of many days is done once its parts are
        ([_object(DONE, 1)], [_chunk(0, 20, silver=5, parts=1)], "WORKING", (0, 0)),
        ([_object(DONE, 1)], [_chunk(0, 20, silver=5, parts=1), _chunk(0, 20, silver=2, part=_PART)], "DONE", (7, 0)),
        ([_object(DONE, 1)], [_chunk(0, 20, silver=2, part=_PART)], "WORKING", (0, 0)),
    ],
)
def test_what_has_become_of_an_object(
    objects: list[ObjectRecord], chunks: list[ChunkRecord], word: str, rows: tuple[int, int]
) -> None:
    """By its records; in whatever order they come."""
    for order in (chunks, chunks[::-1]):
        fate = lakes.fate(_SIZE, objects, order)
        assert (fate.word, (fate.silver, fate.quarantined)) == (word, rows)
        assert bool(fate.error) is (word in {"FAILED", "RETRYING"})


class _Stack(FakeStack):
    """The stack of a lake at work."""

    counts_records = True

    def __init__(self, lake: Lake) -> None:
        super().__init__(**json.loads((lake.stage.emulator.home / "local.json").read_text())["outputs"])
        self._lake = lake

    def client(self, service: str) -> Any:
        return self._lake.client(service)


@pytest.fixture
def console(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The console of this lake; it reads the records each time."""
    monkeypatch.setattr(lakes, "_LEAST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(lakes, "_PAUSE", 0)
    with serving(found(_Stack(lake)), "dev") as served:
        yield served


def _upload(console: Served, name: str, content: bytes, kind: str = "shipments") -> Answer:
    """As a browser sends it."""
    mark = "--between--"
    parts = [
        f'name="type"\r\n\r\n{kind}',
        f'name="file"; filename="{name}"\r\nContent-Type: application/octet-stream\r\n\r\n',
    ]
    text = "".join(f"--{mark}\r\nContent-Disposition: form-data; {part}\r\n" for part in parts).encode()
    body = text.removesuffix(b"\r\n") + content + f"\r\n--{mark}--\r\n".encode()
    form = f"multipart/form-data; boundary={mark}"
    return console.send("POST", "/lake/upload", body, form, Origin=console.origin, HX_Request="true")


def _pills(text: str) -> list[str]:
    return re.findall(r'class="pill[^>]*>([^<]+)<', text)


def test_an_upload_is_followed_to_its_rows(console: Served, lake: Lake) -> None:
    """From the form to DONE; then its files can be looked into, and its rows counted beside the records."""
    content = lines(shipment(1), shipment(2, weight_kg="<b>"), b"{", shipment(3))
    text = _upload(console, "C:\\days\\day-1.jsonl.gz", gzip.compress(content)).text
    key = "bronze/shipments/day-1.jsonl.gz"
    assert gzip.decompress(lake.s3.get_object(Bucket=lake.stage.bucket, Key=key)["Body"].read()) == content
    assert _pills(text) == ["ON ITS WAY"]
    (again,) = re.findall(r'hx-get="([^"]+)"', text)

    assert lake.announced_work() == 1
    text = console.get(again.replace("&amp;", "&")).text
    assert _pills(text) == ["DONE"]
    assert "4 rows = 2 in silver + 2 in quarantine" in text
    assert "hx-trigger" not in text

    text = console.get(f"/lake/object?{urlencode({'key': key})}").text
    assert "<b>DONE</b> 1 of 1 chunk done" in text
    (silver,) = re.findall(r'href="(/lake/file[^"]+)"', text)
    (bad,) = re.findall(r'href="(/lake/quarantine[^"]+)"', text)
    text = console.get(silver).text
    assert "2 rows in " in text
    assert "<td>S-1</td>" in text
    assert ">timestamp[us, tz=UTC]</td>" in text
    text = console.get(bad).text
    assert "/weight_kg must be a number, got string" in text
    assert "&lt;b&gt;" in text
    text = console.get(f"/lake/object/count?{urlencode({'key': key})}").text
    assert "4 rows in the object = 2 in silver + 2 in quarantine" in text


def test_objects_are_listed_with_what_became_of_them(console: Served, lake: Lake) -> None:
    """The newest first, whoever put them; narrowed down by type and name. What is the same is not sent again."""
    lake.put("shipments/a.jsonl", lines(*[shipment(number) for number in range(30)], b"{"))
    lake.ingest("shipments/b.jsonl", lines(shipment(1)))
    lake.stage.put("tracking_events/c.csv")
    text = console.get("/lake").text

    rows = re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)[1:]
    assert {(unquote(re.findall(r"key=([^\"]+)", row)[0]), *_pills(row)) for row in rows} == {
        ("bronze/shipments/a.jsonl", "DONE"),
        ("bronze/shipments/b.jsonl", "WORKING"),
        ("bronze/tracking_events/c.csv", "IGNORED"),
    }
    (done,) = [row for row in rows if "a.jsonl" in row]
    assert re.findall(r'class="number[^>]*>([^<]*)<', done)[1:] == ["31", "30", "1"]
    first = console.get("/lake/live?type=shipments&prefix=a")
    assert "b.jsonl" not in first.text
    seen = first.headers["x-seen"]
    assert console.get(f"/lake/live?type=shipments&prefix=a&seen={seen}").status == 204


def test_bytes_that_lay_there_before_are_not_taken_for_these(console: Served, lake: Lake) -> None:
    """An object that was overwritten has records of its own."""
    lake.put("shipments/a.jsonl", lines(shipment(1), shipment(2)))
    lake.ingest("shipments/a.jsonl", lines(shipment(3)))
    assert _pills(console.get("/lake/live").text) == ["WORKING"]
    lake.work()
    text = console.get("/lake/object?key=bronze/shipments/a.jsonl").text
    assert "<b>DONE</b> 1 of 1 chunk done" in text
    assert "<b>1</b> rows" in text


def test_made_up_rows_are_put(console: Served, lake: Lake) -> None:
    """As many as are asked for, of the days just past, so that the lake takes them."""
    text = console.post("/lake/sample", type="tracking_events", rows="50", bad="100").text
    assert _pills(text) == ["ON ITS WAY"]
    (again,) = re.findall(r'hx-get="([^"]+)"', text)
    lake.announced_work()
    assert "50 rows = 0 in silver + 50 in quarantine" in console.get(again.replace("&amp;", "&")).text


@pytest.mark.parametrize(
    ("file", "kind", "told"),
    [
        (("", b""), "shipments", "Choose a file, or drop one here"),
        (("a.jsonl", b""), "shipments", "It is empty"),
        (("a.csv", b"{}"), "shipments", "Its name must end in"),
        (("_a", b"{}"), "shipments", "Its name must end in"),
        (("a.json", b"PK\3\4"), "shipments", "The lake can&#39;t read it: the object is a zip archive"),
        (("there.jsonl", b"{}"), "shipments", "bronze/shipments/there.jsonl is there already"),
        (("a.jsonl", b"{}"), "nothing", "One of invoice_lines, shipments, tracking_events"),
        (("a.jsonl", b"x" * (MOST_BYTES + 1)), "shipments", "At most 4 MiB here"),
    ],
)
def test_what_the_lake_would_not_take_is_refused_at_its_field(
    console: Served, lake: Lake, file: tuple[str, bytes], kind: str, told: str
) -> None:
    """Nothing is put."""
    lake.stage.put("shipments/there.jsonl")
    before = lake.stage.versions()
    text = _upload(console, *file, kind).text

    assert told in text
    assert text.count('aria-invalid="true"') == 1
    assert lake.stage.versions() == before


def test_more_than_a_small_file_is_not_read_to_its_end(console: Served) -> None:
    """It is refused as a whole."""
    answer = _upload(console, "a.jsonl", b"x" * (MOST_BYTES + 100_000))
    assert (answer.status, answer.text) == (413, "This is more than the console takes: at most 4 MiB")
    assert f'data-most="{MOST_BYTES}" data-refusal="At most 4 MiB here' in console.get("/lake").text


@pytest.mark.parametrize(
    "path",
    [
        "/lake/object?key=bronze/none.json",
        "/lake/object?key=other/a.json",
        "/lake/file?key=silver/none.parquet",
        "/lake/file?key=bronze/a.json",
        "/lake/quarantine?key=silver/none.parquet",
        "/lake/followed",
    ],
)
def test_what_is_not_there_is_said_to_be_none(console: Served, path: str) -> None:
    """Other folders than those that the page is for are none of its business."""
    assert "There is no such" in console.get(path).text


def test_what_can_not_be_looked_into_says_why(console: Served, lake: Lake) -> None:
    """Neither Parquet nor entries."""
    for key in ("silver/x.parquet", "quarantine/x.jsonl"):
        lake.s3.put_object(Bucket="lab-silver", Key=key, Body=b"{}\n")
    assert "it is no Parquet file that can be read" in console.get("/lake/file?key=silver/x.parquet").text
    assert "is no quarantine file" in console.get("/lake/quarantine?key=quarantine/x.jsonl").text


def test_quarantine_has_pages(console: Served, lake: Lake) -> None:
    """Fifty entries at a time, on to the last and back to the first."""
    entries = Entries()
    for line in range(120):
        entries.add(BadRow(line + 1, "SchemaValidationError", f"/field_{line} is required", "{}"))
    lake.s3.put_object(Bucket="lab-silver", Key="quarantine/many.jsonl", Body=entries.content())

    pages, path = [], "/lake/quarantine?key=quarantine/many.jsonl"
    while path:
        text = console.get(path).text
        pages.append(re.findall(r"/field_(\d+) is required", text))
        (path,) = [link.replace("&amp;", "&") for link in re.findall(r'href="([^"]+)">The next', text)] or [""]
    assert [(page[0], page[-1], len(page)) for page in pages] == [("0", "49", 50), ("50", "99", 50), ("100", "119", 20)]
    assert 'href="/lake/quarantine?key=quarantine%2Fmany.jsonl">The first of them</a>' in text
    assert "There is no such row" in console.get("/lake/quarantine?key=quarantine/many.jsonl&after=x").text


def test_a_large_parquet_file_is_known_by_its_end(tmp_path: Path) -> None:
    """Its schema and how many rows there are, but none of them; long values are cut."""
    import pyarrow as pa  # noqa: PLC0415 - 50 MB
    import pyarrow.parquet as pq  # noqa: PLC0415

    pq.write_table(pa.table({"n": list(range(40)), "t": ["x" * 300] * 40}), tmp_path / "a")
    content = (tmp_path / "a").read_bytes()
    whole = peek.parquet(content, is_whole=True)
    assert (whole.count, [*map(list, whole.fields)]) == (40, [["n", "int64"], ["t", "string"]])
    assert [row[0] for row in whole.rows] == [str(number) for number in range(20)]
    assert whole.rows[0][1] == "x" * 200 + "…"
    end = peek.parquet(content[4:], is_whole=False)
    assert (end.count, end.fields, end.rows) == (40, whole.fields, [])


def test_on_aws_the_state_table_is_read_only_for_who_asks() -> None:
    """Objects are listed without their state; the page does not ask again by itself."""
    stack = WholeStack(lake=group("lake", bronzeBucket="bronze", silverBucket="silver", ingestFunctionName="i"))
    stack.aws.objects = ["bronze/shipments/a.jsonl"]
    with serving(found(stack), "dev") as console:
        text = console.get("/lake").text
        page = text[text.index("<main") :]  # the head asks what is on now
        assert ("a.jsonl" in page, "every" in page, _pills(page)) == (True, False, [])
        assert "costs money" in console.get("/lake/object?key=bronze/shipments/a.jsonl").text
        assert stack.aws.calls["dynamodb scan"] == 0
        assert _pills(console.get("/lake?records=1").text) == ["NO RECORD"]
        assert stack.aws.calls["dynamodb scan"] == 1
        assert _pills(console.get("/lake/object?key=bronze/shipments/a.jsonl&records=1").text) == []
        stack.outputs["Production"] = True
        assert "Type the name of the stack" in console.post("/lake/sample", type="shipments", rows="1", bad="0").text
        assert stack.aws.calls["s3 put_object"] == 0
