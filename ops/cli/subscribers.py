"""Who hears of a stack's alarms: the subscribers of the topics that they notify."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from handlers import alarm_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One subscription. A `pending` one hears nothing until its owner follows the link in AWS's message."""

    topic: str
    protocol: str
    endpoint: str
    state: Literal["confirmed", "pending", "deleted"]


def described(client: Any, stack: str) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401 - a boto3 client, made by name
    """The two alarms that sum up all others of the stack, and those: those of a stack dev-eu begin with `dev-` too."""
    prefix = f"IngestionLab-{stack}-"
    pages = client.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    kinds = ("MetricAlarms", "CompositeAlarms")
    found = {one["AlarmName"]: one for page in pages for kind in kinds for one in page.get(kind, [])}
    sums = {f"{prefix}{severity}" for severity in alarm_text.SEVERITIES} & found.keys()
    rules = " ".join(found[name]["AlarmRule"] for name in sums)
    for name, alarm in found.items():
        if name in sums or f'ALARM("{name}")' in rules:
            yield alarm


def subscribers(alarms: Any, topics: Any, stack: str) -> Mapping[str, Sequence[Subscriber]]:  # noqa: ANN401
    """ARN of each topic that the stack's alarms notify -> who is subscribed; nothing where there is no alarm.

    `alarms` is a client of CloudWatch, `topics` one of SNS.
    """
    arns = sorted({arn for alarm in described(alarms, stack) for arn in alarm.get("AlarmActions", [])})
    return {arn: list(_of(topics, arn)) for arn in arns}


def _of(client: Any, arn: str) -> Iterator[Subscriber]:  # noqa: ANN401
    for page in client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn):
        for one in page["Subscriptions"]:
            yield Subscriber(arn.rpartition(":")[2], one["Protocol"], one["Endpoint"], _state(one["SubscriptionArn"]))


def _state(arn: str) -> Literal["confirmed", "pending", "deleted"]:
    """In place of an ARN, SNS says `PendingConfirmation`, or `Deleted` for a while."""
    if arn.startswith("arn:"):
        return "confirmed"
    return "deleted" if arn == "Deleted" else "pending"
