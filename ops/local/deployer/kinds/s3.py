"""Buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.deployer.aws import if_there
from ops.local.deployer.errors import DeployError
from ops.local.deployer.kinds.base import Keeper, Resource, tag_list

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

    from ops.local.deployer.translate import Fields

_CLASSIC_REGION = "us-east-1"  # the one region that must not be named to CreateBucket


class Bucket(Keeper):
    """aws:s3/bucket:Bucket; what the provider's old way sets within it are resources of their own here."""

    fields: ClassVar[Fields] = {
        "bucket": "Bucket",
        "bucketPrefix": "bucketPrefix",
        "forceDestroy": "forceDestroy",  # minded when it leaves the program
        "tags": "Tags",
    }
    fixed = frozenset({"bucket", "bucketPrefix"})

    def find(self, it: Resource) -> str | None:
        """By name."""
        with if_there():
            it.aws.s3.get_bucket_location(Bucket=_name(it))  # HeadBucket's answer has no words, so no "NoSuchBucket"
            return _name(it)
        return None

    def create(self, it: Resource) -> str:
        """In the region of the deployment."""
        place: Any = {"LocationConstraint": it.aws.region}
        given = {} if it.aws.region == _CLASSIC_REGION else {"CreateBucketConfiguration": place}
        it.aws.s3.create_bucket(Bucket=_name(it), **given)
        self._tag(it)
        return _name(it)

    def update(self, it: Resource) -> None:
        """Tags; the objects stay."""
        self._tag(it)

    def delete(self, it: Resource) -> None:
        """When it is empty, or with all versions of all objects where the program said so before.

        Raises:
            DeployError: it holds objects that the program did not give up.
        """
        with if_there():
            if it.inputs.get("forceDestroy"):
                _empty(it)
            elif self.holds(it):
                raise DeployError(
                    f"{it.type} {it.name!r} has left the program but holds objects, and forceDestroy was not set; "
                    f"empty bucket {it.id}, then deploy again"
                )
            it.aws.s3.delete_bucket(Bucket=it.id)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN, name, domain names."""
        return super().outputs(it) | {
            "arn": f"arn:aws:s3:::{it.id}",
            "bucket": it.id,
            "bucketDomainName": f"{it.id}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{it.id}.s3.{it.aws.region}.amazonaws.com",
            "bucketRegion": it.aws.region,
            "region": it.aws.region,
        }

    def holds(self, it: Resource) -> str:
        """Its objects, old versions too."""
        with if_there():
            found = it.aws.s3.list_object_versions(Bucket=it.id, MaxKeys=1)
            return "objects" if found.get("Versions") or found.get("DeleteMarkers") else ""
        return ""

    def _tag(self, it: Resource) -> None:
        """S3 takes all tags of a bucket at once."""
        if tags := it.inputs.get("tags"):
            it.aws.s3.put_bucket_tagging(Bucket=_name(it), Tagging={"TagSet": tag_list(tags)})
        elif it.before.get("tags"):
            it.aws.s3.delete_bucket_tagging(Bucket=_name(it))


def _name(it: Resource) -> str:
    """As given; else the prefix, without the digits that make it unique in the world."""
    return it.id or str(it.inputs.get("bucket") or it.inputs.get("bucketPrefix", it.name)).rstrip("-")


def _empty(it: Resource) -> None:
    for page in it.aws.s3.get_paginator("list_object_versions").paginate(Bucket=it.id):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        doomed: list[ObjectIdentifierTypeDef] = [{"Key": o["Key"], "VersionId": o["VersionId"]} for o in found]
        if not doomed:
            continue
        refused = it.aws.s3.delete_objects(Bucket=it.id, Delete={"Objects": doomed, "Quiet": True}).get("Errors", [])
        if refused:
            raise DeployError(f"bucket {it.id} can't be emptied: {refused[0].get('Key')}: {refused[0].get('Message')}")
