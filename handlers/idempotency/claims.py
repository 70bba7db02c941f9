"""Idempotency keys, claims on them as data, and the one decision about them: how a record stands towards a request."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from handlers.errors import WorkerDiedError

KEY_LIMIT = "must have 1 to 256 characters of A-Z a-z 0-9 . _ ~ : @ = + - and begin with a letter or digit"
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:@=+-]{0,255}")


def is_key(text: str) -> bool:
    """Whether a caller may give this text as an idempotency key."""
    return _KEY.fullmatch(text) is not None


class Status(StrEnum):
    """Where a key stands."""

    INFLIGHT = "INFLIGHT"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class Standing(StrEnum):
    """What a record means for a request of its key."""

    OURS = "ours"  # written by this very claim, whose answer was lost on the way
    FREE = "free"  # failed, handed back or expired: may be taken over
    SUSPECT = "suspect"  # may be taken over, but a worker has died with it: perhaps of it
    LIVE = "live"  # another invocation is at it
    DONE = "done"
    BURIED = "buried"  # the request's message is on the dead-letter queue already, but that was not published
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Record:
    """A state record, without payload and result. `lease_until` in ms, `expires_at` in s since the epoch.

    `deaths` counts the workers that had died with it when it was last taken over as a suspect.
    """

    key: str
    status: Status
    checksum: str
    attempts: int
    lease_until: int
    expires_at: int
    message_id: str
    processed_at: str
    error_type: str = ""
    deaths: int = 0
    error_message: str = ""
    dead_letter_of: str = ""  # the message whose dead letter has been sent

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> "Record":
        """Reads a DynamoDB item (attribute-value form)."""
        return cls(
            key=item["idempotencyKey"]["S"],
            status=Status(item["status"]["S"]),
            checksum=item["checksum"]["S"],
            attempts=int(item["attempts"]["N"]),
            lease_until=int(item["leaseUntil"]["N"]),
            expires_at=int(item["expiresAt"]["N"]),
            message_id=item["messageId"]["S"],
            processed_at=item.get("processedAt", {}).get("S", ""),
            error_type=item.get("errorType", {}).get("S", ""),
            deaths=int(item.get("deaths", {}).get("N", "0")),
            error_message=item.get("errorMessage", {}).get("S", ""),
            dead_letter_of=item.get("deadLetterOf", {}).get("S", ""),
        )

    @property
    def is_suspect(self) -> bool:
        """Whether its lease lapsed before anybody wrote how it ended, or it was given up for that.

        A lease that was given back ends at 0, as that of a reservation does.
        """
        if self.status is Status.FAILED:
            return self.error_type == WorkerDiedError.__name__
        return self.status is Status.INFLIGHT and self.lease_until > 0


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """A request to work on `key`. `bound` says that the key has most likely been reserved for this payload."""

    key: str
    checksum: str
    message_id: str
    payload: str
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a key and to write its outcome. `until` in ms since the epoch."""

    key: str
    attempts: int
    until: int


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to a request: a lease, or where the key stands, or the code of an AWS error."""

    lease: Lease | None = None
    standing: Standing | None = None
    record: Record | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """The outcome of a leased key: SUCCEEDED with a result, FAILED with an error, or INFLIGHT (handed back).

    `next_attempt_at` is when another attempt follows by itself, in ms since the epoch; None: none, or nobody can tell.
    """

    lease: Lease
    status: Status
    result: str = ""
    error_type: str = ""
    error_message: str = ""
    final: bool = True  # whether no further attempt follows by itself
    next_attempt_at: int | None = None


def is_final(status: str, *, given_up: bool) -> bool:
    """Whether a record of this status stays as it is, unless somebody redrives its event or sends it again.

    `given_up` is the record's `final`, which the last attempt wrote that failed; it means nothing before and after.
    """
    return status == Status.SUCCEEDED or (status == Status.FAILED and given_up)


def judge(record: Record, request: KeyRequest, *, now_ms: int, lease_until: int) -> Standing:
    """How a record stands towards a request, as a function of data alone."""
    if record.expires_at * 1000 <= now_ms:  # TTL deletes up to days late; the record is forgotten all the same
        return Standing.FREE
    if record.checksum != request.checksum:
        return Standing.CONFLICT
    if record.status is Status.SUCCEEDED:
        return Standing.DONE
    if record.status is Status.FAILED and record.dead_letter_of and record.dead_letter_of == request.message_id:
        return Standing.BURIED
    if record.status is Status.INFLIGHT and record.lease_until > now_ms:
        ours = record.message_id == request.message_id and record.lease_until == lease_until
        return Standing.OURS if ours else Standing.LIVE
    return Standing.SUSPECT if record.is_suspect else Standing.FREE
