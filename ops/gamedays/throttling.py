"""Lambda refuses to run the API function: callers are told, repeat, and nothing is half accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.gamedays.model import Check, GameDay, Step, curl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.gamedays.context import Context
    from ops.gamedays.recording import Recording

_COUNT = 6


def _inject(context: Context) -> None:
    functions, name = context.stack.client("lambda"), context.stack.producer
    before = functions.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
    context.change(
        "reserved concurrency",
        lambda: functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0),
        function=name,
        before=before,
    )


def _load(context: Context) -> None:
    keys = context.keys(_COUNT, "order")
    context.try_orders(keys)
    context.alarms(*GAMEDAY.fires)
    context.look("throttled")


def _repair(context: Context) -> None:
    context.revert("reserved concurrency")


def _repeat(context: Context) -> None:
    context.settled(context.order(_COUNT, "order"))


def _verify(context: Context) -> None:
    context.look()
    context.quiet()


def _checks(recording: Recording) -> Iterator[Check]:
    refused = [status for line in recording.of("refused") for status in line["statuses"]]
    yield Check(
        "each caller was refused with a status that says: try again",
        len(refused) == _COUNT and all(status in (429, 500, 502, 503) for status in refused),
        f"{len(refused)} refused: {sorted(set(refused))}",
    )
    throttled, final = recording.ledger("throttled"), recording.ledger()
    if not throttled or not final:
        yield Check("nothing was half accepted", ok=False, evidence="nobody has looked")
        return
    yield Check(
        "nothing was half accepted: what was refused is nowhere",
        not throttled.accepted and throttled.facts.waiting == 0 and not throttled.facts.told,
        f"accepted {len(throttled.accepted)}, in the queue {throttled.facts.waiting}",
    )
    yield Check(
        "repeated under their keys, each succeeds once",
        final.succeeded == final.accepted and len(final.accepted) == _COUNT,
        f"{len(final.succeeded)} of {len(final.accepted)}",
    )


GAMEDAY = GameDay(
    name="throttling",
    title="Lambda has no concurrency left for the API",
    pipeline="orders",
    hypothesis=(
        "When Lambda refuses to run the function behind the API, callers get a 5xx or 429 at once and nothing of their"
        " order is anywhere; the alarm of throttles fires; callers who repeat under the same Idempotency-Key end with"
        " exactly one order each."
    ),
    lesson=(
        "A refusal is honest: 202 means that the event is safe, anything else that it is the caller's still. With a key"
        " of their own callers may repeat blindly. Look for who takes the concurrency before you raise limits."
    ),
    fires=("orders-throttles",),
    may_fire=("api-5xx",),
    claims=frozenset({"orders"}),
    blast_radius="POST /orders of the whole stack is refused while it lasts",
    on_laptop=(
        "a reserved concurrency of 0 stands for an account whose concurrency is used up. The emulator refuses such"
        " invocations as Lambda does; the throttling of API Gateway itself (throttleRate) it does not know."
    ),
    checks=_checks,
    steps=(
        Step(
            "inject",
            "no concurrency is left for the orders API (reserved concurrency 0)",
            _inject,
            ("aws lambda put-function-concurrency --function-name orders-api --reserved-concurrent-executions 0",),
        ),
        Step(
            "load",
            f"{_COUNT} callers place an order and are refused; the alarm fires",
            _load,
            (
                curl("/orders", '{"items":[{"sku":"ABC-1","qty":1}]}', "Idempotency-Key: gd-5"),
                "lab alarms",
            ),
        ),
        Step(
            "repair",
            "there is concurrency again",
            _repair,
            ("aws lambda delete-function-concurrency --function-name orders-api",),
        ),
        Step(
            "verify",
            "the callers repeat under their keys",
            _repeat,
            (curl("/orders", '{"items":[{"sku":"ABC-1","qty":1}]}', "Idempotency-Key: gd-5"), "lab orders list"),
        ),
        Step("verify", "one order each, and the alarms are over", _verify, ("lab alarms",)),
    ),
)
