"""The downstream is out: the breaker opens, the queue takes the outage, and drains when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.gamedays.model import Check, GameDay, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.gamedays.context import Context
    from ops.gamedays.recording import Recording

_BEFORE, _DURING = 5, 20


def _before(context: Context) -> None:
    context.settled(context.send(context.keys(_BEFORE, "before"), "before"))


def _inject(context: Context) -> None:
    context.fault("downstream_outage")


def _load(context: Context) -> None:
    context.send(context.keys(_DURING, "during"), "during")


def _watch(context: Context) -> None:
    context.until("the breaker has paused the consumer", lambda: context.stack.consumer()["State"] == "Disabled")
    context.until("the breaker is open", lambda: context.stack.breaker() == "OPEN")
    context.alarms(*GAMEDAY.fires)
    context.look("open")


def _repair(context: Context) -> None:
    context.revert("failure mode")


def _drain(context: Context) -> None:
    context.revert("consumer")
    context.settled(context.keys(_DURING, "during"), seconds=90)


def _verify(context: Context) -> None:
    context.look()
    context.quiet()


def _checks(recording: Recording) -> Iterator[Check]:
    open_, final = recording.ledger("open"), recording.ledger()
    paused = [line for line in recording.of("sample") if line["consumer"] == "Disabled"]
    yield Check("the breaker has paused the consumer", bool(paused), f"seen paused in {len(paused)} looks")
    if not open_ or not final:
        yield Check("the queue takes the outage", ok=False, evidence="nobody has looked")
        return
    during = recording.group("during")
    yield Check(
        "the queue takes the outage: all that came in it are in flight, none is dead",
        open_.open == during and bool(during) and not open_.facts.letters,
        f"{len(open_.open)} of {len(during)} wait, {len(open_.facts.letters)} dead letters",
    )
    yield Check(
        "after the outage everything has succeeded",
        final.succeeded == final.accepted,
        f"{len(final.succeeded)} of {len(final.accepted)}",
    )


GAMEDAY = GameDay(
    name="outage",
    title="The downstream is out",
    pipeline="events",
    hypothesis=(
        "When every call of the downstream fails, the circuit breaker pauses the consumer: events are still accepted"
        " and wait in the queue, none uses up its receives, none is dead-lettered. When the downstream answers again, a"
        " probe closes the breaker, and the queue drains by itself."
    ),
    lesson=(
        "Retries help against a failing event, not against a failing downstream: there they burn the receives of good"
        " events. A breaker turns an outage into waiting. Nobody has to redrive anything afterwards."
    ),
    fires=("events-breaker-open",),
    may_fire=("events-error-rate",),
    claims=frozenset({"events", "failure mode"}),
    checks=_checks,
    steps=(
        Step("load", f"{_BEFORE} events succeed", _before, ("lab send --count 5 --wait",)),
        Step(
            "inject",
            "every call of the downstream fails (failure mode downstream_outage)",
            _inject,
            ("lab failure set downstream_outage --ttl 600 --wait",),
        ),
        Step("load", f"{_DURING} events arrive, and are accepted", _load, ("lab send --count 20",)),
        Step(
            "observe",
            "the breaker opens and pauses the consumer, its alarm fires",
            _watch,
            ("lab status", "lab alarms"),
        ),
        Step("repair", "the downstream answers again", _repair, ("lab failure reset --wait",)),
        Step(
            "verify",
            "a probe closes the breaker, and the queue drains",
            _drain,
            (
                'aws lambda invoke --function-name "$(lab status --output events.breakerFunctionName)" /dev/stdout',
                "lab status",
            ),
        ),
        Step("verify", "nothing is dead-lettered, nothing is lost", _verify, ("lab alarms",)),
    ),
)
