"""An AWS in memory for the handlers: exactly the calls they make, counted, and able to fail or crash at each.

What AWS would refuse is a bug of the handlers and fails the test: parameters that botocore's models do not allow (our
clients have its validation switched off), the limits of DynamoDB's keys, items and numbers, of SQS's characters and
sizes, of EventBridge's entries.

It interprets the PartiQL that `handlers.aws.partiql` writes and nothing else; what DynamoDB itself makes of those
statements is shown on the emulator (tests/pipelines).
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache, wraps
from itertools import count
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from botocore.model import Shape
from botocore.validate import ParamValidator

_INSERT = re.compile(r'INSERT INTO "[^"]+" VALUE \{(?P<fields>.*)\}')
_UPDATE = re.compile(r'UPDATE "[^"]+" (?P<changes>.*) WHERE (?P<where>.*)')
KEY = "idempotencyKey"
_MIB = 1024 * 1024
_ITEM_BYTES = 400 * 1024
_ENTRIES_BYTES = 256 * 1024  # of all entries of a PutEvents: source, detail type and detail
_XML = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
_ATTRIBUTE_NAME = re.compile(r"(?!(?i:aws|amazon)\.)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


class Crash(BaseException):
    """The process dies here."""


def client_error(code: str, operation: str = "Call") -> ClientError:
    """A refusal of a whole call."""
    return ClientError({"Error": {"Code": code, "Message": "made by a test"}}, operation)


Method = Callable[..., dict[str, Any]]


def modelled(service: str) -> Callable[[Method], Method]:
    """Holds the parameters of a fake's method to botocore's model of the operation of that name."""

    def decorate(method: Method) -> Method:
        operation = method.__name__.title().replace("_", "")

        @wraps(method)
        def call(fake: Any, **params: Any) -> dict[str, Any]:
            report = ParamValidator().validate(params, _input(service, operation))
            if report.has_errors():
                raise TypeError(f"{operation}: {report.generate_report()}")
            return method(fake, **params)

        return call

    return decorate


@cache
def _input(service: str, operation: str) -> Shape:
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    assert shape
    return shape


@dataclass
class FakeAws:
    """DynamoDB, SQS and EventBridge behind one object; pass it as every client.

    ``before`` and ``after`` are called with each call's name; they may raise. ``entry_failures`` maps a call's name to
    a function of an entry that returns an error code, or "" to let it pass.
    """

    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    sent: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    visibility: dict[str, int] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda _name: None
    after: Callable[[str], None] = lambda _name: None
    entry_failures: dict[str, Callable[[dict[str, Any]], str]] = field(default_factory=dict)
    _ids: Any = field(default_factory=lambda: count(1))

    def _call(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        self.calls.append(name)
        self.before(name)
        answer = work()
        self.after(name)
        return answer

    def _failure(self, name: str, entry: dict[str, Any]) -> str:
        return self.entry_failures[name](entry) if name in self.entry_failures else ""

    # DynamoDB

    @modelled("dynamodb")
    def batch_execute_statement(self, *, Statements: list[dict[str, Any]]) -> dict[str, Any]:
        assert 1 <= len(Statements) <= 25
        return self._call("BatchExecuteStatement", lambda: {"Responses": [self._execute(s) for s in Statements]})

    def _execute(self, statement: dict[str, Any]) -> dict[str, Any]:
        code = self._failure("BatchExecuteStatement", statement) or self._write(statement)
        return {"Error": {"Code": code, "Message": ""}} if code else {"TableName": "t"}

    def _write(self, statement: dict[str, Any]) -> str:
        text, parameters = statement["Statement"], list(statement["Parameters"])
        if match := _INSERT.fullmatch(text):
            names = re.findall(r"'(\w+)': \?", match["fields"])
            item = dict(zip(names, parameters, strict=True))
            if item[KEY]["S"] in self.items:
                return "DuplicateItem"
            _check_item(item)
            self.items[item[KEY]["S"]] = item
            return ""
        match = _UPDATE.fullmatch(text)
        assert match, text
        sets, removes = re.findall(r'SET "(\w+)"=\?', match["changes"]), re.findall(r'REMOVE "(\w+)"', match["changes"])
        wanted = dict(zip(re.findall(r'"(\w+)"=\?', match["where"]), parameters[len(sets) :], strict=True))
        found = self.items.get(wanted[KEY]["S"], {})
        if any(found.get(name) != value for name, value in wanted.items()):
            return "ConditionalCheckFailed"
        found |= dict(zip(sets, parameters, strict=False))
        for name in removes:
            found.pop(name, None)
        _check_item(found)
        return ""

    @modelled("dynamodb")
    def batch_get_item(self, *, RequestItems: dict[str, dict[str, Any]]) -> dict[str, Any]:
        (table, request), *_ = RequestItems.items()
        assert request["ConsistentRead"] is True
        assert 1 <= len(request["Keys"]) <= 100
        for key in request["Keys"]:
            _check_key(key[KEY]["S"])
        names = request["ExpressionAttributeNames"].values()

        def read() -> dict[str, Any]:
            left = [key for key in request["Keys"] if self._failure("BatchGetItem", key)]
            found = [
                self.items[key[KEY]["S"]] for key in request["Keys"] if key not in left and key[KEY]["S"] in self.items
            ]
            rows = [{name: item[name] for name in names if name in item} for item in found]
            return {"Responses": {table: rows}, "UnprocessedKeys": {table: {"Keys": left}} if left else {}}

        return self._call("BatchGetItem", read)

    @modelled("dynamodb")
    def get_item(self, *, TableName: str, Key: dict[str, Any], ConsistentRead: bool) -> dict[str, Any]:
        assert TableName
        assert ConsistentRead
        _check_key(Key[KEY]["S"])
        item = self.items.get(Key[KEY]["S"])
        return self._call("GetItem", lambda: {"Item": item} if item else {})

    # SQS

    @modelled("sqs")
    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        assert 1 <= len(Entries) <= 10
        assert len({entry["Id"] for entry in Entries}) == len(Entries)
        assert sum(map(message_size, Entries)) <= _MIB

        def send() -> dict[str, Any]:
            answer: dict[str, Any] = {"Successful": [], "Failed": []}
            for entry in Entries:
                if code := self._failure("SendMessageBatch", entry):
                    answer["Failed"].append({"Id": entry["Id"], "Code": code, "SenderFault": code.startswith("Sender")})
                    continue
                message_id = f"sent-{next(self._ids)}"
                self.sent.append({"QueueUrl": QueueUrl, "MessageId": message_id, **entry})
                answer["Successful"].append({"Id": entry["Id"], "MessageId": message_id})
            return answer

        return self._call("SendMessageBatch", send)

    @modelled("sqs")
    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        assert QueueUrl
        assert 1 <= len(Entries) <= 10

        def change() -> dict[str, Any]:
            failed = []
            for entry in Entries:
                if code := self._failure("ChangeMessageVisibilityBatch", entry):
                    failed.append({"Id": entry["Id"], "Code": code, "SenderFault": False})
                else:
                    assert 0 <= entry["VisibilityTimeout"] <= 43200
                    self.visibility[entry["ReceiptHandle"]] = entry["VisibilityTimeout"]
            return {"Successful": [], "Failed": failed}

        return self._call("ChangeMessageVisibilityBatch", change)

    @modelled("sqs")
    def delete_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        assert QueueUrl
        assert 1 <= len(Entries) <= 10

        def delete() -> dict[str, Any]:
            self.deleted += [entry["ReceiptHandle"] for entry in Entries]
            return {"Successful": [{"Id": entry["Id"]} for entry in Entries], "Failed": []}

        return self._call("DeleteMessageBatch", delete)

    @modelled("sqs")
    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:
        assert QueueUrl
        return self._call("GetQueueAttributes", lambda: {"Attributes": dict.fromkeys(AttributeNames, "x")})

    # EventBridge

    @modelled("events")
    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        assert 1 <= len(Entries) <= 10
        assert all(isinstance(json.loads(entry["Detail"]), dict) for entry in Entries)
        texts = [entry[name] for entry in Entries for name in ("Source", "DetailType", "Detail")]
        assert sum(len(text.encode()) for text in texts) <= _ENTRIES_BYTES

        def put() -> dict[str, Any]:
            answers = []
            for entry in Entries:
                if code := self._failure("PutEvents", entry):
                    answers.append({"ErrorCode": code, "ErrorMessage": ""})
                else:
                    self.events.append(entry)
                    answers.append({"EventId": str(next(self._ids))})
            return {"FailedEntryCount": sum("ErrorCode" in a for a in answers), "Entries": answers}

        return self._call("PutEvents", put)


@dataclass
class FakeQueue:
    """The messages that wait, with their receive counts; each `receive` takes them all."""

    waiting: dict[str, dict[str, Any]]
    receives: Counter[str] = field(default_factory=Counter)
    moved: list[str] = field(default_factory=list)

    def receive(self, max_receive_count: int = 5) -> list[dict[str, Any]]:
        """A batch of everything that waits; a message past its last receive is moved to the DLQ, as SQS does."""
        for message_id in [m for m in self.waiting if self.receives[m] >= max_receive_count]:
            self.moved.append(message_id)
            del self.waiting[message_id]
        batch = []
        for message_id, message in self.waiting.items():
            self.receives[message_id] += 1
            count = str(self.receives[message_id])
            batch.append(
                message | {"attributes": {"ApproximateReceiveCount": count}, "receiptHandle": f"{message_id}-{count}"}
            )
        return batch

    def forget(self, receipts: Iterable[str]) -> None:
        """Deletes what the worker itself has deleted."""
        gone = {receipt.rpartition("-")[0] for receipt in receipts}
        self.waiting = {message_id: message for message_id, message in self.waiting.items() if message_id not in gone}

    def settle(self, answer: dict[str, list[dict[str, str]]]) -> None:
        """Deletes what the worker's answer does not keep."""
        kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        self.waiting = {message_id: message for message_id, message in self.waiting.items() if message_id in kept}


@dataclass
class FakeContext:
    """Lambda's context with as much time left as the test says."""

    aws_request_id: str = "request-1"
    remaining_ms: int = 30_000

    def get_remaining_time_in_millis(self) -> int:
        """Always the same: the fake's time does not pass."""
        return self.remaining_ms


def message_size(entry: dict[str, Any]) -> int:
    """Bytes that count against SQS's limit of a message and of a batch; the entry is one that SQS takes."""
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}", entry["Id"])
    if not _XML.fullmatch(entry["MessageBody"]):  # not asserted: tests also deliver what SQS would never have taken
        raise client_error("InvalidMessageContents", "SendMessageBatch")
    assert 0 <= entry.get("DelaySeconds", 0) <= 900
    attributes = entry.get("MessageAttributes", {})
    assert len(attributes) <= 10
    size = len(entry["MessageBody"].encode())
    for name, attribute in attributes.items():
        assert _ATTRIBUTE_NAME.fullmatch(name)
        assert len(name) <= 256
        value = attribute["StringValue"] if "StringValue" in attribute else attribute["BinaryValue"]
        assert value, f"{name} is empty"
        assert isinstance(value, bytes) or _XML.fullmatch(value)
        size += len(name) + len(attribute["DataType"].encode())
        size += len(value if isinstance(value, bytes) else value.encode())
    return size


def _check_key(key: str) -> None:
    assert 1 <= len(key.encode()) <= 2048


def _check_item(item: dict[str, Any]) -> None:
    _check_key(item[KEY]["S"])
    size = 0
    for name, value in item.items():
        ((kind, content),) = value.items()
        text = "1" if isinstance(content, bool) else content  # a truth value takes a byte
        assert isinstance(content, bool) is (kind == "BOOL")
        assert kind != "N" or len(text.lstrip("-")) <= 38
        size += len(name) + len(text.encode())
    assert size <= _ITEM_BYTES
