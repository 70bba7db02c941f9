"""S3 of the emulator as the lake relies on it."""

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.ops.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable

_OLD, _NEW = b"0123456789" * 10, b"new"


@pytest.fixture
def version(stack: Stack) -> tuple[Any, dict[str, str]]:
    """A client, and what names the first of an object's two versions."""
    s3 = stack.client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="bucket", Key="k", Body=_OLD)["VersionId"]
    s3.put_object(Bucket="bucket", Key="k", Body=_NEW)
    return s3, {"Bucket": "bucket", "Key": "k", "VersionId": first}


@pytest.mark.parametrize(
    ("wanted", "body", "place"),
    [
        ("bytes=0-9", b"0123456789", "bytes 0-9/100"),
        ("bytes=95-", b"56789", "bytes 95-99/100"),
        ("bytes=98-500", b"89", "bytes 98-99/100"),
        ("bytes=-3", b"789", "bytes 97-99/100"),
    ],
)
def test_range_of_an_old_version(version: tuple[Any, dict[str, str]], wanted: str, body: bytes, place: str) -> None:
    """As on AWS just the range comes, and says so; with the condition on the tag too."""
    s3, named = version
    tag = s3.head_object(**named)["ETag"]
    for answer in (s3.get_object(Range=wanted, **named), s3.get_object(Range=wanted, IfMatch=tag, **named)):
        assert answer["Body"].read() == body
        assert (answer["ContentRange"], answer["ContentLength"]) == (place, len(body))
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_whole_versions(version: tuple[Any, dict[str, str]]) -> None:
    """Without a range all of a version comes, the old and the new."""
    s3, named = version
    assert s3.get_object(**named)["Body"].read() == _OLD
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == _NEW
    assert s3.get_object(Bucket="bucket", Key="k", Range="bytes=1-1")["Body"].read() == b"e"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"Range": "bytes=100-"}, "InvalidRange"),
        ({"Range": "bytes=0-9", "IfMatch": '"other"'}, "PreconditionFailed"),
        ({"Range": "bytes=0-9", "VersionId": "00000000000000000000000000000000"}, "NoSuchVersion"),
    ],
)
def test_what_a_range_of_a_version_can_not_be(
    version: tuple[Any, dict[str, str]], changed: dict[str, str], code: str
) -> None:
    """A range beyond the end, a version of another content and no version at all are refused in AWS's words."""
    s3, named = version
    with pytest.raises(ClientError) as refused:
        s3.get_object(**{**named, **changed})
    assert refused.value.response["Error"]["Code"] == code


def _as_role(stack: Stack, *statements: dict[str, Any]) -> Any:
    """A client of S3 with just these rights."""
    iam, trust = stack.client("iam"), {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    arn = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(document))["Role"]["Arn"]
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(policy))
    keys = stack.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    make: Any = boto3.client
    return make(
        "s3",
        endpoint_url=stack.emulator.endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def test_roles_reach_only_what_their_policies_name(stack: Stack, version: tuple[Any, dict[str, str]]) -> None:
    """Reading a version is a right of its own, under a prefix; what no statement names is refused."""
    _, named = version
    allow = {"Effect": "Allow", "Action": "s3:GetObjectVersion", "Resource": "arn:aws:s3:::bucket/k*"}
    s3 = _as_role(stack, allow)

    assert s3.get_object(Range="bytes=0-0", **named)["Body"].read() == b"0"
    assert s3.head_object(**named)["ContentLength"] == len(_OLD)
    refusals: list[Callable[[], object]] = [
        lambda: s3.get_object(Bucket="bucket", Key="k"),
        lambda: s3.put_object(Bucket="bucket", Key="k", Body=b""),
        lambda: s3.delete_object(Bucket="bucket", Key="k"),
        lambda: s3.get_object(Bucket="bucket", Key="other", VersionId=named["VersionId"]),
    ]
    for refused in refusals:
        with pytest.raises(ClientError, match="AccessDenied"):
            refused()
