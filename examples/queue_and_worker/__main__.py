"""Payments come from a queue, and each is made once, whatever SQS delivers twice."""

from pathlib import Path

import pulumi

from ingestion_lab.program import (
    EventBus,
    EventBusArgs,
    FunctionPlatform,
    FunctionPlatformArgs,
    InstrumentedFunction,
    InstrumentedFunctionArgs,
    QueueConsumer,
    QueueConsumerArgs,
    ReliableQueue,
    ReliableQueueArgs,
    StateTable,
    TableArgs,
    WorkerWiring,
    handlers_zip,
    layer_zip,
)

functions = Path(__file__).parent / "functions"
platform = FunctionPlatform(
    "platform", FunctionPlatformArgs(handlers_zip=handlers_zip(own=functions), layer_zip=layer_zip("arm64"))
)
queue = ReliableQueue(
    "payments",
    ReliableQueueArgs(
        consumer_timeout_seconds=30,
        batching_window_seconds=2,
        alarm_topic_arn=pulumi.Config().require("alarmTopicArn"),
    ),
)
wiring = WorkerWiring(
    pipeline="payments",
    queue=queue,
    state_table=StateTable("payments-state", TableArgs()),
    bus=EventBus("payments-bus", EventBusArgs()),
)
worker = InstrumentedFunction(
    "payments-worker",
    InstrumentedFunctionArgs(
        handler="payments.handler",
        platform=platform,
        timeout_seconds=queue.consumer_timeout_seconds,
        environment=wiring.environment(),
        statements=wiring.statements(),
    ),
)
QueueConsumer("payments", QueueConsumerArgs(queue_arn=queue.queue_arn, function_arn=worker.function.arn))
pulumi.export("queueUrl", queue.queue_url)
pulumi.export("dlqUrl", queue.dlq_url)
