"""A lake without functions at work: bronze, its queue, and an ear that hears what S3 announces."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from ops.cli.lake.bronze import Item
from ops.cli.lake.replay import Copier, Sender
from ops.cli.lake.runs import Outcome
from ops.local.emulator import Emulator
from tests.ops.laptop import Laptop
from tests.ops.stack import client, wipe

CHUNK_BYTES = 100
LINES = b"".join(b'{"n": %d}\n' % n for n in range(40))  # 390 bytes: 4 chunks
_BUCKET = "lab-bronze"
_FUNCTION = "lake-ingest"
_TRUST = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}'


@dataclass
class Stage:
    """The lake of a stack that has one."""

    emulator: Emulator
    laptop: Laptop
    s3: Any
    sqs: Any
    queue: str
    ear: str
    bucket: str = _BUCKET

    def lab(self, *arguments: str, typed: str = "") -> Result:
        return self.laptop.lab("lake", *arguments, typed=typed)

    def put(self, name: str, content: bytes = b"{}\n", **given: Any) -> str:
        """An object of bronze; returns its key."""
        key = f"bronze/{name}"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=content, **given)
        return key

    def versions(self) -> list[tuple[str, str, str]]:
        """Every version of every object: key, version, ETag."""
        found = self.s3.list_object_versions(Bucket=self.bucket).get("Versions", [])
        return sorted((version["Key"], version["VersionId"], version["ETag"]) for version in found)

    def announced(self) -> list[tuple[str, str]]:
        """What S3 has announced since the last time: event and key, sorted."""
        records = [record for body in self._taken(self.ear) for record in json.loads(body).get("Records", [])]
        return sorted((record["eventName"], record["s3"]["object"]["key"]) for record in records)

    def messages(self) -> list[dict[str, Any]]:
        """The messages that were sent to the lake's queue since the last time, by their keys."""
        found = []
        while batch := self._receive(self.queue):
            found += batch
        return sorted(found, key=lambda message: str(message["MessageAttributes"]["idempotencyKey"]["StringValue"]))

    def runs(self) -> list[Path]:
        """Replays that are not finished."""
        return sorted((self.laptop.home / "replays").glob("*.json"))

    @contextmanager
    def acting_in(self, policy: dict[str, Any]) -> Iterator[dict[str, str]]:
        """Credentials of a role with exactly this policy."""
        iam = client(self.emulator, "iam")
        arn = iam.create_role(RoleName="operator", AssumeRolePolicyDocument=_TRUST)["Role"]["Arn"]
        iam.put_role_policy(RoleName="operator", PolicyName="replay", PolicyDocument=json.dumps(policy))
        sts = client(self.emulator, "sts")
        yield sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        iam.delete_role_policy(RoleName="operator", PolicyName="replay")
        iam.delete_role(RoleName="operator")

    def _taken(self, queue: str) -> Iterator[str]:
        while batch := self._receive(queue):
            yield from (message["Body"] for message in batch)

    def _receive(self, queue: str) -> list[dict[str, Any]]:
        answer = self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        for message in messages:
            self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return messages


def report_of(result: Result) -> dict[str, Any]:
    """What a command told with --json."""
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def interrupt_at(monkeypatch: pytest.MonkeyPatch, kind: type[Copier | Sender], number: int) -> None:
    """Ctrl-C at the object of this number."""
    replay = kind.__call__
    calls = iter(range(1, 1000))

    def interrupted(self: Any, item: Item) -> Outcome:
        if next(calls) == number:
            raise KeyboardInterrupt
        return replay(self, item)

    monkeypatch.setattr(kind, "__call__", interrupted)


def set_up(emulator: Emulator) -> Stage:
    """An empty lake on an emulator that holds nothing else."""
    wipe(emulator)
    shutil.rmtree(emulator.home / "replays", ignore_errors=True)
    s3, sqs = client(emulator, "s3"), client(emulator, "sqs")
    urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("lake", "lake-dlq", "ear")}
    s3.create_bucket(Bucket=_BUCKET)
    s3.put_bucket_versioning(Bucket=_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    _listen(s3, sqs, urls["ear"])
    function(emulator, _FUNCTION, CHUNK_BYTES=str(CHUNK_BYTES))
    lake = {
        "bronzeBucket": _BUCKET,
        "queueUrl": urls["lake"],
        "dlqUrl": urls["lake-dlq"],
        "ingestFunctionName": _FUNCTION,
    }
    outputs = {"ApiEndpoint": "http://127.0.0.1", "lake": lake}
    state = {"endpoint": emulator.endpoint, "outputs": outputs}
    (emulator.home / "local.json").write_text(json.dumps(state))
    return Stage(emulator, Laptop(emulator.home, emulator.port), s3, sqs, urls["lake"], urls["ear"])


def _listen(s3: Any, sqs: Any, url: str) -> None:
    arn = "arn:aws:sqs:us-east-1:000000000000:ear"
    statement = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:*", "Resource": arn}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    configuration = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket=_BUCKET, NotificationConfiguration={"QueueConfigurations": [configuration]}
    )


def function(emulator: Emulator, name: str, **variables: str) -> None:
    """A function, for what its environment says."""
    role = client(emulator, "iam").create_role(RoleName=name, AssumeRolePolicyDocument=_TRUST)["Role"]["Arn"]
    client(emulator, "lambda").create_function(
        FunctionName=name,
        Role=role,
        Runtime="python3.13",
        Handler="x.y",
        Code={"ZipFile": _EMPTY_ZIP},
        Timeout=900,
        Environment={"Variables": variables},
    )


_EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
