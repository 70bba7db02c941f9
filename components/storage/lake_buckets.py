"""The lake's buckets: bronze for objects as they arrive, silver for Parquet and quarantined rows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
from pulumi_aws import s3

from components import naming
from components.security import policies

if TYPE_CHECKING:
    from collections.abc import Sequence

BRONZE_PREFIX = "bronze/"
SILVER_PREFIX = "silver/"
QUARANTINE_PREFIX = "quarantine/"
GATE_PREFIX = "gate/"
TABLES_PREFIX = "tables/"
_MULTIPART_DAYS = 7  # parts of an upload that nobody completes are billed and shown nowhere
_OVERWRITTEN_DAYS = 30
_QUARANTINE_DAYS = 90  # its rows are in bronze too


@dataclass(frozen=True, kw_only=True, slots=True)
class LakeStorageArgs:
    """What the caller decides. `disposable` buckets are deleted with all that is in them."""

    kms_key_arn: pulumi.Input[str] | None = None
    disposable: bool = False


class LakeStorage(pulumi.ComponentResource):
    """Two private, versioned, encrypted buckets. `notify_of_objects` connects bronze to a queue."""

    bronze: "s3.Bucket"  # in quotes, for importing what is behind s3 takes half a second
    silver: "s3.Bucket"
    bronze_versioning: "s3.BucketVersioning"

    def __init__(self, name: str, args: LakeStorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:storage:LakeStorage", name, None, opts)
        self.name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.bronze, self.bronze_versioning = self._bucket("bronze", [_tidy()])
        self.silver, _ = self._bucket("silver", [_tidy(), _expiring_quarantine()])
        self.register_outputs({"bronze": self.bronze.id, "silver": self.silver.id})

    def reads_bronze(self, *, without_version: bool = False) -> list[policies.Statement]:
        """Return what a reader of bronze may do: read versions, since S3 announces each object with its version.

        A backfill announces objects without it.

        Without `s3:ListBucket` S3 answers 403 for a missing object, as it does for a forbidden one.
        """
        objects = self._objects(self.bronze, BRONZE_PREFIX)
        key = self._args.kms_key_arn
        return [
            policies.allow("Bronze", [*(["s3:GetObject"] if without_version else []), "s3:GetObjectVersion"], objects),
            policies.allow("BronzeMissing", ["s3:ListBucket"], self.bronze.arn),
            *([] if key is None else [policies.use_key_of_buckets(key)]),
        ]

    def writes_silver(self) -> list[policies.Statement]:
        """Return what a writer of Parquet and of quarantined rows may do."""
        silver, quarantine = (self._objects(self.silver, prefix) for prefix in (SILVER_PREFIX, QUARANTINE_PREFIX))
        key = self._args.kms_key_arn
        return [
            policies.allow("Silver", ["s3:PutObject"], [silver, quarantine]),
            policies.allow("StaleQuarantine", ["s3:DeleteObject"], quarantine),
            *([] if key is None else [policies.use_key_of_buckets(key, writes=True)]),
        ]

    def gates_silver(self) -> list[policies.Statement]:
        """Return what a checker of silver's days may do: read them and their marks, list them, and put marks."""
        silver, marks = (self._objects(self.silver, prefix) for prefix in (SILVER_PREFIX, GATE_PREFIX))
        key = self._args.kms_key_arn
        keys = [] if key is None else [policies.use_key_of_buckets(key), policies.use_key_of_buckets(key, writes=True)]
        return [
            policies.allow("Silver", ["s3:GetObject"], [silver, marks]),
            policies.allow("SilverDays", ["s3:ListBucket"], self.silver.arn),
            policies.allow("Marks", ["s3:PutObject"], marks),
            *keys,
        ]

    def commits_silver(self, *, metadata: bool = True) -> list[policies.Statement]:
        """Return what a committer of tables may do: read files of silver, and read and put metadata. It deletes none.

        Where the tables' metadata are elsewhere, it puts nothing.

        Without `s3:ListBucket` S3 answers 403 for a missing file, as it does for a forbidden one.
        """
        silver, tables = (self._objects(self.silver, prefix) for prefix in (SILVER_PREFIX, TABLES_PREFIX))
        key = self._args.kms_key_arn
        found = [
            policies.allow("Silver", ["s3:GetObject"], [silver, tables] if metadata else silver),
            policies.allow("Missing", ["s3:ListBucket"], self.silver.arn),
            *([] if key is None else [policies.use_key_of_buckets(key)]),
        ]
        if metadata:
            found.append(policies.allow("Metadata", ["s3:PutObject"], tables))
            found += [] if key is None else [policies.use_key_of_buckets(key, writes=True)]
        return found

    def _bucket(
        self, role: str, rules: "Sequence[s3.BucketLifecycleConfigurationRuleArgsDict]"
    ) -> "tuple[s3.Bucket, s3.BucketVersioning]":
        name = f"{self.name}-{role}"
        bucket = s3.Bucket(
            name,
            bucket_prefix=naming.bucket_prefix(pulumi.get_project(), pulumi.get_stack(), role),
            force_destroy=self._args.disposable,
            opts=self._child,
        )
        versions = s3.BucketVersioning(
            f"{name}-versioning",
            bucket=bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=self._child,
        )
        self._encrypt(name, bucket)
        self._close(name, bucket)
        s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.id,
            rules=list(rules),
            # a rule on old versions needs versioning
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versions]),
        )
        return bucket, versions

    def _encrypt(self, name: str, bucket: "s3.Bucket") -> None:
        key = self._args.kms_key_arn
        by_default: s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgsDict
        by_default = (
            {"sse_algorithm": "AES256"} if key is None else {"sse_algorithm": "aws:kms", "kms_master_key_id": key}
        )
        s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.id,
            # a key for the bucket spares a call to KMS, and its price, for each object
            rules=[{"apply_server_side_encryption_by_default": by_default, "bucket_key_enabled": key is not None}],
            opts=self._child,
        )

    def _close(self, name: str, bucket: "s3.Bucket") -> None:
        s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=bucket.id,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self._child,
        )
        private = s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        everything = [bucket.arn, self._objects(bucket, "")]
        s3.BucketPolicy(
            f"{name}-policy",
            bucket=bucket.id,
            policy=pulumi.Output.json_dumps(policies.document([policies.tls_only("s3:*", everything)])),
            # S3 takes one change of who may reach a bucket at a time
            opts=pulumi.ResourceOptions(parent=self, depends_on=[private]),
        )

    def _objects(self, bucket: "s3.Bucket", prefix: str) -> pulumi.Output[str]:
        return pulumi.Output.format("{0}/{1}*", bucket.arn, prefix)


def notify_of_objects(storage: LakeStorage, queue_arn: pulumi.Input[str], queue_policy: pulumi.Resource | None) -> None:
    """Make S3 tell the queue of every object that is created in bronze."""
    admitted = [] if queue_policy is None else [queue_policy]
    s3.BucketNotification(
        f"{storage.name}-bronze-notification",
        bucket=storage.bronze.id,
        queues=[{"queue_arn": queue_arn, "events": ["s3:ObjectCreated:*"], "filter_prefix": BRONZE_PREFIX}],
        # S3 tries the queue out; and every object that it announces has to have a version
        opts=pulumi.ResourceOptions(parent=storage, depends_on=[*admitted, storage.bronze_versioning]),
    )


def _tidy() -> "s3.BucketLifecycleConfigurationRuleArgsDict":
    """Expire unfinished uploads, overwritten versions and markers of deleted objects."""
    return {
        "id": "tidy",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "abort_incomplete_multipart_upload": {"days_after_initiation": _MULTIPART_DAYS},
        "noncurrent_version_expiration": {"noncurrent_days": _OVERWRITTEN_DAYS},
        "expiration": {"expired_object_delete_marker": True},
    }


def _expiring_quarantine() -> "s3.BucketLifecycleConfigurationRuleArgsDict":
    return {
        "id": "quarantine",
        "status": "Enabled",
        "filter": {"prefix": QUARANTINE_PREFIX},
        "expiration": {"days": _QUARANTINE_DAYS},
    }
