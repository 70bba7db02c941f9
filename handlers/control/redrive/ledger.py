"""What a run knows of each letter: the state record of its key before, its entry in the ledger after.

The state table is read a hundred keys at a time; the ledger is kept in waves, with the sum of them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from handlers import clock, jsontext
from handlers.aws import partiql
from handlers.control.redrive.errors import InterruptedRedriveError
from handlers.idempotency.claims import Status
from handlers.idempotency.keys import partition_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# No pipeline makes longer keys. DynamoDB takes 2,048 bytes, and one longer key would fail a whole read.
MAX_KEY = 512
_PROJECTION = (
    "idempotencyKey",
    "status",
    "checksum",
    "attempts",
    "messageId",
    "expiresAt",
    "errorType",
    "errorMessage",
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a key stood at one moment; any work on the key changes it."""

    status: str
    attempts: int
    message_id: str


@dataclass(frozen=True, slots=True)
class StateRecord:
    """A key's record, as far as a redrive wants to know."""

    snapshot: Snapshot
    checksum: str
    error_type: str = ""
    error_message: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the event is done."""
        return self.snapshot.status == Status.SUCCEEDED

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> "StateRecord":
        """Reads a DynamoDB item (attribute-value form)."""
        return cls(
            Snapshot(item["status"]["S"], int(item["attempts"]["N"]), item["messageId"]["S"]),
            item["checksum"]["S"],
            item.get("errorType", {}).get("S", ""),
            item.get("errorMessage", {}).get("S", ""),
        )


class States:
    """The state table of a pipeline, read only."""

    def __init__(self, client: "DynamoDBClient", table: str, pipeline: str = "") -> None:
        self._client = client
        self._name = table
        self._table = partiql.Table(client, table, key="idempotencyKey")
        self._pipeline = pipeline

    def of(self, pipeline: str) -> "States":
        """The same of another pipeline."""
        return States(self._client, self._name, pipeline)

    def lookup(self, keys: Iterable[str]) -> dict[str, StateRecord]:
        """The records of those keys that have one which has not expired.

        Raises:
            InterruptedRedriveError: DynamoDB failed.
        """
        wanted = {partition_key(self._pipeline, key): key for key in sorted(keys) if len(key) <= MAX_KEY}
        items, error = self._table.get_many(list(wanted), _PROJECTION) if wanted else ({}, "")
        if error:
            raise InterruptedRedriveError("BatchGetItem", error)
        now = clock.now_ms()
        alive = {place: item for place, item in items.items() if int(item["expiresAt"]["N"]) * 1000 > now}
        return {wanted[place]: StateRecord.from_item(item) for place, item in alive.items()}


class EntryState(StrEnum):
    """What became of a letter."""

    MOVING = "MOVING"  # about to be sent; where a run dies, what it left in this state is resolved before it goes on
    MOVED = "MOVED"
    FAILED = "FAILED"  # SQS refused it; it is still a dead letter
    UNCERTAIN = "UNCERTAIN"  # not known whether it was sent; it is still a dead letter
    SKIPPED = "SKIPPED"
    PARKED = "PARKED"  # redriven too often
    WOULD_MOVE = "WOULD_MOVE"  # of a dry run


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One letter in the ledger. `before` is how its key stood when it was to be sent."""

    message_id: str
    key: str
    checksum: str
    error_type: str
    state: EntryState
    reason: str = ""
    group: str = ""
    before: Snapshot | None = None
    new_message_id: str = ""

    def as_json(self) -> jsontext.JsonObject:
        """As the API shows it."""
        return {
            "messageId": self.message_id,
            "idempotencyKey": self.key,
            "state": self.state,
            "reason": self.reason,
            "errorType": self.error_type,
            "newMessageId": self.new_message_id,
        }

    def as_kept(self) -> jsontext.JsonObject:
        """As the control table keeps it."""
        before = self.before
        standing: jsontext.Json = [before.status, before.attempts, before.message_id] if before else None
        return self.as_json() | {"checksum": self.checksum, "group": self.group, "before": standing}

    @classmethod
    def from_kept(cls, value: Mapping[str, Any]) -> "Entry":
        """Reads what `as_kept` wrote."""
        return cls(
            message_id=value["messageId"],
            key=value["idempotencyKey"],
            checksum=value["checksum"],
            error_type=value["errorType"],
            state=EntryState(value["state"]),
            reason=value["reason"],
            group=value["group"],
            before=Snapshot(*value["before"]) if value["before"] else None,
            new_message_id=value["newMessageId"],
        )


@dataclass(slots=True)
class Wave:
    """The entries of one wave. `writer` is who wrote them last, "" where it is not written yet."""

    number: int
    entries: list[Entry]
    writer: str = ""


@dataclass(slots=True)
class Tally:
    """How many letters came to which state, and for which reasons."""

    states: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, entries: Iterable[Entry]) -> None:
        """Counts entries that are settled; those on their way are counted when they arrive."""
        for entry in entries:
            if entry.state is not EntryState.MOVING:
                self.states[entry.state] += 1
                if entry.reason:
                    self.reasons[entry.reason] += 1

    def clear(self) -> None:
        """Begins to count afresh."""
        self.states.clear()
        self.reasons.clear()

    def spent(self) -> int:
        """How much of `maxMessages` is used up: what may have been sent counts as sent."""
        return sum(self.states[state] for state in (EntryState.MOVED, EntryState.UNCERTAIN, EntryState.WOULD_MOVE))

    def as_json(self) -> jsontext.JsonObject:
        """`{counts, reasons}` as the API shows them."""
        counts: jsontext.JsonObject = {
            "examined": self.states.total(),
            "moved": self.states[EntryState.MOVED],
            "skipped": self.states[EntryState.SKIPPED],
            "failed": self.states[EntryState.FAILED],
            "parked": self.states[EntryState.PARKED],
            "uncertain": self.states[EntryState.UNCERTAIN],
            "wouldMove": self.states[EntryState.WOULD_MOVE],
        }
        return {"counts": counts, "reasons": {name: self.reasons[name] for name in sorted(self.reasons)}}
