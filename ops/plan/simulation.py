"""A load on a pipeline, step by step: amounts of messages, not messages, so that a million a second cost no more.

An event simulation (SimPy) would have 10^10 messages to move for three hours at a million a second. What AWS publishes
are rates, so the mean course is a matter of amounts: each step takes the messages that the invocations of that moment
have room for, the oldest first, as SQS does its best to, and shares them out. Nothing is drawn, so one plan has one
answer.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, TypeAlias

from ops.plan import figures, limits
from ops.plan.model import batch, seconds, waits

if TYPE_CHECKING:
    from ops.plan.model import Load, Pipeline

STEP = 5  # seconds
_STEPS = (STEP, 10, 20, 30, 60)  # of which a minute is made
_MANY = 5000  # steps of an outage: one that would need more of them is looked at in longer ones
LONGEST = 3 * 86_400  # looked at after the outage, for the end of its backlog
_HOPELESS = 3600  # looked at where the backlog can only grow
_NOTHING = 1e-6  # messages: less is rounding
_FRESH = 0  # received never; a class above it is a number of receives
_REDRIVEN = -1  # received never, and repaired

_Taken: TypeAlias = "tuple[int, int, float]"  # class, step of the first arrival, messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """How it stands at the end of a minute; messages since the beginning, but for `waiting`, `visible` and `age`."""

    minute: int
    arrived: float
    succeeded: float
    dead: float  # on the dead-letter queue
    expired: float  # gone with the queue's retention
    waiting: float  # on the queue, those that wait for a retry included
    visible: float
    age: int  # seconds since the oldest of them arrived
    concurrency: float
    receives: float


@dataclass(slots=True, kw_only=True)
class Course:
    """What happens; times in seconds since the beginning, None for never."""

    minutes: list[Minute] = field(default_factory=list)
    steps: list[float] = field(default_factory=list, repr=False)  # waiting, at the end of each
    peak: float = 0.0  # of waiting
    oldest: int = 0
    most_concurrency: float = 0.0
    most_flight: float = 0.0
    caught_up: int | None = None  # nothing visible is left behind for the first time
    resumed: int = 0  # the consumer works again after the outage
    drained: int | None = None  # all that came before the outage's end is done
    redriven: int | None = None
    lost_good: float = 0.0  # dead letters that could have succeeded
    poison: float = 0.0  # dead letters that could not
    expired: float = 0.0
    receives: float = 0.0
    failed_receives: float = 0.0
    invocations: float = 0.0
    busy: float = 0.0  # seconds of invocations
    arrived: float = 0.0
    succeeded: float = 0.0
    ends: int = 0
    letters: float = 0.0  # dead ones when the redrive begins

    @property
    def receives_an_event(self) -> float:
        """Of those that are done or dead; 0 where none is."""
        over = self.succeeded + self.lost_good + self.poison
        return self.receives / over if over else 0.0


class _Line:
    """Messages that were received equally often, by the step in which they arrived."""

    def __init__(self) -> None:
        self._steps: list[int] = []
        self._amounts: dict[int, float] = {}
        self.total = 0.0

    def put(self, born: int, amount: float) -> None:
        if born not in self._amounts:
            insort(self._steps, born)
            self._amounts[born] = 0.0
        self._amounts[born] += amount
        self.total += amount

    def oldest(self) -> int | None:
        return self._steps[0] if self._steps else None

    def take(self, amount: float) -> tuple[int, float]:
        """So many of the oldest step, all of them where only rounding would be left: the step, and how many."""
        born = self._steps[0]
        there = self._amounts[born]
        if there > amount + _NOTHING:
            self._amounts[born] = there - amount
            self.total -= amount
            return born, amount
        self._steps.pop(0)
        del self._amounts[born]
        self.total = self.total - there if self._steps else 0.0
        return born, there

    def before(self, born: int) -> float:
        """Take out what arrived before that step."""
        gone = 0.0
        while self._steps and self._steps[0] < born:
            there = self._amounts.pop(self._steps.pop(0))
            self.total = self.total - there if self._steps else 0.0
            gone += there
        return gone


def simulate(pipeline: Pipeline, load: Load, *, step: int | None = None, until: int | None = None) -> Course:
    """What happens from the first event on; ends once the outage is worked off, or at `until`.

    `step` is in seconds, by default the shortest that takes a moment only.
    """
    return _Simulation(pipeline, load, step or _step(load)).run(until)


def _step(load: Load) -> int:
    return next((step for step in _STEPS if load.outage <= _MANY * step), _STEPS[-1])


class _Simulation:
    def __init__(self, pipeline: Pipeline, load: Load, step: int) -> None:
        self._pipeline, self._load, self._step = pipeline, load, step
        self._batch = batch(pipeline, load)
        self._slots = limits.slots(pipeline, load)
        self._ceiling = limits.ceiling(pipeline, load)
        self._start = min(limits.start(pipeline), self._slots)
        self._ramp = limits.ramp(pipeline) * step
        self._concurrency = float(self._start)
        self._used = 0.0
        self._lines: defaultdict[int, _Line] = defaultdict(_Line)
        self._delayed: defaultdict[int, list[_Taken]] = defaultdict(list)
        self._kept = pipeline.retention // step  # steps
        self._waits: dict[tuple[int, bool], list[int]] = {}
        self._held = 0.0  # in `_delayed`
        self._letters = 0.0  # to be redriven
        self._least = 0 if load.outage else load.lasts
        self._outage_end = load.outage_at + load.outage
        self._paused = self._pause()
        self.course = Course(resumed=self._paused[1] if load.outage else 0)

    def _pause(self) -> tuple[int, int]:
        """From when to when the breaker pauses the consumer."""
        load = self._load
        if not load.outage or not self._pipeline.breaker_hold:
            return self._outage_end, self._outage_end
        opens = load.outage_at + load.pause
        return opens, max(self._outage_end, opens) + load.probe

    def run(self, until: int | None) -> Course:
        course = self.course
        last = until if until is not None else self._last()
        number = 0
        while number * self._step < last:
            self._one(number)
            number += 1
            now = number * self._step
            if now % 60 == 0:
                course.minutes.append(self._minute(now, number))
                if until is None and now >= self._least and self._is_over():
                    break
        course.ends = number * self._step
        return course

    def _last(self) -> int:
        load = self._load
        if not load.outage and not load.redrive_rate:
            return load.lasts
        hopeless = limits.capacity(self._pipeline, load) <= load.rate
        return self.course.resumed + (max(_HOPELESS, load.lasts) if hopeless else LONGEST)

    def _is_over(self) -> bool:
        course = self.course
        return course.drained is not None and (course.redriven is not None or not self._load.redrive_rate)

    def _one(self, number: int) -> None:
        load, course, now = self._load, self.course, number * self._step
        for key, born, amount in self._delayed.pop(number, []):
            self._lines[key].put(born, amount)
            self._held -= amount
        if not self._delayed:
            self._held = 0.0
        arriving = load.rate * self._step
        course.arrived += arriving
        self._lines[_FRESH].put(number, arriving)
        self._redrive(number)
        eldest = number - self._kept
        course.expired += sum(line.before(eldest) for line in self._lines.values())
        visible = self._visible()
        taken = self._take(number, visible, is_paused=self._paused[0] <= now < self._paused[1])
        waiting = self._visible() + self._held
        course.steps.append(waiting)
        course.peak = max(course.peak, waiting)
        course.oldest = max(course.oldest, self._age(number + 1))
        if visible - taken <= max(_NOTHING, 1e-9 * visible):
            self._caught_up(number + 1)

    def _visible(self) -> float:
        return sum(line.total for line in self._lines.values())

    def _caught_up(self, number: int) -> None:
        course, now = self.course, number * self._step
        course.caught_up = now if course.caught_up is None else course.caught_up
        if course.drained is None and now > course.resumed and now > self._outage_end:
            eldest = min((born for each in self._delayed.values() for _, born, _ in each), default=number)
            if not self._load.outage or eldest * self._step >= self._outage_end:
                course.drained = now
                self._letters = course.letters = course.lost_good + course.poison

    def _redrive(self, number: int) -> None:
        """Dead letters go back, as new messages, once the backlog is worked off; those that have come since stay."""
        if self.course.drained is None or not self._load.redrive_rate or self.course.redriven is not None:
            return
        moved = min(self._letters, self._load.redrive_rate * self._step)
        self._letters -= moved
        course = self.course
        dead = course.lost_good + course.poison
        share = moved / dead if dead else 0.0
        course.lost_good -= course.lost_good * share
        course.poison -= course.poison * share
        self._lines[_REDRIVEN].put(number, moved)
        if self._letters <= _NOTHING:
            course.redriven = number * self._step

    def _take(self, number: int, visible: float, *, is_paused: bool) -> float:
        if is_paused or not self._batch or not self._slots:
            self._concurrency, self._used = float(self._start), 0.0
            return 0.0
        size = self._size(visible / self._step)
        duration = seconds(self._load, size)
        received = limits.polled(self._pipeline, self._load, self._concurrency)
        most = min(self._concurrency * size / duration, self._ceiling, received)
        room = max(0.0, figures.IN_FLIGHT.value - self._held) / max(duration, self._step)
        taken = min(visible, min(most, room) * self._step)
        self.course.most_flight = max(self.course.most_flight, self._held + taken * duration / self._step)
        left = taken
        while left > _NOTHING and (oldest := self._oldest()):
            _, key = oldest
            born, amount = self._lines[key].take(left)
            self._receive(number, key, born, amount)
            left -= amount
        self._account(taken, size, duration)
        self._scale(is_short=visible - taken > _NOTHING)
        return taken

    def _oldest(self) -> tuple[int, int] | None:
        """The step of the oldest visible messages, and their class."""
        there = [(born, key) for key, line in self._lines.items() if (born := line.oldest()) is not None]
        return min(there, default=None)

    def _size(self, rate: float) -> float:
        """Events in a batch: what comes in the window, and as many more as the invocations need to keep up."""
        load = self._load
        wanted = rate * max(self._pipeline.window, seconds(load, 1)) / self._concurrency
        spare = self._concurrency - rate * load.worker_ms / 1000
        needed = rate * load.batch_ms / 1000 / spare if spare > 0 else inf
        return min(float(self._batch), max(1.0, wanted, needed))

    def _account(self, taken: float, size: float, duration: float) -> None:
        course = self.course
        self._used = taken / size * duration / self._step
        course.receives += taken
        course.invocations += taken / size
        course.busy += taken / size * duration
        course.most_concurrency = max(course.most_concurrency, self._used)
        course.most_flight = max(course.most_flight, self._held)

    def _scale(self, *, is_short: bool) -> None:
        """More at the published pace while messages wait; less at the same one, of which nothing is published."""
        if is_short:
            self._concurrency = min(float(self._slots), self._concurrency + self._ramp)
        else:
            self._concurrency = max(float(self._start), self._used, self._concurrency - self._ramp)

    def _receive(self, number: int, key: int, born: int, amount: float) -> None:
        load, course = self._load, self.course
        poison = amount * load.poison if key == _FRESH else 0.0
        course.poison += poison
        good = amount - poison
        is_out = load.outage_at <= number * self._step < self._outage_end
        failed = good if is_out else good * load.transient
        course.succeeded += good - failed
        if not failed:
            return
        course.failed_receives += failed
        count = max(key, 0) + 1
        if count >= self._pipeline.max_receive_count:
            course.lost_good += failed
            return
        self._held += failed
        steps = self._steps_to_wait(count, downstream=is_out)
        for wait in steps:
            back = min(number + wait, max(number, born + self._kept) + 1)  # in flight or not, SQS keeps it no longer
            self._delayed[back].append((count, born, failed / len(steps)))

    def _steps_to_wait(self, count: int, *, downstream: bool) -> list[int]:
        known = self._waits.get((count, downstream))
        if known is None:
            known = [max(1, round(wait / self._step)) for wait in waits(self._pipeline, count, downstream=downstream)]
            self._waits[count, downstream] = known
        return known

    def _age(self, number: int) -> int:
        """Seconds since the oldest waiting message arrived; of those that wait for a retry, at each minute's end."""
        steps = [oldest for line in self._lines.values() if (oldest := line.oldest()) is not None]
        if number * self._step % 60 == 0:
            steps += [born for each in self._delayed.values() for _, born, _ in each]
        return (number - min(steps)) * self._step if steps else 0

    def _minute(self, now: int, number: int) -> Minute:
        course, visible = self.course, self._visible()
        return Minute(
            minute=now // 60,
            arrived=course.arrived,
            succeeded=course.succeeded,
            dead=course.lost_good + course.poison,
            expired=course.expired,
            waiting=visible + self._held,
            visible=visible,
            age=self._age(number),
            concurrency=self._used,
            receives=course.receives,
        )
