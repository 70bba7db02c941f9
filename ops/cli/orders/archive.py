"""The archive of orders' events, and replays from it."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.cli.target import Target

FAILED = frozenset({"FAILED", "CANCELLED"})
FINAL = FAILED | {"COMPLETED"}
_POLL_SECONDS = 0.5


class ReplayError(LabError):
    """There is no such archive or replay."""


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive, its bus, and the one rule that a replay is sent to."""

    client: Any
    arn: str
    bus_arn: str
    rule_arn: str
    retention_days: int
    events: int  # as EventBridge counts them, up to a day late
    lag: timedelta  # how late events may reach it

    def is_young(self, end: datetime) -> bool:
        """Tell whether events before that moment may still be on their way to the archive."""
        return bool(self.lag) and end > datetime.now(UTC) - self.lag

    def plan(self, start: datetime, end: datetime) -> dict[str, Any]:
        """Describe the replay that `start` would start."""
        return {
            "archive": self.arn,
            "rule": self.rule_arn,
            "start": start.isoformat(),
            "end": end.isoformat(),
            "retentionDays": self.retention_days or "all",
            "eventsInArchive": self.events,
            "dryRun": True,
        }

    def start(self, start: datetime, end: datetime) -> str:
        """Start a replay and return its name; a repeated call whose answer was lost finds its own replay."""
        name = f"orders-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        try:
            self.client.start_replay(
                ReplayName=name,
                Description="lab orders replay",
                EventSourceArn=self.arn,
                EventStartTime=start,
                EventEndTime=end,
                Destination={"Arn": self.bus_arn, "FilterArns": [self.rule_arn]},
            )
        except self.client.exceptions.ResourceAlreadyExistsException:
            self.describe(name)
        return name

    def describe(self, name: str) -> dict[str, Any]:
        """Describe the state of a replay.

        Raises:
            ReplayError: there is none of that name.
        """
        found = self._replay(name)
        last = found.get("EventLastReplayedTime")
        return {
            "replay": name,
            "state": found["State"],
            "reason": found.get("StateReason", ""),
            "start": found["EventStartTime"].isoformat(),
            "end": found["EventEndTime"].isoformat(),
            "lastReplayed": last.isoformat() if last else "",
        }

    def left_of(self, name: str) -> tuple[datetime, datetime]:
        """Return the window that a cancelled or failed replay has left; its last minute is replayed again.

        Raises:
            ReplayError: it is still running, or has replayed everything.
        """
        found = self._replay(name)
        if found["State"] not in FAILED:
            raise ReplayError(f"replay {name} is {found['State']}: only a cancelled or failed one can be resumed")
        return found.get("EventLastReplayedTime") or found["EventStartTime"], found["EventEndTime"]

    def cancel(self, name: str) -> None:
        """Cancel a replay.

        Raises:
            ReplayError: there is none of that name, or it has ended.
        """
        self._replay(name)
        try:
            self.client.cancel_replay(ReplayName=name)
        except self.client.exceptions.ClientError as error:
            raise ReplayError(f"replay {name} can't be cancelled: {error.response['Error']['Message']}") from error

    def follow(self, name: str, seconds: float, advance: Callable[[int], None]) -> dict[str, Any]:
        """Wait until it has ended or the seconds have passed, and describe it; advances by per cent."""
        deadline, reported = time.monotonic() + seconds, 0
        while True:
            found = self._replay(name)
            now = 100 if found["State"] == "COMPLETED" else _percent(found)
            advance(max(0, now - reported))
            reported = max(reported, now)
            if found["State"] in FINAL or time.monotonic() >= deadline:
                return self.describe(name)
            time.sleep(_POLL_SECONDS)

    def _replay(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self.client.describe_replay(ReplayName=name)
        except self.client.exceptions.ResourceNotFoundException as error:
            raise ReplayError(f"there is no replay {name}") from error
        return found


def find(stack: Target) -> Archive:
    """Find the archive of a stack with orders.

    Raises:
        ReplayError: it has none.
    """
    group = stack.pipelines["orders"]
    if "archiveArn" not in group:
        raise ReplayError("this stack keeps no archive: set its configuration key archiveRetentionDays")
    client = stack.client("events")
    found = client.describe_archive(ArchiveName=group["archiveArn"].rpartition("/")[2])
    return Archive(
        client=client,
        arn=group["archiveArn"],
        bus_arn=found["EventSourceArn"],
        rule_arn=group["ruleArn"],
        retention_days=found.get("RetentionDays", 0),
        events=found.get("EventCount", 0),
        lag=stack.archive_lag,
    )


def _percent(replay: dict[str, Any]) -> int:
    last = replay.get("EventLastReplayedTime")
    whole: timedelta = replay["EventEndTime"] - replay["EventStartTime"]
    if last is None or not whole:
        return 0
    done: timedelta = last - replay["EventStartTime"]
    return max(0, min(99, round(100 * (done / whole))))
