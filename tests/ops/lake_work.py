"""A lake whose functions work in this process, on the laptop's cloud: whole, and no process of them to wait for."""

import io
import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from pyiceberg.catalog.glue import GlueCatalog
from typer.testing import Result

from handlers.idempotency.store import StateStore
from handlers.lake import notice
from handlers.lake.iceberg import fileio
from handlers.lake.iceberg.commit import Round
from handlers.lake.iceberg.committer import Committer
from handlers.lake.iceberg.ledger import Ledger
from handlers.lake.iceberg.tables import Tables
from handlers.lake.intake import Env, Intake, Invocation
from handlers.lake.notes import Notes
from handlers.lake.ready import SOURCE
from handlers.lake.step import Transformer
from handlers.worker.worker import Worker, WorkerEnv
from ops.local.emulator import Emulator
from tests.ops.lake_stage import Stage, function, set_up
from tests.ops.stack import client

SILVER = "lab-silver"
_TABLE = "state"
_CHUNK_BYTES = 1000
_BUS = "lake-bus"
_LEDGER, _DATABASE = "ledger", "lake"


def shipment(number: int, **more: Any) -> dict[str, Any]:
    """A good row."""
    return {
        "event_time": "2026-01-31T12:00:00Z",
        "shipment_id": f"S-{number}",
        "origin": "Hamburg",
        "destination": "Roma",
        "carrier": "DHL",
        "weight_kg": number / 2,
    } | more


def lines(*rows: Any) -> bytes:
    """JSON Lines; bytes are taken as they are."""
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


class _Context:
    aws_request_id = "r-1"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@dataclass
class Lake:
    """The lake, at work when it is told so."""

    stage: Stage
    has_tables: bool = False

    def become_tables(self) -> None:
        """Makes silver tables, as a deployment with `lakeFormat: iceberg` does."""
        self.client("glue").create_database(DatabaseInput={"Name": _DATABASE})
        keys = {"scope": "HASH", "name": "RANGE"}
        self.client("dynamodb").create_table(
            TableName=_LEDGER,
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
            BillingMode="PAY_PER_REQUEST",
        )
        functions = {"committerFunctionName": "lake-committer", "workerFunctionName": "lake-worker"}
        for name in functions.values():
            function(self.stage.emulator, name, NAMESPACE=_DATABASE)
        _tell(self.stage.emulator, {"ledgerTableName": _LEDGER, **functions})
        self.has_tables = True

    def catalog(self, **more: str) -> GlueCatalog:
        """The catalog of the tables."""
        return GlueCatalog("lake", self.client("glue"), **more)

    def commit(self) -> dict[str, int]:
        """A round of the committer's."""
        files = f"{fileio.S3FileIO.__module__}.{fileio.S3FileIO.__name__}"
        dynamodb = self.client("dynamodb")
        ledger = Ledger(dynamodb, _LEDGER)
        tables = Tables(self.catalog(**{"py-io-impl": files}), _DATABASE, self.s3, SILVER)
        committer = Committer(tables, ledger, self.client("events"), pipeline="lake", bucket=SILVER, bus=_BUS)
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
            patch.setattr(fileio, "s3_client", lambda: self.s3)
            return Round(dynamodb, ledger, committer, pipeline="lake", table_name=_TABLE).run()

    def lab(self, *arguments: str, typed: str = "") -> Result:
        return self.stage.lab(*arguments, typed=typed)

    def told(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """What a command tells with --json, when it leaves with this code."""
        done = self.lab(*arguments, "--json")
        assert done.exit_code == code, done.output
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def client(self, service: str) -> Any:
        return client(self.stage.emulator, service)

    @property
    def s3(self) -> Any:
        return self.stage.s3

    def ingest(self, name: str, content: bytes, **given: Any) -> str:
        """Puts an object and cuts it into messages, which wait; its key."""
        key = self.stage.put(name, content, **given)
        self._take(key)
        return key

    def announced_work(self) -> int:
        """Ingests and works all objects that S3 has announced; how many messages were new."""
        for key in sorted({key for _, key in self.stage.announced()}):
            self._take(key)
        return self.work()

    def _take(self, key: str) -> None:
        record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": self.stage.bucket}}}
        record["s3"]["object"] = {"key": key.replace("+", "%2B").replace(" ", "+")}  # type: ignore[index]
        self._intake().take_all(notice.read({"Records": [record]}, "lake"), Invocation.of(key, 60_000))

    def work(self) -> int:
        """Works all messages that wait; how many."""
        done = 0
        while messages := self.stage.messages():
            done += len(messages)
            for message in messages:
                with redirect_stdout(io.StringIO()):  # metrics, which would stand in what a command tells
                    answer = self._worker().handle({"Records": [_delivery(message)]}, _context())
                assert answer == {"batchItemFailures": []}
        return done

    def put(self, name: str, content: bytes, **given: Any) -> str:
        """Puts an object and works it; its key."""
        key = self.ingest(name, content, **given)
        self.work()
        return key

    def files(self, prefix: str = "") -> list[str]:
        """Keys of the silver bucket."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=SILVER, Prefix=prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        content: bytes = self.s3.get_object(Bucket=SILVER, Key=key)["Body"].read()
        return content

    def forget(self, key: str) -> None:
        """Deletes what is written down of an object, its chunks' records too."""
        dynamodb = self.client("dynamodb")
        for item in dynamodb.scan(TableName=_TABLE)["Items"]:
            if f"/{key}#" in item["idempotencyKey"]["S"]:
                dynamodb.delete_item(TableName=_TABLE, Key={"idempotencyKey": item["idempotencyKey"]})

    def _store(self) -> StateStore:
        return StateStore(self.client("dynamodb"), _TABLE, pipeline="lake", ttl_days=7)

    def _intake(self) -> Intake:
        config = Env(
            environment="local",
            pipeline="lake",
            bronze_bucket=self.stage.bucket,
            queue_url=self.stage.queue,
            table_name=_TABLE,
            ttl_days=7,
            chunk_bytes=_CHUNK_BYTES,
        )
        return Intake(config, s3=self.s3, sqs=self.stage.sqs, store=self._store())

    def _worker(self) -> Worker:
        config = WorkerEnv(
            environment="local",
            pipeline="lake",
            queue_url=self.stage.queue,
            dlq_url=self.stage.queue,
            event_bus_name=_BUS,
            max_receive_count=5,
            retry_backoff_base_seconds=2,
            retry_backoff_max_seconds=300,
            table_name=_TABLE,
            ttl_days=7,
            breaker_hold_seconds=0,
            outage_seconds=450,
            objective_seconds=60,
        )
        step = Transformer(
            self.s3,
            self.stage.sqs,
            pipeline="lake",
            bronze_bucket=self.stage.bucket,
            silver_bucket=SILVER,
            queue_url=self.stage.queue,
            start=date(2020, 1, 1),
            notes=Notes(self.client("dynamodb"), _LEDGER) if self.has_tables else None,
        )
        return Worker(
            config,
            SOURCE,
            store=self._store(),
            sqs=self.stage.sqs,
            events=self.client("events"),
            process=step.process,
            announce=step.announce,
        )


def _context() -> Any:
    return _Context()


def _delivery(message: dict[str, Any]) -> dict[str, Any]:
    """A received message as Lambda gives it to a consumer."""
    attributes = {
        name: {"dataType": value["DataType"], "stringValue": value["StringValue"]}
        for name, value in message["MessageAttributes"].items()
    }
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "0"},
        "messageAttributes": attributes,
    }


def start(emulator: Emulator) -> Lake:
    """An empty lake on an emulator that holds nothing else."""
    stage = set_up(emulator)
    stage.s3.create_bucket(Bucket=SILVER)
    stage.s3.put_bucket_versioning(Bucket=SILVER, VersioningConfiguration={"Status": "Enabled"})
    client(emulator, "events").create_event_bus(Name=_BUS)
    client(emulator, "dynamodb").create_table(
        TableName=_TABLE,
        KeySchema=[{"AttributeName": "idempotencyKey", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "idempotencyKey", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    environment = {"Variables": {"CHUNK_BYTES": str(_CHUNK_BYTES), "TTL_DAYS": "7"}}
    client(emulator, "lambda").update_function_configuration(FunctionName="lake-ingest", Environment=environment)
    _tell(emulator, {"silverBucket": SILVER}, DynamoTableName=_TABLE, EventBusName=_BUS)
    return Lake(stage)


def _tell(emulator: Emulator, lake: dict[str, str], **outputs: str) -> None:
    """Adds to the outputs of the stack and of its lake."""
    file = emulator.home / "local.json"
    state = json.loads(file.read_text())
    state["outputs"] |= outputs
    state["outputs"]["lake"] |= lake
    file.write_text(json.dumps(state))
