"""What an operator asks of a redrive, and one run as it is kept."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

from handlers import clock, jsontext
from handlers.aws.control_table import Item
from handlers.control.redrive.ledger import Tally


@dataclass(frozen=True, slots=True)
class RedriveRequest:
    """Which letters, how many, how fast. `rate` in messages a second, 0 is as fast as the ramp allows.

    `error_type` "" takes every type; `jitter` is the longest random delay of a message in seconds.
    """

    pipeline: str
    max_messages: int
    error_type: str = ""
    min_age_seconds: int = 0
    jitter: int = 0
    rate: float = 0
    canary: int = 0
    dry_run: bool = False

    def as_json(self) -> jsontext.JsonObject:
        """As the API takes and shows it."""
        return {
            "pipeline": self.pipeline,
            "maxMessages": self.max_messages,
            "errorType": self.error_type or None,
            "minAgeSeconds": self.min_age_seconds,
            "perMessageDelayJitter": self.jitter,
            "ratePerSecond": self.rate or None,
            "canary": self.canary,
            "dryRun": self.dry_run,
        }

    def filters(self) -> jsontext.JsonObject:
        """The part of it that a preview has."""
        return {name: self.as_json()[name] for name in ("pipeline", "errorType", "minAgeSeconds", "maxMessages")}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "RedriveRequest":
        """Reads what `as_json` wrote."""
        return cls(
            pipeline=value["pipeline"],
            max_messages=value["maxMessages"],
            error_type=value["errorType"] or "",
            min_age_seconds=value["minAgeSeconds"],
            jitter=value["perMessageDelayJitter"],
            rate=value["ratePerSecond"] or 0,
            canary=value["canary"],
            dry_run=value["dryRun"],
        )


class RunState(StrEnum):
    """Where a run stands."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"  # went through all that it was to go through; the counts say with what result
    CANCELLED = "CANCELLED"
    STOPPED = "STOPPED"  # its canaries failed again
    FAILED = "FAILED"  # could not go on


@dataclass(slots=True, kw_only=True)
class Run:
    """A run. Times in ms since the epoch, 0 is never.

    `requested_by` is who started it, "" where nobody was asked.
    `reason` says how it ended, and before that what has interrupted it since it last got anything done.
    `lease_owner` is the invocation that works on it until `lease_until`, `moved_at` when it last sent anything.
    `unseen` is how many letters it ended without having seen, because they were in somebody else's hands.
    `starts` counts the invocations since the last that got anything done; `waves` numbers the ledger's last wave.
    """

    redrive_id: str
    dlq_url: str
    request: RedriveRequest
    created_at: int
    requested_by: str = ""
    state: RunState = RunState.RUNNING
    reason: str = ""
    tally: Tally = field(default_factory=Tally)
    updated_at: int = 0
    finished_at: int = 0
    lease_owner: str = ""
    lease_until: int = 0
    cancel_requested: bool = False
    canaries_passed: bool = False
    moved_at: int = 0
    starts: int = 0
    waves: int = 0
    unseen: int = 0

    def progress(self) -> Item:
        """The attributes that a runner changes as it goes."""
        tally: jsontext.JsonObject = {"states": dict(self.tally.states), "reasons": dict(self.tally.reasons)}
        return {
            "tally": jsontext.compact(tally),
            "reason": self.reason,
            "updatedAt": clock.now_ms(),
            "canariesPassed": self.canaries_passed,
            "movedAt": self.moved_at,
            "starts": self.starts,
            "waves": self.waves,
            "unseen": self.unseen,
        }

    def as_item(self) -> Item:
        """All attributes but the key."""
        return self.progress() | {
            "dlqUrl": self.dlq_url,
            "request": jsontext.compact(self.request.as_json()),
            "createdAt": self.created_at,
            "requestedBy": self.requested_by,
            "state": self.state,
            "finishedAt": self.finished_at,
            "leaseOwner": self.lease_owner,
            "leaseUntil": self.lease_until,
            "cancelRequested": self.cancel_requested,
        }

    @classmethod
    def from_item(cls, redrive_id: str, item: Item) -> "Run":
        """Reads the attributes."""
        values = cast("dict[str, Any]", item)
        tally = cast("dict[str, Any]", jsontext.load(values["tally"]))
        return cls(
            redrive_id=redrive_id,
            dlq_url=values["dlqUrl"],
            request=RedriveRequest.from_json(cast("dict[str, Any]", jsontext.load(values["request"]))),
            created_at=values["createdAt"],
            requested_by=values.get("requestedBy", ""),  # runs of before do not say
            state=RunState(values["state"]),
            reason=values["reason"],
            tally=Tally(Counter(tally["states"]), Counter(tally["reasons"])),
            updated_at=values["updatedAt"],
            finished_at=values["finishedAt"],
            lease_owner=values["leaseOwner"],
            lease_until=values["leaseUntil"],
            cancel_requested=values["cancelRequested"],
            canaries_passed=values["canariesPassed"],
            moved_at=values["movedAt"],
            starts=values["starts"],
            waves=values["waves"],
            unseen=values.get("unseen", 0),  # runs of before do not say
        )

    def is_free(self) -> bool:
        """Whether an invocation may take it: it has no owner, or its owner's lease has lapsed.

        A paused run (owner "", lease in the future) is taken at once to be cancelled.
        """
        if self.state is not RunState.RUNNING:
            return False
        return self.lease_until <= clock.now_ms() or (self.cancel_requested and not self.lease_owner)

    def as_json(self) -> jsontext.JsonObject:
        """As the API shows it, without the ledger."""
        return {
            "redriveId": self.redrive_id,
            "state": self.state,
            "reason": self.reason,
            "request": self.request.as_json(),
            "requestedBy": self.requested_by or None,
            **self.tally.as_json(),
            "unseen": self.unseen,
            "cancelRequested": self.cancel_requested,
            "startedAt": clock.iso(self.created_at),
            "updatedAt": clock.iso(self.updated_at),
            "finishedAt": clock.iso(self.finished_at) if self.finished_at else None,
        }
