"""The process that is the laptop's CloudWatch: looks, publishes, evaluates, once a second."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ops.local.cloudwatch import alarms, log_metrics, logs
from ops.local.cloudwatch.definitions import Definitions, definitions
from ops.local.cloudwatch.errors import UnsupportedError
from ops.local.cloudwatch.metrics import Datum, Metric, MetricStore, Point
from ops.local.cloudwatch.publisher import Memory, Publisher
from ops.local.cloudwatch.sources import invocations, notices
from ops.local.cloudwatch.sources.queues import Queues, peek
from ops.local.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ops.local.cloudwatch.logs import LogEvent

_TICK = 1.0
_FLUSH_EVERY = 5.0
_LATE = 1.5  # how long after its end a period is left open for what the looks of that second still bring
_OVERLAP = 2_000  # milliseconds of log that are read again, for lines that came out of turn
_LOOKBACK = 900.0  # seconds of log that a new process reads to know what alarms look at; shorter than any retention
_LOG_SHARE = 20  # reading logs may take one part in so many of the time
_LONGEST_PAUSE = 5.0  # and yet what they say must come before the alarms' evaluation range, 15 s or more, is past
_SETTLING = 5.0  # seconds: what an end of work brings is there by then
_LOOK_AGAIN = 60.0  # seconds; however quiet it is
_MARGIN = 120.0  # seconds of data that are kept beyond what the longest alarm looks at
_LOG_LIMIT = 64 * 1024 * 1024
_MAX_REASON = 1023  # characters (SetAlarmState)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where this CloudWatch works."""

    endpoint: str
    state_file: Path
    emulator_log: Path
    cursor: Path  # how far the logs have been published


class Daemon:
    """One tick after the other; a failed one is told in the log and leaves its work to the next."""

    def __init__(
        self, place: Place, client: Callable[[str], Any], now: float, work: Callable[[], str] = lambda: ""
    ) -> None:
        """Begin; `work` returns what stays the same while nothing goes on, "" where that can't be told."""
        self._place = place
        self._work = work
        self._worked = ""
        self._worked_at = now
        self._cloudwatch, self._logs, self._sns = client("cloudwatch"), client("logs"), client("sns")
        cursor = _read_cursor(place.cursor)
        self._tail = notices.Tail(place.emulator_log, cursor.get("offset"))
        self._resumed_from = cursor.get("published", 0)  # milliseconds; a process before this one published up to there
        self._read_from = int((now - _LOOKBACK) * 1000)
        self._seen: set[str] = set()
        self._next_read = self._read_at = 0.0
        self._queues = Queues(client("sqs"), peek(place.endpoint))
        self._store = MetricStore()
        memory = Memory.of(cursor["memory"]) if cursor else Memory(now - _LOOKBACK)
        self._publisher = Publisher(self._cloudwatch, memory)
        self._definitions = Definitions()
        self._defined_at = 0.0
        self._topics: Mapping[str, Sequence[str]] = {}
        self._cold: Counter[str] = Counter()
        self._states: dict[str, str] = {}
        self._flushed = now - _FLUSH_EVERY
        self._ends: dict[str, float] = {}

    def tick(self, now: float) -> None:
        """Look at everything once and evaluate every alarm whose next period is complete."""
        self._reload()
        is_quiet = self._is_quiet(now)
        self._take(self._look(now, is_quiet=is_quiet))
        if now - self._flushed >= _FLUSH_EVERY:
            self._housekeeping(now, is_quiet=is_quiet)
        self._evaluate(now, is_quiet=is_quiet)

    def _is_quiet(self, now: float) -> bool:
        """Whether nothing has been going on for so long that all of it has been seen."""
        work = self._work()
        if not work or work != self._worked or now - self._worked_at > _LOOK_AGAIN:
            self._worked, self._worked_at = work, now
        return now - self._worked_at > _SETTLING

    def _reload(self) -> None:
        changed = self._place.state_file.stat().st_mtime if self._place.state_file.exists() else 0.0
        if changed != self._defined_at:
            self._defined_at = changed  # first, so that what is refused is told once
            self._definitions = definitions(self._place.state_file)
            self._topics = {}

    def _take(self, found: Sequence[tuple[Datum, bool]]) -> None:
        self._store.put(datum for datum, _ in found)
        self._publisher.add(datum for datum, is_new in found if is_new)

    def _look(self, now: float, *, is_quiet: bool) -> list[tuple[Datum, bool]]:
        """Data since the last look, and whether they are to be published.

        What a process before this one has published is read again only to be known.
        """
        said = notices.read(self._tail.lines())
        self._cold += said.cold
        if not self._topics or said.published or said.notified or said.unnotified:
            self._topics = dict.fromkeys(self._definitions.topics, ()) | self._subscriptions()
        fresh: list[Datum] = list(notices.data(said, self._definitions.rules, self._topics, now))
        fresh += self._queues.look(self._definitions.queues, said.settled, now, is_quiet=is_quiet)
        events = [] if is_quiet and self._read_at > self._worked_at else self._events(now)
        new = [event for event in events if event.ingested > self._resumed_from]
        old = [event for event in events if event.ingested <= self._resumed_from]
        data = [(datum, True) for datum in (*fresh, *self._from_logs(new))]
        return [*data, *((datum, False) for datum in self._from_logs(old))]

    def _from_logs(self, events: Sequence[LogEvent]) -> Iterator[Datum]:
        found = invocations.invocations(events, self._definitions.functions)
        yield from invocations.data(found, self._definitions.api_functions, self._cold)
        yield from log_metrics.ingested(events)
        for event in events:
            yield from log_metrics.embedded(event.message)
        for metric_filter in self._definitions.filters:
            yield from metric_filter.data(events)

    def _events(self, now: float) -> list[LogEvent]:
        """New log events. The emulator looks at every invocation that there ever was, so a long read makes a pause."""
        if now < self._next_read:
            return []
        started = time.monotonic()
        self._read_at = now
        groups = {*self._definitions.functions, *(one.group for one in self._definitions.filters)}
        page = list(logs.read(self._logs, groups, self._read_from))
        self._next_read = now + pause_after(time.monotonic() - started) - _TICK
        new = [event for event in page if event.id not in self._seen]
        if page:
            self._read_from = max(self._read_from, max(event.timestamp for event in page) - _OVERLAP)
        self._seen = {event.id for event in page if event.timestamp >= self._read_from}
        return new

    def _subscriptions(self) -> dict[str, Sequence[str]]:
        topics: dict[str, Sequence[str]] = {}
        for page in self._sns.get_paginator("list_subscriptions").paginate():
            for one in page["Subscriptions"]:
                topics[one["TopicArn"]] = [*topics.get(one["TopicArn"], ()), one["Endpoint"]]
        return topics

    def _housekeeping(self, now: float, *, is_quiet: bool) -> None:
        if not is_quiet:
            self._throttles(now)
        self._publisher.flush()
        self._flushed = now
        cursor = {
            "published": max(self._resumed_from, self._read_from + _OVERLAP),
            "offset": self._tail.offset,
            "memory": self._publisher.memory.as_json(),
        }
        write_atomically(self._place.cursor, json.dumps(cursor))
        longest = max((alarm.range * alarm.period for alarm in self._definitions.alarms), default=0)
        self._store.forget(now - max(_LOOKBACK, longest + _MARGIN))
        if self._tail.offset > _LOG_LIMIT:
            self._place.emulator_log.write_bytes(b"")  # the emulator appends, so it goes on at the new end
            self._tail.offset = 0

    def _throttles(self, now: float) -> None:
        """The one metric that the emulator knows and the logs don't: read from it, for alarms to see."""
        watched = {query.metric for alarm in self._definitions.alarms for query in alarm.queries if query.metric}
        for metric in sorted((m for m in watched if m.name == "Throttles"), key=repr):
            answer = self._cloudwatch.get_metric_statistics(
                Namespace=metric.namespace,
                MetricName=metric.name,
                Dimensions=[{"Name": name, "Value": value} for name, value in metric.dimensions],
                StartTime=datetime.fromtimestamp(self._flushed, UTC),
                EndTime=datetime.fromtimestamp(now, UTC),
                Period=1,
                Statistics=["Sum"],
            )
            found = [point for point in answer["Datapoints"] if point["Sum"]]
            self._store.put(_throttled(metric, point) for point in found)

    def _evaluate(self, now: float, *, is_quiet: bool) -> None:
        """Every alarm, every time, since data may come late; of a quiet time, when a period has ended.

        The states are read again when a period has ended: one that somebody else has set lasts until then.
        """
        ends = {alarm.name: alarms.window_end(now - _LATE, alarm.period) for alarm in self._definitions.alarms}
        if is_quiet and ends == self._ends:
            return
        if ends != self._ends or self._states.keys() != {*ends, *self._definitions.composites}:
            self._states, self._ends = self._described(), ends
        for alarm in self._definitions.alarms:
            self._set(alarm.name, alarms.evaluate(alarm, self._store, ends[alarm.name]))
        for name, one in self._definitions.composites.items():
            # The emulator does the same when an alarm changes; this is for what it has missed.
            state = alarms.State.ALARM if one.rings(self._states) else alarms.State.OK
            self._set(name, alarms.Verdict(state, f"The alarm rule evaluates to {state}"))

    def _described(self) -> dict[str, str]:
        pages = self._cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        kinds = ("MetricAlarms", "CompositeAlarms")
        return {one["AlarmName"]: one["StateValue"] for page in pages for kind in kinds for one in page.get(kind, [])}

    def _set(self, name: str, verdict: alarms.Verdict) -> None:
        if verdict.state is None or verdict.state == self._states.get(name, verdict.state):
            return
        self._states = self._described()
        if verdict.state != self._states.get(name, verdict.state):
            self._cloudwatch.set_alarm_state(
                AlarmName=name, StateValue=verdict.state.value, StateReason=verdict.reason[:_MAX_REASON]
            )
            self._states[name] = verdict.state.value
            _log.info("%s: %s: %s", name, verdict.state, verdict.reason)


def run(daemon: Daemon, is_orphan: Callable[[], bool]) -> None:
    """Tick until there is no emulator any more; what goes wrong several times in a row is told once."""
    told = ""
    while True:
        started = time.monotonic()
        try:
            daemon.tick(time.time())
            told = ""
        except (BotoCoreError, ClientError, OSError, UnsupportedError, ValueError) as error:
            if is_orphan():
                return
            what = f"{type(error).__name__}: {error}"
            if what != told:  # e.g. a stack that is just being deployed
                _log.warning(what)
            told = what
        time.sleep(max(0.05, _TICK - (time.monotonic() - started)))


def _throttled(metric: Metric, point: Mapping[str, Any]) -> Datum:
    return Datum(metric, Point(point["Timestamp"].timestamp(), 1.0, int(point["Sum"])), "Count")


def pause_after(seconds: float) -> float:
    """How long after the beginning of a read of the logs, which took so long, the next one may begin."""
    return min(seconds * _LOG_SHARE, seconds + _LONGEST_PAUSE)


def _read_cursor(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
