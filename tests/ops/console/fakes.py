"""A stack on AWS as its clients see it: what stands in queues, which functions run, which alarms ring."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from boto3.dynamodb.types import TypeSerializer

from tests.ops.console.served import FakeStack

_OBJECT = {"ETag": '"e"', "Size": 3, "ContentLength": 3, "LastModified": datetime(2026, 1, 2, tzinfo=UTC)}
_MAPPING = {"State": "Enabled", "EventSourceArn": "arn:aws:sqs:eu-west-1:1:other"}
_DEPTHS = ("", "NotVisible", "Delayed")


class Table:
    """A table of DynamoDB: records by key, read one by one or whole."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.scans = 0

    def put(self, key: str, record: Mapping[str, Any]) -> None:
        """Write a record, given without DynamoDB's types."""
        write = TypeSerializer().serialize
        self.items[key] = {name: write(value) for name, value in {"idempotencyKey": key, **record}.items()}

    def get_item(self, Key: Mapping[str, Any], **_: object) -> Any:
        item = self.items.get(Key.get("idempotencyKey", {}).get("S", ""))
        return {"Item": item} if item else {}

    def get_paginator(self, call: str) -> "Table":
        assert call == "scan"
        return self

    def paginate(self, ExpressionAttributeValues: Mapping[str, Any], **_: object) -> Iterator[Any]:
        """Its filters are by pipeline, and by a text in the payload."""
        self.scans += 1
        pipeline, text = ExpressionAttributeValues[":pipeline"], ExpressionAttributeValues.get(":id", {"S": ""})["S"]
        for item in self.items.values():
            if item.get("pipeline") == pipeline and text in item["payload"]["S"]:
                yield {"Items": [item]}


@dataclass
class Aws:
    """All clients in one. `calls` counts what was asked for; of metrics, how many."""

    stack: FakeStack
    table: Table = field(default_factory=Table)
    depths: Counter[str] = field(default_factory=Counter)  # of queues, by URL
    alarms: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, str] = field(default_factory=dict)  # states of the alarms that sum up others, by name
    objects: list[str] = field(default_factory=list)  # of bronze
    calls: Counter[str] = field(default_factory=Counter)
    error: Exception | None = None  # what every call fails with

    def client(self, service: str) -> "_Client":
        return _Client(self, service)

    def answer(self, service: str, call: str, given: Mapping[str, Any]) -> Iterator[Any]:
        """The pages of a call's answer."""
        if self.error:
            raise self.error
        self.calls[f"{service} {call}"] += 1
        answers: Mapping[str, Callable[..., Any]] = {
            "get_queue_attributes": self._depths,
            "list_event_source_mappings": lambda **_: {"EventSourceMappings": [_MAPPING]},
            "get_metric_data": self._metrics,
            "describe_alarms": self._described,
            "describe_alarm_history": self._history,
            "get_item": self.table.get_item,
            "list_objects_v2": self._listed,
            "head_object": lambda **_: _OBJECT,
            "get_integrations": lambda **_: {"Items": []},
            "list_rules": lambda **_: {"Rules": []},
            "get_function_configuration": lambda **_: {"Environment": {"Variables": {}}},
            "get_bucket_notification_configuration": lambda **_: {},
        }
        if call == "scan":
            yield from self.table.paginate(**given)
        else:
            yield answers[call](**given)

    def ring(self, name: str, state: str) -> dict[str, Any]:
        """An alarm of the stack."""
        since = datetime(2026, 1, 2, tzinfo=UTC)
        return {
            "AlarmName": f"IngestionLab-{self.stack.stack}-{name}",
            "AlarmDescription": f"Runbook: ops/runbooks/{name.partition('-')[2]}.md",
            "StateValue": state,
            "StateReason": "it is so",
            "StateUpdatedTimestamp": since,
        }

    def _described(self, AlarmTypes: Sequence[str] = ("MetricAlarm",), **_: object) -> Any:
        """As AWS does it: of alarms that sum up others nothing is said unless they are asked for."""
        found = {"MetricAlarm": ("MetricAlarms", self.alarms), "CompositeAlarm": ("CompositeAlarms", self._sums())}
        return dict(found[kind] for kind in AlarmTypes)

    def _history(self, AlarmName: str, AlarmTypes: Sequence[str] = ("MetricAlarm",), **_: object) -> Any:
        """Each alarm has changed once. As AWS does it: alarms that sum up others are left out as above."""
        kind = "CompositeAlarm" if AlarmName in [one["AlarmName"] for one in self._sums()] else "MetricAlarm"
        change = {"Timestamp": datetime(2026, 1, 2, tzinfo=UTC), "HistorySummary": f"{AlarmName} has changed"}
        return {"AlarmHistoryItems": [change] if kind in AlarmTypes else []}

    def _sums(self) -> list[dict[str, Any]]:
        """The alarms that sum up the others, by which they are known to be the stack's."""
        rule = " OR ".join(f'ALARM("{one["AlarmName"]}")' for one in self.alarms)
        states = {"critical": "OK", **self.sums}
        return [{**self.ring(name, state), "AlarmDescription": "", "AlarmRule": rule} for name, state in states.items()]

    def _depths(self, QueueUrl: str, AttributeNames: list[str]) -> Any:
        counts = {f"ApproximateNumberOfMessages{name}": "0" for name in _DEPTHS}
        counts["ApproximateNumberOfMessages"] = str(self.depths[QueueUrl])
        return {"Attributes": {name: counts.get(name, "{}") for name in AttributeNames}}

    def _listed(self, **_: object) -> Any:
        return {"IsTruncated": False, "Contents": [{"Key": key, **_OBJECT} for key in self.objects]}

    def _metrics(self, MetricDataQueries: list[Any], **_: object) -> Any:
        self.calls["metrics"] += len(MetricDataQueries)
        return {"MetricDataResults": []}


@dataclass(frozen=True)
class _Client:
    """A client of one service."""

    aws: Aws
    service: str

    def __getattr__(self, call: str) -> Callable[..., Any]:
        return lambda **given: next(self.aws.answer(self.service, call, given))

    def get_paginator(self, call: str) -> "_Pages":
        return _Pages(self, call)


@dataclass(frozen=True)
class _Pages:
    """A paginator of one call."""

    of: _Client
    call: str

    def paginate(self, **given: Any) -> Iterator[Any]:
        return self.of.aws.answer(self.of.service, self.call, given)


class WholeStack(FakeStack):
    """A stack whose clients are those of one `Aws`."""

    def __init__(self, **outputs: Any) -> None:
        super().__init__(DynamoTableName="state", ControlTableName="control", EventBusName="bus", **outputs)
        self.aws = Aws(self)

    def client(self, service: str) -> Any:
        return self.aws.client(service)


def group(name: str, **more: str) -> dict[str, str]:
    """The outputs of a pipeline."""
    urls = {f"{key}Url": f"https://sqs/{name}-{key}" for key in ("queue", "dlq")}
    return {**urls, "workerFunctionName": f"{name}-worker", "breakerFunctionName": f"{name}-breaker", **more}
