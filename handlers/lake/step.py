"""The business step of the lake: one chunk becomes Parquet files, its bad rows a quarantine file.

Content is worked in slices of at most 64 MiB, which bounds memory: a chunk is one, a gzip stream or a JSON document
may be many. A slice is named by where it begins, so working a chunk again writes the same files over themselves.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from handlers import clock, jsontext
from handlers.aws import eventbridge
from handlers.lake import documents, quarantine, schemas, silver, store, unpack
from handlers.lake.errors import ForeignBucketError, TooManyPartitionsError
from handlers.lake.lines import BadRow, Block, LineReader
from handlers.lake.message import Chunk
from handlers.lake.model import Times
from handlers.lake.rows import Parsed, RowReader
from handlers.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SOURCE = "myapp.lake"
READY = "SilverPartitionReady"
SLICE_BYTES = 64 * 1024 * 1024
QUARANTINE_BYTES = 16 * 1024 * 1024  # of bad rows; a slice ends there too
MAX_FILES = 500  # so that the result fits its state record

_Waiting = BadRow | tuple[Block, Future[Parsed | None]]


@dataclass(slots=True)
class _Slice:
    """What has been read since the last files were written."""

    start: int
    tables: dict[str, list[pa.Table]] = field(default_factory=dict)
    bad: bytearray = field(default_factory=bytearray)  # the quarantine file
    bad_rows: int = 0

    def add(self, parsed: Parsed) -> None:
        for kind, table in parsed.tables:
            self.tables.setdefault(kind, []).append(table)
        for row in parsed.bad:
            self.add_bad(row)

    def add_bad(self, row: BadRow) -> None:
        self.bad += quarantine.encode(row)
        self.bad_rows += 1

    def ends_before(self, offset: int) -> bool:
        return offset - self.start >= SLICE_BYTES or len(self.bad) >= QUARANTINE_BYTES


@dataclass(slots=True)
class _Tally:
    """What a chunk has come to so far."""

    silver: int = 0
    quarantined: int = 0
    files: list[jsontext.JsonObject] = field(default_factory=list)
    quarantine: list[str] = field(default_factory=list)

    def as_json(self) -> jsontext.JsonObject:
        result: jsontext.JsonObject = {
            "rows": self.silver + self.quarantined,
            "silver": self.silver,
            "quarantined": self.quarantined,
            "files": list(self.files),
        }
        return result | ({"quarantine": list(self.quarantine)} if self.quarantine else {})


class Transformer:
    """Turns chunks of one bronze bucket into files of one silver bucket; rows of before `start` are bad."""

    def __init__(self, s3: "S3Client", *, pipeline: str, bronze_bucket: str, silver_bucket: str, start: date) -> None:
        self._s3 = s3
        self._pipeline = pipeline
        self._bronze = bronze_bucket
        self._bucket = silver_bucket
        self._start = start

    def process(self, payload: jsontext.JsonObject) -> jsontext.Json:
        """Works one chunk: `{rows, silver, quarantined, files: [{key, type, dt, rows}], quarantine?: [key]}`.

        `rows` is `silver` + `quarantined`; what follows a break in the content counts as one row.

        Raises:
            SchemaValidationError: the message is no chunk.
            ForeignBucketError: it is one of another bucket.
            IngestionError: the object can't be read or a file not be written.
        """
        chunk = Chunk.from_payload(payload)
        if chunk.source.bucket != self._bronze:
            raise ForeignBucketError("/bucket is not the lake's")
        times = Times.of_days(self._start, datetime.fromtimestamp(clock.now_ms() / 1000, UTC))
        rows = RowReader(chunk.kind.type, schemas.types(), times)
        tally = _Tally()
        current = _Slice(chunk.start)
        for parsed in _parsed(self._content(chunk), rows):
            if isinstance(parsed, BadRow):
                current.add_bad(parsed)
                continue
            if current.ends_before(parsed.offset):
                self._write(chunk, current, tally)
                current = _Slice(parsed.offset)
            current.add(parsed)
        self._write(chunk, current, tally)
        _log(tally)
        return tally.as_json()

    def announce(self, payload: jsontext.JsonObject, result: jsontext.Json) -> list[eventbridge.Event]:
        """The event of each file that a chunk has written, with an id that a repetition shares."""
        chunk = Chunk.from_payload(payload)
        files = result["files"] if isinstance(result, dict) else []
        assert isinstance(files, list)  # noqa: S101 - it is what `process` returned
        return [self._ready(chunk, i, file) for i, file in enumerate(files) if isinstance(file, dict)]

    def _content(self, chunk: Chunk) -> Iterator[Block | BadRow]:
        stream = store.read(self._s3, chunk.source, chunk.start, chunk.end)
        if chunk.kind.compression == "gzip":
            stream = unpack.gunzip(stream)
        if chunk.kind.format == "json":
            stream = documents.as_lines(stream)
        return LineReader(first_line=chunk.first_line, offset=chunk.start).read(stream)

    def _write(self, chunk: Chunk, one: _Slice, tally: _Tally) -> None:
        """Writes the files of a slice; a quarantine file that an earlier run has left is deleted by a replay."""
        digest = chunk.source.digest
        for kind in sorted(one.tables):
            for dt, table in silver.partitions(one.tables[kind]):
                if len(tally.files) == MAX_FILES:
                    raise TooManyPartitionsError(f"a chunk may write {MAX_FILES} files, this one needs more")
                key = silver.key(kind, dt, digest, one.start)
                store.put(self._s3, self._bucket, key, silver.encode(table), silver.CONTENT_TYPE)
                tally.files.append({"key": key, "type": kind, "dt": dt, "rows": table.num_rows})
                tally.silver += table.num_rows
        key = quarantine.key(chunk.kind.type, digest, one.start)
        if one.bad:
            store.put(self._s3, self._bucket, key, bytes(one.bad), quarantine.CONTENT_TYPE)
            tally.quarantine.append(key)
            tally.quarantined += one.bad_rows
        elif chunk.source.replay:
            store.delete(self._s3, self._bucket, key)

    def _ready(self, chunk: Chunk, index: int, file: jsontext.JsonObject) -> eventbridge.Event:
        source = chunk.source
        detail: jsontext.JsonObject = {
            "eventId": eventbridge.event_id(READY, self._pipeline, str(file["key"]), source.identity),
            "pipeline": self._pipeline,
            "type": file["type"],
            "dt": file["dt"],
            "bucket": self._bucket,
            "key": file["key"],
            "rows": file["rows"],
            "source": {
                "bucket": source.bucket,
                "key": source.key,
                "etag": source.etag,
                "start": chunk.start,
                "end": chunk.end,
            },
        }
        return eventbridge.Event(str(index), SOURCE, READY, detail)


def _log(tally: _Tally) -> None:
    numbers = {"rows": tally.silver + tally.quarantined, "silver": tally.silver, "quarantined": tally.quarantined}
    logger.info("chunk transformed", extra=numbers | {"files": len(tally.files)})


def _parsed(content: Iterable[Block | BadRow], rows: RowReader) -> Iterator[Parsed | BadRow]:
    """Reads blocks, in order; while S3 gives one, the one before is parsed."""
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[_Waiting] = deque()
        for item in content:
            waiting.append(item if isinstance(item, BadRow) else (item, pool.submit(rows.read_whole, item)))
            if len(waiting) > 1:
                yield from _settled(waiting.popleft(), rows)
        for one in waiting:
            yield from _settled(one, rows)


def _settled(one: _Waiting, rows: RowReader) -> Iterator[Parsed | BadRow]:
    if isinstance(one, BadRow):
        yield one
        return
    block, parsing = one
    if whole := parsing.result():
        yield whole
    else:
        yield from rows.read_parts(block)
