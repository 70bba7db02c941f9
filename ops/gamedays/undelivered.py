"""The bus can't deliver orders to their queue: they are put aside, and brought back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ops.gamedays.model import Check, GameDay, Step, curl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.gamedays.context import Context
    from ops.gamedays.recording import Recording

_BEFORE, _DURING = 3, 6
_QUEUE = '--queue-url "$(lab status --output orders.queueUrl)"'
_FORBID_BY_HAND = (
    f"aws sqs get-queue-attributes {_QUEUE} --attribute-names Policy --query Attributes > policy.json",
    f'aws sqs set-queue-attributes {_QUEUE} --attributes \'{{"Policy":""}}\'',
)


def _before(context: Context) -> None:
    context.settled(context.order(_BEFORE, "before"))


def _inject(context: Context) -> None:
    _point_aside(context) if context.stack.is_laptop else _forbid(context)


def _forbid(context: Context) -> None:
    """The queue no longer lets the bus send."""
    sqs, url = context.stack.client("sqs"), context.stack.group["queueUrl"]
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    policy: dict[str, Any] = json.loads(before)
    policy["Statement"] = [one for one in policy["Statement"] if one.get("Sid") != "RulesDeliver"]
    context.change(
        "queue policy",
        lambda: sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)}),
        queue=url,
        policy=before,
    )


def _point_aside(context: Context) -> None:
    """On the emulator the rule itself delivers to where EventBridge would put what it can't deliver."""
    stack = context.stack
    events, bus = stack.client("events"), stack.target.outputs["EventBusName"]
    rule = stack.group["ruleArn"].rpartition("/")[2]
    targets = events.list_targets_by_rule(Rule=rule, EventBusName=bus)["Targets"]
    aside = [{"Id": one["Id"], "Arn": one["DeadLetterConfig"]["Arn"]} for one in targets]
    context.change(
        "rule targets",
        lambda: events.put_targets(Rule=rule, EventBusName=bus, Targets=aside),
        rule=rule,
        targets=targets,
    )


def _load(context: Context) -> None:
    context.order(_DURING, "during")
    context.buried(_DURING, "undelivered")
    context.look("undelivered")


def _watch(context: Context) -> None:
    context.alarms(*GAMEDAY.fires)


def _repair(context: Context) -> None:
    context.revert("queue policy", "rule targets")


def _redrive(context: Context) -> None:
    context.redrive(pipeline="orders-undelivered")


def _verify(context: Context) -> None:
    context.settled([*context.ids("during")])
    context.look()
    context.quiet()


def _checks(recording: Recording) -> Iterator[Check]:
    aside, final = recording.ledger("undelivered"), recording.ledger()
    moved = [line["counts"]["moved"] for line in recording.of("redrive")]
    if not aside or not final:
        yield Check("what the bus can't deliver is put aside", ok=False, evidence="nobody has looked")
        return
    during = recording.group("during")
    yield Check(
        "what the bus can't deliver is put aside, and nothing else",
        aside.dead == during and bool(during),
        f"{len(aside.dead)} of {len(during)} are in the queue of undelivered events",
    )
    yield Check("the redrive has moved as many as were aside", moved == [len(aside.dead)], f"moved {moved}")
    yield Check(
        "everything has succeeded",
        final.succeeded == final.accepted,
        f"{len(final.succeeded)} of {len(final.accepted)}",
    )


GAMEDAY = GameDay(
    name="undelivered",
    title="The bus can't deliver orders",
    pipeline="orders",
    hypothesis=(
        "When EventBridge may not send to the orders queue, orders are still accepted; what can't be delivered is put"
        " aside in the rule's own queue and an alarm fires; after the repair a redrive of that queue brings each order"
        " to the worker, once."
    ),
    lesson=(
        "A 202 of POST /orders means that the bus has the event. Between bus and queue lies a policy that anybody may"
        " break; without a dead-letter queue at the rule's target such events would be gone, and nobody would be told."
    ),
    fires=("orders-undelivered",),
    may_fire=("orders-event-delivery-failed",),
    claims=frozenset({"orders"}),
    blast_radius="all orders of the stack are put aside while it lasts",
    on_laptop=(
        "the emulator checks no queue policy when a rule delivers and has no dead-letter queues of targets, so the rule"
        " is pointed at the queue where EventBridge would put the events; on AWS the queue's policy forbids the bus."
    ),
    checks=_checks,
    steps=(
        Step("load", f"{_BEFORE} orders succeed", _before, ("lab orders send --count 3 --wait",)),
        Step(
            "inject",
            "the bus can't deliver to the orders queue any more",
            _inject,
            _FORBID_BY_HAND,
        ),
        Step(
            "load",
            f"{_DURING} orders arrive, and are accepted",
            _load,
            (
                curl("/orders", '{"items":[{"sku":"ABC-1","qty":1}]}', "Idempotency-Key: gd-6"),
                "lab redrive preview --pipeline orders-undelivered",
            ),
        ),
        Step("observe", "the alarm fires", _watch, ("lab alarms",)),
        Step(
            "repair",
            "the bus may deliver again",
            _repair,
            (f"aws sqs set-queue-attributes {_QUEUE} --attributes file://policy.json",),
        ),
        Step(
            "repair",
            "what was put aside is redriven",
            _redrive,
            ("lab redrive start --pipeline orders-undelivered",),
        ),
        Step("verify", "each order is processed, and the alarm is over", _verify, ("lab orders list", "lab alarms")),
    ),
)
