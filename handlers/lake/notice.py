"""What S3 says when an object has arrived (event notification, structure 2.x)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from handlers.lake.message import Kind, kind_of
from handlers.observability import logger

_CREATED = "ObjectCreated:"  # Put, Post, Copy, CompleteMultipartUpload


@dataclass(frozen=True, slots=True)
class Notice:
    """An object that is to be ingested. `correlation_id` is S3's id of the request that wrote it."""

    bucket: str
    key: str
    kind: Kind
    version_id: str
    etag: str
    correlation_id: str


def read(event: Mapping[str, Any]) -> list[Notice]:
    """The objects that an event announces; what is none of the lake's is logged and left out.

    That is: S3's test event, deletions, and keys that are not `bronze/<type>/….json|.jsonl|.ndjson[.gz]`.
    """
    if event.get("Event") == "s3:TestEvent" and "Records" not in event:
        logger.info("notification ignored", extra={"reason": "it is S3's test"})
        return []
    return list(_notices(event["Records"]))


def _notices(records: list[Mapping[str, Any]]) -> Iterator[Notice]:
    for record in records:
        name, thing = record["eventName"], record["s3"]["object"]
        bucket, key = record["s3"]["bucket"]["name"], unquote_plus(thing["key"])
        kind = kind_of(key)
        if not name.startswith(_CREATED) or kind is None:
            reason = f"it is {name}" if kind else "its key is not that of a lake object"
            logger.info("notification ignored", extra={"reason": reason, "bucket": bucket, "objectKey": key})
            continue
        correlation_id = record.get("responseElements", {}).get("x-amz-request-id", "")
        yield Notice(bucket, key, kind, thing.get("versionId", ""), thing.get("eTag", ""), correlation_id)
