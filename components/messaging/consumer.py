"""The consumer of a queue: an event source mapping with partial batch responses."""

from dataclasses import dataclass

import pulumi
from pulumi_aws import lambda_

from components.config import aws_limits
from components.config.pollers import NO_POLLERS, Pollers


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueConsumerArgs:
    """What the caller decides. The function's role must already allow to receive and delete on the queue."""

    queue_arn: pulumi.Input[str]
    function_arn: pulumi.Input[str]
    batch_size: int = 10
    batching_window_seconds: int = 2
    max_concurrency: int = aws_limits.MIN_CONCURRENCY  # what a new account, with a quota of 10, has room for
    pollers: Pollers = NO_POLLERS  # provisioned mode: they bound the concurrency in place of `max_concurrency`
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
        if self.pollers and not self.pollers.is_whole:
            raise ValueError(f"pollers must be 2 or more, and the least at most the most, got {self.pollers}")
        if self.reserved_concurrency is not None and self.reserved_concurrency < self.polled:
            name = "that of the pollers" if self.pollers else "max_concurrency"
            raise ValueError(
                f"reserved_concurrency must be at least {name} ({self.polled}): what is polled and then throttled "
                f"burns receives, got {self.reserved_concurrency}"
            )

    @property
    def polled(self) -> int:
        """The batches that may be worked on at the same time."""
        return self.pollers.concurrency if self.pollers else self.max_concurrency


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
            # Lambda takes one of the two
            scaling_config=None if args.pollers else {"maximum_concurrency": args.max_concurrency},
            provisioned_poller_config=_provisioned(args.pollers) if args.pollers else None,
            # a deployment during an outage must not resume a paused consumer
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["enabled"] if args.paused_by_breaker else None),
        )
        self.register_outputs({"mapping_id": self.mapping.id})


def _provisioned(pollers: Pollers) -> lambda_.EventSourceMappingProvisionedPollerConfigArgsDict:
    return {"minimum_pollers": pollers.minimum, "maximum_pollers": pollers.maximum}
