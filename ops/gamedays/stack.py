"""What a GameDay does to a deployed stack and reads of it: the API as a caller, AWS as its operator."""

from __future__ import annotations

import io
import json
import os
import threading
import time
import urllib.request
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from handlers.aws import retry
from handlers.idempotency.keys import partition_key
from ops.cli import letters
from ops.cli.api import ATTEMPTS, ApiClient
from ops.cli.records import standing
from ops.cli.subscribers import described
from ops.gamedays.ledger import Facts, Letter, Record, Told
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from ops.cli.target import Target

_SUCCESS = "IngestionSuccess"
_READ_LIMIT = 100  # keys that BatchGetItem takes at once
_READ_ATTEMPTS = 8
_HELD_SECONDS = 20  # how long letters are out of others' sight while they are read
_SEARCH_SECONDS = 30  # for letters that somebody else holds; longer than our own last look does
_DEPTHS = {
    "visible": "ApproximateNumberOfMessages",
    "hidden": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}
_QUEUES = {
    "main": "queueUrl",
    "dlq": "dlqUrl",
    "undelivered": "undeliveredUrl",
    "notices": "noticesUrl",
    "deadNotices": "noticesDlqUrl",
}
ORDERS_STEP = "handlers/orders/step.py"  # the business step in the zip of a function
AWS_PATIENCE = 12.0  # times as much of it as on the laptop
_DEAD = ("dlqUrl", "undeliveredUrl", "noticesDlqUrl")


class StackError(LabError):
    """The stack does not do what a GameDay asks of it; the message says what."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A call that was answered with 202. `count` is what the answer says, `ids` whom it names."""

    at: float
    milliseconds: float
    count: int
    ids: tuple[str, ...]


class Stack:
    """A deployed stack, and one pipeline of it."""

    def __init__(self, target: Target, pipeline: str) -> None:
        if pipeline not in target.pipelines:
            raise StackError(f"stack {target.stack!r} has no pipeline {pipeline}: it is what this GameDay breaks")
        self.target = target
        self.pipeline = pipeline
        self.group = target.pipelines[pipeline]
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def is_laptop(self) -> bool:
        """Whether the periods of alarms are seconds, and the emulator stands for AWS."""
        return self.target.emulator is not None

    @property
    def patience(self) -> float:
        """How much longer than on a laptop that has nothing else to do everything may take.

        On AWS alarms look at minutes, not at seconds; a busy laptop takes as much longer as processes wait for a core.
        """
        if not self.is_laptop:
            return AWS_PATIENCE
        return min(max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), AWS_PATIENCE)

    @property
    def period(self) -> int:
        """Seconds of the shortest period of its metrics that is worth a look."""
        return 5 if self.is_laptop else 60

    @property
    def worker(self) -> str:
        """Name of the pipeline's worker function."""
        return self.group["workerFunctionName"]

    @property
    def producer(self) -> str:
        """Name of the function that takes what is sent."""
        return self.group.get("ingestFunctionName") or self.group["apiFunctionName"]

    def client(self, service: str) -> Any:  # noqa: ANN401 - a botocore client, made by name
        """A client, made once."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self.target.client(service)
            return self._clients[service]

    # what a caller does

    def post(self, path: str, bodies: Sequence[object], keys: Sequence[str] = ()) -> Iterator[Taken]:
        """POST each body until it is taken, as a caller must; `keys` are their Idempotency-Keys.

        Raises:
            StackError: one was refused for good, or not taken in so many attempts.
        """
        client = ApiClient(self.target.api, self.target.identity)
        try:
            for number, body in enumerate(bodies):
                yield self._post(client, path, body, {"Idempotency-Key": keys[number]} if keys else {})
        finally:
            client.close()

    def _post(self, client: ApiClient, path: str, body: object, headers: dict[str, str]) -> Taken:
        for attempt in range(1, ATTEMPTS + 1):
            began = time.time()
            answer = client.try_post(path, body, headers)
            ended = time.time()
            if answer.status == 202:
                return Taken(ended, round((ended - began) * 1000, 1), *_taken(answer.body))
            if not answer.is_transient:
                break
            time.sleep(answer.pause(attempt))
        raise StackError(f"POST {path}: {answer.status} {answer.body}")

    def try_once(self, path: str, body: object, key: str) -> int:
        """POST once; returns the status."""
        client = ApiClient(self.target.api, self.target.identity)
        try:
            return client.try_post(path, body, {"Idempotency-Key": key}).status
        finally:
            client.close()

    def put_object(self, key: str, body: bytes) -> Taken:
        """Upload an object of bronze; its id is that of the one chunk that it is cut into."""
        bucket = self.group["bronzeBucket"]
        began = time.time()
        answer = self.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
        ended = time.time()
        etag = answer["ETag"].strip('"')
        chunk = f"{bucket}/{quote(key)}#{etag}/0-{len(body)}@{answer['VersionId']}"
        return Taken(ended, round((ended - began) * 1000, 1), 1, (chunk,))

    # what is found

    def records(self, ids: Collection[str]) -> dict[str, Record]:
        """The state records of ids, read from the table, consistently.

        Raises:
            StackError: DynamoDB did not give all of them.
        """
        places = {partition_key(self.pipeline, one): one for one in ids}
        table = self.target.outputs["DynamoTableName"]
        found: dict[str, Record] = {}
        wanted = [{"idempotencyKey": {"S": place}} for place in places]
        for start in range(0, len(wanted), _READ_LIMIT):
            keys = wanted[start : start + _READ_LIMIT]
            for _ in retry.attempts(_READ_ATTEMPTS):
                answer = self.client("dynamodb").batch_get_item(
                    RequestItems={table: {"Keys": keys, "ConsistentRead": True}}
                )
                for item in answer["Responses"].get(table, []):
                    found[places[item["idempotencyKey"]["S"]]] = _record(item)
                keys = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
                if not keys:
                    break
            else:
                raise StackError(f"DynamoDB left {len(keys)} state records unread in {_READ_ATTEMPTS} attempts")
        return found

    def depth(self, role: str = "main") -> dict[str, int]:
        """Messages of a queue: visible, hidden, delayed."""
        found = self.client("sqs").get_queue_attributes(
            QueueUrl=self.group[_QUEUES[role]], AttributeNames=list(_DEPTHS.values())
        )["Attributes"]
        return {word: int(found[name]) for word, name in _DEPTHS.items()}

    def depths(self) -> dict[str, dict[str, int]]:
        """Every queue of the pipeline by its role."""
        return {role: self.depth(role) for role, key in _QUEUES.items() if key in self.group}

    def alarms(self) -> dict[str, str]:
        """The alarms by name, without what all names begin with, and without those that sum up others."""
        prefix = f"IngestionLab-{self.target.stack}-"
        found = described(self.client("cloudwatch"), self.target.stack)
        named = {one["AlarmName"].removeprefix(prefix): one for one in found}
        return {name: one["StateValue"] for name, one in named.items() if "AlarmRule" not in one}

    def letters(self) -> list[Letter]:
        """Every dead letter of the pipeline's queues, which stays where it is."""
        return [letter for key in _DEAD if key in self.group for letter in self._letters(self.group[key])]

    def _letters(self, url: str) -> Iterator[Letter]:
        with self._held(url) as found:
            yield from [
                Letter(_whose(one), _attribute(one, "errorType") or _attribute(one, "ERROR_CODE")) for one in found
            ]

    def delete_letters(self, ids: Collection[str]) -> None:
        """Delete the letters of these ids for good."""
        sqs, url = self.client("sqs"), self.group["dlqUrl"]
        with self._held(url) as found:
            for one in found:
                if _whose(one) in ids:
                    letters.delete(sqs, url, one)

    def _held(self, url: str) -> AbstractContextManager[list[dict[str, Any]]]:
        wait = 0 if self.is_laptop else 1
        return letters.every(
            self.client("sqs"), url, within=_SEARCH_SECONDS, held_seconds=_HELD_SECONDS, wait_seconds=wait
        )

    def timeout(self) -> int:
        """Seconds that the worker may run."""
        return int(self.client("lambda").get_function_configuration(FunctionName=self.worker)["Timeout"])

    def visibility(self) -> int:
        """Seconds that a message of the main queue stays hidden."""
        attributes = self.client("sqs").get_queue_attributes(
            QueueUrl=self.group["queueUrl"], AttributeNames=["VisibilityTimeout"]
        )
        return int(attributes["Attributes"]["VisibilityTimeout"])

    def objects(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Keys and contents of the silver bucket's objects under a prefix."""
        s3, bucket = self.client("s3"), self.group["silverBucket"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for one in page.get("Contents", []):
                yield one["Key"], s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()

    def consumer(self) -> dict[str, Any]:
        """The event source mapping of the worker."""
        found = self.client("lambda").list_event_source_mappings(FunctionName=self.worker)["EventSourceMappings"]
        return dict(found[0]) if found else {}

    def breaker(self) -> str:
        """State of the circuit breaker, "" where none is kept."""
        item = self._breaker()
        return str(item["state"]["S"]) if item else ""

    def breaker_deaf_until(self) -> float:
        """Until when the circuit breaker believes no trip, in seconds since the epoch; 0 where it believes any."""
        return int(self._breaker().get("deafUntil", {}).get("N", "0")) / 1000

    def _breaker(self) -> dict[str, Any]:
        key = {"id": {"S": f"breaker#{self.pipeline}"}, "item": {"S": "state"}}
        table = self.target.outputs["ControlTableName"]
        item: dict[str, Any] = self.client("dynamodb").get_item(TableName=table, Key=key).get("Item", {})
        return item

    def failure_mode(self) -> str:
        """The mode in force; "none" where there is no failure lab."""
        if "FailureResetFunctionName" not in self.target.outputs:
            return "none"
        return str(self.target.ask("GET", "/failure-mode")["effective"])

    def facts(self, ids: Collection[str], told: Sequence[Told], disposed: Sequence[Letter] = ()) -> Facts:
        """What the primary sources say of these ids now, and of letters and events of whoever begins as they do."""
        waiting = sum(self.depth().values())
        return Facts(self.records(ids), (*self.letters(), *disposed), tuple(told), waiting)

    def series(self, since: float, until: float) -> dict[str, list[tuple[float, float]]]:
        """Metrics of CloudWatch over a time, as points (seconds since the epoch, value)."""
        queue = self.group["queueUrl"].rpartition("/")[2]
        custom = f"IngestionLab/{self.target.stack}"
        wanted = {
            "age": ("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": queue}, "Maximum"),
            "errors": ("AWS/Lambda", "Errors", {"FunctionName": self.worker}, "Sum"),
            "throttles": ("AWS/Lambda", "Throttles", {"FunctionName": self.worker}, "Sum"),
            "producerErrors": ("AWS/Lambda", "Errors", {"FunctionName": self.producer}, "Sum"),
            "producerThrottles": ("AWS/Lambda", "Throttles", {"FunctionName": self.producer}, "Sum"),
            "p50": ("AWS/Lambda", "Duration", {"FunctionName": self.worker}, "p50"),
            "p95": ("AWS/Lambda", "Duration", {"FunctionName": self.worker}, "p95"),
            "p99": ("AWS/Lambda", "Duration", {"FunctionName": self.worker}, "p99"),
            "retried": (custom, "Retried", {"pipeline": self.pipeline}, "Sum"),
            "deadLettered": (custom, "DeadLettered", {"pipeline": self.pipeline}, "Sum"),
            "duplicates": (custom, "Duplicates", {"pipeline": self.pipeline}, "Sum"),
        }
        queries = [
            {
                "Id": name,
                "MetricStat": {
                    "Metric": {
                        "Namespace": namespace,
                        "MetricName": metric,
                        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
                    },
                    "Period": self.period,
                    "Stat": statistic,
                },
            }
            for name, (namespace, metric, dimensions, statistic) in wanted.items()
        ]
        answer = self.client("cloudwatch").get_metric_data(
            MetricDataQueries=queries,
            StartTime=datetime.fromtimestamp(since - self.period, UTC),
            EndTime=datetime.fromtimestamp(until + self.period, UTC),
        )
        return {
            one["Id"]: sorted(zip((t.timestamp() for t in one["Timestamps"]), one["Values"], strict=True))
            for one in answer["MetricDataResults"]
        }

    # what an operator changes

    def code(self, function: str) -> bytes:
        """The zip that a function runs."""
        place = self.client("lambda").get_function(FunctionName=function)["Code"]["Location"]
        if self.target.emulator is not None:  # its own port under another name of the loopback
            parts = urlsplit(place)
            place = f"{self.target.emulator.endpoint}{parts.path}?{parts.query}"
        with urllib.request.urlopen(place, timeout=60) as answer:  # noqa: S310 - a URL that Lambda itself has signed
            content: bytes = answer.read()
        return content

    def put_code(self, function: str, content: bytes) -> None:
        """Have a function run another zip, and wait until it does."""
        self.client("lambda").update_function_code(FunctionName=function, ZipFile=content)
        self.updated(function)

    def updated(self, function: str) -> None:
        """Wait until the last change of a function is through."""
        deadline = time.monotonic() + 60 * self.patience
        while time.monotonic() < deadline:
            found = self.client("lambda").get_function_configuration(FunctionName=function)
            if found.get("LastUpdateStatus", "Successful") == "Successful":
                return
            time.sleep(0.2 * self.patience)
        raise StackError(f"the change of {function} is not through")

    def capture(self, name: str) -> str:
        """A rule and a queue that keep every success event of the pipeline from now on; returns the queue's URL."""
        sqs, events, bus = self.client("sqs"), self.client("events"), self.target.outputs["EventBusName"]
        url = str(sqs.create_queue(QueueName=name)["QueueUrl"])
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = {"detail-type": [_SUCCESS], "detail": {"pipeline": [self.pipeline]}}
        rule = events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))["RuleArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
        return url

    def heard(self, url: str) -> list[Told]:
        """The success events that were captured since the last call, whosoever they are."""
        sqs, found = self.client("sqs"), list[Told]()
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                detail = json.loads(message["Body"])["detail"]
                found.append(Told(detail["idempotencyKey"], detail["eventId"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def release(self, name: str) -> None:
        """Delete the rule and the queue of a capture, whatever of them is there."""
        sqs, events, bus = self.client("sqs"), self.client("events"), self.target.outputs["EventBusName"]
        if [rule for rule in events.list_rules(EventBusName=bus, NamePrefix=name)["Rules"] if rule["Name"] == name]:
            events.remove_targets(Rule=name, EventBusName=bus, Ids=["queue"])
            events.delete_rule(Name=name, EventBusName=bus)
        for url in sqs.list_queues(QueueNamePrefix=name).get("QueueUrls", []):
            sqs.delete_queue(QueueUrl=url)


def with_file(archive: bytes, path: str, text: str) -> bytes:
    """The zip with one file's text replaced.

    Raises:
        StackError: it has no such file.
    """
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        if path not in old.namelist():
            raise StackError(f"the function's code has no {path}")
        for entry in old.infolist():
            new.writestr(entry, text if entry.filename == path else old.read(entry))
    return made.getvalue()


def file_of(archive: bytes, path: str) -> str:
    """The text of one file of a zip."""
    with zipfile.ZipFile(io.BytesIO(archive)) as old:
        return old.read(path).decode()


def _taken(body: Mapping[str, Any]) -> tuple[int, tuple[str, ...]]:
    """How many an answer says were taken, and whom it names."""
    if "results" in body:
        ids = tuple(one["idempotencyKey"] for one in body["results"] if one["status"] == 202)
        return int(body["accepted"]), ids
    return 1, (str(body.get("eventId") or body["idempotencyKey"]),)


def _record(item: Mapping[str, Any]) -> Record:
    at = item.get("processedAt", {}).get("S", "")
    return Record(
        standing(item["status"]["S"], final=item.get("final", {}).get("BOOL", True)),
        int(item.get("attempts", {}).get("N", 0)),
        datetime.fromisoformat(at).timestamp() if at else 0.0,
        item.get("errorType", {}).get("S", ""),
    )


def _whose(letter: Mapping[str, Any]) -> str:
    """The id of a letter: its attribute, else what its body says, as of an event of the bus."""
    if key := _attribute(letter, "idempotencyKey"):
        return key
    try:
        body = json.loads(letter["Body"])
    except ValueError:
        return ""
    detail = body.get("detail", body) if isinstance(body, dict) else {}
    return str(detail.get("eventId") or detail.get("idempotencyKey") or "") if isinstance(detail, dict) else ""


def _attribute(letter: Mapping[str, Any], name: str) -> str:
    return str(letter.get("MessageAttributes", {}).get(name, {}).get("StringValue", ""))
