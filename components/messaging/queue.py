"""An SQS queue whose failures are kept, findable and redrivable."""

from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, get_caller_identity, get_region, sqs

from components.config import aws_limits
from components.messaging.encrypted_queue import encrypted_queue
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


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetters:
    """A dead-letter queue, and the queue to which a redrive takes its letters."""

    queue_url: pulumi.Output[str]
    queue_arn: pulumi.Output[str]
    dlq_url: pulumi.Output[str]
    dlq_arn: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliableQueueArgs:
    """What the caller decides; everything else follows from it. Times in seconds.

    `senders_follow` says that the caller names the senders later, with `queue_access.limit_senders`. Without it the
    queues are closed to plain HTTP at once, and IAM alone decides who sends.

    `alarm_topic_arn` is the SNS topic that hears when there are dead letters, and when they are gone. Without it
    somebody else has to watch their depth, as `ObservabilityPack` does.
    """

    consumer_timeout_seconds: int
    batching_window_seconds: int = 0
    visibility_seconds: int | None = None
    max_receive_count: int = 5
    retention_seconds: int = 4 * aws_limits.DAY
    dlq_retention_seconds: int = aws_limits.MAX_RETENTION
    fifo: bool = False
    kms_key_arn: pulumi.Input[str] | None = None
    alarm_topic_arn: pulumi.Input[str] | None = None
    existing_queue: ExistingQueue | None = None
    existing_dlq: ExistingQueue | None = None
    senders_follow: bool = False

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

    @property
    def outage_seconds(self) -> int:
        """The longest outage that a message is to outlast by waiting, well within the retention.

        The waits before the last one, each a fifth of the next, make it a quarter longer.
        """
        return max(1, min(3 * self.max_receive_count * self.visibility, self.retention_seconds // 3))


class ReliableQueue(pulumi.ComponentResource):
    """A queue, its dead-letter queue, and the only permitted path between them, closed to plain HTTP.

    Where the senders follow, the queues' policies are made by `queue_access.limit_senders`: they name roles that are
    made later.
    """

    queue_url: pulumi.Output[str]
    queue_arn: pulumi.Output[str]
    dlq_url: pulumi.Output[str]
    dlq_arn: pulumi.Output[str]
    consumer_timeout_seconds: int
    max_receive_count: int
    outage_seconds: int
    is_fifo: bool
    adopted: frozenset[str]  # which of "queue" and "dlq" someone else owns

    def __init__(self, name: str, args: ReliableQueueArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:messaging:ReliableQueue", name, None, opts)
        self.name = name
        self._args = args
        self.consumer_timeout_seconds = args.consumer_timeout_seconds
        self.max_receive_count = args.max_receive_count
        self.outage_seconds = args.outage_seconds
        existing = {"queue": args.existing_queue, "dlq": args.existing_dlq}
        self.is_fifo = args.fifo
        self.adopted = frozenset(role for role, queue in existing.items() if queue)
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
        self._closed: set[str] = set()
        if not args.senders_follow:
            for role, arn in (("queue", self.queue_arn), ("dlq", self.dlq_arn)):
                self.close(role, policies.document([policies.tls_only("sqs:*", arn)]))
        if args.alarm_topic_arn is not None:
            self._watch(args.alarm_topic_arn)
        self.register_outputs({"queue_url": self.queue_url, "dlq_url": self.dlq_url})

    def close(self, role: str, policy: policies.Document) -> sqs.QueuePolicy | None:
        """Give "queue" or "dlq" its policy; one that someone else owns keeps what it has.

        Raises:
            ValueError: it has one. A queue has one policy, and of two resources that set it the later one would win.
        """
        if role in self.adopted:
            return None
        if role in self._closed:
            raise ValueError(f"the queues of {self.name} have their policies: make them with senders_follow=True")
        self._closed.add(role)
        return sqs.QueuePolicy(
            f"{self.name}-{role}-policy",
            queue_url=self.queue_url if role == "queue" else self.dlq_url,
            policy=pulumi.Output.json_dumps(policy),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def dead_letters(self) -> DeadLetters:
        """Return the two ends of a redrive."""
        return DeadLetters(
            queue_url=self.queue_url, queue_arn=self.queue_arn, dlq_url=self.dlq_url, dlq_arn=self.dlq_arn
        )

    def _watch(self, topic_arn: pulumi.Input[str]) -> None:
        cloudwatch.MetricAlarm(
            f"{self.name}-dlq-not-empty",
            alarm_description=f"Letters are on the dead-letter queue of {self.name}: messages are not processed.",
            namespace="AWS/SQS",
            metric_name="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": self.dlq_arn.apply(lambda arn: arn.rpartition(":")[2])},
            statistic="Maximum",
            period=60,
            evaluation_periods=1,
            threshold=0,
            comparison_operator="GreaterThanThreshold",
            treat_missing_data="notBreaching",  # SQS says nothing of a queue that nobody has used for six hours
            alarm_actions=[topic_arn],
            ok_actions=[topic_arn],
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
        if self._args.fifo:
            # the provider ends the generated name in .fifo; ordering and deduplication by group, so that groups scale
            args.fifo_queue = True
            args.deduplication_scope = "messageGroup"
            args.fifo_throughput_limit = "perMessageGroupId"
        queue = encrypted_queue(f"{self.name}-{role}", args, kms_key_arn=self._args.kms_key_arn, parent=self)
        return queue.url, queue.arn


def _adopted(existing: ExistingQueue) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    """Return the URL and the ARN of a queue, which must be where the stack is.

    Raises:
        pulumi.RunError: it is of another account or region.
    """
    _, _, _, region, account, name = existing.arn.split(":")
    here = (get_caller_identity().account_id, get_region().region)
    if (account, region) != here:
        raise pulumi.RunError(
            f"the existing queue {name} is of account {account} and region {region}, and this stack of "
            f"account {here[0]} and region {here[1]}: give a queue of the same account and region, or none"
        )
    return pulumi.Output.from_input(existing.url), pulumi.Output.from_input(existing.arn)


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be {low}-{high}, got {value}")
