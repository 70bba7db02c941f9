"""Settings of a bucket that pulumi-aws has as resources of their own."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.deployer.aws import if_there
from ops.local.deployer.emulator_iam import resource_policy
from ops.local.deployer.kinds.base import Attached, Resource
from ops.local.deployer.translate import Fields, Sub

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


class Setting(Attached):
    """One setting of one bucket, which is its id too."""

    fixed = frozenset({"bucket"})
    preset: ClassVar[bool] = False  # a new bucket has it already, so that it is ours only the state file knows

    def find(self, it: Resource) -> str | None:
        """There when the bucket says that it is set."""
        if self.preset and not it.id:
            return None
        with if_there():
            return bucket(it) if self.get(it.aws.s3, it) else None
        return None

    def put(self, it: Resource) -> str:
        """Set it."""
        self.set(it.aws.s3, it)
        return bucket(it)

    def delete(self, it: Resource) -> None:
        """Back to what a new bucket has."""
        with if_there():
            self.reset(it.aws.s3, it)

    @abstractmethod
    def get(self, s3: S3Client, it: Resource) -> object:
        """What is set; false when nothing is."""

    @abstractmethod
    def set(self, s3: S3Client, it: Resource) -> None:
        """Replace what is set."""

    @abstractmethod
    def reset(self, s3: S3Client, it: Resource) -> None:
        """Set nothing."""


class BucketVersioning(Setting):
    """aws:s3/bucketVersioning:BucketVersioning; once it was on, it can only be suspended."""

    fields: ClassVar[Fields] = {
        "bucket": "Bucket",
        "versioningConfiguration": Sub("VersioningConfiguration", {"status": "Status"}),
    }

    def get(self, s3: S3Client, it: Resource) -> object:
        """Its status."""
        return s3.get_bucket_versioning(Bucket=bucket(it)).get("Status")

    def set(self, s3: S3Client, it: Resource) -> None:
        """On or suspended."""
        s3.put_bucket_versioning(**it.params)

    def reset(self, s3: S3Client, it: Resource) -> None:
        """Suspended."""
        s3.put_bucket_versioning(Bucket=bucket(it), VersioningConfiguration={"Status": "Suspended"})


class BucketServerSideEncryptionConfiguration(Setting):
    """aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration."""

    fields: ClassVar[Fields] = {
        "bucket": "Bucket",
        "rules": Sub(
            "Rules",
            {
                "applyServerSideEncryptionByDefault": Sub(
                    "ApplyServerSideEncryptionByDefault",
                    {"sseAlgorithm": "SSEAlgorithm", "kmsMasterKeyId": "KMSMasterKeyID"},
                ),
                "bucketKeyEnabled": "BucketKeyEnabled",
            },
        ),
    }

    preset = True

    def get(self, s3: S3Client, it: Resource) -> object:
        """Whether it has these rules."""
        rules = s3.get_bucket_encryption(Bucket=bucket(it))["ServerSideEncryptionConfiguration"]["Rules"]
        # what S3 adds to a rule by itself is none of ours
        return [{key: rule.get(key) for key in _rules(it)[0]} for rule in rules] == _rules(it)

    def set(self, s3: S3Client, it: Resource) -> None:
        """All rules at once."""
        rules: Any = {"Rules": _rules(it)}
        s3.put_bucket_encryption(Bucket=bucket(it), ServerSideEncryptionConfiguration=rules)

    def reset(self, s3: S3Client, it: Resource) -> None:
        """S3's own encryption."""
        s3.delete_bucket_encryption(Bucket=bucket(it))


class BucketPublicAccessBlock(Setting):
    """aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock."""

    fields: ClassVar[Fields] = {
        "bucket": "Bucket",
        "blockPublicAcls": "BlockPublicAcls",
        "blockPublicPolicy": "BlockPublicPolicy",
        "ignorePublicAcls": "IgnorePublicAcls",
        "restrictPublicBuckets": "RestrictPublicBuckets",
    }

    preset = True

    def get(self, s3: S3Client, it: Resource) -> object:
        """Whether it has these flags."""
        return s3.get_public_access_block(Bucket=bucket(it))["PublicAccessBlockConfiguration"] == _flags(it)

    def set(self, s3: S3Client, it: Resource) -> None:
        """All four at once."""
        flags: Any = _flags(it)
        s3.put_public_access_block(Bucket=bucket(it), PublicAccessBlockConfiguration=flags)

    def reset(self, s3: S3Client, it: Resource) -> None:
        """No flag."""
        s3.delete_public_access_block(Bucket=bucket(it))


class BucketOwnershipControls(Setting):
    """aws:s3/bucketOwnershipControls:BucketOwnershipControls."""

    fields: ClassVar[Fields] = {
        "bucket": "Bucket",
        "rule": Sub("Rule", {"objectOwnership": "ObjectOwnership"}),
    }

    preset = True

    def get(self, s3: S3Client, it: Resource) -> object:
        """Whether it has this rule."""
        found = s3.get_bucket_ownership_controls(Bucket=bucket(it))["OwnershipControls"]["Rules"]
        return found == [it.params["Rule"]]

    def set(self, s3: S3Client, it: Resource) -> None:
        """The one rule."""
        s3.put_bucket_ownership_controls(Bucket=bucket(it), OwnershipControls={"Rules": [it.params["Rule"]]})

    def reset(self, s3: S3Client, it: Resource) -> None:
        """No rule."""
        s3.delete_bucket_ownership_controls(Bucket=bucket(it))


class BucketLifecycleConfiguration(Setting):
    """aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration."""

    fields: ClassVar[Fields] = {
        "bucket": "Bucket",
        "rules": Sub(
            "Rules",
            {
                "id": "ID",
                "status": "Status",
                "filter": Sub("Filter", {"prefix": "Prefix"}),
                "abortIncompleteMultipartUpload": Sub(
                    "AbortIncompleteMultipartUpload", {"daysAfterInitiation": "DaysAfterInitiation"}
                ),
                "noncurrentVersionExpiration": Sub("NoncurrentVersionExpiration", {"noncurrentDays": "NoncurrentDays"}),
                "expiration": Sub(
                    "Expiration", {"days": "Days", "expiredObjectDeleteMarker": "ExpiredObjectDeleteMarker"}
                ),
            },
        ),
    }

    def get(self, s3: S3Client, it: Resource) -> object:
        """Its rules."""
        return s3.get_bucket_lifecycle_configuration(Bucket=bucket(it))["Rules"]

    def set(self, s3: S3Client, it: Resource) -> None:
        """All rules at once."""
        rules: Any = {"Rules": it.params["Rules"]}
        s3.put_bucket_lifecycle_configuration(Bucket=bucket(it), LifecycleConfiguration=rules)

    def reset(self, s3: S3Client, it: Resource) -> None:
        """No rule."""
        s3.delete_bucket_lifecycle(Bucket=bucket(it))


class BucketPolicy(Setting):
    """aws:s3/bucketPolicy:BucketPolicy; one that only demands TLS leaves nothing for the emulator."""

    fields: ClassVar[Fields] = {"bucket": "Bucket", "policy": "Policy"}

    def get(self, s3: S3Client, it: Resource) -> object:
        """The policy; where it has nothing to say only the state file knows of it."""
        if not self._says(it):
            return it.id
        return s3.get_bucket_policy(Bucket=bucket(it))["Policy"]

    def set(self, s3: S3Client, it: Resource) -> None:
        """The whole policy."""
        if policy := self._says(it):
            s3.put_bucket_policy(Bucket=bucket(it), Policy=policy)
        else:
            self.reset(s3, it)

    def reset(self, s3: S3Client, it: Resource) -> None:
        """No policy."""
        s3.delete_bucket_policy(Bucket=bucket(it))

    def _says(self, it: Resource) -> str:
        policy = resource_policy(it.inputs["policy"])
        return policy if json.loads(policy)["Statement"] else ""


def _rules(it: Resource) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = it.params["Rules"]
    return rules


def _flags(it: Resource) -> dict[str, bool]:
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    return {name: it.params.get(name, False) for name in names}


def bucket(it: Resource) -> str:
    """The bucket that it is a setting of."""
    return str(it.inputs["bucket"])
