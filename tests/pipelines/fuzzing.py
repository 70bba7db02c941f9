"""What the fuzz of the running API keeps: every answer by operation, status and error type, and what logs may hold."""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

from tests.pipelines.lab import ROOT, Lab, wait_for

# In payloads, headers and paths only: a log that has it has what a caller sent.
SECRET = "s3cr3t-5f2b91"
# What the platform itself writes into a function's log group.
_PLATFORM = re.compile(r"(INIT_START|START|END|REPORT) |[0-9T:.-]+Z [0-9a-f-]+ Task timed out after [0-9.]+ seconds\s*")


@dataclass
class Target:
    """The stack under fire and what it has answered so far."""

    lab: Lab
    answers: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where the API is."""
        return str(self.lab.outputs["ApiEndpoint"])

    def note(self, operation: str, status: int, content: bytes) -> Any:
        """Counts an answer and returns its body; no input gets a 5xx, none an answer that is not JSON."""
        try:
            body = json.loads(content) if content else None
        except ValueError as exc:
            raise AssertionError(f"{operation}: {status} is not JSON: {content[:500]!r}") from exc
        mapping = body if isinstance(body, dict) else {}
        self.answers[operation, status, str(mapping.get("errorType", ""))] += 1
        assert status < 500, f"{operation}: {status} {body}"
        assert b"Traceback" not in content
        for one in [mapping, *mapping.get("results", [])]:
            if "messageId" in one and "idempotencyKey" in one and operation.startswith("POST /events"):
                self.accepted.add(one["idempotencyKey"])
        return body

    def looks(self) -> int:
        """How often a dead-letter queue has been looked at."""
        return self.answers["GET /redrive/preview", 200, ""]

    def settled(self) -> None:
        """Waits until no message waits in the events queue."""
        wait_for("an empty queue", lambda: self.lab.depth(self.lab.outputs["MainQueueUrl"]) == 0, seconds=90)

    def unaccounted(self) -> set[str]:
        """The accepted keys that neither succeeded nor failed."""
        pages = (
            self.lab.client("dynamodb").get_paginator("scan").paginate(TableName=self.lab.outputs["DynamoTableName"])
        )
        items = [item for page in pages for item in page["Items"]]
        return self.accepted - {i["idempotencyKey"]["S"] for i in items if i["status"]["S"] in ("SUCCEEDED", "FAILED")}

    def lines(self) -> Iterator[tuple[str, str]]:
        """Every line that a function itself has logged, with its group."""
        logs = self.lab.client("logs")
        for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix="/aws/lambda/"):
            for group in (group["logGroupName"] for group in page["logGroups"]):
                for streams in logs.get_paginator("describe_log_streams").paginate(logGroupName=group):
                    for stream in streams["logStreams"]:
                        for line in self._stream(group, stream["logStreamName"]):
                            if line.strip() and not _PLATFORM.match(line):
                                yield group, line

    def _stream(self, group: str, stream: str) -> Iterator[str]:
        # By stream: the emulator's FilterLogEvents ends at 10,000 lines without a word.
        logs, token = self.lab.client("logs"), ""
        while True:
            more = {"nextToken": token} if token else {}
            page = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **more)
            for event in page["events"]:
                yield from event["message"].splitlines()
            if page["nextForwardToken"] == token:
                return
            token = page["nextForwardToken"]

    def report(self) -> None:
        """The figures, for whoever runs with -s."""
        total, fives = self.answers.total(), sum(n for (_, status, _), n in self.answers.items() if status >= 500)
        kinds = {(status, error) for _, status, error in self.answers}
        lines = [f"\nfuzz: {total} inputs, {fives} answers of 5xx, {len(kinds)} kinds of answer"]
        for operation in sorted({operation for operation, _, _ in self.answers}):
            counts = {(s, e): n for (o, s, e), n in sorted(self.answers.items()) if o == operation}
            shown = ", ".join(f"{n} x {s}{' ' + e if e else ''}" for (s, e), n in counts.items())
            lines.append(f"  {operation}: {sum(counts.values())}: {shown}")
        sys.stdout.write("\n".join(lines) + "\n")


@cache
def described() -> dict[str, Any]:
    """The API's description, narrowed to what holds for the laptop's stack only.

    That is: its pipelines; as its dead-letter queues are empty, the error types that need no letter to be known; and no
    token, which only an earlier answer could give. It asks for no credentials, so none are tried
    (tests/pipelines/test_access.py does).
    """
    document: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
    config = yaml.safe_load((ROOT / "Pulumi.local.yaml").read_text())["config"]
    schemas = document["components"]["schemas"]
    schemas["Pipeline"]["enum"] = config.get("ingestion-lab:pipelines", ["events"])
    schemas["ErrorType"] = {"enum": ["Unknown", "DownstreamError", "SchemaValidationError", "KeyError"]}
    for path in document["paths"].values():
        for operation in path.values():
            operation.pop("security")
            operation["parameters"] = [p for p in operation.get("parameters", []) if p.get("name") != "nextToken"]
    return document


def spiked(operation: str, body: Any) -> Any:
    """An event with the secret in its payload; everything else as it is."""
    if operation == "POST /events/batch" and isinstance(body, list):
        return [spiked("POST /events", one) for one in body]
    if operation == "POST /events" and isinstance(body, dict):
        return body | {"note": SECRET, SECRET: [f"\n\x1b[31m{SECRET}\u2028"]}
    return body


def beyond_schemas(status: int, body: Any) -> bool:
    """Whether a refusal is for what no schema can say: every key was used before, or SSM has no room for a match."""
    if status != 400:
        return False
    pointers = {detail["pointer"] for detail in body.get("details", [])}
    return pointers == {"/match"} or {one["status"] for one in body.get("results", [])} == {409}


def consistent(headers: MutableMapping[str, Any], query: dict[str, Any], body: Any) -> None:
    """Takes out of right input what contradicts itself, which a schema can't forbid: two names with two values."""
    if isinstance(body, dict) and "idempotencyKey" in body:
        for name in [name for name in headers if name.lower() == "idempotency-key"]:
            del headers[name]
    for some in (query, body):
        if isinstance(some, dict) and "errorType" in some:
            some.pop("filterErrorType", None)
