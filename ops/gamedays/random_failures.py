"""Three attempts in ten fail, by chance that can be foretold: batches settle in part, and everything in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import faults
from ops.gamedays.model import Check, GameDay, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.gamedays.context import Context
    from ops.gamedays.recording import Recording

_COUNT, _CHANCE = 40, 30
_MOST_ATTEMPTS = 4  # one less than a message is received: none of those that are sent uses up its receives
_CANDIDATES = 2 * _COUNT


def first_good(key: str) -> int:
    """The attempt at which an event succeeds."""
    return next(attempt for attempt in range(1, 100) if not faults.fails(key, attempt, _CHANCE))


def _keys(context: Context) -> list[str]:
    lucky = [key for key in context.keys(_CANDIDATES, "random") if first_good(key) <= _MOST_ATTEMPTS]
    return lucky[:_COUNT]


def _inject(context: Context) -> None:
    context.fault(f"random_fail_p{_CHANCE}")


def _load(context: Context) -> None:
    context.send(_keys(context), "random")


def _watch(context: Context) -> None:
    context.settled(_keys(context), seconds=90)


def _repair(context: Context) -> None:
    context.revert("failure mode")


def _verify(context: Context) -> None:
    context.look()
    context.quiet()


def _checks(recording: Recording) -> Iterator[Check]:
    final = recording.ledger()
    if not final:
        yield Check("everything has succeeded", ok=False, evidence="nobody has looked")
        return
    yield Check(
        "everything has succeeded, nothing is dead-lettered",
        len(final.succeeded) == len(final.accepted) == _COUNT,
        f"{len(final.succeeded)} of {len(final.accepted)} succeeded, {len(final.dead)} dead",
    )
    seen = {one: record.attempts for one, record in final.facts.records.items()}
    other = {one for one in seen if seen[one] != first_good(one)}
    retried = sum(attempts > 1 for attempts in seen.values())
    yield Check(
        "each took exactly the attempts that were foretold",
        bool(seen) and not other,
        f"{retried} of {len(seen)} took more than one attempt, {max(seen.values(), default=0)} at most"
        + (f"; otherwise than foretold: {', '.join(sorted(other)[:3])}" if other else ""),
    )


GAMEDAY = GameDay(
    name="random-failures",
    title="Three attempts in ten fail",
    pipeline="events",
    hypothesis=(
        "When 30 % of all attempts fail for a moment, batches settle in part: what has succeeded is done, what failed"
        " comes again after a wait that grows, and everything succeeds, each after the attempts that chance gave it."
    ),
    lesson=(
        "The worker reports the failed records of a batch (batchItemFailures), not the batch: one bad record costs its"
        " neighbours nothing. A hash of key and attempt decides who fails, so the verdict knows the truth beforehand."
    ),
    may_fire=("events-error-rate",),
    claims=frozenset({"events", "failure mode"}),
    checks=_checks,
    steps=(
        Step(
            "inject",
            f"{_CHANCE} % of the attempts fail (failure mode random_fail_p{_CHANCE})",
            _inject,
            (f"lab failure set random_fail_p{_CHANCE} --ttl 600 --wait",),
        ),
        Step("load", f"{_COUNT} events arrive", _load, (f"lab send --count {_COUNT} --wait",)),
        Step(
            "observe",
            "attempt after attempt, each of them succeeds",
            _watch,
            ("lab logs query failures-by-type", "lab watch --times 1"),
        ),
        Step("repair", "the fault is over", _repair, ("lab failure reset --wait",)),
        Step("verify", "nothing is dead-lettered", _verify, ("lab status",)),
    ),
)
