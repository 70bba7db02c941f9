"""What the lake's tests share: objects put into bronze, what became of them, the files that they were made into."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.pipelines.lab import Lab, wait_for


@dataclass(frozen=True)
class Ingested:
    """An object that the lake is done with."""

    object: dict[str, Any]  # its own record's result
    chunks: list[dict[str, Any]]  # its chunks' results, by where they begin
    attempts: list[int]  # of each chunk

    @property
    def silver(self) -> int:
        """Good rows."""
        return sum(chunk["silver"] for chunk in self.chunks)

    @property
    def quarantined(self) -> int:
        """Bad rows."""
        return sum(chunk["quarantined"] for chunk in self.chunks)

    @property
    def files(self) -> list[str]:
        """Keys of the Parquet files."""
        return [file["key"] for chunk in self.chunks for file in chunk["files"]]

    @property
    def quarantine(self) -> list[str]:
        """Keys of the quarantine files."""
        return [key for chunk in self.chunks for key in chunk.get("quarantine", [])]


class Lake:
    """The lake of a deployed stack."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.s3 = lab.client("s3")
        self.bronze: str = lab.outputs["lake"]["bronzeBucket"]
        self.silver: str = lab.outputs["lake"]["silverBucket"]

    def put(self, key: str, body: bytes, **more: Any) -> str:
        """Puts an object; its identity."""
        tag = self.s3.put_object(Bucket=self.bronze, Key=key, Body=body, **more)["ETag"]
        return f"{self.bronze}/{quote(key)}#{tag.strip(chr(34))}"

    def records(self, identity: str) -> dict[str, dict[str, Any]]:
        """The state records of an object and of its chunks, by what stands behind the identity."""
        pages = (
            self.lab.client("dynamodb").get_paginator("scan").paginate(TableName=self.lab.outputs["DynamoTableName"])
        )
        items = [item for page in pages for item in page["Items"]]
        plain = [{name: next(iter(value.values())) for name, value in item.items()} for item in items]
        found = {item["idempotencyKey"].removeprefix("lake/"): item for item in plain}
        return {key.removeprefix(identity): item for key, item in found.items() if _is_of(key, identity)}

    def ingested(self, identity: str, *, seconds: float = 60) -> Ingested:
        """The object once it and all of its chunks have SUCCEEDED."""

        def probe() -> Ingested | None:
            records = self.records(identity)
            if any(record["status"] != "SUCCEEDED" for record in records.values()) or "" not in records:
                return None
            result = json.loads(records.pop("")["result"])
            chunks = sorted(records.values(), key=lambda one: json.loads(one["payload"])["start"])
            done = [json.loads(chunk["result"]) for chunk in chunks]
            expected = result["chunks"] + sum(chunk.get("parts", 0) for chunk in done)
            return Ingested(result, done, [int(c["attempts"]) for c in chunks]) if len(done) == expected else None

        found = wait_for(f"all of {identity}", probe, seconds=seconds)
        assert found is not None
        return found

    def fetch(self, keys: list[str], folder: Path) -> Path:
        """Downloads files of silver, under their keys."""
        for key in keys:
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / key).write_bytes(self.read(key))
        return folder

    def read(self, key: str) -> bytes:
        """One file of the silver bucket."""
        body: bytes = self.s3.get_object(Bucket=self.silver, Key=key)["Body"].read()
        return body

    def versions(self, prefix: str = "") -> dict[str, int]:
        """How often each file of the silver bucket has been written."""
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.silver, Prefix=prefix)
        keys = [version["Key"] for page in pages for version in page.get("Versions", [])]
        return {key: keys.count(key) for key in sorted(keys)}

    def switch(self, value: str) -> None:
        """Sets the failure mode and ends the processes, which would remember the former one for a while."""
        self.lab.client("ssm").put_parameter(Name="/ingestion/failure_mode", Value=value, Type="String", Overwrite=True)
        self.lab.restart("lake-ingest", "lake-worker")

    def until(self, what: str, probe: Callable[[], object]) -> None:
        """Waits."""
        wait_for(what, probe, seconds=60)


def shipment(number: int, day: int = 1, **more: Any) -> dict[str, Any]:
    """A good row."""
    row = {
        "event_time": f"2026-03-{day:02d}T12:00:00Z",
        "shipment_id": f"S-{number:07d}",
        "origin": "Hamburg",
        "destination": "Oslo",
        "carrier": "north",
        "weight_kg": number / 4,
    }
    return {**row, **more}


def lines(rows: list[dict[str, Any]]) -> bytes:
    """JSON lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _is_of(key: str, identity: str) -> bool:
    return key == identity or key.startswith(f"{identity}/")


@contextmanager
def ready_events(lake: Lake) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """All `SilverPartitionReady` that the bus has seen while the block runs."""
    events, sqs, bus = lake.lab.client("events"), lake.lab.client("sqs"), lake.lab.outputs["EventBusName"]
    url = sqs.create_queue(QueueName="ready")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["myapp.lake"], "detail-type": ["SilverPartitionReady"]}
    events.put_rule(Name="ready", EventBusName=bus, EventPattern=json.dumps(pattern))
    events.put_targets(Rule="ready", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    heard: list[dict[str, Any]] = []

    def hear() -> list[dict[str, Any]]:
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                heard.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return heard

    yield hear
    events.remove_targets(Rule="ready", EventBusName=bus, Ids=["queue"])
    events.delete_rule(Name="ready", EventBusName=bus)
    sqs.delete_queue(QueueUrl=url)


def await_known(lake: Lake, identity: str, *, times: int) -> None:
    """Waits until ingest has said that often that it knows the object."""

    def count() -> int:
        lines_ = lake.lab.client("logs").filter_log_events(logGroupName="/aws/lambda/ingestion-lab-local-lake-ingest")
        told = [e["message"] for e in lines_["events"]]
        return sum("object already ingested" in message and identity in message for message in told)

    wait_for(f"{times} duplicates", lambda: count() >= times)


def pause(lake: Lake) -> str:
    """Stops the consumer; its id."""
    return lake.lab.pause("lake")
