"""The consumer of a queue: an event source mapping with partial batch responses."""

from dataclasses import dataclass

import pulumi
from pulumi_aws import lambda_

from components.config import aws_limits


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueConsumerArgs:
    """What the caller decides. The function's role must already allow to receive and delete on the queue."""

    queue_arn: pulumi.Input[str]
    function_arn: pulumi.Input[str]
    batch_size: int = 10
    batching_window_seconds: int = 2
    max_concurrency: int = aws_limits.MIN_CONCURRENCY  # what a new account, with a quota of 10, has room for
    reserved_concurrency: int | None = None
    fifo: bool = False
    paused_by_breaker: bool = False

    def __post_init__(self) -> None:
        if self.fifo and self.batching_window_seconds:
            raise ValueError(f"batching_window_seconds must be 0 on a FIFO queue, got {self.batching_window_seconds}")
        most = aws_limits.MAX_BATCH if self.batching_window_seconds else aws_limits.MAX_BATCH_WITHOUT_WINDOW
        if not 1 <= self.batch_size <= most:
            raise ValueError(
                f"batch_size must be 1-{most} with a batching window of {self.batching_window_seconds} s, "
                f"got {self.batch_size}"
            )
        if not aws_limits.MIN_CONCURRENCY <= self.max_concurrency <= aws_limits.MAX_CONCURRENCY:
            raise ValueError(f"max_concurrency must be 2-1000, got {self.max_concurrency}")
        if self.reserved_concurrency is not None and self.reserved_concurrency < self.max_concurrency:
            raise ValueError(
                f"reserved_concurrency must be at least max_concurrency ({self.max_concurrency}): what is polled and "
                f"then throttled burns receives, got {self.reserved_concurrency}"
            )


class QueueConsumer(pulumi.ComponentResource):
    """An event source mapping that returns only the failed messages of a batch to the queue."""

    mapping: lambda_.EventSourceMapping

    def __init__(self, name: str, args: QueueConsumerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:messaging:QueueConsumer", name, None, opts)
        self.mapping = lambda_.EventSourceMapping(
            f"{name}-mapping",
            event_source_arn=args.queue_arn,
            function_name=args.function_arn,
            batch_size=args.batch_size,
            # not a setting of FIFO queues at all, so not even 0 is passed
            maximum_batching_window_in_seconds=None if args.fifo else args.batching_window_seconds,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config={"maximum_concurrency": args.max_concurrency},
            # a deployment during an outage must not resume a paused consumer
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["enabled"] if args.paused_by_breaker else None),
        )
        self.register_outputs({"mapping_id": self.mapping.id})
