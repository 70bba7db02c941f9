"""S3 beside the AWS in memory: versions, conditions, ranges and metadata as the lake uses them."""

import hashlib
import io
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ResponseStreamingError

from tests.handlers.fakes import FakeAws, client_error, modelled

BRONZE = "my-bronze"
SILVER = "my-silver"


@dataclass
class Version:
    """One version of an object."""

    version_id: str
    content: bytes
    metadata: dict[str, str]
    kms: bool = False
    parts: int = 0
    checksum: dict[str, str] = field(default_factory=dict)  # as S3 tells it who asks: its value and its type

    @property
    def etag(self) -> str:
        """As S3 gives it: an MD5 of what was put in one piece without a KMS key, else another one each time."""
        salt = f"{self.version_id}{self.kms}".encode() if self.kms or self.parts else b""
        digest = hashlib.md5(self.content + salt, usedforsecurity=False).hexdigest()
        return digest + (f"-{self.parts}" if self.parts else "")


class BreakingBody(io.BytesIO):
    """A body whose connection breaks after so many bytes."""

    def __init__(self, content: bytes, breaks_at: int) -> None:
        super().__init__(content)
        self._breaks_at = breaks_at

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= self._breaks_at:
            raise ResponseStreamingError(error="made by a test")
        return super().read(size)


@dataclass
class FakeLake(FakeAws):
    """All clients of the lake's functions in one.

    ``largest_read`` is how much was asked of a body at once, ``breaks`` after how many bytes the next bodies break.
    """

    versions: dict[tuple[str, str], list[Version]] = field(default_factory=dict)
    reads: list[dict[str, Any]] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    uploads: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)  # not yet completed
    _one_at_a_time: Any = field(default_factory=threading.Lock)

    def _call(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        with self._one_at_a_time:  # files are put by several threads
            return super()._call(name, work)

    def upload(
        self, key: str, content: bytes, *, bucket: str = BRONZE, stored: dict[str, Any] | None = None, **metadata: str
    ) -> Version:
        """Puts a new version from outside, without a call of the functions; `stored` are fields of the version."""
        kept = self.versions.setdefault((bucket, key), [])
        kept.append(Version(f"v{len(kept) + 1}", content, metadata, **(stored or {})))
        return kept[-1]

    def silver(self) -> dict[str, bytes]:
        """The silver bucket's objects by key."""
        return {key: kept[-1].content for (bucket, key), kept in self.versions.items() if bucket == SILVER and kept}

    @modelled("s3")
    def get_object(self, *, Bucket: str, Key: str, **options: Any) -> dict[str, Any]:
        self.reads.append({"Bucket": Bucket, "Key": Key, **options})
        return self._call("GetObject", lambda: self._get(Bucket, Key, options))

    def _get(self, bucket: str, key: str, options: dict[str, Any]) -> dict[str, Any]:
        kept = self.versions.get((bucket, key), [])
        wanted = options.get("VersionId")
        found = [version for version in kept if version.version_id == wanted] if wanted else kept[-1:]
        if not found:
            raise client_error("NoSuchVersion" if wanted else "NoSuchKey", "GetObject")
        (version,) = found
        if options.get("IfMatch", f'"{version.etag}"') != f'"{version.etag}"':
            raise client_error("PreconditionFailed", "GetObject")
        content = version.content
        if given := options.get("Range"):
            start, end = map(int, given.removeprefix("bytes=").split("-"))
            assert start <= end < len(content)
            content = content[start : end + 1]
        return {
            "Body": BreakingBody(content, self.breaks.pop(0)) if self.breaks else io.BytesIO(content),
            "ContentLength": len(content),
            "ETag": f'"{version.etag}"',
            "Metadata": version.metadata,
            "VersionId": version.version_id,
            "ServerSideEncryption": "aws:kms" if version.kms else "AES256",
            **(version.checksum if options.get("ChecksumMode") == "ENABLED" and "Range" not in options else {}),
        }

    @modelled("s3")
    def create_multipart_upload(self, *, Bucket: str, Key: str, ContentType: str) -> dict[str, Any]:
        assert ContentType

        def create() -> dict[str, Any]:
            upload_id = f"u{len(self.uploads) + 1}"
            self.uploads[upload_id] = (Bucket, Key, b"")
            return {"UploadId": upload_id}

        return self._call("CreateMultipartUpload", create)

    @modelled("s3")
    def upload_part(self, *, Bucket: str, Key: str, UploadId: str, PartNumber: int, Body: bytes) -> dict[str, Any]:
        assert PartNumber == 1
        assert self.uploads[UploadId][:2] == (Bucket, Key)

        def take() -> dict[str, Any]:
            self.uploads[UploadId] = (Bucket, Key, Body)
            return {"ETag": f'"part of {UploadId}"'}

        return self._call("UploadPart", take)

    @modelled("s3")
    def complete_multipart_upload(
        self, *, Bucket: str, Key: str, UploadId: str, MultipartUpload: dict[str, Any]
    ) -> dict[str, Any]:
        assert MultipartUpload == {"Parts": [{"ETag": f'"part of {UploadId}"', "PartNumber": 1}]}

        def complete() -> dict[str, Any]:
            bucket, key, content = self.uploads.pop(UploadId)
            assert (bucket, key) == (Bucket, Key)
            self.versions[Bucket, Key] = [Version("null", content, {}, parts=1)]
            return {}

        return self._call("CompleteMultipartUpload", complete)

    @modelled("s3")
    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> dict[str, Any]:
        assert ContentType

        def put() -> dict[str, Any]:
            self.versions[Bucket, Key] = [Version("null", Body, {})]
            return {}

        return self._call("PutObject", put)

    @modelled("s3")
    def delete_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        def forget() -> dict[str, Any]:
            self.versions.pop((Bucket, Key), None)
            return {}

        return self._call("DeleteObject", forget)
