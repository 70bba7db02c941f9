"""What a queue with its dead-letter queue must look like, and what is to be done to get there: functions of data.

Attributes are SQS's own: text by name, as GetQueueAttributes gives and CreateQueue takes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ops.local.errors import LabError

Attributes: TypeAlias = Mapping[str, str]

DAY = 86_400
MAX_RETENTION = 14 * DAY  # SQS's maximum; a message that moves keeps the time of its first send
_MAX_NAME = 80
_MAX_SOURCES = 10  # queues that a redrive-allow policy may name
_FIFO = ".fifo"
_JSON = frozenset({"Policy", "RedrivePolicy", "RedriveAllowPolicy"})
_KMS_KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/\S+")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}(\.fifo)?")


class QueueError(LabError):
    """The queue can't be made or changed as asked; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A queue as `lab queues create` is to leave it. Times in seconds; `prefix` is its ARN up to the name."""

    name: str  # without .fifo
    prefix: str
    fifo: bool = False
    max_receive_count: int = 5
    visibility: int = 30
    retention: int = 4 * DAY
    kms_key: str = ""
    tls: bool = True  # whether plain HTTP is refused; the laptop has nothing else

    def __post_init__(self) -> None:
        longest = _MAX_NAME - len(f"-dlq{_FIFO if self.fifo else ''}")
        if not re.fullmatch(rf"[A-Za-z0-9_-]{{1,{longest}}}", self.name):
            raise QueueError(
                f"a queue's name must have 1-{longest} letters, digits, _ and - (its DLQ is NAME-dlq; --fifo adds"
                f" .fifo), got {self.name!r}"
            )
        if self.kms_key and not _KMS_KEY.fullmatch(self.kms_key):  # SQS itself takes any text, and then no message
            raise QueueError(f"a customer key is given by its ARN (arn:aws:kms:...:key/...), got {self.kms_key!r}")

    @property
    def queue_name(self) -> str:
        """The main queue's name."""
        return self.name + _FIFO * self.fifo

    @property
    def dlq_name(self) -> str:
        """The dead-letter queue's name."""
        return dlq_name(self.queue_name)

    def dlq(self) -> dict[str, str]:
        """The dead-letter queue's attributes."""
        return dead_letters(self.prefix, self.dlq_name, self.queue_name, self.kms_key, tls=self.tls)

    def queue(self) -> dict[str, str]:
        """The main queue's attributes."""
        return {
            **kind(self.queue_name),
            **encryption(self.kms_key),
            "MessageRetentionPeriod": str(self.retention),
            "VisibilityTimeout": str(self.visibility),
            "RedrivePolicy": redrive(self.prefix + self.dlq_name, self.max_receive_count),
            **policy(self.prefix + self.queue_name, tls=self.tls),
        }


@dataclass(frozen=True, slots=True)
class Step:
    """One call: a queue to create with these attributes, or one to change to them."""

    queue: str
    attributes: dict[str, str]
    before: dict[str, str] | None = None  # of a queue that is there: what the attributes to change are now

    @property
    def creates(self) -> bool:
        """Whether the queue is not there yet."""
        return self.before is None

    def lines(self) -> list[str]:
        """The step as text."""
        if self.before is None:
            return [f"create {self.queue}", *(f"    {name} = {text}" for name, text in self.attributes.items())]
        changes = (f"    {name}: {self.before[name] or '(unset)'} -> {text}" for name, text in self.attributes.items())
        return [f"change {self.queue}", *changes]


def dlq_name(queue: str) -> str:
    """Return the default name of a queue's dead-letter queue."""
    return f"{queue.removesuffix(_FIFO)}-dlq{_FIFO if queue.endswith(_FIFO) else ''}"


def is_fifo(queue: str) -> bool:
    """Whether a queue of this name is FIFO."""
    return queue.endswith(_FIFO)


def check_name(name: str) -> str:
    """The name, if it can be one.

    Raises:
        QueueError: it can't.
    """
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise QueueError(f"a queue's name has 1-80 letters, digits, _ and -, and may end in .fifo, got {name!r}")
    return name


def dead_letters(prefix: str, name: str, source: str, kms_key: str, *, tls: bool) -> dict[str, str]:
    """Return the attributes of a new dead-letter queue of one source queue."""
    allowed = {"redrivePermission": "byQueue", "sourceQueueArns": [prefix + source]}
    return {
        **kind(name),
        **encryption(kms_key),
        "MessageRetentionPeriod": str(MAX_RETENTION),
        "RedriveAllowPolicy": json.dumps(allowed),
        **policy(prefix + name, tls=tls),
    }


def kind(name: str) -> dict[str, str]:
    """Attributes for the queue's kind: order and deduplication by group, so that groups scale."""
    if not name.endswith(_FIFO):
        return {}
    return {"FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}


def encryption(kms_key: str) -> dict[str, str]:
    """A queue is encrypted by SQS's own key, or by a customer's; SQS takes one of them, so the other is taken back."""
    return {"KmsMasterKeyId": kms_key, "SqsManagedSseEnabled": "false" if kms_key else "true"}


def redrive(dlq_arn: str, max_receive_count: int) -> str:
    """A redrive policy."""
    return json.dumps({"deadLetterTargetArn": dlq_arn, "maxReceiveCount": max_receive_count})


def policy(arn: str, *, tls: bool) -> dict[str, str]:
    """A policy that refuses plain HTTP and leaves the rest to the callers' own; none where there is no TLS."""
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})} if tls else {}


def differences(found: Attributes, wanted: Attributes) -> dict[str, str]:
    """The attributes that are not as wanted, as they are now; "" where one is not set."""
    names = (name for name, text in wanted.items() if _meaning(name, found.get(name)) != _meaning(name, text))
    return {name: found.get(name, "") for name in names}


def creation(wanted: Wanted, queue: Attributes | None, dlq: Attributes | None) -> list[Step]:
    """What is left to do for these two queues, in order; the arguments are what is there, None for nothing."""
    there = ((wanted.dlq_name, dlq, wanted.dlq()), (wanted.queue_name, queue, wanted.queue()))
    steps = []
    for name, found, attributes in there:
        if found is None:
            steps.append(_creation_of(name, attributes))
        elif before := differences(found, attributes):
            steps.append(Step(name, {key: attributes[key] for key in before}, before))
    return steps


def attachment(
    queue: Attributes, dlq_called: str, dlq: Attributes | None, *, max_receive_count: int, tls: bool = True
) -> list[Step]:
    """What is to be done to give a queue a dead-letter queue; nothing where it has this one already.

    Raises:
        QueueError: the two can't be tied: another DLQ, another kind, too short a retention, a closed DLQ.
    """
    name = queue["QueueArn"].rpartition(":")[2]
    prefix = queue["QueueArn"].removesuffix(name)
    wanted = redrive(prefix + dlq_called, max_receive_count)
    _refuse_other(queue, name, wanted)
    _refuse_mismatch(name, int(queue["MessageRetentionPeriod"]), dlq_called, dlq)
    steps = []
    if dlq is None:
        letters = dead_letters(prefix, dlq_called, name, queue.get("KmsMasterKeyId", ""), tls=tls)
        steps.append(_creation_of(dlq_called, letters))
    elif opened := _opened(dlq, dlq_called, queue["QueueArn"]):
        steps.append(Step(dlq_called, opened, {"RedriveAllowPolicy": dlq["RedriveAllowPolicy"]}))
    if not queue.get("RedrivePolicy"):
        steps.append(Step(name, {"RedrivePolicy": wanted}, {"RedrivePolicy": ""}))
    return steps


def _creation_of(name: str, attributes: Attributes) -> Step:
    return Step(name, {key: text for key, text in attributes.items() if text})


def _refuse_other(queue: Attributes, name: str, wanted: str) -> None:
    present = queue.get("RedrivePolicy")
    if present and _meaning("RedrivePolicy", present) != _meaning("RedrivePolicy", wanted):
        raise QueueError(f"{name} has a dead-letter queue already, nothing was changed; it has {present}, not {wanted}")


def _refuse_mismatch(name: str, retention: int, dlq_called: str, dlq: Attributes | None) -> None:
    if dlq_called == name:
        raise QueueError(f"{name} can't be its own dead-letter queue")
    if name.endswith(_FIFO) != dlq_called.endswith(_FIFO):
        raise QueueError(
            f"a FIFO queue's DLQ must be FIFO and a standard queue's standard, got {name} and {dlq_called}"
        )
    dlq_retention = MAX_RETENTION if dlq is None else int(dlq["MessageRetentionPeriod"])
    if dlq_retention <= retention:
        raise QueueError(
            f"the DLQ must keep messages longer than the queue, or dead letters may expire on arrival (the clock starts"
            f" at the first send): {name} keeps {retention} s, {dlq_called} would keep {dlq_retention} s"
        )


def _opened(dlq: Attributes, name: str, source_arn: str) -> dict[str, str]:
    """The change that lets an existing DLQ take dead letters of this queue too; empty where it does already."""
    allowed = json.loads(dlq.get("RedriveAllowPolicy") or '{"redrivePermission": "allowAll"}')
    if allowed["redrivePermission"] == "denyAll":
        raise QueueError(f"{name} lets no queue use it as its dead-letter queue (RedriveAllowPolicy denyAll)")
    sources = allowed.get("sourceQueueArns", [])
    if allowed["redrivePermission"] == "allowAll" or source_arn in sources:
        return {}
    if len(sources) >= _MAX_SOURCES:
        raise QueueError(f"{name} is the DLQ of {len(sources)} queues already, and SQS allows {_MAX_SOURCES}")
    return {"RedriveAllowPolicy": json.dumps(allowed | {"sourceQueueArns": [*sources, source_arn]})}


def _meaning(name: str, text: str | None) -> object:
    """Text that may be written in several ways as what it says."""
    if not text or name not in _JSON:
        return text or ""
    read = json.loads(text)
    if name == "RedrivePolicy":
        return {**read, "maxReceiveCount": int(read["maxReceiveCount"])}
    return read
