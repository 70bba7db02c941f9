"""A table bucket of S3 Tables: Iceberg tables that AWS compacts, and whose snapshots it expires."""

from dataclasses import dataclass

import pulumi
from pulumi_aws import s3tables

from components.security import policies

# AWS's own defaults, stated: files that no table names have been left by a commit that was not made.
_UNREFERENCED_DAYS = 3
_NONCURRENT_DAYS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class TableBucketArgs:
    """What the caller decides. A `disposable` bucket is deleted with all tables that are in it."""

    namespace: str
    kms_key_arn: pulumi.Input[str] | None = None
    disposable: bool = False


class LakeTableBucket(pulumi.ComponentResource):
    """A table bucket with one namespace, open to this account over TLS. Somebody else makes the tables.

    S3 Tables compacts each table and expires its snapshots unless it is told otherwise, table by table.
    """

    bucket: "s3tables.TableBucket"
    namespace: "s3tables.Namespace"

    def __init__(self, name: str, args: TableBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:storage:LakeTableBucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = args.kms_key_arn
        self._key = key
        unreferenced: s3tables.TableBucketMaintenanceConfigurationIcebergUnreferencedFileRemovalArgsDict
        unreferenced = {
            "status": "enabled",
            "settings": {"unreferenced_days": _UNREFERENCED_DAYS, "non_current_days": _NONCURRENT_DAYS},
        }
        self.bucket = s3tables.TableBucket(
            name,
            # without a key of the customer's it is encrypted with S3's own
            encryption_configuration=None if key is None else {"sse_algorithm": "aws:kms", "kms_key_arn": key},
            maintenance_configuration={"iceberg_unreferenced_file_removal": unreferenced},
            force_destroy=args.disposable,
            opts=child,
        )
        self.namespace = s3tables.Namespace(
            f"{name}-namespace", namespace=args.namespace, table_bucket_arn=self.bucket.arn, opts=child
        )
        everything = [self.bucket.arn, self._tables]
        s3tables.TableBucketPolicy(
            f"{name}-policy",
            table_bucket_arn=self.bucket.arn,
            resource_policy=pulumi.Output.json_dumps(policies.document([policies.tls_only("s3tables:*", everything)])),
            opts=child,
        )
        self.register_outputs({"arn": self.bucket.arn, "namespace": self.namespace.namespace})

    def environment(self) -> dict[str, pulumi.Input[str]]:
        """Return what tells a committer where its tables are."""
        return {"NAMESPACE": self.namespace.namespace, "TABLE_BUCKET_ARN": self.bucket.arn}

    def commits(self) -> list[policies.Statement]:
        """Return what who makes and commits to tables may do. It deletes neither tables nor files."""
        used = [] if self._key is None else [policies.use_key_of_table_bucket(self._key, self._tables)]
        return [
            policies.allow("TableBucket", ["s3tables:CreateTable", "s3tables:GetTableBucket"], self.bucket.arn),
            policies.allow(
                "Tables",
                [
                    "s3tables:CreateTable",  # AWS's own examples name the tables, and its list of actions the bucket
                    "s3tables:GetTableData",
                    "s3tables:GetTableMetadataLocation",
                    "s3tables:PutTableData",
                    "s3tables:UpdateTableMetadataLocation",
                ],
                self._tables,
            ),
            *used,
        ]

    @property
    def _tables(self) -> pulumi.Output[str]:
        return pulumi.Output.format("{0}/table/*", self.bucket.arn)
