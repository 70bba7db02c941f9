"""An SQS queue whose failures are kept, findable and redrivable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pulumi
from pulumi_aws import sqs

from components.config import aws_limits
from components.security import policies


@dataclass(frozen=True, kw_only=True, slots=True)
class ExistingQueue:
    """A queue that someone else owns. It is read and written, and never configured, from here.

    A main queue's owner must have set: a visibility timeout of at least 6 consumer timeouts plus the batching window, a
    redrive policy to the dead-letter queue, and, if its policy or key is closed, access for the function roles. A
    dead-letter queue's owner must have set: a redrive-allow policy that names the main queue or allows all, a retention
    above the main queue's, the same kind (FIFO or standard), and access for the roles of the consumer and the redrive.
    """

    url: str
    arn: str


class DeadLetters(Protocol):
    """A dead-letter queue, and the queue to which its letters are brought back."""

    queue_url: pulumi.Output[str]
    queue_arn: pulumi.Output[str]
    dlq_url: pulumi.Output[str]
    dlq_arn: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliableQueueArgs:
    """What the caller decides; everything else follows from it. Times in seconds."""

    consumer_timeout_seconds: int
    batching_window_seconds: int = 0
    visibility_seconds: int | None = None
    max_receive_count: int = 5
    retention_seconds: int = 4 * aws_limits.DAY
    dlq_retention_seconds: int = aws_limits.MAX_RETENTION
    fifo: bool = False
    kms_key_arn: pulumi.Input[str] | None = None
    existing_queue: ExistingQueue | None = None
    existing_dlq: ExistingQueue | None = None
    tags: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        _within("consumer_timeout_seconds", self.consumer_timeout_seconds, 1, aws_limits.MAX_TIMEOUT)
        _within("batching_window_seconds", self.batching_window_seconds, 0, 0 if self.fifo else aws_limits.MAX_WINDOW)
        _within("max_receive_count", self.max_receive_count, 1, aws_limits.MAX_RECEIVE_COUNT)
        _within("retention_seconds", self.retention_seconds, 60, aws_limits.MAX_RETENTION - 1)
        # a message keeps its first send time when it moves, so a DLQ of equal retention loses it at once
        _within(
            "dlq_retention_seconds", self.dlq_retention_seconds, self.retention_seconds + 1, aws_limits.MAX_RETENTION
        )
        _within("visibility_seconds", self.visibility, self.least_visibility, aws_limits.MAX_VISIBILITY)
        for existing in (self.existing_queue, self.existing_dlq):
            if existing and existing.arn.endswith(".fifo") != self.fifo:
                raise ValueError(f"an existing queue must be FIFO exactly when fifo is {self.fifo}, got {existing.arn}")

    @property
    def least_visibility(self) -> int:
        """What the main queue's visibility timeout must not be below."""
        return aws_limits.least_visibility(self.consumer_timeout_seconds, self.batching_window_seconds)

    @property
    def visibility(self) -> int:
        """The main queue's visibility timeout."""
        return self.least_visibility if self.visibility_seconds is None else self.visibility_seconds


class ReliableQueue(pulumi.ComponentResource):
    """A queue, its dead-letter queue, and the only permitted path between them.

    Call `limit_producers` once, as soon as the producers' role ARNs are there: the queues' policies are made by it.
    """

    queue_url: pulumi.Output[str]
    queue_arn: pulumi.Output[str]
    dlq_url: pulumi.Output[str]
    dlq_arn: pulumi.Output[str]
    policy: sqs.QueuePolicy | None = None  # of the main queue, once its producers are known

    def __init__(self, name: str, args: ReliableQueueArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:messaging:ReliableQueue", name, None, opts)
        self._name = name
        self._args = args
        self.dlq_url, self.dlq_arn = self._dlq(args.existing_dlq)
        self.queue_url, self.queue_arn = self._queue(args.existing_queue)
        if not args.existing_dlq:
            allowed = {"redrivePermission": "byQueue", "sourceQueueArns": [self.queue_arn]}
            sqs.RedriveAllowPolicy(
                f"{name}-dlq-redrive-allow",
                queue_url=self.dlq_url,
                redrive_allow_policy=pulumi.Output.json_dumps(allowed),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"queue_url": self.queue_url, "dlq_url": self.dlq_url})

    def limit_producers(
        self,
        *,
        queue: Sequence[pulumi.Input[str]],
        dlq: Sequence[pulumi.Input[str]],
        rules: Sequence[pulumi.Input[str]] = (),
    ) -> None:
        """Closes both queues to plain HTTP and to every sender but these principals (ARNs of roles or users).

        EventBridge is let in by the ARNs of its rules, and to the main queue only.

        Raises:
            ValueError: a queue without any producer: IAM has no policy that says so.
        """
        if not queue or not dlq:
            raise ValueError(
                f"each queue needs a producer, got {len(queue)} for the main queue and {len(dlq)} for the DLQ"
            )
        if not self._args.existing_queue:
            self.policy = self._close("queue", self.queue_url, policies.queue_policy(self.queue_arn, queue, rules))
        if not self._args.existing_dlq:
            self._close("dlq", self.dlq_url, policies.queue_policy(self.dlq_arn, dlq))

    def _close(self, role: str, url: pulumi.Output[str], policy: policies.Document) -> sqs.QueuePolicy:
        return sqs.QueuePolicy(
            f"{self._name}-{role}-policy",
            queue_url=url,
            policy=pulumi.Output.json_dumps(policy),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _dlq(self, existing: ExistingQueue | None) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        if existing:
            return _adopted(existing)
        return self._made("dlq", sqs.QueueArgs(message_retention_seconds=self._args.dlq_retention_seconds))

    def _queue(self, existing: ExistingQueue | None) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        if existing:
            return _adopted(existing)
        redrive = {"deadLetterTargetArn": self.dlq_arn, "maxReceiveCount": self._args.max_receive_count}
        return self._made(
            "queue",
            sqs.QueueArgs(
                message_retention_seconds=self._args.retention_seconds,
                visibility_timeout_seconds=self._args.visibility,
                redrive_policy=pulumi.Output.json_dumps(redrive),
            ),
        )

    def _made(self, role: str, args: sqs.QueueArgs) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        if self._args.kms_key_arn is None:
            args.sqs_managed_sse_enabled = True
        else:
            args.kms_master_key_id = self._args.kms_key_arn
        if self._args.fifo:
            # the provider ends the generated name in .fifo; ordering and deduplication by group, so that groups scale
            args.fifo_queue = True
            args.deduplication_scope = "messageGroup"
            args.fifo_throughput_limit = "perMessageGroupId"
        args.tags = self._args.tags
        queue = sqs.Queue(f"{self._name}-{role}", args, pulumi.ResourceOptions(parent=self))
        return queue.url, queue.arn


def _adopted(existing: ExistingQueue) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    return pulumi.Output.from_input(existing.url), pulumi.Output.from_input(existing.arn)


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be {low}-{high}, got {value}")
