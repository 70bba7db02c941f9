"""The lake end to end, as the only pipeline of its stack: an object in bronze, its rows in silver, exactly once."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from botocore.exceptions import ClientError

from ops.local import lambdas
from ops.local.deployer import deploy
from ops.local.emulator import Emulator
from tests.pipelines.lab import ROOT, Lab, wait_for
from tests.pipelines.lakes import Lake, await_known, lines, pause, ready_events, shipment
from tests.pipelines.redrives import finished

# A redelivery after a death comes after six of these times.
_CONFIG = {
    "pipelines": ["lake"],
    "lakeTransformTimeoutSeconds": 3,
    "lakeIngestTimeoutSeconds": 10,
    "retryBackoffBaseSeconds": 1,
    "retryBackoffMaxSeconds": 2,
}
_COLUMNS = [
    ("event_time", pa.timestamp("us", "UTC")),
    *((name, pa.string()) for name in ("shipment_id", "origin", "destination", "carrier")),
    ("weight_kg", pa.float64()),
    ("dt", pa.date32()),
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A stack with nothing but the lake."""
    home = tmp_path_factory.mktemp("lake")
    with Emulator.start(home) as emulator:
        made = deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=home / "local.json", config=_CONFIG)
        yield Lake(Lab(emulator, home, made))


@pytest.fixture
def calm(lake: Lake) -> Iterator[Lake]:
    """The stack, on which no fault is on afterwards."""
    yield lake
    lake.switch("none")


def test_rows_arrive_by_type_and_day(lake: Lake, tmp_path: Path) -> None:
    """Many chunks, three days, two types: every row once, read by two readers as the same types; an event per file."""
    rows = [shipment(i, day=1 + i % 3) for i in range(18_000)]
    strays = [
        {"event_time": "2026-03-01T00:00:00Z", "record_type": "tracking_events", "shipment_id": f"S-{i}"}
        | {"status": "late", "city": "Bergen"}
        for i in range(20)
    ]
    with ready_events(lake) as heard:
        done = lake.ingested(lake.put("bronze/shipments/2026/big file+1.jsonl", lines(rows + strays)))
        wait_for("an event for each file", lambda: len(heard()) >= len(done.files))
        told = heard()
    where = str(lake.fetch(done.files, tmp_path) / "silver")
    partitioning = ds.partitioning(pa.schema([("dt", pa.date32())]), flavor="hive")
    table = ds.dataset(f"{where}/shipments", partitioning=partitioning).to_table()
    files = f"read_parquet('{where}/shipments/**/*.parquet', hive_partitioning=true)"
    columns = "dt, count(*), sum(weight_kg), min(event_time) AT TIME ZONE 'UTC'"
    import duckdb  # noqa: PLC0415 - every process that collects would wait for it

    days = duckdb.execute(f"SELECT {columns} FROM {files} GROUP BY dt ORDER BY dt").fetchall()  # noqa: S608 - our own folder

    assert len(done.chunks) >= 3
    assert (done.silver, done.quarantined) == (18_020, 0)
    assert [(field.name, field.type) for field in table.schema] == _COLUMNS
    assert sorted(table["shipment_id"].to_pylist()) == [row["shipment_id"] for row in rows]
    assert [(str(day), count, weight, str(at)) for day, count, weight, at in days] == [
        (f"2026-03-0{1 + d}", 6000, sum(range(d, 18_000, 3)) / 4, f"2026-03-0{1 + d} 12:00:00") for d in range(3)
    ]
    assert ds.dataset(f"{where}/tracking_events", partitioning=partitioning).count_rows() == 20
    assert {event["detail"]["key"]: event["detail"]["rows"] for event in told} == {
        file["key"]: file["rows"] for chunk in done.chunks for file in chunk["files"]
    }
    assert {event["detail"]["bucket"] for event in told} == {lake.silver}


def test_the_same_object_again_adds_nothing(lake: Lake) -> None:
    """Put again and copied onto itself it is known; a copy that asks for it is worked again, over the same files."""
    key, body = "bronze/shipments/again.jsonl", lines([shipment(i) for i in range(50)])
    identity = lake.put(key, body)
    first = lake.ingested(identity)
    assert lake.put(key, body) == identity
    source = {"Bucket": lake.bronze, "Key": key}
    lake.s3.copy_object(
        Bucket=lake.bronze, Key=key, CopySource=source, MetadataDirective="REPLACE", Metadata={"a": "b"}
    )
    await_known(lake, identity, times=2)
    assert lake.versions(first.files[0]) == {first.files[0]: 1}

    replay = {"Metadata": {"replay": "r1"}, "MetadataDirective": "REPLACE"}
    lake.s3.copy_object(Bucket=lake.bronze, Key=key, CopySource=source, **replay)
    again = lake.ingested(f"{identity}~r1")

    assert (again.files, again.silver) == (first.files, 50)
    assert lake.versions(first.files[0]) == {first.files[0]: 2}


def test_new_content_is_another_object(lake: Lake) -> None:
    """Overwritten with other rows, both versions' rows are there: nothing that was accepted is lost."""
    key = "bronze/shipments/new.jsonl"
    first = lake.ingested(lake.put(key, lines([shipment(1)])))
    second = lake.ingested(lake.put(key, lines([shipment(2), shipment(3)])))

    assert (first.silver, second.silver) == (1, 2)
    assert set(first.files).isdisjoint(second.files)


def test_bad_rows_are_quarantined_with_line_and_reason(lake: Lake) -> None:
    """What came in is what is in silver and in quarantine; each bad row says where it stood and what is wrong."""
    good = [json.dumps(shipment(i)).encode() for i in range(4)]
    bad = [b"{not json", json.dumps(shipment(9, weight_kg=-1)).encode(), b'{"event_time": "\xff"}']
    body = b"\n".join([bad[0], good[0], good[1], b"", bad[1], good[2], bad[2], good[3]])
    done = lake.ingested(lake.put("bronze/shipments/bad.jsonl", body))
    (key,) = done.quarantine
    entries = [json.loads(line) for line in lake.read(key).splitlines()]

    assert (done.silver, done.quarantined, done.chunks[0]["rows"]) == (4, 3, 7)
    assert key.startswith("quarantine/shipments/")
    assert sorted(entry["line"] for entry in entries) == [1, 5, 7]
    assert all(entry["reason"] and entry["errorType"] for entry in entries)


def test_gzip_documents_and_empty_objects(lake: Lake) -> None:
    """One message for what can't be split, and none for what is empty."""
    rows = [shipment(i) for i in range(300)]
    zipped = lake.ingested(lake.put("bronze/shipments/z.jsonl.gz", gzip.compress(lines(rows))))
    array = lake.ingested(lake.put("bronze/shipments/a.json", json.dumps(rows).encode()))
    empty = lake.ingested(lake.put("bronze/shipments/empty.jsonl", b""))

    assert [(len(one.chunks), one.silver, one.quarantined) for one in (zipped, array, empty)] == [
        (1, 300, 0),
        (1, 300, 0),
        (0, 0, 0),
    ]


def test_worker_killed_in_the_middle(lake: Lake, tmp_path: Path) -> None:
    """A process that dies among its chunks leaves them to the redelivery: every row once, no file besides."""
    rows = [shipment(i, day=9) for i in range(50_000)]
    identity = lake.put("bronze/shipments/killed.jsonl", lines(rows))
    worker = lake.lab.outputs["lake"]["workerFunctionName"]
    lake.until(
        "a chunk at work", lambda: any(r["status"] == "INFLIGHT" for k, r in lake.records(identity).items() if k)
    )
    assert lambdas.kill(lake.lab.emulator, worker) > 0
    done = lake.ingested(identity)
    folder = lake.fetch(done.files, tmp_path) / "silver" / "shipments"

    assert (done.silver, done.quarantined) == (50_000, 0)
    assert max(done.attempts) > 1
    assert sorted(ds.dataset(folder).to_table()["shipment_id"].to_pylist()) == [row["shipment_id"] for row in rows]
    assert set(lake.versions("silver/shipments/dt=2026-03-09/")) == set(done.files)


def test_poison_is_dead_lettered_and_redriven(calm: Lake) -> None:
    """The chunk goes to the DLQ with its cause on its first attempt; redriven after the fix it becomes its file."""
    calm.switch("poison_payload")
    identity = calm.put("bronze/shipments/poison.jsonl", lines([shipment(1)]))
    dlq = calm.lab.outputs["lake"]["dlqUrl"]
    calm.until("a dead letter", lambda: calm.lab.depth(dlq) == 1)
    preview = calm.lab.call("GET", "/redrive/preview?pipeline=lake&minAgeSeconds=0")[1]
    calm.switch("none")
    started = calm.lab.call("POST", "/redrive/start", {"pipeline": "lake"})[1]
    run = finished(calm.lab, started["redriveId"])
    done = calm.ingested(identity)

    assert [m["errorType"] for m in preview["messages"]] == ["SchemaValidationError"]
    assert (run["state"], run["counts"]["moved"], calm.lab.depth(dlq)) == ("SUCCEEDED", 1, 0)
    assert (done.silver, done.attempts) == (1, [2])


def test_a_version_that_is_gone_is_dead_lettered(lake: Lake) -> None:
    """A chunk of an object that was deleted for good can't succeed: to the DLQ at once, with that cause."""
    mapping = pause(lake)
    identity = lake.put("bronze/shipments/gone.jsonl", lines([shipment(1)]))
    lake.until("the chunk in the queue", lambda: "" in lake.records(identity))
    for version in lake.s3.list_object_versions(Bucket=lake.bronze, Prefix="bronze/shipments/gone.jsonl")["Versions"]:
        lake.s3.delete_object(Bucket=lake.bronze, Key=version["Key"], VersionId=version["VersionId"])
    lake.lab.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=True)
    chunk = wait_for(
        "its record", lambda: [r for k, r in lake.records(identity).items() if k and r["status"] == "FAILED"]
    )

    assert chunk[0]["errorType"] == "ObjectGoneError"
    assert chunk[0]["attempts"] == "1"
    wait_for("the dead letter", lambda: lake.lab.depth(lake.lab.outputs["lake"]["dlqUrl"]) == 1)
    lake.lab.client("sqs").purge_queue(QueueUrl=lake.lab.outputs["lake"]["dlqUrl"])


def test_what_can_not_be_ingested_is_kept(lake: Lake) -> None:
    """A notice of an object that is gone is a dead letter with its cause; a redrive ingests those that are there."""
    outputs, dead = lake.lab.outputs["lake"], lake.lab.outputs["lake"]["noticesDlqUrl"]
    settings = lake.s3.get_bucket_notification_configuration(Bucket=lake.bronze)
    lake.s3.put_bucket_notification_configuration(Bucket=lake.bronze, NotificationConfiguration={})
    identity, gone = lake.put("bronze/shipments/late one.jsonl", lines([shipment(1)])), _notice(lake, "never.jsonl")
    lake.lab.client("sqs").send_message(QueueUrl=outputs["noticesUrl"], MessageBody=json.dumps(gone))
    lake.until("the dead letter", lambda: lake.lab.depth(dead) == 1)
    preview = lake.lab.call("GET", "/redrive/preview?pipeline=lake-notices&minAgeSeconds=0")[1]
    ingest = lake.lab.client("sqs", "lake-ingest")
    ingest.send_message(QueueUrl=dead, MessageBody=json.dumps(_notice(lake, "late one.jsonl")))
    started = lake.lab.call("POST", "/redrive/start", {"pipeline": "lake-notices"})[1]
    run = finished(lake.lab, started["redriveId"])

    assert [(m["errorType"], json.loads(m["body"])) for m in preview["messages"]] == [("ObjectGoneError", gone)]
    assert (run["state"], run["counts"]["moved"]) == ("SUCCEEDED", 2)
    assert lake.ingested(identity).silver == 1
    lake.until("the other again", lambda: lake.lab.depth(dead) == 1)
    lake.s3.put_bucket_notification_configuration(
        Bucket=lake.bronze, NotificationConfiguration={"QueueConfigurations": settings["QueueConfigurations"]}
    )


def _notice(lake: Lake, name: str) -> dict[str, Any]:
    """What S3 says of an object, or of a version that is not there."""
    found = lake.s3.list_object_versions(Bucket=lake.bronze, Prefix=f"bronze/shipments/{name}").get("Versions")
    version = {"versionId": found[0]["VersionId"] if found else "gone", "eTag": found[0]["ETag"][1:-1] if found else ""}
    thing = {"key": f"bronze/shipments/{name.replace(' ', '+')}", "size": 1, **version}
    s3 = {"bucket": {"name": lake.bronze}, "object": thing}
    return {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3}]}


@pytest.mark.parametrize(
    ("role", "call"),
    [
        ("lake-ingest", lambda s3, lake: s3.put_object(Bucket=lake.bronze, Key="bronze/shipments/x.jsonl", Body=b"")),
        ("lake-ingest", lambda s3, lake: s3.put_object(Bucket=lake.silver, Key="silver/x", Body=b"")),
        ("lake-ingest", lambda s3, lake: s3.list_objects_v2(Bucket=lake.silver)),
        ("lake-worker", lambda s3, lake: s3.put_object(Bucket=lake.bronze, Key="bronze/shipments/x.jsonl", Body=b"")),
        ("lake-worker", lambda s3, lake: s3.put_object(Bucket=lake.silver, Key="elsewhere/x", Body=b"")),
        ("lake-worker", lambda s3, lake: s3.delete_object(Bucket=lake.silver, Key="silver/shipments/x")),
        ("lake-worker", lambda s3, lake: s3.get_object(Bucket=lake.silver, Key="silver/shipments/x")),
        ("lake-breaker", lambda s3, lake: s3.list_objects_v2(Bucket=lake.bronze)),
    ],
)
def test_roles_can_do_no_more_than_their_work(lake: Lake, role: str, call: Any) -> None:
    """Under the emulator's IAM: no function writes bronze, ingest does not touch silver, nobody deletes rows."""
    with pytest.raises(ClientError, match="AccessDenied"):
        call(lake.lab.client("s3", role), lake)
