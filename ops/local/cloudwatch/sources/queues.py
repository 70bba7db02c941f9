"""AWS/SQS: what is in the queues.

Exact: the numbers of visible, delayed and hidden messages, and messages received and deleted by a function's mapping.
The age of the oldest message is exact whenever the messages are looked at, which is the rarer the more there are, and
grows with the time in between. Sent and other deleted messages follow from how the depth changes and stays changed: a
lower bound, told a look late. Not known, so not published: SentMessageSize, NumberOfEmptyReceives, receives by anything
but a mapping.
"""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops.local.cloudwatch.metrics import Datum, Metric, Point

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_DEPTHS = {
    "ApproximateNumberOfMessages": "ApproximateNumberOfMessagesVisible",
    "ApproximateNumberOfMessagesNotVisible": "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed": "ApproximateNumberOfMessagesDelayed",
}
POISON_RECEIVES = 3  # after so many receives, SQS leaves a message out of the age
_MOVED_FROM = "DeadLetterQueueSourceArn"
_LOOKS = 50  # looking at the messages may take one part in so many of the time
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Settled:
    """What a function's mapping did with messages of a queue since the last look."""

    received: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class _Move:
    """When a message that SQS moved here was first seen, and how often it had been received by then."""

    at: float
    received: int


@dataclass(slots=True)
class _Memory:
    """What is remembered of a queue from one look to the next."""

    balance: int | None = None  # messages sent less those deleted by anything but a mapping, as far as it is sure
    last: int = 0  # the same at the last look, of which one part may have been older than the other
    deleted: int = 0  # by mappings
    arrived: int = 0  # moved here by SQS
    departed: int = 0  # moved away by SQS
    oldest: float | None = None  # when the oldest message came (seconds since the epoch)
    next_look: float = 0.0
    is_empty: bool = False
    moved: dict[str, _Move] = field(default_factory=dict)  # by message that SQS moved here


class Queues:
    """Looks at queues, and remembers what follows only from two looks."""

    def __init__(self, client: Any, messages: Callable[[str], Sequence[Mapping[str, Any]]]) -> None:  # noqa: ANN401 - a boto3 client, made by name
        self._client = client
        self._messages = messages
        self._memories: dict[str, _Memory] = {}

    def look(
        self, queues: Mapping[str, str], settled: Mapping[str, Settled], now: float, *, is_quiet: bool = False
    ) -> Iterator[Datum]:
        """The datapoints of this moment for queues (name -> URL); a queue that is gone has none.

        While it is quiet, a queue that was empty is taken to be so still.
        """
        for name, url in queues.items():
            memory = self._memories.setdefault(name, _Memory())
            depths = dict.fromkeys(_DEPTHS.values(), 0) if is_quiet and memory.is_empty else self._depths(url)
            if depths is None:
                continue
            memory.is_empty = not any(depths.values())
            values = depths | _flows(memory, sum(depths.values()), settled.get(name, Settled()))
            for metric, value in values.items():
                yield _datum(name, metric, value, "Count", now)
            age = self._age(memory, url, sum(depths.values()), now)
            yield _datum(name, "ApproximateAgeOfOldestMessage", age, "Seconds", now)

    def _depths(self, url: str) -> dict[str, int] | None:
        """Numbers of messages by metric; None where the queue is gone."""
        try:
            found = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=list(_DEPTHS))["Attributes"]
        except self._client.exceptions.QueueDoesNotExist:
            return None
        return {metric: int(found[attribute]) for attribute, metric in _DEPTHS.items()}

    def _age(self, memory: _Memory, url: str, total: int, now: float) -> int:
        if not total:
            memory.oldest, memory.next_look = None, 0.0
            memory.moved.clear()
        elif now >= memory.next_look:
            started = time.monotonic()
            messages = self._messages(url)
            self._note_moves(memory, messages, now)
            memory.oldest = _oldest(memory, messages)
            memory.next_look = now + _LOOKS * (time.monotonic() - started)
        return 0 if memory.oldest is None else max(0, int(now - memory.oldest))

    def _note_moves(self, memory: _Memory, messages: Sequence[Mapping[str, Any]], now: float) -> None:
        """A move is no send and no deletion, and the age counts from it."""
        here = {m["MessageId"]: m for m in messages if _MOVED_FROM in m["Attributes"]}
        for message in (message for id_, message in here.items() if id_ not in memory.moved):
            memory.arrived += 1
            source = message["Attributes"][_MOVED_FROM]
            self._memories.setdefault(source.rpartition(":")[2], _Memory()).departed += 1
        memory.moved = {
            id_: memory.moved.get(id_, _Move(now, message["ReceiveCount"])) for id_, message in here.items()
        }


def peek(endpoint: str) -> Callable[[str], Sequence[Mapping[str, Any]]]:
    """A way to see the messages of a queue (by URL) without receiving them, which only the emulator has."""

    def messages(url: str) -> Sequence[Mapping[str, Any]]:
        address = f"{endpoint}/_ministack/sqs/messages?{urllib.parse.urlencode({'QueueUrl': url})}"
        with _DIRECT.open(address, timeout=10) as answer:
            accounts = json.load(answer)["messages"]
        return [m for regions in accounts.values() for queues in regions.values() for ms in queues.values() for m in ms]

    return messages


def _flows(memory: _Memory, total: int, settled: Settled) -> dict[str, int]:
    memory.deleted += settled.deleted
    balance = total + memory.deleted + memory.departed - memory.arrived
    sure = balance if memory.balance is None else sorted((balance, memory.last, memory.balance))[1]
    change = 0 if memory.balance is None else sure - memory.balance
    memory.balance, memory.last = sure, balance
    return {
        "NumberOfMessagesSent": max(0, change),
        "NumberOfMessagesReceived": settled.received,
        "NumberOfMessagesDeleted": settled.deleted + max(0, -change),
    }


def _oldest(memory: _Memory, messages: Sequence[Mapping[str, Any]]) -> float | None:
    """When the oldest message came that counts.

    SQS leaves out what was received three times or more, and counts a message that it moved itself, with its receives,
    from the move.
    """
    came = []
    for message in messages:
        sent = _Move(float(message["Attributes"]["SentTimestamp"]) / 1000, 0)
        since = memory.moved.get(message["MessageId"], sent)
        if message["ReceiveCount"] - since.received < POISON_RECEIVES:
            came.append(since.at)
    return min(came, default=None)


def _datum(queue: str, metric: str, value: float, unit: str, now: float) -> Datum:
    return Datum(Metric.of("AWS/SQS", metric, {"QueueName": queue}), Point(now, float(value)), unit)
