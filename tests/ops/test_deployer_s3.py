"""Buckets as the deployer makes, tunes, keeps and empties them."""

import json
from pathlib import Path

import pytest

from ops.local.deployer import DeployError
from tests.ops.stack import Stack, small_program, wipe

_BUCKET = "b = aws.s3.Bucket('b', bucket_prefix='small-', force_destroy={force}, tags={tags})"
_SETTINGS = """
aws.s3.BucketVersioning('v', bucket=b.id, versioning_configuration={{'status': '{status}'}})
aws.s3.BucketPublicAccessBlock('p', bucket=b.id, block_public_acls={block})
aws.s3.BucketServerSideEncryptionConfiguration('e', bucket=b.id, rules=[
    {{'apply_server_side_encryption_by_default': {{'sse_algorithm': '{sse}'}}}}])
aws.s3.BucketOwnershipControls('o', bucket=b.id, rule={{'object_ownership': '{owner}'}})
"""
_TLS_ONLY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": "arn:aws:s3:::small/*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ],
}


def _program(folder: Path, *lines: str, force: bool = False, tags: dict[str, str] | None = None) -> Path:
    bucket = _BUCKET.format(force=force, tags=tags or {})
    exports = "pulumi.export('outputs', {'arn': b.arn, 'bucket': b.bucket, 'domain': b.bucket_regional_domain_name})"
    return small_program(folder, "\n".join([bucket, exports, *lines]))


def test_bucket_has_the_outputs_of_the_provider(stack: Stack, tmp_path: Path) -> None:
    """Its name is the prefix, without the digits that the provider adds to make it unique in the world."""
    assert stack.deploy(_program(tmp_path / "small")).outputs["outputs"] == {
        "arn": "arn:aws:s3:::small",
        "bucket": "small",
        "domain": "small.s3.us-east-1.amazonaws.com",
    }


def test_settings_are_changed_in_place(stack: Stack, tmp_path: Path) -> None:
    """Every setting of a bucket follows the program, its tags too, and the objects stay."""
    settings = {"status": "Enabled", "block": True, "sse": "AES256", "owner": "BucketOwnerEnforced"}
    first = _program(tmp_path / "small", _SETTINGS.format(**settings), tags={"a": "1", "b": "2"})
    stack.deploy(first)
    s3 = stack.client("s3")
    s3.put_object(Bucket="small", Key="k", Body=b"kept")
    changed = {"status": "Suspended", "block": False, "sse": "aws:kms", "owner": "ObjectWriter"}
    changes = stack.deploy(_program(tmp_path / "small", _SETTINGS.format(**changed), tags={"b": "3"})).changes

    assert [key.rpartition("::")[2] for key in sorted(changes.updated)] == ["b", "o", "p", "e", "v"]
    assert s3.get_bucket_versioning(Bucket="small")["Status"] == "Suspended"
    assert s3.get_public_access_block(Bucket="small")["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": False,
        "IgnorePublicAcls": False,
        "BlockPublicPolicy": False,
        "RestrictPublicBuckets": False,
    }
    rules = s3.get_bucket_encryption(Bucket="small")["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms"}
    assert s3.get_bucket_ownership_controls(Bucket="small")["OwnershipControls"]["Rules"] == [
        {"ObjectOwnership": "ObjectWriter"}
    ]
    assert s3.get_bucket_tagging(Bucket="small")["TagSet"] == [{"Key": "b", "Value": "3"}]
    assert s3.get_object(Bucket="small", Key="k")["Body"].read() == b"kept"


def test_settings_that_a_new_bucket_has_are_set_again_after_a_wipe(stack: Stack, tmp_path: Path) -> None:
    """A new bucket's own settings are not taken for those that the state file remembers."""
    settings = {"status": "Enabled", "block": True, "sse": "aws:kms", "owner": "ObjectWriter"}
    program = _program(tmp_path / "small", _SETTINGS.format(**settings))
    first = stack.deploy(program).changes
    wipe(stack.emulator)
    second = stack.deploy(program).changes

    assert sorted(second.created) == sorted(first.created)
    s3 = stack.client("s3")
    assert s3.get_bucket_ownership_controls(Bucket="small")["OwnershipControls"]["Rules"] == [
        {"ObjectOwnership": "ObjectWriter"}
    ]
    rules = s3.get_bucket_encryption(Bucket="small")["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms"}


def test_demand_of_tls_is_left_out(stack: Stack, tmp_path: Path) -> None:
    """There is no TLS on loopback: a policy that says nothing else is none, and again it is found as it was left."""
    policy = f"aws.s3.BucketPolicy('policy', bucket=b.id, policy='''{json.dumps(_TLS_ONLY)}''')"
    program = _program(tmp_path / "small", policy)
    stack.deploy(program)
    stack.client("s3").put_object(Bucket="small", Key="k", Body=b"let in")

    assert stack.deploy(program).changes.unchanged == [
        "aws:s3/bucket:Bucket::b",
        "aws:s3/bucketPolicy:BucketPolicy::policy",
    ]


def test_bucket_with_objects_is_kept(stack: Stack, tmp_path: Path) -> None:
    """A bucket that leaves the program while it holds an object stops the deployment, and goes once it is empty."""
    stack.deploy(_program(tmp_path / "small"))
    s3 = stack.client("s3")
    s3.put_object(Bucket="small", Key="k", Body=b"kept")
    empty = small_program(tmp_path / "empty", "")
    with pytest.raises(DeployError, match=r"'b' has left .* holds objects, .*; empty bucket small, then"):
        stack.deploy(empty, lose_data=True)
    assert s3.get_object(Bucket="small", Key="k")["Body"].read() == b"kept"

    s3.delete_object(Bucket="small", Key="k")
    assert stack.deploy(empty).changes.deleted == ["aws:s3/bucket:Bucket::b"]
    assert s3.list_buckets()["Buckets"] == []


def test_disposable_bucket_goes_with_all_versions(stack: Stack, tmp_path: Path) -> None:
    """With forceDestroy old versions and delete markers go too, more than one answer lists."""
    versions = "aws.s3.BucketVersioning('v', bucket=b.id, versioning_configuration={'status': 'Enabled'})"
    stack.deploy(_program(tmp_path / "small", versions, force=True))
    s3 = stack.client("s3")
    for number in range(1005):
        s3.put_object(Bucket="small", Key=f"k{number % 600}", Body=b"")
    s3.delete_object(Bucket="small", Key="k0")
    stack.deploy(small_program(tmp_path / "empty", ""), lose_data=True)

    assert s3.list_buckets()["Buckets"] == []


def test_replacement_that_would_lose_objects(stack: Stack, tmp_path: Path) -> None:
    """Another name is another bucket: one that holds an object is not replaced."""
    stack.deploy(_program(tmp_path / "small"))
    s3 = stack.client("s3")
    s3.put_object(Bucket="small", Key="k", Body=b"kept")
    with pytest.raises(DeployError, match="can't be changed in place, and a replacement would lose objects"):
        stack.deploy(small_program(tmp_path / "small", "aws.s3.Bucket('b', bucket='other')"))
    assert s3.get_object(Bucket="small", Key="k")["Body"].read() == b"kept"


def test_what_would_be_dropped_is_refused(stack: Stack, tmp_path: Path) -> None:
    """An input of a bucket or a notification that the deployer does not know is named."""
    with pytest.raises(DeployError, match="would drop versioning"):
        stack.deploy(small_program(tmp_path / "a", "aws.s3.Bucket('b', versioning={'enabled': True})"))
    body = "aws.s3.BucketNotification('n', bucket='b', topics=[{'topic_arn': 'a', 'events': ['s3:ObjectCreated:*']}])"
    with pytest.raises(DeployError, match="would drop topics"):
        stack.deploy(small_program(tmp_path / "b", body))
