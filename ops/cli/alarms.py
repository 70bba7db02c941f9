"""`lab alarms`: state and reason of every alarm, and how to go on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handlers import alarm_text
from ops.cli import output, target
from ops.cli.subscribers import described

if TYPE_CHECKING:
    from collections.abc import Mapping

_ORDER = {"ALARM": 0, "INSUFFICIENT_DATA": 1, "OK": 2}


@dataclass(frozen=True, slots=True)
class AlarmState:
    """An alarm as it stands. `since` is RFC 3339; `measured` is what the values of `reason` are.

    `runbook`, and `next`, the command to go on with, are "" for an alarm that only sums up others.
    """

    name: str
    state: str
    severity: str
    since: str
    reason: str
    runbook: str
    next: str
    means: str
    measured: str


def alarms(
    stack: target.StackOption = target.LOCAL,
    every: Annotated[bool, typer.Option("--all", help="Also those that are OK.")] = False,  # noqa: FBT002 - an option
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Show the alarms that are not OK, each with its reason and the command to go on with.

    With --all, those that are OK follow, a line each. With --json, every alarm comes with all fields.

    Example: lab alarms
    """
    states = read(target.find(stack).client("cloudwatch"), stack)
    if as_json:
        output.as_json({"stack": stack, "alarms": [asdict(one) for one in states]})
        return
    if not states:
        output.say("no alarms: the stack has observabilityEnabled: false")
        return
    quiet = [one for one in states if one.state == "OK"]
    for one in states:
        if every or one not in quiet:
            output.result(_lines(one))
    if not every and quiet:
        output.say(f"{len(quiet)} of {len(states)} alarms are OK (--all lists them)")


def read(client: Any, stack: str) -> list[AlarmState]:  # noqa: ANN401 - a boto3 client, made by name
    """Read the alarms of a stack: those in ALARM first, then by name."""
    states = [_state(alarm, stack) for alarm in described(client, stack)]
    return sorted(states, key=lambda one: (_ORDER.get(one.state, 1), one.name))


@dataclass(frozen=True, slots=True)
class Change:
    """An alarm's change of state; `at` is RFC 3339."""

    at: str
    summary: str


def history(client: Any, name: str, most: int) -> list[Change]:  # noqa: ANN401 - a boto3 client, made by name
    """The last changes of an alarm's state, the newest first; CloudWatch keeps them for 30 days."""
    found = client.describe_alarm_history(
        AlarmName=name,
        AlarmTypes=["MetricAlarm", "CompositeAlarm"],  # else those of metrics only
        HistoryItemType="StateUpdate",
        MaxRecords=most,
        ScanBy="TimestampDescending",
    )["AlarmHistoryItems"]
    return [Change(_moment(one["Timestamp"]), one["HistorySummary"]) for one in found]


def runbooks(client: Any, stack: str) -> dict[str, str]:  # noqa: ANN401 - a boto3 client, made by name
    """File of the runbook of each alarm, by the alarm's name without what all names of the stack begin with."""
    prefix = f"IngestionLab-{stack}-"
    found = {one["AlarmName"].removeprefix(prefix): _runbook(one) for one in described(client, stack)}
    return {name: runbook.rpartition("/")[2] for name, runbook in found.items() if runbook}


def _lines(one: AlarmState) -> list[str]:
    """One line for an alarm that is OK; for any other its reason and what to do, too."""
    head = f"{one.state:<17} {one.severity:<8} {one.name} since {one.since}"
    told = {"means": one.means, "measured": one.measured, "reason": one.reason, "next": one.next}
    more = [f"{word}: {text}" for word, text in told.items() if text]
    return [head] if one.state == "OK" else [head, *(f"{'':<18}{line}" for line in more)]


def _state(alarm: Mapping[str, Any], stack: str) -> AlarmState:
    name = alarm["AlarmName"]
    runbook = _runbook(alarm)
    short = name.removeprefix(f"IngestionLab-{stack}-")
    actions = " ".join(arn.rpartition(":")[2] for arn in alarm.get("AlarmActions", []))
    return AlarmState(
        name=name,
        state=alarm["StateValue"],
        severity=alarm_text.severity(f"{actions} {name}") or "",
        since=_moment(alarm.get("StateTransitionedTimestamp") or alarm["StateUpdatedTimestamp"]),
        reason=alarm.get("StateReason", ""),
        runbook=runbook,
        next=f"lab runbook {short} --stack {stack}" if runbook else "",
        means=alarm.get("AlarmDescription", "").partition(" Runbook:")[0],
        measured=_measured(alarm),
    )


def _measured(alarm: Mapping[str, Any]) -> str:
    """The label of its formula, or its metric; nothing of one that sums up others."""
    labels = (query.get("Label", "") for query in alarm.get("Metrics", []) if query.get("ReturnData", True))
    return next(labels, "") or str(alarm.get("MetricName", ""))


def _runbook(alarm: Mapping[str, Any]) -> str:
    return alarm_text.runbook(alarm.get("AlarmDescription", "")) or ""


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
