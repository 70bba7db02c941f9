"""A downstream that is slower than the worker may wait: time-outs, until the limits are tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.gamedays.model import Check, GameDay, Step, curl
from ops.gamedays.stack import ORDERS_STEP, file_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.gamedays.context import Context
    from ops.gamedays.recording import Recording

_QUICK = 4
_SKU = "SLOW"
_TOO_LONG_SECONDS = 2  # beyond the worker's time-out
_TUNED = 3  # times the time-out; the visibility is six times that
# A driver in C that waits does not hear of the deadline; so the whole invocation ends at its time-out.
_SLOW_STEP = """

_process = process


def process(order: jsontext.JsonObject) -> jsontext.Json:
    import signal
    import time

    if any(item["sku"] == "{sku}" for item in order["items"]):
        signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGALRM}})
        time.sleep({seconds})
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {{signal.SIGALRM}})
    return _process(order)
"""


def _inject(context: Context) -> None:
    worker = context.stack.worker
    seconds = context.stack.timeout() + _TOO_LONG_SECONDS
    text = file_of(context.original(worker), ORDERS_STEP) + _SLOW_STEP.format(sku=_SKU, seconds=seconds)
    context.deploy(worker, ORDERS_STEP, text)


def _load(context: Context) -> None:
    context.order(1, "slow", sku=_SKU)
    context.settled(context.order(_QUICK, "quick"), seconds=90)


def _watch(context: Context) -> None:
    context.alarms(*GAMEDAY.fires)
    context.look("slow")


def _tune(context: Context) -> None:
    """The visibility first: a time-out must not be above it."""
    timeout, visibility = context.stack.timeout(), context.stack.visibility()

    def apply() -> None:
        stack = context.stack
        attributes = {"VisibilityTimeout": str(6 * _TUNED * timeout)}
        stack.client("sqs").set_queue_attributes(QueueUrl=stack.group["queueUrl"], Attributes=attributes)
        stack.client("lambda").update_function_configuration(FunctionName=stack.worker, Timeout=_TUNED * timeout)
        stack.updated(stack.worker)

    context.change("time-out and visibility", apply, timeout=timeout, visibility=visibility)
    context.note(f"time-out {timeout} s → {_TUNED * timeout} s, visibility {visibility} s → {6 * _TUNED * timeout} s")


def _recover(context: Context) -> None:
    context.settled([*context.ids("slow")], seconds=120)
    context.look()


def _back(context: Context) -> None:
    context.revert("time-out and visibility", "code")
    context.quiet()


def _checks(recording: Recording) -> Iterator[Check]:
    slow, final = recording.ledger("slow"), recording.ledger()
    if not slow or not final:
        yield Check("the slow order is in flight while it times out", ok=False, evidence="nobody has looked")
        return
    ids = recording.group("slow")
    yield Check(
        "the slow order is in flight while it times out, the quick ones are done",
        slow.open == ids and slow.lost == 0 and bool(ids),
        f"open {len(slow.open)}, succeeded {len(slow.succeeded)}, the queue holds {slow.facts.waiting}",
    )
    attempts = sorted(final.facts.records[one].attempts for one in ids if one in final.facts.records)
    yield Check(
        "once the limits are tuned it succeeds, although the downstream is as slow as before",
        ids <= final.succeeded and min(attempts, default=0) > 1 and not final.facts.letters,
        f"{len(ids & final.succeeded)} of {len(ids)} succeeded, at attempt {attempts}",
    )
    times = recording.of("note")
    yield Check("the visibility was raised with the time-out", bool(times), times[0]["text"] if times else "it was not")


GAMEDAY = GameDay(
    name="slow-downstream",
    title="A downstream slower than the time-out",
    pipeline="orders",
    hypothesis=(
        "When the downstream takes longer than the worker may run, Lambda ends the invocation; the message comes again"
        " after its visibility time-out and would fail for ever. With a longer time-out, and a visibility of six times"
        " that, it succeeds: once, and nothing is lost meanwhile."
    ),
    lesson=(
        "A time-out costs the whole batch a receive and its visibility time-out of waiting. Raise the visibility first,"
        " then the time-out: with a visibility shorter than the work, a second worker starts on the same message. The"
        " lasting repair is the configuration key ordersWorkerTimeoutSeconds, from which the visibility follows."
    ),
    fires=("orders-worker-errors",),
    may_fire=("orders-worker-duration", "orders-error-rate"),
    claims=frozenset({"orders"}),
    blast_radius="only orders with the SKU SLOW; changed are the orders worker's code and limits",
    checks=_checks,
    limit_seconds=240,
    steps=(
        Step(
            "inject",
            "the downstream of orders with the SKU SLOW takes longer than the time-out",
            _inject,
            (
                "# the failure mode outlasts every time-out: reset it once the limits are raised",
                "lab failure set slow_downstream --match customerId=gd-4 --ttl 600 --wait",
            ),
        ),
        Step(
            "load",
            f"a slow order arrives, and {_QUICK} quick ones",
            _load,
            (
                curl(
                    "/orders",
                    '{"customerId":"gd-4","items":[{"sku":"SLOW","qty":1}]}',
                    "Idempotency-Key: gd-4",
                ),
            ),
        ),
        Step(
            "observe",
            "its invocation times out, the alarm of the worker's errors fires",
            _watch,
            ("lab alarms", "lab logs tail --function orders-worker --since 5m"),
        ),
        Step(
            "repair",
            "visibility and time-out are raised",
            _tune,
            (
                "# in Pulumi.local.yaml: ingestion-lab:ordersWorkerTimeoutSeconds: 15",
                "lab up",
            ),
        ),
        Step("verify", "the slow order succeeds", _recover, ("lab failure reset --wait", "lab orders list")),
        Step("repair", "downstream and limits are as before", _back, ("lab up", "lab alarms")),
    ),
)
