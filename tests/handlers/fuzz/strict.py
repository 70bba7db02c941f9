"""The fake AWS with AWS's own checks of what it is sent: a call that AWS would refuse is a bug and fails the test."""

import json
import re
from typing import Any

from tests.handlers.fakes import KEY, FakeAws

_MIB = 1024 * 1024
_ITEM_BYTES = 400 * 1024
_XML = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")


class StrictAws(FakeAws):
    """Limits: DynamoDB's keys, items and numbers; SQS's characters and sizes; EventBridge's entries."""

    def batch_execute_statement(self, *, Statements: list[dict[str, Any]]) -> dict[str, Any]:
        answer = super().batch_execute_statement(Statements=Statements)
        for item in self.items.values():
            _check_item(item)
        return answer

    def batch_get_item(self, *, RequestItems: dict[str, dict[str, Any]]) -> dict[str, Any]:
        for request in RequestItems.values():
            for key in request["Keys"]:
                _check_key(key[KEY]["S"])
        return super().batch_get_item(RequestItems=RequestItems)

    def get_item(self, *, TableName: str, Key: dict[str, Any], ConsistentRead: bool) -> dict[str, Any]:
        _check_key(Key[KEY]["S"])
        return super().get_item(TableName=TableName, Key=Key, ConsistentRead=ConsistentRead)

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        assert sum(map(_check_message, Entries)) <= _MIB
        return super().send_message_batch(QueueUrl=QueueUrl, Entries=Entries)

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        for entry in Entries:
            assert isinstance(json.loads(entry["Detail"]), dict)
            assert len(entry["Detail"].encode()) <= 256 * 1024
        return super().put_events(Entries=Entries)


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


def _check_message(entry: dict[str, Any]) -> int:
    assert _XML.fullmatch(entry["MessageBody"])
    size = len(entry["MessageBody"].encode())
    for name, attribute in entry["MessageAttributes"].items():
        value = attribute.get("StringValue", attribute.get("BinaryValue"))
        assert value, f"{name} is empty"
        assert isinstance(value, bytes) or _XML.fullmatch(value)
        size += len(name) + len(attribute["DataType"]) + len(value if isinstance(value, bytes) else value.encode())
    return size
