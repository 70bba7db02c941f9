"""Who hears of a bucket's objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from ops.local.deployer.kinds.s3_settings import Setting, bucket
from ops.local.deployer.translate import Fields, Sub

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import NotificationConfigurationTypeDef

    from ops.local.deployer.kinds.base import Resource


class BucketNotification(Setting):
    """aws:s3/bucketNotification:BucketNotification, to queues."""

    fields: ClassVar[Fields] = {
        "bucket": "Bucket",
        "queues": Sub(
            "QueueConfigurations",
            {
                "id": "Id",
                "queueArn": "QueueArn",
                "events": "Events",
                "filterPrefix": "prefix",
                "filterSuffix": "suffix",
            },
        ),
    }

    def get(self, s3: S3Client, it: Resource) -> object:
        """The queues that are notified."""
        return s3.get_bucket_notification_configuration(Bucket=bucket(it)).get("QueueConfigurations")

    def set(self, s3: S3Client, it: Resource) -> None:
        """All notifications at once."""
        wanted = {"QueueConfigurations": [_filtered(one) for one in it.params["QueueConfigurations"]]}
        configuration = cast("NotificationConfigurationTypeDef", wanted)
        s3.put_bucket_notification_configuration(Bucket=bucket(it), NotificationConfiguration=configuration)

    def reset(self, s3: S3Client, it: Resource) -> None:
        """None."""
        s3.put_bucket_notification_configuration(Bucket=bucket(it), NotificationConfiguration={})


def _filtered(notification: dict[str, Any]) -> dict[str, Any]:
    """With its filters where S3 wants them."""
    kept = {name: value for name, value in notification.items() if name not in ("prefix", "suffix")}
    rules = [{"Name": name, "Value": notification[name]} for name in ("prefix", "suffix") if name in notification]
    return kept | ({"Filter": {"Key": {"FilterRules": rules}}} if rules else {})
