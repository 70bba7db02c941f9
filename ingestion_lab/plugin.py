"""For Pulumi programs in other languages: components of `ingestion_lab.program` as a component package.

`plugin/` is what the engine starts; `plugin/schema.json` is what it makes of these classes:

    python -m ingestion_lab.plugin > plugin/schema.json

Pulumi infers the schema from these annotations alone, and not from those of the components. A default of a dataclass
does not make an input optional, so the inputs are typed dictionaries. What arrives is a plain dictionary, in which
every number is a float.
"""

import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi.provider.experimental import component_provider_host
from pulumi.provider.experimental.component import ComponentProvider

from components.compute.packaging import ROOT
from components.messaging import bus, consumer, queue
from components.storage import state_table, table

_NAME = "ingestion-lab"


class ReliableQueueInputs(TypedDict):
    """What the caller decides; everything else follows from it."""

    consumer_timeout_seconds: int
    """The time-out of the function that reads the queue, 1 to 900."""
    batching_window_seconds: NotRequired[int]
    """How long Lambda waits for a batch, 0 to 300; 0 without it."""
    max_receive_count: NotRequired[int]
    """Receives after which SQS moves a message to the dead-letter queue; 5 without it."""
    retention_seconds: NotRequired[int]
    """How long the queue keeps a message; 4 days without it."""
    dlq_retention_seconds: NotRequired[int]
    """How long the dead-letter queue keeps one, longer than the queue; 14 days without it."""
    fifo: NotRequired[bool]
    """Whether the queues keep the order of each message group."""
    kms_key_arn: NotRequired[pulumi.Input[str]]
    """A customer key; without it SQS encrypts with its own."""
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    """The SNS topic that hears of dead letters; without it nobody does."""


class ReliableQueue(pulumi.ComponentResource):
    """A queue, its dead-letter queue, and the only permitted path between them, closed to plain HTTP."""

    queue_url: pulumi.Output[str]
    """The queue's URL."""
    queue_arn: pulumi.Output[str]
    """The queue's ARN."""
    dlq_url: pulumi.Output[str]
    """The dead-letter queue's URL."""
    dlq_arn: pulumi.Output[str]
    """The dead-letter queue's ARN."""
    visibility_seconds: pulumi.Output[int]
    """The queue's visibility timeout: six time-outs of its consumer and the window."""

    def __init__(self, name: str, args: ReliableQueueInputs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{_NAME}:index:ReliableQueue", name, None, opts)
        wanted = queue.ReliableQueueArgs(**_given(args))
        made = queue.ReliableQueue(name, wanted, pulumi.ResourceOptions(parent=self))
        self.queue_url, self.queue_arn = made.queue_url, made.queue_arn
        self.dlq_url, self.dlq_arn = made.dlq_url, made.dlq_arn
        self.visibility_seconds = pulumi.Output.from_input(wanted.visibility)
        self.register_outputs({"queueUrl": self.queue_url, "dlqUrl": self.dlq_url})


class QueueConsumerInputs(TypedDict):
    """What the caller decides. The function's role must already allow to receive and delete on the queue."""

    queue_arn: pulumi.Input[str]
    """The queue's ARN."""
    function_arn: pulumi.Input[str]
    """The function's ARN, or its name."""
    batch_size: NotRequired[int]
    """Messages that the function gets at once; 10 without it, more only with a window."""
    batching_window_seconds: NotRequired[int]
    """How long Lambda waits for a batch; 2 without it, and 0 on a FIFO queue."""
    max_concurrency: NotRequired[int]
    """Batches worked on at the same time, 2 to 1000; 2 without it."""
    fifo: NotRequired[bool]
    """Whether the queue is a FIFO queue."""


class QueueConsumer(pulumi.ComponentResource):
    """An event source mapping that returns only the failed messages of a batch to the queue."""

    mapping_id: pulumi.Output[str]
    """The mapping's UUID."""

    def __init__(self, name: str, args: QueueConsumerInputs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{_NAME}:index:QueueConsumer", name, None, opts)
        made = consumer.QueueConsumer(
            name, consumer.QueueConsumerArgs(**_given(args)), pulumi.ResourceOptions(parent=self)
        )
        self.mapping_id = made.mapping.uuid
        self.register_outputs({"mappingId": self.mapping_id})


class StateTableInputs(TypedDict):
    """What the caller decides."""

    deletion_protected: NotRequired[bool]
    """Whether DynamoDB refuses to delete the table."""
    kms_key_arn: NotRequired[pulumi.Input[str]]
    """A customer key; without it DynamoDB encrypts with its own."""


class StateTable(pulumi.ComponentResource):
    """A table of idempotency records: on demand, encrypted, restorable, expiring."""

    table_name: pulumi.Output[str]
    """The table's name."""
    table_arn: pulumi.Output[str]
    """The table's ARN."""

    def __init__(self, name: str, args: StateTableInputs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{_NAME}:index:StateTable", name, None, opts)
        made = state_table.StateTable(name, table.TableArgs(**args), pulumi.ResourceOptions(parent=self))
        self.table_name, self.table_arn = made.table.name, made.table.arn
        self.register_outputs({"tableName": self.table_name, "tableArn": self.table_arn})


class EventBusInputs(TypedDict):
    """What the caller decides."""

    kms_key_arn: NotRequired[pulumi.Input[str]]
    """A customer key; the bus then has a queue for events that the key could not be used for."""


class EventBus(pulumi.ComponentResource):
    """A bus of EventBridge, so that its rules see its events only."""

    bus_name: pulumi.Output[str]
    """The bus's name."""
    bus_arn: pulumi.Output[str]
    """The bus's ARN."""

    def __init__(self, name: str, args: EventBusInputs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{_NAME}:index:EventBus", name, None, opts)
        made = bus.EventBus(name, bus.EventBusArgs(**args), pulumi.ResourceOptions(parent=self))
        self.bus_name, self.bus_arn = made.bus.name, made.bus.arn
        self.register_outputs({"busName": self.bus_name, "busArn": self.bus_arn})


def _given(args: Mapping[str, object]) -> dict[str, Any]:
    """Return the inputs with whole numbers as such: a redrive policy is a text, and `3.0` in it no count.

    Raises:
        ValueError: a number is not whole.
    """
    for name, value in args.items():
        if isinstance(value, float) and not value.is_integer():
            raise ValueError(f"{name} must be a whole number, got {value}")
    return {name: int(value) if isinstance(value, float) else value for name, value in args.items()}


COMPONENTS: list[type[pulumi.ComponentResource]] = [EventBus, QueueConsumer, ReliableQueue, StateTable]


def serve() -> None:
    """Serve the components to the engine, which starts this and ends it."""
    component_provider_host(COMPONENTS, _NAME, version=_version())


def schema() -> str:
    """The package's schema as JSON."""
    provider = ComponentProvider(COMPONENTS, _NAME, version=_version())
    return json.dumps(json.loads(str(provider.schema)), indent=2, sort_keys=True) + "\n"


def _version() -> str:
    project = tomllib.loads(Path(ROOT, "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


if __name__ == "__main__":
    sys.stdout.write(schema())
