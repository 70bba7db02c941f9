"""`lab lake check` on a lake at work: what agrees is fine, each kind of difference is found and named."""

import bz2
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.response import StreamingBody

from handlers.lake import output as step_output
from handlers.lake import silver
from ops.cli.lake import check, check_commands, footers
from ops.local.errors import LabError
from tests.ops.lake_work import SILVER, Lake, lines, shipment

_ROWS = [b'{"a": 1}', b'{"b": [{}]}', b'{"c": "}{"}']
_LINES = b"\n \r\n".join(_ROWS)
_ARRAY = b"[\n" + b",\n".join(_ROWS) + b"]"
_CONTAINERS = {
    "lines": ("a.jsonl", _LINES),
    "gzip without its suffix": ("a.jsonl", gzip.compress(_LINES)),
    "gzip with something behind it": ("a.jsonl.gz", gzip.compress(b"{}\n[]\n") + b"x"),
    "zstd": ("a.json", bytes(pa.compress(_LINES, "zstd", asbytes=True))),
    "bzip2 of an array": ("a.json.bz2", bz2.compress(_ARRAY)),
    "Records": ("a.json", b'{"Records": ' + _ARRAY + b"}"),
    "nothing between them": ("stream-1", b"".join(_ROWS)),
    "UTF-16": ("a.json", _ARRAY.decode().encode("utf-16")),
}


def _found(told: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["kind"], one["key"]) for one in told["first"]]


def test_fine(lake: Lake) -> None:
    """Records, files and rows of each object agree: chunks, gzip, an array, bad rows, replays; empty ones are none."""
    lake.put("shipments/day.jsonl", lines(*(shipment(n) for n in range(30)), b"", b"{"))
    lake.put("shipments/b ü.jsonl.gz", gzip.compress(lines(shipment(1), b"[]", shipment(2))))
    lake.put("shipments/c.json", gzip.compress(b"[%s,\n{]" % lines(shipment(1)).strip()))
    lake.put("shipments/tiny.jsonl.gz", gzip.compress(b"{}\n[]\n{}\n{}\n[]\n"))  # entries of several rows each
    lake.put("shipments/empty.jsonl", b"")
    lake.lab("replay-queue", "--again")
    lake.work()
    told = lake.told("check", "--count-source")

    rows = {"silver": 33, "quarantine": 9}
    assert told == {
        "objects": 5,
        "fine": 5,
        "records": rows,
        "files": rows,
        "sourceRows": 42,
        "problems": {},
        "first": [],
        "deleted": 0,
    }
    text = lake.lab("check")
    assert (text.exit_code, "5 of 5 objects are fine\n" in text.stdout) == (0, True)
    assert lake.told("check", "--start", (datetime.now(UTC) + timedelta(days=1)).isoformat())["problems"] == {}


def test_files_that_differ(lake: Lake) -> None:
    """A file that is gone, one with other rows, one that no record names, one that is no Parquet, bad rows too many."""
    key = lake.put("shipments/a.jsonl", lines(shipment(1), b"{"))
    (bad,) = lake.files("quarantine/")
    (good,) = lake.files("silver/")
    lake.s3.put_object(Bucket=SILVER, Key=bad, Body=lake.read(bad) * 2)
    assert _found(lake.told("check", code=1)) == [("rows", key)]
    lake.s3.delete_object(Bucket=SILVER, Key=bad)
    table = pq.read_table(io.BytesIO(lake.read(good)))
    lake.s3.put_object(Bucket=SILVER, Key=good, Body=silver.encode(pa.concat_tables([table, table])))
    stray = "silver/shipments/dt=2026-01-31/ffffffffffffffff-000000000000.parquet"
    lake.s3.put_object(Bucket=SILVER, Key=stray, Body=b"PAR1")
    lake.s3.put_object(Bucket=SILVER, Key="silver/shipments/notes.txt", Body=b"x")
    told = lake.told("check", code=1)

    assert sorted(_found(told)) == [
        ("missing", key),
        ("orphan", stray),
        ("orphan", "silver/shipments/notes.txt"),
        ("rows", key),
    ]
    assert (told["records"], told["files"]) == ({"silver": 1, "quarantine": 1}, {"silver": 2, "quarantine": 0})
    (told_rows,) = [one["detail"] for one in told["first"] if one["kind"] == "rows"]
    assert told_rows == f"{good} has 2 rows, its record says 1"
    lake.s3.put_object(Bucket=SILVER, Key=good, Body=b"PAR1")
    lake.s3.put_object(Bucket=SILVER, Key=bad, Body=b"[]")
    not_checked = [one["detail"] for one in lake.told("check", code=1)["first"] if one["kind"] == "notChecked"]
    assert {detail.partition(" is no ")[0] for detail in not_checked} == {good, bad}
    text = lake.lab("check", "--limit", "1")
    assert max(map(len, text.stdout.splitlines())) <= 80


def test_work_that_is_not_done(lake: Lake) -> None:
    """What waits in a queue, what nobody has announced, what has failed: none of it is fine."""
    waiting = lake.ingest("shipments/a.jsonl", lines(*(shipment(n) for n in range(20))))
    new = lake.stage.put("shipments/b.jsonl", lines(shipment(1)))
    told = lake.told("check", code=1)
    assert sorted(_found(told)) == [("incomplete", waiting), ("notIngested", new)]
    lake.work()
    assert _found(lake.told("check", code=1)) == [("notIngested", new)]

    _change(lake, waiting, status={"S": "INFLIGHT"})
    assert {kind for kind, _ in _found(lake.told("check", code=1))} >= {"unfinished"}
    _change(lake, waiting, status={"S": "FAILED"}, final={"BOOL": True})
    assert {kind for kind, _ in _found(lake.told("check", code=1))} == {"failed", "notIngested"}


def _change(lake: Lake, key: str, **values: Any) -> None:
    """Changes the records of all chunks of an object."""
    dynamodb = lake.client("dynamodb")
    for item in dynamodb.scan(TableName="state")["Items"]:
        if f"/{key}#" in item["idempotencyKey"]["S"] and "chunkBytes" not in item["payload"]["S"]:
            dynamodb.put_item(TableName="state", Item=item | values)


def test_source_with_other_lines(lake: Lake) -> None:
    """A record that counts other rows than the object has lines is found by counting those."""
    key = lake.put("shipments/a.jsonl", lines(shipment(1), shipment(2)))
    (file,) = lake.files()
    lake.s3.put_object(
        Bucket=SILVER, Key=file, Body=silver.encode(pq.read_table(io.BytesIO(lake.read(file))).slice(0, 1))
    )
    result = {"rows": 1, "silver": 1, "quarantined": 0, "files": [{"key": file, "rows": 1}]}
    _change(lake, key, result={"S": json.dumps(result)})
    assert lake.told("check")["problems"] == {}
    told = lake.told("check", "--count-source", code=1)
    assert (_found(told), told["sourceRows"]) == ([("source", key)], 2)


class _Given:
    """S3, which gives these bytes for any key."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def get_object(self, **_: Any) -> dict[str, Any]:
        return {"Body": StreamingBody(io.BytesIO(self._content), len(self._content))}


@pytest.mark.parametrize("name", _CONTAINERS)
def test_rows_of_every_container_are_counted(name: str) -> None:
    """As the lake counts them, whatever the object's name says of its content."""
    key, content = _CONTAINERS[name]
    assert check.count_rows(_Given(content), "b", f"bronze/shipments/{key}", "e") == 3


def test_rows_that_cannot_be_counted() -> None:
    """Are told with the reason, and are no mismatch."""
    with pytest.raises(LabError, match="its rows can't be counted: the object is a zip archive"):
        check.count_rows(_Given(b"PK\x03\x04"), "b", "bronze/shipments/a.json", "e")
    with pytest.raises(LabError, match="its name is none that the lake reads"):
        check.count_rows(_Given(b""), "b", "bronze/shipments/a.csv", "e")


def test_left_over(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that only superseded work names are told, and deleted on demand; nothing else is."""
    lake.put("shipments/a.jsonl", lines(shipment(1), shipment(2, event_time="2026-02-01T00:00:00Z")))
    first, second = lake.files()
    step = silver.partitions
    monkeypatch.setattr(
        silver, "partitions", lambda tables: [("2026-01-31", pa.concat_tables([rows for _, rows in step(tables)]))]
    )
    lake.lab("replay-queue", "--again")
    lake.work()
    told = lake.told("check", code=1)
    assert ([one["detail"] for one in told["first"]], told["problems"]) == ([second], {"leftOver": 1})
    assert lake.told("check", "--delete-left-over")["deleted"] == 1
    assert (lake.files(), lake.told("check")["problems"]) == ([first], {})


def test_parts_of_a_chunk(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that further messages of a chunk have written belong to it; until they are, the chunk is not done."""
    monkeypatch.setattr(step_output, "MAX_FILES", 2)
    days = [shipment(n, event_time=f"2026-01-{n + 1:02}T00:00:00Z") for n in range(5)]
    key = lake.put("shipments/a.jsonl", lines(*days, b"[]"))
    told = lake.told("check", "--count-source")
    assert (told["fine"], told["files"], len(lake.files("silver/"))) == (1, {"silver": 5, "quarantine": 1}, 5)

    dynamodb = lake.client("dynamodb")
    parts = [item for item in dynamodb.scan(TableName="state")["Items"] if '"part"' in item["payload"]["S"]]
    assert len(parts) == 2
    dynamodb.delete_item(TableName="state", Key={"idempotencyKey": parts[0]["idempotencyKey"]})
    assert _found(lake.told("check", code=1)) == [("unfinished", key)]


def test_records_that_have_expired(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is older than records live is not called fine, but its lines say whether it is all there."""
    key = lake.put("shipments/a.jsonl", lines(shipment(1), b"{"))
    lake.forget(key)
    assert {kind for kind, _ in _found(lake.told("check", code=1))} == {"orphan"}

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Later":
            return cls.fromtimestamp(datetime.now(tz).timestamp() + 8 * 86_400, tz)

    monkeypatch.setattr(check_commands, "datetime", Later)
    assert _found(lake.told("check", code=1)) == [("notChecked", key)]
    told = lake.told("check", "--count-source")
    assert (told["fine"], told["files"], told["sourceRows"]) == (1, {"silver": 1, "quarantine": 1}, 2)
    lake.s3.delete_object(Bucket=SILVER, Key=lake.files("silver/")[0])
    assert _found(lake.told("check", "--count-source", code=1)) == [("source", key)]


def test_footers_are_read_by_their_end(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is longer than what is read first is read as a whole; of the rest of a file nothing is."""
    lake.put("shipments/a.jsonl", lines(shipment(1)))
    monkeypatch.setattr(footers, "_TAIL", 100)
    assert lake.told("check")["files"] == {"silver": 1, "quarantine": 0}


def test_business_keys_that_repeat(lake: Lake) -> None:
    """Values of several rows are counted across files and days; no rows at all are no proof."""
    assert lake.told("check", "--unique", "shipment_id", "--type", "shipments", code=1)["rows"] == 0
    lake.put("shipments/a.jsonl", lines(shipment(1), shipment(2), shipment(3)))
    assert lake.told("check", "--unique", "shipment_id", "--type", "shipments")["repeated"] == 0
    lake.put("shipments/b.jsonl", lines(shipment(1), shipment(1, event_time="2026-02-01T00:00:00Z"), shipment(2)))
    told = lake.told("check", "--unique", "shipment_id", "--type", "shipments", code=1)
    assert told == {
        "rows": 6,
        "values": 3,
        "repeated": 2,
        "first": [{"value": "S-1", "rows": 3}, {"value": "S-2", "rows": 2}],
    }
    refused = lake.lab("check", "--unique", "nothing", "--type", "shipments")
    assert (refused.exit_code, "has no field 'nothing'; it has event_time, shipment_id" in refused.stderr) == (1, True)
    assert lake.lab("check", "--unique", "shipment_id").exit_code == 1
