"""The state table: claims, leases and fenced completions, a whole batch in one DynamoDB call each.

A claim is a conditional INSERT. Where the key is likely to be reserved it is an UPDATE of a reservation that nobody has
touched, and an INSERT only if that fails. Where the key exists already, one consistent BatchGetItem reads the record
and `judge` decides; taking over a lapsed or failed claim is an UPDATE fenced by what was read. A completion is an
UPDATE fenced by the claim's attempt and lease, so only the owner of the lease writes the outcome.

`payload` and `result` are kept as JSON text: DynamoDB's numbers cannot hold every JSON number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from handlers import clock
from handlers.aws import partiql
from handlers.errors import WorkerDiedError
from handlers.idempotency.claims import Claim, Completion, KeyRequest, Lease, Record, Standing, Status, judge
from handlers.idempotency.keys import partition_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_DAY_SECONDS = 24 * 3600
# An item holds at most 400 KB and each write costs by the KB; a larger payload stays on its message only.
MAX_STORED_BYTES = 128 * 1024
_OF_A_FAILURE = ("errorType", "errorMessage", "final", "nextAttemptAt", "deaths", "deadLetterOf")
_OF_AN_OUTCOME = ("processedAt", "result", *_OF_A_FAILURE)
_PROJECTION = (
    "idempotencyKey",
    "status",
    "checksum",
    "attempts",
    "leaseUntil",
    "expiresAt",
    "messageId",
    "processedAt",
    "errorType",
    "deaths",
    "errorMessage",
    "deadLetterOf",
)


class StateStore:
    """The state table, as one pipeline sees it: keys are its own, whatever others have."""

    def __init__(self, client: "DynamoDBClient", table: str, *, pipeline: str, ttl_days: int) -> None:
        self._table = partiql.Table(client, table, key="idempotencyKey")
        self._pipeline = pipeline
        self._ttl_seconds = ttl_days * _DAY_SECONDS

    def claim(
        self, requests: Sequence[KeyRequest], *, lease_until: int, spare_suspects: bool = False
    ) -> dict[str, Claim]:
        """Claims keys, each at most once, until `lease_until` (ms); the answer is by key.

        A batch of new keys is one call, reserved or not. Suspects are taken over with the rest, or left for
        `take_over`. Raises nothing of AWS's: a key that AWS failed has the code in `error`.
        """
        codes = self._table.write(
            [
                self._redeem(request, lease_until) if request.bound else self._insert(request, 1, lease_until)
                for request in requests
            ]
        )
        claims: dict[str, Claim] = {}
        taken: list[KeyRequest] = []
        unbound: list[KeyRequest] = []
        for request, code in zip(requests, codes, strict=True):
            if code == partiql.DUPLICATE:
                taken.append(request)
            elif request.bound and code == partiql.CONDITION_FAILED:
                unbound.append(replace(request, bound=False))
            else:
                claims[request.key] = _claim(Lease(request.key, 1, lease_until), code)
        if unbound:
            claims |= self.claim(unbound, lease_until=lease_until, spare_suspects=spare_suspects)
        if not taken:
            return claims
        wanted = {Standing.FREE} if spare_suspects else {Standing.FREE, Standing.SUSPECT}
        return claims | self._take_over(taken, lease_until, wanted)

    def take_over(self, request: KeyRequest, old: Record, *, lease_until: int, deaths: int) -> Claim:
        """Claims one suspect, exactly as it was read, and writes down how many workers have died with it by now.

        It is to be worked by itself: where this worker dies, too, the record says whose death it was.
        """
        evidence: dict[str, str | int] = {"deaths": deaths}
        if deaths:
            cause = WorkerDiedError(deaths)
            evidence |= {"errorType": cause.error_type, "errorMessage": cause.short_message}
        (code,) = self._table.write([self._reclaim(request, old, lease_until, evidence)])
        if code == partiql.CONDITION_FAILED:  # another delivery was quicker
            return self._standings([request], lease_until=lease_until)[request.key]
        return _claim(Lease(request.key, old.attempts + 1, lease_until), code)

    def reserve(self, requests: Sequence[KeyRequest]) -> dict[str, Claim]:
        """Binds keys to their payloads before anything is queued: INFLIGHT, attempt 0, under a lease that has lapsed.

        The answer is by key: a lease where the key was new or its record had expired; else where it stands (CONFLICT:
        another payload).
        """
        codes = self._table.write([self._insert(request, 0, 0) for request in requests])
        taken = [r for r, code in zip(requests, codes, strict=True) if code == partiql.DUPLICATE]
        claims = {
            request.key: _claim(Lease(request.key, 0, 0), code)
            for request, code in zip(requests, codes, strict=True)
            if code != partiql.DUPLICATE
        }
        return claims | self._standings_anew(taken) if taken else claims

    def complete(self, completions: Sequence[Completion]) -> dict[str, str]:
        """Writes outcomes in one call; returns, by key, the code of each that was not written.

        `ConditionalCheckFailed` means that the lease was lost: another invocation has taken the key over.
        """
        codes = self._table.write([self._outcome(completion) for completion in completions])
        return {c.lease.key: code for c, code in zip(completions, codes, strict=True) if code}

    def bury(self, leases: Mapping[str, Lease]) -> dict[str, str]:
        """Notes that the dead letters of messages have been sent, for who has to publish it; leases are by message id.

        Returns, by message id, the code of each that was not noted.
        """
        statements = [
            self._table.update(
                self._partition(lease.key),
                {"deadLetterOf": message_id},
                where={"status": Status.FAILED, "attempts": lease.attempts, "leaseUntil": lease.until},
            )
            for message_id, lease in leases.items()
        ]
        codes = self._table.write(statements)
        return {message_id: code for message_id, code in zip(leases, codes, strict=True) if code}

    def get(self, key: str) -> dict[str, Any] | None:
        """The whole item of a key (attribute-value form), or None where there is none or it has expired."""
        item = self._table.get(self._partition(key))
        if item is None or int(item["expiresAt"]["N"]) * 1000 <= clock.now_ms():
            return None
        return item | {"idempotencyKey": {"S": key}}

    def result(self, key: str) -> str:
        """The stored result of a key as JSON text, "" where there is none."""
        text: str = (self.get(key) or {}).get("result", {}).get("S", "")
        return text

    def _standings_anew(self, requests: list[KeyRequest]) -> dict[str, Claim]:
        """Where keys stand, once those whose records have expired are bound anew: of several requests, one does it."""
        claims = self._standings(requests, lease_until=0)
        by_key = {request.key: request for request in requests}
        expired = [c.record for c in claims.values() if c.record and c.record.expires_at * 1000 <= clock.now_ms()]
        codes = self._table.write([self._rebind(by_key[old.key], old) for old in expired])
        overtaken = []
        for old, code in zip(expired, codes, strict=True):
            if code == partiql.CONDITION_FAILED:
                overtaken.append(by_key[old.key])
            else:
                claims[old.key] = _claim(Lease(old.key, 0, 0), code)
        return claims | self._standings(overtaken, lease_until=0) if overtaken else claims

    def _take_over(self, requests: list[KeyRequest], lease_until: int, wanted: set[Standing]) -> dict[str, Claim]:
        claims = self._standings(requests, lease_until=lease_until)
        by_key = {request.key: request for request in requests}
        free = [claim.record for claim in claims.values() if claim.standing in wanted and claim.record]
        codes = self._table.write([self._reclaim(by_key[old.key], old, lease_until) for old in free])
        for old, code in zip(free, codes, strict=True):
            claims[old.key] = replace(_claim(Lease(old.key, old.attempts + 1, lease_until), code), record=old)
        # Another delivery was quicker: where the key stands now says how long to wait, or that there is nothing to do.
        overtaken = [by_key[old.key] for old, code in zip(free, codes, strict=True) if code == partiql.CONDITION_FAILED]
        return claims | self._standings(overtaken, lease_until=lease_until) if overtaken else claims

    def _standings(self, requests: list[KeyRequest], *, lease_until: int) -> dict[str, Claim]:
        items, error = self._table.get_many([self._partition(request.key) for request in requests], _PROJECTION)
        now = clock.now_ms()
        claims = {}
        for request in requests:
            if (item := items.get(self._partition(request.key))) is None:
                # Deleted between the two calls (TTL), or not read: either way the next delivery will know.
                claims[request.key] = Claim(error=error or "RecordVanished")
                continue
            record = replace(Record.from_item(item), key=request.key)
            standing = judge(record, request, now_ms=now, lease_until=lease_until)
            lease = Lease(record.key, record.attempts, lease_until) if standing is Standing.OURS else None
            claims[request.key] = Claim(lease, standing, record)
        return claims

    def _partition(self, key: str) -> str:
        return partition_key(self._pipeline, key)

    def _expiry(self) -> int:
        return clock.now_ms() // 1000 + self._ttl_seconds

    def _insert(self, request: KeyRequest, attempts: int, lease_until: int) -> partiql.Statement:
        values: dict[str, str | int] = {
            "status": Status.INFLIGHT,
            "checksum": request.checksum,
            "firstSeenAt": clock.iso(clock.now_ms()),
            "attempts": attempts,
            "expiresAt": self._expiry(),
            "leaseUntil": lease_until,
            "messageId": request.message_id,
            "pipeline": self._pipeline,
        }
        return self._table.insert(self._partition(request.key), values | _stored(request))

    def _redeem(self, request: KeyRequest, lease_until: int) -> partiql.Statement:
        """Takes a reservation over as `reserve` has left it, for the same payload; it need not be read before.

        One that has expired meanwhile and is still there says the same of the key as a new one would.
        """
        values: dict[str, str | int] = {
            "attempts": 1,
            "expiresAt": self._expiry(),
            "leaseUntil": lease_until,
            "messageId": request.message_id,
        }
        untouched: dict[str, str | int] = {
            "status": Status.INFLIGHT,
            "attempts": 0,
            "leaseUntil": 0,
            "checksum": request.checksum,
        }
        return self._table.update(self._partition(request.key), values, where=untouched)

    def _reclaim(
        self,
        request: KeyRequest,
        old: Record,
        lease_until: int,
        evidence: Mapping[str, str | int] = MappingProxyType({}),
    ) -> partiql.Statement:
        """Takes a key over exactly as it was read; an expired record starts afresh."""
        values: dict[str, str | int] = {
            "status": Status.INFLIGHT,
            "attempts": old.attempts + 1,
            "expiresAt": self._expiry(),
            "leaseUntil": lease_until,
            "messageId": request.message_id,
            **evidence,
        }
        if old.expires_at * 1000 <= clock.now_ms():
            return self._afresh(request, old, values)
        return self._table.update(self._partition(request.key), values, where=_as_read(old))

    def _rebind(self, request: KeyRequest, old: Record) -> partiql.Statement:
        """Makes of an expired record what `reserve` makes of none."""
        values: dict[str, str | int] = {
            "status": Status.INFLIGHT,
            "attempts": 0,
            "expiresAt": self._expiry(),
            "leaseUntil": 0,
            "messageId": request.message_id,
        }
        return self._afresh(request, old, values)

    def _afresh(self, request: KeyRequest, old: Record, values: dict[str, str | int]) -> partiql.Statement:
        values |= {"firstSeenAt": clock.iso(clock.now_ms()), "checksum": request.checksum} | _stored(request)
        remove = tuple({"payload", *_OF_AN_OUTCOME} - values.keys())
        return self._table.update(self._partition(request.key), values, remove=remove, where=_as_read(old))

    def _outcome(self, completion: Completion) -> partiql.Statement:
        lease, status = completion.lease, completion.status
        values: dict[str, str | int] = {"status": status}
        remove: tuple[str, ...] = ()
        if status is Status.INFLIGHT:
            values["leaseUntil"] = 0
        else:
            values["processedAt"] = clock.iso(clock.now_ms())
        if status is Status.SUCCEEDED:
            remove = _OF_A_FAILURE
            if len(completion.result) <= MAX_STORED_BYTES:  # it is ASCII
                values["result"] = completion.result
        if status is Status.FAILED:
            values |= {"errorType": completion.error_type, "errorMessage": completion.error_message}
            values["final"] = completion.final
            remove = ("deaths",)  # it has come to an end: whoever takes it over counts afresh
            if completion.next_attempt_at is None:
                remove += ("nextAttemptAt",)
            else:
                values["nextAttemptAt"] = clock.iso(completion.next_attempt_at)
        return self._table.update(
            self._partition(lease.key),
            values,
            remove=remove,
            where={"status": Status.INFLIGHT, "attempts": lease.attempts, "leaseUntil": lease.until},
        )


def _as_read(old: Record) -> dict[str, str | int]:
    """The condition that a record is still what was read; `expiresAt` tells one reservation from the next."""
    return {
        "status": old.status,
        "attempts": old.attempts,
        "leaseUntil": old.lease_until,
        "expiresAt": old.expires_at,
    }


def _stored(request: KeyRequest) -> dict[str, str | int]:
    return {"payload": request.payload} if len(request.payload.encode()) <= MAX_STORED_BYTES else {}


def _claim(lease: Lease, code: str) -> Claim:
    return Claim(error=code) if code else Claim(lease=lease)
