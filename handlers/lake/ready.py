"""What the lake tells of its files: an event for each that readers find from now on."""

from handlers import jsontext
from handlers.aws import eventbridge
from handlers.lake.message import Chunk

SOURCE = "myapp.lake"
READY = "SilverPartitionReady"


def ready(
    name: str, pipeline: str, bucket: str, file: jsontext.JsonObject, origin: jsontext.JsonObject
) -> eventbridge.Event:
    """The event of a file (`{key, type, dt, rows}`), `name` in a report; a repetition has the same id.

    `origin` is what the file's rows came in, see `origin_of`.
    """
    detail: jsontext.JsonObject = {
        "eventId": eventbridge.event_id(READY, pipeline, str(file["key"]), str(origin["identity"])),
        "pipeline": pipeline,
        "type": file["type"],
        "dt": file["dt"],
        "bucket": bucket,
        "key": file["key"],
        "rows": file["rows"],
        "source": {name: value for name, value in origin.items() if name != "identity"},
    }
    return eventbridge.Event(name, SOURCE, READY, detail)


def origin_of(chunk: Chunk) -> jsontext.JsonObject:
    """What the rows of a chunk came in."""
    source = chunk.source
    return {
        "identity": source.identity,
        "bucket": source.bucket,
        "key": source.key,
        "etag": source.etag,
        "start": chunk.start,
        "end": chunk.end,
    }
