"""AWS/Events, AWS/SNS and the work of mappings, from the lines that the emulator prints.

Known so: what mappings received and deleted; MatchedEvents, Invocations and FailedInvocations of rules; published,
delivered and failed notifications of topics. The lines name the target or the endpoint, not the rule or the topic:
where one serves several, it counts for each of them. Not known, so not published: retries and dead letters of rules,
throttled rules, message sizes, what a mapping received when its function failed, notifications of alarms among the
published ones.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ops.local.cloudwatch.metrics import Datum, Metric, Point
from ops.local.cloudwatch.sources.queues import Settled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ops.local.cloudwatch.definitions import Rule

_LINE = re.compile(r"\S+ \S+ \w+ \[(sns|events|lambda|lambda_runtime)\] (.*)")
_MAPPING = re.compile(r"ESM: Lambda \S+ processed (\d+) SQS messages from (\S+)(?: \((\d+) partial failures\))?")
_COLD = re.compile(r"Lambda worker spawned for (\S+) \(.*")
_PASSED = re.compile(r"EventBridge → (?:SNS|SQS|Lambda) (\S+?)(?:: dispatched)?")
_LOST = re.compile(
    r"EventBridge → SNS (\S+) refused: .*|EventBridge → (?:SNS|SQS|Lambda): \w+ (\S+) not found"
    r"|EventBridge target dispatch error for (\S+): .*|EventBridge: target (\S+) not delivered: .*"
)
_PUBLISHED = re.compile(r"SNS publish to (\S+): .*")
_NOTIFIED = re.compile(r"SNS fanout → (?:SQS|Lambda|email) (\S+)(?: \(stub\))?|SNS HTTP delivery to (\S+): \d+")
_UNNOTIFIED = re.compile(
    r"SNS fanout → Lambda (\S+) failed: .*|SNS HTTP delivery to (\S+) failed: .*"
    r"|SNS fanout: (?:SQS queue|Lambda function) (\S+) not found"
    r"|SNS fanout: queue policy denies delivery from \S+ to (\S+)"
)


@dataclass(slots=True)
class Notices:
    """What a stretch of the emulator's log says, counted."""

    settled: dict[str, Settled] = field(default_factory=dict)  # queue -> what mappings did
    cold: Counter[str] = field(default_factory=Counter)  # function -> processes started
    delivered: Counter[str] = field(default_factory=Counter)  # last part of a target's ARN -> events passed to it
    undelivered: Counter[str] = field(default_factory=Counter)
    published: Counter[str] = field(default_factory=Counter)  # topic ARN -> messages
    notified: Counter[str] = field(default_factory=Counter)  # last part of an endpoint -> notifications
    unnotified: Counter[str] = field(default_factory=Counter)


class Tail:
    """The end of a log that others write: what has come since the last look, in whole lines."""

    def __init__(self, path: Path, offset: int | None = None) -> None:
        self._path = path
        self.offset = path.stat().st_size if offset is None and path.exists() else offset or 0

    def lines(self) -> list[str]:
        """The new lines; from the start again where the file was cut."""
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(self.offset if self.offset <= size else 0)
                start = file.tell()
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self.offset = start + len(whole)
        return whole.decode(errors="replace").splitlines()


def read(lines: Iterable[str]) -> Notices:
    """What lines say."""
    notices = Notices()
    for line in lines:
        _read(line, notices)
    return notices


def data(notices: Notices, rules: Sequence[Rule], topics: Mapping[str, Sequence[str]], now: float) -> Iterator[Datum]:
    """The datapoints of notices; `topics` holds the endpoints that are subscribed to each topic (ARN)."""
    for rule in rules:
        bus = {} if rule.bus == "default" else {"EventBusName": rule.bus}
        ends = [_end(target) for target in rule.targets]
        failed = sum(notices.undelivered[end] for end in ends)
        tried = [notices.delivered[end] + notices.undelivered[end] for end in ends]
        counts = {"MatchedEvents": max(tried, default=0), "Invocations": sum(tried), "FailedInvocations": failed}
        yield from _counted("AWS/Events", bus | {"RuleName": rule.name}, counts, now)
    for arn, endpoints in topics.items():
        ends = [_end(endpoint) for endpoint in endpoints]
        counts = {
            "NumberOfMessagesPublished": notices.published[arn],
            "NumberOfNotificationsDelivered": sum(notices.notified[end] for end in ends),
            "NumberOfNotificationsFailed": sum(notices.unnotified[end] for end in ends),
        }
        yield from _counted("AWS/SNS", {"TopicName": _end(arn)}, counts, now)


def _counted(namespace: str, dimensions: Mapping[str, str], counts: Mapping[str, int], now: float) -> Iterator[Datum]:
    """Only what happened: AWS sends none of these while it is zero."""
    for name, count in counts.items():
        if count:
            yield Datum(Metric.of(namespace, name, dimensions), Point(now, 1.0, count), "Count")


def _read(line: str, into: Notices) -> None:
    shape = _LINE.fullmatch(line)
    if shape is None:  # a line of a function's output, or of a traceback
        return
    said = shape.group(2)
    if found := _MAPPING.fullmatch(said):
        deleted, kept = int(found.group(1)), int(found.group(3) or 0)
        before = into.settled.get(found.group(2), Settled())
        into.settled[found.group(2)] = Settled(before.received + deleted + kept, before.deleted + deleted)
    elif found := _COLD.fullmatch(said):
        into.cold[found.group(1)] += 1
    elif found := _PUBLISHED.fullmatch(said):
        into.published[found.group(1)] += 1
    for pattern, counter in (
        (_PASSED, into.delivered),
        (_LOST, into.undelivered),
        (_NOTIFIED, into.notified),
        (_UNNOTIFIED, into.unnotified),
    ):
        if found := pattern.fullmatch(said):
            counter[_end(next(filter(None, found.groups())))] += 1


def _end(arn: str) -> str:
    """Name of what an ARN or an address names: the addresses of webhooks as they are."""
    return arn if arn.startswith("http") else arn.rpartition(":")[2]
