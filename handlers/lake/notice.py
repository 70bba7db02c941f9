"""What S3 says when an object has arrived (event notification, structure 2.x): the body of a message on its queue."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from handlers import jsontext
from handlers.errors import Detail, SchemaValidationError
from handlers.lake.message import Kind, Source, is_hidden, kind_of
from handlers.observability import count, logger
from handlers.worker.messages import Form

_CREATED = "ObjectCreated:"  # Put, Post, Copy, CompleteMultipartUpload
_BACKFILL = "ObjectCreated:Backfill"  # our own: S3 has no such event
_REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Notice:
    """An object that is to be ingested. `correlation_id` is S3's id of the request that wrote it.

    `replay` is that of a backfill; an object's own is in its metadata.
    """

    bucket: str
    key: str
    kind: Kind
    version_id: str
    etag: str
    correlation_id: str
    replay: str = ""


def announcement(bucket: str, key: str, replay: str) -> str:
    """The notice of an object that is there, as JSON: without its version, so that what is there then is ingested."""
    thing = {"bucket": {"name": bucket}, "object": {"key": quote_plus(key)}}
    record: jsontext.JsonObject = {"eventName": _BACKFILL, "s3": thing, _REPLAY: replay}  # type: ignore[dict-item]
    return jsontext.compact({"Records": [record]})


def read(event: Mapping[str, Any], pipeline: str) -> list[Notice]:
    """The objects that an event announces; what is none of the lake's is logged and left out.

    That is: S3's test event, deletions, and new objects whose keys `kind_of` does not know, which are counted.

    Raises:
        SchemaValidationError: it is no event of S3.
    """
    if event.get("Event") == "s3:TestEvent" and "Records" not in event:
        logger.info("notification ignored", extra={"reason": "it is S3's test"})
        return []
    try:
        return list(_notices(event["Records"], pipeline))
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise SchemaValidationError(Detail("", "is no notification of S3")) from exc


def _notices(records: list[Mapping[str, Any]], pipeline: str) -> Iterator[Notice]:
    for record in records:
        name, thing = record["eventName"], record["s3"]["object"]
        bucket, key = record["s3"]["bucket"]["name"], unquote_plus(thing["key"])
        kind = kind_of(key)
        if not name.startswith(_CREATED) or kind is None:
            reason = f"it is {name}" if kind else "its key is not that of a lake object"
            logger.info("notification ignored", extra={"reason": reason, "bucket": bucket, "objectKey": key})
            if name.startswith(_CREATED) and not is_hidden(key):
                count(pipeline, {"ObjectsIgnored": 1})
            continue
        correlation_id = record.get("responseElements", {}).get("x-amz-request-id", "")
        replay = str(record.get(_REPLAY, ""))
        yield Notice(bucket, key, kind, thing.get("versionId", ""), thing.get("eTag", ""), correlation_id, replay)


def fact(bucket: str, key: str, content_id: str) -> jsontext.JsonObject:
    """What is the same for an object however often it is announced; its checksum is in its record."""
    return {"bucket": bucket, "key": key, "etag": content_id}


def _source(event: Mapping[str, Any]) -> Source | None:
    """The one object of an event, as far as S3 tells of it; None where it is none or more."""
    try:
        (record,) = event["Records"]
        thing = record["s3"]["object"]
        return Source(str(record["s3"]["bucket"]["name"]), unquote_plus(thing["key"]), "", str(thing["eTag"]), 0)
    except (KeyError, TypeError, AttributeError, ValueError):
        return None


def _identity(event: jsontext.JsonObject) -> str:
    source = _source(event)
    return source.identity if source else ""


def _fact(event: jsontext.JsonObject) -> jsontext.JsonObject:
    source = _source(event)
    return fact(source.bucket, source.key, source.etag) if source else event


# By the object's record, where its ETag identifies the content; else a redrive knows a notice by its own checksum.
FORM = Form(payload=lambda body: body, key=_identity, fact=_fact)
