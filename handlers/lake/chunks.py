"""How an object is cut: at the first end of a line after every so many bytes, found in one pass that keeps nothing.

The borders depend on the bytes and the chunk size alone, never on how the bytes arrive, so that planning an object
anew gives the same messages.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from handlers.lake import form, schemas, store
from handlers.lake.message import Chunk, Kind, Source, kind_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Span(NamedTuple):
    """Bytes `start` to `end` (exclusive); `first_line` counts from 1."""

    start: int
    end: int
    first_line: int


def spans(blocks: Iterable[bytes], chunk_bytes: int) -> Iterator[Span]:
    """Cuts content into spans of whole lines, each of at least `chunk_bytes` bytes but for the last.

    No byte is left out. A line longer than `chunk_bytes` stays whole.
    """
    start, first_line = 0, 1
    position, line = 0, 1
    for block in blocks:
        done = 0  # how much of this block lies behind
        while True:
            # The last byte of a span of the least size may be its newline.
            cut = block.find(b"\n", max(done, start + chunk_bytes - 1 - position))
            if cut < 0:
                break
            line += block.count(b"\n", done, cut + 1)
            done = cut + 1
            yield Span(start, position + done, first_line)
            start, first_line = position + done, line
        line += block.count(b"\n", done)
        position += len(block)
    if position > start:
        yield Span(start, position, first_line)


def plan(source: Source, kind: Kind, blocks: Iterable[bytes], chunk_bytes: int) -> Iterator[Chunk]:
    """The chunks of an object, of which more than the head is read only where it can be split; an empty one has none.

    Raises:
        UnreadableObjectError: it is nothing that the lake reads.
    """
    head, whole = form.look(blocks)
    if form.compression(head) == "none" and form.of(head, kind.format, schemas.rows_at(kind.type)).can_be_cut:
        for start, end, first_line in spans(whole, chunk_bytes):
            yield Chunk(source, kind, start, end, first_line)
    else:
        yield Chunk(source, kind, 0, source.size, 1)


def of_object(  # noqa: PLR0913 - which object, and how it is cut
    s3: "S3Client", bucket: str, key: str, *, chunk_bytes: int, version_id: str = "", replay: str = ""
) -> Iterator[Chunk]:
    """The chunks of an object as ingest would send them; `replay` forces them to be worked again.

    Raises:
        ValueError: the key is none of the lake's.
        IngestionError: the object can't be read (`store.open_object`).
    """
    kind = kind_of(key)
    if kind is None:
        raise ValueError(f"{key} is not bronze/<type>/… with a name that ends in .json, .jsonl, .gz or no suffix")
    with closing(store.open_object(s3, bucket, key, version_id=version_id)) as found:
        source = replace(found.source, replay=replay or found.source.replay)
        yield from plan(source, kind, found.blocks(), chunk_bytes)
