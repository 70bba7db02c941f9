"""The business step of the lake: one chunk becomes Parquet files, its bad rows a quarantine file.

Content is worked in slices of at most 32 MiB, which bounds memory: a chunk is one, a gzip stream or a JSON document
may be many. A slice is named by where it begins, so working a chunk again writes the same files over themselves.
Nothing is put before all of a chunk has been read (`handlers.lake.output`).
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from handlers import clock, jsontext
from handlers.aws import eventbridge
from handlers.aws.sqs import send_messages
from handlers.errors import DownstreamError
from handlers.grouping import UNGROUPED, Grouping
from handlers.lake import documents, quarantine, schemas, silver, store, unpack
from handlers.lake.errors import ForeignBucketError
from handlers.lake.lines import BadRow, Block, LineReader
from handlers.lake.message import Chunk, Part, Place
from handlers.lake.model import Times
from handlers.lake.notes import Notes
from handlers.lake.output import Output
from handlers.lake.ready import origin_of, ready
from handlers.lake.rows import Parsed, RowReader
from handlers.lake.workload import refuse_too_much
from handlers.observability import count, logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

SLICE_BYTES = 32 * 1024 * 1024
QUARANTINE_BYTES = 16 * 1024 * 1024  # of bad rows; a slice ends there too

_Waiting = BadRow | tuple[Block, Future[Parsed | None]]


@dataclass(slots=True)
class _Slice:
    """What has been read since the last files were written."""

    start: int
    tables: dict[str, list[pa.Table]] = field(default_factory=dict)
    bad: quarantine.Entries = field(default_factory=quarantine.Entries)

    def add(self, parsed: Parsed) -> None:
        for kind, table in parsed.tables:
            self.tables.setdefault(kind, []).append(table)
        for row in parsed.bad:
            self.bad.add(row)

    def ends_before(self, offset: int) -> bool:
        return offset - self.start >= SLICE_BYTES or len(self.bad) >= QUARANTINE_BYTES


class Transformer:
    """Turns chunks of one bronze bucket into files of one silver bucket; rows of before `start` are bad.

    Parts of a chunk that are further work are sent to `queue_url`. Where files become part of tables, chunks are noted
    for who makes them that, and files are never overwritten by others.
    """

    def __init__(  # noqa: PLR0913 - what a chunk is worked with
        self,
        s3: "S3Client",
        sqs: "SQSClient",
        *,
        pipeline: str,
        bronze_bucket: str,
        silver_bucket: str,
        queue_url: str,
        start: date,
        grouping: Grouping = UNGROUPED,
        notes: Notes | None = None,
    ) -> None:
        self._s3 = s3
        self._sqs = sqs
        self._pipeline = pipeline
        self._bronze = bronze_bucket
        self._bucket = silver_bucket
        self._queue_url = queue_url
        self._start = start
        self._grouping = grouping
        self._notes = notes

    @refuse_too_much
    def process(self, payload: jsontext.JsonObject) -> jsontext.Json:
        """Works one message: `{rows, silver, quarantined, files: [{key, type, dt, rows}], quarantine?: [key], parts?}`.

        `rows` is `silver` + `quarantined`; what follows a break in the content counts as one row. `parts` is how many
        further messages work the rest of the chunk, whose rows are counted there.

        Raises:
            SchemaValidationError: the message is no chunk.
            ForeignBucketError: it is one of another bucket.
            TooMuchWorkError: it is more than an invocation can work.
            IngestionError: the object can't be read or a file not be written.
        """
        chunk = Chunk.from_payload(payload)
        if chunk.source.bucket != self._bronze:
            raise ForeignBucketError("/bucket is not the lake's")
        output = Output(self._s3, self._bucket, chunk, immutable=self._notes is not None)
        for one in self._slices(chunk):
            for kind in sorted(one.tables):
                for dt, table in silver.partitions(one.tables.pop(kind)):
                    output.add(Place(one.start, kind, dt), table)
            output.add_bad(one.start, one.bad.content(), one.bad.rows)
            if output.is_complete:
                break
        output.put()
        self._send(chunk, output.parts)
        if self._notes:
            self._notes.take(chunk.key, chunk.lasting_id)
        result = output.result()
        _log(result)
        return result

    def announce(self, payload: jsontext.JsonObject, result: jsontext.Json) -> list[eventbridge.Event]:
        """The event of each file that a chunk has written, with an id that a repetition shares.

        None where files become part of tables: readers find them then, and are told then.
        """
        if self._notes:
            return []
        origin = origin_of(Chunk.from_payload(payload))
        files = result["files"] if isinstance(result, dict) else []
        assert isinstance(files, list)  # noqa: S101 - it is what `process` returned
        return [
            ready(str(i), self._pipeline, self._bucket, file, origin)
            for i, file in enumerate(files)
            if isinstance(file, dict)
        ]

    def _content(self, chunk: Chunk) -> Iterator[Block | BadRow]:
        stream = store.read(self._s3, chunk.source, chunk.start, chunk.end)
        kind = chunk.kind
        lines = (
            unpack.lines(stream, kind.format, schemas.rows_at(kind.type))
            if chunk.is_whole
            else documents.parted(stream)
        )
        return LineReader(first_line=chunk.first_line, offset=chunk.start).read(lines)

    def _slices(self, chunk: Chunk) -> Iterator[_Slice]:
        """What is written together, in the order of the content; at least one slice, which may be empty."""
        times = Times.of_days(self._start, datetime.fromtimestamp(clock.now_ms() / 1000, UTC))
        current = _Slice(chunk.start)
        for parsed in _parsed(self._content(chunk), RowReader(chunk.kind.type, schemas.types(), times)):
            if isinstance(parsed, BadRow):
                current.bad.add(parsed)
                continue
            if current.ends_before(parsed.offset):
                yield current
                current = _Slice(parsed.offset)
            current.add(parsed)
        yield current

    def _send(self, chunk: Chunk, parts: Sequence[Part]) -> None:
        """Sends what is left of the chunk: before its outcome is written, so that a crash leaves none of it out."""
        now = clock.iso(clock.now_ms())
        messages = [
            replace(chunk, part=part).message(
                str(i), submitted_at=now, correlation_id=chunk.source.digest, grouping=self._grouping
            )
            for i, part in enumerate(parts)
        ]
        if failed := send_messages(self._sqs, self._queue_url, messages).failed:
            raise DownstreamError(f"SQS did not take {len(failed)} parts of a chunk: {min(failed.values())}")
        if parts:
            count(self._pipeline, {"Accepted": len(parts)})


def _log(result: dict[str, jsontext.Json]) -> None:
    files = result["files"]
    numbers = {name: value for name, value in result.items() if isinstance(value, int)}
    logger.info("chunk transformed", extra=numbers | {"files": len(files) if isinstance(files, list) else 0})


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
