"""A redrive is started while the cause is still there: its canary stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.gamedays.model import Check, GameDay, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.gamedays.context import Context
    from ops.gamedays.recording import Recording

_COUNT, _CANARY = 8, 2


def _inject(context: Context) -> None:
    context.fault("poison_payload")


def _load(context: Context) -> None:
    context.settled(context.send(context.keys(_COUNT, "poison"), "poison"), "FAILED")
    context.buried(_COUNT)
    context.look("before the redrive")


def _too_early(context: Context) -> None:
    context.redrive(canary=_CANARY)
    context.buried(_COUNT)
    context.look("after the wrong redrive")
    context.alarms(*GAMEDAY.fires)


def _repair(context: Context) -> None:
    context.revert("failure mode")


def _redrive(context: Context) -> None:
    context.redrive(canary=_CANARY)
    context.settled(context.keys(_COUNT, "poison"))


def _verify(context: Context) -> None:
    context.look()
    context.quiet()


def _checks(recording: Recording) -> Iterator[Check]:
    before, after = recording.ledger("before the redrive"), recording.ledger("after the wrong redrive")
    redrives, final = recording.of("redrive"), recording.ledger()
    if not before or not after or not final or len(redrives) != 2:
        yield Check("the canary stops the redrive", ok=False, evidence=f"{len(redrives)} redrives, looks are missing")
        return
    wrong, right = redrives
    yield Check(
        "the canary stops the redrive",
        wrong["state"] == "STOPPED" and wrong["counts"]["moved"] == _CANARY,
        f"{wrong['state']} after {wrong['counts']['moved']} of {_COUNT}: {wrong['reason']}",
    )
    yield Check(
        "all letters are still there afterwards, and no more",
        before.dead == after.dead == recording.group("poison") and len(after.facts.letters) == _COUNT,
        f"{len(before.dead)} before, {len(after.dead)} after, {len(after.facts.letters)} letters",
    )
    tried = sum(record.attempts > 1 for record in after.facts.records.values())
    yield Check("only the canary was tried again", tried == _CANARY, f"{tried} events have a second attempt")
    yield Check(
        "the redrive after the repair has moved the rest",
        (right["state"], right["counts"]["moved"]) == ("SUCCEEDED", len(after.dead)),
        f"{right['state']}, moved {right['counts']['moved']}, dead before {len(after.dead)}",
    )
    yield Check(
        "everything has succeeded",
        final.succeeded == final.accepted,
        f"{len(final.succeeded)} of {len(final.accepted)}",
    )


GAMEDAY = GameDay(
    name="redrive-gone-wrong",
    title="A redrive while the cause is still there",
    pipeline="events",
    hypothesis=(
        "When a redrive is started before the cause is repaired, its canary fails again and stops it: a few letters go"
        " the way in vain, the rest stay where they are, none is lost. After the repair a redrive brings all back."
    ),
    lesson=(
        "A redrive without a canary sends everything through the same fault again, and each letter has only so many"
        " redrives (maxRedrives) before it is parked. Ask for a canary whenever you are not sure."
    ),
    fires=("events-dlq-not-empty", "events-dlq-oldest-age", "events-redrive-failed"),
    may_fire=("events-error-rate",),
    claims=frozenset({"events", "failure mode"}),
    checks=_checks,
    steps=(
        Step(
            "inject",
            "every event of the run is poison (failure mode poison_payload)",
            _inject,
            ("lab failure set poison_payload --ttl 600 --wait",),
        ),
        Step("load", f"{_COUNT} events arrive and are dead-lettered", _load, ("lab send --count 8 --wait",)),
        Step(
            "observe",
            f"somebody redrives too early; {_CANARY} go first, fail again, and stop it",
            _too_early,
            ("lab redrive start --canary 2", "lab redrive list", "lab alarms"),
        ),
        Step("repair", "the cause is repaired", _repair, ("lab failure reset --wait",)),
        Step("repair", "the letters are redriven", _redrive, ("lab redrive start --canary 2",)),
        Step("verify", "everything has succeeded, and the alarms are over", _verify, ("lab status", "lab alarms")),
    ),
)
