"""Payments come from a queue, and each is made once, whatever SQS delivers twice."""

from pathlib import Path

import pulumi
from pulumi_aws import cloudwatch

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
queue = ReliableQueue("payments", ReliableQueueArgs(consumer_timeout_seconds=30, batching_window_seconds=2))
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
cloudwatch.MetricAlarm(
    "payments-dlq-not-empty",
    namespace="AWS/SQS",
    metric_name="ApproximateNumberOfMessagesVisible",
    dimensions={"QueueName": queue.dlq_arn.apply(lambda arn: arn.rpartition(":")[2])},
    statistic="Maximum",
    period=60,
    evaluation_periods=1,
    threshold=0,
    comparison_operator="GreaterThanThreshold",
    treat_missing_data="notBreaching",  # SQS says nothing of a queue that is idle
    alarm_actions=[pulumi.Config().require("alarmTopicArn")],
)
pulumi.export("queueUrl", queue.queue_url)
pulumi.export("dlqUrl", queue.dlq_url)
