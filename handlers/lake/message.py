"""What travels from ingest to transform: one small message for each chunk of an object.

An object's identity is `bucket/key#content`, so the same bytes under the same key are the same object, however often
they are uploaded. `content` is the ETag where that is a checksum, else `algorithm:hex` (`handlers.lake.content`). A
replay that is forced gets an identity of its own: `bucket/key#content~replay`.

A chunk whose rows belong to more files than one message may write is worked as several: the first message reads all of
it and sends one for each further part.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import quote

from handlers import jsontext
from handlers.aws.sqs import Attribute, Outgoing
from handlers.errors import Detail, SchemaValidationError
from handlers.grouping import UNGROUPED, Grouping

PREFIX = "bronze/"
Compression = Literal["none", "gzip", "zstd", "bzip2"]
Claim = Literal["jsonl", "json", "any"]  # what a name says of the content
_KEY = re.compile(rf"{PREFIX}(?P<type>[A-Za-z0-9][A-Za-z0-9_.-]{{0,63}})/(?P<rest>.+)", re.DOTALL)
_PACKED = re.compile(r"\.(?:(?P<gzip>gz|gzip)|(?P<zstd>zst|zstd)|(?P<bzip2>bz2))$", re.IGNORECASE)
_NAMED = re.compile(r"\.(?:(?P<jsonl>jsonl|ndjson)|(?P<json>json|geojson))$", re.IGNORECASE)
_FOREIGN = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,9}$")  # the name says that it is something else (`a.csv`)
_HIDDEN = re.compile(r"(?:^|/)(?:[._][^/]*)?$")  # as Hadoop's own files are (`_SUCCESS`), or a folder
# DynamoDB's keys have at most 2,048 bytes; the rest of a chunk's key (range, version, replay) needs far less than this.
_MAX_IDENTITY = 1024
_FIELDS: dict[str, type] = {
    "bucket": str,
    "key": str,
    "versionId": str,
    "etag": str,
    "type": str,
    "format": str,
    "compression": str,
    "start": int,
    "end": int,
    "firstLine": int,
    "size": int,
    "replay": str,
}
# Left out: `content` where the ETag is a checksum, `part` where the message is the chunk's first.
_OPTIONAL: dict[str, type] = {"content": str, "part": str}
# A text that S3 never gives can't be part of a call: it would fail there as if it were transient, or name no version.
_FORMS = {
    "versionId": re.compile(r"[!-~]{0,1024}"),
    "etag": re.compile(r"[!#-~]{1,256}"),
    "content": re.compile(r"[a-z0-9]{1,16}:[0-9a-f]{1,128}"),
    "replay": re.compile(r"[^\ud800-\udfff]{0,2048}"),
    "part": re.compile(r"[0-9]{1,15}/[A-Za-z0-9_.-]{1,64}/[0-9-]{10}/[0-9]{1,4}/[0-9]{1,15}"),
}
_MAX_KEY_BYTES = 1024
_SURROGATE = re.compile("[\ud800-\udfff]")
_CHOICES = {"format": ("jsonl", "json", "any"), "compression": ("none", "gzip", "zstd", "bzip2")}
# The error type of a dead letter without a recorded cause.
_UNKNOWN_ERROR = "Unknown"


@dataclass(frozen=True, slots=True)
class Kind:
    """What an object's key says of it. `type` is that of its rows, where they do not say their own.

    How it is read is decided by its content (`handlers.lake.form`).
    """

    type: str
    format: Claim
    compression: Compression


def kind_of(key: str) -> Kind | None:
    """Reads `bronze/<type>/…`; None where the key is not of this form or says that it is nothing for the lake.

    A name may end in `.json`, `.geojson`, `.jsonl` or `.ndjson`, then in `.gz`, `.zst` or `.bz2`, or in none of them.
    """
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    packed = _PACKED.search(match["rest"])
    name = match["rest"][: packed.start()] if packed else match["rest"]
    named = _NAMED.search(name)
    if named is None and (_FOREIGN.search(name) or _HIDDEN.search(name)):
        return None
    return Kind(match["type"], _only(named, "any"), _only(packed, "none"))  # type: ignore[arg-type]


def is_hidden(key: str) -> bool:
    """Whether it is a folder or a tool's own (`_SUCCESS`, `.keep`), which nobody misses where it is not read."""
    return _HIDDEN.search(key) is not None


def _only(match: re.Match[str] | None, otherwise: str) -> str:
    """The name of the group that has matched."""
    return (match and match.lastgroup) or otherwise


@dataclass(frozen=True, slots=True)
class Source:
    """One object as it was when it was announced. `size` in bytes, `version_id` "" where there are no versions.

    `etag` is what a read is bound to. `content` is what identifies the bytes where the ETag does not, else "".
    """

    bucket: str
    key: str
    version_id: str
    etag: str
    size: int
    replay: str = ""
    content: str = ""

    @property
    def content_id(self) -> str:
        """What is the same for the same bytes."""
        return self.content or self.etag

    @property
    def identity(self) -> str:
        """`bucket/key#content` (`~replay`), percent-encoded to ASCII; a hash stands for a key that is too long."""
        place = f"{self.bucket}/{quote(self.key, safe='/')}"
        if len(place) > _MAX_IDENTITY:
            place = f"{self.bucket}/sha256:{hashlib.sha256(self.key.encode()).hexdigest()}"
        return f"{place}#{self.content_id}" + (f"~{quote(self.replay, safe='')[:128]}" if self.replay else "")

    @property
    def digest(self) -> str:
        """16 hex digits for these bytes under this key, the same in every replay."""
        return hashlib.sha256(f"{self.bucket}/{self.key}#{self.content_id}".encode()).hexdigest()[:16]


class Place(NamedTuple):
    """Where a file stands among those of a chunk: they are ordered so. `start` is that of its slice."""

    start: int
    type: str
    dt: str


@dataclass(frozen=True, slots=True)
class Part:
    """The files of a chunk from `first` on, `files` of them, with `rows` rows together."""

    first: Place
    files: int
    rows: int

    def __str__(self) -> str:
        """As the message says it: `start/type/dt/files/rows`."""
        return "/".join(map(str, (*self.first, self.files, self.rows)))

    @classmethod
    def of(cls, text: str) -> "Part":
        """Reads what `str` gives."""
        start, kind, dt, files, rows = text.split("/")
        return cls(Place(int(start), kind, dt), int(files), int(rows))


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes `start` to `end` (exclusive) of an object: whole lines, the first of them numbered `first_line`.

    An object that can't be split is one chunk. A message with a `part` is for these files of the chunk alone.
    """

    source: Source
    kind: Kind
    start: int
    end: int
    first_line: int
    part: Part | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is all of its object."""
        return self.start == 0 and self.end == self.source.size

    @property
    def key(self) -> str:
        """The idempotency key.

        It has the version, because the same bytes uploaded anew are another message, but no other object.
        """
        version = f"@{self.source.version_id}" if self.source.version_id else ""
        part = "/" + "/".join(map(str, self.part.first)) if self.part else ""
        return f"{self.source.identity}/{self.start}-{self.end}{version}{part}"

    @property
    def lasting_id(self) -> str:
        """What is the same each time that these bytes, or this part of their files, are worked, in a replay too."""
        part = "/" + "/".join(map(str, self.part.first)) if self.part else ""
        return f"{self.source.digest}/{self.start}-{self.end}{part}"

    def payload(self) -> jsontext.JsonObject:
        """The chunk as its message says it."""
        return {
            "bucket": self.source.bucket,
            "key": self.source.key,
            "versionId": self.source.version_id,
            "etag": self.source.etag,
            "type": self.kind.type,
            "format": self.kind.format,
            "compression": self.kind.compression,
            "start": self.start,
            "end": self.end,
            "firstLine": self.first_line,
            "size": self.source.size,
            "replay": self.source.replay,
            **({"content": self.source.content} if self.source.content else {}),
            **({"part": str(self.part)} if self.part else {}),
        }

    def message(
        self,
        message_id: str,
        *,
        submitted_at: str,
        correlation_id: str,
        trace_header: str = "",
        grouping: Grouping = UNGROUPED,
    ) -> Outgoing:
        """The SQS message, named `message_id` in the send report."""
        attributes = {
            "idempotencyKey": Attribute("String", self.key),
            "submittedAt": Attribute("String", submitted_at),
            "errorTypeCandidate": Attribute("String", _UNKNOWN_ERROR),
            "correlationId": Attribute.text(correlation_id),
        }
        payload = self.payload()
        return Outgoing(
            message_id,
            jsontext.compact(payload),
            attributes,
            trace_header=trace_header,
            group_id=grouping.group_id(payload),
        )

    @classmethod
    def from_payload(cls, payload: jsontext.JsonObject) -> "Chunk":
        """Reads a message's body; a field that is not known is a fault too, because it would be ignored.

        Raises:
            SchemaValidationError: it is not a chunk; every fault with its JSON pointer.
        """
        unknown = payload.keys() - _FIELDS.keys() - _OPTIONAL.keys()
        faults = [*_faults(payload), *(Detail(f"/{name}", "is not known") for name in unknown)]
        if faults:
            raise SchemaValidationError(*sorted(faults, key=lambda fault: fault.pointer))
        given: dict[str, str | int] = payload  # type: ignore[assignment]
        source = Source(
            bucket=str(given["bucket"]),
            key=str(given["key"]),
            version_id=str(given["versionId"]),
            etag=str(given["etag"]),
            size=int(given["size"]),
            replay=str(given["replay"]),
            content=str(given.get("content", "")),
        )
        kind = Kind(str(given["type"]), given["format"], given["compression"])  # type: ignore[arg-type]
        part = Part.of(str(given["part"])) if "part" in given else None
        return cls(source, kind, int(given["start"]), int(given["end"]), int(given["firstLine"]), part)


def _faults(payload: jsontext.JsonObject) -> list[Detail]:
    faults = []
    for name, kind in (_FIELDS | _OPTIONAL).items():
        value = payload.get(name)
        if name not in payload:
            if name in _OPTIONAL:
                continue
            faults.append(Detail(f"/{name}", "is required"))
        elif type(value) is not kind:
            wanted = "an integer" if kind is int else "a string"
            faults.append(Detail(f"/{name}", f"must be {wanted}, got {jsontext.describe(value)}"))
        elif name in _CHOICES and value not in _CHOICES[name]:
            faults.append(Detail(f"/{name}", f"must be one of {', '.join(_CHOICES[name])}"))
        elif name in _FORMS and not _FORMS[name].fullmatch(str(value)):
            faults.append(Detail(f"/{name}", "is no part" if name == "part" else "is not a value that S3 gives"))
    return faults or [*_key_faults(payload), *_range_faults(payload)]


def _key_faults(payload: jsontext.JsonObject) -> list[Detail]:
    """The key has the last word on how its object is read, and its type is part of the names of files."""
    key, said = str(payload["key"]), (payload["type"], payload["format"], payload["compression"])
    kind = kind_of(key)
    if kind is None or len(key.encode("utf-8", "surrogatepass")) > _MAX_KEY_BYTES or _SURROGATE.search(key):
        return [Detail("/key", "must be the key of a lake object")]
    if (kind.type, kind.format, kind.compression) != said:
        return [Detail("/key", "must be of the same type, format and compression as the message")]
    return []


def _range_faults(payload: jsontext.JsonObject) -> list[Detail]:
    start, end, size = (int(str(payload[name])) for name in ("start", "end", "size"))
    faults = [] if int(str(payload["firstLine"])) >= 1 else [Detail("/firstLine", "must be 1 or more")]
    if 0 <= start < end <= size:
        return faults
    return [*faults, Detail("/end", f"must lie after start and within size: start {start}, end {end}, size {size}")]
