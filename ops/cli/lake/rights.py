"""The least rights that each replay needs, as an IAM policy for this stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from handlers.lake.message import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ops.cli.target import Target

Statement = dict[str, Any]

_COPY = (  # the multipart calls are s3:PutObject too; tags go over with the object
    *("s3:GetObject", "s3:GetObjectTagging", "s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload"),
)
_KEY_USE = ("kms:Decrypt", "kms:GenerateDataKey")


def of_copy(found: Target, bucket: str) -> dict[str, Any]:
    """What `lab lake replay-copy` needs; of keys, that of the bucket."""
    arn = f"arn:{_partition(found)}:s3:::{bucket}"
    return _document([_listing(arn), _allow("Copy", _COPY, f"{arn}/{PREFIX}*"), *_use_of(_bucket_key(found, bucket))])


def of_queue(found: Target, bucket: str, queue_url: str, function: str) -> dict[str, Any]:
    """What `lab lake replay-queue` needs. The queue's own policy must let the caller send, too: `operatorRoleArns`."""
    arn = f"arn:{_partition(found)}:s3:::{bucket}"
    queue = found.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
    configuration = found.client("lambda").get_function_configuration(FunctionName=function)
    statements = [
        _listing(arn),
        _allow("Read", ("s3:GetObject", "s3:GetObjectVersion"), f"{arn}/{PREFIX}*"),
        _allow("ChunkSize", ("lambda:GetFunctionConfiguration",), configuration["FunctionArn"]),
        _allow("Send", ("sqs:SendMessage",), queue["QueueArn"]),
    ]
    return _document([*statements, *_use_of(_bucket_key(found, bucket), queue.get("KmsMasterKeyId", ""))])


def _document(statements: Iterable[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(sid: str, actions: Iterable[str], resources: str | list[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resources}


def _use_of(*keys: str) -> list[Statement]:
    """Use of those of the keys that there are."""
    named = sorted({key for key in keys if key})
    return [_allow("Keys", _KEY_USE, named)] if named else []


def _listing(bucket_arn: str) -> Statement:
    """Without a condition on the prefix: with one, S3 would call an object that is gone forbidden, not missing."""
    return _allow("List", ("s3:ListBucket",), bucket_arn)


def _bucket_key(found: Target, bucket: str) -> str:
    """The KMS key that the bucket encrypts with by default; "" where it is S3's own."""
    try:
        answer = found.client("s3").get_bucket_encryption(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ServerSideEncryptionConfigurationNotFoundError":
            raise
        return ""
    (rule, *_) = answer["ServerSideEncryptionConfiguration"]["Rules"]
    return str(rule["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID", ""))


def _partition(found: Target) -> str:
    return str(found.client("sts").get_caller_identity()["Arn"].split(":")[1])
