"""How one object of bronze is replayed: copied onto itself, so that S3 announces it, or cut and sent by ourselves."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from botocore.exceptions import ClientError

from handlers import clock
from handlers.aws.clients import AWS_ERRORS
from handlers.aws.sqs import MAX_BATCH_ENTRIES, SendReport, send_messages
from handlers.errors import IngestionError, PermanentError
from handlers.grouping import UNGROUPED
from handlers.lake import chunks, content
from ops.cli.lake.runs import Outcome
from ops.local.errors import LabError

if TYPE_CHECKING:
    from handlers.grouping import Grouping
    from handlers.lake.message import Chunk
    from ops.cli.lake.bronze import Item
    from ops.cli.timing import Pace

_KEPT = (  # what a copy with metadata of its own does not take over by itself
    *("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires"),
    *("StorageClass", "WebsiteRedirectLocation", "ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled"),
)
_SKIPPED = {
    "404": "is gone",
    "NoSuchKey": "is gone",
    "412": "was overwritten meanwhile, which S3 has announced",
    "PreconditionFailed": "was overwritten meanwhile, which S3 has announced",
    "ConditionalRequestConflict": "was overwritten meanwhile, which S3 has announced",
    "InvalidObjectState": "is archived; restore it first",
    "InvalidPartNumber": "came in parts that are not numbered from 1 on; use lab lake replay-queue",
}


class Replay(Protocol):
    """A way to replay an object."""

    def __call__(self, item: Item) -> Outcome:
        """Replay it.

        Raises:
            LabError: nothing can be done for this object or the next ones.
        """


@dataclass(frozen=True, slots=True)
class Copier:
    """Copies objects onto themselves. With a `replay` id the lake works them again, else it knows them."""

    s3: Any
    bucket: str
    replay: str
    pace: Pace

    def __call__(self, item: Item) -> Outcome:
        """Copy one, if it is still what was listed."""
        self.pace.turn()
        try:
            return self._copy(item)
        except ClientError as error:
            reason = _SKIPPED.get(error.response["Error"]["Code"])
            if reason is None:
                raise
            return Outcome(skipped=reason)

    def _copy(self, item: Item) -> Outcome:
        head = self.s3.head_object(Bucket=self.bucket, Key=item.key, IfMatch=item.match, ChecksumMode="ENABLED")
        known = content.declared(head)
        changes = {
            "Metadata": head["Metadata"] | ({"replay": self.replay} if self.replay else {}),
            # Said, because the bucket's default may have changed since: what identifies the bytes depends on it.
            "ServerSideEncryption": "AES256",
            **{name: head[name] for name in _KEPT if name in head},
        }
        if algorithm := content.algorithm(known):
            changes["ChecksumAlgorithm"] = algorithm
        # An object that came in parts has no MD5; in one piece it would get one, and be another object for the lake.
        _, _, parts = item.etag.partition("-")
        made = self._in_parts(item, int(parts), changes) if parts else self._in_one(item, changes)
        copied = content.declared(made)
        if copied != known and not (known is None and copied and copied.startswith("sha256:")):
            raise LabError(
                f"the copy of {item.key} is known by {copied}, not by {known}: the lake takes it for another object and"
                " writes its rows once more; stopped here, nothing else was copied"
            )
        return Outcome()

    def _in_one(self, item: Item, changes: dict[str, Any]) -> dict[str, Any]:
        answer = self.s3.copy_object(
            **self._onto_itself(item), **changes, MetadataDirective="REPLACE", IfMatch=item.match
        )
        return {**answer, **answer["CopyObjectResult"]}

    def _in_parts(self, item: Item, count: int, changes: dict[str, Any]) -> dict[str, Any]:
        place = {"Bucket": self.bucket, "Key": item.key}
        tags = {tag["Key"]: tag["Value"] for tag in self.s3.get_object_tagging(**place)["TagSet"]}
        changes |= {"Tagging": urlencode(tags)} if tags else {}
        if changes.get("ChecksumAlgorithm") == "CRC64NVME":  # the only one here that parts can have as a whole
            changes |= {"ChecksumType": "FULL_OBJECT"}
        upload = {"UploadId": self.s3.create_multipart_upload(**place, **changes)["UploadId"]}
        try:
            parts = self._parts(item, count, upload)
            done = self.s3.complete_multipart_upload(**place, **upload, MultipartUpload=parts, IfMatch=item.match)
        except BaseException:
            with suppress(*AWS_ERRORS):  # the bucket's lifecycle removes what is left
                self.s3.abort_multipart_upload(**place, **upload)
            raise
        return dict(done)

    def _parts(self, item: Item, count: int, upload: dict[str, str]) -> dict[str, Any]:
        """Copy part by part, cut as they came."""
        parts = []
        start = 0
        for number in range(1, count + 1):
            end = start + self._part_size(item, number)
            span = {"PartNumber": number, "CopySourceRange": f"bytes={start}-{end - 1}"}
            result = self.s3.upload_part_copy(**self._onto_itself(item), **upload, **span)["CopyPartResult"]
            told = {name: text for name, text in result.items() if name == "ETag" or name.startswith("Checksum")}
            parts.append({"PartNumber": number, **told})
            start = end
        return {"Parts": parts}

    def _part_size(self, item: Item, number: int) -> int:
        """Asked by GET and left unread, which costs the same as HEAD: the laptop's HEAD knows no parts."""
        part = self.s3.get_object(Bucket=self.bucket, Key=item.key, PartNumber=number, IfMatch=item.match)
        part["Body"].close()
        return int(part["ContentLength"])

    def _onto_itself(self, item: Item) -> dict[str, Any]:
        place = {"Bucket": self.bucket, "Key": item.key}
        return {**place, "CopySource": place, "CopySourceIfMatch": item.match}


@dataclass(frozen=True, slots=True)
class Sender:
    """Cuts objects as ingest does and sends the same messages to the lake's queue."""

    s3: Any
    sqs: Any
    bucket: str
    queue_url: str
    chunk_bytes: int
    replay: str
    run_id: str
    pace: Pace
    grouping: Grouping = UNGROUPED

    def __call__(self, item: Item) -> Outcome:
        """Send the messages of one object. When it is raised, some may have been sent, which does no harm."""
        sent = 0
        batch: list[Chunk] = []
        try:
            for chunk in chunks.of_object(
                self.s3, self.bucket, item.key, chunk_bytes=self.chunk_bytes, replay=self.replay
            ):
                batch.append(chunk)
                if len(batch) == MAX_BATCH_ENTRIES:
                    sent += self._send(batch)
                    batch = []
        except PermanentError as error:
            return Outcome(sent, skipped=_reason(error))
        except IngestionError as error:
            raise LabError(f"{error}; stopped here") from error
        return Outcome(sent + self._send(batch))

    def _send(self, batch: list[Chunk]) -> int:
        self.pace.turn(len(batch))
        moment = clock.iso(clock.now_ms())
        report = send_messages(
            self.sqs,
            self.queue_url,
            [
                chunk.message(str(number), submitted_at=moment, correlation_id=self.run_id, grouping=self.grouping)
                for number, chunk in enumerate(batch)
            ],
        )
        if report.failed:
            raise LabError(_refusal(report, batch))
        return len(batch)


def _reason(error: PermanentError) -> str:
    return {"ObjectGoneError": _SKIPPED["404"], "ObjectChangedError": _SKIPPED["412"]}.get(error.error_type, str(error))


def _refusal(report: SendReport, batch: list[Chunk]) -> str:
    codes = sorted(set(report.failed.values()))
    hint = " (the queue takes messages from named producers only: operatorRoleArns)" if "AccessDenied" in codes else ""
    place = batch[0].source.key
    return f"SQS did not take {len(report.failed)} of {len(batch)} messages of {place}: {', '.join(codes)}{hint}"
