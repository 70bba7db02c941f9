"""The truth about the lake: objects put into bronze, and every row of them found again in silver or in quarantine."""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import pyarrow.parquet as pq

from tests.live.book import Book, text
from tests.live.consumer import Consumer
from tests.live.stage import Stage
from tests.live.wire import Call

_DATES = ("2026-03-01", "2026-03-02")


class Row(NamedTuple):
    """A row as it is looked for: where it is to be, and by what it is known."""

    place: str  # a date, or "quarantine"
    name: str


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An object in bronze, whose rows nobody else has. ``replay`` says that it is one."""

    bucket: str
    key: str
    version_id: str
    etag: str
    content: bytes
    rows: tuple[Row, ...]
    replay: str = ""

    @property
    def identity(self) -> str:
        """The key of its own record."""
        return f"{self.bucket}/{quote(self.key)}#{self.etag}" + (f"~{self.replay}" if self.replay else "")

    def notice(self) -> dict[str, Any]:
        """What S3 says of it."""
        described = {"key": self.key, "versionId": self.version_id, "eTag": self.etag, "size": len(self.content)}
        return {
            "Records": [
                {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": self.bucket}, "object": described}}
            ]
        }


class LakeBook(Book):
    """Puts objects into bronze and says what became of them."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage, "lake")
        self.notices = Consumer(stage, stage.function("lake-ingest"), self.outputs["noticesUrl"])
        self.s3 = stage.root("s3")

    def put(self, lines: int, *, bad: bool = True, replay: str = "") -> Stored:
        """An object of so many lines on two dates; where some are to be bad, every third is no row."""
        name, key = uuid4().hex, f"bronze/shipments/{uuid4()}.jsonl"
        made = [_line(f"{name}-{i}", _DATES[i // 3 % 2], bad=bad and i % 3 == 1) for i in range(lines)]
        content = b"".join(line for _, line in made)
        metadata = {"replay": replay} if replay else {}
        bucket = self.outputs["bronzeBucket"]
        answer = self.s3.put_object(Bucket=bucket, Key=key, Body=content, Metadata=metadata)
        return Stored(
            bucket=bucket,
            key=key,
            version_id=answer["VersionId"],
            etag=answer["ETag"].strip('"'),
            content=content,
            rows=tuple(row for row, _ in made),
            replay=replay,
        )

    def announce(self, stored: Stored) -> None:
        """Tells of an object as S3 does."""
        self.stage.root("sqs").send_message(QueueUrl=self.notices.queue_url, MessageBody=json.dumps(stored.notice()))

    def sends(self) -> list[Call]:
        """The calls by which ingest has sent chunks."""
        return [
            call
            for call in self.stage.wire.calls
            if (call.function, call.operation) == ("lake-ingest", "SendMessageBatch")
            and call.params["QueueUrl"] == self.queue_url
        ]

    def delete(self, stored: Stored) -> None:
        """Deletes an object's version: it is gone for good."""
        self.s3.delete_object(Bucket=stored.bucket, Key=stored.key, VersionId=stored.version_id)

    def quarantine(self, stored: Stored) -> None:
        """Leaves a quarantine file as if an earlier run of an object that is one chunk had found a bad row."""
        digest = hashlib.sha256(f"{stored.bucket}/{stored.key}#{stored.etag}".encode()).hexdigest()[:16]
        key = f"quarantine/shipments/{digest}-{0:012d}.jsonl"
        self.s3.put_object(Bucket=self.outputs["silverBucket"], Key=key, Body=b'{"row": "of an earlier run"}\n')

    def repeat_newest(self) -> None:
        """Sends the chunk that was sent last a second time, as a lost answer makes a producer do."""
        params = self.sends()[-1].params
        self.stage.function("lake-ingest").client("sqs").send_message_batch(**params)

    def files(self) -> list[str]:
        """The keys of silver and quarantine."""
        found = self.s3.list_objects_v2(Bucket=self.outputs["silverBucket"])
        return [one["Key"] for one in found.get("Contents", [])]

    def empty(self) -> None:
        """Takes all files out of silver and quarantine."""
        if files := [{"Key": key} for key in self.files()]:
            self.s3.delete_objects(Bucket=self.outputs["silverBucket"], Delete={"Objects": files})

    def check(self, done: Iterable[Stored], gone: Iterable[Stored] = (), *, letters_repeat: bool = False) -> None:
        """Every row of the objects that were done is there once; each file was told; the others have their letters."""
        done, gone = list(done), list(gone)
        sent = self._sent()
        chunks = {key: found for stored in done for key, found in sent.items() if _is_of(found, stored)}
        self._check_records(done, chunks)
        told = self.told("IngestionSuccess")
        assert {key: len(set(told.get(key, ()))) for key in chunks} == dict.fromkeys(chunks, 1)
        assert self._late_reads(chunks) == []
        files = self.files()
        assert Counter(row for key in files for row in self._rows(key)) == Counter(r for one in done for r in one.rows)
        ready = self.told("SilverPartitionReady", "key")
        assert {key: len(set(ids)) for key, ids in ready.items()} == dict.fromkeys(_silver(files), 1)
        lost = {key for stored in gone for key, found in sent.items() if _is_of(found, stored)}
        letters = Counter((text(one, "idempotencyKey"), text(one, "errorType")) for one in self.take(self.dlq_url))
        assert set(letters) == {(key, "ObjectGoneError") for key in lost}
        assert len(lost) == len(gone)
        assert letters_repeat or not letters or max(letters.values()) == 1
        assert self.stage.lab.depth(self.queue_url) == 0

    def check_queued(self, stored: Stored) -> None:
        """The queue has chunks which are this object, each byte in one of them; a chunk may be there twice."""
        chunks = {text(one, "idempotencyKey"): json.loads(one["Body"]) for one in self.take(self.queue_url)}
        ends = sorted((chunk["start"], chunk["end"]) for chunk in chunks.values())
        assert [start for start, _ in ends] == [0, *(end for _, end in ends[:-1])]
        assert ends[-1][1] == len(stored.content)
        assert {(one["bucket"], one["key"], one["versionId"]) for one in chunks.values()} == {
            (stored.bucket, stored.key, stored.version_id)
        }
        assert self._results([stored.identity]) == {
            stored.identity: {"chunks": len(chunks), "bytes": len(stored.content)}
        }

    def _results(self, keys: Collection[str]) -> dict[str, dict[str, Any]]:
        """The results that the records of keys hold, all of which have SUCCEEDED."""
        records = self.records(keys)
        assert {key: one["status"]["S"] for key, one in records.items()} == dict.fromkeys(keys, "SUCCEEDED")
        return {key: json.loads(one["result"]["S"]) for key, one in records.items()}

    def _check_records(self, done: list[Stored], chunks: dict[str, dict[str, Any]]) -> None:
        """The objects' records and those of their chunks agree with each other and with what the objects hold."""
        objects = {stored.identity: stored for stored in done}
        results = self._results([*objects, *chunks])
        for identity, stored in objects.items():
            mine = sorted((one["start"], one["end"], key) for key, one in chunks.items() if _is_of(one, stored))
            assert results[identity] == {"chunks": len(mine), "bytes": len(stored.content)}
            assert [start for start, _, _ in mine] == [0, *(end for _, end, _ in mine[:-1])]
            assert mine[-1][1] == len(stored.content)
            counts = {place: sum(results[key][place] for _, _, key in mine) for place in ("silver", "quarantined")}
            bad = sum(row.place == "quarantine" for row in stored.rows)
            assert counts == {"silver": len(stored.rows) - bad, "quarantined": bad}

    def _sent(self) -> dict[str, dict[str, Any]]:
        """The chunks that SQS has taken of ingest, by their keys."""
        found: dict[str, dict[str, Any]] = {}
        for call in self.sends():
            taken = {answer["Id"] for answer in call.said.get("Successful", [])}
            for entry in call.params["Entries"]:
                if entry["Id"] in taken:
                    found[text(entry, "idempotencyKey")] = json.loads(entry["MessageBody"])
        return found

    def _late_reads(self, chunks: dict[str, dict[str, Any]]) -> list[str]:
        """The chunks that were read after the state table had been told that they succeeded."""
        succeeded = self.succeeded(chunks)
        return [
            key
            for at, call in enumerate(self.stage.wire.calls)
            for key, chunk in chunks.items()
            if at > succeeded[key] and _reads(call, chunk)
        ]

    def _rows(self, key: str) -> list[Row]:
        content: bytes = self.s3.get_object(Bucket=self.outputs["silverBucket"], Key=key)["Body"].read()
        if not key.startswith("silver/"):
            return [Row("quarantine", json.loads(line)["row"]) for line in content.splitlines()]
        date = key.split("/")[2].removeprefix("dt=")
        table = pq.read_table(io.BytesIO(content))
        assert {time.date().isoformat() for time in table["event_time"].to_pylist()} == {date}
        return [Row(date, name) for name in table["shipment_id"].to_pylist()]


def _silver(files: Iterable[str]) -> list[str]:
    return [key for key in files if key.startswith("silver/")]


def _is_of(chunk: dict[str, Any], stored: Stored) -> bool:
    return bool(chunk["key"] == stored.key)


def _reads(call: Call, chunk: dict[str, Any]) -> bool:
    if (call.function, call.operation) != ("lake-worker", "GetObject") or call.params["Key"] != chunk["key"]:
        return False
    first = int(call.params["Range"].removeprefix("bytes=").split("-")[0])
    return bool(chunk["start"] <= first < chunk["end"])


def _line(name: str, date: str, *, bad: bool) -> tuple[Row, bytes]:
    if bad:
        return Row("quarantine", f"no row {name}"), f"no row {name}\n".encode()
    row = {
        "event_time": f"{date}T12:00:00Z",
        "shipment_id": name,
        "origin": "Hamburg",
        "destination": "Oslo",
        "carrier": "north",
        "weight_kg": 1.5,
    }
    return Row(date, name), json.dumps(row).encode() + b"\n"
