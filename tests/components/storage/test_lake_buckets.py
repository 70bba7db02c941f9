"""The lake's buckets: closed, versioned, encrypted, tidied, and the one that tells of its objects."""

import json
from typing import Any

import pytest
from pulumi_aws import sqs

from components import naming
from components.storage.lake_buckets import LakeStorage, LakeStorageArgs, notify_of_objects
from tests.components.recording import PROJECT, Recording, run

_BUCKETS = ("lake-bronze", "lake-silver")


def _storage(*, preview: bool = False, **args: Any) -> Recording:
    def program() -> None:
        queue = sqs.Queue("notices")
        policy = sqs.QueuePolicy("notices-policy", queue_url=queue.url, policy="{}")
        notify_of_objects(LakeStorage("lake", LakeStorageArgs(**args)), queue.arn, policy)

    return run(program, preview=preview)


def _statements(**args: Any) -> tuple[list[Any], list[Any]]:
    """What a reader of bronze and a writer of silver may do."""
    found: list[Any] = []

    def program() -> None:
        storage = LakeStorage("lake", LakeStorageArgs(**args))
        import pulumi  # noqa: PLC0415 - of the program

        pulumi.Output.json_dumps([storage.reads_bronze(), storage.writes_silver()]).apply(
            lambda text: found.extend(json.loads(text))
        )

    run(program)
    return found[0], found[1]


@pytest.mark.parametrize("preview", [False, True])
def test_two_buckets_and_all_that_belongs_to_them(preview: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Nothing is missing and nothing is there besides; in preview too."""
    assert _storage(preview=preview).names() == {
        ("aws:sqs/queue:Queue", "notices"),
        ("aws:sqs/queuePolicy:QueuePolicy", "notices-policy"),
        ("lab:storage:LakeStorage", "lake"),
        ("aws:s3/bucketNotification:BucketNotification", "lake-bronze-notification"),
        *(
            (f"aws:s3/{token}", f"{bucket}{suffix}")
            for bucket in _BUCKETS
            for token, suffix in (
                ("bucket:Bucket", ""),
                ("bucketVersioning:BucketVersioning", "-versioning"),
                (
                    "bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
                    "-encryption",
                ),
                ("bucketOwnershipControls:BucketOwnershipControls", "-ownership"),
                ("bucketPublicAccessBlock:BucketPublicAccessBlock", "-private"),
                ("bucketPolicy:BucketPolicy", "-policy"),
                ("bucketLifecycleConfiguration:BucketLifecycleConfiguration", "-lifecycle"),
            )
        ),
    }


@pytest.mark.parametrize("role", ["bronze", "silver"])
def test_bucket(role: str) -> None:
    """Its name begins with project, stack and role; it keeps what it holds, and every version of it."""
    recording = _storage()

    assert recording.inputs("Bucket", f"lake-{role}") == {
        "bucketPrefix": f"{PROJECT}-dev-{role}-",
        "forceDestroy": False,
    }
    assert recording.inputs("BucketVersioning", f"lake-{role}-versioning") == {
        "bucket": f"id:lake-{role}",
        "versioningConfiguration": {"status": "Enabled"},
    }


@pytest.mark.parametrize("bucket", _BUCKETS)
def test_bucket_is_closed(bucket: str) -> None:
    """No public access, no access lists, no plain HTTP; the policy comes after the block, one at a time."""
    recording = _storage()
    policy = recording.one("BucketPolicy", f"{bucket}-policy")

    assert recording.inputs("BucketPublicAccessBlock", f"{bucket}-private") == {
        "bucket": f"id:{bucket}",
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    }
    assert recording.inputs("BucketOwnershipControls", f"{bucket}-ownership") == {
        "bucket": f"id:{bucket}",
        "rule": {"objectOwnership": "BucketOwnerEnforced"},
    }
    assert policy.inputs["bucket"] == f"id:{bucket}"
    assert json.loads(policy.inputs["policy"]) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [f"arn:{bucket}", f"arn:{bucket}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
    assert f"{bucket}-private" in policy.depends_on


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        (None, {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}, "bucketKeyEnabled": False}),
        (
            "arn:key",
            {
                "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "arn:key"},
                "bucketKeyEnabled": True,
            },
        ),
    ],
)
@pytest.mark.parametrize("bucket", _BUCKETS)
def test_bucket_is_encrypted(bucket: str, key: str | None, rule: dict[str, Any]) -> None:
    """By S3's own keys, or by the customer's with a key for the bucket, which spares a call for each object."""
    assert _storage(kms_key_arn=key).inputs("BucketServerSideEncryptionConfiguration", f"{bucket}-encryption") == {
        "bucket": f"id:{bucket}",
        "rules": [rule],
    }


def test_nothing_unseen_piles_up() -> None:
    """Unfinished uploads go after a week, overwritten versions after a month, quarantined rows after three."""
    recording = _storage()
    tidy = {
        "id": "tidy",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
        "noncurrentVersionExpiration": {"noncurrentDays": 30},
        "expiration": {"expiredObjectDeleteMarker": True},
    }
    quarantine = {
        "id": "quarantine",
        "status": "Enabled",
        "filter": {"prefix": "quarantine/"},
        "expiration": {"days": 90},
    }

    assert {bucket: recording.inputs("BucketLifecycleConfiguration", f"{bucket}-lifecycle") for bucket in _BUCKETS} == {
        "lake-bronze": {"bucket": "id:lake-bronze", "rules": [tidy]},
        "lake-silver": {"bucket": "id:lake-silver", "rules": [tidy, quarantine]},
    }


def test_bronze_alone_tells_the_queue_of_its_objects() -> None:
    """Whatever comes under bronze/, once objects have versions and the queue's policy lets S3 in."""
    recording = _storage()
    notification = recording.one("BucketNotification", "lake-bronze-notification")

    assert notification.inputs == {
        "bucket": "id:lake-bronze",
        "queues": [{"queueArn": "arn:notices", "events": ["s3:ObjectCreated:*"], "filterPrefix": "bronze/"}],
    }
    assert {"notices-policy", "lake-bronze-versioning"} <= notification.depends_on


def test_disposable_buckets_are_destroyed_with_all_they_hold() -> None:
    """AWS refuses to delete any other bucket that is not empty."""
    kept, thrown = _storage(), _storage(disposable=True)

    assert [kept.inputs("Bucket", bucket)["forceDestroy"] for bucket in _BUCKETS] == [False, False]
    assert [thrown.inputs("Bucket", bucket)["forceDestroy"] for bucket in _BUCKETS] == [True, True]


def test_grants_name_the_prefixes() -> None:
    """Readers read below bronze/, writers write below silver/ and quarantine/ and delete below quarantine/ only."""
    reads, writes = _statements()

    assert {s["Sid"]: (s["Action"], s["Resource"]) for s in (*reads, *writes)} == {
        "Bronze": (["s3:GetObjectVersion"], "arn:lake-bronze/bronze/*"),
        "BronzeMissing": (["s3:ListBucket"], "arn:lake-bronze"),
        "Silver": (["s3:PutObject"], ["arn:lake-silver/silver/*", "arn:lake-silver/quarantine/*"]),
        "StaleQuarantine": (["s3:DeleteObject"], "arn:lake-silver/quarantine/*"),
    }


def test_customer_key_is_used_through_s3_only() -> None:
    """Readers decrypt, writers encrypt, and neither but through a bucket."""
    reads, writes = _statements(kms_key_arn="arn:key")

    assert [s for s in (*reads, *writes) if s["Resource"] == "arn:key"] == [
        {
            "Sid": "ReadBucketKey",
            "Effect": "Allow",
            "Action": ["kms:Decrypt"],
            "Resource": "arn:key",
            "Condition": {"StringLike": {"kms:ViaService": "s3.*"}},
        },
        {
            "Sid": "WriteBucketKey",
            "Effect": "Allow",
            "Action": ["kms:GenerateDataKey"],
            "Resource": "arn:key",
            "Condition": {"StringLike": {"kms:ViaService": "s3.*"}},
        },
    ]


@pytest.mark.parametrize(
    ("project", "stack", "prefix"),
    [
        ("ingestion-lab", "prod", "ingestion-lab-prod-bronze-"),
        ("ingestion-lab", "Team_A.dev", "ingestion-lab-team-a-dev-bronze-"),
        ("a-very-long-project-name", "and-a-long-stack", "a-very-long-project-name-and-bronze-"),
        ("ingestion-lab", "_-_", "ingestion-lab-bronze-"),
    ],
)
def test_bucket_names_are_such_as_s3_allows(project: str, stack: str, prefix: str) -> None:
    """Small letters, digits and hyphens; the provider's 26 digits still fit into S3's 63 characters."""
    assert naming.bucket_prefix(project, stack, "bronze") == prefix
    assert len(prefix) + 26 <= 63
