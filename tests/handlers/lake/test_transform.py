"""The transform: a chunk's rows end in silver or in quarantine, each once, under keys that a repetition shares."""

import gzip
import io
import json
import threading
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from handlers.errors import DownstreamError, SchemaValidationError
from handlers.grouping import sqs_id
from handlers.idempotency.claims import Status
from handlers.lake import output, step, store
from handlers.lake.errors import ObjectChangedError, ObjectGoneError, PartChangedError
from handlers.lake.lines import MAX_LINE_BYTES
from handlers.lake.message import Source
from tests.handlers.conftest import failures, record
from tests.handlers.fakes import client_error
from tests.handlers.lake.conftest import KEY, Lake, as_json, chunk, created, lines, shipment, table
from tests.handlers.lake.fakes import BRONZE, SILVER

_BY_DATE = """
    SELECT dt, count(*), sum(weight_kg), min(event_time) = max(event_time),
        any_value(typeof(event_time)), any_value(typeof(weight_kg))
    FROM read_parquet($1, hive_partitioning = true) GROUP BY dt ORDER BY dt
"""


def as_lines(entry: dict[str, Any]) -> list[int]:
    """The lines of a quarantine entry."""
    ends = [part.partition("-") for part in entry.get("lines", str(entry["line"])).split(",")]
    return [line for start, _, end in ends for line in range(int(start), int(end or start) + 1)]


Upload = Callable[..., dict[str, Any]]


def digest(etag: str, key: str = KEY) -> str:
    """The part of a file's name that says where its rows come from."""
    return Source(BRONZE, key, "", etag, 0).digest


def test_each_type_and_date_is_a_file(lake: Lake) -> None:
    """By the UTC date of `event_time`; the result names every file, and the counts agree."""
    late = shipment(3, event_time="2026-01-31T23:30:00-01:00")
    status = {"event_time": "2026-01-31T12:00:00Z", "shipment_id": "S-1", "status": "sent", "city": "Rome"}
    content = lines(shipment(1), late, {"n": 1}, status | {"record_type": "tracking_events"}, shipment(2))

    result = lake.process(content)

    name = digest(lake.aws.versions[BRONZE, KEY][0].etag)
    keys = [
        f"silver/shipments/dt=2026-01-31/{name}-000000000000.parquet",
        f"silver/shipments/dt=2026-02-01/{name}-000000000000.parquet",
        f"silver/tracking_events/dt=2026-01-31/{name}-000000000000.parquet",
    ]
    bad = f"quarantine/shipments/{name}-000000000000.jsonl"
    assert result == {
        "rows": 5,
        "silver": 4,
        "quarantined": 1,
        "files": [
            {"key": keys[0], "type": "shipments", "dt": "2026-01-31", "rows": 2},
            {"key": keys[1], "type": "shipments", "dt": "2026-02-01", "rows": 1},
            {"key": keys[2], "type": "tracking_events", "dt": "2026-01-31", "rows": 1},
        ],
        "quarantine": [bad],
    }
    assert set(lake.aws.silver()) == {*keys, bad}
    assert [row["shipment_id"] for row in lake.rows()] == ["S-1", "S-2", "S-3"]
    assert lake.quarantined() == [
        {
            "line": 3,
            "reason": "/event_time is required; /shipment_id is required; /origin is required; "
            "/destination is required; /carrier is required; /weight_kg is required",
            "errorType": "SchemaValidationError",
            "row": '{"n": 1}',
        }
    ]


def test_silver_is_read_by_duckdb_and_pyarrow(lake: Lake, tmp_path: Path) -> None:
    """As a partitioned table: `dt` comes from the path, types are the same in every file, no row is missing."""
    for day in (30, 31):
        rows = [shipment(n, event_time=f"2026-01-{day}T12:00:00Z", weight_kg=n) for n in range(1, 51)]
        lake.process(lines(*rows), f"bronze/shipments/{day}.jsonl")
    for key, content in lake.aws.silver().items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(content)

    import duckdb  # noqa: PLC0415 - every process that collects would wait for it

    asked = duckdb.connect().execute(_BY_DATE, [f"{tmp_path}/silver/shipments/*/*.parquet"]).fetchall()
    dataset = ds.dataset(tmp_path / "silver" / "shipments", partitioning="hive")

    assert [(str(dt), *rest) for dt, *rest in asked] == [
        (f"2026-01-{day}", 50, 1275.0, True, "TIMESTAMP WITH TIME ZONE", "DOUBLE") for day in (30, 31)
    ]
    assert (dataset.count_rows(), dataset.schema.names[-1]) == (100, "dt")
    assert dataset.to_table(filter=ds.field("dt") == "2026-01-30").num_rows == 50


def test_the_same_chunk_gives_the_same_bytes(lake: Lake) -> None:
    """Files of a redelivery are written over those that are there, and equal them."""
    content = lines(*(shipment(number) for number in range(3000)), b"bad")
    lake.process(content)
    first = lake.aws.silver()
    lake.process(content)

    assert lake.aws.silver() == first


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("form", ["jsonl", "ndjson", "json"])
def test_every_form_of_an_object_gives_the_same_rows(lake: Lake, form: str, compressed: bool) -> None:  # noqa: FBT001 - a case's parameter
    """JSON Lines and arrays, plain and gzip; lines are numbered from 1, elements too."""
    rows = [shipment(1), {"bad": 1}, shipment(2)]
    content = json.dumps(rows, indent=1).encode() if form == "json" else lines(*rows)
    key = f"bronze/shipments/a.{form}" + ".gz" * compressed

    result = lake.process(gzip.compress(content) if compressed else content, key)

    assert (result["rows"], result["silver"], result["quarantined"]) == (3, 2, 1)
    assert [row["shipment_id"] for row in lake.rows()] == ["S-1", "S-2"]
    assert [entry["line"] for entry in lake.quarantined()] == [2]


def test_a_truncated_gzip_gives_the_rows_before_the_break(lake: Lake) -> None:
    """The line that is cut off and all that is missing is one entry, and counts as one row."""
    content = lines(*(shipment(number) for number in range(1000)))
    packed = gzip.compress(content)
    whole = gzip.compress(content, mtime=0)
    assert len(packed) == len(whole)

    result = lake.process(packed[: len(packed) // 2], "bronze/shipments/a.jsonl.gz")

    assert 0 < result["silver"] < 1000
    assert (result["rows"], result["quarantined"]) == (result["silver"] + 1, 1)
    (entry,) = lake.quarantined()
    assert (entry["line"], entry["errorType"]) == (result["silver"] + 1, "TruncatedGzip")
    assert entry["row"] in content.decode()


def test_a_line_past_the_limit_is_skipped(lake: Lake) -> None:
    """50 MB of one line, whose beginning and length are kept; the rows around it are read."""
    result = lake.process(lines(shipment(1), b"x" * 50_000_000, shipment(2)))

    assert (result["rows"], result["silver"], result["quarantined"]) == (3, 2, 1)
    assert lake.quarantined() == [
        {
            "line": 2,
            "reason": f"the line has 50000001 bytes, at most {MAX_LINE_BYTES} are read",
            "errorType": "LineTooLongError",
            "row": "x" * 1024,
        }
    ]


def test_a_long_row_within_the_limit_is_a_row(lake: Lake) -> None:
    """Longer than Arrow's unit of work; its extra field is dropped."""
    result = lake.process(lines(shipment(1), shipment(2, note="x" * 5_000_000), shipment(3)))

    assert (result["silver"], result["quarantined"]) == (3, 0)


def test_blank_content_gives_nothing(lake: Lake) -> None:
    """No row, no file."""
    assert lake.process(b"\n \r\n") == {"rows": 0, "silver": 0, "quarantined": 0, "files": []}
    assert lake.aws.silver() == {}


def test_a_chunk_of_another_bucket_is_a_dead_letter_and_not_read(lake: Lake) -> None:
    """Who may write to the queue, or redrives an edited letter, is not to have other buckets read for them."""
    lake.aws.upload(KEY, lines(shipment(1)), bucket="another")
    payload = chunk(lines(shipment(1))).payload() | {"bucket": "another"}

    assert lake.transform(record("m", payload, key="k")) == failures()

    (letter,) = lake.aws.sent
    assert letter["MessageAttributes"]["errorType"]["StringValue"] == "ForeignBucketError"
    assert (lake.aws.reads, lake.aws.silver()) == ([], {})


def test_a_chunk_is_read_by_its_range_alone(lake: Lake) -> None:
    """Lines are numbered in the object; the files are named by where the chunk begins."""
    lake.chunk_bytes = 200
    content = lines(*(shipment(number) for number in range(1, 5)), b"bad", shipment(6))
    version = lake.aws.upload(KEY, content)
    lake.ingest(created(version.version_id, version.etag))
    messages = lake.deliveries()

    assert lake.transform(*messages) == failures()

    starts = [as_json(message["body"])["start"] for message in messages]
    assert len(starts) > 2
    assert [read["Range"] for read in lake.aws.reads[1:]] == [
        f"bytes={body['start']}-{int(str(body['end'])) - 1}"
        for body in (as_json(message["body"]) for message in messages)
    ]
    assert {(read["VersionId"], read["IfMatch"]) for read in lake.aws.reads} == {("v1", f'"{version.etag}"')}
    assert {key.rpartition("-")[2] for key in lake.aws.silver()} >= {f"{start:012d}.parquet" for start in starts}
    assert [row["shipment_id"] for row in lake.rows()] == ["S-1", "S-2", "S-3", "S-4", "S-6"]
    assert [entry["line"] for entry in lake.quarantined()] == [5]


def test_much_content_is_written_in_slices(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gzip stream can't be split, so that what it holds is written bit by bit, each file named by where it begins."""
    monkeypatch.setattr(step, "SLICE_BYTES", 1_000_000)
    monkeypatch.setattr("handlers.lake.lines.BLOCK_BYTES", 100_000)
    monkeypatch.setattr("handlers.lake.lines._STEP", 50_000)
    content = lines(*(shipment(number) for number in range(30_000)))

    result = lake.process(gzip.compress(content), "bronze/shipments/a.jsonl.gz")

    starts = [int(file["key"].rpartition("-")[2].removesuffix(".parquet")) for file in result["files"]]
    assert len(starts) == len(content) // 1_000_000 + 1
    assert all(start == 0 or content[start - 1 : start] == b"\n" for start in starts)
    assert (result["rows"], sum(file["rows"] for file in result["files"])) == (30_000, 30_000)
    assert [row["shipment_id"] for row in lake.rows()] == [f"S-{number}" for number in range(30_000)]


def test_many_bad_rows_are_written_in_slices(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its entry, however many there are."""
    monkeypatch.setattr(step, "QUARANTINE_BYTES", 1_000_000)
    monkeypatch.setattr("handlers.lake.rows._PART", 20_000)

    result = lake.process((b"x" * 50 + b"\n") * 20_000)

    assert (result["rows"], result["quarantined"], result["silver"]) == (20_000, 20_000, 0)
    assert len(result["quarantine"]) > 2
    assert [entry["line"] for entry in lake.quarantined()] == list(range(1, 20_001))


def test_short_bad_rows_share_entries(lake: Lake) -> None:
    """Three bytes of input are not 200 of quarantine: rows with one fault are told together, by their lines."""
    result = lake.process(b"{}\n" * 3 + b"[]\n\n{}\n" + lines(shipment(1)) + b"[]\n", "bronze/letters/a.jsonl")

    assert (result["rows"], result["quarantined"]) == (7, 7)
    assert [(entry["line"], entry.get("lines"), entry["row"]) for entry in lake.quarantined()] == [
        (1, "1-3,6", "{}"),
        (4, "4,8", "[]"),
        (7, None, json.dumps(shipment(1))),
    ]


@pytest.mark.parametrize("row", [b"{}\n", b"{}\n[]\n", b"{}\n\n", b"1\n{}\n[]\nx\n"])
def test_quarantine_is_within_a_few_times_of_what_was_read(lake: Lake, row: bytes) -> None:
    """However the short rows are mixed; none is left out of the count."""
    content = row * 20_000

    result = lake.process(gzip.compress(content), "bronze/shipments/a.jsonl.gz")

    assert result["quarantined"] == len(content.split())
    assert sum(map(len, lake.aws.silver().values())) < 5 * len(content)
    told = [line for entry in lake.quarantined() for line in as_lines(entry)]
    assert sorted(told) == [number for number, text in enumerate(content.split(b"\n"), 1) if text]


def daily(days: int, *, first: date = date(2020, 1, 1)) -> bytes:
    """A row for each day, in no order, and a bad one at the end."""
    rows = [shipment(n, event_time=f"{first + timedelta(days=n * 7919 % days)}T12:00:00Z") for n in range(days)]
    return lines(*rows, b"bad")


def all_parts(lake: Lake, content: bytes, key: str = KEY) -> list[dict[str, Any]]:
    """Works a chunk and then every message that it has sent; the results."""
    first = lake.process(content, key)
    bodies = [as_json(message["body"]) for message in lake.deliveries()]
    return [first, *(cast("dict[str, Any]", lake.transformer().process(body)) for body in bodies)]


def test_a_daily_series_of_four_years_goes_through(lake: Lake) -> None:
    """More files than a message may write: the rest are messages of their own, and every row is in one file, once."""
    results = all_parts(lake, daily(1461))

    assert [(one["rows"], one["silver"], len(one["files"])) for one in results] == [
        (501, 500, 500),
        (500, 500, 500),
        (461, 461, 461),
    ]
    assert [one.get("parts") for one in results] == [2, None, None]
    assert [one["quarantined"] for one in results] == [1, 0, 0]
    assert sorted(row["shipment_id"] for row in lake.rows()) == sorted(f"S-{n}" for n in range(1461))
    assert len([key for key in lake.aws.silver() if key.startswith("silver/")]) == 1461
    assert {one["start"] for one in map(as_json, (sent["MessageBody"] for sent in lake.aws.sent))} == {0}


def test_a_row_a_day_for_thirty_years_is_bounded_work(lake: Lake) -> None:
    """Each message writes at most 500 files, and its result fits its record; a part's key names its first file."""
    content = daily(10_957, first=date(1990, 1, 1))
    lake.first_day = date(1990, 1, 1)

    result = lake.process(content)

    parts = [as_json(sent["MessageBody"])["part"] for sent in lake.aws.sent]
    assert (len(result["files"]), result["parts"], len(parts)) == (500, 21, 21)
    assert parts[0] == "0/shipments/1991-05-16/500/500"
    assert parts[-1] == "0/shipments/2018-10-01/457/457"
    keys = [sent["MessageAttributes"]["idempotencyKey"]["StringValue"] for sent in lake.aws.sent]
    assert keys[0].endswith(f"/0-{len(content)}/0/shipments/1991-05-16")
    last = cast("dict[str, Any]", lake.transformer().process(as_json(lake.aws.sent[-1]["MessageBody"])))
    assert (last["rows"], len(last["files"]), last["files"][-1]["dt"]) == (457, 457, "2019-12-31")


def test_parts_go_through_the_worker_and_are_told(
    lake: Lake, uploaded: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As any message: claimed, recorded, announced; the chunk's own redelivery sends nothing that is worked again."""
    monkeypatch.setattr(output, "MAX_FILES", 2)
    content = daily(5)
    lake.chunk_bytes = 10_000
    lake.group_by = "/key"
    lake.ingest(uploaded(content))
    (first,) = lake.deliveries()

    assert lake.transform(first) == failures()
    parts = lake.deliveries()[1:]
    assert (
        lake.transform(*parts, *({**part, "messageId": f"again-{part['messageId']}"} for part in parts)) == failures()
    )

    assert [sent["MessageGroupId"] for sent in lake.aws.sent] == [sqs_id(KEY)] * 3
    assert len(parts) == 2
    assert len(lake.rows()) == 5
    assert len({told["key"] for told in lake.told("SilverPartitionReady")}) == 5
    assert len(lake.told("IngestionSuccess")) == 3
    assert {item["status"]["S"] for item in lake.aws.items.values()} == {"SUCCEEDED"}


def test_parts_of_sliced_content_are_cut_in_its_order(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gzip stream of several slices, each with each day: parts go on where the one before ended."""
    monkeypatch.setattr(output, "MAX_FILES", 2)
    monkeypatch.setattr(step, "SLICE_BYTES", 1)
    monkeypatch.setattr("handlers.lake.lines.BLOCK_BYTES", 500)
    monkeypatch.setattr("handlers.lake.lines._STEP", 100)
    rows = [shipment(n, event_time=f"2026-01-{n % 3 + 1:02d}") for n in range(30)]

    results = all_parts(lake, gzip.compress(lines(*rows)), "bronze/shipments/a.jsonl.gz")

    assert len(results) > 5
    assert {len(one["files"]) for one in results[:-1]} == {2}
    assert sorted(row["shipment_id"] for row in lake.rows()) == sorted(f"S-{n}" for n in range(30))
    assert sum(one["rows"] for one in results) == 30


def test_a_part_whose_rows_have_changed_is_refused(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The type allows less than when the chunk was counted: rows would be neither in silver nor in quarantine."""
    monkeypatch.setattr(output, "MAX_FILES", 2)
    lake.process(daily(3))
    before = lake.aws.silver()
    lake.first_day = date(2021, 1, 1)
    (part,) = lake.deliveries()

    with pytest.raises(PartChangedError, match="1 files with 1 rows were counted, now there are 0 files with 0 rows"):
        lake.transformer().process(as_json(part["body"]))
    assert lake.aws.silver() == before


@pytest.mark.parametrize("held", [0, output.HELD_BYTES], ids=["staged", "in memory"])
def test_a_chunk_that_is_refused_at_its_end_leaves_nothing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    """Good slices, and then S3 gives no more: not one file is in silver."""
    monkeypatch.setattr(output, "HELD_BYTES", held)
    monkeypatch.setattr(step, "SLICE_BYTES", 1)
    monkeypatch.setattr("handlers.lake.lines.BLOCK_BYTES", 1000)
    monkeypatch.setattr("handlers.lake.lines._STEP", 100)
    monkeypatch.setattr(store, "READ_BYTES", 1000)
    lake.aws.breaks = [4000, 0, 0]

    with pytest.raises(DownstreamError):
        lake.process(lines(*(shipment(n) for n in range(50)), b"bad"))

    assert lake.aws.silver() == {}
    assert lake.aws.sent == []


def test_many_files_wait_in_uploads(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit the memory is S3's to keep, and is shown at the end; the result is the same."""
    content = daily(20)
    expected = lake.process(content)
    files = lake.aws.silver()
    lake.aws.versions = {place: kept for place, kept in lake.aws.versions.items() if place[0] == BRONZE}
    monkeypatch.setattr(output, "HELD_BYTES", len(next(iter(files.values()))) * 3)
    lake.aws.calls.clear()

    etag = lake.aws.versions[BRONZE, KEY][0].etag
    assert lake.transformer().process(chunk(content, etag=etag).payload()) == expected

    assert lake.aws.silver() == files
    assert lake.aws.uploads == {}
    calls = Counter(lake.aws.calls)
    assert calls["CompleteMultipartUpload"] == calls["UploadPart"] == calls["CreateMultipartUpload"] >= 15
    assert calls["PutObject"] + calls["UploadPart"] == 21


def test_files_are_put_several_at_a_time(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there are connections: sixteen wait for each other here, and a serial putter would wait for ever."""
    meeting = threading.Barrier(output.AT_ONCE)
    put = lake.aws.put_object

    def together(**options: Any) -> dict[str, Any]:
        meeting.wait(timeout=20)
        return put(**options)

    monkeypatch.setattr(lake.aws, "put_object", together)

    assert lake.process(daily(output.AT_ONCE * 2 - 1))["silver"] == output.AT_ONCE * 2 - 1


def test_the_first_file_that_s3_refuses_is_told(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of several fails sooner."""
    put = lake.aws.put_object

    def refuse(**options: Any) -> dict[str, Any]:
        if "dt=2020-01-0" in options["Key"] and "dt=2020-01-01" not in options["Key"]:
            raise client_error("SlowDown", options["Key"])
        return put(**options)

    monkeypatch.setattr(lake.aws, "put_object", refuse)

    with pytest.raises(DownstreamError, match="dt=2020-01-02"):
        lake.process(daily(9))


def test_the_largest_result_fits_its_record(lake: Lake) -> None:
    """500 files, of the type with the longest name that ships."""
    row = {"shipment_id": "S", "status": "s", "city": "c"}
    rows = [row | {"event_time": f"20{20 + n // 300}-{n % 12 + 1:02d}-{n // 12 % 25 + 1:02d}"} for n in range(500)]

    result = lake.process(lines(*rows), "bronze/tracking_events/a.jsonl")

    assert len(result["files"]) == 500
    assert len(json.dumps(result)) < 128 * 1024


def test_every_file_is_announced_once_under_its_id(lake: Lake, uploaded: Upload) -> None:
    """`SilverPartitionReady` beside `IngestionSuccess`, from `myapp.lake`."""
    content = lines(shipment(1), shipment(2, event_time="2026-02-01"))
    notification = uploaded(content)
    lake.ingest(notification)
    lake.transform(*lake.deliveries())

    etag = notification["s3"]["object"]["eTag"]
    first, second = lake.told("SilverPartitionReady")
    assert first == {
        "eventId": first["eventId"],
        "pipeline": "lake",
        "type": "shipments",
        "dt": "2026-01-31",
        "bucket": SILVER,
        "key": f"silver/shipments/dt=2026-01-31/{digest(etag)}-000000000000.parquet",
        "rows": 1,
        "source": {
            "bucket": BRONZE,
            "key": KEY,
            "etag": etag,
            "start": 0,
            "end": len(content),
        },
    }
    assert second["dt"] == "2026-02-01"
    assert len({first["eventId"], second["eventId"]}) == 2
    assert [event["Source"] for event in lake.aws.events] == ["myapp.lake"] * 3
    assert len(lake.told("IngestionSuccess")) == 1


def test_a_redelivered_success_is_announced_again_from_its_record(lake: Lake, uploaded: Upload) -> None:
    """The events may have been lost in a crash: the same ones once more, and S3 is not touched."""
    lake.ingest(uploaded(lines(shipment(1))))
    (message,) = lake.deliveries()
    lake.transform(message)
    lake.aws.calls.clear()

    assert lake.transform(message) == failures()

    first, second = lake.told("SilverPartitionReady")
    assert first == second
    assert [call for call in lake.aws.calls if call.endswith("Object")] == []


def test_a_true_duplicate_announces_nothing(lake: Lake, uploaded: Upload) -> None:
    """Another message of the same chunk."""
    lake.ingest(uploaded(lines(shipment(1))))
    (message,) = lake.deliveries()
    lake.transform(message)

    assert lake.transform(message | {"messageId": "other"}) == failures()

    assert len(lake.aws.events) == 2


def test_an_announcement_that_fails_is_made_by_the_redelivery(lake: Lake, uploaded: Upload) -> None:
    """The message is kept until every event of it is told."""
    lake.ingest(uploaded(lines(shipment(1))))
    (message,) = lake.deliveries()
    lake.aws.entry_failures["PutEvents"] = lambda entry: (
        "InternalFailure" if entry["DetailType"] == "SilverPartitionReady" else ""
    )

    assert lake.transform(message) == failures(message["messageId"])
    lake.aws.entry_failures.clear()
    assert lake.transform(message) == failures()

    assert len(lake.told("SilverPartitionReady")) == 1


def test_a_stored_result_that_can_not_be_read_is_asked_for_again(lake: Lake, uploaded: Upload) -> None:
    """The redelivery is kept; nothing else of its batch fails with it."""
    lake.ingest(uploaded(lines(shipment(1))))
    (message,) = lake.deliveries()
    lake.transform(message)

    def refuse(name: str) -> None:
        if name == "GetItem":
            raise client_error("ThrottlingException")

    lake.aws.before = refuse
    assert lake.transform(message) == failures(message["messageId"])


def test_a_replay_deletes_the_quarantine_that_no_longer_holds(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema was wrong, not the row; a plain redelivery deletes nothing."""
    content = lines(shipment(1), shipment(2, carrier="x" * 300))
    result = lake.process(content)
    assert (result["silver"], list(result["quarantine"])) == (
        1,
        [key for key in lake.aws.silver() if "quarantine" in key],
    )
    monkeypatch.setattr("handlers.lake.model.Text.fault", lambda *_: "")
    monkeypatch.setattr("handlers.lake.validate._all_fit", lambda *_: True)

    etag = lake.aws.versions[BRONZE, KEY][0].etag
    lake.transformer().process(chunk(content, etag=etag).payload())
    assert [key for key in lake.aws.silver() if "quarantine" in key] == result["quarantine"]
    replayed = lake.transformer().process(chunk(content, etag=etag, replay="again").payload())

    assert isinstance(replayed, dict)
    assert (replayed["silver"], replayed["quarantined"]) == (2, 0)
    assert [key for key in lake.aws.silver() if "quarantine" in key] == []
    assert len(lake.rows()) == 2


@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        (lambda lake: lake.aws.versions.clear(), ObjectGoneError),
        (lambda lake: lake.aws.upload(KEY, b"other\n"), ObjectChangedError),
    ],
)
def test_an_object_that_is_not_there_any_more_is_dead_lettered(
    lake: Lake, uploaded: Upload, prepare: Callable[[Lake], Any], error: type[Exception]
) -> None:
    """Gone, or overwritten where there are no versions: no attempt can help, and no other bytes are read."""
    notification = uploaded(lines(shipment(1)))
    lake.ingest(notification)
    (message,) = lake.deliveries()
    message["body"] = json.dumps(as_json(message["body"]) | {"versionId": ""})
    prepare(lake)

    assert lake.transform(message) == failures()

    letter = lake.aws.sent[-1]
    assert letter["QueueUrl"] == "https://lake-dlq"
    assert letter["MessageAttributes"]["errorType"]["StringValue"] == error.__name__
    assert lake.aws.silver() == {}


def test_a_version_that_is_there_is_read_though_another_is_newer(lake: Lake, uploaded: Upload) -> None:
    """The message tells which one; the newer one has a notification of its own."""
    lake.ingest(uploaded(lines(shipment(1))))
    lake.aws.upload(KEY, lines(shipment(2)))

    assert lake.transform(*lake.deliveries()) == failures()

    assert [row["shipment_id"] for row in lake.rows()] == ["S-1"]


@pytest.mark.parametrize(
    ("call", "code"),
    [("GetObject", "SlowDown"), ("GetObject", "AccessDenied"), ("PutObject", "ServiceUnavailable")],
)
def test_s3_that_refuses_is_a_downstream_out(lake: Lake, uploaded: Upload, call: str, code: str) -> None:
    """Transient, and what the circuit breaker counts; the redelivery succeeds."""
    lake.ingest(uploaded(lines(shipment(1))))
    (message,) = lake.deliveries()

    def refuse(name: str) -> None:
        if name == call:
            raise client_error(code)

    lake.aws.before = refuse
    assert lake.transform(message) == failures(message["messageId"])
    key = message["messageAttributes"]["idempotencyKey"]["stringValue"]
    assert lake.aws.items[f"lake/{key}"]["errorType"]["S"] == DownstreamError.__name__
    lake.aws.before = lambda _name: None

    assert lake.transform(message) == failures()
    assert lake.aws.items[f"lake/{key}"]["status"]["S"] == Status.SUCCEEDED


def test_a_stream_that_breaks_is_taken_up_where_it_broke(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice in a chunk; every row is read once."""
    monkeypatch.setattr(store, "READ_BYTES", 100)
    content = lines(*(shipment(number) for number in range(10)))
    lake.aws.breaks = [300, 500]

    assert lake.process(content)["silver"] == 10

    assert [read["Range"] for read in lake.aws.reads] == [
        f"bytes={start}-{len(content) - 1}" for start in (0, 300, 800)
    ]


def test_a_stream_that_keeps_breaking_is_a_downstream_out(lake: Lake) -> None:
    """After 3 attempts; the message comes again."""
    lake.aws.breaks = [0, 0, 0]

    with pytest.raises(DownstreamError, match="broke at byte 0"):
        lake.process(lines(shipment(1)))


def test_what_is_no_chunk_is_refused(lake: Lake) -> None:
    """A message that somebody else has sent to the queue."""
    with pytest.raises(SchemaValidationError, match="/bucket is required"):
        lake.transformer().process({"orderId": "1"})


def test_the_log_has_counts_and_no_rows(
    lake: Lake, log_stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line a chunk; a bad row may hold anything, so nothing of it is told but in quarantine."""
    lake.process(lines(shipment(1), b"secret"))

    line = json.loads(log_stream.getvalue())
    assert {name: line[name] for name in ("message", "rows", "silver", "quarantined", "files")} == {
        "message": "chunk transformed",
        "rows": 2,
        "silver": 1,
        "quarantined": 1,
        "files": 1,
    }
    assert "secret" not in log_stream.getvalue() + capsys.readouterr().out


def test_files_are_small_and_without_the_date(lake: Lake) -> None:
    """No column `dt`, zstd in every column, a dictionary where values repeat."""
    lake.process(lines(*(shipment(number) for number in range(1000))))
    ((_, content),) = lake.aws.silver().items()

    assert "dt" not in table(content).schema.names
    assert len(content) < 20_000
    columns = [pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0).column(i) for i in range(6)]
    assert {column.compression for column in columns} == {"ZSTD"}
    assert [column.path_in_schema for column in columns if "RLE_DICTIONARY" in column.encodings] == [
        "origin",
        "destination",
        "carrier",
    ]


@pytest.mark.parametrize(
    ("event_time", "reason"),
    [
        ("2019-12-31T23:59:59.999999Z", "must lie on a day from 2020-01-01 to 2027-01-22, which is 7 days ahead"),
        ("2020-01-01T00:00:00Z", ""),
        ("2027-01-22T23:59:59.999999Z", ""),
        ("2027-01-23T00:00:00+00:00", "must lie on a day from 2020-01-01 to 2027-01-22, which is 7 days ahead"),
        ("2027-01-23T00:30:00+01:00", ""),
        ("2019-12-31T23:30:00-01:00", ""),
    ],
)
@pytest.mark.parametrize("mixed", [False, True], ids=["alone", "among bad ones"])
def test_rows_of_days_that_no_query_looks_for_are_quarantined(
    lake: Lake, event_time: str, reason: str, *, mixed: bool
) -> None:
    """Before the lake's first day and too far ahead of today, by UTC; whether or not a neighbour is bad as well."""
    result = lake.process(lines(shipment(1, event_time=event_time)) + (b"no row\n" if mixed else b""))

    assert (result["silver"], result["quarantined"]) == (0 if reason else 1, bool(reason) + mixed)
    found = [entry["reason"] for entry in lake.quarantined() if entry["line"] == 1]
    assert found == ([f"/event_time {reason}"] if reason else [])
