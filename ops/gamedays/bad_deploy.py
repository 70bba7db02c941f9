"""A deploy whose worker can't be imported: messages wait, the old code comes back, nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.gamedays.model import Check, GameDay, Step, curl
from ops.gamedays.stack import ORDERS_STEP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.gamedays.context import Context
    from ops.gamedays.recording import Recording

_BEFORE, _DURING = 3, 6
_BROKEN = '"""The business step of orders."""\n\nfrom handlers.orders import a_module_that_nobody_has_added\n'
_BREAK_BY_HAND = (
    "# lab up refuses such code: it imports every function before it deploys; so past it:",
    "aws lambda get-function --function-name orders-worker --query Code.Location --output text > place",
    'curl -fsS -o good.zip "$(cat place)"',
    "mkdir -p handlers/orders && echo 'import a_module_that_nobody_has_added' > handlers/orders/step.py",
    "cp good.zip bad.zip && zip bad.zip handlers/orders/step.py",
    "aws lambda update-function-code --function-name orders-worker --zip-file fileb://bad.zip",
)


def _before(context: Context) -> None:
    context.settled(context.order(_BEFORE, "before"))


def _inject(context: Context) -> None:
    context.deploy(context.stack.worker, ORDERS_STEP, _BROKEN)


def _load(context: Context) -> None:
    context.order(_DURING, "during")


def _watch(context: Context) -> None:
    context.alarms(*GAMEDAY.fires)
    context.look("broken")


def _repair(context: Context) -> None:
    context.revert("code")


def _verify(context: Context) -> None:
    context.settled([*context.ids("during")], seconds=120)
    context.look()
    context.quiet()


def _checks(recording: Recording) -> Iterator[Check]:
    broken, final = recording.ledger("broken"), recording.ledger()
    if not broken or not final:
        yield Check("what came during the bad deploy waits in the queue", ok=False, evidence="nobody has looked")
        return
    during = recording.group("during")
    yield Check(
        "what came during the bad deploy waits in the queue",
        broken.open == during and broken.lost == 0 and bool(during),
        f"{len(broken.open)} of {len(during)} wait, the queue holds {broken.facts.waiting} messages",
    )
    yield Check(
        "after the rollback everything has succeeded, nothing is dead-lettered",
        final.succeeded == final.accepted and not final.facts.letters,
        f"{len(final.succeeded)} of {len(final.accepted)} succeeded, {len(final.facts.letters)} dead letters",
    )


GAMEDAY = GameDay(
    name="bad-deploy",
    title="A deploy that can't be imported",
    pipeline="orders",
    hypothesis=(
        "When a deploy breaks the worker's import, orders are still accepted and wait in the queue; an alarm fires with"
        " the first batch; once the former code is back within the receives that a message has, all succeed."
    ),
    lesson=(
        "A function that can't start spends a receive of each message with every try. That is why messages have some,"
        " why their visibility is long, and why this alarm deserves a rollback first and an analysis afterwards."
    ),
    fires=("orders-worker-errors",),
    claims=frozenset({"orders"}),
    blast_radius="all orders of the stack while it lasts; only the orders worker's code is touched",
    checks=_checks,
    steps=(
        Step(
            "load",
            f"{_BEFORE} orders succeed",
            _before,
            (curl("/orders", '{"items":[{"sku":"ABC-1","qty":1}]}', "Idempotency-Key: gd-3"),),
        ),
        Step(
            "inject",
            "a deploy: the orders worker imports a module that is not there",
            _inject,
            _BREAK_BY_HAND,
        ),
        Step("load", f"{_DURING} orders arrive, and are accepted", _load, ("lab orders send --count 6",)),
        Step(
            "observe",
            "the worker dies before it has begun, its alarm fires",
            _watch,
            ("lab alarms", "lab logs tail --function orders-worker --since 5m"),
        ),
        Step(
            "repair",
            "the former code is deployed again",
            _repair,
            ("aws lambda update-function-code --function-name orders-worker --zip-file fileb://good.zip",),
        ),
        Step("verify", "after their visibility time-out the orders come again", _verify, ("lab orders list",)),
    ),
)
