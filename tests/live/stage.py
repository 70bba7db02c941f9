"""The program deployed on the emulator with nobody at work on it, and its functions at hand in this process.

Event source mappings, rules and notices of S3 are disabled, so nothing but the test takes from the queues or invokes a
function.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from ops.local.deployer import deploy
from ops.local.emulator import Emulator
from tests.gateway import http_event
from tests.live.function import Clock, LiveFunction
from tests.live.wire import Wire
from tests.pipelines.lab import ROOT, Lab
from tests.receiver import Receiver, receiving

CONFIG = {"workerTimeoutSeconds": 2, "retryBackoffBaseSeconds": 1, "retryBackoffMaxSeconds": 2}
API_KEY = "the-key-that-callers-of-the-stage-show"
_ASYNC_ATTEMPTS = 3  # Lambda's, the first included


@dataclass
class Stage:
    """``lab`` is the deployed stack as its root user sees it, ``webhook`` what listens for alarms."""

    lab: Lab
    webhook: Receiver
    wire: Wire = field(default_factory=Wire)
    clock: Clock = field(default_factory=Clock)
    meanwhile: Callable[[], object] = lambda: None
    _functions: dict[str, LiveFunction] = field(default_factory=dict)
    _clients: dict[str, Any] = field(default_factory=dict)

    def function(self, name: str) -> LiveFunction:
        """A deployed function by its name, ready to be invoked here."""
        if name not in self._functions:
            deployed = self.root("lambda").get_function_configuration(FunctionName=name)
            given = self.root("sts").assume_role(RoleArn=deployed["Role"], RoleSessionName=name)["Credentials"]
            endpoint = self.lab.emulator.endpoint
            self._functions[name] = LiveFunction(
                deployed, endpoint=endpoint, credentials=given, wire=self.wire, now=self.clock
            )
        return self._functions[name]

    def begin(self) -> None:
        """Empties the wire; every function begins cold."""
        self.wire.clear()
        self.meanwhile = lambda: None
        for function in self._functions.values():
            function.end()

    def reset(self) -> None:
        """Begins with empty queues, and with nobody at work whom a breaker has resumed."""
        self.begin()
        for mapping in self.mappings():
            if mapping["State"] != "Disabled":
                self.root("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        for url in self.root("sqs").list_queues()["QueueUrls"]:
            self.root("sqs").purge_queue(QueueUrl=url)

    def names(self) -> list[str]:
        """The names of all deployed functions."""
        pages = self.root("lambda").get_paginator("list_functions").paginate()
        return sorted(one["FunctionName"] for page in pages for one in page["Functions"])

    def root(self, service: str) -> Any:
        """A client of the root user, past the wire; made once."""
        if service not in self._clients:
            self._clients[service] = self.lab.client(service)
        return self._clients[service]

    def call(
        self, function: str, route: str, body: Any = None, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> tuple[int, dict[str, Any]]:
        """One HTTP request to a function of the API: its status and its JSON. ``more``: see `http_event`."""
        given = {"content-type": "application/json", **(headers or {})}
        sent = None if body is None else json.dumps(body)
        event = http_event(route, sent, headers=given, request_id=str(uuid4()), **more)
        answer = self.function(function).invoke(event)
        return answer["statusCode"], json.loads(answer["body"])

    def invoke_async(self, function: str, event: Any, request_id: str = "") -> Any:
        """An asynchronous invocation as Lambda makes it: again, at most twice, where it raises."""
        request_id = request_id or str(uuid4())
        for attempt in range(1, _ASYNC_ATTEMPTS + 1):
            try:
                return self.function(function).invoke(event, request_id)
            except Exception:
                if attempt == _ASYNC_ATTEMPTS:
                    raise
                self.wire.calm()
        return None

    def pause(self, seconds: float) -> None:
        """What the redrive's runner does instead of sleeping: time passes, and meanwhile others work."""
        self.clock.advance(seconds)
        self.meanwhile()

    def show(self, queue_url: str, receipts: Mapping[str, str] | None = None) -> None:
        """Lets visibility time-outs pass: of these receipt handles, else of all that ever went over the wire."""
        sqs, handles = self.root("sqs"), list((receipts or self._received(queue_url)).values())
        for start in range(0, len(handles), 10):
            entries = [
                {"Id": str(i), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for i, handle in enumerate(handles[start : start + 10])
            ]
            sqs.change_message_visibility_batch(QueueUrl=queue_url, Entries=entries)  # those that are gone are refused

    def _received(self, queue_url: str) -> dict[str, str]:
        """The latest receipt handle of every message that a function here has received, its answer lost or not."""
        return {
            message["MessageId"]: message["ReceiptHandle"]
            for call in self.wire.calls
            if call.operation == "ReceiveMessage" and call.params["QueueUrl"] == queue_url
            for message in call.said.get("Messages", [])
        }

    def be_quiet(self) -> None:
        """Stops whatever would work by itself."""
        for mapping in self.mappings():
            self.root("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        events = self.root("events")
        for bus in events.list_event_buses()["EventBuses"]:
            for rule in events.list_rules(EventBusName=bus["Name"])["Rules"]:
                events.disable_rule(Name=rule["Name"], EventBusName=bus["Name"])
        for bucket in self.root("s3").list_buckets()["Buckets"]:
            self.root("s3").put_bucket_notification_configuration(Bucket=bucket["Name"], NotificationConfiguration={})

    def mappings(self) -> list[dict[str, Any]]:
        """The event source mappings as they are."""
        found: list[dict[str, Any]] = self.root("lambda").list_event_source_mappings()["EventSourceMappings"]
        return found


@contextmanager
def staged(home: Path, **config: Any) -> Iterator[Stage]:
    """A stage while the block runs; ``config`` overrides keys of the stack."""
    with receiving() as webhook, Emulator.start(home) as emulator:
        keys = CONFIG | {"webhookUrl": webhook.url, "authMode": "apiKey", "apiKey": API_KEY} | config
        deployment = deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=home / "local.json", config=keys)
        stage = Stage(Lab(emulator, home, deployment), webhook)
        stage.be_quiet()
        yield stage
