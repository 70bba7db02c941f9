"""The calls of S3 as a second implementation of it answers them: versions, conditions, ranges, delete markers."""

import io
from collections.abc import Iterator
from typing import Any, cast

import pytest
from botocore.exceptions import FlexibleChecksumError
from moto import mock_aws

from handlers.aws import clients
from handlers.errors import DownstreamError
from handlers.lake import chunks, store
from handlers.lake.errors import ObjectChangedError, ObjectGoneError
from handlers.lake.message import Source
from tests.handlers.fakes import client_error

_KEY = "bronze/shipments/ä b.jsonl"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client as the functions make it, and a bucket with versions."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    clients._session.cache_clear()
    with mock_aws():
        client = clients.client("s3", read_timeout=20)
        client.create_bucket(Bucket="bronze")
        client.put_bucket_versioning(Bucket="bronze", VersioningConfiguration={"Status": "Enabled"})
        yield client
    clients._session.cache_clear()


def put(s3: Any, content: bytes, **metadata: str) -> Source:
    """Puts a version and says what it is."""
    answer = s3.put_object(Bucket="bronze", Key=_KEY, Body=content, Metadata=metadata)
    return Source(
        "bronze", _KEY, answer["VersionId"], answer["ETag"].strip('"'), len(content), metadata.get("replay", "")
    )


def test_an_object_says_what_it_is_before_it_is_read(s3: Any) -> None:
    """Version, etag, size and replay of the newest version, or of the one that is asked for."""
    first, second = put(s3, b"1" * 3_000_000), put(s3, b"22", replay="again")

    assert store.open_object(s3, "bronze", _KEY).source == second
    opened = store.open_object(s3, "bronze", _KEY, version_id=first.version_id, etag=first.etag)
    assert opened.source == first
    assert [len(piece) for piece in opened.blocks()] == [1048576, 1048576, 902848]


def test_a_range_is_of_exactly_that_version(s3: Any) -> None:
    """Whatever came after it."""
    first = put(s3, b"0123456789")
    put(s3, b"other")

    assert b"".join(store.read(s3, first, 3, 7)) == b"3456"


def test_other_bytes_are_not_read(s3: Any) -> None:
    """Where the version is not known, the etag decides."""
    first = put(s3, b"0123456789")
    put(s3, b"other")
    unknown = Source("bronze", _KEY, "", first.etag, 10)

    with pytest.raises(ObjectChangedError, match="has been overwritten: PreconditionFailed"):
        list(store.read(s3, unknown, 0, 10))


def test_what_is_gone_is_gone(s3: Any) -> None:
    """No such key, no such version, or a delete marker on top."""
    one = put(s3, b"0123456789")
    s3.delete_object(Bucket="bronze", Key=_KEY)

    with pytest.raises(ObjectGoneError):
        store.open_object(s3, "bronze", _KEY)
    with pytest.raises(ObjectGoneError):
        store.open_object(s3, "bronze", "bronze/shipments/none.jsonl")
    s3.delete_object(Bucket="bronze", Key=_KEY, VersionId=one.version_id)
    with pytest.raises(ObjectGoneError):
        list(store.read(s3, one, 0, 10))


class DamagedBody(io.BytesIO):
    """A body that botocore finds, at its end, not to be what S3's checksum is of."""

    def read(self, size: int | None = -1, /) -> bytes:
        if data := super().read(size):
            return data
        raise FlexibleChecksumError(error_msg="made by a test")


def test_bytes_that_come_damaged_are_no_bytes() -> None:
    """They have been given by then, so reading goes on nowhere: it fails, and another attempt begins anew."""

    class S3:
        def get_object(self, **_: str) -> dict[str, Any]:
            return {"Body": DamagedBody(b"0123456789")}

    with pytest.raises(DownstreamError, match="came damaged: made by a test"):
        list(store.read(cast("Any", S3()), Source("bronze", _KEY, "", "e", 10), 0, 10))


def test_files_are_put_over_each_other_and_deleted(s3: Any) -> None:
    """Deleting what is not there is no error."""
    for content in (b"1", b"2"):
        store.put(s3, "bronze", "silver/a.parquet", content, "application/vnd.apache.parquet")
    answer = s3.get_object(Bucket="bronze", Key="silver/a.parquet")
    assert (answer["Body"].read(), answer["ContentType"]) == (b"2", "application/vnd.apache.parquet")
    for _ in range(2):
        store.delete(s3, "bronze", "silver/a.parquet")

    assert s3.list_objects_v2(Bucket="bronze", Prefix="silver/")["KeyCount"] == 0


def test_an_operator_plans_what_is_there(s3: Any) -> None:
    """By the real client: the newest version, in chunks."""
    source = put(s3, b"0123456789\n" * 3)

    planned = list(chunks.of_object(s3, "bronze", _KEY, chunk_bytes=12))

    assert [(one.source, one.start, one.end, one.first_line) for one in planned] == [
        (source, 0, 22, 1),
        (source, 22, 33, 3),
    ]


def test_a_staged_file_is_not_there_until_it_is_shown(s3: Any) -> None:
    """Neither a reader nor a listing finds it; then it has its content and its type, over what was there."""
    store.put(s3, "bronze", "silver/a", b"old", "text/plain")
    staged = [store.stage(s3, "bronze", name, b"new", "text/x") for name in ("silver/a", "silver/b")]

    assert [one["Key"] for one in s3.list_objects_v2(Bucket="bronze")["Contents"]] == ["silver/a"]
    assert s3.get_object(Bucket="bronze", Key="silver/a")["Body"].read() == b"old"
    for one in staged:
        store.show(s3, "bronze", one)
    for key in ("silver/a", "silver/b"):
        answer = s3.get_object(Bucket="bronze", Key=key)
        assert (answer["Body"].read(), answer["ContentType"]) == (b"new", "text/x")


def test_an_upload_that_s3_refuses_is_a_downstream_out(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused at its beginning or, forgotten by then, at its end; the redelivery stages it anew."""
    staged = store.stage(s3, "bronze", "silver/a", b"new", "text/x")

    def forgotten(**_options: Any) -> None:
        raise client_error("NoSuchUpload")

    monkeypatch.setattr(s3, "complete_multipart_upload", forgotten)
    with pytest.raises(DownstreamError, match="did not complete silver/a: NoSuchUpload"):
        store.show(s3, "bronze", staged)
    with pytest.raises(DownstreamError, match="did not take silver/a: NoSuchBucket"):
        store.stage(s3, "nowhere", "silver/a", b"new", "text/x")
