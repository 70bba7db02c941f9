"""From a notice to messages: an object is claimed, planned in one pass, sent as it is planned, and recorded."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from handlers import clock, jsontext
from handlers.aws.sqs import MAX_BATCH_ENTRIES, send_messages
from handlers.errors import DownstreamError, IngestionError, PermanentError, TransientError
from handlers.faults import FaultSwitch
from handlers.grouping import Grouping
from handlers.idempotency.claims import Claim, Completion, KeyRequest, Lease, Standing, Status
from handlers.idempotency.store import StateStore
from handlers.lake import chunks, store
from handlers.lake.errors import ForeignBucketError
from handlers.lake.message import Chunk, Source
from handlers.lake.notice import Notice, fact
from handlers.lake.store import Opened
from handlers.observability import count, logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient


class NotIngestedError(RuntimeError):
    """Objects of a notice are not ingested yet; `failures` says why, one for each."""

    def __init__(self, failures: Sequence[IngestionError]) -> None:
        super().__init__(f"{len(failures)} not ingested: {failures[0]}")
        self.failures = failures


class ObjectLeasedError(TransientError):
    """Another invocation ingests this object, or died doing so; at `lease_until` (ms since the epoch) it has ended."""

    def __init__(self, message: str, lease_until: int) -> None:
        super().__init__(message)
        self.lease_until = lease_until


class ObjectUnclaimedError(TransientError):
    """The state table did not take the claim or the outcome."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Env:
    """What the function's environment must say."""

    environment: str
    pipeline: str
    bronze_bucket: str
    queue_url: str
    table_name: str
    ttl_days: int
    chunk_bytes: int
    group_by: str = ""
    failure_mode_parameter: str = ""  # set only where the failure lab exists


@dataclass(frozen=True, kw_only=True, slots=True)
class Invocation:
    """What asks for an object to be ingested, until when (ms since the epoch), and whether it asks for the last time.

    `request_id` is the notice's message id; of an asynchronous invocation, its request id.
    """

    request_id: str
    lease_until: int
    trace_header: str = ""
    is_last: bool = False

    @classmethod
    def of(cls, request_id: str, remaining_ms: int, *, is_last: bool = False) -> "Invocation":
        """One whose invocation has so much time left."""
        return cls(
            request_id=request_id,
            lease_until=clock.now_ms() + remaining_ms,
            trace_header=os.environ.get("_X_AMZN_TRACE_ID", ""),
            is_last=is_last,
        )


class Intake:
    """Ingests the objects of one pipeline."""

    def __init__(
        self,
        config: Env,
        *,
        s3: "S3Client",
        sqs: "SQSClient",
        store: StateStore,
        faults: FaultSwitch | None = None,
    ) -> None:
        self._config = config
        self._grouping = Grouping(config.group_by)
        self._s3 = s3
        self._sqs = sqs
        self._store = store
        self._faults = faults

    def take_all(self, notices: Iterable[Notice], invocation: Invocation) -> dict[str, int]:
        """Ingests each object; returns how many `{objects, chunks}` were new.

        Raises:
            NotIngestedError: one at least failed; the others are done all the same.
        """
        sent: list[int] = []
        failures: list[IngestionError] = []
        for one in notices:
            try:
                sent += self._take(one, invocation)
            except IngestionError as exc:
                fields = {"errorType": exc.error_type, "bucket": one.bucket, "objectKey": one.key}
                logger.error("object not ingested", extra=fields)
                failures.append(exc)
        count(self._config.pipeline, {"Accepted": sum(sent)} if sent else {})
        if failures:
            raise NotIngestedError(failures) from failures[0]
        return {"objects": len(sent), "chunks": sum(sent)}

    def _take(self, notice: Notice, invocation: Invocation) -> list[int]:
        """Ingests one object; the number of its chunks, or nothing where it has been ingested before."""
        started = time.monotonic()
        if notice.bucket != self._config.bronze_bucket:
            raise ForeignBucketError(f"{notice.bucket} is not the lake's bucket")
        opened = store.open_object(self._s3, notice.bucket, notice.key, version_id=notice.version_id, etag=notice.etag)
        if notice.replay:
            opened = replace(opened, source=replace(opened.source, replay=notice.replay))
        with closing(opened):
            lease, chunk_bytes = self._claim(opened.source, invocation)
            fields = {"idempotencyKey": opened.source.identity, "correlationId": notice.correlation_id}
            if lease is None:
                logger.info("object already ingested", extra=fields | {"outcome": "duplicate", "processed": False})
                return []
            try:
                sent = self._send(opened, notice, chunk_bytes, invocation)
            except IngestionError as exc:
                final = invocation.is_last or isinstance(exc, PermanentError)
                self._complete(Completion(lease, Status.FAILED, "", exc.error_type, exc.short_message, final=final))
                raise
        result = jsontext.compact({"chunks": sent, "bytes": opened.source.size})
        if code := self._complete(Completion(lease, Status.SUCCEEDED, result)):
            raise ObjectUnclaimedError(f"the outcome of {opened.source.identity} was not written: {code}")
        numbers = {"chunks": sent, "bytes": opened.source.size, "latencyMs": round((time.monotonic() - started) * 1000)}
        logger.info("object ingested", extra=fields | numbers | {"outcome": "succeeded", "processed": True})
        return [sent]

    def _claim(self, source: Source, invocation: Invocation) -> tuple[Lease | None, int]:
        """The right to ingest and the chunk size, which is that of the first attempt; no lease where it is done."""
        request = self._request(source, invocation)
        claim = self._store.claim([request], lease_until=invocation.lease_until)[request.key]
        record = claim.record
        if claim.standing is Standing.LIVE and record and record.message_id == invocation.request_id:
            # It comes again under its id only after the attempt that took this lease has ended.
            claim = self._store.claim([request], lease_until=record.lease_until)[request.key]
        if claim.lease is None:
            _require_done(source, claim)
            return None, 0
        if claim.lease.attempts == 1 and claim.standing is None:
            return claim.lease, self._config.chunk_bytes
        item: dict[str, Any] = self._store.get(request.key) or {}
        recorded = jsontext.load(item["payload"]["S"]) if "payload" in item else None
        # Chunks of another size would overlap with those that an earlier attempt has sent.
        chunk_bytes = recorded.get("chunkBytes") if isinstance(recorded, dict) else None
        return claim.lease, chunk_bytes if isinstance(chunk_bytes, int) else self._config.chunk_bytes

    def _request(self, source: Source, invocation: Invocation) -> KeyRequest:
        same = fact(source.bucket, source.key, source.content_id)
        payload = same | {
            "etag": source.etag,
            "versionId": source.version_id,
            "chunkBytes": self._config.chunk_bytes,
        }
        return KeyRequest(source.identity, jsontext.checksum(same), invocation.request_id, jsontext.compact(payload))

    def _send(self, opened: Opened, notice: Notice, chunk_bytes: int, invocation: Invocation) -> int:
        """Sends the chunks, ten a call, while the object is read."""
        planned = chunks.plan(opened.source, notice.kind, opened.blocks(), chunk_bytes)
        sent = 0
        for batch in _batches(planned):
            messages = [
                chunk.message(
                    str(i),
                    submitted_at=clock.iso(clock.now_ms()),
                    correlation_id=notice.correlation_id or invocation.request_id,
                    trace_header=invocation.trace_header,
                    grouping=self._grouping,
                )
                for i, chunk in enumerate(batch)
            ]
            copies = [replace(messages[i], id=f"{i}-copy") for i, chunk in enumerate(batch) if self._doubles(chunk)]
            report = send_messages(self._sqs, self._config.queue_url, [*messages, *copies])
            if report.failed:
                raise DownstreamError(f"SQS did not take {len(report.failed)} chunks: {min(report.failed.values())}")
            sent += len(batch)
        return sent

    def _doubles(self, chunk: Chunk) -> bool:
        return self._faults is not None and self._faults.duplicates(chunk.payload())

    def _complete(self, completion: Completion) -> str:
        code = self._store.complete([completion]).get(completion.lease.key, "")
        if code:
            logger.error("outcome not written", extra={"errorType": code, "idempotencyKey": completion.lease.key})
        return code


def _require_done(source: Source, claim: Claim) -> None:
    if claim.standing is Standing.LIVE and claim.record:
        raise ObjectLeasedError(f"{source.identity} is being ingested by another invocation", claim.record.lease_until)
    if claim.standing is not Standing.DONE:
        raise ObjectUnclaimedError(f"{source.identity} was not claimed: {claim.error or claim.standing}")


def _batches(planned: Iterator[Chunk]) -> Iterator[list[Chunk]]:
    while batch := list(islice(planned, MAX_BATCH_ENTRIES)):
        yield batch
