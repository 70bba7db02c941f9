"""Runs a GameDay: steady state, steps, rollback, verdict. Whoever drives it hears each line of its journal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.gamedays import verdict
from ops.gamedays.context import AbortedError, Context, GameDayError, RefusedError
from ops.gamedays.model import is_of
from ops.gamedays.recording import BEGUN, DONE, Recording
from ops.gamedays.sampler import INTERRUPTED, Sampler
from ops.gamedays.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ops.cli.target import Target
    from ops.gamedays.journal import Journal
    from ops.gamedays.model import Check, GameDay

_DEAF = "the breaker believes no trip for five minutes after an outage that only some events met"
_RINGING = "an alarm is, or was just now, in ALARM: lab alarms"
_STEADY_SECONDS = 120.0  # an alarm of what was before may have to end first


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has come to."""

    gameday: GameDay
    recording: Recording
    checks: list[Check]

    @property
    def passed(self) -> bool:
        """Whether the hypothesis holds."""
        return verdict.passed(self.checks)


def perform(
    gameday: GameDay,
    target: Target,
    journal: Journal,
    neighbours: Collection[GameDay] = (),
    *,
    is_interrupted: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Run it, or go on with a run that was interrupted; whatever happens, the stack is as it was afterwards.

    `neighbours` are GameDays that may run at the same time: alarms of the stack that they make don't count.

    Raises:
        RefusedError: the stack is not in a steady state; nothing was changed.
        KeyboardInterrupt: somebody has stopped it; it is rolled back.
    """
    stack = Stack(target, gameday.pipeline)
    counted = [name for name in stack.alarms() if is_of(name, gameday.pipeline, target.pipelines)]
    foreign = {name for one in neighbours for name in one.expected} - gameday.expected
    first = 0
    if not journal.lines:
        journal.add(
            "run",
            run=journal.run,
            name=gameday.name,
            stack=target.stack,
            life=target.life,
            endpoint=target.emulator.endpoint if target.emulator else "",
            alarms=counted,
            foreign=sorted(foreign),
        )
    else:
        first = first_step(journal)
        journal.add("resumed", step=first)
    with Sampler(gameday, stack, journal, set(counted) - foreign, is_interrupted) as sampler:
        context = Context(gameday, stack, journal, sampler)
        try:
            if not first:
                _await_steady(context, sampler)
            _begin(context)
            _steps(context, sampler, first)
        except RefusedError:
            raise
        except GameDayError as error:
            journal.add("stopped", why=str(error), aborted=isinstance(error, AbortedError))
        except BaseException as error:
            journal.add("stopped", why=type(error).__name__, aborted=True)
            raise
        finally:
            context.roll_back()
    _measure(stack, journal)
    outcome = judged(gameday, journal)
    journal.add("verdict", passed=outcome.passed)
    return outcome


def judged(gameday: GameDay, journal: Journal) -> Outcome:
    """The verdict of what is in the journal."""
    recording = Recording(journal.lines)
    return Outcome(gameday, recording, verdict.judge(gameday, recording))


def first_step(journal: Journal) -> int:
    """Where an interrupted run goes on: at the first step that is not done, or whose change was rolled back."""
    done = {line["number"] for line in journal.of("step") if line["state"] == DONE}
    number = 0
    while number in done:
        number += 1
    rolled = {line["id"] for line in journal.of("undone") if line["by"] == "rollback"}
    back = [line["step"] for line in journal.of("undo") if line["id"] in rolled and line["step"] >= 0]
    first: int = min([number, *back])
    return first


def _begin(context: Context) -> None:
    """What every run has: its ears, and what is done with what it may leave behind. No step's own change."""
    stack, journal = context.stack, context.journal
    context.at_step(-1)
    name = f"gameday-{context.run}-{len(journal.lines)}"  # SQS takes no name again within a minute
    held = {line["what"] for line in journal.outstanding()}
    if not context.captures():
        context.change("capture", lambda: journal.add("capturing", name=name, url=stack.capture(name)), name=name)
    if "dead letters" not in held:
        for role, redrive in _letter_queues(stack):
            context.change("dead letters", lambda: None, role=role, redrive=redrive)
    if "consumer" not in held:
        context.change("consumer", lambda: None, state="Enabled")


def _letter_queues(stack: Stack) -> list[tuple[str, str]]:
    queues = [("dlq", stack.pipeline)]
    queues += [("undelivered", f"{stack.pipeline}-undelivered")] if "undeliveredUrl" in stack.group else []
    queues += [("deadNotices", f"{stack.pipeline}-notices")] if "noticesDlqUrl" in stack.group else []
    return queues


def _steps(context: Context, sampler: Sampler, first: int) -> None:
    for number, step in enumerate(context.gameday.steps):
        if number < first:
            continue
        context.at_step(number)
        fields: dict[str, Any] = {"number": number, "step": step.kind, "title": step.title}
        context.journal.add("step", state=BEGUN, **fields)
        if step.kind == "inject":
            sampler.forget()
        step.act(context)
        context.journal.add("step", state=DONE, **fields)


def _await_steady(context: Context, sampler: Sampler) -> None:
    """Nothing may be wrong before: then what is wrong afterwards is the GameDay's doing."""
    deaf = _seconds_deaf(context)
    if deaf > 0:
        context.note(f"waiting for {deaf:.0f} s: {_DEAF}")
    limit = deaf + _STEADY_SECONDS
    deadline = time.monotonic() + limit
    is_told = deaf > 0
    while reasons := unsteady(context, sampler):
        if sampler.is_interrupted():
            raise AbortedError(INTERRUPTED)
        if not is_told and (sampler.seen or reasons != [_RINGING]):
            context.note(f"waiting up to {limit:.0f} s for a steady state: {'; '.join(reasons)}")
            is_told = True
        if time.monotonic() > deadline:
            context.journal.add("unsteady", why=reasons)
            raise RefusedError(f"the stack is not in a steady state, so nothing would be proved: {'; '.join(reasons)}")
        time.sleep(context.stack.target.look_seconds)
    sampler.forget()
    context.journal.add("steady")


def unsteady(context: Context, sampler: Sampler) -> list[str]:
    """Why the stack is not in a steady state."""
    stack = context.stack
    reasons = [f"{count} messages on {role} of {stack.pipeline}" for role, count in _loads(stack).items() if count]
    reasons += [f"failure mode {mode} is on" for mode in [stack.failure_mode()] if mode != "none"]
    reasons += [f"the consumer is {state}" for state in [stack.consumer().get("State")] if state != "Enabled"]
    reasons += [f"the breaker is {state}" for state in [stack.breaker()] if state not in ("", "CLOSED")]
    reasons += [_DEAF] if _seconds_deaf(context) > 0 else []
    looks = 2 * stack.period / stack.target.look_seconds  # what was before may make an alarm fire late
    reasons += [_RINGING] if sampler.quiet < looks else []
    return reasons


def _seconds_deaf(context: Context) -> float:
    """For how long the breaker will not open, where this GameDay has it open."""
    opens = f"{context.gameday.pipeline}-breaker-open" in context.gameday.fires
    return max(0.0, context.stack.breaker_deaf_until() - time.time()) if opens else 0.0


def _loads(stack: Stack) -> dict[str, int]:
    return {role: sum(counts.values()) for role, counts in stack.depths().items()}


def _measure(stack: Stack, journal: Journal) -> None:
    """The metrics of the time, for the plots."""
    journal.add("series", series=stack.series(journal.lines[0]["t"], time.time()))
