"""S3 as the lake uses it: objects read as streams that outlive a broken connection, files put whole."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import FlexibleChecksumError

from handlers.aws import retry
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.errors import DownstreamError, IngestionError
from handlers.lake import content
from handlers.lake.errors import ObjectChangedError, ObjectGoneError
from handlers.lake.message import Source

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

READ_BYTES = 1024 * 1024
# A version that is a delete marker answers 405.
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed", "405"})
_CHANGED = frozenset({"PreconditionFailed", "412", "InvalidRange", "416"})
_REPLAY_METADATA = "replay"  # x-amz-meta-replay


@dataclass(frozen=True, slots=True)
class Opened:
    """An object whose `blocks` can be read, once; `close` has to follow. `body` is None where it was read before."""

    s3: "S3Client"
    source: Source
    body: Any = None

    def blocks(self) -> Iterator[bytes]:
        """Its bytes, at most 1 MiB at a time.

        Raises:
            IngestionError: see `read`.
        """
        return _stream(self.s3, self.source, 0, self.source.size, self.body)

    def close(self) -> None:
        """Leaves it unread, or unread what is left of it."""
        if self.body is not None:
            self.body.close()


def open_object(s3: "S3Client", bucket: str, key: str, *, version_id: str = "", etag: str = "") -> Opened:
    """Finds an object out and opens it, in one call; one whose content S3 does not identify is read for that.

    Raises:
        ObjectGoneError: there is no such object or version.
        ObjectChangedError: it no longer has this `etag`.
        DownstreamError: S3 did not answer, or refused.
    """
    answer = _get(s3, bucket, key, version_id, etag, ChecksumMode="ENABLED")
    source = Source(
        bucket=bucket,
        key=key,
        version_id=version_id or answer.get("VersionId", ""),
        etag=answer["ETag"].strip('"'),
        size=answer["ContentLength"],
        replay=answer["Metadata"].get(_REPLAY_METADATA, ""),
    )
    content_id = content.declared(answer)
    if content_id == source.etag:
        return Opened(s3, source, answer["Body"])
    if content_id is not None:
        return Opened(s3, replace(source, content=content_id), answer["Body"])
    blocks = _stream(s3, source, 0, source.size, answer["Body"])
    return Opened(s3, replace(source, content=content.computed(blocks)))


def read(s3: "S3Client", source: Source, start: int, end: int) -> Iterator[bytes]:
    """The bytes `start` to `end` (exclusive) of exactly this object, at most 1 MiB at a time.

    A connection that breaks is taken up where it broke, up to 3 times.

    Raises:
        ObjectGoneError, ObjectChangedError, DownstreamError: as `open_object` does, at any block.
    """
    return _stream(s3, source, start, end, None)


def put(s3: "S3Client", bucket: str, key: str, content: bytes, content_type: str) -> None:
    """Puts a file, over the one that an earlier delivery may have put there.

    Raises:
        DownstreamError: S3 did not take it.
    """
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=content_type)
    except AWS_ERRORS as exc:
        raise DownstreamError(f"S3 did not take {key}: {error_code(exc)}") from exc


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that S3 has and shows to nobody until it is told to; it forgets it after the bucket's days for that."""

    key: str
    upload_id: str
    etag: str


def stage(s3: "S3Client", bucket: str, key: str, content: bytes, content_type: str) -> Staged:
    """Gives S3 a file as an upload in one part, not yet completed.

    Raises:
        DownstreamError: S3 did not take it.
    """
    try:
        upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key, ContentType=content_type)["UploadId"]
        part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=1, Body=content)
    except AWS_ERRORS as exc:
        raise DownstreamError(f"S3 did not take {key}: {error_code(exc)}") from exc
    return Staged(key, upload_id, part["ETag"])


def show(s3: "S3Client", bucket: str, staged: Staged) -> None:
    """Completes the upload, over the file that an earlier delivery may have put there.

    Raises:
        DownstreamError: S3 refused.
    """
    parts = {"Parts": [{"ETag": staged.etag, "PartNumber": 1}]}
    try:
        s3.complete_multipart_upload(Bucket=bucket, Key=staged.key, UploadId=staged.upload_id, MultipartUpload=parts)  # type: ignore[arg-type]
    except AWS_ERRORS as exc:
        raise DownstreamError(f"S3 did not complete {staged.key}: {error_code(exc)}") from exc


def delete(s3: "S3Client", bucket: str, key: str) -> None:
    """Deletes a file, if it is there.

    Raises:
        DownstreamError: S3 refused.
    """
    try:
        s3.delete_object(Bucket=bucket, Key=key)
    except AWS_ERRORS as exc:
        raise DownstreamError(f"S3 did not delete {key}: {error_code(exc)}") from exc


def _stream(s3: "S3Client", source: Source, start: int, end: int, body: Any) -> Iterator[bytes]:  # noqa: ANN401 - botocore's body has no class in its stubs that fakes could share
    if start == end:  # which is no range to S3
        return
    position = start
    broken: Exception | None = None
    for _ in retry.attempts():
        try:
            with closing(body or _get_range(s3, source, position, end)) as stream:
                while data := stream.read(READ_BYTES):
                    position += len(data)
                    yield data
                return
        except FlexibleChecksumError as exc:  # the bytes have been given by now
            raise DownstreamError(f"the bytes of {source.key} came damaged: {exc}") from exc
        except AWS_ERRORS as exc:
            broken, body = exc, None
        if position >= end:
            return
    raise DownstreamError(f"reading {source.key} broke at byte {position}: {broken}") from broken


def _get_range(s3: "S3Client", source: Source, start: int, end: int) -> Any:  # noqa: ANN401 - see _stream
    return _get(s3, source.bucket, source.key, source.version_id, source.etag, Range=f"bytes={start}-{end - 1}")["Body"]


def _get(s3: "S3Client", bucket: str, key: str, version_id: str, etag: str, **options: str) -> Any:  # noqa: ANN401 - see _stream
    if version_id:
        options["VersionId"] = version_id
    if etag:
        options["IfMatch"] = f'"{etag}"'
    try:
        return s3.get_object(Bucket=bucket, Key=key, **options)  # type: ignore[arg-type]
    except AWS_ERRORS as exc:
        raise _unreadable(key, error_code(exc)) from exc


def _unreadable(key: str, code: str) -> IngestionError:
    if code in _GONE:
        return ObjectGoneError(f"{key} is no longer there: {code}")
    if code in _CHANGED:
        return ObjectChangedError(f"{key} has been overwritten: {code}")
    return DownstreamError(f"S3 did not give {key}: {code}")
