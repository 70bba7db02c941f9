"""A producer ships a new schema that the worker refuses: dead letters, a fix, a redrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.gamedays.model import Check, GameDay, Step, curl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.gamedays.context import Context
    from ops.gamedays.recording import Recording

_BROKEN, _GOOD = 12, 6


def _before(context: Context) -> None:
    context.settled(context.send(context.keys(_GOOD, "before"), "before", schemaVersion="1"))


def _inject(context: Context) -> None:
    context.fault("poison_payload", schemaVersion="2")


def _load(context: Context) -> None:
    good = context.send(context.keys(_GOOD, "good"), "good", schemaVersion="1")
    broken = context.send(context.keys(_BROKEN, "broken"), "broken", schemaVersion="2")
    context.settled(good)
    context.settled(broken, "FAILED")
    context.buried(_BROKEN)
    context.look("broken")


def _watch(context: Context) -> None:
    context.alarms(*GAMEDAY.fires)


def _fix(context: Context) -> None:
    context.revert("failure mode")


def _redrive(context: Context) -> None:
    context.redrive(errorType="SchemaValidationError", canary=3)


def _verify(context: Context) -> None:
    context.settled(context.keys(_BROKEN, "broken"))
    context.look()
    context.quiet()


def _checks(recording: Recording) -> Iterator[Check]:
    broken = recording.ledger("broken")
    moved = [line["counts"]["moved"] for line in recording.of("redrive")]
    final = recording.ledger()
    if not broken or not final:
        yield Check("exactly the broken events are dead-lettered", ok=False, evidence="nobody has looked")
        return
    dead = broken.dead
    yield Check(
        "exactly the broken events are dead-lettered",
        dead == recording.group("broken") and bool(dead),
        f"{len(dead)} dead letters, {len(recording.group('broken'))} broken events",
    )
    causes = {letter.cause for letter in broken.facts.letters}
    yield Check(
        "each dead letter names its cause", causes == {"SchemaValidationError"}, ", ".join(sorted(causes)) or "none"
    )
    yield Check(
        "the redrive has moved as many as were dead",
        moved == [len(dead)],
        f"moved {moved}, on the dead-letter queue before {len(dead)}",
    )
    yield Check(
        "after the redrive everything has succeeded",
        final.succeeded == final.accepted,
        f"{len(final.succeeded)} of {len(final.accepted)}",
    )


GAMEDAY = GameDay(
    name="schema-break",
    title="A schema break fills the dead-letter queue",
    pipeline="events",
    hypothesis=(
        "When a producer ships a schema that the worker can't read, exactly those events go to the dead-letter queue on"
        " their first attempt, with their cause; the others go on; after the fix a redrive brings each back, once."
    ),
    lesson=(
        "A permanent error is not retried: trying again could not help, and would only hold up the rest. What is on the"
        " dead-letter queue is not lost. Repair the cause first, then redrive, a few first (canary)."
    ),
    fires=("events-dlq-not-empty", "events-dlq-oldest-age"),
    may_fire=("events-error-rate",),
    claims=frozenset({"events", "failure mode"}),
    checks=_checks,
    steps=(
        Step("load", f"{_GOOD} events of the old schema succeed", _before, ("lab send --count 6 --wait",)),
        Step(
            "inject",
            "the worker refuses events of schema version 2 (failure mode poison_payload, matched)",
            _inject,
            ("lab failure set poison_payload --match schemaVersion=2 --ttl 600 --wait",),
        ),
        Step(
            "load",
            f"{_BROKEN} events of the new schema and {_GOOD} of the old one arrive",
            _load,
            (
                curl("/events", '{"orderId":"gd-1","amount":1,"schemaVersion":"2"}'),
                "lab redrive preview",
            ),
        ),
        Step("observe", "the alarms of the dead-letter queue fire", _watch, ("lab alarms",)),
        Step("repair", "the worker is fixed", _fix, ("lab failure reset --wait",)),
        Step(
            "repair",
            "the dead letters are redriven, three first",
            _redrive,
            ("lab redrive start --error-type SchemaValidationError --canary 3",),
        ),
        Step(
            "verify",
            "each has succeeded, and the alarms are over",
            _verify,
            ("lab status", "lab alarms", 'curl -fsS "$API_URL/events/KEY"'),
        ),
    ),
)
