"""The laptop deployment as the pipeline tests see it: the API by HTTP, the rest by boto3, waiting for conditions."""

import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import boto3

from ops.local import lambdas
from ops.local.deployer import Deployment, deploy
from ops.local.emulator import Emulator
from tests.waiting import until

ROOT = Path(__file__).parents[2]
T = TypeVar("T")


# Twice the visibility timeout: a worker that a test has ended fails the next receive, and the message comes again.
DEADLINE_SECONDS = 180.0  # many times what anything takes here, also on a busy machine


def wait_for(what: str, probe: Callable[[], T], *, seconds: float = DEADLINE_SECONDS) -> T:
    """The first truthy answer of ``probe``; fails with the last one when the deadline has passed."""
    if not (answer := until(probe, seconds)):
        raise AssertionError(f"{what} did not happen within {seconds} s; last seen: {answer!r}")
    return answer


@dataclass
class Lab:
    """One deployed stack."""

    emulator: Emulator
    home: Path
    deployment: Deployment
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def outputs(self) -> dict[str, Any]:
        """What the program exports."""
        return self.deployment.outputs

    def deploy(self, **config: Any) -> Deployment:
        """Deploys again, with keys of the stack's configuration changed."""
        self.deployment = deploy(
            ROOT, "local", endpoint=self.emulator.endpoint, state_file=self.home / "local.json", config=config
        )
        return self.deployment

    def client(self, service: str, role: str = "") -> Any:
        """A boto3 client as root, made once, or in a function's role (``events-ingest``), which IAM then binds."""
        if not role and service in self._clients:
            return self._clients[service]
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        if role:
            arn = f"arn:aws:iam::000000000000:role/{role}-role"
            given = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
            keys = {
                "aws_access_key_id": given["AccessKeyId"],
                "aws_secret_access_key": given["SecretAccessKey"],
                "aws_session_token": given["SessionToken"],
            }
        make: Any = boto3.client  # its overloads want the service as a literal
        made = make(service, endpoint_url=self.emulator.endpoint, region_name="us-east-1", **keys)
        if not role:
            self._clients[service] = made
        return made

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """One request to the API; header names have _ for -."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(  # noqa: S310 - the emulator on loopback
            self.outputs["ApiEndpoint"] + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"} | given,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, json.load(refusal)

    def post(self, event: Any, **headers: str) -> tuple[int, Any]:
        """Posts one event."""
        return self.call("POST", "/events", event, **headers)

    def record(self, key: str) -> dict[str, Any]:
        """The state record of a key, {} where there is none yet."""
        status, body = self.call("GET", f"/events/{key}")
        return body if status == 200 else {}

    def order_record(self, event_id: str) -> dict[str, Any]:
        """The state record of an order's event, which no route shows."""
        key = {"idempotencyKey": {"S": f"orders/{event_id}"}}
        item = self.client("dynamodb").get_item(TableName=self.outputs["DynamoTableName"], Key=key).get("Item", {})
        plain: dict[str, Any] = {name: int(value["N"]) if "N" in value else value["S"] for name, value in item.items()}
        return plain | {name: json.loads(plain[name]) for name in ("payload", "result") if name in plain}

    def settled(self, key: str, *, status: str = "SUCCEEDED", seconds: float = DEADLINE_SECONDS) -> dict[str, Any]:
        """The state record of a key once it has that status."""

        def probe() -> dict[str, Any]:
            found = self.record(key)
            return found if found.get("status") == status else {}

        return wait_for(f"{key} {status}", probe, seconds=seconds)

    def statuses(self) -> Counter[str]:
        """How many keys stand where."""
        pages = self.client("dynamodb").get_paginator("scan").paginate(TableName=self.outputs["DynamoTableName"])
        return Counter(item["status"]["S"] for page in pages for item in page["Items"])

    def depth(self, url: str) -> int:
        """Messages in a queue: visible, in flight and delayed."""
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        found = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(map(int, found.values()))

    def visible(self, url: str) -> int:
        """Messages that the next receive may take."""
        name = "ApproximateNumberOfMessages"
        found = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"]
        return int(found[name])

    def dead_letters(self, count: int, *, seconds: float = DEADLINE_SECONDS) -> list[dict[str, Any]]:
        """That many dead letters, taken off the DLQ."""
        sqs, letters = self.client("sqs"), dict[str, dict[str, Any]]()

        def probe() -> bool:
            answer = sqs.receive_message(
                QueueUrl=self.outputs["DlqUrl"], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            for letter in answer.get("Messages", []):
                letters[letter["MessageId"]] = letter
                sqs.delete_message(QueueUrl=self.outputs["DlqUrl"], ReceiptHandle=letter["ReceiptHandle"])
            return len(letters) >= count

        wait_for(f"{count} dead letters", probe, seconds=seconds)
        return list(letters.values())

    def enqueue(self, bodies: list[str]) -> None:
        """Puts raw messages into the main queue, in the role of the producer that may."""
        sqs = self.client("sqs", role="events-ingest")
        for start in range(0, len(bodies), 10):
            entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies[start : start + 10])]
            answer = sqs.send_message_batch(QueueUrl=self.outputs["MainQueueUrl"], Entries=entries)
            assert not answer.get("Failed")

    def switch(self, value: str) -> None:
        """Sets the failure mode by the aws CLI's call, and makes the functions forget the mode that they had read."""
        self.client("ssm").put_parameter(Name="/ingestion/failure_mode", Value=value, Type="String", Overwrite=True)
        self.restart("events-ingest", "events-worker")

    def restart(self, *functions: str) -> None:
        """Ends the functions' processes. The emulator notices at the next call, which fails: ours, not a test's."""
        killed = sum(lambdas.kill(self.emulator, name) for name in functions)
        for _ in range(killed):
            self.call("GET", "/health")

    def invoke(self, function: str, payload: Any = None) -> Any:
        """Calls a function directly and returns its answer."""
        answer = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(payload or {}).encode())
        result = json.load(answer["Payload"])
        assert "FunctionError" not in answer, result
        return result

    def pause(self, pipeline: str = "events") -> str:
        """Disables a pipeline's consumer, whose id it returns.

        Its breaker has noted before that it is closed; else it would take the consumer for its own to resume.
        """
        self.invoke(f"{pipeline}-breaker")
        functions = self.client("lambda")
        (mapping,) = functions.list_event_source_mappings(FunctionName=f"{pipeline}-worker")["EventSourceMappings"]
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        return str(mapping["UUID"])

    @contextmanager
    def paused(self, pipeline: str = "events") -> Iterator[None]:
        """The consumer is disabled while the block runs."""
        mapping = self.pause(pipeline)
        try:
            yield
        finally:
            self.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=True)

    @contextmanager
    def events(self, pipeline: str = "events", keep: Callable[[dict[str, Any]], Any] = dict) -> Iterator["Ear"]:
        """Hears the outcome events of a pipeline while the block runs; of each what `keep` makes of it is kept."""
        sqs, sns = self.client("sqs"), self.client("sns")
        url = sqs.create_queue(QueueName=f"ear-{time.monotonic_ns()}")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topics = [self.outputs[pipeline][name] for name in ("successTopicArn", "failureTopicArn")]
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": topics}},
                }
            ],
        }
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        subscriptions = [
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)["SubscriptionArn"]
            for topic in topics
        ]
        try:
            yield Ear(sqs, url, keep)
        finally:
            for subscription in subscriptions:
                sns.unsubscribe(SubscriptionArn=subscription)
            sqs.delete_queue(QueueUrl=url)


class Ear:
    """The outcome events heard so far."""

    def __init__(self, sqs: Any, url: str, keep: Callable[[dict[str, Any]], Any]) -> None:
        self._sqs = sqs
        self._url = url
        self._keep = keep
        self._heard: list[Any] = []

    def heard(self) -> list[Any]:
        """Every event that has arrived, oldest first."""
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            self._heard += [self._keep(json.loads(json.loads(one["Body"])["Message"])) for one in messages]
            entries = [{"Id": str(i), "ReceiptHandle": one["ReceiptHandle"]} for i, one in enumerate(messages)]
            self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)
        return self._heard

    def wait(
        self, count: int, detail_type: str = "IngestionSuccess", *, seconds: float = DEADLINE_SECONDS
    ) -> list[dict[str, Any]]:
        """That many events of a type, or more."""

        def probe() -> list[dict[str, Any]]:
            found = [event for event in self.heard() if event["detail-type"] == detail_type]
            return found if len(found) >= count else []

        return wait_for(f"{count} {detail_type}", probe, seconds=seconds) if count else []


def post_all(lab: Lab, events: list[dict[str, Any]]) -> list[str]:
    """Posts events as batches; their keys."""
    keys = []
    for start in range(0, len(events), 100):
        status, body = lab.call("POST", "/events/batch", events[start : start + 100])
        assert status == 202
        keys += [result["idempotencyKey"] for result in body["results"]]
    return keys


def orders(count: int, **more: Any) -> list[dict[str, Any]]:
    """Orders that nobody has posted before."""
    return [{"orderId": str(uuid4()), "amount": 1, **more} for _ in range(count)]
